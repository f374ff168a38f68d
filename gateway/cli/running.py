"""
The commands that run something: sandbox, serve, bridge, demo, clock.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Annotated

import typer

from gateway.cli.base import ConfigOption, DirOption, Language, fail, settings

app = typer.Typer()


@app.command()
def sandbox(
    directory: DirOption = Path(".sandbox"),
    port: Annotated[int, typer.Option(help="Where to listen; 0 takes a free port.")] = 0,
    people: Annotated[int, typer.Option(min=0, max=1_000_000, help="How many more people.")] = 500,
    seed: Annotated[int, typer.Option(help="The same seed gives the same people.")] = 1,
    metrics_port: Annotated[
        int | None, typer.Option(help="Where the writer shows its metrics; none if not given.")
    ] = None,
    store: Annotated[
        str | None,
        typer.Option(
            envvar="ONSHI_STORE",
            help="A PostgreSQL database for the facts: postgresql://user@host/database. "
            "Without it a file keeps them.",
        ),
    ] = None,
) -> None:
    """Run the whole sandbox until Ctrl-C: gateway, folders, test persons."""
    from msgspec import ValidationError

    from gateway.app.processes import StartFailedError
    from gateway.app.sandbox import running_sandbox
    from gateway.app.screen import print_ready
    from gateway.app.supervisor import stop_on_signals
    from gateway.observe import configure

    configure("sandbox")

    async def run() -> None:
        stop = stop_on_signals()
        sandbox = running_sandbox(
            directory,
            port=port,
            people=people,
            seed=seed,
            metrics_port=metrics_port,
            store=store,
        )
        async with sandbox as (place, up):
            print_ready(place, up)
            await stop.wait()
        sys.stdout.write("stopped\n")

    try:
        asyncio.run(run())
    except (StartFailedError, ValidationError) as error:
        fail(str(error))


@app.command()
def serve(config: ConfigOption) -> None:
    """Run a gateway until SIGTERM."""
    from gateway.app.processes import StartFailedError
    from gateway.app.supervisor import serve as run
    from gateway.config import load_settings
    from gateway.observe import configure
    from gateway.policy.schedule import retention_schedule

    configure("supervisor")
    path = config.resolve()
    loaded = settings(load_settings, path)
    if loaded.retention is not None:
        settings(retention_schedule, loaded.retention)
    try:
        asyncio.run(run(loaded, path))
    except StartFailedError as error:
        fail(str(error))


@app.command()
def bridge(config: ConfigOption) -> None:
    """Serve one institution's req/ res/ face/ folders until SIGTERM."""
    from gateway.app.bridge import run_alone
    from gateway.config import load_bridge_settings

    run_alone(settings(load_bridge_settings, config.resolve()))


@app.command()
def demo(
    directory: Annotated[
        Path | None, typer.Option("--dir", help="Where to work; a scratch folder if not given.")
    ] = None,
    language: Annotated[Language, typer.Option(help="Of what it says.")] = Language.EN,
) -> None:
    """Tell the whole circle on one screen: a job change, the lag, the claim, who looked."""
    from gateway.app.demo import run_demo

    raise typer.Exit(run_demo(directory, language.value))


@app.command()
def clock(
    directory: DirOption = Path(".sandbox"),
    advance_days: Annotated[int, typer.Option(min=0, help="Days to move forward.")] = 0,
) -> None:
    """Show the sandbox's clock, or move it forward."""
    from gateway.app.sandbox import advance_clock

    sys.stdout.write(f"{advance_clock(directory, advance_days).isoformat()}\n")

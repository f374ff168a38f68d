"""
The command `onshi`: sandbox, serve, bridge, demo, confirm, people, certs, trail, clock.

Commands import late, so that each starts as fast as what it does.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Annotated, Any, NoReturn, TypeVar

import typer

app = typer.Typer(
    name="onshi",
    help="オンライン資格確認の模擬環境 / a stand-in for Japan's online eligibility confirmation. "
    "A simulator: it never contacts the live system.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
certs = typer.Typer(help="Certificates of the simulation.", no_args_is_help=True)
trail = typer.Typer(help="Who looked at whom.", no_args_is_help=True)
app.add_typer(certs, name="certs")
app.add_typer(trail, name="trail")

Settings = TypeVar("Settings")

DirOption = Annotated[Path, typer.Option("--dir", help="The sandbox's directory.")]
ConfigOption = Annotated[Path, typer.Option("--config", help="The settings file (TOML).")]


def main() -> None:
    """Run a command; what the user cannot use ends with one sentence and exit code 1."""
    app()


@app.command()
def sandbox(
    directory: DirOption = Path(".sandbox"),
    port: Annotated[int, typer.Option(help="Where to listen; 0 takes a free port.")] = 0,
    people: Annotated[int, typer.Option(min=0, max=1_000_000, help="How many more people.")] = 500,
    seed: Annotated[int, typer.Option(help="The same seed gives the same people.")] = 1,
) -> None:
    """Run the whole sandbox until Ctrl-C: gateway, folders, test persons."""
    from gateway.app.processes import StartFailedError
    from gateway.app.sandbox import running_sandbox
    from gateway.app.screen import print_ready
    from gateway.app.supervisor import stop_on_signals
    from gateway.observe import configure

    configure("sandbox")

    async def run() -> None:
        stop = stop_on_signals()
        async with running_sandbox(directory, port=port, people=people, seed=seed) as (place, up):
            print_ready(place, up)
            await stop.wait()
        sys.stdout.write("stopped\n")

    try:
        asyncio.run(run())
    except StartFailedError as error:
        _fail(str(error))


@app.command()
def serve(config: ConfigOption) -> None:
    """Run a gateway until SIGTERM."""
    from gateway.app.processes import StartFailedError
    from gateway.app.supervisor import serve as run
    from gateway.config import load_settings
    from gateway.observe import configure

    configure("supervisor")
    path = config.resolve()
    settings = _settings(load_settings, path)
    try:
        asyncio.run(run(settings, path))
    except StartFailedError as error:
        _fail(str(error))


@app.command()
def bridge(config: ConfigOption) -> None:
    """Serve one institution's req/ res/ face/ folders until SIGTERM."""
    from gateway.app.bridge import run_alone
    from gateway.config import load_bridge_settings

    run_alone(_settings(load_bridge_settings, config.resolve()))


@app.command()
def demo(
    directory: Annotated[
        Path | None, typer.Option("--dir", help="Where to work; a scratch folder if not given.")
    ] = None,
) -> None:
    """Show the main job in one go, then stop."""
    from gateway.app.demo import run_demo

    raise typer.Exit(run_demo(directory))


@app.command()
def confirm(
    insurer: Annotated[str, typer.Option(help="Insurer number (保険者番号).")],
    number: Annotated[str, typer.Option(help="Number (番号).")],
    birth_date: Annotated[str, typer.Option(help="YYYY-MM-DD or YYYYMMDD.")],
    symbol: Annotated[str, typer.Option(help="Symbol (記号).")] = "",
    branch: Annotated[str, typer.Option(help="Branch (枝番).")] = "",
    on: Annotated[str, typer.Option(help="Day to confirm; today if not given.")] = "",
    consent: Annotated[
        bool, typer.Option("--consent", help="The person consents to show the limit certificate.")
    ] = False,
    directory: DirOption = Path(".sandbox"),
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Ask as a clinic would, and show the answer and why."""
    from gateway.app.ask import Question, ask_sandbox
    from gateway.app.screen import print_answer

    question = Question(insurer, symbol, number, branch, birth_date, on, consent)
    outcome = asyncio.run(ask_sandbox(directory, question))
    if as_json:
        _print_json(outcome.as_dict())
    else:
        print_answer(outcome)
    raise typer.Exit(0 if outcome.is_answer else 1)


@app.command()
def people(
    directory: DirOption = Path(".sandbox"),
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List the named test persons and the answer each should get."""
    from gateway.app.sandbox import institution_code_of
    from gateway.app.screen import print_people
    from simulators.catalogue import as_json as spelled
    from simulators.catalogue import catalogue

    persons = spelled(catalogue(institution_code_of(directory)).people)
    if as_json:
        _print_json(persons)
    else:
        print_people(persons)


@app.command()
def clock(
    directory: DirOption = Path(".sandbox"),
    advance_days: Annotated[int, typer.Option(min=0, help="Days to move forward.")] = 0,
) -> None:
    """Show the sandbox's clock, or move it forward."""
    from gateway.app.sandbox import advance_clock

    sys.stdout.write(f"{advance_clock(directory, advance_days).isoformat()}\n")


@certs.command("issue")
def certs_issue(
    directory: Annotated[Path, typer.Option("--dir", help="Where to write.")],
    insurer: Annotated[
        str, typer.Option(help="Insurer number of the insurer's leaf.")
    ] = "06139992",
    institution: Annotated[
        str, typer.Option(help="Code of the institution's leaf.")
    ] = "1319999999",
) -> None:
    """Issue a CA and one leaf for the gateway and for each role; what is there stays."""
    from gateway.app.certificates import issue_all

    for path in issue_all(directory, institution, [insurer]):
        sys.stdout.write(f"{path}\n")


@trail.command("verify")
def trail_verify(directory: DirOption = Path(".sandbox")) -> None:
    """Check that no access record was changed, dropped or inserted; exit 1 if one was."""
    from gateway.app.sandbox import Sandbox
    from gateway.app.screen import print_trail
    from gateway.store.trail import verify

    data = Sandbox(directory).data
    raise typer.Exit(0 if print_trail(verify(data.access, data.trail)) else 1)


def _print_json(value: Any) -> None:
    json.dump(value, sys.stdout, ensure_ascii=False, indent=2, default=_plain)
    sys.stdout.write("\n")


def _plain(value: object) -> str:
    assert isinstance(value, date)
    return value.isoformat()


def _settings(load: Callable[[Path], Settings], path: Path) -> Settings:
    """Read settings; say what is wrong with them rather than call it a bug."""
    import msgspec

    try:
        return load(path)
    except (OSError, msgspec.MsgspecError) as error:
        _fail(f"{path}: {error}")


def _fail(sentence: str) -> NoReturn:
    sys.stderr.write(f"onshi: {sentence}\n")
    raise typer.Exit(1)

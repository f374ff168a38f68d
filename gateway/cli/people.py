"""
The commands about made-up people: the test persons, and a whole nation as files.
"""

from __future__ import annotations

import asyncio
import sys
import time
from pathlib import Path
from typing import Annotated

import typer

from gateway.cli.base import DirOption, day, fail, print_json

app = typer.Typer()
people = typer.Typer(help="Made-up people: test persons, or a whole nation.")
app.add_typer(people, name="people")


def _told(sentence: str) -> None:
    sys.stderr.write(f"{sentence}\n")


PeopleOption = Annotated[int, typer.Option("--people", min=1, max=60_000_000, help="How many.")]
SeedOption = Annotated[int, typer.Option("--seed", help="The same seed gives the same people.")]
InsurersOption = Annotated[
    int, typer.Option("--insurers", min=8, max=3411, help="Of how many insurers.")
]


@people.callback(invoke_without_command=True)
def list_people(
    context: typer.Context,
    directory: DirOption = Path(".sandbox"),
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List the named test persons and the answer each should get."""
    if context.invoked_subcommand is not None:
        return
    from gateway.app.sandbox import institution_code_of
    from gateway.app.screen import print_people
    from simulators.catalogue import as_json as spelled
    from simulators.catalogue import catalogue

    persons = spelled(catalogue(institution_code_of(directory)).people)
    if as_json:
        print_json(persons)
    else:
        print_people(persons)


@people.command()
def stream(
    out: Annotated[Path, typer.Option(help="The folder to write; new or empty.")],
    count: PeopleOption = 100_000,
    seed: SeedOption = 1,
    on: Annotated[str, typer.Option("--on", help="The day they are as of.")] = "2026-04-01",
    insurers: InsurersOption = 3411,
) -> None:
    """Write a nation: a coverage file for each insurer, the residents, a manifest."""
    from simulators.nation.files import write_nation

    began = time.monotonic()

    def told(made: int) -> None:
        rate = made / max(time.monotonic() - began, 0.001)
        sys.stderr.write(f"\r{made:,} people, {rate:,.0f}/s")

    try:
        manifest = write_nation(out, count, seed, day(on) or fail("no day"), insurers, told)
    except FileExistsError:
        fail(f"{out}: not empty")
    sys.stderr.write("\n")
    seconds = time.monotonic() - began
    sys.stdout.write(
        f"{manifest['people']:,} people in {manifest['households']:,} households, "
        f"{manifest['lines']:,} lines of {len(manifest['insurers']):,} insurers "
        f"in {seconds:.1f} s ({manifest['people'] / seconds:,.0f} people/s)\n"
    )


@people.command()
def feed(
    folder: Annotated[Path, typer.Argument(help="What `onshi people stream` wrote.")],
    directory: DirOption = Path(".sandbox"),
) -> None:
    """Feed a nation into a running sandbox, as its insurers and its resident register."""
    import grpc

    from gateway.app.ask import refused
    from gateway.app.nation import feed as feed_in
    from gateway.app.screen import print_answer

    try:
        fed = asyncio.run(feed_in(directory, folder, _told))
    except FileNotFoundError as error:
        fail(f"{error.filename}: no such file; is the sandbox running, and the nation whole?")
    except grpc.aio.AioRpcError as error:
        print_answer(refused(error))
        raise typer.Exit(1) from None
    sys.stdout.write(
        f"{fed.residents:,} residents, {fed.insurers:,} insurers; lines applied {fed.applied:,}, "
        f"unchanged {fed.unchanged:,}, refused {fed.refused:,}\n"
    )
    raise typer.Exit(1 if fed.refused else 0)


@people.command()
def months(
    folder: Annotated[Path, typer.Argument(help="What `onshi people stream` wrote.")],
    until: Annotated[str, typer.Option(help="The last day on which something happens.")],
) -> None:
    """Write a nation's months into its folder: what insurers send each day, and the truth."""
    from simulators.months.files import write_months

    try:
        written = write_months(folder, day(until) or fail("no day"))
    except FileExistsError:
        fail(f"{folder}: has months already")
    except FileNotFoundError as error:
        fail(f"{error.filename}: no such file; is the nation whole?")
    except ValueError as error:
        fail(str(error))
    sys.stdout.write(
        f"{written['events']:,} events from {written['first']} to {written['last']}: "
        f"{written['lines']:,} lines of {len(written['insurers']):,} insurers "
        f"on {len(written['days'])} days\n"
    )


@people.command()
def live(
    folder: Annotated[Path, typer.Argument(help="A nation with months.")],
    until: Annotated[str, typer.Option(help="The last day to let pass; all if empty.")] = "",
    directory: DirOption = Path(".sandbox"),
) -> None:
    """Let a nation's days pass on a running sandbox's clock, one after the other."""
    import grpc

    from gateway.app.ask import refused
    from gateway.app.nation import live as let_pass
    from gateway.app.screen import print_answer

    passed = 0

    def told(sentence: str) -> None:
        nonlocal passed
        passed += 1
        sys.stdout.write(f"{sentence}\n")

    try:
        count = asyncio.run(let_pass(directory, folder, day(until), told))
    except FileNotFoundError as error:
        fail(f"{error.filename}: no such file; is the sandbox running, and are there months?")
    except grpc.aio.AioRpcError as error:
        print_answer(refused(error))
        raise typer.Exit(1) from None
    if not passed:
        fail(
            "no day passed: the sandbox's clock is after the nation's days, or --until before them"
        )
    sys.stdout.write(f"lines refused in all: {count}\n")

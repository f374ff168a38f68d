"""The command that watches the change feed: watch."""

from __future__ import annotations

import asyncio
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from gateway.cli.base import DirOption, Language

app = typer.Typer()


class Watcher(StrEnum):
    """As whom to watch."""

    INSURER = "insurer"
    CLINIC = "clinic"


@app.command()
def watch(
    watcher: Annotated[Watcher, typer.Option("--as", help="As whom.")] = Watcher.INSURER,
    insurer: Annotated[str, typer.Option(help="Insurer number; the first one if empty.")] = "",
    cursor: Annotated[str, typer.Option(help="Go on after this; from the oldest if empty.")] = "",
    from_now: Annotated[bool, typer.Option("--from-now", help="Only what is to come.")] = False,
    seconds: Annotated[
        float, typer.Option("--for", min=0.0, help="Stop after so many seconds; 0 never.")
    ] = 0.0,
    directory: DirOption = Path(".sandbox"),
    as_json: Annotated[bool, typer.Option("--json", help="A line of JSON each message.")] = False,
    language: Annotated[Language, typer.Option(help="Of what it says.")] = Language.EN,
) -> None:
    """Watch what changes (変更通知): an insurer's enrollees, or confirmations out of date."""
    from gateway.app.screen import print_answer
    from gateway.app.watch import Wish, print_message, print_message_json
    from gateway.app.watch import watch as run

    wish = Wish(watcher is Watcher.CLINIC, insurer, cursor, from_now, seconds or None)
    try:
        refusal = asyncio.run(
            run(
                directory,
                wish,
                print_message_json
                if as_json
                else lambda message: print_message(message, language.value),
            )
        )
    except KeyboardInterrupt:
        return
    if refusal is not None:
        print_answer(refusal)
        raise typer.Exit(1)

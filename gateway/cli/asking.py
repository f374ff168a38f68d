"""
The commands of clinics and of persons: confirm, why, visit, portal.
"""

from __future__ import annotations

import asyncio
import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gateway.cli.base import DirOption, Language, day, fail, print_json

if TYPE_CHECKING:
    from gateway.domain.period import Instant

app = typer.Typer()
portal = typer.Typer(help="What a person does on the portal.", no_args_is_help=True)
app.add_typer(portal, name="portal")


KnownAtOption = Annotated[
    str, typer.Option(help="As known at this moment, 2026-04-20T12:00; now if not given.")
]
TokenOption = Annotated[
    str,
    typer.Option(
        help="Ask again for the answer that showed this token: the same question as then."
    ),
]
ConsentOption = Annotated[
    bool, typer.Option("--consent", help="The person consents to show the limit certificate.")
]


class ReaderMode(StrEnum):
    """How a reader checks who holds a card."""

    FACE = "face"
    PIN = "pin"
    VISUAL = "visual"


@app.command()
def confirm(
    insurer: Annotated[str, typer.Option(help="Insurer number (保険者番号).")],
    number: Annotated[str, typer.Option(help="Number (番号).")],
    birth_date: Annotated[str, typer.Option(help="YYYY-MM-DD or YYYYMMDD.")],
    symbol: Annotated[str, typer.Option(help="Symbol (記号).")] = "",
    branch: Annotated[str, typer.Option(help="Branch (枝番).")] = "",
    on: Annotated[str, typer.Option(help="Day to confirm; today if not given.")] = "",
    consent: ConsentOption = False,
    known_at: KnownAtOption = "",
    token: TokenOption = "",
    directory: DirOption = Path(".sandbox"),
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Ask as a clinic would, and show the answer and why; or ask again for an earlier answer."""
    from gateway.app.ask import Question, ask_sandbox
    from gateway.app.screen import print_answer

    if known_at and token:
        fail("say --known-at or --token: a token names its moment itself")
    cells = (insurer, symbol, number, branch, birth_date, on)
    question = Question(*cells, consent, _moment(known_at), token)
    outcome = asyncio.run(ask_sandbox(directory, question))
    if as_json:
        print_json(outcome.as_dict())
    else:
        print_answer(outcome)
    raise typer.Exit(0 if outcome.is_answer else 1)


@app.command()
def why(
    insurer: Annotated[str, typer.Option(help="Insurer number (保険者番号).")] = "",
    number: Annotated[str, typer.Option(help="Number (番号).")] = "",
    birth_date: Annotated[str, typer.Option(help="YYYY-MM-DD or YYYYMMDD.")] = "",
    symbol: Annotated[str, typer.Option(help="Symbol (記号).")] = "",
    branch: Annotated[str, typer.Option(help="Branch (枝番).")] = "",
    person: Annotated[
        str,
        typer.Option(help="By card instead: whose card is read, see onshi people; or p1, p2 ..."),
    ] = "",
    on: Annotated[str, typer.Option(help="Day to confirm; today if not given.")] = "",
    consent: ConsentOption = False,
    known_at: KnownAtOption = "",
    token: TokenOption = "",
    directory: DirOption = Path(".sandbox"),
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    language: Annotated[Language, typer.Option(help="Of what it says.")] = Language.EN,
) -> None:
    """Tell how an answer came about, and what it would be without each thing learned."""
    from gateway.app.ask import Question
    from gateway.app.screen import print_answer
    from gateway.app.visits import CHECKS, Wish
    from gateway.app.why import ask_why, ask_why_by_card, print_why

    if bool(person) == bool(insurer and number and birth_date):
        fail("say --person, or --insurer, --number and --birth-date")
    if person and (known_at or token):
        fail("--known-at and --token go with a number; by card what is known now is explained")
    if known_at and token:
        fail("say --known-at or --token: a token names its moment itself")
    if person:
        wish = Wish(person, CHECKS["face"], on=day(on))
        told = asyncio.run(ask_why_by_card(directory, wish))
    else:
        cells = (insurer, symbol, number, branch, birth_date, on)
        question = Question(*cells, consent, _moment(known_at), token)
        told = asyncio.run(ask_why(directory, question))
    if as_json:
        print_json(told.as_dict())
    elif told.explained is not None:
        print_why(told.explained, language.value)
    elif told.refusal is not None:
        print_answer(told.refusal)
    raise typer.Exit(0 if told.explained is not None else 1)


def _moment(text: str) -> Instant | None:
    """Read a moment of the command line; empty is now."""
    from gateway.app.ask import known_at

    try:
        return known_at(text) if text else None
    except ValueError:
        fail(f"{text}: not a moment such as 2026-04-20T12:00")


@app.command()
def visit(
    person: Annotated[str, typer.Option(help="Test person's id, see onshi people; or p1, p2 ...")],
    reader: Annotated[ReaderMode, typer.Option(help="How the holder is checked.")],
    pin: Annotated[str, typer.Option(help="PIN typed; the right one if not given.")] = "",
    face_score: Annotated[int, typer.Option(min=0, max=100, help="How alike the face is.")] = 95,
    on: Annotated[str, typer.Option(help="Day to confirm; today if not given.")] = "",
    consent: Annotated[
        bool, typer.Option("--consent", help="The person consents to show certificates.")
    ] = False,
    token: TokenOption = "",
    directory: DirOption = Path(".sandbox"),
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Read a My Number card at the clinic's reader; the answer also goes into face/."""
    from gateway.app.screen import print_visit
    from gateway.app.visits import CHECKS, Wish, touch_again
    from gateway.app.visits import visit as run

    wish = Wish(person, CHECKS[reader.value], pin, face_score, day(on), consent, token)
    gave = asyncio.run(run(directory, wish))
    if as_json:
        print_json(gave.outcome.as_dict())
    else:
        print_visit(gave)
    if gave.face_file is not None:
        asyncio.run(touch_again(gave.face_file))
    raise typer.Exit(0 if gave.outcome.is_answer else 1)


@portal.command("register")
def portal_register(
    person: Annotated[str, typer.Option(help="Test person's id.")],
    directory: DirOption = Path(".sandbox"),
) -> None:
    """Register a person's card, without which it finds nothing (初回登録)."""
    from gateway.app.screen import print_answer
    from gateway.app.visits import register_card

    refusal, is_changed = asyncio.run(register_card(directory, person))
    if refusal is not None:
        print_answer(refusal)
        raise typer.Exit(1)
    sys.stdout.write("registered\n" if is_changed else "registered already\n")


@portal.command("accesses")
def portal_accesses(
    person: Annotated[str, typer.Option(help="Test person's id.")],
    directory: DirOption = Path(".sandbox"),
) -> None:
    """Show a person who looked, newest first."""
    from gateway.app.screen import print_accesses, print_answer
    from gateway.app.visits import own_accesses

    refusal, looks = asyncio.run(own_accesses(directory, person))
    if refusal is not None:
        print_answer(refusal)
        raise typer.Exit(1)
    print_accesses(looks)

"""
The commands of who operates a gateway: certs, trail, keys, migrate, the simulated register.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from gateway.cli.base import DirOption, Language, fail

INTERRUPTED = 130
"""The exit code of a command that was interrupted."""

app = typer.Typer()
certs = typer.Typer(help="Certificates of the simulation.", no_args_is_help=True)
app.add_typer(certs, name="certs")
trail = typer.Typer(help="Who looked at whom.", no_args_is_help=True)
app.add_typer(trail, name="trail")
keys = typer.Typer(help="Keys of vault, spool and answers' tokens.", no_args_is_help=True)
app.add_typer(keys, name="keys")
register = typer.Typer(help="The simulated resident register.", no_args_is_help=True)
app.add_typer(register, name="register")


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


@keys.command("rotate")
def keys_rotate(directory: DirOption = Path(".sandbox")) -> None:
    """Put a new current key into the key files; a running gateway takes it by itself."""
    from gateway.app.keys import rotate_keys
    from gateway.app.screen import print_keys

    with _keys_of(directory):
        print_keys(rotate_keys(directory))


@keys.command("status")
def keys_status(directory: DirOption = Path(".sandbox")) -> None:
    """Tell how much is still written with older keys."""
    from gateway.app.keys import key_status
    from gateway.app.screen import print_keys

    with _keys_of(directory):
        print_keys(key_status(directory))


@keys.command("retire")
def keys_retire(directory: DirOption = Path(".sandbox")) -> None:
    """Drop older keys for ever; exit 1 if something still needs one."""
    from gateway.app.keys import retire_keys
    from gateway.app.screen import print_keys

    with _keys_of(directory):
        statuses, is_done = retire_keys(directory)
    print_keys(statuses)
    raise typer.Exit(0 if is_done else 1)


@contextmanager
def _keys_of(directory: Path) -> Iterator[None]:
    """Say in one sentence why the keys of a gateway cannot be looked at."""
    from gateway.app.keys import KeptElsewhereError
    from gateway.domain.errors import Unavailable
    from gateway.store.records import StoreTooNew, StoreTooOld

    try:
        yield
    except FileNotFoundError:
        fail(f"{directory}: no gateway ever ran here")
    except (KeptElsewhereError, StoreTooNew, StoreTooOld, Unavailable) as error:
        fail(str(error))


@app.command()
def migrate(
    source: Annotated[
        str,
        typer.Option(
            "--from", help="Where the facts are: sqlite:///path/to/gateway.db or postgresql://…"
        ),
    ],
    target: Annotated[
        str,
        typer.Option(
            "--to", envvar="ONSHI_STORE", help="Where they go: an empty database, the other kind."
        ),
    ],
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with a move that was interrupted.")
    ] = False,
    sample: Annotated[
        int, typer.Option(min=0, max=1_000_000, help="Enrollees asked about both ways.")
    ] = 10_000,
    language: Annotated[Language, typer.Option(help="Of what it says.")] = Language.EN,
) -> None:
    """Move all facts to the other kind of database while lookups go on (docs/move.md)."""
    import os

    from gateway.app.move import NICENESS, MoveRefusedError, Place, Wish, move
    from gateway.app.move_screen import MoveScreen, print_moved, print_refused
    from gateway.app.move_words import say

    os.nice(NICENESS)
    try:
        wish = Wish(Place.parse(source), Place.parse(target), resume, sample)
        with MoveScreen(language.value) as screen:
            moved = asyncio.run(move(wish, screen))
    except MoveRefusedError as refused:
        print_refused(refused, language.value)
        raise typer.Exit(1) from None
    except KeyboardInterrupt:
        sys.stderr.write(f"{say('interrupted', language.value)}\n")
        raise typer.Exit(INTERRUPTED) from None
    print_moved(moved, language.value, is_to_server=wish.target.file is None)
    raise typer.Exit(0 if moved.is_done else 1)


@register.command("conditions")
def register_conditions(
    delay_ms: Annotated[int, typer.Option(min=0, max=60_000, help="Wait of each answer.")] = 0,
    spread_ms: Annotated[int, typer.Option(min=0, max=60_000, help="More of it, at random.")] = 0,
    mismatch: Annotated[
        int, typer.Option(min=0, max=1000, help="Residents of a thousand that read as mismatched.")
    ] = 0,
    away: Annotated[bool, typer.Option("--away", help="Refuse every call.")] = False,
    directory: DirOption = Path(".sandbox"),
) -> None:
    """Set how slow and how wrong the resident register is, until it is set again."""
    from gateway.app.screen import print_answer
    from gateway.app.visits import set_conditions

    refusal = asyncio.run(set_conditions(directory, delay_ms, spread_ms, mismatch, is_away=away))
    if refusal is not None:
        print_answer(refusal)
        raise typer.Exit(1)
    sys.stdout.write("set\n")

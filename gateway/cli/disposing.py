"""
The commands of lawful disposal: dispose, dispose list.
"""

from __future__ import annotations

import asyncio
import getpass
import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gateway.cli.base import DirOption, Language, fail, print_json, settings

if TYPE_CHECKING:
    from gateway.config import Settings
    from gateway.domain.period import Instant
    from gateway.domain.retention import Disposal, Order

app = typer.Typer()
dispose = typer.Typer(help="Dispose of what retention says is due; list the certificates.")
app.add_typer(dispose, name="dispose")

LanguageOption = Annotated[Language, typer.Option(help="Of what it says.")]
ConfigOption = Annotated[
    Path | None, typer.Option("--config", help="The gateway's settings, if it is no sandbox.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@dispose.callback(invoke_without_command=True)
def order(
    context: typer.Context,
    directory: DirOption = Path(".sandbox"),
    config: ConfigOption = None,
    before: Annotated[
        str,
        typer.Option(help="No later records than of this day or moment; else all that is due."),
    ] = "",
    by: Annotated[str, typer.Option(help="Who orders it; else this account's name.")] = "",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would go, and change nothing.")
    ] = False,
    wait: Annotated[
        float, typer.Option(min=0, max=86_400, help="Seconds to wait for the certificate.")
    ] = 60.0,
    as_json: JsonOption = False,
    language: LanguageOption = Language.EN,
) -> None:
    """Order a disposal. Exit code 0: done or dry, 1: refused, 3: ordered and not done yet."""
    context.obj = directory
    if context.invoked_subcommand is not None:
        return
    from gateway.app.dispose import as_dict, config_of, lines_of, order_of, say
    from gateway.config import load_settings

    said = settings(load_settings, config_of(directory, config))
    wish = order_of(said, _name(by), _moment(before))
    done = _carried_out(said, wish, None if dry_run else wait, language)
    if done is None:
        typer.echo(say("late", language.value))
        raise typer.Exit(3)
    if as_json:
        print_json(as_dict(done))
        return
    for line in lines_of(done, language.value, is_dry=dry_run):
        typer.echo(line)


def _name(by: str) -> str:
    name = by or getpass.getuser()
    if not re.fullmatch(r"[A-Za-z0-9._-]{1,64}", name):
        fail("--by takes up to 64 letters, digits, dots, dashes and underscores")
    return name


def _moment(text: str) -> Instant | None:
    from gateway.app.ask import known_at

    try:
        return known_at(text) if text else None
    except ValueError:
        fail(f"{text}: not a day or a moment such as 2026-04-20 or 2026-04-20T12:00")


def _carried_out(
    said: Settings, wish: Order, wait_s: float | None, language: Language
) -> Disposal | None:
    """Wait for a disposal, or only count for it without a time to wait."""
    import msgspec

    from gateway.app.disposal_files import OrderRefusedError, OrderWaitsError
    from gateway.app.dispose import dry_run, ordered, say
    from gateway.domain.errors import Refusal

    try:
        return asyncio.run(dry_run(said, wish) if wait_s is None else ordered(said, wish, wait_s))
    except OrderWaitsError:
        fail(say("there", language.value))
    except OrderRefusedError:
        fail(say("refused", language.value))
    except Refusal as refusal:
        fail(getattr(refusal.advice, language.value))
    except (ValueError, msgspec.MsgspecError) as error:
        fail(f"{said.retention}: {error}")


@dispose.command("list")
def list_certificates(
    context: typer.Context,
    directory: Annotated[
        Path | None, typer.Option("--dir", help="The data directory, or the sandbox's.")
    ] = None,
    as_json: JsonOption = False,
    language: LanguageOption = Language.EN,
) -> None:
    """List the certificates and check their chain; exit code 1 if one was changed or is missing."""
    from gateway.app.dispose import as_dict, lines_of, listed, say
    from gateway.app.keys import data_of

    found, broken = listed(data_of(directory or context.obj))
    if as_json:
        print_json([as_dict(one) for one in found])
    else:
        for line in [line for one in found for line in lines_of(one, language.value)]:
            typer.echo(line)
        if not found:
            typer.echo(say("none", language.value))
        elif broken is None:
            typer.echo(say("good", language.value))
    if broken is not None:
        fail(say("broken", language.value, number=broken))

"""
The commands that keep a gateway's data: backup, restore.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gateway.cli.base import Language, fail

app = typer.Typer()
backup = typer.Typer(help="Copy a gateway's data beside it; check such a copy.")
app.add_typer(backup, name="backup")

LanguageOption = Annotated[Language, typer.Option(help="Of what it says.")]
KeysOption = Annotated[
    Path | None, typer.Option("--keys", help="The folder of keys that are kept apart.")
]


@backup.callback(invoke_without_command=True)
def take_backup(
    context: typer.Context,
    data: Annotated[
        Path | None, typer.Option("--data", help="The data directory, or the sandbox's.")
    ] = None,
    to: Annotated[
        Path | None, typer.Option("--to", help="The backup's directory; must not be there.")
    ] = None,
    with_keys: Annotated[
        bool, typer.Option("--with-keys", help="Put the keys in: they open the My Numbers.")
    ] = False,
    language: LanguageOption = Language.EN,
) -> None:
    """Copy a gateway's data, running or not. Exit code 0: done, 3: the data itself has problems."""
    if context.invoked_subcommand is not None:
        return
    if data is None or to is None:
        fail("give --data DIR and --to PATH, or verify PATH")
    from gateway.app.backup import BackupWish, take
    from gateway.app.backup_screen import print_cautions, print_done, run
    from gateway.app.keys import data_of

    wish = BackupWish(data, to, with_keys)
    done = run(lambda screen: take(wish, screen), language.value)
    if isinstance(done, int):
        raise typer.Exit(done)
    code = print_done("taken", to, done, language.value)
    print_cautions(done, data_of(data).keys, language.value)
    raise typer.Exit(code)


@backup.command("verify")
def verify_backup(
    path: Annotated[Path, typer.Argument(help="A backup.")],
    keys: KeysOption = None,
    language: LanguageOption = Language.EN,
) -> None:
    """Check a backup as a restore would, and change nothing; exit code 1 if it is broken."""
    from gateway.app.backup_screen import print_done, run
    from gateway.app.backup_words import say
    from gateway.app.restore import verify

    done = run(lambda screen: verify(path, keys, screen), language.value)
    if isinstance(done, int):
        raise typer.Exit(done)
    code = print_done("verified", path, done, language.value)
    if keys is None and not done.has_keys:
        typer.echo(say("keys_untried", language.value))
    raise typer.Exit(code)


@app.command()
def restore(
    source: Annotated[Path, typer.Option("--from", help="A backup.")],
    data: Annotated[Path, typer.Option("--data", help="An empty or absent data directory.")],
    keys: KeysOption = None,
    language: LanguageOption = Language.EN,
) -> None:
    """Put a backup into an empty directory, where a gateway can then start."""
    from gateway.app.backup_screen import print_done, run
    from gateway.app.restore import RestoreWish
    from gateway.app.restore import restore as put_back

    wish = RestoreWish(source, data, keys)
    done = run(lambda screen: put_back(wish, screen), language.value)
    if isinstance(done, int):
        raise typer.Exit(done)
    raise typer.Exit(print_done("restored", data, done, language.value))

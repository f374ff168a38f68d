"""
The command by which an insurer sends a file: upload.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gateway.cli.base import DirOption, Language, print_json

app = typer.Typer()


@app.command()
def upload(
    file: Annotated[Path, typer.Argument(help="A coverage file (docs/coverage-file.md).")],
    directory: DirOption = Path(".sandbox"),
    insurer: Annotated[
        str, typer.Option(help="Insurer number; the one the file names if empty.")
    ] = "",
    request_id: Annotated[
        str, typer.Option(help="Of this upload; follows from the file's contents if empty.")
    ] = "",
    result: Annotated[
        Path | None, typer.Option(help="The result file; FILE.result.csv beside the file.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Tell what would happen and change nothing.")
    ] = False,
    language: Annotated[Language, typer.Option(help="Of what it says.")] = Language.EN,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Send a coverage file; sent again, it goes on. Exit code 0: applied, 3: lines refused."""
    from gateway.app.upload_file import Wish, run, upload_file
    from gateway.app.upload_screen import UploadScreen, print_failure, print_upload

    wish = Wish(file, directory, insurer, request_id, result, dry_run)
    with UploadScreen(language.value, is_dry_run=dry_run) as screen:
        done = run(upload_file(wish, screen), wish)
    if done.report is None:
        print_failure(done, language.value)
    if as_json:
        print_json(done.as_dict())
    elif done.report is not None:
        print_upload(done, language.value)
    raise typer.Exit(done.exit_code)

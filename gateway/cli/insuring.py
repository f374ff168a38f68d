"""
The commands of insurers and of the review body: lag, claims.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Annotated

import typer

from gateway.cli.base import DirOption, Language, day, fail, print_json

app = typer.Typer()
lag = typer.Typer(
    help="How long facts take to become an answer (タイムラグ).", no_args_is_help=True
)
app.add_typer(lag, name="lag")
claims = typer.Typer(help="Claims (レセプト).", no_args_is_help=True)
app.add_typer(claims, name="claims")


@lag.command("report")
def lag_report(
    directory: DirOption = Path(".sandbox"),
    insurer: Annotated[str, typer.Option(help="Insurer number; every insurer if empty.")] = "",
    first: Annotated[str, typer.Option("--from", help="First day of registration.")] = "",
    last: Annotated[str, typer.Option("--to", help="Last day; today if not given.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    html: Annotated[Path | None, typer.Option(help="Write a page with charts here too.")] = None,
    language: Annotated[Language, typer.Option(help="Of what it says.")] = Language.EN,
) -> None:
    """Show an insurer's lag: stages, open cases by age, employers that file late."""
    from gateway.app.lag_ask import as_json as spelled
    from gateway.app.lag_ask import lag_reports
    from gateway.app.screen import print_answer

    reports, refusal = asyncio.run(lag_reports(directory, insurer, day(first), day(last)))
    if refusal is not None:
        print_answer(refusal)
        raise typer.Exit(1)
    if html is not None:
        from gateway.app.lag_page import page

        html.write_text(page(reports, language.value), encoding="utf-8")
    if as_json:
        print_json(spelled(reports))
    else:
        from gateway.app.lag_screen import print_lag

        print_lag(reports, language.value)


@claims.command("check")
def claims_check(
    file: Annotated[Path, typer.Argument(help="A claim file (RECEIPTC.UKE).")],
    out: Annotated[Path, typer.Option(help="The folder to write; new or empty.")],
    directory: DirOption = Path(".sandbox"),
) -> None:
    """Check the insurer behind each claim and sort the claims by whom to bill (振替)."""
    from gateway.app.claims import check_file, table_of

    checked = asyncio.run(check_file(file, out, directory))
    if checked.refusal:
        fail(checked.refusal)
    sys.stdout.write(table_of(checked))

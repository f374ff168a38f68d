"""
The commands of insurers and of the review body: lag, collections, claims.
"""

from __future__ import annotations

import asyncio
import sys
from enum import StrEnum
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


class Collected(StrEnum):
    """Where the papers of a listed cover are."""

    TO_COLLECT = "to-collect"
    COLLECTED = "collected"
    UNCOLLECTED = "uncollected"


@app.command("collections")
def collections_list(
    insurer: Annotated[str, typer.Option(help="Insurer number, eight digits.")],
    directory: DirOption = Path(".sandbox"),
    state: Annotated[Collected, typer.Option(help="Which to list.")] = Collected.TO_COLLECT,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List who lost cover and had a card or a qualification certificate (回収対象)."""
    from gateway.app.collections_ask import as_json as spelled
    from gateway.app.collections_ask import collections, print_collections
    from gateway.app.screen import print_answer

    found, refusal = asyncio.run(collections(directory, insurer, state.value))
    if refusal is not None:
        print_answer(refusal)
        raise typer.Exit(1)
    if as_json:
        print_json(spelled(found))
    else:
        print_collections(found)


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

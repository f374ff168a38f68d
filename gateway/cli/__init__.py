"""
The command `onshi`: sandbox, demo, confirm, visit, portal, upload, claims, lag and the rest.

Commands import late, so that each starts as fast as what it does.
"""

from __future__ import annotations

import typer

from gateway.cli import (
    asking,
    backing_up,
    disposing,
    insuring,
    operating,
    people,
    running,
    uploading,
    watching,
)

app = typer.Typer(
    name="onshi",
    help="オンライン資格確認の模擬環境 / a stand-in for Japan's online eligibility confirmation. "
    "A simulator: it never contacts the live system.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
for part in (
    running,
    asking,
    people,
    uploading,
    insuring,
    watching,
    operating,
    backing_up,
    disposing,
):
    app.add_typer(part.app)


def main() -> None:
    """Run a command; what the user cannot use ends with one sentence and exit code 1."""
    app()

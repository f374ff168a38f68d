"""
The scenario catalogue, played on one sandbox: each answer by number, by card and by folder.

Before its figures count, the table is shown to notice an expectation that was planted wrong.

    python -m loadtests.scenarios
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from rich.console import Console
from rich.table import Table

from loadtests.scenario_card_tales import CARD_TALES
from loadtests.scenario_insurer_tales import INSURER_TALES
from loadtests.scenario_paper_tales import PAPER_TALES
from loadtests.scenario_person_tales import PERSON_TALES
from loadtests.scenario_place import running_place
from loadtests.scenario_register_tales import REGISTER_TALES
from loadtests.scenario_tales import TALES, Noted, Said, Tale

ALL_TALES = {
    **REGISTER_TALES,
    **PERSON_TALES,
    **TALES,
    **INSURER_TALES,
    **PAPER_TALES,
    **CARD_TALES,
}
TABLE_WIDTH_MIN = 150


def spelled(said: Said) -> str:
    """A validity and the items looked at."""
    validity, items = said
    return " ".join([f"{validity}", *(f"{name}={value or '-'}" for name, value in items.items())])


def planted(noted: Noted) -> Noted:
    """The same answer with a wrong expectation."""
    validity, items = noted.expected
    return replace(noted, expected=(validity % 6 + 1, items))


def wrong_among(noted: Sequence[Noted]) -> list[Noted]:
    """The answers that were not the ones expected."""
    return [one for one in noted if not one.is_right]


async def played() -> dict[str, list[Noted]]:
    """Play every scenario."""
    found = {}
    with tempfile.TemporaryDirectory(prefix="onshi-scenarios-") as scratch:
        async with running_place(Path(scratch)) as place:
            for name, tell in ALL_TALES.items():
                tale = Tale(place)
                await tell(tale)
                found[name] = tale.noted
    return found


def show(found: dict[str, list[Noted]]) -> int:
    """Print the table and give the exit code."""
    table = Table("scenario", "what", "route", "answer", "expected", "")
    for name, noted in sorted(found.items()):
        for one in noted:
            mark = "" if one.is_right else "WRONG"
            table.add_row(name, one.what, one.route, spelled(one.got), spelled(one.expected), mark)
    console = Console(highlight=False)
    console.width = max(console.width, TABLE_WIDTH_MIN)
    console.print(table)
    every = [one for noted in found.values() for one in noted]
    noticed = len(wrong_among([planted(one) for one in every if one.is_right]))
    rightly = sum(one.is_right for one in every)
    wrong = len(wrong_among(every))
    print(f"planted wrong expectations {rightly}, noticed {noticed}")
    print(f"{len(found)} scenarios, {len(every)} answers, mismatches {wrong}")
    return 1 if wrong or noticed != rightly or not every else 0


def main() -> None:
    """Run."""
    sys.exit(show(asyncio.run(played())))


if __name__ == "__main__":
    main()

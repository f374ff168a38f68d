"""
Months written into a nation's folder: what insurers send day by day, and the truth beside it.

`days/2027-04-01/NUMBER.csv` is an insurer's file of a day, `days/2027-04-01/residents.jsonl` whom
the resident register learns of. `truth.jsonl` is for whoever checks a gateway.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any, Final

from simulators.months.events import Event, lines_of, number_line
from simulators.months.lives import Life, Plan
from simulators.months.models import DEFAULT_LAG, DEFAULT_LIFE, LagModel, LifeModel
from simulators.months.truth import as_json
from simulators.nation.covers import households
from simulators.nation.files import RESIDENTS_FILE, Sheaf, read_manifest
from simulators.nation.insurers import nation
from simulators.people import COLUMNS, Row

DAYS_FOLDER: Final = "days"
TRUTH_FILE: Final = "truth.jsonl"
MONTHS_FILE: Final = "months.json"
HEADER: Final = ",".join(COLUMNS) + "\r\n"
PEOPLE_MAX: Final = 9_000_000
"""People whose children all have My Numbers of their own."""


def write_months(
    folder: Path, last: date, lag: LagModel = DEFAULT_LAG, life: LifeModel = DEFAULT_LIFE
) -> dict[str, Any]:
    """
    Write the months of a nation from the day after it was made, and give what was written.

    Args:
        folder: Where `write_nation` wrote it.

        last: The last day on which something happens. Insurers go on telling for weeks.

    Raises:
        FileExistsError: If months are there already.

        FileNotFoundError: If the nation is not there.

        ValueError: If the last day is not after the nation's, or it has more than `PEOPLE_MAX`.
    """
    told = read_manifest(folder)
    first = date.fromisoformat(told["on"]) + timedelta(days=1)
    if last < first or told["people"] > PEOPLE_MAX:
        raise ValueError("the last day is before the nation's, or too many people")
    if (folder / DAYS_FOLDER).exists():
        raise FileExistsError
    plan = Plan(nation(told["insurers_wanted"]), told["seed"], first, last, lag, life)
    people = households(
        told["seed"], told["people"], date.fromisoformat(told["on"]), told["insurers_wanted"]
    )
    events, lines, residents = _written(folder, plan.lives(people))
    keys = [key.split("/") for key in lines]
    written = {
        "is_simulation": True,
        "first": first.isoformat(),
        "last": last.isoformat(),
        "events": events,
        "lines": sum(lines.values()),
        "residents": sum(residents.values()),
        "days": sorted({*(day for day, _ in keys), *residents}),
        "insurers": sorted({number for _, number in keys}),
    }
    (folder / MONTHS_FILE).write_text(json.dumps(written, indent=1), "utf-8")
    return written


def _written(folder: Path, lives: Iterable[Life]) -> tuple[int, Counter[str], Counter[str]]:
    """Write lives; give how many events they are, and the lines of each file by its place."""
    lines = Sheaf(lambda key: folder / DAYS_FOLDER / f"{key}.csv", HEADER)
    residents = Sheaf(lambda key: folder / DAYS_FOLDER / key / RESIDENTS_FILE, "")
    events = 0
    with (folder / TRUTH_FILE).open("w", encoding="utf-8") as truth:
        for one in lives:
            events += len(one.events)
            for on, row in day_lines(one.events):
                lines.add(f"{on}/{row['insurer_number']}", spelled(row))
            for resident in one.residing:
                residents.add(f"{resident.on}", resident.line.decode())
            if one.events:
                _write_truth(one, truth)
    lines.flush()
    residents.flush()
    return events, lines.counts, residents.counts


def day_lines(events: list[Event]) -> Iterator[tuple[date, Row]]:
    """Give the lines of events with the days on which they are sent, each day's in their order."""
    for event in events:
        for on in sorted(event.days):
            for row in lines_of(event, on):
                yield on, row
            if event.number_told_on == on:
                yield on, number_line(event)


def spelled(row: Row) -> str:
    """Spell a row as a line of a day's file."""
    return ",".join([row.get(column, "") for column in COLUMNS]) + "\r\n"


def read_months(folder: Path) -> dict[str, Any]:
    """
    Read what was written of a nation's months.

    Raises:
        FileNotFoundError: If there are none.
    """
    written: dict[str, Any] = json.loads((folder / MONTHS_FILE).read_bytes())
    return written


def files_of(folder: Path, day: str) -> dict[str, Path]:
    """The insurers' files of a day, by number."""
    return {path.stem: path for path in sorted((folder / DAYS_FOLDER / day).glob("*.csv"))}


def _write_truth(life: Life, truth: Any) -> None:
    for person in as_json(life):
        truth.write(json.dumps(person, ensure_ascii=False) + "\n")

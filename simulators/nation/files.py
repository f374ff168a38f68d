"""
The made-up nation written out: a coverage file for each insurer, the residents, a manifest.

Lines are held until there are some thousands and then appended, so memory does not grow with the
people. A directory is complete when its manifest is there.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any, Final

from simulators.nation.covers import households
from simulators.nation.households import Household
from simulators.nation.insurers import nation
from simulators.nation.rows import HEADER, line, resident_line, rows_of
from simulators.nation.tables import INSURERS

COVERAGE_FOLDER: Final = "coverage"
RESIDENTS_FILE: Final = "residents.jsonl"
MANIFEST_FILE: Final = "manifest.json"
HELD_LINES_MAX: Final = 200_000
"""Lines of coverage files held in memory, of all insurers together."""


class Sheaf:
    """
    Many files that grow together.

    Args:
        path_of: Where the file of a key is.

        header: The first line of each.
    """

    def __init__(self, path_of: Callable[[str], Path], header: str) -> None:
        self._path_of = path_of
        self._header = header
        self._held: dict[str, list[str]] = {}
        self._held_count = 0
        self.counts: Counter[str] = Counter()
        """Lines by key, without the header."""

    def add(self, key: str, text: str) -> None:
        """Append a line to a file, at once or a little later."""
        held = self._held.get(key)
        if held is None:
            held = self._held[key] = []
        held.append(text)
        self._held_count += 1
        if self._held_count >= HELD_LINES_MAX:
            self.flush()

    def flush(self) -> None:
        """Write what is held."""
        for key, held in self._held.items():
            path = self._path_of(key)
            is_new = key not in self.counts
            if is_new:
                path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("wb" if is_new else "ab") as file:
                file.write(("".join([self._header, *held] if is_new else held)).encode())
            self.counts[key] += len(held)
        self._held.clear()
        self._held_count = 0


def write_nation(
    out: Path,
    people: int,
    seed: int,
    on: date,
    insurers: int = INSURERS,
    told: Callable[[int], None] = lambda _: None,
) -> dict[str, Any]:
    """
    Write a nation into a new or empty folder, and give its manifest.

    `coverage/NUMBER.csv` is each insurer's file, `residents.jsonl` what the simulated resident
    register reads.

    Args:
        on: The day the people are as of.

        told: Called now and then with how many people are written.

    Raises:
        FileExistsError: If the folder has something in it.
    """
    if out.exists() and any(out.iterdir()):
        raise FileExistsError
    out.mkdir(parents=True, exist_ok=True)
    coverage = Sheaf(lambda number: out / COVERAGE_FOLDER / f"{number}.csv", HEADER)
    made = residents = homes = 0
    with (out / RESIDENTS_FILE).open("wb") as file:
        for household in households(seed, people, on, insurers):
            made += len(household.people)
            homes += 1
            residents += write_household(household, on, coverage, file.write)
            if homes % 5_000 == 0:
                told(made)
    coverage.flush()
    told(made)
    manifest = {
        "is_simulation": True,
        "people": made,
        "households": homes,
        "seed": seed,
        "on": on.isoformat(),
        "insurers_wanted": insurers,
        "residents": residents,
        "lines": sum(coverage.counts.values()),
        "insurers": described(coverage.counts, insurers),
    }
    (out / MANIFEST_FILE).write_text(json.dumps(manifest, ensure_ascii=False, indent=1), "utf-8")
    return manifest


def write_household(
    household: Household, on: date, coverage: Sheaf, write_resident: Callable[[bytes], Any]
) -> int:
    """Write a household's lines; give how many residents there are."""
    for row in rows_of(household, on):
        coverage.add(row["insurer_number"], line(row))
    residents = [resident_line(household, person) for person in household.people]
    write_resident(b"".join(residents))
    return sum(map(bool, residents))


def described(counts: Counter[str], insurers: int) -> dict[str, Any]:
    """Tell of each insurer with lines: its name, its sort, how many lines."""
    return {
        one.number: {"name": one.name, "kind": one.kind.name, "lines": counts[one.number]}
        for one in nation(insurers).insurers
        if counts[one.number]
    }


def read_manifest(folder: Path) -> dict[str, Any]:
    """
    Read the manifest of a folder that was written.

    Raises:
        FileNotFoundError: If the folder is none, or not complete.
    """
    manifest: dict[str, Any] = json.loads((folder / MANIFEST_FILE).read_bytes())
    return manifest

"""
Bytes a person takes in the main database and the vault, by table, and what a nation of them takes.

It pours made-up people straight into SQLite, past every process, and asks SQLite itself (`dbstat`)
which table and index has how many pages. What it multiplies is said as such: the nation is not
measured. Nothing is deleted or changed afterwards, so the covers are those of a register that was
filled once; months add versions.

    python -m loadtests.scale_bytes [--people 20000] [--seed 1]
"""

from __future__ import annotations

import argparse
import asyncio
import sqlite3
import sys
import tempfile
from collections import defaultdict
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, date, datetime
from itertools import count
from pathlib import Path
from typing import Final

from gateway.domain.period import Instant
from gateway.edges.rpc.convert import sheet
from gateway.store.migrate import migrate
from gateway.store.schema import DISTRIBUTED_BY
from gateway.store.sqlite import SqliteStore
from gateway.store.sqlite_vault import SqliteVault
from gateway.usecases.desk import Desk
from loadtests.nation_store import pour
from simulators.nation.covers import households
from simulators.nation.rows import rows_of

NATION_PEOPLE: Final = 125_000_000
AS_OF: Final = date(2026, 4, 1)
NOW: Final = Instant(int(datetime(2026, 4, 1, tzinfo=UTC).timestamp()) * 1_000_000)

_PAGES: Final = """
SELECT coalesce(tbl_name, stat.name), sum(stat.pgsize) FROM dbstat AS stat
LEFT JOIN sqlite_master ON sqlite_master.name = stat.name GROUP BY 1
"""


@dataclass(frozen=True, slots=True)
class Measured:
    """What a number of people took."""

    people: int
    lines: int
    refused: int
    tables: Mapping[str, int]
    """Bytes of each table with its indexes."""
    rows: Mapping[str, int]
    vault: int

    def bytes_by_column(self) -> dict[str, int]:
        """Bytes of the tables that are distributed by the same column."""
        found: dict[str, int] = defaultdict(int)
        for table, column in DISTRIBUTED_BY.items():
            found[column] += self.tables.get(table, 0)
        return dict(found)

    @property
    def bytes_a_person(self) -> float:
        """Of the distributed tables, without the vault."""
        return sum(self.bytes_by_column().values()) / self.people


def measured(people: int, seed: int, folder: Path) -> Measured:
    """Pour people into a new store in a folder, and measure it."""
    database, vault = folder / "gateway.db", folder / "vault.db"
    migrate(database, sheet)
    lines, refused = asyncio.run(_filled(people, seed, database, vault))
    with closing(sqlite3.connect(database)) as connection:
        tables = dict(connection.execute(_PAGES))
        # Only our own names of tables.
        rows = {
            name: connection.execute(f"SELECT count(*) FROM {name}").fetchone()[0]  # noqa: S608
            for name in DISTRIBUTED_BY
        }
    with closing(sqlite3.connect(vault)) as connection:
        in_vault = sum(size for _, size in connection.execute(_PAGES))
    return Measured(people, lines, refused, tables, rows, in_vault)


async def _filled(people: int, seed: int, database: Path, vault: Path) -> tuple[int, int]:
    # Keys grow as they do in life: six bytes of the time, ten of chance.
    keys = (number.to_bytes(8) + number.to_bytes(8) for number in count(1))
    store, kept = SqliteStore(database, sheet), SqliteVault(vault, vault.with_suffix(".keys"))
    try:
        desk = Desk(store, kept, keys.__next__, lambda: NOW)
        rows = (row for home in households(seed, people, AS_OF) for row in rows_of(home, AS_OF))
        return await pour(rows, store, desk, "nation")
    finally:
        await kept.close()
        await store.close()


def told(found: Measured) -> str:
    """The measurement, and the arithmetic of a nation, as a page of text."""
    people, factor = found.people, NATION_PEOPLE / found.people
    page = [
        f"measured: {people:,} people, {found.lines:,} covers registered, {found.refused} refused",
        f"{'table':<16} {'by':<15} {'rows':>9} {'bytes':>12} {'a person':>9}",
    ]
    page += [
        f"{name:<16} {column:<15} {found.rows[name]:>9,} {found.tables[name]:>12,}"
        f" {found.tables[name] / people:>9,.0f}"
        for name, column in sorted(DISTRIBUTED_BY.items(), key=lambda one: -found.tables[one[0]])
    ]
    page.append(f"vault {found.vault:,} bytes, {found.vault / people:,.0f} a person")
    page.append(f"main database {found.bytes_a_person:,.0f} bytes a person")
    page.append(f"extrapolated, not measured: {NATION_PEOPLE:,} people")
    page += [
        f"  by {column:<15} {size * factor / 1e9:>6,.0f} GB"
        for column, size in sorted(found.bytes_by_column().items(), key=lambda one: -one[1])
        if size / people >= 1
    ]
    page.append(f"  main database   {found.bytes_a_person * NATION_PEOPLE / 1e9:>9,.0f} GB")
    page.append(f"  vault           {found.vault * factor / 1e9:>9,.0f} GB")
    return "\n".join(page)


def main() -> int:
    """Measure and tell; 0 if every line was taken."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--people", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = measured(options.people, options.seed, Path(folder))
    print(told(found))
    return 1 if found.refused else 0


if __name__ == "__main__":
    sys.exit(main())

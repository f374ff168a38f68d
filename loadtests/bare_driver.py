"""
The bare driver: the rows an upload left, put into the same tables and indexes by `executemany`.

The rows are read from the gateway's database a block at a time, which is not timed, and written to
an empty database of the same schema in as many transactions, which is. It is as durable, has as
much cache and is as nice as the writer.

    python -m loadtests.bare_driver --source DATABASE --target DATABASE --out FILE
"""

from __future__ import annotations

import argparse
import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from itertools import groupby
from pathlib import Path
from typing import Any, Final

import msgspec
from msgspec import Struct

from gateway.app.writer import NICENESS
from gateway.store.sqlite import WRITE_CACHE_KIB
from gateway.store.sqlite_file import LONG_BUSY_MS, connected

BLOCK_LINES: Final = 20_000
Rows = list[tuple[Any, ...]]

LOOKUPS: Final = "SELECT lookup_key, birth_date, enrollee_key, person_key FROM lookups"
OF_ENROLLEES: Final = (
    "enrollees",
    "cover_versions",
    "enrollee_people",
    "number_checks",
    "filings",
)
OF_PEOPLE: Final = ("people", "links")
"""Tables by whose key their rows are found."""


class Figures(Struct):
    """Lines written and the seconds it took, commits included."""

    lines: int
    seconds: float
    cpu_s: float
    transactions: int

    @property
    def per_second(self) -> float:
        """Lines a second."""
        return self.lines / self.seconds


def slices(source: sqlite3.Connection) -> Iterator[list[bytes]]:
    """The enrollees of each transaction of the upload, in its order."""
    rows = source.execute(
        "SELECT recorded_time, enrollee_key FROM cover_versions WHERE version_no = 1 "
        "ORDER BY recorded_time, rowid"
    )
    for _, found in groupby(rows, key=lambda row: row[0]):
        yield [enrollee_key for _, enrollee_key in found]


def rows_of(source: sqlite3.Connection, enrollees: list[bytes]) -> dict[str, Rows]:
    """The rows of a transaction by table, each in order of keys."""

    def fetched(table: str, column: str, keys: list[bytes]) -> Rows:
        query = f"SELECT * FROM {table} WHERE {column} = ?"  # noqa: S608  only our own names
        return [row for key in keys for row in source.execute(query, (key,))]

    found = {table: fetched(table, "enrollee_key", enrollees) for table in OF_ENROLLEES}
    people = sorted({row[1] for row in found["enrollee_people"]})
    found |= {table: fetched(table, "person_key", people) for table in OF_PEOPLE}
    return {table: sorted(rows, key=lambda row: row[:3]) for table, rows in found.items() if rows}


def lookups_of(source: sqlite3.Connection) -> dict[bytes, Rows]:
    """The lookup rows by enrollee."""
    found: dict[bytes, Rows] = {}
    for row in source.execute(
        "SELECT lookup_key, birth_date, enrollee_key, person_key FROM lookups"
    ):
        found.setdefault(row[2], []).append(row)
    return found


def target_like(source: sqlite3.Connection, path: Path) -> sqlite3.Connection:
    """Make an empty database with the tables and indexes of another, opened as the writer does."""
    target = connected(path, "rwc", LONG_BUSY_MS)
    target.execute("PRAGMA journal_mode = WAL")
    target.execute("PRAGMA synchronous = FULL")
    target.execute(f"PRAGMA cache_size = -{WRITE_CACHE_KIB}")
    for (statement,) in source.execute("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL"):
        target.execute(statement)
    return target


def run(source_path: Path, target_path: Path) -> Figures:
    """Write everything; give the figures."""
    figures = Figures(0, 0.0, 0.0, 0)
    with closing(connected(source_path, "ro", LONG_BUSY_MS)) as source:
        lookups = lookups_of(source)
        with closing(target_like(source, target_path)) as target:
            block: list[dict[str, Rows]] = []
            lines = 0
            for enrollees in slices(source):
                rows = rows_of(source, enrollees)
                rows["lookups"] = sorted(row for key in enrollees for row in lookups.pop(key, ()))
                block.append(rows)
                lines += len(enrollees)
                if lines >= BLOCK_LINES:
                    _write(target, block, lines, figures)
                    block, lines = [], 0
            _write(target, block, lines, figures)
    return figures


def _write(
    target: sqlite3.Connection, block: list[dict[str, Rows]], lines: int, figures: Figures
) -> None:
    began, used = time.perf_counter(), time.process_time()
    for rows in block:
        target.execute("BEGIN IMMEDIATE")
        for table, found in rows.items():
            if found:
                marks = ",".join("?" * len(found[0]))
                target.executemany(f"INSERT INTO {table} VALUES ({marks})", found)  # noqa: S608
        target.execute("COMMIT")
    figures.seconds += time.perf_counter() - began
    figures.cpu_s += time.process_time() - used
    figures.lines += lines
    figures.transactions += len(block)


def main() -> None:
    """Parse the options, run, and leave the figures in a file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--source", type=Path, required=True)
    parser.add_argument("--target", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    os.nice(NICENESS)
    options.out.write_bytes(msgspec.json.encode(run(options.source, options.target)))


if __name__ == "__main__":
    main()

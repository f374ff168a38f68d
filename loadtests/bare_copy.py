"""
The bare driver of PostgreSQL: the rows an upload left, put into the same tables by COPY and upsert.

Rows are read from the gateway's database a block at a time, which is not timed. Each transaction of
the upload is one here too: its rows go by COPY into an unlogged staging table for each table, and
from there by `INSERT ... SELECT ... ON CONFLICT DO NOTHING` into tables and indexes of an empty
database. Commits are as durable as the writer's.

    python -m loadtests.bare_copy --source URL --target URL --out FILE
"""

from __future__ import annotations

import argparse
import asyncio
import time
from collections import defaultdict
from pathlib import Path
from typing import Any, Final

import asyncpg
import msgspec

from gateway.store.migrate_postgres import migrate_postgres
from gateway.store.records import encode_coverage
from loadtests.bare_driver import BLOCK_LINES, OF_ENROLLEES, OF_PEOPLE, Figures

TABLES: Final = (*OF_ENROLLEES, *OF_PEOPLE, "lookups")
Rows = list[tuple[Any, ...]]
Slice = dict[str, Rows]


async def slices(source: asyncpg.Connection[asyncpg.Record]) -> list[list[bytes]]:
    """The enrollees of each transaction of the upload, in its order."""
    found: dict[int, list[bytes]] = defaultdict(list)
    rows = await source.fetch(
        "SELECT recorded_time, enrollee_key FROM cover_versions WHERE version_no = 1 "
        "ORDER BY recorded_time, enrollee_key"
    )
    for recorded, enrollee_key in rows:
        found[recorded].append(enrollee_key)
    return list(found.values())


async def rows_of(source: asyncpg.Connection[asyncpg.Record], enrollees: list[bytes]) -> Slice:
    """The rows of a transaction by table, each in order of keys."""

    async def fetched(table: str, column: str, keys: list[bytes]) -> Rows:
        query = f"SELECT * FROM {table} WHERE {column} = ANY($1)"  # noqa: S608  our own names
        return sorted((tuple(row) for row in await source.fetch(query, keys)), key=lambda r: r[:3])

    found = {table: await fetched(table, "enrollee_key", enrollees) for table in OF_ENROLLEES}
    people = sorted({row[1] for row in found["enrollee_people"]})
    found |= {table: await fetched(table, "person_key", people) for table in OF_PEOPLE}
    found["lookups"] = await fetched("lookups", "enrollee_key", enrollees)
    return {table: rows for table, rows in found.items() if rows}


async def run(source_url: str, target_url: str) -> Figures:
    """Write everything; give the figures."""
    await migrate_postgres(target_url, encode_coverage)
    figures = Figures(0, 0.0, 0.0, 0)
    source, target = await asyncpg.connect(source_url), await asyncpg.connect(target_url)
    try:
        await source.execute("CREATE INDEX ON lookups (enrollee_key)")
        for table in TABLES:
            await target.execute(f"CREATE UNLOGGED TABLE staged_{table} (LIKE {table})")
        block: list[Slice] = []
        lines = 0
        for enrollees in await slices(source):
            block.append(await rows_of(source, enrollees))
            lines += len(enrollees)
            if lines >= BLOCK_LINES:
                await _write(target, block, lines, figures)
                block, lines = [], 0
        await _write(target, block, lines, figures)
    finally:
        await source.close()
        await target.close()
    return figures


async def _write(
    target: asyncpg.Connection[asyncpg.Record], block: list[Slice], lines: int, figures: Figures
) -> None:
    began, used = time.perf_counter(), time.process_time()
    for one in block:
        async with target.transaction():
            for table, rows in one.items():
                await target.copy_records_to_table(f"staged_{table}", records=rows)
                await target.execute(
                    f"INSERT INTO {table} SELECT * FROM staged_{table} ON CONFLICT DO NOTHING"  # noqa: S608
                )
                await target.execute(f"TRUNCATE staged_{table}")
    figures.seconds += time.perf_counter() - began
    figures.cpu_s += time.process_time() - used
    figures.lines += lines
    figures.transactions += len(block)


def main() -> None:
    """Parse the options, run, and leave the figures in a file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--source", required=True)
    parser.add_argument("--target", required=True)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    figures = asyncio.run(run(options.source, options.target))
    options.out.write_bytes(msgspec.json.encode(figures))


if __name__ == "__main__":
    main()

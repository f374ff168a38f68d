"""
The store on a Citus cluster: spread, conform, load, and lose a worker's keys and no others.

Without a cluster it prints what it would do, step by step, and runs nothing. With the address of a
coordinator it looks for what is missing there and says so; otherwise it distributes the tables and
asks for the plan of every statement. The steps after that need the PostgreSQL adapter, and it says
so too.

    python -m loadtests.citus_run [--cluster postgresql://user@coordinator/onshi]
        [--shards 64] [--people 20000]

Exit codes: 0, the steps were printed; 1, one went wrong; 3, something that is needed is missing,
which at present it always is.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any, Final

import asyncpg

from gateway.store.distribution import (
    SHARD_COUNT,
    OtherwiseDistributedError,
    distribution_statements,
)
from gateway.store.schema import metadata_of
from loadtests import citus_plans
from loadtests.citus_plans import Ask

ADAPTER: Final = "gateway.store.postgres"
CONFORMANCE: Final = "tests/store/test_postgres.py"
CONNECT_TIMEOUT_S: Final = 10

EXTENSION: Final = "SELECT extversion FROM pg_extension WHERE extname = 'citus'"
WORKERS: Final = "SELECT node_name FROM citus_get_active_worker_nodes()"
TABLES: Final = """
SELECT CASE schemaname WHEN 'vault' THEN 'vault.' ELSE '' END || tablename FROM pg_tables
WHERE schemaname IN (current_schema(), 'vault')
"""
DISTRIBUTED: Final = """
SELECT CASE nspname WHEN 'vault' THEN 'vault.' ELSE '' END || pg_class.relname::text,
    distribution_column
FROM citus_tables JOIN pg_class ON pg_class.oid = table_name
JOIN pg_namespace ON pg_namespace.oid = relnamespace
WHERE citus_table_type = 'distributed'
"""
"""By `relname`: the name of `overlaps` is a word of SQL, and a `regclass` would quote it."""


@dataclass(frozen=True, slots=True)
class Cluster:
    """What was found at an address."""

    citus: str | None
    """Its version; None if there is no such extension."""
    workers: tuple[str, ...] = ()
    tables: frozenset[str] = frozenset()
    distributed: Mapping[str, str] | None = None

    def missing(self) -> list[str]:
        """What has to be there before the tables can be distributed, and is not."""
        if self.citus is None:
            return ["the extension citus in this database"]
        found = [] if self.workers else ["a worker: citus_get_active_worker_nodes() names none"]
        if absent := sorted(set(metadata_of("postgresql").tables) - self.tables):
            found.append(f"tables, which the migration makes: {', '.join(absent)}")
        return found


async def looked_at(ask: Ask) -> Cluster:
    """Find out what is there."""
    version = await ask(EXTENSION)
    if not version:
        return Cluster(None)
    return Cluster(
        version[0][0],
        tuple(row[0] for row in await ask(WORKERS)),
        frozenset(row[0] for row in await ask(TABLES)),
        {row[0]: row[1] for row in await ask(DISTRIBUTED)},
    )


async def distributed(ask: Ask, shards: int) -> list[str]:
    """
    Distribute what is not distributed yet; give what is missing for that, nothing if it was done.

    Raises:
        OtherwiseDistributedError: As `distribution_statements`; nothing was changed.
    """
    cluster = await looked_at(ask)
    if missing := cluster.missing():
        return missing
    for statement in distribution_statements(shards, cluster.distributed):
        print(f"  {statement}")
        await ask(statement)
    return []


def not_built() -> list[str]:
    """Our own parts that the steps after the distribution need, and that are not there."""
    return [] if find_spec(ADAPTER) else [f"{ADAPTER}, the store on PostgreSQL"]


def steps(shards: int, people: int) -> list[tuple[str, list[str]]]:
    """What is done, in order, and how."""
    return [
        (
            "Look at the coordinator: the extension, active workers, tables",
            [EXTENSION, WORKERS, TABLES, DISTRIBUTED],
        ),
        (
            "Distribute the tables; meta, key_names and alembic_version stay on the coordinator",
            distribution_statements(shards),
        ),
        (
            "Ask for the plan of every statement that touches these tables",
            [
                "a routed one is one task, one that concerns every place is more",
                "a join of several steps is refused",
            ],
        ),
        (
            "Every test of the store's contract passes there",
            [f"python -m pytest {CONFORMANCE}, pointed at the cluster"],
        ),
        (
            f"Load {people:,} made-up people and ask about each, by number and by card",
            ["loadtests.nation_store.pour; every answer is that of a store in memory"],
        ),
        (
            "Stop one worker and its standby, and ask about each again",
            [
                "a person whose keys lie elsewhere: the same answer",
                "a key of the stopped worker: UNAVAILABLE, STORE_UNAVAILABLE, within the deadline",
                "the first and the second kind are what citus_shards says, key by key",
            ],
        ),
        (
            "Start them, and ask about each once more",
            ["every answer is there again, and none has changed"],
        ),
    ]


def plan(shards: int, people: int) -> str:
    """The steps as a page of text."""
    lines = []
    for number, (what, hows) in enumerate(steps(shards, people), start=1):
        lines += [f"{number}. {what}", *(f"     {how}" for how in hows)]
    return "\n".join(lines)


async def _against(address: str, shards: int) -> int:
    try:
        connection = await asyncpg.connect(
            address, timeout=CONNECT_TIMEOUT_S, statement_cache_size=0
        )
    except (OSError, TimeoutError, asyncpg.PostgresError) as error:
        print(f"cannot connect: {type(error).__name__}")
        return 3

    async def ask(statement: str) -> Sequence[Sequence[Any]]:
        return [tuple(row) for row in await connection.fetch(statement)]

    try:
        missing = await distributed(ask, shards)
        otherwise, count = ([], 0) if missing else await citus_plans.told(ask)
    except (OtherwiseDistributedError, asyncpg.PostgresError) as error:
        print(f"went wrong: {str(error).splitlines()[0]}")
        return 1
    finally:
        await connection.close()
    if not missing:
        print(f"every table is distributed; {count} statements planned, {len(otherwise)} otherwise")
        print(*(f"  {one}" for one in otherwise), sep="\n")
        missing = [*not_built(), "the steps from 4 on of this command: they are not written yet"]
    print("missing:", *(f"  {one}" for one in missing), sep="\n")
    return 1 if otherwise else 3


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the steps, or take them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cluster", help="address of the coordinator's database")
    parser.add_argument("--shards", type=int, default=SHARD_COUNT)
    parser.add_argument("--people", type=int, default=20_000)
    options = parser.parse_args(arguments)
    if options.cluster is not None:
        return asyncio.run(_against(options.cluster, options.shards))
    print(plan(options.shards, options.people))
    print("\nNothing was run: no cluster was named (--cluster). These are the steps it would take.")
    return 0


if __name__ == "__main__":
    sys.exit(main())

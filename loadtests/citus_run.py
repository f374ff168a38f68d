"""
The store on a Citus cluster: spread, conform, load, and lose a worker's keys and no others.

Without a cluster it prints what it would do, step by step, and runs nothing. With the address of a
coordinator it takes the steps, and says first what is missing there. It does not own the machines:
the commands that stop a worker and start it again are the operator's. Everything it looks for is
planted first and must be noticed.

    python -m loadtests.citus_run [--cluster postgresql://user@coordinator/onshi]
        [--shards 64] [--people 20000] [--seconds 20] [--empty]
        [--stop COMMAND --start COMMAND]

The database must be empty, unless `--empty` says that what is in it may go; the tests of the store
empty it in any case.

Exit codes: 0, all steps were taken and nothing was wrong, or they were printed; 1, something was
wrong; 3, something that is needed is missing, or a step was not taken.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import asyncpg

from gateway.domain.errors import Unavailable
from gateway.edges.rpc.convert import sheet
from gateway.store.distribution import (
    SHARD_COUNT,
    OtherwiseDistributedError,
    distribution_statements,
)
from gateway.store.migrate_postgres import migrate_postgres
from gateway.store.sql_cluster import DISTRIBUTED, WORKERS
from loadtests import citus_plans
from loadtests.citus_plans import Ask
from loadtests.citus_steps import CONFORMANCE, Run, taken

CONNECT_TIMEOUT_S: Final = 10

EXTENSION: Final = "SELECT extversion FROM pg_extension WHERE extname = 'citus'"


@dataclass(frozen=True, slots=True)
class Cluster:
    """What was found at an address."""

    citus: str | None
    """Its version; None if there is no such extension."""
    workers: tuple[str, ...] = ()
    distributed: Mapping[str, str] | None = None

    def missing(self) -> list[str]:
        """What has to be there before the tables can be distributed, and is not."""
        if self.citus is None:
            return ["the extension citus in this database"]
        return [] if self.workers else ["a worker: citus_get_active_worker_nodes() names none"]


async def looked_at(ask: Ask) -> Cluster:
    """Find out what is there."""
    version = await ask(EXTENSION)
    if not version:
        return Cluster(None)
    return Cluster(
        version[0][0],
        tuple(row[0] for row in await ask(WORKERS)),
        {row[0]: row[1] for row in await ask(DISTRIBUTED)},
    )


def steps(shards: int, people: int) -> list[tuple[str, list[str]]]:
    """What is done, in order, and how."""
    return [
        (
            "Look at the coordinator: the extension, active workers",
            [EXTENSION, WORKERS, DISTRIBUTED],
        ),
        (
            "Migrate, which distributes; meta, key_names and alembic_version stay where they are",
            distribution_statements(shards),
        ),
        (
            "Ask for the plan of every statement that touches these tables",
            [
                "a routed one is one task, one that concerns every place is more",
                "a join of several steps is refused, or asks every place",
            ],
        ),
        (
            "Every test of the store's contract passes there",
            [f"ONSHI_TEST_CLUSTER=… python -m pytest {' '.join(CONFORMANCE)}"],
        ),
        (
            f"Load {people:,} made-up people and ask about each, by number and by card",
            [
                "loadtests.nation_store.pour; every answer is that of a file with the same people",
                "a writer commits beside readers, and each answer is repeatable as of its instant",
            ],
        ),
        (
            "Stop one worker and its standby, and ask about each again",
            [
                "the commands are yours: --stop and --start",
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


async def _against(run: Run) -> int:
    try:
        connection = await asyncpg.connect(
            run.cluster,
            timeout=CONNECT_TIMEOUT_S,
            statement_cache_size=0,
            server_settings={"search_path": "public, vault"},
        )
    except (OSError, TimeoutError, asyncpg.PostgresError) as error:
        print(f"cannot connect: {type(error).__name__}")
        return 3

    async def ask(statement: str) -> Sequence[Sequence[Any]]:
        return [tuple(row) for row in await connection.fetch(statement)]

    try:
        if missing := (await looked_at(ask)).missing():
            print("missing:", *(f"  {one}" for one in missing), sep="\n")
            return 3
        await migrate_postgres(run.cluster, sheet, shard_count=run.shards)
        otherwise, count = await citus_plans.told(ask)
    except (OtherwiseDistributedError, Unavailable, asyncpg.PostgresError) as error:
        print(f"went wrong: {str(error).splitlines()[0]}")
        return 1
    finally:
        await connection.close()
    print(f"every table is distributed; {count} statements planned, {len(otherwise)} otherwise")
    print(*(f"  {one}" for one in otherwise), sep="\n", end="\n" if otherwise else "")
    return 1 if otherwise else await taken(run)


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the steps, or take them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cluster", help="address of the coordinator's database")
    parser.add_argument("--shards", type=int, default=SHARD_COUNT)
    parser.add_argument("--people", type=int, default=20_000)
    parser.add_argument("--seconds", type=float, default=20.0, help="of commits beside readers")
    parser.add_argument("--empty", action="store_true", help="what is in the database may go")
    parser.add_argument("--stop", help="command that stops one worker and its standby")
    parser.add_argument("--start", help="command that starts them again")
    options = parser.parse_args(arguments)
    if options.cluster is not None:
        return asyncio.run(_against(Run(**vars(options))))
    print(plan(options.shards, options.people))
    print("\nNothing was run: no cluster was named (--cluster). These are the steps it would take.")
    return 0


if __name__ == "__main__":
    sys.exit(main())

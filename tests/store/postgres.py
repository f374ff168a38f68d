"""
A real PostgreSQL for the tests of one process, and a fresh database for each.

`ONSHI_TEST_CLUSTER` names the database of a coordinator to use in its place, as
`python -m loadtests.citus_run` does. Databases of a cluster are dear, so a fresh one is that one,
emptied: whatever was in it is gone, and only one test at a time may use it.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from itertools import count

import asyncpg

from gateway.store.migrate_postgres import migrate_postgres
from gateway.store.records import encode_coverage
from loadtests import citus_place
from loadtests.postgres_place import Server, running

CLUSTER = os.environ.get("ONSHI_TEST_CLUSTER")
TEMPLATE = "migrated"
_numbers = count(1)
_ended = contextlib.ExitStack()


@lru_cache(maxsize=1)
def server() -> Server:
    """The server, started when it is first asked for; `stop` ends it."""
    started = _ended.enter_context(running(is_synced=False))

    async def prepare() -> None:
        await _told(started.url(), f"CREATE DATABASE {TEMPLATE}")
        await migrate_postgres(started.url(TEMPLATE), encode_coverage)

    # In a thread of its own, because the caller's event loop may be running.
    with ThreadPoolExecutor(max_workers=1) as thread:
        thread.submit(lambda: asyncio.run(prepare())).result()
    return started


def stop() -> None:
    """End the server, if there is one."""
    _ended.close()
    server.cache_clear()


async def fresh() -> str:
    """Make an empty database of this version's form; give its address."""
    if CLUSTER is not None:
        await migrate_postgres(CLUSTER, encode_coverage)
        await citus_place.emptied(CLUSTER)
        return CLUSTER
    name = f"of_a_test_{next(_numbers)}"
    await _told(server().url(), f"CREATE DATABASE {name} TEMPLATE {TEMPLATE}")
    return server().url(name)


async def dropped(url: str) -> None:
    """Forget a database."""
    if CLUSTER is None:
        await _told(server().url(), f"DROP DATABASE {url.rpartition('/')[2]} WITH (FORCE)")


@contextlib.asynccontextmanager
async def database() -> AsyncIterator[str]:
    """Have an empty database while the block runs."""
    url = await fresh()
    yield url
    await dropped(url)


async def _told(url: str, *statements: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        for statement in statements:
            await connection.execute(statement)
    finally:
        await connection.close()

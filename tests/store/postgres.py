"""A real PostgreSQL for the tests of one process, and a fresh database for each."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from itertools import count

import asyncpg

from gateway.store.migrate_postgres import migrate_postgres
from gateway.store.records import encode_coverage
from loadtests.postgres_place import Server, running

TEMPLATE = "migrated"
_numbers = count(1)
_ended = contextlib.ExitStack()


@lru_cache(maxsize=1)
def server() -> Server:
    """The server, started when it is first asked for; `stop` ends it."""
    started = _ended.enter_context(running(is_synced=False))

    async def prepare() -> None:
        await _told(started, f"CREATE DATABASE {TEMPLATE}")
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
    name = f"of_a_test_{next(_numbers)}"
    await _told(server(), f"CREATE DATABASE {name} TEMPLATE {TEMPLATE}")
    return server().url(name)


async def dropped(url: str) -> None:
    """Forget a database."""
    await _told(server(), f"DROP DATABASE {url.rpartition('/')[2]} WITH (FORCE)")


@contextlib.asynccontextmanager
async def database() -> AsyncIterator[str]:
    """Have an empty database while the block runs."""
    url = await fresh()
    yield url
    await dropped(url)


async def _told(server: Server, statement: str) -> None:
    connection = await asyncpg.connect(server.url())
    try:
        await connection.execute(statement)
    finally:
        await connection.close()

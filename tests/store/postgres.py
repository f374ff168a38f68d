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

from loadtests.postgres_place import Server, running
from loadtests.state_engines import TEMPLATE, Engine, OnCluster, OnPostgres, prepare
from loadtests.state_engines import dropped as forget

CLUSTER = os.environ.get("ONSHI_TEST_CLUSTER")
_numbers = count(1)
_ended = contextlib.ExitStack()


@lru_cache(maxsize=1)
def server() -> Server:
    """The server, started when it is first asked for; `stop` ends it."""
    started = _ended.enter_context(running(is_synced=False))

    # In a thread of its own, because the caller's event loop may be running.
    with ThreadPoolExecutor(max_workers=1) as thread:
        thread.submit(lambda: asyncio.run(prepare(started))).result()
    return started


def stop() -> None:
    """End the server, if there is one."""
    _ended.close()
    server.cache_clear()


async def fresh() -> str:
    """Make an empty database of this version's form; give its address."""
    if CLUSTER is not None:
        await OnCluster(CLUSTER).make()
        return CLUSTER
    return await server().made(f"of_a_test_{next(_numbers)}", TEMPLATE)


def engine() -> Engine:
    """Where the state machine's store on a server is."""
    return OnPostgres(server()) if CLUSTER is None else OnCluster(CLUSTER)


async def dropped(url: str) -> None:
    """Forget a database."""
    if CLUSTER is None:
        await forget(server(), url.rpartition("/")[2])


@contextlib.asynccontextmanager
async def database() -> AsyncIterator[str]:
    """Have an empty database while the block runs."""
    url = await fresh()
    yield url
    await dropped(url)

"""A real PostgreSQL for the tests of one process, and a fresh database for each."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from itertools import count

from loadtests.postgres_place import Server, running
from loadtests.state_engines import TEMPLATE, prepare
from loadtests.state_engines import dropped as forget

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
    return await server().made(f"of_a_test_{next(_numbers)}", TEMPLATE)


async def dropped(url: str) -> None:
    """Forget a database."""
    await forget(server(), url.rpartition("/")[2])


@contextlib.asynccontextmanager
async def database() -> AsyncIterator[str]:
    """Have an empty database while the block runs."""
    url = await fresh()
    yield url
    await dropped(url)

"""
The PostgreSQL that the system has, of another major version than the wheel's, keeps the contract.

Where the system has none, nothing of this runs, and the skipped tests say so.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from itertools import count

import asyncpg
import pytest
import pytest_asyncio

from gateway.store.postgres import PostgresStore
from gateway.store.records import encode_coverage
from loadtests.postgres_place import OLDEST, SYSTEM, Server, of_the_system, running
from loadtests.state_engines import TEMPLATE, prepare
from tests.store.conformance import StoreTests

PROGRAMS = of_the_system()

pytestmark = pytest.mark.skipif(
    PROGRAMS is None,
    reason=f"NOT RUN: no PostgreSQL {OLDEST} or newer in {SYSTEM}; only the wheel's was tried",
)

_numbers = count(1)


@pytest.fixture(scope="module")
def system() -> Iterator[Server]:
    """A server of the system's programs."""
    with running(is_synced=False, programs=PROGRAMS) as server:
        asyncio.run(prepare(server))
        yield server


@pytest_asyncio.fixture
async def store(system: Server) -> AsyncIterator[PostgresStore]:
    """A fresh store."""
    url = await system.made(f"of_a_test_{next(_numbers)}", TEMPLATE)
    opened = await PostgresStore.elected(url, encode_coverage, "a test")
    yield opened
    await opened.close()


class TestSystemsStore(StoreTests):
    """The contract."""


async def test_the_server_is_the_systems(system: Server) -> None:
    """It is of the version its directory is named after, and one we promise."""
    assert PROGRAMS is not None
    connection = await asyncpg.connect(system.url())
    major = connection.get_server_version().major
    await connection.close()
    assert PROGRAMS.parent.name == str(major)
    assert major >= OLDEST

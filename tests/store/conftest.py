"""The server the tests of stores share, gone when they are done."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.store import postgres
from tests.store.memories import ENGINES, Database, Files, Place


@pytest.fixture(scope="session", autouse=True)
def _postgres_ends() -> Iterator[None]:
    """Stop the server, if one was started."""
    yield
    postgres.stop()


@pytest_asyncio.fixture(params=ENGINES)
async def place(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Place]:
    """A fresh place for a vault and a spool, on either engine."""
    if request.param == "files":
        yield Files(tmp_path)
        return
    async with postgres.database() as url:
        yield Database(tmp_path, url)

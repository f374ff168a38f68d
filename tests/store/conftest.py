"""The server the tests of stores share, gone when they are done."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.store import postgres


@pytest.fixture(scope="session", autouse=True)
def _postgres_ends() -> Iterator[None]:
    """Stop the server, if one was started."""
    yield
    postgres.stop()

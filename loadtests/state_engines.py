"""
Where the stores of `state_machine` are: in a file, and on a server, each made, opened and gone.
"""

from __future__ import annotations

import shutil
import tempfile
from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import lru_cache
from itertools import count
from pathlib import Path
from typing import ClassVar, Final

import asyncpg

from gateway.store import postgres_cluster
from gateway.store.by_steps import StepStore
from gateway.store.by_steps_beside import StepChanges
from gateway.store.migrate import migrate
from gateway.store.migrate_postgres import migrate_postgres
from gateway.store.postgres import PostgresChanges
from gateway.store.records import encode_coverage
from gateway.store.sqlite import SqliteChanges, SqliteStore
from loadtests import citus_place
from loadtests.postgres_place import Server

TEMPLATE: Final = "migrated"
_numbers = count(1)


@lru_cache(maxsize=1)
def empty_database() -> bytes:
    """What migrating makes; a fresh database is a copy of it."""
    with tempfile.TemporaryDirectory() as directory:
        migrate(Path(directory) / "gateway.db", encode_coverage)
        return (Path(directory) / "gateway.db").read_bytes()


async def prepare(server: Server) -> None:
    """Make the database on a server that fresh ones are copies of."""
    await migrate_postgres(await server.made(TEMPLATE), encode_coverage)


async def dropped(server: Server, database: str) -> None:
    """Forget a database of a server."""
    connection = await asyncpg.connect(server.url())
    try:
        await connection.execute(f"DROP DATABASE {database} WITH (FORCE)")
    finally:
        await connection.close()


@dataclass(frozen=True, slots=True)
class Opened:
    """A store, and its insurers' streams."""

    store: StepStore
    changes: StepChanges

    async def close(self) -> None:
        """Close both."""
        await self.changes.close()
        await self.store.close()


class Engine(ABC):
    """A database of its own; nothing is there until `make`."""

    name: ClassVar[str]

    @abstractmethod
    async def make(self) -> None:
        """Make it, empty."""

    @abstractmethod
    async def opened(self) -> Opened:
        """Open it."""

    @abstractmethod
    async def forget(self) -> None:
        """Leave nothing of it."""


class OnSqlite(Engine):
    """In a file, made in a directory of its own within one that is there."""

    name = "SQLite"

    def __init__(self, within: Path | None = None) -> None:
        self._within = within

    async def make(self) -> None:
        """See `Engine`."""
        self._directory = Path(tempfile.mkdtemp(dir=self._within))
        self._database = self._directory / "gateway.db"
        self._database.write_bytes(empty_database())

    async def opened(self) -> Opened:
        """See `Engine`."""
        store = SqliteStore(self._database, encode_coverage)
        return Opened(store, SqliteChanges(self._database))

    async def forget(self) -> None:
        """See `Engine`."""
        shutil.rmtree(self._directory)


class OnPostgres(Engine):
    """On a server that is prepared."""

    name = "PostgreSQL"

    def __init__(self, server: Server) -> None:
        self._server = server

    async def make(self) -> None:
        """See `Engine`."""
        self._database = f"machine_{next(_numbers)}"
        self._url = await self._server.made(self._database, TEMPLATE)

    async def opened(self) -> Opened:
        """See `Engine`."""
        store = await postgres_cluster.elected(self._url, encode_coverage, "machine")
        return Opened(store, await PostgresChanges.opened(self._url))

    async def forget(self) -> None:
        """See `Engine`."""
        await dropped(self._server, self._database)


class OnCluster(OnPostgres):
    """
    In the database of a coordinator, emptied for each run.

    Args:
        url: Whatever is in it is gone, and only one store at a time may be there.
    """

    def __init__(self, url: str) -> None:
        self._url = url

    async def make(self) -> None:
        """See `Engine`."""
        await migrate_postgres(self._url, encode_coverage)
        await citus_place.emptied(self._url)

    async def forget(self) -> None:
        """See `Engine`; the next run empties it."""

"""
Which engine keeps the facts: a file in the data directory, or a PostgreSQL the settings name.

The vault, the spool, the access records and what is made of them stay in the data directory.
"""

from __future__ import annotations

import asyncio
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import Final

from gateway.app.clock import new_key
from gateway.app.layout import DataDir
from gateway.config import Settings
from gateway.edges.rpc.convert import sheet
from gateway.store.by_steps import StepReader, StepStore
from gateway.store.by_steps_beside import StepChanges, StepFilings
from gateway.store.records import StoreTooNew, StoreTooOld
from gateway.store.sqlite import (
    SqliteChanges,
    SqliteFilings,
    SqliteReader,
    SqliteStore,
    open_cases,
)
from gateway.store.sqlite_file import opened

CaseCounter = Callable[[], tuple[int, int]]
"""Counts cases that wait for their link and to be seen by card; called from any thread."""

BUSY_MS: Final = 5_000
COUNTING_S_MAX: Final = 30.0
"""How long counting every case may take."""


class NotMigratedError(Exception):
    """The database could not be brought to this version; says why in one sentence."""


class Engine(ABC):
    """
    Opens what one process needs of the facts.

    All but `migrate` raise `StoreTooOld`, `StoreTooNew` and `Unavailable` as the stores do.
    """

    name: str
    """What tells it from the others."""

    @abstractmethod
    async def reader(self) -> StepReader:
        """Open what a read worker needs."""

    @abstractmethod
    async def store(self, on_waiting: Callable[[], None]) -> StepStore:
        """
        Open what the one writer needs.

        Args:
            on_waiting: Called once if another gateway writes; then this waits for its place.
        """

    @abstractmethod
    async def filings(self) -> StepFilings:
        """Open what reports of the lag read."""

    @abstractmethod
    async def changes(self) -> StepChanges:
        """Open what watchers read."""

    @abstractmethod
    def case_counter(self, filings: StepFilings) -> CaseCounter:
        """Give what counts cases, for the metrics; needs the running event loop."""

    async def migrate(self) -> None:
        """
        Bring the database to this version if it is older, in a process of its own.

        Raises:
            NotMigratedError: It is newer, or could not be brought to this version.
        """
        try:
            await self._require_current()
        except StoreTooNew as error:
            raise NotMigratedError(str(error)) from None
        except StoreTooOld:
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "gateway.app.migrate", stdin=asyncio.subprocess.PIPE
            )
            await process.communicate(self._place().encode())
            if process.returncode != 0:
                raise NotMigratedError(
                    "the database could not be brought to this version"
                ) from None

    @abstractmethod
    async def _require_current(self) -> None:
        """Raise `StoreTooOld` or `StoreTooNew` unless the database has this version's form."""

    @abstractmethod
    def _place(self) -> str:
        """What `gateway.app.migrate` is told on its standard input: it may hold a password."""


class EmbeddedEngine(Engine):
    """SQLite in the data directory."""

    name = "sqlite"

    def __init__(self, database: Path) -> None:
        self._database = database

    async def reader(self) -> StepReader:
        """See `Engine`."""
        return SqliteReader(self._database, sheet)

    async def store(self, on_waiting: Callable[[], None]) -> StepStore:  # noqa: ARG002
        """See `Engine`; the lock of the data directory keeps others away."""
        return SqliteStore(self._database, sheet)

    async def filings(self) -> StepFilings:
        """See `Engine`."""
        return SqliteFilings(self._database)

    async def changes(self) -> StepChanges:
        """See `Engine`."""
        return SqliteChanges(self._database)

    def case_counter(self, filings: StepFilings) -> CaseCounter:  # noqa: ARG002
        """See `Engine`; counts over a connection of its own, beside reports."""
        return lambda: open_cases(self._database)

    async def _require_current(self) -> None:
        opened(self._database, "ro", BUSY_MS).close()

    def _place(self) -> str:
        return str(self._database)


class ServerEngine(Engine):
    """A database of a PostgreSQL server; asyncpg is imported when it is asked for."""

    name = "postgresql"

    def __init__(self, url: str) -> None:
        self._url = url

    async def reader(self) -> StepReader:
        """See `Engine`."""
        from gateway.store.postgres import PostgresReader

        return await PostgresReader.opened(self._url, sheet)

    async def store(self, on_waiting: Callable[[], None]) -> StepStore:
        """See `Engine`."""
        from gateway.store.postgres import PostgresStore

        return await PostgresStore.elected(self._url, sheet, new_key().hex(), on_waiting)

    async def filings(self) -> StepFilings:
        """See `Engine`."""
        from gateway.store.postgres import PostgresFilings

        return await PostgresFilings.opened(self._url)

    async def changes(self) -> StepChanges:
        """See `Engine`."""
        from gateway.store.postgres import PostgresChanges

        return await PostgresChanges.opened(self._url)

    def case_counter(self, filings: StepFilings) -> CaseCounter:
        """See `Engine`."""
        loop = asyncio.get_running_loop()

        def count() -> tuple[int, int]:
            counting = asyncio.run_coroutine_threadsafe(filings.open_cases(), loop)
            return counting.result(COUNTING_S_MAX)

        return count

    async def _require_current(self) -> None:
        await (await self.reader()).close()

    def _place(self) -> str:
        return self._url


def engine_of(settings: Settings) -> Engine:
    """Give the engine that settings name."""
    if settings.store is not None:
        return ServerEngine(settings.store)
    return EmbeddedEngine(DataDir(settings.data_dir).database)

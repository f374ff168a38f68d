"""
What a gateway keeps, looked at from outside: its files, or the database of the environment.

One statement reads either: the vault's one table is `vault.numbers` here and there.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import sqlite3
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from itertools import count
from pathlib import Path
from typing import Any, Final

import asyncpg

from gateway.app.layout import DataDir
from gateway.config import STORE_VARIABLE

SERVER_TABLES: Final = """
SELECT format('%I.%I', schemaname, tablename) FROM pg_tables
WHERE schemaname IN ('public', 'vault') ORDER BY 1
"""
_numbers: Final = count(1)


class Facts(ABC):
    """What one gateway keeps."""

    store: str | None = None
    """The database's address, for its settings; None for files."""

    @abstractmethod
    def rows(self, statement: str) -> Sequence[tuple[Any, ...]]:
        """Give the rows of a statement, beside the gateway."""

    @abstractmethod
    def change(self, statement: str) -> None:
        """Change something, while no gateway runs."""

    @abstractmethod
    def is_spooled(self) -> bool:
        """Whether the spool has bytes of any upload."""

    @abstractmethod
    def dumped(self) -> Iterator[bytes]:
        """Everything in tables, a table or a database at a time."""

    @abstractmethod
    @contextmanager
    def copied(self) -> Iterator[Facts]:
        """Have a copy, while no gateway runs and the block does."""

    @abstractmethod
    def close(self) -> None:
        """Close what is open."""


class FactsInFiles(Facts):
    """Of a gateway without a server."""

    def __init__(self, data: Path) -> None:
        self._data = DataDir(data)

    def rows(self, statement: str) -> Sequence[tuple[Any, ...]]:
        """See `Facts`."""
        with closing(_connected(self._data.database)) as connection:
            connection.execute("ATTACH ? AS vault", (f"{self._data.vault.as_uri()}?mode=ro",))
            return connection.execute(statement).fetchall()

    def change(self, statement: str) -> None:
        """See `Facts`."""
        with closing(sqlite3.connect(self._data.database)) as connection:
            connection.execute(statement)
            connection.commit()

    def is_spooled(self) -> bool:
        """See `Facts`."""
        return any(self._data.spool.glob("*.spool"))

    def dumped(self) -> Iterator[bytes]:
        """See `Facts`; the vault is searched as a file."""
        with closing(_connected(self._data.database)) as connection:
            yield "\n".join(connection.iterdump()).encode()

    @contextmanager
    def copied(self) -> Iterator[Facts]:
        """See `Facts`."""
        copy = self._data.root.parent / "copied"
        shutil.copytree(self._data.root, copy)
        try:
            yield FactsInFiles(copy)
        finally:
            shutil.rmtree(copy)

    def close(self) -> None:
        """See `Facts`."""


class FactsOnServer(Facts):
    """Of a gateway with a server; asked in a thread of its own, whatever the caller is at."""

    def __init__(self, store: str) -> None:
        self.store = store
        self._threads = ThreadPoolExecutor(max_workers=1, thread_name_prefix="facts")
        self._loop = asyncio.new_event_loop()
        self._connection: asyncpg.Connection[asyncpg.Record] | None = None

    def rows(self, statement: str) -> Sequence[tuple[Any, ...]]:
        """See `Facts`."""
        return self._threads.submit(self._loop.run_until_complete, self._rows(statement)).result()

    async def _rows(self, statement: str) -> Sequence[tuple[Any, ...]]:
        if self._connection is None:
            self._connection = await asyncpg.connect(self.store)
        return [tuple(row) for row in await self._connection.fetch(statement)]

    def change(self, statement: str) -> None:
        """See `Facts`."""
        self.rows(statement)

    def is_spooled(self) -> bool:
        """See `Facts`."""
        return bool(self.rows("SELECT 1 FROM spool_chunks LIMIT 1"))

    def dumped(self) -> Iterator[bytes]:
        """See `Facts`."""
        for (table,) in self.rows(SERVER_TABLES):
            rows = self.rows(f"SELECT * FROM {table}")  # noqa: S608  our own tables
            yield b"\xff".join(_bytes(value) for row in rows for value in row)

    @contextmanager
    def copied(self) -> Iterator[Facts]:
        """See `Facts`."""
        self._disconnect()
        copy = _created(f" TEMPLATE {_name(self.store)}")
        try:
            yield copy
        finally:
            copy.close()

    def close(self) -> None:
        """See `Facts`."""
        self._disconnect()
        self._threads.submit(self._loop.close).result()
        self._threads.shutdown()

    def _disconnect(self) -> None:
        async def disconnect() -> None:
            if self._connection is not None:
                await self._connection.close()
                self._connection = None

        self._threads.submit(self._loop.run_until_complete, disconnect()).result()


def facts_of(data: Path) -> Facts:
    """Those of a gateway whose settings leave to the environment which engine it has."""
    store = os.environ.get(STORE_VARIABLE)
    return FactsInFiles(data) if store is None else FactsOnServer(store)


def fresh_facts(data: Path) -> Facts:
    """Those of a gateway that is yet to start: nothing is left of another one's data directory."""
    shutil.rmtree(data, ignore_errors=True)
    return FactsInFiles(data) if STORE_VARIABLE not in os.environ else _created("")


def _created(how: str) -> FactsOnServer:
    """Make a database beside that of the environment; it goes with its server."""
    beside = FactsOnServer(os.environ[STORE_VARIABLE])
    name = f"facts_{next(_numbers)}"
    beside.change(f"CREATE DATABASE {name}{how}")
    beside.close()
    return FactsOnServer(f"{os.environ[STORE_VARIABLE].rpartition('/')[0]}/{name}")


def _name(store: str | None) -> str:
    return str(store).rpartition("/")[2]


def _bytes(value: Any) -> bytes:
    return value if isinstance(value, bytes) else str(value).encode()


def _connected(database: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"{database.absolute().as_uri()}?mode=ro", uri=True)

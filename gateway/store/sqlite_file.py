"""
One SQLite file: opening it in its right form, transactions, and a thread that uses it alone.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from gateway.domain.errors import Unavailable
from gateway.store import sql
from gateway.store.records import StoreTooOld, require_format
from gateway.store.steps import Fetch, FetchEach, Result, Row, Steps, Write

LONG_BUSY_MS: Final = 5_000
"""How long work that is no lookup may wait for a lock."""


@contextmanager
def transaction(connection: sqlite3.Connection, begin: str = "BEGIN IMMEDIATE") -> Iterator[None]:
    """All of the statements within, or none; `BEGIN` alone gives reads one moment to look at."""
    connection.execute(begin)
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def connected(database: Path, mode: str, busy_ms: int) -> sqlite3.Connection:
    """
    Open a connection without implicit transactions, which any one thread at a time may use.

    Args:
        mode: `ro`, `rw`, or `rwc` to create the file.
    """
    return sqlite3.connect(
        f"{database.absolute().as_uri()}?mode={mode}",
        uri=True,
        timeout=busy_ms / 1000,
        isolation_level=None,
        check_same_thread=False,
    )


def format_of(connection: sqlite3.Connection) -> tuple[str, int]:
    """Give the schema's revision and the projections' format; ("", 0) before any migration."""
    try:
        row = connection.execute(sql.FORMAT).fetchone()
    except sqlite3.OperationalError as error:
        if "no such table" not in str(error):
            raise
        row = None
    return row or ("", 0)


def opened(database: Path, mode: str, busy_ms: int) -> sqlite3.Connection:
    """
    Open the main database.

    Raises:
        StoreTooOld: It must be migrated first, or does not exist.
        StoreTooNew: A newer version of the gateway wrote it.
    """
    try:
        connection = connected(database, mode, busy_ms)
    except sqlite3.OperationalError as error:
        if database.exists():
            raise Unavailable("STORE_UNAVAILABLE") from error
        raise StoreTooOld("there is no database yet: migrate first") from None
    try:
        require_format(*format_of(connection))
    except BaseException:
        connection.close()
        raise
    return connection


def taken(connection: sqlite3.Connection, steps: Steps[Result]) -> Result:
    """Take steps, within the caller's transaction."""
    rows: Sequence[Row] = ()
    try:
        step = next(steps)
        while True:
            match step:
                case Fetch(statement, values):
                    rows = connection.execute(statement, values).fetchall()
                case FetchEach(statement, several):
                    rows = [
                        row
                        for values in several
                        for row in connection.execute(statement, values).fetchall()
                    ]
                case Write(statement, several):
                    connection.executemany(statement, several)
                    rows = ()
            step = steps.send(rows)
    except StopIteration as end:
        result: Result = end.value
        return result


class Line:
    """A connection and the one thread that uses it."""

    def __init__(self, connection: sqlite3.Connection, name: str) -> None:
        self._connection = connection
        self._threads = ThreadPoolExecutor(max_workers=1, thread_name_prefix=name)

    async def run(self, work: Callable[[sqlite3.Connection], Result]) -> Result:
        """Do a piece of work in the thread; an engine that cannot is `STORE_UNAVAILABLE`."""
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(self._threads, work, self._connection)
        except sqlite3.OperationalError as error:
            raise Unavailable("STORE_UNAVAILABLE") from error

    async def read(self, steps: Steps[Result]) -> Result:
        """Take steps that only read, at one moment of the database."""
        return await self.run(lambda connection: _taken_within(connection, "BEGIN", steps))

    async def write(self, steps: Steps[Result]) -> Result:
        """Take steps in one transaction; nothing of it is kept if one fails."""
        return await self.run(
            lambda connection: _taken_within(connection, "BEGIN IMMEDIATE", steps)
        )

    async def close(self) -> None:
        """Close the connection once the work under way is done."""
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(self._threads, self._connection.close)
        self._threads.shutdown()


def _taken_within(connection: sqlite3.Connection, begin: str, steps: Steps[Result]) -> Result:
    with transaction(connection, begin):
        return taken(connection, steps)

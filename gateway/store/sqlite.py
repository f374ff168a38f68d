"""
The store on SQLite, through the standard library's driver.

A lookup is one statement of about 12 microseconds and runs in the event loop itself, because
handing it to a thread would cost seven times that (house 11, Hot read). Everything longer, and
everything that writes, runs in a thread of its own, one hop for a whole piece of work.
"""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Final

from gateway.domain.card import CardKey
from gateway.domain.compact import Render
from gateway.domain.coverage import History
from gateway.domain.errors import Unavailable
from gateway.domain.identifiers import LookupKey, PersonKey
from gateway.domain.lag import LagRules
from gateway.store import sql, sql_answers, sql_lag
from gateway.store.by_steps import (
    ENROLLEES_A_PERSON_MAX,
    StepReader,
    StepStore,
    holder_known,
    last_known,
)
from gateway.store.by_steps_beside import StepChanges, StepFilings
from gateway.store.port import Batch
from gateway.store.port_answers import HolderKnown, LastKnown
from gateway.store.records import ImpossibleBatch, decode_history
from gateway.store.sqlite_file import LONG_BUSY_MS, Line, connected, opened
from gateway.store.steps import Result, Steps

HOT_BUSY_MS: Final = 20
"""How long a lookup may wait for a lock. Readers wait only while a log is recovered or reset."""

HOT_CACHE_KIB: Final = 65_536
"""Pages of the database a hot connection may keep; never a copy of answers."""

WRITE_CACHE_KIB: Final = 32_768
"""Pages of the database the writing connection may keep."""

LOG_PAGES_MAX: Final = 4_000
"""A commit that finds more pages than this in the log moves what is left of it into the database
itself."""

CHECKPOINT_ROWS: Final = 1_000
"""After so many rows the log is moved into the database beside the next commits."""


class SqliteReader(StepReader):
    """`Reading` from a database another process may be writing; opens it read-only."""

    def __init__(self, database: Path, render: Render, *, is_current: bool = True) -> None:
        """
        Open a database.

        Args:
            render: Spells the sheets of compact histories.

            is_current: Whether the database must have this version's form.

        Raises:
            StoreTooOld: As `opened`.
            StoreTooNew: As `opened`.
        """
        self._render = render
        self._hot = (opened if is_current else connected)(database, "ro", HOT_BUSY_MS)
        self._hot.execute(f"PRAGMA cache_size = -{HOT_CACHE_KIB}")
        self._reads = Line(connected(database, "ro", LONG_BUSY_MS), "store-reads")

    async def close(self) -> None:
        """Close the connections."""
        self._hot.close()
        await self._reads.close()

    async def matching_last(self, key: LookupKey, birth_date: date, people_max: int) -> LastKnown:
        """See `Answering`. Does not await: it is shorter than a hop."""
        question = (key, birth_date.isoformat(), people_max * ENROLLEES_A_PERSON_MAX + 1)
        try:
            rows = self._hot.execute(sql_answers.MATCHING_LAST, question).fetchall()
        except sqlite3.OperationalError as error:
            raise Unavailable("STORE_UNAVAILABLE") from error
        return last_known(rows, people_max)

    async def by_card_last(self, card_key: CardKey) -> HolderKnown:
        """See `Answering`. Does not await, as `matching_last`."""
        try:
            row = self._hot.execute(sql_answers.BY_CARD_LAST, (card_key,)).fetchone()
        except sqlite3.OperationalError as error:
            raise Unavailable("STORE_UNAVAILABLE") from error
        return holder_known(row)

    async def cards_of(self, person_key: PersonKey, cards_max: int) -> Sequence[CardKey]:
        """See `Reading`. Does not await, as `matching_last`."""
        try:
            rows = self._hot.execute(sql.CARDS_OF, (person_key, cards_max)).fetchall()
        except sqlite3.OperationalError as error:
            raise Unavailable("STORE_UNAVAILABLE") from error
        return [card_key for (card_key,) in rows]

    async def history_of(self, person_key: PersonKey) -> History | None:
        """See `Reading`. Does not await, as `matching_last`."""
        try:
            row = self._hot.execute(sql.HISTORY, (person_key,)).fetchone()
        except sqlite3.OperationalError as error:
            raise Unavailable("STORE_UNAVAILABLE") from error
        return None if row is None else decode_history(row[0])

    async def _read(self, steps: Steps[Result]) -> Result:
        return await self._reads.read(steps)


class SqliteStore(SqliteReader, StepStore):
    """`Writing`: the one writer of a database."""

    def __init__(self, database: Path, render: Render) -> None:
        """Open a database, as `SqliteReader`."""
        super().__init__(database, render)
        connection = connected(database, "rw", LONG_BUSY_MS)
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA secure_delete = ON")
        connection.execute(f"PRAGMA wal_autocheckpoint = {LOG_PAGES_MAX}")
        connection.execute(f"PRAGMA cache_size = -{WRITE_CACHE_KIB}")
        self._writes = Line(connection, "store-writes")
        checkpoints = connected(database, "rw", LONG_BUSY_MS)
        checkpoints.execute("PRAGMA synchronous = FULL")
        self._checkpoints = Line(checkpoints, "store-checkpoints")
        self._checkpoint: asyncio.Task[None] | None = None
        self._rows_since = 0
        self.deposed = asyncio.Event()
        self.lag_rules = LagRules()
        self.on_passed = None
        self.on_changed = None

    async def close(self) -> None:
        """Close the connections; the writer's comes last, so that it leaves no log behind."""
        await super().close()
        if self._checkpoint is not None:
            await self._checkpoint
        await self._checkpoints.close()
        await self._writes.close()

    async def commit(self, batch: Batch) -> None:
        """See `StepStore`."""
        await super().commit(batch)
        self._rows_since += len(batch.versions) + len(batch.links) + len(batch.checks)
        if self._rows_since >= CHECKPOINT_ROWS and (
            self._checkpoint is None or self._checkpoint.done()
        ):
            self._rows_since = 0
            self._checkpoint = asyncio.create_task(self._move_log())

    async def _move_log(self) -> None:
        """Move the log into the database beside the next commits, which then need not."""
        with contextlib.suppress(Unavailable):
            await self._checkpoints.run(lambda line: line.execute(sql.MOVE_LOG).fetchall())

    async def _read_as_writer(self, steps: Steps[Result]) -> Result:
        return await self._writes.read(steps)

    async def _write(self, steps: Steps[Result]) -> Result:
        try:
            return await self._writes.write(steps)
        except sqlite3.IntegrityError:
            raise ImpossibleBatch("a version of a cover is there already") from None


class SqliteFilings(StepFilings):
    """`Filings` over a connection of its own; opens the database read-only."""

    def __init__(self, database: Path) -> None:
        self._reads = Line(connected(database, "ro", LONG_BUSY_MS), "lag-reads")

    async def _read(self, steps: Steps[Result]) -> Result:
        return await self._reads.read(steps)

    async def close(self) -> None:
        """Close the connection."""
        await self._reads.close()


class SqliteChanges(StepChanges):
    """Insurers' streams over a connection of its own; opens the database read-only."""

    def __init__(self, database: Path) -> None:
        self._reads = Line(connected(database, "ro", LONG_BUSY_MS), "feed-reads")

    async def _read(self, steps: Steps[Result]) -> Result:
        return await self._reads.read(steps)

    async def close(self) -> None:
        """Close the connection."""
        await self._reads.close()


def open_cases(database: Path) -> tuple[int, int]:
    """How many cases of a database wait for their link, and to be seen by card."""
    with contextlib.closing(connected(database, "ro", LONG_BUSY_MS)) as connection:
        unlinked, unseen = connection.execute(sql_lag.OPEN_CASES).fetchone()
    return unlinked, unseen

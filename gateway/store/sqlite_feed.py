"""The feed on SQLite: changes written with the batch that makes them, read beside it."""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from gateway.domain.feed import ChangeEvent, EnrolleeChange
from gateway.domain.identifiers import InsurerNumber
from gateway.domain.period import Instant
from gateway.store import sql_feed
from gateway.store.port import Batch
from gateway.store.port_feed import Ends
from gateway.store.sqlite_file import LONG_BUSY_MS, Line, connected, transaction


class SqliteChanges:
    """Insurers' streams from a database another connection may be writing; opens it read-only."""

    def __init__(self, database: Path) -> None:
        self._reads = Line(connected(database, "ro", LONG_BUSY_MS), "feed-reads")

    async def close(self) -> None:
        """Close the connection."""
        await self._reads.close()

    async def ends(self, code: str, sequence: int) -> Ends:
        """See `Stream`."""
        row = await self._reads.run(
            lambda line: line.execute(sql_feed.CHANGE_ENDS, (code, sequence)).fetchone()
        )
        return Ends(*row)

    async def after(self, code: str, sequence: int, events_max: int) -> Sequence[ChangeEvent]:
        """See `Stream`."""
        question = (code, sequence, events_max)
        return await self._reads.run(
            lambda line: [
                sql_feed.change_of(row)
                for row in line.execute(sql_feed.CHANGES_AFTER, question).fetchall()
            ]
        )


def write_changes(connection: sqlite3.Connection, batch: Batch) -> None:
    """Number a batch's changes on in their insurers' streams; within the batch's transaction."""
    by_insurer: dict[InsurerNumber, list[EnrolleeChange]] = defaultdict(list)
    for change in batch.changes:
        by_insurer[change.insurer_number].append(change)
    for insurer, changes in by_insurer.items():
        last = connection.execute(sql_feed.LAST_CHANGE, (insurer.zero_padded,)).fetchone()
        first = last[0] + 1 if last else 1
        connection.executemany(
            sql_feed.ADD_CHANGE,
            [
                sql_feed.change_row(change, sequence, batch.recorded_time)
                for sequence, change in enumerate(changes, first)
            ],
        )


def forget_changes(connection: sqlite3.Connection, before: Instant, events_max: int) -> int:
    """Forget changes recorded before an instant, at most so many; give how many."""
    with transaction(connection):
        return connection.execute(sql_feed.FORGET_CHANGES, (before, events_max)).rowcount

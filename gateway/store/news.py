"""
The news of institutions: which of the confirmations they got are out of date.

A file of its own beside the main database, so that telling institutions takes nothing from
applying; it attaches the trail read-only and finds what is out of date by one statement a step.
News and how far they were told are one transaction. Source: decision 0019.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from gateway.domain.feed import NewsEvent
from gateway.domain.period import Instant
from gateway.store import sql_feed
from gateway.store.by_steps_beside import StepChanges
from gateway.store.port_feed import Ends
from gateway.store.sqlite_file import LONG_BUSY_MS, Line, connected, transaction
from gateway.store.steps_reads import Concerned


@dataclass(frozen=True, slots=True)
class NewsRules:
    """
    Which confirmations count, all spans in microseconds.

    One asked for up to `settle` after a change was recorded may still have missed it; one older
    than `window` is nobody's business any more.
    """

    settle: int
    window: int


class NewsBook:
    """Institutions' streams, and the one who writes them; there is one, in the writer."""

    def __init__(self, path: Path, changes: StepChanges, trail: Path, rules: NewsRules) -> None:
        """
        Open the book in a file, made if there is none.

        Args:
            path: The file.

            changes: What is told of; the caller closes it.

            trail: The index of the access trail, which exists.

            rules: Which confirmations count.
        """
        connection = connected(path, "rwc", LONG_BUSY_MS)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.executescript(sql_feed.NEWS_SCHEMA)
        connection.execute(sql_feed.CONCERNED_TABLE)
        uri = f"{trail.absolute().as_uri()}?mode=ro"
        connection.execute(sql_feed.ATTACH.format("trail"), (uri,))
        self._changes = changes
        self._rules = rules
        self._writes = Line(connection, "feed-news")
        self._reads = Line(connected(path, "ro", LONG_BUSY_MS), "feed-news-reads")

    async def close(self) -> None:
        """Close the connections."""
        await self._reads.close()
        await self._writes.close()

    async def untold(self) -> Instant | None:
        """Give when the newest change was recorded that nobody was told of yet; None if none."""
        newest = await self._changes.newest()
        return newest if newest > await self.told_until() else None

    async def tell(self, until: Instant, changes_max: int) -> Sequence[str] | None:
        """
        Write the news of the next changes recorded up to an instant, about so many.

        A commit's changes are told together.

        Returns:
            The codes of institutions with news; None if there was no change left.
        """
        after = await self.told_until()
        if after >= until:
            return None
        step = await self._changes.concerned(after, until, changes_max)

        def write(connection: sqlite3.Connection) -> Sequence[str]:
            with transaction(connection, "BEGIN"):
                return self._told(connection, step)

        return await self._writes.run(write)

    async def told_until(self) -> Instant:
        """Give up to when recorded changes were told of, inclusive."""
        return Instant(
            await self._writes.run(lambda line: line.execute(sql_feed.TOLD_UNTIL).fetchone()[0])
        )

    async def ends(self, code: str, sequence: int) -> Ends:
        """See `Stream`."""
        row = await self._reads.run(
            lambda line: line.execute(sql_feed.NEWS_ENDS, (code, sequence)).fetchone()
        )
        return Ends(*row)

    async def after(self, code: str, sequence: int, events_max: int) -> Sequence[NewsEvent]:
        """See `Stream`."""
        question = (code, sequence, events_max)
        return await self._reads.run(
            lambda line: [
                sql_feed.news_of(row)
                for row in line.execute(sql_feed.NEWS_AFTER, question).fetchall()
            ]
        )

    async def forget(self, before: Instant, events_max: int) -> int:
        """Forget news of changes recorded before an instant, at most so many; give how many."""

        def write(connection: sqlite3.Connection) -> int:
            with transaction(connection, "BEGIN"):
                return connection.execute(sql_feed.FORGET_NEWS, (before, events_max)).rowcount

        return await self._writes.run(write)

    def _told(self, connection: sqlite3.Connection, step: Concerned) -> Sequence[str]:
        connection.execute(sql_feed.CLEAR_CONCERNED)
        connection.executemany(sql_feed.ADD_CONCERNED, step.people)
        rules = {"settle": self._rules.settle, "window": self._rules.window}
        found = connection.execute(sql_feed.OUT_OF_DATE, rules).fetchall()
        connection.executemany(
            sql_feed.ADD_NEWS,
            [(code, recorded, person, record) for code, record, person, recorded in found],
        )
        connection.execute(sql_feed.SET_TOLD_UNTIL, (step.until,))
        return sorted({code for code, *_ in found})

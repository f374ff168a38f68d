"""
The news of institutions: which of the confirmations they got are out of date.

A file of its own beside the main database, so that telling institutions takes nothing from
applying; it attaches the main database and the trail read-only and finds what is out of date by
one statement a step. News and how far they were told are one transaction. Source: decision 0019.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from gateway.domain.feed import OF_LINKS, NewsEvent
from gateway.domain.period import Instant
from gateway.store import sql_feed
from gateway.store.port_feed import Ends
from gateway.store.sqlite_file import LONG_BUSY_MS, Line, connected, transaction


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

    def __init__(self, path: Path, facts: Path, trail: Path, rules: NewsRules) -> None:
        """
        Open the book in a file, made if there is none.

        Args:
            path: The file.

            facts: The main database.

            trail: The index of the access trail, which exists.

            rules: Which confirmations count.
        """
        connection = connected(path, "rwc", LONG_BUSY_MS)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.executescript(sql_feed.NEWS_SCHEMA)
        for name, file in (("facts", facts), ("trail", trail)):
            uri = f"{file.absolute().as_uri()}?mode=ro"
            connection.execute(sql_feed.ATTACH.format(name), (uri,))
        self._rules = rules
        self._writes = Line(connection, "feed-news")
        self._reads = Line(connected(path, "ro", LONG_BUSY_MS), "feed-news-reads")

    async def close(self) -> None:
        """Close the connections."""
        await self._reads.close()
        await self._writes.close()

    async def untold(self) -> Instant | None:
        """Give when the newest change was recorded that nobody was told of yet; None if none."""

        def read(connection: sqlite3.Connection) -> Instant | None:
            (told,) = connection.execute(sql_feed.TOLD_UNTIL).fetchone()
            (newest,) = connection.execute(sql_feed.NEWEST_CHANGE).fetchone()
            return Instant(newest) if newest > told else None

        return await self._writes.run(read)

    async def tell(self, until: Instant, changes_max: int) -> Sequence[str] | None:
        """
        Write the news of the next changes recorded up to an instant, about so many.

        A commit's changes are told together.

        Returns:
            The codes of institutions with news; None if there was no change left.
        """

        def write(connection: sqlite3.Connection) -> Sequence[str] | None:
            with transaction(connection, "BEGIN"):
                return self._told(connection, until, changes_max)

        return await self._writes.run(write)

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

    def _told(
        self, connection: sqlite3.Connection, until: Instant, changes_max: int
    ) -> Sequence[str] | None:
        (after,) = connection.execute(sql_feed.TOLD_UNTIL).fetchone()
        if after >= until:
            return None
        end = connection.execute(sql_feed.STEP_END, (after, until, changes_max - 1)).fetchone()
        step = {
            "after": after,
            "until": until if end is None else end[0],
            "links": OF_LINKS.value,
            "settle": self._rules.settle,
            "window": self._rules.window,
        }
        found = connection.execute(sql_feed.OUT_OF_DATE, step).fetchall()
        connection.executemany(
            sql_feed.ADD_NEWS,
            [(code, recorded, person, record) for code, record, person, recorded in found],
        )
        connection.execute(sql_feed.SET_TOLD_UNTIL, (step["until"],))
        return sorted({code for code, *_ in found})

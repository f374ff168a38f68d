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
from collections.abc import Callable, Collection, Sequence
from datetime import date
from pathlib import Path
from typing import Final

from gateway.domain.card import CardKey
from gateway.domain.compact import CompactHistory, Render, compact
from gateway.domain.coverage import History
from gateway.domain.errors import TooMuch, Unavailable
from gateway.domain.identifiers import EnrolleeKey, InsurerNumber, LookupKey, PersonKey
from gateway.domain.lag import LagRules
from gateway.domain.period import Instant
from gateway.store import sql, sql_uploads
from gateway.store.facts import history_known_at
from gateway.store.port import (
    Batch,
    CardHolder,
    Enrollee,
    Loaded,
    NumberCheck,
    RefusedLine,
    Upload,
    UploadKey,
)
from gateway.store.records import ImpossibleBatch, decode_compact, decode_history
from gateway.store.sqlite_feed import forget_changes, write_changes
from gateway.store.sqlite_file import LONG_BUSY_MS, Line, connected, opened, transaction
from gateway.store.sqlite_insurers import SqliteLists, write_lists
from gateway.store.sqlite_lag import Passed, write_cases
from gateway.store.sqlite_numbers import SqliteNumbers
from gateway.store.sqlite_why import SqliteWhy

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

ENROLLEES_A_PERSON_MAX: Final = 4
"""Enrollees of one person under one key and birth date, on average over the people found."""

ENROLLEES_EXAMINED_MAX: Final = 1_000
"""Enrollees under one key and birth date a read as of another time looks at."""


class SqliteReader(SqliteWhy):
    """`Reading` from a database another process may be writing; opens it read-only."""

    def __init__(self, database: Path, render: Render) -> None:
        """
        Open a database.

        Args:
            render: Spells the sheets of compact histories.

        Raises:
            StoreTooOld: As `opened`.
            StoreTooNew: As `opened`.
        """
        self._render = render
        self._hot = opened(database, "ro", HOT_BUSY_MS)
        self._hot.execute(f"PRAGMA cache_size = -{HOT_CACHE_KIB}")
        self._reads = Line(connected(database, "ro", LONG_BUSY_MS), "store-reads")

    async def close(self) -> None:
        """Close the connections."""
        self._hot.close()
        await self._reads.close()

    async def matching(
        self, key: LookupKey, birth_date: date, people_max: int
    ) -> Sequence[CompactHistory]:
        """See `Reading`. Does not await: it is shorter than a hop."""
        question = (key, birth_date.isoformat(), people_max * ENROLLEES_A_PERSON_MAX + 1)
        try:
            rows = self._hot.execute(sql.MATCHING, question).fetchall()
        except sqlite3.OperationalError as error:
            raise Unavailable("STORE_UNAVAILABLE") from error
        found = [decode_compact(body) for (body,) in rows]
        if len(found) > 1:
            people = {history.person_key: history for history in found}
            found = [people[person_key] for person_key in sorted(people)]
            if len(found) > people_max or len(rows) > people_max * ENROLLEES_A_PERSON_MAX:
                raise TooMuch("TOO_MANY_MATCHES")
        return found

    async def by_card(self, card_key: CardKey) -> CardHolder | None:
        """See `Reading`. Does not await, as `matching`."""
        try:
            row = self._hot.execute(sql.BY_CARD, (card_key,)).fetchone()
        except sqlite3.OperationalError as error:
            raise Unavailable("STORE_UNAVAILABLE") from error
        if row is None:
            return None
        person_key, body = row
        return CardHolder(person_key, None if body is None else decode_compact(body))

    async def cards_of(self, person_key: PersonKey, cards_max: int) -> Sequence[CardKey]:
        """See `Reading`. Does not await, as `matching`."""
        try:
            rows = self._hot.execute(sql.CARDS_OF, (person_key, cards_max)).fetchall()
        except sqlite3.OperationalError as error:
            raise Unavailable("STORE_UNAVAILABLE") from error
        return [card_key for (card_key,) in rows]

    async def history_of(self, person_key: PersonKey) -> History | None:
        """See `Reading`. Does not await, as `matching`."""
        try:
            return _history(self._hot, person_key)
        except sqlite3.OperationalError as error:
            raise Unavailable("STORE_UNAVAILABLE") from error

    async def matching_known_at(
        self, key: LookupKey, birth_date: date, known: Instant, people_max: int
    ) -> Sequence[CompactHistory]:
        """See `Reading`; gives only those whose covers matched then."""

        def read(connection: sqlite3.Connection) -> Sequence[CompactHistory]:
            with transaction(connection, "BEGIN"):
                found = _matching_known_at(connection, key, birth_date, known, people_max)
            return [compact(history, self._render) for history in found]

        return await self._reads.run(read)

    async def checks_received(self, checks_max: int) -> Sequence[NumberCheck]:
        """See `Writing`."""

        def read(connection: sqlite3.Connection) -> list[NumberCheck]:
            singly = connection.execute(sql.CHECKS_RECEIVED_SINGLY, (checks_max,)).fetchall()
            left = checks_max - len(singly)
            rows = connection.execute(sql.CHECKS_RECEIVED, (left,)).fetchall() if left else []
            return [sql.check_of(row) for row in (*singly, *rows)]

        return await self._reads.run(read)


class SqliteStore(SqliteNumbers, SqliteReader, SqliteLists):
    """`Writing`: the one writer of a database."""

    def __init__(self, database: Path, render: Render) -> None:
        """Open a database, as `SqliteReader`."""
        super().__init__(database, render)
        connection = connected(database, "rw", LONG_BUSY_MS)
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute(f"PRAGMA wal_autocheckpoint = {LOG_PAGES_MAX}")
        connection.execute(f"PRAGMA cache_size = -{WRITE_CACHE_KIB}")
        self._writes = Line(connection, "store-writes")
        checkpoints = connected(database, "rw", LONG_BUSY_MS)
        checkpoints.execute("PRAGMA synchronous = FULL")
        self._checkpoints = Line(checkpoints, "store-checkpoints")
        self._checkpoint: asyncio.Task[None] | None = None
        self._rows_since = 0
        self.lag_rules = LagRules()
        self.on_passed: Callable[[Sequence[Passed]], None] | None = None
        """Told of the stages of cases each commit passed."""
        self.on_changed: Callable[[Batch], None] | None = None
        """Told of each batch that changed an enrollee, once it is committed."""

    async def close(self) -> None:
        """Close the connections; the writer's comes last, so that it leaves no log behind."""
        await super().close()
        if self._checkpoint is not None:
            await self._checkpoint
        await self._checkpoints.close()
        await self._writes.close()

    async def load(
        self,
        keys: Collection[LookupKey],
        people: Collection[PersonKey],
        enrollees: Collection[EnrolleeKey] = (),
    ) -> Loaded:
        """See `Writing`."""

        def read(connection: sqlite3.Connection) -> Loaded:
            with transaction(connection, "BEGIN"):
                return _load(connection, keys, people, enrollees)

        return await self._writes.run(read)

    async def commit(self, batch: Batch) -> None:
        """See `Writing`; raises `ImpossibleBatch` where a version does not follow the last."""

        def write(connection: sqlite3.Connection) -> Sequence[Passed]:
            try:
                with transaction(connection):
                    _write(connection, batch, self._render)
                    return write_cases(connection, batch, self.lag_rules)
            except sqlite3.IntegrityError:
                raise ImpossibleBatch("a version of a cover is there already") from None

        passed = await self._writes.run(write)
        if self.on_passed is not None:
            self.on_passed(passed)
        if self.on_changed is not None and batch.changes:
            self.on_changed(batch)
        self._rows_since += len(batch.versions) + len(batch.links) + len(batch.checks)
        if self._rows_since >= CHECKPOINT_ROWS and (
            self._checkpoint is None or self._checkpoint.done()
        ):
            self._rows_since = 0
            self._checkpoint = asyncio.create_task(self._move_log())

    async def forget_changes(self, before: Instant, events_max: int) -> int:
        """Forget changes recorded before an instant, at most so many; give how many."""
        return await self._writes.run(lambda line: forget_changes(line, before, events_max))

    async def _move_log(self) -> None:
        """Move the log into the database beside the next commits, which then need not."""
        with contextlib.suppress(Unavailable):
            await self._checkpoints.run(lambda line: line.execute(sql.MOVE_LOG).fetchall())

    async def checks_unstamped(self, checks_max: int) -> Sequence[NumberCheck]:
        """See `Writing`."""
        rows = await self._reads.run(
            lambda line: line.execute(sql.CHECKS_UNSTAMPED, (checks_max,)).fetchall()
        )
        return [sql.check_of(row) for row in rows]

    async def forerunners_of(self, person_key: PersonKey, people_max: int) -> Sequence[PersonKey]:
        """See `Writing`."""

        def read(connection: sqlite3.Connection) -> Sequence[PersonKey]:
            with transaction(connection, "BEGIN"):
                return _forerunners_of(connection, person_key)[:people_max]

        return await self._reads.run(read)

    async def last_recorded_time(self) -> Instant:
        """See `Writing`."""
        return Instant(
            await self._writes.run(lambda line: line.execute(sql.LAST_RECORDED).fetchone()[0])
        )

    async def upload(self, upload_key: UploadKey) -> Upload | None:
        """See `Writing`."""
        row = await self._writes.run(
            lambda line: line.execute(sql.UPLOAD, (upload_key,)).fetchone()
        )
        return None if row is None else sql.upload_of(row)

    async def unapplied_uploads(self) -> Sequence[Upload]:
        """See `Writing`."""
        rows = await self._writes.run(lambda line: line.execute(sql.UNAPPLIED_UPLOADS).fetchall())
        return [sql.upload_of(row) for row in rows]

    async def refused_lines(
        self, upload_key: UploadKey, lines_max: int, after: RefusedLine | None = None
    ) -> Sequence[RefusedLine]:
        """See `Writing`."""
        place = (after.line_number, after.column, after.reason) if after else (0, "", "")
        question = (upload_key, *place, lines_max)
        rows = await self._writes.run(
            lambda line: line.execute(sql_uploads.REFUSED_LINES, question).fetchall()
        )
        return [RefusedLine(*row) for row in rows]


def _history(connection: sqlite3.Connection, person_key: PersonKey) -> History | None:
    row = connection.execute(sql.HISTORY, (person_key,)).fetchone()
    return None if row is None else decode_history(row[0])


def _matching_known_at(
    connection: sqlite3.Connection,
    key: LookupKey,
    birth_date: date,
    known: Instant,
    people_max: int,
) -> list[History]:
    question = (key, birth_date.isoformat(), ENROLLEES_EXAMINED_MAX + 1)
    enrollees = connection.execute(sql.ENROLLEES_UNDER, question).fetchall()
    if len(enrollees) > ENROLLEES_EXAMINED_MAX:
        raise TooMuch("TOO_MANY_MATCHES")
    people = {
        person_key
        for enrollee in enrollees
        for (person_key,) in connection.execute(sql.PEOPLE_OF_ENROLLEE, enrollee).fetchall()
    }
    found: list[History] = []
    for person_key in sorted(people):
        history = history_known_at(connection, person_key, 0, known)
        if any(
            cover.birth_date == birth_date and cover.insured_id.lookup_key == key
            for enrolment in history.enrolments
            for cover in enrolment.covers
        ):
            found.append(history)
        if len(found) > people_max:
            raise TooMuch("TOO_MANY_MATCHES")
    return found


def _load(
    connection: sqlite3.Connection,
    keys: Collection[LookupKey],
    people: Collection[PersonKey],
    enrollee_keys: Collection[EnrolleeKey],
) -> Loaded:
    concerned = set(people)
    for enrollee_key in enrollee_keys:
        rows = connection.execute(sql.PEOPLE_OF_ENROLLEE, (enrollee_key,)).fetchall()
        concerned.update(person_key for (person_key,) in rows)
    for key in keys:
        rows = connection.execute(sql.PEOPLE_UNDER, (key,)).fetchall()
        concerned.update(person_key for (person_key,) in rows)
    versions: dict[PersonKey, int] = {}
    enrollees: list[Enrollee] = []
    for person_key in concerned:
        history = _history(connection, person_key)
        versions[person_key] = 0 if history is None else history.version
        for enrolment in () if history is None else history.enrolments:
            insurer = _insurer(connection, enrolment.enrollee_key)
            told = connection.execute(sql.LAST_CHECK, (enrolment.enrollee_key,)).fetchone()
            check = None if told is None else sql.check_of(told)
            enrollees.append(Enrollee(insurer, person_key, enrolment, check))
    enrollees.sort(key=lambda enrollee: enrollee.enrolment.enrollee_key)
    return Loaded(tuple(enrollees), versions)


def _forerunners_of(connection: sqlite3.Connection, person_key: PersonKey) -> list[PersonKey]:
    history = _history(connection, person_key)
    found = {
        one
        for enrolment in (() if history is None else history.enrolments)
        for (one,) in connection.execute(
            sql.PEOPLE_OF_ENROLLEE, (enrolment.enrollee_key,)
        ).fetchall()
        if connection.execute(sql.WAS_UNNUMBERED, (one, enrolment.enrollee_key)).fetchone()
    }
    return sorted(found - {person_key})


def _insurer(connection: sqlite3.Connection, enrollee_key: EnrolleeKey) -> InsurerNumber:
    (insurer_number,) = connection.execute(sql.INSURER, (enrollee_key,)).fetchone()
    return InsurerNumber(insurer_number)


def _write(connection: sqlite3.Connection, batch: Batch, render: Render) -> None:
    """Write a batch in order of keys, so that neighbours fall on one page."""
    many = connection.executemany
    versions = sorted(batch.versions, key=lambda version: version.enrollee_key)
    many(
        sql.ADD_ENROLLEE,
        sorted({(one.enrollee_key, one.insurer_number.zero_padded) for one in versions}),
    )
    many(sql.ADD_VERSION, map(sql.version_row, versions))
    closing = sql.closing_rows(versions)
    if closing and many(sql.CLOSE_VERSION, closing).rowcount != len(closing):
        raise ImpossibleBatch("a version does not follow the last one of its cover")
    links = sql.last_links(batch.links)
    now = batch.recorded_time
    replaced = [link for link in links if link.replaces is not None]
    many(sql.CLOSE_LINK, [(now, link.replaces, link.enrollee_key) for link in replaced])
    many(
        sql.ADD_LINK,
        [(link.person_key, link.enrollee_key, now, link.is_numbered) for link in links],
    )
    many(sql.ADD_ENROLLEE_PERSON, sorted((link.enrollee_key, link.person_key) for link in links))
    many(sql.PUT_LOOKUP, sql.lookup_rows(batch))
    many(sql.PUT_HISTORY, sql.history_rows(batch, render))
    many(sql.PUT_CHECK, map(sql.check_row, batch.checks))
    many(sql.PUT_CARD, [(card.card_key, card.person_key, now) for card in batch.cards])
    many(sql.PUT_PERSON_CARD, [(card.person_key, card.card_key, now) for card in batch.cards])
    if batch.upload is not None:
        key = batch.upload.upload_key
        connection.execute(sql.PUT_UPLOAD, sql.upload_row(batch.upload))
        if batch.is_upload_begun_anew:
            connection.execute(sql_uploads.FORGET_REFUSED_LINES, (key,))
        many(
            sql_uploads.ADD_REFUSED_LINE,
            [(key, line.line_number, line.column, line.reason) for line in batch.refused_lines],
        )
    write_lists(connection, batch)
    write_changes(connection, batch)
    connection.execute(sql.SET_LAST_RECORDED, (now,))

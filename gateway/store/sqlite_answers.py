"""Answers that can be asked again, from SQLite: the hot reads with the time they are as of."""

from __future__ import annotations

import sqlite3
from datetime import date

from gateway.domain.card import CardKey
from gateway.domain.compact import CompactHistory, Render, compact
from gateway.domain.errors import TooMuch, Unavailable
from gateway.domain.identifiers import LookupKey, PersonKey
from gateway.domain.period import Instant
from gateway.store import sql_answers
from gateway.store.disposal import disposed_before
from gateway.store.facts import history_known_at
from gateway.store.port import CardHolder
from gateway.store.port_answers import HolderKnown, LastKnown
from gateway.store.records import decode_compact
from gateway.store.sqlite import ENROLLEES_A_PERSON_MAX, SqliteReader, SqliteStore
from gateway.store.sqlite_file import Line, transaction


class SqliteAnswers:
    """A part of a reader: what `Answering` asks besides `Reading`."""

    _hot: sqlite3.Connection
    _reads: Line
    _render: Render

    async def matching_last(self, key: LookupKey, birth_date: date, people_max: int) -> LastKnown:
        """See `Answering`. Does not await: it is shorter than a hop."""
        question = (key, birth_date.isoformat(), people_max * ENROLLEES_A_PERSON_MAX + 1)
        try:
            rows = self._hot.execute(sql_answers.MATCHING_LAST, question).fetchall()
        except sqlite3.OperationalError as error:
            raise Unavailable("STORE_UNAVAILABLE") from error
        at = rows[0][0]
        found = [decode_compact(body) for _, body in rows if body is not None]
        if len(found) > 1:
            people = {history.person_key: history for history in found}
            found = [people[person_key] for person_key in sorted(people)]
            if len(found) > people_max or len(rows) > people_max * ENROLLEES_A_PERSON_MAX:
                raise TooMuch("TOO_MANY_MATCHES")
        return LastKnown(found, at)

    async def by_card_last(self, card_key: CardKey) -> HolderKnown:
        """See `Answering`. Does not await, as `matching_last`."""
        try:
            row = self._hot.execute(sql_answers.BY_CARD_LAST, (card_key,)).fetchone()
        except sqlite3.OperationalError as error:
            raise Unavailable("STORE_UNAVAILABLE") from error
        at, person_key, body = row
        if person_key is None:
            return HolderKnown(None, at)
        return HolderKnown(
            CardHolder(person_key, None if body is None else decode_compact(body)), at
        )

    async def person_known_at(self, person_key: PersonKey, known: Instant) -> CompactHistory:
        """See `Answering`."""

        def read(connection: sqlite3.Connection) -> CompactHistory:
            with transaction(connection, "BEGIN"):
                history = history_known_at(connection, person_key, 0, known)
            return compact(history, self._render)

        return await self._reads.run(read)

    async def disposed_before(self) -> Instant:
        """See `Disposing`."""
        return await self._reads.run(disposed_before)


class AnsweringReader(SqliteAnswers, SqliteReader):
    """`Answering` from a database another process may be writing."""


class AnsweringStore(SqliteAnswers, SqliteStore):
    """The one writer of a database that answers too."""

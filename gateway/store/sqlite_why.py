"""How an answer came about, from the facts on SQLite: one read transaction, in a thread."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from datetime import date

from gateway.domain.errors import TooMuch
from gateway.domain.explanation import Facts, LinkFact, VersionFact
from gateway.domain.identifiers import EnrolleeKey, InsurerNumber, LookupKey, PersonKey
from gateway.domain.period import Instant
from gateway.store import sql, sql_why
from gateway.store.facts import END_OF_TIME
from gateway.store.records import decode_coverage
from gateway.store.sqlite_file import Line, transaction

ENROLLEES_EXPLAINED_MAX = 1_000
"""Enrollees of one question that are looked at."""


class SqliteWhy:
    """`Explaining`, for a store with a line of its own for reads."""

    _reads: Line

    async def facts_of(
        self,
        key: LookupKey,
        birth_date: date,
        known: Instant | None,
        versions_max: int,
        people_max: int,
    ) -> Facts:
        """See `Explaining`."""

        def read(connection: sqlite3.Connection) -> Facts:
            with transaction(connection, "BEGIN"):
                reading = _Reading(connection, END_OF_TIME if known is None else known)
                return reading.facts(key, birth_date, versions_max, people_max)

        return await self._reads.run(read)

    async def facts_of_person(
        self, person_key: PersonKey, versions_max: int, enrollees_max: int
    ) -> Facts:
        """See `Explaining`."""

        def read(connection: sqlite3.Connection) -> Facts:
            with transaction(connection, "BEGIN"):
                reading = _Reading(connection, END_OF_TIME)
                return reading.of_people((person_key,), versions_max, enrollees_max)

        return await self._reads.run(read)


class _Reading:
    """Reads what was known at an instant, within one transaction."""

    def __init__(self, connection: sqlite3.Connection, known: Instant) -> None:
        self._execute = connection.execute
        self._known = known
        self._request_ids: dict[bytes, str] = {}

    def facts(self, key: LookupKey, birth_date: date, versions_max: int, people_max: int) -> Facts:
        question = (key, birth_date.isoformat(), ENROLLEES_EXPLAINED_MAX + 1)
        asked = {row[0] for row in self._execute(sql.ENROLLEES_UNDER, question)}
        people = self._people_of(asked, len(asked))
        if len(people) > people_max:
            raise TooMuch("TOO_MANY_MATCHES")
        return self.of_people(people, versions_max, ENROLLEES_EXPLAINED_MAX)

    def of_people(self, people: Iterable[bytes], versions_max: int, enrollees_max: int) -> Facts:
        enrollees = {
            enrollee_key
            for person_key in people
            for (enrollee_key,) in self._execute(
                sql_why.ENROLLEES_EVER_OF,
                (person_key, self._known, enrollees_max + 1),
            )
        }
        if len(enrollees) > enrollees_max:
            raise TooMuch("TOO_MANY_MATCHES")
        versions, is_cut = self._versions(enrollees, versions_max)
        return Facts(tuple(versions), tuple(self._links(enrollees)), is_cut)

    def _people_of(self, enrollees: Iterable[bytes], enrollees_max: int) -> set[bytes]:
        if enrollees_max > ENROLLEES_EXPLAINED_MAX:
            raise TooMuch("TOO_MANY_MATCHES")
        return {
            person_key
            for enrollee_key in enrollees
            for (person_key,) in self._execute(sql.PEOPLE_OF_ENROLLEE, (enrollee_key,))
            if self._execute(
                sql_why.LINKS_UP_TO, (person_key, enrollee_key, self._known)
            ).fetchone()
        }

    def _links(self, enrollees: Iterable[bytes]) -> list[LinkFact]:
        found = [
            LinkFact(
                EnrolleeKey(enrollee_key),
                PersonKey(person_key),
                recorded,
                self._seen(superseded),
                bool(is_numbered),
            )
            for enrollee_key in enrollees
            for (person_key,) in self._execute(sql.PEOPLE_OF_ENROLLEE, (enrollee_key,)).fetchall()
            for recorded, superseded, is_numbered in self._execute(
                sql_why.LINKS_UP_TO, (person_key, enrollee_key, self._known)
            )
        ]
        return sorted(found, key=lambda link: (link.recorded_time, link.enrollee_key))

    def _versions(
        self, enrollees: Iterable[bytes], versions_max: int
    ) -> tuple[list[VersionFact], bool]:
        last: list[VersionFact] = []
        older: list[VersionFact] = []
        for enrollee_key in enrollees:
            insurer = InsurerNumber(self._execute(sql.INSURER, (enrollee_key,)).fetchone()[0])
            known = (enrollee_key, self._known, self._known)
            past = (enrollee_key, self._known, versions_max + 1)
            last += [
                self._version(enrollee_key, insurer, row)
                for row in self._execute(sql_why.LAST_VERSIONS, known).fetchall()
            ]
            older += [
                self._version(enrollee_key, insurer, row)
                for row in self._execute(sql_why.OLDER_VERSIONS, past).fetchall()
            ]
        older.sort(key=_when)
        room = max(0, versions_max - len(last))
        kept = older[max(0, len(older) - room) :]
        return sorted([*last, *kept], key=_when), len(kept) < len(older)

    def _version(self, enrollee_key: bytes, insurer: InsurerNumber, row: sql.Row) -> VersionFact:
        _, _, superseded, upload_key, line_number, body = row
        return VersionFact(
            EnrolleeKey(enrollee_key),
            insurer,
            decode_coverage(body),
            self._seen(superseded),
            self._request_id(upload_key),
            line_number,
        )

    def _request_id(self, upload_key: bytes) -> str:
        if upload_key not in self._request_ids:
            row = self._execute(sql_why.REQUEST_ID, (upload_key,)).fetchone()
            self._request_ids[upload_key] = "" if row is None else row[0]
        return self._request_ids[upload_key]

    def _seen(self, superseded: Instant | None) -> Instant | None:
        """A closing that came later was not known yet."""
        return None if superseded is None or superseded > self._known else superseded


def _when(version: VersionFact) -> tuple[Instant, EnrolleeKey, int, int]:
    cover = version.coverage
    return cover.recorded_time, version.enrollee_key, cover.cover_no, cover.version_no

"""
The access trail: an index over the access records, and the anchors of their chains.

The index can be built again from the segments, so it need not be as durable as they are. An
anchor remembers how far a chain had come and with which digest: a chain that is shorter or
different later was tampered with. Anchors cannot be built again; without them only what breaks a
chain is found. Source: house 11 (Access records); R002-12-6.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Final

from gateway.domain.access import AccessRecord, record_id
from gateway.domain.errors import Unavailable
from gateway.domain.identifiers import PersonKey
from gateway.domain.period import Instant
from gateway.domain.purpose import Role
from gateway.store.access_log import (
    Place,
    beginning,
    follow,
    lives_in,
    segment_path,
    verify_life,
)
from gateway.store.port_beside import Look
from gateway.store.sqlite_file import LONG_BUSY_MS, connected, transaction

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS looks (
    record_id TEXT PRIMARY KEY, at INTEGER NOT NULL, role TEXT NOT NULL, code TEXT NOT NULL,
    method TEXT NOT NULL, purpose TEXT NOT NULL, operation TEXT NOT NULL, outcome TEXT NOT NULL,
    detail TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS looks_people (
    person_key BLOB NOT NULL, at INTEGER NOT NULL, record_id TEXT NOT NULL,
    PRIMARY KEY (person_key, at, record_id)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS asked (
    person_key BLOB NOT NULL, institution_code TEXT NOT NULL, at INTEGER NOT NULL,
    record_id TEXT NOT NULL, PRIMARY KEY (person_key, institution_code)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS asked_by_time ON asked (at);
CREATE TABLE IF NOT EXISTS anchors (
    life TEXT PRIMARY KEY, segment INTEGER NOT NULL, offset INTEGER NOT NULL,
    sequence INTEGER NOT NULL, digest BLOB NOT NULL, anchored_time INTEGER NOT NULL
) WITHOUT ROWID;
"""
_ADD_LOOK: Final = "INSERT OR REPLACE INTO looks VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
_ADD_PERSON: Final = "INSERT OR REPLACE INTO looks_people VALUES (?, ?, ?)"
_ADD_ASKED: Final = """
INSERT INTO asked VALUES (?, ?, ?, ?) ON CONFLICT (person_key, institution_code)
DO UPDATE SET at = excluded.at, record_id = excluded.record_id WHERE excluded.at >= at
"""
_ALL_ASKED: Final = """
INSERT OR REPLACE INTO asked SELECT person_key, code, looks.at, record_id
FROM looks JOIN looks_people USING (record_id)
WHERE role = ? AND purpose = ? AND outcome = ? ORDER BY looks.at
"""
_FORGET_ASKED: Final = """
DELETE FROM asked WHERE (person_key, institution_code) IN
(SELECT person_key, institution_code FROM asked WHERE at < ? ORDER BY at LIMIT ?)
"""
_HAS_ASKED: Final = "SELECT 1 FROM sqlite_master WHERE name = 'asked'"
_ASKING: Final = (Role.INSTITUTION.value, "OQS-MED-01", "ANSWERED")
"""Of a look by which an institution got a confirmation: its role, purpose and outcome."""
_ANCHOR: Final = "INSERT OR REPLACE INTO anchors VALUES (?, ?, ?, ?, ?, ?)"
_ANCHORS: Final = "SELECT life, segment, offset, sequence, digest FROM anchors"
_WHO_LOOKED: Final = """
SELECT looks.record_id, looks.at, role, code, method, purpose, operation, outcome, detail
FROM looks_people JOIN looks USING (record_id)
WHERE person_key = ? ORDER BY looks_people.at DESC, record_id DESC LIMIT ?
"""

_LOOKED_WITHIN: Final = """
SELECT looks.record_id, looks.at, role, code, method, purpose, operation, outcome, detail
FROM looks_people JOIN looks USING (record_id)
WHERE person_key = ? AND looks_people.at >= ? AND looks_people.at < ?
    AND (looks_people.at, record_id) < (?, ?) AND NOT (role = ? AND code = ?)
ORDER BY looks_people.at DESC, record_id DESC LIMIT ?
"""


@dataclass(frozen=True, slots=True)
class TrailReport:
    """What checking every chain gave: how much was read, and a sentence for each problem."""

    lives: int
    records: int
    problems: tuple[str, ...]


class Trail:
    """The index; used by one thread at a time."""

    def __init__(self, path: Path, access: Path) -> None:
        """
        Open the index in a file, made if there is none.

        Args:
            path: The file.

            access: The directory of all lives.
        """
        self._access = access
        self._connection = connected(path, "rwc", LONG_BUSY_MS)
        self._connection.execute("PRAGMA journal_mode = WAL")
        self._connection.execute("PRAGMA synchronous = NORMAL")
        is_asked_kept = self._connection.execute(_HAS_ASKED).fetchone() is not None
        self._connection.executescript(_SCHEMA)
        if not is_asked_kept:
            self._connection.execute(_ALL_ASKED, _ASKING)
        self._places = _anchors(self._connection)
        self._turn = 0

    def close(self) -> None:
        """Close the index."""
        self._connection.close()

    def index_new(self, records_max: int, now: Instant) -> int:
        """
        Index records that are not yet, and anchor each chain where its reading ends.

        Args:
            records_max: Over all lives; each call begins with another life, so that a busy one
                does not keep the others waiting.

            now: Noted with the anchors.

        Returns:
            How many were indexed; `records_max` if there may be more.

        Raises:
            ChainBroken: A chain does not continue. Nothing this call read of that life is
                indexed.
        """
        lives = lives_in(self._access)
        self._turn += 1
        left = records_max
        for number in range(len(lives)):
            life = lives[(self._turn + number) % len(lives)]
            if left and self._has_more(life):
                left -= self._index_life(life, left, now)
        return records_max - left

    def forget_asked(self, before: Instant, asked_max: int) -> int:
        """
        Forget which institutions asked about whom last before an instant; looks stay.

        Returns:
            How many were forgotten, at most `asked_max`.

        Raises:
            Unavailable: `STORE_UNAVAILABLE`.
        """
        try:
            return self._connection.execute(_FORGET_ASKED, (before, asked_max)).rowcount
        except sqlite3.OperationalError as error:
            raise Unavailable("STORE_UNAVAILABLE") from error

    def who_looked(self, person_key: PersonKey, records_max: int) -> Sequence[Look]:
        """Give the latest looks at a person, newest first, at most `records_max`."""
        rows = self._connection.execute(_WHO_LOOKED, (person_key, records_max))
        return [Look(*row) for row in rows]

    def looked_within(
        self,
        span: tuple[PersonKey, Instant, Instant],
        before: tuple[Instant, str],
        but_of: tuple[str, str],
        records_max: int,
    ) -> Sequence[Look]:
        """Give the latest looks at a person within a time; see `LooksThrough.looks_within`."""
        asked = (*span, *before, *but_of, records_max)
        return [Look(*row) for row in self._connection.execute(_LOOKED_WITHIN, asked)]

    def _has_more(self, life: str) -> bool:
        """Whether a life may have changed since it was read; most are over and cost two calls."""
        place = self._places.get(life)
        if place is None:
            return True
        folder = self._access / life
        try:
            size = segment_path(folder, place.segment).stat().st_size
        except FileNotFoundError:
            return True
        return size != place.offset or segment_path(folder, place.segment + 1).exists()

    def _index_life(self, life: str, records_max: int, now: Instant) -> int:
        folder = self._access / life
        place = self._places.get(life) or beginning(life)
        looks: list[Look] = []
        people: list[tuple[PersonKey, Instant, str]] = []
        asked: list[tuple[PersonKey, str, Instant, str]] = []
        with closing(follow(folder, place)) as reading:
            for record, after in islice(reading, records_max):
                place = after
                look = _look(record_id(life, place.sequence), record)
                looks.append(look)
                people += [(person, look.at, look.record_id) for person in record.people]
                if (look.role, look.purpose, look.outcome) == _ASKING:
                    asked += [(one, look.code, look.at, look.record_id) for one in record.people]
        if looks:
            # An anchor must not outlive its record over a power cut: that would look like theft.
            _sync(segment_path(folder, place.segment))
            with transaction(self._connection):
                self._connection.executemany(_ADD_LOOK, looks)
                self._connection.executemany(_ADD_PERSON, people)
                self._connection.executemany(_ADD_ASKED, asked)
                self._connection.execute(_ANCHOR, (life, *place, now))
            self._places[life] = place
        return len(looks)


def verify(access: Path, trail: Path, mode: str = "ro") -> TrailReport:
    """
    Check every chain from its beginning, and against its anchor.

    A chain that does not continue, that ends before its anchor, or that has another record there,
    is a problem; so are a missing life that was anchored and missing anchors. May run beside the
    gateway.

    Args:
        mode: How the index is opened; see `connected`.
    """
    problems: list[str] = []
    try:
        # Anchors come first: a chain that is read later is at least as long.
        with closing(connected(trail, mode, LONG_BUSY_MS)) as connection:
            anchors = _anchors(connection)
    except sqlite3.DatabaseError:
        anchors = {}
        problems.append("the anchors cannot be read")
    lives = lives_in(access)
    problems += [f"{life}: anchored and gone" for life in sorted(anchors.keys() - set(lives))]
    records = 0
    for life in lives:
        anchor = anchors.get(life) or beginning(life)
        report = verify_life(access / life, anchor.sequence)
        records += report.records
        if report.broken is not None:
            problems.append(str(report.broken))
        if report.marked is None and report.broken is None:
            problems.append(
                f"access log {life}: ends at record {report.records}, anchored at {anchor.sequence}"
            )
        elif report.marked not in (None, anchor.digest):
            problems.append(f"access log {life}: record {anchor.sequence} is not the one anchored")
    return TrailReport(len(lives), records, tuple(problems))


def _anchors(connection: sqlite3.Connection) -> dict[str, Place]:
    return {life: Place(*place) for life, *place in connection.execute(_ANCHORS)}


def _look(name: str, record: AccessRecord) -> Look:
    return Look(
        name,
        record.at,
        record.role,
        record.code,
        record.method,
        record.purpose,
        record.operation,
        record.outcome,
        record.detail,
    )


def _sync(path: Path) -> None:
    """Make a file's content durable, whoever wrote it."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fdatasync(handle)
    finally:
        os.close(handle)

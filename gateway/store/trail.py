"""
The access trail: an index over the access records, and the anchors of their chains.

The index is rebuilt from the segments whenever it is lost, so it need not be as durable as they
are. An anchor remembers how far a chain had come and with which digest: a chain that is shorter
or different later was tampered with. Source: house 11; R002-12-6.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from gateway.domain.access import (
    AccessRecord,
    decode_record,
    first_digest,
    next_digest,
    record_id,
)
from gateway.domain.identifiers import PersonKey
from gateway.domain.period import Instant

DIGEST_CHARACTERS: Final = 64
BUSY_S: Final = 5.0

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
CREATE TABLE IF NOT EXISTS anchors (
    life TEXT PRIMARY KEY, sequence INTEGER NOT NULL, digest BLOB NOT NULL,
    segment TEXT NOT NULL, offset INTEGER NOT NULL, anchored_time INTEGER NOT NULL
) WITHOUT ROWID;
"""


class ChainBroken(RuntimeError):  # noqa: N818  says what is the case
    """A record's digest does not follow from the one before it."""


class Head(NamedTuple):
    """How far a chain has been read: its last record and the place in its segments after it."""

    sequence: int
    digest: bytes
    segment: str
    offset: int


class Entry(NamedTuple):
    """A record with its place."""

    head: Head
    record: AccessRecord


@dataclass(slots=True)
class TrailReport:
    """What checking every chain gave."""

    lives: int = 0
    records: int = 0
    problems: list[str] = field(default_factory=list)


def entries(folder: Path, head: Head | None = None) -> Iterator[Entry]:
    """
    Read a life's records after a head, checking that each follows from the one before.

    A last line without its end was never acknowledged and is not read.

    Raises:
        ChainBroken: Naming the life and the number of the record.
    """
    life = folder.name
    sequence, digest, name, offset = head or Head(0, first_digest(life), "", 0)
    for segment in sorted(folder.glob("*.log")):
        if segment.name < name:
            continue
        place = offset if segment.name == name else 0
        with segment.open("rb") as file:
            file.seek(place)
            for line in file:
                if not line.endswith(b"\n"):
                    break
                place += len(line)
                sequence += 1
                body = line[DIGEST_CHARACTERS + 1 : -1]
                digest = next_digest(digest, body)
                if line[:DIGEST_CHARACTERS] != digest.hex().encode():
                    raise ChainBroken(f"{life}: record {sequence} does not follow")
                try:
                    record = decode_record(body)
                except msgspec.MsgspecError:
                    raise ChainBroken(f"{life}: record {sequence} is none") from None
                yield Entry(Head(sequence, digest, segment.name, place), record)


def lives_of(access: Path) -> list[Path]:
    """The folders of all lives, by name."""
    return sorted(path for path in access.iterdir() if path.is_dir()) if access.exists() else []


class Trail:
    """The index; used by one thread at a time."""

    def __init__(self, path: Path, access: Path) -> None:
        self._access = access
        self._connection = sqlite3.connect(
            path, timeout=BUSY_S, isolation_level=None, check_same_thread=False
        )
        self._connection.execute("PRAGMA journal_mode = WAL")
        self._connection.execute("PRAGMA synchronous = NORMAL")
        self._connection.executescript(_SCHEMA)

    def close(self) -> None:
        """Close the index."""
        self._connection.close()

    def index_new(self, records_max: int, now: Instant) -> int:
        """
        Index records that are not yet, at most so many, and anchor the chains read; count them.

        Raises:
            ChainBroken: As `entries`; nothing of that life's step is indexed.
        """
        left = records_max
        for folder in lives_of(self._access):
            head = self.anchor_of(folder.name)
            found = list(_first(entries(folder, head), left))
            if found:
                self._add(folder.name, found, now)
                left -= len(found)
            if not left:
                break
        return records_max - left

    def anchor_of(self, life: str) -> Head | None:
        """How far a life's chain is anchored."""
        row = self._connection.execute(
            "SELECT sequence, digest, segment, offset FROM anchors WHERE life = ?", (life,)
        ).fetchone()
        return None if row is None else Head(*row)

    def anchors(self) -> dict[str, Head]:
        """Every life's anchor."""
        rows = self._connection.execute(
            "SELECT life, sequence, digest, segment, offset FROM anchors"
        )
        return {life: Head(*head) for life, *head in rows}

    def who_looked(self, person_key: PersonKey, records_max: int) -> Sequence[tuple[str, ...]]:
        """
        The latest looks at a person, newest first, at most so many.

        Each is record id, time in microseconds, role, code, purpose, outcome, detail, as text.
        """
        rows = self._connection.execute(
            "SELECT looks.record_id, looks.at, role, code, purpose, outcome, detail "
            "FROM looks_people JOIN looks USING (record_id) "
            "WHERE person_key = ? ORDER BY looks_people.at DESC LIMIT ?",
            (person_key, records_max),
        )
        return [tuple(str(value) for value in row) for row in rows]

    def _add(self, life: str, found: Sequence[Entry], now: Instant) -> None:
        looks, people = [], []
        for head, record in found:
            name = record_id(life, head.sequence)
            looks.append(
                (
                    *(name, record.at, record.role, record.code, record.method),
                    *(record.purpose, record.operation, record.outcome, record.detail),
                )
            )
            people += [(person_key, record.at, name) for person_key in record.people]
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            self._connection.executemany(
                "INSERT OR REPLACE INTO looks VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", looks
            )
            self._connection.executemany(
                "INSERT OR REPLACE INTO looks_people VALUES (?, ?, ?)", people
            )
            self._connection.execute(
                "INSERT OR REPLACE INTO anchors VALUES (?, ?, ?, ?, ?, ?)",
                (life, *found[-1].head, now),
            )
            self._connection.execute("COMMIT")
        except BaseException:
            self._connection.execute("ROLLBACK")
            raise


def verify(access: Path, trail: Path) -> TrailReport:
    """Check every chain from its beginning, and against its anchor where there is an index."""
    report = TrailReport()
    anchors: dict[str, Head] = {}
    if trail.exists():
        index = Trail(trail, access)
        anchors = index.anchors()
        index.close()
    folders = {folder.name: folder for folder in lives_of(access)}
    for life in sorted(anchors.keys() - folders.keys()):
        report.problems.append(f"{life}: anchored at record {anchors[life].sequence} and gone")
    for life, folder in folders.items():
        report.lives += 1
        _verify_life(folder, anchors.get(life), report)
    return report


def _verify_life(folder: Path, anchor: Head | None, report: TrailReport) -> None:
    last = 0
    try:
        for head, _ in entries(folder):
            last = head.sequence
            report.records += 1
            if anchor is not None and last == anchor.sequence and head.digest != anchor.digest:
                report.problems.append(f"{folder.name}: record {last} is not the one anchored")
    except ChainBroken as broken:
        report.problems.append(str(broken))
        return
    if anchor is not None and last < anchor.sequence:
        report.problems.append(
            f"{folder.name}: ends at record {last}, anchored at {anchor.sequence}"
        )


def _first(found: Iterator[Entry], count: int) -> Iterator[Entry]:
    for entry, _ in zip(found, range(count), strict=False):
        yield entry

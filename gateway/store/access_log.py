"""
The access log: every look at personal data, appended by each process to segments of its own.

A life, which is one run of one process, writes `<life>/000001.log` and onwards. A line is
`<sha256 hex digest> <json>`; the digest continues the chain of `gateway.domain.access`, and a
record's sequence is its place in the life, from 1, over all segments. Records become durable in
groups, one sync each. The chain has no key: who rewrites it whole is found out by the anchors
of `gateway.store.trail`. Sources: R002-12-6; house 11 (Access records).
"""

from __future__ import annotations

import asyncio
import os
import threading
from binascii import hexlify
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from typing import Final, NamedTuple

import msgspec

from gateway.domain.access import (
    AccessRecord,
    decode_record,
    encode_record,
    first_digest,
    next_digest,
    record_id,
)
from gateway.domain.errors import Unavailable
from gateway.store.keyring import sync_directory

PENDING_RECORDS_MAX: Final = 65_536
"""Records that may wait for a disk that stalls; beyond, a look is refused."""

LINE_BYTES_MAX: Final = 1024 * 1024
"""A longer line cannot be ours: a record names at most the people of one answer."""

DIGEST_CHARACTERS: Final = 64
SEGMENT_SUFFIX: Final = ".log"


class ChainBroken(RuntimeError):  # noqa: N818  says what is the case, as the refusals do
    """A record was changed, dropped or inserted: the first that does not follow is named."""

    def __init__(self, life: str, sequence: int, segment: int, offset: int) -> None:
        super().__init__(
            f"access log {life}: record {sequence} does not follow (segment {segment}, "
            f"byte {offset})"
        )
        self.life = life
        self.sequence = sequence
        self.segment = segment
        self.offset = offset


class _Group(NamedTuple):
    """Records that become durable together: their lines, and who waits for them."""

    lines: list[bytes]
    waiters: list[asyncio.Future[None]]


class AccessLog:
    """
    `Accesses` on the segments of one life.

    The event loop keeps the chain and the records that wait; one thread writes a group at a time
    and tells the loop, so nothing is locked. What was not written is never answered: after a
    failed write this and every later record is refused, until a new life begins.
    """

    def __init__(
        self,
        directory: Path,
        life: str,
        *,
        gather_us: int,
        group_records_max: int,
        segment_bytes_max: int,
    ) -> None:
        """
        Begin a life. To be called in the event loop that will record.

        Nothing is written before the first record.

        Args:
            directory: Of all lives; exists.

            life: A name no other life has, in hexadecimal digits.

            gather_us: How long records gather for one sync, in microseconds: each sync costs
                two thread switches, whatever its group's size.

            group_records_max: Records one sync makes durable.

            segment_bytes_max: A segment this long is followed by the next.
        """
        self._loop = asyncio.get_running_loop()
        self._life = life
        self._gather_s = gather_us / 1_000_000
        self._group_records_max = group_records_max
        self._digest = first_digest(life)
        self._sequence = 0
        self._waiting = _Group([], [])
        self._is_writing = False
        self._is_refusing = False
        self._has_failed = False
        self._idle: asyncio.Future[None] | None = None
        self._groups: SimpleQueue[_Group | None] = SimpleQueue()
        self._thread = threading.Thread(
            target=self._write_groups,
            args=(_Segments(directory / life, segment_bytes_max),),
            name="access-log",
            daemon=True,
        )
        self._thread.start()

    @property
    def has_failed(self) -> bool:
        """Whether a write failed, so that only a new life can record again."""
        return self._has_failed

    async def record(self, record: AccessRecord) -> str:
        """
        Append a record and return its id when it is durable.

        A caller that is cancelled meanwhile leaves its record: it looked.

        Raises:
            Unavailable: `STORE_UNAVAILABLE`; then nothing may be answered.
        """
        lines, waiters = self._waiting
        if self._is_refusing or len(lines) >= PENDING_RECORDS_MAX:
            raise Unavailable("STORE_UNAVAILABLE")
        body = encode_record(record)
        self._digest = digest = next_digest(self._digest, body)
        self._sequence = sequence = self._sequence + 1
        waiter = self._loop.create_future()
        lines.append(b"%b %b\n" % (hexlify(digest), body))
        waiters.append(waiter)
        if not self._is_writing:
            self._is_writing = True
            self._loop.call_later(self._gather_s, self._hand_over)
        await waiter
        return record_id(self._life, sequence)

    async def close(self) -> None:
        """Write what waits and end the thread; later records are refused."""
        self._is_refusing = True
        if self._is_writing:
            self._idle = self._idle or self._loop.create_future()
            await asyncio.shield(self._idle)
        self._groups.put(None)
        await asyncio.to_thread(self._thread.join)

    def _hand_over(self) -> None:
        """Give the thread the next group."""
        lines, waiters = self._waiting
        size = self._group_records_max
        self._waiting = _Group(lines[size:], waiters[size:])
        self._groups.put(_Group(lines[:size], waiters[:size]))

    def _written(self, group: _Group, is_durable: bool) -> None:  # noqa: FBT001  see call_soon
        """Let a group's callers go on; called in the loop, once a group."""
        if is_durable:
            for waiter in group.waiters:
                if not waiter.done():
                    waiter.set_result(None)
        else:
            self._has_failed = self._is_refusing = True
            for waiter in (*group.waiters, *self._waiting.waiters):
                if not waiter.done():
                    waiter.set_exception(Unavailable("STORE_UNAVAILABLE"))
            self._waiting = _Group([], [])
        if self._waiting.lines:
            self._loop.call_later(self._gather_s, self._hand_over)
            return
        self._is_writing = False
        if self._idle is not None:
            self._idle.set_result(None)
            self._idle = None

    def _write_groups(self, segments: _Segments) -> None:
        """Write groups until told to end; the thread's whole work."""
        is_durable = True
        while (group := self._groups.get()) is not None:
            try:
                segments.append(b"".join(group.lines))
            except (OSError, MemoryError):
                is_durable = False
            try:
                self._loop.call_soon_threadsafe(self._written, group, is_durable)
            except RuntimeError:
                break  # The loop ended without closing us: nobody is left to be told.
        segments.close()


class _Segments:
    """The files of one life, for appending; used in the log's thread only."""

    def __init__(self, directory: Path, bytes_max: int) -> None:
        self._directory = directory
        self._bytes_max = bytes_max
        self._number = 0
        self._size = 0
        self._handle = -1

    def append(self, data: bytes) -> None:
        """Write bytes and make them, and the name of the file they are in, durable."""
        if self._handle < 0 or self._size >= self._bytes_max:
            self._begin_next()
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(self._handle, rest) :]
        os.fdatasync(self._handle)
        self._size += len(data)

    def close(self) -> None:
        """Close the file."""
        if self._handle >= 0:
            os.close(self._handle)
            self._handle = -1

    def _begin_next(self) -> None:
        self.close()
        if self._number == 0:
            self._directory.mkdir(mode=0o700)
            sync_directory(self._directory.parent)
        self._number += 1
        self._size = 0
        self._handle = os.open(
            segment_path(self._directory, self._number),
            os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND,
            0o600,
        )
        sync_directory(self._directory)


class Place(NamedTuple):
    """How far a life was read: after record `sequence`, whose digest is `digest`."""

    segment: int
    offset: int
    """Of the next line in the segment."""
    sequence: int
    digest: bytes


def beginning(life: str) -> Place:
    """Before the first record of a life."""
    return Place(1, 0, 0, first_digest(life))


def segment_path(directory: Path, number: int) -> Path:
    """Where a segment of a life is, by its number from 1."""
    return directory / f"{number:06}{SEGMENT_SUFFIX}"


def follow(directory: Path, place: Place) -> Generator[tuple[AccessRecord, Place]]:
    """
    Read a life lazily from a place on, checking that the chain continues.

    A last line without its end is one that is being written, or that a kill tore: reading ends
    before it. It can only stand at the very end of a life.

    Args:
        directory: Of the life; its name is the life's.

        place: As `beginning` or an earlier reading gave it.

    Yields:
        Each record, and the place after it.

    Raises:
        ChainBroken: At the first line that does not follow.
    """
    while True:
        # Asked before reading: a segment is complete once there is a later one.
        is_last = not _has_later_segment(directory, place.segment)
        for record, after in _segment(directory, place, is_last=is_last):
            place = after
            yield record, place
        if is_last:
            return
        place = place._replace(segment=place.segment + 1, offset=0)


def records_of(directory: Path) -> Iterator[tuple[str, AccessRecord]]:
    """
    Read the records of a life lazily, each with its id.

    Raises:
        ChainBroken: As `follow`.
    """
    life = directory.name
    for record, place in follow(directory, beginning(life)):
        yield record_id(life, place.sequence), record


@dataclass(frozen=True, slots=True)
class LifeReport:
    """
    What checking a life found.

    `place` is after the last record that follows, so its digest is the head of the chain.
    `marked` is the digest of the record asked about, None if there is no such record.
    """

    life: str
    place: Place
    marked: bytes | None
    broken: ChainBroken | None

    @property
    def records(self) -> int:
        """How many records follow one another, from the first."""
        return self.place.sequence


def verify_life(directory: Path, mark: int = 0) -> LifeReport:
    """
    Check the chain of one life.

    Args:
        directory: Of the life.

        mark: The sequence of a record whose digest to report; 0 is the beginning of the chain.
    """
    place = beginning(directory.name)
    marked = place.digest if mark == 0 else None
    try:
        for _, after in follow(directory, place):
            place = after
            if place.sequence == mark:
                marked = place.digest
    except ChainBroken as broken:
        return LifeReport(directory.name, place, marked, broken)
    return LifeReport(directory.name, place, marked, None)


def lives_in(directory: Path) -> list[str]:
    """The names of the lives that have a folder, in order."""
    with os.scandir(directory) as entries:
        return sorted(entry.name for entry in entries if entry.is_dir())


def _segment(
    directory: Path, place: Place, *, is_last: bool
) -> Iterator[tuple[AccessRecord, Place]]:
    """Read the whole lines of a segment; only the last one may end within a line."""
    try:
        file = segment_path(directory, place.segment).open("rb")
    except FileNotFoundError:
        if is_last and place.offset == 0:
            return
        raise _broken(directory, place) from None
    with file:
        if os.fstat(file.fileno()).st_size < place.offset:
            raise _broken(directory, place)
        file.seek(place.offset)
        while (line := file.readline(LINE_BYTES_MAX)).endswith(b"\n"):
            body = line[DIGEST_CHARACTERS + 1 : -1]
            digest = next_digest(place.digest, body)
            if line[: DIGEST_CHARACTERS + 1] != hexlify(digest) + b" ":
                raise _broken(directory, place)
            try:
                record = decode_record(body)
            except msgspec.MsgspecError:
                raise _broken(directory, place) from None
            place = Place(place.segment, place.offset + len(line), place.sequence + 1, digest)
            yield record, place
        # What is left is the beginning of a line, or nothing.
        if len(line) == LINE_BYTES_MAX or (line and not is_last):
            raise _broken(directory, place)


def _has_later_segment(directory: Path, number: int) -> bool:
    own = segment_path(directory, number).name
    with os.scandir(directory) as entries:
        return any(entry.name.endswith(SEGMENT_SUFFIX) and entry.name > own for entry in entries)


def _broken(directory: Path, place: Place) -> ChainBroken:
    return ChainBroken(directory.name, place.sequence + 1, place.segment, place.offset)

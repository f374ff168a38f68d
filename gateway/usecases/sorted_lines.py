"""
The lines of a received file in the order they take effect, however large the file is.

The file is read once from its beginning, each line put in its place by what it says
(`gateway.domain.line_order`), sorted beside the memory, and read from there. The order follows
from the file alone, so after a restart it is made again and what was done is skipped.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from typing import Final, Protocol

from gateway.domain.coverage_lines import DecodedLine, LineError, RawLine
from gateway.domain.errors import Unavailable
from gateway.domain.line_order import (
    BY_CONTENT,
    ORDER_BYTES,
    Moves,
    Place,
    line_number_of,
    order_of,
)
from gateway.store.port import Upload
from gateway.store.port_beside import Runs, Spool

READ_BYTES: Final = 64 * 1024
"""How much of a file is taken from the spool at a time."""

FED_BYTES: Final = 8 * 1024
"""How much of it is cut into lines before others come to their turn; lines may be of one byte."""

BLOCK_RECORDS: Final = 2_000
"""How many sorted lines are taken at a time."""

_SIZE_BYTES: Final = 8
_BODY: Final = ORDER_BYTES + _SIZE_BYTES + 1
_KEPT, _TOO_LONG = b"\x00", b"\x01"


class Reader(Protocol):
    """Reads a coverage file, as `gateway.formats.coverage_file.CoverageReader`."""

    encoding: str
    header_error: LineError | None
    is_ended: bool

    @property
    def offset(self) -> int:
        """Where the bytes to feed next begin."""

    @property
    def waiting(self) -> int:
        """How many lines can be taken."""

    @property
    def is_header_read(self) -> bool:
        """Whether the header row is known, good or bad."""

    def feed(self, data: bytes) -> None:
        """Take the next bytes."""

    def finish(self) -> None:
        """Say that the file ends."""

    def take_raw(self, lines_max: int) -> list[RawLine]:
        """Give up to so many lines as they came."""

    def place(self, line: RawLine) -> Place | None:
        """Give what the order needs of a line."""

    def decoded(self, line: RawLine) -> DecodedLine:
        """Read a line."""


class SortedLines:
    """
    The lines of one upload; `prepare` before the rest, `close` at the end.

    Args:
        moves_max: As `Moves`.
    """

    def __init__(self, upload: Upload, spool: Spool, reader: Reader, moves_max: int) -> None:
        self._upload = upload
        self._spool = spool
        self._reader = reader
        self._reader.encoding = upload.encoding
        self._moves = Moves(moves_max)
        self._first: Runs = spool.runs()
        self._second: Runs = spool.runs()
        """Of lines whose place depends on the moves of the file."""
        self._is_first_done = False
        self._ready: deque[bytes] = deque()
        self.lines = 0
        """How many the file has, the header not counted."""

    @property
    def header_error(self) -> LineError | None:
        """Why the file as a whole is refused."""
        return self._reader.header_error

    @property
    def encoding(self) -> str:
        """Of the file; empty if it is ASCII."""
        return self._reader.encoding

    async def prepare(self, stop: asyncio.Event) -> bool:
        """
        Sort the file and skip what was done of it.

        Returns:
            Whether it came to the end; not if it was told to stop.

        Raises:
            Unavailable: `STORE_UNAVAILABLE`.
        """
        while not self._reader.is_ended:
            if stop.is_set():
                return False
            data = await self._read()
            for begin in range(0, max(1, len(data)), FED_BYTES):
                self._feed(data[begin : begin + FED_BYTES])
                if self._reader.header_error is not None:
                    return True
                await self._first.put(self._records())
                await asyncio.sleep(0)
        await asyncio.to_thread(self._moves.settle)
        skipped = 0
        while skipped < self._upload.lines_read and not stop.is_set():
            skipped += len(await self._take(self._upload.lines_read - skipped))
        return not stop.is_set()

    async def take(self, lines_max: int) -> list[tuple[int, DecodedLine]]:
        """Give up to so many lines and their sizes in bytes, line ends included."""
        while len(self._ready) < lines_max and await self._fill():
            pass
        return [
            _decoded(self._reader, self._ready.popleft())
            for _ in range(min(lines_max, len(self._ready)))
        ]

    async def close(self) -> None:
        """Forget what is left."""
        await self._first.close()
        await self._second.close()

    async def _read(self) -> bytes:
        """The next bytes of the file; none at its end."""
        wanted = min(READ_BYTES, self._upload.size_bytes - self._reader.offset)
        if wanted <= 0:
            return b""
        data = await self._spool.read(self._upload.upload_key, self._reader.offset, wanted)
        if not data:
            raise Unavailable("STORE_UNAVAILABLE")
        return data

    def _feed(self, data: bytes) -> None:
        if data:
            self._reader.feed(data)
        else:
            self._reader.finish()

    def _records(self) -> list[bytes]:
        lines = self._reader.take_raw(self._reader.waiting)
        self.lines += len(lines)
        return [self._record(line) for line in lines]

    def _record(self, line: RawLine) -> bytes:
        place = self._reader.place(line)
        if self._upload.line_order != BY_CONTENT:
            place = None
        if place is not None and place.moved is not None:
            self._moves.note(place)
        size = (line.next_offset - line.offset).to_bytes(_SIZE_BYTES, "big")
        order = order_of(place, line.line_number)
        if line.body is None:
            return order + size + _TOO_LONG
        return order + size + _KEPT + line.body

    async def _take(self, records_max: int) -> Sequence[bytes]:
        while not self._ready and await self._fill():
            pass
        count = min(records_max, len(self._ready))
        return [self._ready.popleft() for _ in range(count)]

    async def _fill(self) -> bool:
        """Have some more lines ready; whether there may be more."""
        if self._is_first_done:
            taken = await self._second.take(BLOCK_RECORDS)
            self._ready += taken
            return bool(taken)
        taken = await self._first.take(BLOCK_RECORDS)
        self._is_first_done = not taken
        if not self._moves.is_any:
            self._ready += taken
            return bool(taken)
        waiting: list[bytes] = []
        for record in taken:
            order = self._moves.settled(record[:ORDER_BYTES])
            if order is None:
                self._ready.append(record)
            else:
                waiting.append(order + record[ORDER_BYTES:])
        await self._second.put(waiting)
        return True


def _decoded(reader: Reader, record: bytes) -> tuple[int, DecodedLine]:
    size = int.from_bytes(record[ORDER_BYTES : ORDER_BYTES + _SIZE_BYTES], "big")
    is_kept = record[_BODY - 1 : _BODY] == _KEPT
    body = record[_BODY:] if is_kept else None
    return size, reader.decoded(RawLine(line_number_of(record), 0, size, body))

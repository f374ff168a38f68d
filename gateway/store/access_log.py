"""
Where looks at personal data are recorded: append-only segments, one hash chain per process life.

`access/<life>/000001.log`; a line is `<sha256 hex> <json>`, and each digest covers the digest
before it. Records wait in a group; one thread writes the group, makes it durable with one
`fdatasync`, and lets the whole group of callers go on. If writing fails, no answer leaves any
more. Source: house 11; performance.md 7.
"""

from __future__ import annotations

import asyncio
import os
import threading
from pathlib import Path
from typing import Final

from gateway.domain.access import (
    AccessRecord,
    encode_record,
    first_digest,
    next_digest,
    record_id,
)
from gateway.domain.errors import Unavailable

SEGMENT_NAME: Final = "{:06}.log"


class AccessLog:
    """
    `Accesses` of one process life; used from one event loop.

    Args:
        directory: The folder of all lives.

        life: This life's name, never used before.
    """

    def __init__(
        self, directory: Path, life: str, *, group_records_max: int, segment_bytes_max: int
    ) -> None:
        self.life = life
        self._directory = directory / life
        self._group_records_max = group_records_max
        self._segment_bytes_max = segment_bytes_max
        self._loop = asyncio.get_running_loop()
        self._digest = first_digest(life)
        self._sequence = 0
        self._lines: list[bytes] = []
        self._waiting: list[asyncio.Future[None]] = []
        self._is_writing = False
        self._failed = False
        self._wake = threading.Semaphore(0)
        self._group: bytes | None = None
        self._segment = 0
        self._segment_bytes = 0
        self._descriptor = -1
        self._open_segment()
        self._thread = threading.Thread(target=self._write_groups, name="access-log", daemon=True)
        self._thread.start()

    async def record(self, record: AccessRecord) -> str:
        """See `Accesses`. Raises `Unavailable` if the record cannot be made durable."""
        if self._failed:
            raise Unavailable("STORE_UNAVAILABLE")
        body = encode_record(record)
        self._digest = next_digest(self._digest, body)
        self._sequence += 1
        name = record_id(self.life, self._sequence)
        self._lines.append(b"%s %s\n" % (self._digest.hex().encode(), body))
        future = self._loop.create_future()
        self._waiting.append(future)
        if not self._is_writing:
            self._is_writing = True
            self._loop.call_soon(self._hand_over)
        await future
        return name

    async def close(self) -> None:
        """Make durable what waits, and close."""
        while self._waiting:
            await asyncio.wait(list(self._waiting))
        self._group = None
        self._wake.release()
        await asyncio.to_thread(self._thread.join)
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _hand_over(self) -> None:
        """Give the thread the next group; runs in the loop, and only while the thread rests."""
        size = self._group_records_max
        self._group = b"".join(self._lines[:size])
        self._in_group = self._waiting[:size]
        del self._lines[:size]
        self._wake.release()

    def _done(self, is_durable: bool) -> None:  # noqa: FBT001  called by the loop
        """Let the group's callers go on; runs in the loop."""
        group = self._in_group
        del self._waiting[: len(group)]
        self._failed = self._failed or not is_durable
        if self._failed:
            group += self._waiting
            self._waiting.clear()
            self._lines.clear()
        for future in group:
            if future.done():
                continue
            if self._failed:
                future.set_exception(Unavailable("STORE_UNAVAILABLE"))
            else:
                future.set_result(None)
        if self._waiting:
            self._hand_over()
        else:
            self._is_writing = False

    def _write_groups(self) -> None:
        """The thread: write and sync a group whenever one is handed over."""
        while True:
            self._wake.acquire()
            group = self._group
            if group is None:
                return
            try:
                self._write(group)
            except OSError:
                self._tell(is_durable=False)
            else:
                self._tell(is_durable=True)

    def _tell(self, *, is_durable: bool) -> None:
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._done, is_durable)

    def _write(self, group: bytes) -> None:
        if self._segment_bytes >= self._segment_bytes_max:
            os.close(self._descriptor)
            self._open_segment()
        rest = memoryview(group)
        while rest:
            rest = rest[os.write(self._descriptor, rest) :]
        os.fdatasync(self._descriptor)
        self._segment_bytes += len(group)

    def _open_segment(self) -> None:
        """Begin a segment; its name is durable before anything is written to it."""
        self._segment += 1
        self._segment_bytes = 0
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._descriptor = os.open(
            self._directory / SEGMENT_NAME.format(self._segment),
            os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND,
            0o600,
        )
        for folder in (self._directory, self._directory.parent):
            descriptor = os.open(folder, os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)

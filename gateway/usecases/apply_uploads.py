"""
Let received files happen, in slices that others can come between.

How far a file is applied is committed with what was applied, so a crash at any moment loses
nothing and does nothing twice. Reading and decoding happen outside the turn, deciding and
committing within. Sources: house 4 and 11.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import Final, Protocol

from gateway.domain.coverage_lines import DecodedLine, LineError
from gateway.domain.errors import NotFound, Unavailable
from gateway.store.port import Batch, RefusedLine, Upload, UploadKey, UploadState, Writing
from gateway.store.port_beside import Spool
from gateway.usecases.context import first_of
from gateway.usecases.desk import Desk, Line
from gateway.usecases.rehearsal import Rehearsal
from gateway.usecases.upload_coverage import UploadLimits

READ_BYTES: Final = 64 * 1024
"""How much of a file is taken from the spool at a time."""

SWEPT_MAX: Final = 10_000
"""Uploads in the spool looked at when the writer starts."""

RETRY_S: Final = 0.2
"""How long applying rests when the store cannot be reached."""


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

    def resume(self, encoding: str, offset: int, lines_read: int) -> None:
        """Go on elsewhere."""

    def take(self, lines_max: int) -> list[DecodedLine]:
        """Give up to so many lines."""


class Applier:
    """
    Applies what was received, oldest first, one slice a turn; there is one in the writer.

    Args:
        new_reader: Makes a reader for lines of at most so many bytes.
    """

    def __init__(
        self,
        store: Writing,
        spool: Spool,
        desk: Desk,
        new_reader: Callable[[int], Reader],
        limits: UploadLimits,
        rehearsal: Rehearsal,
    ) -> None:
        self._store = store
        self._spool = spool
        self._desk = desk
        self._new_reader = new_reader
        self._limits = limits
        self._rehearsal = rehearsal
        self._slice_lines = limits.slice_lines_max
        self._woken = asyncio.Event()
        self._applied = asyncio.Event()
        self._is_stopped = False

    def wake(self) -> None:
        """Say that there is something to apply."""
        self._woken.set()

    async def until_applied(self, upload_key: UploadKey) -> Upload:
        """
        Wait until an upload that was received is applied.

        Raises:
            NotFound: `UPLOAD_UNKNOWN`.
            Unavailable: `WRITER_UNAVAILABLE` if applying ends first; it goes on with the next
                writer, and the same request id gives the report then.
        """
        while True:
            applied = self._applied
            upload = await self._store.upload(upload_key)
            if upload is None:
                raise NotFound("UPLOAD_UNKNOWN", "request_id")
            if upload.state is UploadState.APPLIED:
                return upload
            if self._is_stopped:
                raise Unavailable("WRITER_UNAVAILABLE")
            await applied.wait()

    async def run(self, stop: asyncio.Event) -> None:
        """Apply uploads as they come until told to stop; ends between two slices."""
        self._is_stopped = False
        if self._applied.is_set():
            self._applied = asyncio.Event()
        is_swept = False
        while not stop.is_set():
            self._woken.clear()
            try:
                if not is_swept:
                    await self._sweep()
                    is_swept = True
                uploads = await self._store.unapplied_uploads()
                if uploads:
                    await self._apply(uploads[0], stop)
                else:
                    await first_of(self._woken, stop)
            except Unavailable:
                with suppress(TimeoutError):
                    await asyncio.wait_for(stop.wait(), RETRY_S)
        self._is_stopped = True
        self._applied.set()

    async def _sweep(self) -> None:
        """Discard what a crash left between an upload's last slice and its discard."""
        for upload_key in await self._spool.uploads(SWEPT_MAX):
            upload = await self._store.upload(upload_key)
            if upload is not None and upload.state is UploadState.APPLIED:
                await self._spool.discard(upload_key)

    async def _apply(self, upload: Upload, stop: asyncio.Event) -> None:
        reader = self._new_reader(self._limits.line_bytes_max)
        while not (reader.is_header_read or reader.is_ended):
            await self._read_on(upload, reader)
        if upload.is_dry_run:
            upload = await self._begin_rehearsal(upload)
        if upload.bytes_done and reader.header_error is None:
            reader.resume(upload.encoding, upload.bytes_done, upload.lines_read)
        while upload.state is not UploadState.APPLIED and not stop.is_set():
            # One line more than the slice shows whether the slice is the last.
            while reader.waiting <= self._slice_lines and not reader.is_ended:
                await self._read_on(upload, reader)
            if reader.header_error is not None:
                upload = await self._refuse_whole(upload, reader.header_error)
            else:
                upload = await self._apply_slice(upload, reader)
            await asyncio.sleep(0)
        if upload.state is UploadState.APPLIED:
            if upload.is_dry_run:
                await self._rehearsal.end()
            await self._spool.discard(upload.upload_key)
            self._applied.set()
            self._applied = asyncio.Event()

    async def _begin_rehearsal(self, upload: Upload) -> Upload:
        """Begin a dry run from its first line: what it changed so far was kept nowhere."""
        await self._rehearsal.begin()
        if not (upload.lines_read or upload.bytes_done):
            return upload
        fresh = replace(
            upload,
            encoding="",
            bytes_done=0,
            lines_read=0,
            lines_applied=0,
            lines_unchanged=0,
            lines_refused=0,
        )
        async with self._desk.turn() as now:
            await self._store.commit(Batch(now, upload=fresh, is_upload_begun_anew=True))
        return fresh

    async def _read_on(self, upload: Upload, reader: Reader) -> None:
        wanted = min(READ_BYTES, upload.size_bytes - reader.offset)
        if wanted <= 0:
            reader.finish()
            return
        data = await self._spool.read(upload.upload_key, reader.offset, wanted)
        if not data:
            raise Unavailable("STORE_UNAVAILABLE")
        reader.feed(data)

    async def _refuse_whole(self, upload: Upload, error: LineError) -> Upload:
        async with self._desk.turn() as now:
            done = replace(
                upload, state=UploadState.APPLIED, applied_time=now, lines_read=0, lines_refused=1
            )
            refused = [RefusedLine(error.line_number, error.column, error.reason)]
            await self._store.commit(Batch(now, upload=done, refused_lines=refused))
        return done

    async def _apply_slice(self, upload: Upload, reader: Reader) -> Upload:
        lines = reader.take(self._slice_lines)
        said = [
            Line(one.line_number, one.said)
            for one in lines
            if one.said is not None and not isinstance(one.said, LineError)
        ]
        unread = [one.said for one in lines if isinstance(one.said, LineError)]
        is_last = reader.is_ended and not reader.waiting
        async with self._desk.turn() as now:
            began = asyncio.get_running_loop().time()
            work = self._rehearsal.work if upload.is_dry_run else self._desk.work
            worked = await work(said, upload.insurer_number, upload.upload_key, now)
            refused = [RefusedLine(e.line_number, e.column, e.reason) for e in unread]
            refused += [RefusedLine(n, r.field, r.reason) for n, r in worked.refused]
            done = replace(
                upload,
                encoding=reader.encoding,
                bytes_done=lines[-1].next_offset if lines else upload.bytes_done,
                lines_read=upload.lines_read + len(lines),
                lines_applied=upload.lines_applied + worked.lines_applied,
                lines_unchanged=upload.lines_unchanged
                + len(lines)
                - worked.lines_applied
                - len(refused),
                lines_refused=upload.lines_refused + len(refused),
            )
            if is_last:
                done = replace(done, state=UploadState.APPLIED, applied_time=now)
            room = max(0, self._limits.refused_lines_kept_max - upload.lines_refused)
            worked.batch.upload = done
            worked.batch.refused_lines = sorted(refused, key=lambda r: r.line_number)[:room]
            await self._store.commit(worked.batch)
            if done.is_dry_run and done.state is not UploadState.APPLIED:
                await self._rehearsal.keep()
            took_ms = (asyncio.get_running_loop().time() - began) * 1000
        self._slice_lines = next_slice_lines(self._slice_lines, took_ms, self._limits)
        return done


def next_slice_lines(lines: int, took_ms: float, limits: UploadLimits) -> int:
    """How many lines the next slice has: half if this one was slow, more if it was quick."""
    if took_ms > limits.slice_ms_max:
        return max(1, lines // 2)
    if took_ms * 2 < limits.slice_ms_max:
        return min(limits.slice_lines_max, lines * 2)
    return lines

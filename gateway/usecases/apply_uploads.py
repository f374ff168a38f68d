"""
Let received files happen, in slices that others can come between.

The lines of a file take effect in an order of their own (`gateway.usecases.sorted_lines`). How far
a file is applied is committed with what was applied, so a crash at any moment loses nothing and
does nothing twice. Reading, sorting and decoding happen outside the turn, deciding and committing
within. Sources: house 4 and 11.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import Final

from gateway.domain.coverage_lines import DecodedLine, LineError
from gateway.domain.errors import NotFound, Unavailable
from gateway.store.port import Batch, RefusedLine, Upload, UploadKey, UploadState, Writing
from gateway.store.port_beside import Spool
from gateway.usecases.context import first_of
from gateway.usecases.desk import Desk, Line
from gateway.usecases.rehearsal import Rehearsal
from gateway.usecases.sorted_lines import Reader, SortedLines
from gateway.usecases.upload_coverage import UploadLimits

SWEPT_MAX: Final = 10_000
"""Uploads in the spool looked at when the writer starts."""

RETRY_S: Final = 0.2
"""How long applying rests when the store cannot be reached."""


Slice = list[tuple[int, DecodedLine]]
"""Lines with their sizes in bytes."""


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
        if upload.is_dry_run:
            upload = await self._begin_rehearsal(upload)
        lines = SortedLines(upload, self._spool, reader, self._limits.moves_ordered_max)
        try:
            if await lines.prepare(stop):
                upload = await self._apply_lines(upload, lines, stop)
        finally:
            await lines.close()
        if upload.state is UploadState.APPLIED:
            try:
                if upload.is_dry_run:
                    await self._rehearsal.end()
                await self._spool.discard(upload.upload_key)
            finally:
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

    async def _apply_lines(self, upload: Upload, lines: SortedLines, stop: asyncio.Event) -> Upload:
        """Apply slice by slice; while a server works at one, the lines of the next are read."""
        if lines.header_error is not None:
            return await self._refuse_whole(upload, lines.header_error)
        ahead = asyncio.create_task(lines.take(self._slice_lines))
        try:
            while upload.state is not UploadState.APPLIED and not stop.is_set():
                some = await ahead
                ahead = asyncio.create_task(lines.take(self._slice_lines))
                upload = await self._applied_slice(upload, lines, some, stop)
                await asyncio.sleep(0)
        finally:
            await asyncio.gather(ahead, return_exceptions=True)
        return upload

    async def _applied_slice(
        self, upload: Upload, lines: SortedLines, some: Slice, stop: asyncio.Event
    ) -> Upload:
        """Apply a slice; while the store is away, try again with what was sorted at hand."""
        while True:
            try:
                return await self._apply_slice(upload, lines, some)
            except Unavailable:
                with suppress(TimeoutError):
                    await asyncio.wait_for(stop.wait(), RETRY_S)
                if stop.is_set():
                    raise
            known = await self._store.upload(upload.upload_key)
            if known is not None and known.state is UploadState.APPLIED:
                return known
            if known != upload:
                raise Unavailable("STORE_UNAVAILABLE")

    async def _refuse_whole(self, upload: Upload, error: LineError) -> Upload:
        async with self._desk.turn() as now:
            done = replace(
                upload, state=UploadState.APPLIED, applied_time=now, lines_read=0, lines_refused=1
            )
            refused = [RefusedLine(error.line_number, error.column, error.reason)]
            await self._store.commit(Batch(now, upload=done, refused_lines=refused))
        return done

    async def _apply_slice(self, upload: Upload, lines: SortedLines, some: Slice) -> Upload:
        decoded = [one for _, one in some]
        said = [
            Line(one.line_number, one.said)
            for one in decoded
            if one.said is not None and not isinstance(one.said, LineError)
        ]
        unread = [one.said for one in decoded if isinstance(one.said, LineError)]
        async with self._desk.turn() as now:
            began = asyncio.get_running_loop().time()
            work = self._rehearsal.work if upload.is_dry_run else self._desk.work
            worked = await work(said, upload.insurer_number, upload.upload_key, now)
            refused = [RefusedLine(e.line_number, e.column, e.reason) for e in unread]
            refused += [RefusedLine(n, r.field, r.reason) for n, r in worked.refused]
            done = replace(
                upload,
                encoding=lines.encoding,
                bytes_done=upload.bytes_done + sum(size for size, _ in some),
                lines_read=upload.lines_read + len(some),
                lines_applied=upload.lines_applied + worked.lines_applied,
                lines_unchanged=upload.lines_unchanged
                + len(some)
                - worked.lines_applied
                - len(refused),
                lines_refused=upload.lines_refused + len(refused),
            )
            if done.lines_read >= lines.lines:
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

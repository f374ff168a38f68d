"""
Take an insurer's file until every byte of it is safe, and tell what became of it.

RECEIVED means that every byte is safe, APPLIED that every good line is visible;
`gateway.usecases.apply_uploads` leads from one to the other. A request id stands for one file:
sent again it is the same upload. All of it runs in the one writer. Sources: house 4 and 11.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Final

from gateway.domain.errors import Conflict, InvalidInput, NotFound, TooMuch, Unavailable
from gateway.domain.identifiers import InsurerNumber
from gateway.domain.line_order import BY_CONTENT
from gateway.domain.purpose import DataCategory, Operation, Role
from gateway.domain.reasons import REASONS, Advice
from gateway.store.port import Batch, RefusedLine, Upload, UploadKey, UploadState, Writing
from gateway.store.port_beside import Spool
from gateway.usecases.context import Context
from gateway.usecases.desk import Desk
from gateway.usecases.door import Door, Errand, Looked

ERRAND: Final = Errand(
    purpose="KP7-OR-01",
    operation=Operation.REGISTER,
    data=frozenset({DataCategory.QUALIFICATION, DataCategory.CERTIFICATE, DataCategory.NUMBER}),
    recipient=Role.OPERATOR,
)
"""A file may hold My Numbers; whether this one does is not known when it is let in."""

COUNTED_BYTES: Final = 1024 * 1024
"""How much of what was safe before is taken from the spool at a time to count its lines."""

_REQUEST_ID: Final = re.compile("[A-Za-z0-9_-]{1,64}")


@dataclass(frozen=True, slots=True)
class UploadLimits:
    """The limits of uploads, by the names of the settings."""

    upload_bytes_max: int
    chunk_bytes_max: int
    line_bytes_max: int
    slice_lines_max: int
    slice_ms_max: int
    refused_lines_reported_max: int
    refused_lines_kept_max: int
    moves_ordered_max: int


@dataclass(frozen=True, slots=True)
class UploadReport:
    """
    What became of an upload: how far it is, and its first refused lines with what to do.

    `lines_kept` counts the refused lines that are kept and can be listed.
    """

    upload: Upload
    refused: tuple[tuple[RefusedLine, Advice], ...]
    lines_kept: int


@dataclass(slots=True)
class LineCount:
    """Counts the lines of bytes that come in pieces; a last line needs no line end."""

    ends: int = 0
    is_open: bool = False

    def add(self, data: bytes) -> None:
        """Take the next bytes."""
        if data:
            self.ends += data.count(b"\n")
            self.is_open = not data.endswith(b"\n")

    def then(self, later: LineCount) -> LineCount:
        """The count of these bytes and those after them."""
        is_open = later.is_open or (self.is_open and not later.ends)
        return LineCount(self.ends + later.ends, is_open)

    @property
    def lines(self) -> int:
        """How many lines there are."""
        return self.ends + self.is_open


def upload_key_of(insurer: InsurerNumber, request_id: str) -> UploadKey:
    """
    The key of what an insurer sent under a request id.

    Raises:
        InvalidInput: `REQUEST_ID_WRONG`.
    """
    if _REQUEST_ID.fullmatch(request_id) is None:
        raise InvalidInput("REQUEST_ID_WRONG", "request_id")
    text = f"{insurer.zero_padded}:{request_id}".encode()
    return UploadKey(hashlib.blake2b(text, digest_size=16).digest())


def report_of(
    upload: Upload, refused_lines: Sequence[RefusedLine], limits: UploadLimits
) -> UploadReport:
    """Put a report together; a file that was ASCII throughout was read as UTF-8."""
    return UploadReport(
        replace(upload, encoding=upload.encoding or "utf-8"),
        tuple((line, REASONS[line.reason]) for line in refused_lines),
        min(upload.lines_refused, limits.refused_lines_kept_max),
    )


class Receiver:
    """
    Lets insurers send files; there is one in the writer.

    Args:
        on_received: Called when there is something to apply.
    """

    def __init__(
        self,
        store: Writing,
        spool: Spool,
        desk: Desk,
        door: Door,
        limits: UploadLimits,
        on_received: Callable[[], None],
    ) -> None:
        self.store = store
        self.spool = spool
        self.desk = desk
        self.door = door
        self.limits = limits
        self.on_received = on_received
        self._open: set[UploadKey] = set()

    @asynccontextmanager
    async def receiving(
        self, context: Context, request_id: str, *, is_dry_run: bool = False
    ) -> AsyncIterator[Receiving]:
        """
        Open an upload of the caller, or come back to it, for as long as the stream lives.

        Args:
            is_dry_run: Whether the file is only to be worked out.

        Raises:
            InvalidInput: `REQUEST_ID_WRONG`.
            Conflict: `UPLOAD_BUSY` while another stream has it; `UPLOAD_DIFFERS` if what was
                received under the request id was a dry run and this is none, or the other way
                round.
        """
        insurer = InsurerNumber(context.caller.code)
        upload_key = upload_key_of(insurer, request_id)
        if upload_key in self._open:
            raise Conflict("UPLOAD_BUSY", "request_id")
        self._open.add(upload_key)
        try:
            finished = await self.store.upload(upload_key)
            if finished is not None and finished.is_dry_run != is_dry_run:
                raise Conflict("UPLOAD_DIFFERS", "is_dry_run")
            offset = (
                await self.spool.durable_offset(upload_key)
                if finished is None
                else finished.size_bytes
            )
            yield Receiving(
                self, context, insurer, request_id, finished, offset, is_dry_run=is_dry_run
            )
        finally:
            self._open.discard(upload_key)

    async def status(
        self, insurer: InsurerNumber, request_id: str
    ) -> tuple[int, UploadReport | None]:
        """
        Tell how far an upload has come: the durable offset, and its report once it is received.

        The report is final when its upload's state is APPLIED.

        Raises:
            InvalidInput: `REQUEST_ID_WRONG`.
            NotFound: `UPLOAD_UNKNOWN`.
        """
        upload_key = upload_key_of(insurer, request_id)
        upload = await self.store.upload(upload_key)
        if upload is None:
            offset = await self.spool.durable_offset(upload_key)
            if not offset:
                raise NotFound("UPLOAD_UNKNOWN", "request_id")
            return offset, None
        lines = await self.store.refused_lines(upload_key, self.limits.refused_lines_reported_max)
        if await are_lines_disposed(upload, self.store):
            lines = ()
        return upload.size_bytes, report_of(upload, lines, self.limits)


async def are_lines_disposed(upload: Upload, store: Writing) -> bool:
    """Whether refused lines of an upload may be gone; to be asked after they were read."""
    applied = upload.applied_time
    return applied is not None and applied <= await store.lines_disposed_before()


class Receiving:
    """
    One stream of one upload.

    `finished` is the upload if all of it was received before; then nothing need be sent, and
    what is sent again from the beginning is compared and not kept.
    """

    def __init__(
        self,
        receiver: Receiver,
        context: Context,
        insurer: InsurerNumber,
        request_id: str,
        finished: Upload | None,
        durable_offset: int,
        *,
        is_dry_run: bool = False,
    ) -> None:
        self._receiver = receiver
        self._context = context
        self._insurer = insurer
        self._request_id = request_id
        self._upload_key = upload_key_of(insurer, request_id)
        self._compared = hashlib.sha256()
        self._compared_bytes = 0
        self.finished = finished
        self.durable_offset = durable_offset
        self._is_dry_run = is_dry_run
        self._opened_at = durable_offset
        self._lines = LineCount()

    async def append(self, offset: int, data: bytes) -> int:
        """
        Take bytes that begin at an offset and return what is durable then.

        Raises:
            InvalidInput: `UPLOAD_OFFSET_WRONG` for a gap.
            TooMuch: `MESSAGE_TOO_LARGE`.
            Conflict: `UPLOAD_DIFFERS` if bytes sent again are others.
        """
        limits = self._receiver.limits
        if len(data) > limits.chunk_bytes_max or offset + len(data) > limits.upload_bytes_max:
            raise TooMuch("MESSAGE_TOO_LARGE", "data")
        have = self.durable_offset if self.finished is None else self._compared_bytes
        if not 0 <= offset <= have:
            raise InvalidInput("UPLOAD_OFFSET_WRONG", "offset", durable_offset=str(have))
        if self.finished is not None:
            fresh = data[have - offset :]
            self._compared.update(fresh)
            self._compared_bytes += len(fresh)
            return self.durable_offset
        again = data[: have - offset]
        if again and await self._stored(offset, len(again)) != again:
            raise Conflict("UPLOAD_DIFFERS", "data")
        if len(data) > len(again):
            fresh = data[len(again) :]
            self.durable_offset = await self._receiver.spool.append(self._upload_key, have, fresh)
            self._lines.add(fresh)
        return self.durable_offset

    async def finish(self, size_bytes: int, digest: bytes = b"") -> Upload:
        """
        Close the file; when this returns, all of it is safe and its access record too.

        Args:
            digest: SHA-256 of the whole file, or empty if the sender does not say it.

        Raises:
            InvalidInput: `UPLOAD_OFFSET_WRONG` if bytes are missing.
            Conflict: `UPLOAD_DIFFERS` if another file was received under this request id, or what
                is safe is not what the digest says.
            NotPermitted: As the door; then nothing is registered.
            Unavailable: `STORE_UNAVAILABLE`.
        """
        if self.finished is not None:
            self._require_same(self.finished, size_bytes, digest)
            return self.finished
        if size_bytes != self.durable_offset:
            raise InvalidInput(
                "UPLOAD_OFFSET_WRONG", "size_bytes", durable_offset=str(self.durable_offset)
            )

        safe = await self._receiver.spool.digest(self._upload_key)
        if digest and digest != safe:
            raise Conflict("UPLOAD_DIFFERS", "sha256")
        lines_total = await self._lines_total()

        async def look() -> Looked[None]:
            return Looked(None, "REGISTERED", "DRY_RUN" if self._is_dry_run else "RECEIVED")

        await self._receiver.door.opened(self._context, ERRAND, look)
        # A sender that is gone by now does not take back what it finished.
        self.finished = await asyncio.shield(self._commit(size_bytes, safe, lines_total))
        return self.finished

    async def _lines_total(self) -> int:
        """Count the lines of what is safe: what came before this stream is read again."""
        before = LineCount()
        place = 0
        while place < self._opened_at:
            data = await self._stored(place, min(COUNTED_BYTES, self._opened_at - place))
            if not data:
                raise Unavailable("STORE_UNAVAILABLE")
            before.add(data)
            place += len(data)
        return max(0, before.then(self._lines).lines - 1)

    async def _commit(self, size_bytes: int, digest: bytes, lines_total: int) -> Upload:
        async with self._receiver.desk.turn() as now:
            received = Upload(
                self._upload_key,
                self._insurer,
                self._request_id,
                UploadState.RECEIVED,
                size_bytes,
                digest,
                received_time=now,
                lines_total=lines_total,
                is_dry_run=self._is_dry_run,
                line_order=BY_CONTENT,
            )
            there = await self._receiver.store.upload(self._upload_key)
            if there is not None:
                # Of a stream before, whose sender went away, or of a single change meanwhile.
                if there.is_dry_run != self._is_dry_run:
                    raise Conflict("UPLOAD_DIFFERS", "is_dry_run")
                self._require_same(there, size_bytes, digest)
                return there
            await self._receiver.store.commit(Batch(now, upload=received))
        self._receiver.on_received()
        return received

    async def _stored(self, offset: int, size: int) -> bytes:
        return await self._receiver.spool.read(self._upload_key, offset, size)

    def _require_same(self, finished: Upload, size_bytes: int, digest: bytes) -> None:
        if size_bytes != finished.size_bytes:
            raise Conflict("UPLOAD_DIFFERS", "size_bytes")
        if digest and digest != finished.digest:
            raise Conflict("UPLOAD_DIFFERS", "sha256")
        if 0 < self._compared_bytes < size_bytes:
            have = str(self._compared_bytes)
            raise InvalidInput("UPLOAD_OFFSET_WRONG", "size_bytes", durable_offset=have)
        if self._compared_bytes and self._compared.digest() != finished.digest:
            raise Conflict("UPLOAD_DIFFERS", "data")

"""
Send an insurer's coverage file, however often the connection or the gateway goes away.

How far an upload is stands in the gateway alone: the request id follows from the file's digest,
so the same file goes on by itself, from any machine. docs/upload.md describes it.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final, Protocol, TypeVar

import grpc

from gateway.app.ask import Outcome, refused
from gateway.app.channel import secure_channel
from gateway.app.sandbox import read_description
from gateway.config import Tls
from gateway.edges.rpc.status import DETAILS_KEY
from gateway.v1 import coverage_pb2 as pb
from gateway.v1.coverage_pb2_grpc import CoverageServiceStub

if TYPE_CHECKING:
    from gateway.v1.coverage_pb2_grpc import CoverageServiceAsyncStub

CHUNK_BYTES: Final = 256 * 1024
CHUNKS_AHEAD_MAX: Final = 4
"""Chunks sent before the first of them is acknowledged."""

HASHED_BYTES: Final = 1024 * 1024
BEGINNING_BYTES: Final = 64 * 1024
"""What is looked at of a file to tell its encoding and its insurer."""

DIGEST_DIGITS: Final = 40
"""Hexadecimal digits of the file's digest in its request id."""

DRY_RUNS_MAX: Final = 1_000
"""Dry runs of one file; each has a request id of its own."""

PAGE_LINES: Final = 1_000
"""Refused lines asked for at a time."""

_GONE: Final = frozenset(
    {
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.CANCELLED,
        grpc.StatusCode.ABORTED,
        grpc.StatusCode.DEADLINE_EXCEEDED,
    }
)
_CUT: Final = (grpc.StatusCode.INTERNAL, grpc.StatusCode.UNKNOWN)
"""What a broken connection reads as now and then."""

_BUSY: Final = "UPLOAD_BUSY"
"""The stream before is not over yet for the gateway; it will be soon."""

Call = grpc.aio.StreamStreamCall[pb.UploadCoverageRequest, pb.UploadCoverageResponse]
Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Patience:
    """
    How long an upload goes on without any progress; progress starts the count anew.

    The pause doubles from `first_wait_s` up to `wait_s_max`. A gateway that leaves a step without
    an answer for `answer_s_max` counts as away.
    """

    tries_max: int = 40
    first_wait_s: float = 0.5
    wait_s_max: float = 30.0
    answer_s_max: float = 120.0

    def wait_s(self, tries: int) -> float:
        """Seconds to wait after so many tries."""
        return float(min(self.first_wait_s * 2.0 ** (tries - 1), self.wait_s_max))


def _is_gone(error: grpc.aio.AioRpcError) -> bool:
    """Whether trying again is worth it; a status without details did not come from a gateway."""
    is_told = any(key == DETAILS_KEY for key, _ in error.trailing_metadata() or ())
    is_cut = error.code() in _CUT and not is_told
    return error.code() in _GONE or is_cut or _BUSY in (error.details() or "")


class Watching(Protocol):
    """Who is told how far an upload is."""

    def received(self, bytes_done: int, bytes_total: int) -> None:
        """So many bytes are safe."""

    def applying(self, lines_done: int, lines_total: int) -> None:
        """So many lines are done; the total is 0 while nobody knows."""

    def waiting(self, seconds: float, tries: int, tries_max: int) -> None:
        """The gateway is away, and is tried again after a while."""


class GoneError(Exception):
    """The gateway went away; it is worth trying again."""


class GaveUpError(Exception):
    """No try was left; its argument is how many there were."""


class RefusedError(Exception):
    """The gateway refuses, or the file cannot be sent; trying again would not help."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__(outcome.reason)
        self.outcome = outcome


def refusal(reason: str, ja: str, en: str) -> RefusedError:
    """A refusal of our own."""
    return RefusedError(Outcome(None, "FAILED_PRECONDITION", reason, ja, en))


@dataclass(frozen=True, slots=True)
class Source:
    """A file to send, as it was when its digest was taken."""

    path: Path
    size_bytes: int
    digest: bytes
    beginning: bytes
    stamp: tuple[int, int]

    @classmethod
    def of(cls, path: Path) -> Source:
        """Read a file once. Raises `OSError`."""
        with path.open("rb") as file:
            stamp = _stamp(file)
            digest, beginning, size = hashlib.sha256(), b"", 0
            while data := file.read(HASHED_BYTES):
                beginning = beginning or data[:BEGINNING_BYTES]
                digest.update(data)
                size += len(data)
            source = cls(path, size, digest.digest(), beginning, stamp)
            source.require_same(file)
        return source

    def require_same(self, file: BinaryIO) -> None:
        """Refuse a file that is being written to."""
        if _stamp(file) != self.stamp:
            raise refusal(
                "FILE_CHANGED",
                f"{self.path} が送信中に変更されました。書き込みが終わってからやり直してください。",
                f"{self.path} changed while it was sent. Send it again once it is complete.",
            )


def _stamp(file: BinaryIO) -> tuple[int, int]:
    state = os.fstat(file.fileno())
    return state.st_size, state.st_mtime_ns


@dataclass(slots=True)
class Sending:
    """
    One upload of one file to the gateway of the sandbox in `root`.

    `request_id` is empty until it is known. `is_repeated` tells whether the file was applied
    before; then its report comes again.
    """

    root: Path
    insurer: str
    source: Source
    watching: Watching
    request_id: str = ""
    is_dry_run: bool = False
    patience: Patience = field(default_factory=Patience)
    is_repeated: bool = False
    _is_begun: bool = False
    _furthest: tuple[int, int] = (0, -1)

    async def report(self) -> pb.UploadReport:
        """
        Send what is not safe yet and wait for the report.

        Raises:
            RefusedError: The gateway refuses, or the file changed.
            GaveUpError: The gateway stayed away.
            OSError: The file cannot be read.
        """
        return await self._persist(self._report)

    async def refused_lines(self, report: pb.UploadReport) -> AsyncIterator[pb.RefusedLine]:
        """Give every refused line that is kept, asking for further pages where there are more."""
        if report.refused_lines_kept <= len(report.refused_lines):
            for line in report.refused_lines:
                yield line
            return
        token = ""
        while True:
            request = pb.ListRefusedLinesRequest(
                request_id=self.request_id, page_size=PAGE_LINES, page_token=token
            )

            async def page(
                stub: CoverageServiceAsyncStub, request: pb.ListRefusedLinesRequest = request
            ) -> pb.ListRefusedLinesResponse:
                return await stub.ListRefusedLines(request, timeout=self.patience.answer_s_max)

            answer = await self._persist(page)
            for line in answer.refused_lines:
                yield line
            token = answer.next_page_token
            if not token:
                return

    async def _persist(
        self, work: Callable[[CoverageServiceAsyncStub], Awaitable[Result]]
    ) -> Result:
        tries = 0
        while True:
            before = self._furthest
            try:
                async with self._connected() as stub:
                    return await work(stub)
            except grpc.aio.AioRpcError as error:
                if not _is_gone(error):
                    raise RefusedError(refused(error)) from None
            except (GoneError, TimeoutError):
                pass
            tries = 1 if self._furthest > before else tries + 1
            if tries > self.patience.tries_max:
                raise GaveUpError(tries - 1)
            seconds = self.patience.wait_s(tries)
            self.watching.waiting(seconds, tries, self.patience.tries_max)
            await asyncio.sleep(seconds)

    @asynccontextmanager
    async def _connected(self) -> AsyncIterator[CoverageServiceAsyncStub]:
        """Connect to where the sandbox is now: another start may have given it another port."""
        try:
            description = read_description(self.root)
        except (FileNotFoundError, ValueError):
            raise GoneError from None
        party = description["insurers"][self.insurer]
        tls = Tls(*(Path(party[name]) for name in ("certificate", "key", "ca")))
        async with secure_channel(description["address"], tls) as channel:
            yield CoverageServiceStub(channel)

    async def _report(self, stub: CoverageServiceAsyncStub) -> pb.UploadReport:
        await self._begin(stub)
        call = stub.UploadCoverage()
        try:
            with self.source.path.open("rb") as file:
                await self._send(call, file)
            while True:
                response = await self._read(call)
                match response.WhichOneof("event"):
                    case "received":
                        self._applying(0, response.received.lines_total)
                    case "applying":
                        self._applying(response.applying.lines_read, response.applying.lines_total)
                    case "report":
                        read = response.report.lines_read
                        self._applying(read, read)
                        return response.report
        finally:
            call.cancel()

    async def _begin(self, stub: CoverageServiceAsyncStub) -> None:
        """Find the request id, and whether the file was applied before."""
        if self._is_begun:
            return
        digits = self.source.digest.hex()[:DIGEST_DIGITS]
        if self.is_dry_run and not self.request_id:
            for number in range(1, DRY_RUNS_MAX + 1):
                request_id = f"dry-{digits}-{number}"
                if not await self._is_applied(stub, request_id):
                    self.request_id = request_id
                    break
            else:
                raise refusal(
                    "TOO_MANY_DRY_RUNS",
                    f"予行は1ファイル{DRY_RUNS_MAX}回までです。--request-id を指定してください。",
                    f"A file has at most {DRY_RUNS_MAX} dry runs. Give a --request-id.",
                )
        else:
            self.request_id = self.request_id or f"file-{digits}"
            self.is_repeated = await self._is_applied(stub, self.request_id)
        self._is_begun = True

    async def _is_applied(self, stub: CoverageServiceAsyncStub, request_id: str) -> bool:
        try:
            answer = await stub.GetUpload(
                pb.GetUploadRequest(request_id=request_id), timeout=self.patience.answer_s_max
            )
        except grpc.aio.AioRpcError as error:
            if error.code() is grpc.StatusCode.NOT_FOUND:
                return False
            raise
        return answer.state == pb.UPLOAD_STATE_APPLIED

    async def _send(self, call: Call, file: BinaryIO) -> None:
        """Send from the durable offset on, a few chunks ahead of what is acknowledged."""
        start = pb.UploadStart(request_id=self.request_id, is_dry_run=self.is_dry_run)
        await self._write(call, pb.UploadCoverageRequest(start=start))
        offset = await self._acknowledged(call)
        file.seek(offset)
        ahead = 0
        while data := file.read(CHUNK_BYTES):
            self.source.require_same(file)
            chunk = pb.UploadChunk(offset=offset, data=data)
            await self._write(call, pb.UploadCoverageRequest(chunk=chunk))
            offset += len(data)
            ahead += 1
            if ahead == CHUNKS_AHEAD_MAX:
                await self._acknowledged(call)
                ahead -= 1
        for _ in range(ahead):
            await self._acknowledged(call)
        finish = pb.UploadFinish(size_bytes=self.source.size_bytes, sha256=self.source.digest)
        await self._write(call, pb.UploadCoverageRequest(finish=finish))

    async def _acknowledged(self, call: Call) -> int:
        offset = (await self._read(call)).progress.durable_offset
        self._furthest = max(self._furthest, (offset, -1))
        self.watching.received(offset, self.source.size_bytes)
        return offset

    def _applying(self, lines_done: int, lines_total: int) -> None:
        self._furthest = max(self._furthest, (self.source.size_bytes, lines_done))
        self.watching.applying(lines_done, lines_total)

    async def _write(self, call: Call, request: pb.UploadCoverageRequest) -> None:
        try:
            async with asyncio.timeout(self.patience.answer_s_max):
                await call.write(request)
        except asyncio.InvalidStateError:
            return  # The call is over; reading tells why.
        except grpc.aio.AioRpcError as error:
            if error.code() is grpc.StatusCode.INTERNAL:
                raise GoneError from error
            raise

    async def _read(self, call: Call) -> pb.UploadCoverageResponse:
        async with asyncio.timeout(self.patience.answer_s_max):
            response = await call.read()
        if isinstance(response, pb.UploadCoverageResponse):
            return response
        raise GoneError

"""
A simulated insurer: uploads coverage files, registers single changes and My Numbers.

An upload survives broken streams: the insurer asks how much is durable and goes on from there,
a bounded number of times.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, AsyncIterator
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Final

import grpc
from google.type import date_pb2

from gateway.v1 import coverage_pb2, types_pb2
from simulators.people import Card, Row

if TYPE_CHECKING:
    from gateway.v1.coverage_pb2_grpc import CoverageServiceAsyncStub

_Request = coverage_pb2.UploadCoverageRequest
_Response = coverage_pb2.UploadCoverageResponse
_Call = grpc.aio.StreamStreamCall[_Request, _Response]

CHUNK_BYTES: Final = 256 * 1024

_WORTH_RETRYING: Final = frozenset(
    {
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.CANCELLED,
        grpc.StatusCode.ABORTED,
        grpc.StatusCode.DEADLINE_EXCEEDED,
    }
)
_BUSY: Final = "UPLOAD_BUSY"
"""Another stream of the upload is not over yet; it will be soon."""


class UploadBrokenError(Exception):
    """The stream ended before the report came, without saying why."""


@dataclass(frozen=True, slots=True)
class Patience:
    """
    How often an upload is tried, and how long is waited, in seconds.

    Before a further try the wait doubles from `first_wait_s` up to `wait_s_max`. A stream that
    leaves a step unanswered for `answer_s_max`, or owes the report for `report_s_max`, is broken.
    """

    tries_max: int = 8
    first_wait_s: float = 0.1
    wait_s_max: float = 5.0
    answer_s_max: float = 30.0
    report_s_max: float = 3600.0

    def wait_s(self, tries: int) -> float:
        """Seconds to wait after so many tries."""
        return min(self.first_wait_s * 2.0 ** (tries - 1), self.wait_s_max)


DEFAULT_PATIENCE: Final = Patience()


async def upload(
    stub: CoverageServiceAsyncStub,
    request_id: str,
    data: bytes | AsyncIterable[bytes],
    chunk_bytes: int = CHUNK_BYTES,
    patience: Patience = DEFAULT_PATIENCE,
) -> coverage_pb2.UploadReport:
    """
    Send a coverage file and wait for its report, resuming if the stream breaks.

    Args:
        data: The file. Iterating an iterable again must begin at its first byte; an iterator,
            which cannot do that, is sent once and its broken stream is not resumed.

        chunk_bytes: Bytes of each chunk, at most 1 MiB.

    Raises:
        grpc.aio.AioRpcError: For a refusal, or if no try was left.
        UploadBrokenError: If streams ended without a report and no try was left.
        TimeoutError: If answers did not come in time and no try was left.
    """
    return await _persist(stub, request_id, data, chunk_bytes, patience, is_known=False)


async def resume(
    stub: CoverageServiceAsyncStub,
    request_id: str,
    data: bytes | AsyncIterable[bytes],
    chunk_bytes: int = CHUNK_BYTES,
    patience: Patience = DEFAULT_PATIENCE,
) -> coverage_pb2.UploadReport:
    """Go on with an upload begun earlier, as `upload`; one never begun starts at its first byte."""
    return await _persist(stub, request_id, data, chunk_bytes, patience, is_known=True)


async def _persist(
    stub: CoverageServiceAsyncStub,
    request_id: str,
    data: bytes | AsyncIterable[bytes],
    chunk_bytes: int,
    patience: Patience,
    *,
    is_known: bool,
) -> coverage_pb2.UploadReport:
    tries_max = 1 if isinstance(data, AsyncIterator) else patience.tries_max
    tries = 0
    while True:
        tries += 1
        try:
            offset = 0
            if is_known or tries > 1:
                state = await _state(stub, request_id)
                if state.HasField("report"):
                    return state.report
                offset = state.durable_offset
            return await _send(stub, request_id, data, chunk_bytes, offset, patience)
        except (UploadBrokenError, TimeoutError):
            if tries >= tries_max:
                raise
        except grpc.aio.AioRpcError as error:
            if tries >= tries_max or not _is_worth_retrying(error):
                raise
        await asyncio.sleep(patience.wait_s(tries))


def _is_worth_retrying(error: grpc.aio.AioRpcError) -> bool:
    return error.code() in _WORTH_RETRYING or _BUSY in (error.details() or "")


async def _state(stub: CoverageServiceAsyncStub, request_id: str) -> coverage_pb2.GetUploadResponse:
    try:
        return await stub.GetUpload(coverage_pb2.GetUploadRequest(request_id=request_id))
    except grpc.aio.AioRpcError as error:
        if error.code() is grpc.StatusCode.NOT_FOUND:
            return coverage_pb2.GetUploadResponse()
        raise


async def _send(
    stub: CoverageServiceAsyncStub,
    request_id: str,
    data: bytes | AsyncIterable[bytes],
    chunk_bytes: int,
    offset: int,
    patience: Patience,
) -> coverage_pb2.UploadReport:
    """
    One stream: send from an offset on, and give the report.

    Each chunk waits for the answer to the step before it. A refusal of a step is then always
    read, and never lost to a failing write; the gateway makes each chunk durable before it
    answers. Only a refusal of the call itself, which waits for no step, can end the stream while
    the start is being written: gRPC then tells a broken stream, and the next try the refusal.
    """
    call = stub.UploadCoverage()

    async def step(request: _Request) -> None:
        async with asyncio.timeout(patience.answer_s_max):
            await _write(call, request)
            await _read(call)

    place = 0
    try:
        await step(_Request(start=coverage_pb2.UploadStart(request_id=request_id)))
        async for chunk in _chunks(data, chunk_bytes):
            fresh = chunk[max(offset - place, 0) :]
            place += len(chunk)
            if fresh:
                part = coverage_pb2.UploadChunk(offset=place - len(fresh), data=fresh)
                await step(_Request(chunk=part))
        await step(_Request(finish=coverage_pb2.UploadFinish(size_bytes=place)))
        async with asyncio.timeout(patience.report_s_max):
            while not (response := await _read(call)).HasField("report"):
                pass
        return response.report
    finally:
        call.cancel()


async def _write(call: _Call, request: _Request) -> None:
    try:
        await call.write(request)
    except asyncio.InvalidStateError:
        return  # The call is over; reading tells why.
    except grpc.aio.AioRpcError as error:
        if error.code() is grpc.StatusCode.INTERNAL:
            raise UploadBrokenError("the stream ended while it was written to") from error
        raise


async def _read(call: _Call) -> _Response:
    response = await call.read()
    if isinstance(response, _Response):
        return response
    raise UploadBrokenError("the stream ended without a report")


async def _chunks(data: bytes | AsyncIterable[bytes], chunk_bytes: int) -> AsyncIterator[bytes]:
    """The file in chunks of exactly so many bytes, the last one shorter."""
    held = bytearray()
    async for piece in _pieces(data):
        held += piece
        while len(held) >= chunk_bytes:
            yield bytes(held[:chunk_bytes])
            del held[:chunk_bytes]
    if held:
        yield bytes(held)


async def _pieces(data: bytes | AsyncIterable[bytes]) -> AsyncIterator[bytes]:
    if isinstance(data, bytes):
        view = memoryview(data)
        for begin in range(0, len(data), CHUNK_BYTES):
            yield bytes(view[begin : begin + CHUNK_BYTES])
        return
    async for piece in data:
        yield piece


async def register(
    stub: CoverageServiceAsyncStub, request_id: str, row: Row
) -> coverage_pb2.RegisterCoverageResponse:
    """
    Register one line of a coverage file by itself.

    Raises:
        grpc.aio.AioRpcError: For a refusal.
    """
    return await stub.RegisterCoverage(
        coverage_pb2.RegisterCoverageRequest(request_id=request_id, cells=row)
    )


async def register_number(
    stub: CoverageServiceAsyncStub,
    request_id: str,
    card: Card,
    birth_date: date,
    individual_number: str,
    *,
    is_correction: bool = False,
) -> coverage_pb2.RegisterIndividualNumberResponse:
    """
    Tell an enrollee's My Number, or that another one told before was wrong.

    Raises:
        grpc.aio.AioRpcError: For a refusal.
    """
    return await stub.RegisterIndividualNumber(
        coverage_pb2.RegisterIndividualNumberRequest(
            request_id=request_id,
            insured_id=types_pb2.InsuredId(**card.cells()),
            birth_date=date_pb2.Date(
                year=birth_date.year, month=birth_date.month, day=birth_date.day
            ),
            individual_number=individual_number,
            is_correction=is_correction,
        )
    )


async def recheck_numbers(stub: CoverageServiceAsyncStub, request_id: str) -> int:
    """
    Have all of an insurer's numbers checked again, page by page; give how many wait.

    Raises:
        grpc.aio.AioRpcError: For a refusal.
    """
    waiting, token = 0, ""
    while True:
        page = await stub.RecheckIndividualNumbers(
            coverage_pb2.RecheckIndividualNumbersRequest(request_id=request_id, page_token=token)
        )
        waiting += page.numbers_waiting
        token = page.next_page_token
        if not token:
            return waiting


async def search_numbers(stub: CoverageServiceAsyncStub, request_id: str) -> tuple[int, int]:
    """
    Have all of an insurer's missing numbers looked for, page by page.

    Returns:
        How many are looked for, and how many enrollees lack one of the five items.

    Raises:
        grpc.aio.AioRpcError: For a refusal.
    """
    wanted, missing, token = 0, 0, ""
    while True:
        page = await stub.SearchIndividualNumbers(
            coverage_pb2.SearchIndividualNumbersRequest(request_id=request_id, page_token=token)
        )
        wanted += page.numbers_wanted
        missing += page.items_missing
        token = page.next_page_token
        if not token:
            return wanted, missing


async def looks_through(
    stub: CoverageServiceAsyncStub, card: Card, birth_date: date, page_size: int = 0
) -> list[coverage_pb2.LookThrough]:
    """
    List everybody who could have seen an enrollee's covers, page by page.

    Raises:
        grpc.aio.AioRpcError: For a refusal.
    """
    request = coverage_pb2.ListLooksThroughRequest(
        insured_id=types_pb2.InsuredId(**card.cells()),
        birth_date=date_pb2.Date(year=birth_date.year, month=birth_date.month, day=birth_date.day),
        page_size=page_size,
    )
    looks: list[coverage_pb2.LookThrough] = []
    while True:
        page = await stub.ListLooksThrough(request)
        looks += page.looks
        request.page_token = page.next_page_token
        if not page.next_page_token:
            return looks

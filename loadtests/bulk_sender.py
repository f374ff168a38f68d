"""
A sender that may be killed: asks how much of its file is safe, goes on there, until the report.

    python -m loadtests.bulk_sender --root ROOT --port PORT --file FILE --request-id ID
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

import grpc

from gateway.v1 import coverage_pb2 as cov
from gateway.v1.coverage_pb2_grpc import CoverageServiceStub
from loadtests.bulk_file import INSURER
from loadtests.kill_world import is_worth_retrying
from loadtests.places import channel_to

if TYPE_CHECKING:
    from gateway.v1.coverage_pb2_grpc import CoverageServiceAsyncStub

CHUNK_BYTES: Final = 4 * 1024
DONE_S_MAX: Final = 120.0
PAUSE_S: Final = 0.05


async def sent(root: Path, port: int, request_id: str, content: bytes) -> None:
    """Send a file until its report is there."""
    until = time.monotonic() + DONE_S_MAX
    async with channel_to(root, port, f"insurer-{INSURER}") as channel:
        stub: CoverageServiceAsyncStub = CoverageServiceStub(channel)
        while time.monotonic() < until:
            with contextlib.suppress(grpc.aio.AioRpcError):
                if await _sent_once(stub, request_id, content):
                    return
            await asyncio.sleep(PAUSE_S)
    raise RuntimeError("no report")


async def _sent_once(stub: CoverageServiceAsyncStub, request_id: str, content: bytes) -> bool:
    offset = 0
    with contextlib.suppress(grpc.aio.AioRpcError):
        state = await stub.GetUpload(cov.GetUploadRequest(request_id=request_id), timeout=5)
        if state.HasField("report"):
            return True
        offset = int(state.durable_offset)

    async def requests() -> AsyncIterator[cov.UploadCoverageRequest]:
        yield cov.UploadCoverageRequest(start=cov.UploadStart(request_id=request_id))
        for at in range(offset, len(content), CHUNK_BYTES):
            chunk = cov.UploadChunk(offset=at, data=content[at : at + CHUNK_BYTES])
            yield cov.UploadCoverageRequest(chunk=chunk)
        yield cov.UploadCoverageRequest(finish=cov.UploadFinish(size_bytes=len(content)))

    try:
        async for answer in stub.UploadCoverage(requests(), timeout=DONE_S_MAX):
            if answer.HasField("report"):
                return True
    except grpc.aio.AioRpcError as error:
        if not is_worth_retrying(error):
            raise RuntimeError(f"refused: {error.code().name}") from error
    return False


def main() -> None:
    """Parse the options and send."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", type=Path, required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--file", type=Path, required=True)
    parser.add_argument("--request-id", required=True)
    options = parser.parse_args()
    content = options.file.read_bytes()
    asyncio.run(sent(options.root, options.port, options.request_id, content))


if __name__ == "__main__":
    main()

"""
The gateway that is killed, and clients that remember what they were told.

A careful sender asks after a break how much of its file is safe and goes on there; what was
acknowledged it never sends again. A clinic keeps the id of every access record it was named.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

import grpc
from google.type.date_pb2 import Date

from gateway.v1 import coverage_pb2 as cov
from gateway.v1.coverage_pb2_grpc import CoverageServiceStub
from gateway.v1.eligibility_pb2 import ConfirmEligibilityRequest, ConfirmEligibilityResponse
from gateway.v1.types_pb2 import InsuredId
from loadtests.places import channel_to

if TYPE_CHECKING:
    from gateway.v1.coverage_pb2_grpc import CoverageServiceAsyncStub
    from gateway.v1.eligibility_pb2_grpc import EligibilityServiceAsyncStub

INSURER: Final = "06139992"
INSTITUTION: Final = "1319999999"
LINES_PER_ROUND: Final = 60
CHUNK_BYTES: Final = 1024
RECOVER_S_MAX: Final = 30.0
HEADER: Final = (
    "insurer_number,action,symbol,number,branch,birth_date,acquisition_date,name,sex,insurer_name"
)
RETRIED: Final = (
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.CANCELLED,
    grpc.StatusCode.DEADLINE_EXCEEDED,
)


def number_of(round_no: int, line: int) -> str:
    """The number of a made-up person."""
    return f"{round_no:05}{line:03}"


def file_of(round_no: int) -> bytes:
    """A coverage file of people nobody has heard of before."""
    lines = [
        f"{INSURER},NEW,K{round_no},{number_of(round_no, i)},01,19800101,20260401,"
        f"試験　{round_no}番,1,模擬健康保険組合"
        for i in range(LINES_PER_ROUND)
    ]
    return ("\n".join([HEADER, *lines]) + "\n").encode()


def question(round_no: int, line: int) -> ConfirmEligibilityRequest:
    """Ask about one of them."""
    return ConfirmEligibilityRequest(
        insured_id=InsuredId(
            insurer_number=INSURER,
            symbol=f"K{round_no}",
            number=number_of(round_no, line),
            branch="01",
        ),
        birth_date=Date(year=1980, month=1, day=1),
        confirmation_date=Date(year=2026, month=4, day=15),
    )


@dataclass(slots=True)
class World:
    """The gateway under test and what its clients were told."""

    root: Path
    port: int
    may_kill: str = ""
    supervisor: asyncio.subprocess.Process | None = None
    received: set[int] = field(default_factory=set)
    answers: dict[str, int] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)
    down_s: list[float] = field(default_factory=list)
    killed: Counter[str] = field(default_factory=Counter)
    log: Path | None = None
    """Where the gateway's log goes; nowhere by default."""

    @property
    def data(self) -> Path:
        """The gateway's data directory."""
        return self.root / "data"

    def channel(self, party: str) -> grpc.aio.Channel:
        """Open a connection of its own."""
        return channel_to(self.root, self.port, party)

    async def start(self) -> None:
        """Start the supervisor; its forerunner's children may need a moment to go."""
        until = time.monotonic() + RECOVER_S_MAX
        while time.monotonic() < until:
            with (self.log or Path(os.devnull)).open("ab") as log:
                self.supervisor = await asyncio.create_subprocess_exec(
                    sys.executable,
                    "-m",
                    "gateway",
                    "serve",
                    "--config",
                    str(self.root / "gateway.toml"),
                    stdout=asyncio.subprocess.PIPE,
                    stderr=log,
                )
            assert self.supervisor.stdout is not None
            if b"listens" in await self.supervisor.stdout.readline():
                return
            await self.supervisor.wait()
            await asyncio.sleep(0.1)
        raise RuntimeError("the gateway did not come back")

    def processes(self) -> dict[str, int]:
        """Process ids by name, from the supervisor's children."""
        assert self.supervisor is not None
        pid = self.supervisor.pid
        found = {"supervisor": pid}
        for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
            with contextlib.suppress(OSError):
                command = Path(f"/proc/{child}/cmdline").read_bytes().decode().split("\0")
                module = next((word for word in command if word.startswith("gateway.app.")), "")
                found[f"{module.rpartition('.')[2]}:{child}"] = int(child)
        return found

    async def process(self, kind: str) -> int:
        """Wait for a process of a kind, which may just be started again; give its id."""
        while True:
            found = self.processes()
            for name in sorted(found):
                if name.partition(":")[0] == kind:
                    return found[name]
            await asyncio.sleep(0.02)


async def requests_of(
    round_no: int, content: bytes, offset: int
) -> AsyncIterator[cov.UploadCoverageRequest]:
    """The messages of an upload from an offset on."""
    yield cov.UploadCoverageRequest(start=cov.UploadStart(request_id=f"kill-{round_no}"))
    for at in range(offset, len(content), CHUNK_BYTES):
        chunk = cov.UploadChunk(offset=at, data=content[at : at + CHUNK_BYTES])
        yield cov.UploadCoverageRequest(chunk=chunk)
    yield cov.UploadCoverageRequest(finish=cov.UploadFinish(size_bytes=len(content)))


async def upload_once(
    world: World, stub: CoverageServiceAsyncStub, round_no: int, offset: int
) -> cov.UploadReport | None:
    """Send a file from an offset; remember the acknowledgement the moment it is here."""
    call = stub.UploadCoverage(requests_of(round_no, file_of(round_no), offset), timeout=20)
    async for answer in call:
        if answer.HasField("received"):
            world.received.add(round_no)
        elif answer.HasField("report"):
            return answer.report
    return None


async def upload(world: World, round_no: int) -> cov.UploadReport:
    """Upload as a careful sender: after a break ask how much is safe, go on there."""
    async with world.channel(f"insurer-{INSURER}") as channel:
        stub = CoverageServiceStub(channel)
        until = time.monotonic() + RECOVER_S_MAX
        offset = 0
        while time.monotonic() < until:
            try:
                if round_no in world.received:
                    return await acknowledged_report(world, stub, round_no, until)
                report = await upload_once(world, stub, round_no, offset)
                if report is not None:
                    return report
            except grpc.aio.AioRpcError as error:
                if not is_worth_retrying(error):
                    raise
            await asyncio.sleep(0.05)
            offset = await durable_offset(stub, round_no)
    raise RuntimeError(f"round {round_no}: no report")


def is_worth_retrying(error: grpc.aio.AioRpcError) -> bool:
    """Whether the stream broke, which grpc also tells as an internal error of its core."""
    details = error.details() or ""
    return error.code() in RETRIED or "from Core" in details or "UPLOAD_BUSY" in details


async def durable_offset(stub: CoverageServiceAsyncStub, round_no: int) -> int:
    """How much of an upload is safe; 0 while nobody can say."""
    with contextlib.suppress(grpc.aio.AioRpcError):
        state = await stub.GetUpload(cov.GetUploadRequest(request_id=f"kill-{round_no}"), timeout=5)
        return int(state.durable_offset)
    return 0


async def acknowledged_report(
    world: World, stub: CoverageServiceAsyncStub, round_no: int, until: float
) -> cov.UploadReport:
    """What was acknowledged must be known and get applied without a byte sent again."""
    while time.monotonic() < until:
        try:
            state = await stub.GetUpload(
                cov.GetUploadRequest(request_id=f"kill-{round_no}"), timeout=5
            )
        except grpc.aio.AioRpcError as error:
            if error.code() is grpc.StatusCode.NOT_FOUND:
                world.wrong.append(f"round {round_no}: acknowledged upload is unknown")
                world.received.discard(round_no)
                break
            if error.code() not in RETRIED:
                raise
        else:
            if state.state == cov.UPLOAD_STATE_RECEIVING:
                world.wrong.append(f"round {round_no}: acknowledged upload went back to receiving")
                world.received.discard(round_no)
                break
            if state.HasField("report"):
                return state.report
        await asyncio.sleep(0.05)
    return cov.UploadReport()


async def ask(
    world: World, stub: EligibilityServiceAsyncStub, round_no: int, line: int
) -> ConfirmEligibilityResponse | None:
    """Ask once and keep what the answer promised; None if the gateway was away."""
    try:
        answer = await stub.ConfirmEligibility(question(round_no, line), timeout=5)
    except grpc.aio.AioRpcError as error:
        if error.code() not in RETRIED:
            world.wrong.append(f"round {round_no}: lookup failed with {error.code().name}")
        return None
    world.answers[answer.access_record_id] = int(answer.validity)
    return answer

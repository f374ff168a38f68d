"""
A gateway that is busy in every way while it is copied, and what its clients were told.

One file is half sent, a large one is being applied, others wait to be, and clinics ask.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import sqlite3
import sys
import time
from collections.abc import AsyncIterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import grpc
from google.protobuf.timestamp_pb2 import Timestamp

from gateway.v1 import coverage_pb2 as cov
from gateway.v1.coverage_pb2_grpc import CoverageServiceStub
from gateway.v1.eligibility_pb2_grpc import EligibilityServiceStub
from loadtests.kill_world import (
    CHUNK_BYTES,
    INSURER,
    LINES_PER_ROUND,
    World,
    file_of,
    question,
    upload,
)
from loadtests.places import free_port, write_config
from loadtests.upload_kills import LIMITS

ASK_PAUSE_S: Final = 0.005
HALF: Final = 900
"""The round of the file that is half sent."""
WAITING: Final = (901, 902)
"""The rounds of those that wait."""
BIG: Final = "big"
"""The request id of the large one."""
SENT_S_MAX: Final = 60.0
HELD_S_MAX: Final = 300.0
BIG_STATE: Final = "SELECT state, lines_read FROM uploads WHERE request_id = ?"


@dataclass
class Place:
    """A gateway in a directory, and its clients."""

    root: Path
    file: Path
    """The large file."""
    world: World = field(init=False)
    sender: asyncio.subprocess.Process | None = None
    took_ms: list[float] = field(default_factory=list)
    stop: asyncio.Event = field(default_factory=asyncio.Event)
    tasks: list[asyncio.Task[None]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.world = World(self.root, free_port())
        config = write_config(self.root, self.world.port)
        config.write_text(config.read_text() + LIMITS)

    async def end(self) -> None:
        """End the gateway and whoever still talks to it."""
        await self.end_clients()
        if self.sender is not None and self.sender.returncode is None:
            self.sender.kill()
            await self.sender.wait()
        if self.world.supervisor is not None and self.world.supervisor.returncode is None:
            self.world.supervisor.terminate()
            await self.world.supervisor.wait()

    async def end_clients(self) -> None:
        """End clinics that ask and the stream that was left open."""
        self.stop.set()
        await asyncio.gather(*self.tasks)
        self.tasks.clear()

    def ask_on(self, rounds: int, askers: int, seed: int) -> None:
        """Let clinics ask about acknowledged people from now on."""
        for number in range(askers):
            self.tasks.append(asyncio.create_task(self._keep_asking(rounds, seed + number)))

    async def _keep_asking(self, rounds: int, seed: int) -> None:
        rng = random.Random(seed)
        async with self.world.channel("institution") as channel:
            stub = EligibilityServiceStub(channel)
            while not self.stop.is_set():
                asked = question(rng.randrange(rounds), rng.randrange(LINES_PER_ROUND))
                began = time.perf_counter()
                answer = await stub.ConfirmEligibility(asked, timeout=SENT_S_MAX)
                self.took_ms.append((time.perf_counter() - began) * 1000)
                self.world.answers[answer.access_record_id] = int(answer.validity)
                await asyncio.sleep(ASK_PAUSE_S)

    async def send_half(self) -> int:
        """Send half of a file and leave the stream open; give how much was acknowledged."""
        reached: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self.tasks.append(asyncio.create_task(self._send_half(reached)))
        return await asyncio.wait_for(reached, SENT_S_MAX)

    async def _send_half(self, reached: asyncio.Future[int]) -> None:
        content = file_of(HALF)
        half = len(content) // 2

        async def requests() -> AsyncIterator[cov.UploadCoverageRequest]:
            yield cov.UploadCoverageRequest(start=cov.UploadStart(request_id=f"kill-{HALF}"))
            for at in range(0, half, CHUNK_BYTES):
                data = content[at : min(at + CHUNK_BYTES, half)]
                yield cov.UploadCoverageRequest(chunk=cov.UploadChunk(offset=at, data=data))
            await self.stop.wait()

        async with self.world.channel(f"insurer-{INSURER}") as channel:
            call = CoverageServiceStub(channel).UploadCoverage(requests(), timeout=HELD_S_MAX)
            with contextlib.suppress(grpc.aio.AioRpcError):
                async for answer in call:
                    offset = int(answer.progress.durable_offset)
                    if offset >= half and not reached.done():
                        reached.set_result(offset)

    async def send_waiting(self) -> None:
        """Send files until each is acknowledged as received, and wait for no more."""
        async with self.world.channel(f"insurer-{INSURER}") as channel:
            stub = CoverageServiceStub(channel)
            for round_no in WAITING:
                call = stub.UploadCoverage(whole(round_no), timeout=SENT_S_MAX)
                async for answer in call:
                    if answer.HasField("received"):
                        break
                call.cancel()

    async def send_big(self) -> None:
        """Start a sender of the large file, which goes on wherever it is."""
        self.sender = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "loadtests.bulk_sender", "--root", str(self.root),
            "--port", str(self.world.port), "--file", str(self.file), "--request-id", BIG,
        )  # fmt: skip

    def is_big_moving(self) -> bool:
        """Whether some of the large file is applied."""
        database = f"file:{self.world.data / 'gateway.db'}?mode=ro"
        with closing(sqlite3.connect(database, uri=True)) as connection:
            row = connection.execute(BIG_STATE, (BIG,)).fetchone()
        return row is not None and row != (2, 0)

    async def finish_all(self) -> None:
        """Let every upload come to its end."""
        if self.sender is None:
            await self.send_big()
        assert self.sender is not None
        for round_no in (HALF, *WAITING):
            await upload(self.world, round_no)
        if await self.sender.wait():
            raise RuntimeError("the large file was not applied")

    async def answers(self, rounds: range, known_us: int) -> dict[tuple[int, int], bytes]:
        """What people are answered with as of a moment, but for the record's id and the time."""
        known = Timestamp()
        known.FromMicroseconds(known_us)
        found = {}
        async with self.world.channel("institution") as channel:
            stub = EligibilityServiceStub(channel)
            for round_no in rounds:
                for line in range(LINES_PER_ROUND):
                    asked = question(round_no, line)
                    asked.known_time.CopyFrom(known)
                    answer = await stub.ConfirmEligibility(asked, timeout=SENT_S_MAX)
                    answer.ClearField("access_record_id")
                    answer.ClearField("process_time")
                    found[round_no, line] = answer.SerializeToString(deterministic=True)
        return found


async def whole(round_no: int) -> AsyncIterator[cov.UploadCoverageRequest]:
    """The messages of a file."""
    content = file_of(round_no)
    yield cov.UploadCoverageRequest(start=cov.UploadStart(request_id=f"kill-{round_no}"))
    yield cov.UploadCoverageRequest(chunk=cov.UploadChunk(offset=0, data=content))
    yield cov.UploadCoverageRequest(finish=cov.UploadFinish(size_bytes=len(content)))


async def onshi(*arguments: object) -> tuple[int, str]:
    """Run `onshi`; give the exit code and what it said."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "gateway", *map(str, arguments),
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    said, _ = await process.communicate()
    return process.returncode or 0, said.decode()

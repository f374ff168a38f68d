"""
A gateway of real processes for uploads of any size: started, watched, asked, and looked into.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sqlite3
import sys
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import asyncpg

from gateway.app.certificates import issue_all
from gateway.v1 import coverage_pb2 as cov
from gateway.v1.coverage_pb2_grpc import CoverageServiceStub
from loadtests.bulk_file import CHUNK_BYTES, INSTITUTION, INSURER, Refused
from loadtests.kill_world import World
from loadtests.places import channel_to, free_port, write_config

if TYPE_CHECKING:
    from gateway.v1.coverage_pb2_grpc import CoverageServiceAsyncStub

CLEAR_PEAKS: Final = "5"
"""Written to `clear_refs`, makes the kernel forget a process's highest memory so far."""
UPLOAD_S_MAX: Final = 3_600.0
WATCH_S: Final = 0.2


@asynccontextmanager
async def running(root: Path, limits: str = "", store: str | None = None) -> AsyncIterator[World]:
    """Start a gateway of its own in a folder, and stop it at the end."""
    root.mkdir(exist_ok=True)  # noqa: ASYNC240  nothing else runs yet
    issue_all(root / "certs", INSTITUTION, [INSURER])
    world = World(root, free_port())
    config = write_config(root, world.port, store)
    config.write_text(config.read_text() + limits)
    await world.start()
    try:
        yield world
    finally:
        assert world.supervisor is not None
        with contextlib.suppress(ProcessLookupError):
            world.supervisor.terminate()
        await world.supervisor.wait()


@dataclass(frozen=True, slots=True)
class Uploaded:
    """One upload: its report, and seconds from the first byte to each state."""

    report: cov.UploadReport
    size_bytes: int
    received_s: float
    applied_s: float


async def upload(world: World, request_id: str, pieces: Iterable[bytes]) -> Uploaded:
    """Send a file over one connection and wait for its report."""
    size = 0
    began = time.perf_counter()

    async def requests() -> AsyncIterator[cov.UploadCoverageRequest]:
        nonlocal size
        yield cov.UploadCoverageRequest(start=cov.UploadStart(request_id=request_id))
        for piece in pieces:
            for at in range(0, len(piece), CHUNK_BYTES):
                data = piece[at : at + CHUNK_BYTES]
                yield cov.UploadCoverageRequest(chunk=cov.UploadChunk(offset=size, data=data))
                size += len(data)
        yield cov.UploadCoverageRequest(finish=cov.UploadFinish(size_bytes=size))

    async with channel_to(world.root, world.port, f"insurer-{INSURER}") as channel:
        stub: CoverageServiceAsyncStub = CoverageServiceStub(channel)
        await channel.channel_ready()
        began, received = time.perf_counter(), 0.0
        async for answer in stub.UploadCoverage(requests(), timeout=UPLOAD_S_MAX):
            if answer.HasField("received"):
                received = time.perf_counter() - began
            elif answer.HasField("report"):
                return Uploaded(answer.report, size, received, time.perf_counter() - began)
    raise RuntimeError("the stream ended without a report")


class Peaks:
    """The highest resident memory of each process, as the kernel keeps it."""

    def __init__(self, world: World) -> None:
        self._world = world

    def forget(self) -> None:
        """Begin anew."""
        for pid in self._world.processes().values():
            with contextlib.suppress(OSError):
                Path(f"/proc/{pid}/clear_refs").write_text(CLEAR_PEAKS)

    def mib(self) -> dict[str, float]:
        """Peaks since then in MiB by kind of process; of several of a kind, the highest."""
        found: dict[str, float] = {}
        for name, pid in self._world.processes().items():
            with contextlib.suppress(OSError):
                kind = name.partition(":")[0]
                found[kind] = max(found.get(kind, 0.0), high_water_mib(pid))
        return found


def high_water_mib(pid: int) -> float:
    """The highest resident memory of a process."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    return 0.0


_REFUSED: Final = (
    "SELECT line_number, column_name, reason FROM refused_lines WHERE upload_key = "
    "(SELECT upload_key FROM uploads WHERE request_id = {}) "
    "ORDER BY line_number, column_name, reason"
)


async def kept_refused_lines(world: World, request_id: str, store: str | None) -> list[Refused]:
    """Every refused line of an upload, in order, read from the database beside the gateway."""
    if store is not None:
        connection = await asyncpg.connect(store)
        rows = await connection.fetch(_REFUSED.format("$1"), request_id)
        await connection.close()
        return [Refused(*row) for row in rows]
    with closing(sqlite3.connect(f"file:{world.data}/gateway.db?mode=ro", uri=True)) as database:
        found = database.execute(_REFUSED.format("?"), (request_id,)).fetchall()
    return [Refused(*row) for row in found]


def cpu_seconds(pid: int) -> float:
    """User and system time of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def finished(command: list[str]) -> None:
    """Run a Python module of ours beside this process until it ends well."""
    process = await asyncio.create_subprocess_exec(sys.executable, "-m", *command)
    if await process.wait():
        raise RuntimeError(f"{command[0]} failed")

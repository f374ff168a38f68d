"""
From the start of the process to health SERVING over mutual TLS, with people stored.

    python -m loadtests.start_time [--people 10000] [--runs 7]
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from gateway.app.sandbox import running_sandbox
from loadtests.places import channel_to, free_port, write_config

GOAL_S: Final = 1.5
GIVE_UP_S: Final = 20.0
POLL_S: Final = 0.005


async def seconds_to_serving(root: Path, port: int, argv: list[str]) -> float | None:
    """Start a process and ask for its health until it says SERVING; None if it never does."""
    begin = time.perf_counter()
    process = await asyncio.create_subprocess_exec(
        *argv, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL
    )
    try:
        while time.perf_counter() - begin < GIVE_UP_S and process.returncode is None:
            if await is_serving(root, port):
                return time.perf_counter() - begin
            await asyncio.sleep(POLL_S)
        return None
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


async def is_serving(root: Path, port: int) -> bool:
    """Ask once, over a connection of its own."""
    async with channel_to(root, port, "institution") as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        try:
            answer = await stub.Check(health_pb2.HealthCheckRequest(), timeout=0.5)
        except grpc.aio.AioRpcError:
            return False
        return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)


async def show(people: int, runs: int) -> int:
    """Fill a store, then start a gateway on it again and again."""
    with tempfile.TemporaryDirectory(prefix="onshi-start-") as scratch:
        root = Path(scratch)
        async with running_sandbox(root, port=0, people=people, seed=7):
            pass
        port = free_port()
        config = write_config(root, port)
        idle = [sys.executable, "-c", "import time; time.sleep(1)"]
        planted = await seconds_to_serving(root, port, idle)
        print(f"planted process that serves nothing: {planted or 'never SERVING'}")
        serve = [sys.executable, "-m", "gateway", "serve", "--config", str(config)]
        times = [await seconds_to_serving(root, port, serve) for _ in range(runs)]
        good = [seconds for seconds in times if seconds is not None]
        if len(good) != runs:
            print(f"{runs - len(good)} of {runs} starts never came to SERVING")
            return 1
        median = statistics.median(good)
        print(
            f"{people} people stored, {runs} starts: median {median:.2f} s, "
            f"min {min(good):.2f}, max {max(good):.2f} (goal {GOAL_S})"
        )
        return 0 if median <= GOAL_S and planted is None else 1


def main() -> None:
    """Parse the options and run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--people", type=int, default=10_000)
    parser.add_argument("--runs", type=int, default=7)
    options = parser.parse_args()
    sys.exit(asyncio.run(show(options.people, options.runs)))


if __name__ == "__main__":
    main()

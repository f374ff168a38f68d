"""
Lookups beside a large upload: their median and p99 over those without it (goal: p99 at most 3).

Questions come at a fixed rate from a process of their own, whether answers come or not. For each
rate they are asked without an upload, during one from its first byte on, and without one again;
every answer is checked. First the verdict is shown workers that stop now and then, whom it must
notice, and questions about people nobody sent.

    python -m loadtests.upload_beside [--lines 1000000] [--seconds 20]
    python -m loadtests.on_postgres upload_beside [--lines 1000000] [--seconds 20]

On PostgreSQL the p99 and its ratio are told but not judged, and only a wrong answer fails: there a
lookup waits for a server that the upload keeps busy on the same cores, so its ratio says how many
cores the machine has. SQLite's readers wait for nobody, and for them the goal stands.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import math
import os
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import grpc
import msgspec
from msgspec import Struct

from gateway.config import STORE_VARIABLE
from gateway.v1.eligibility_pb2_grpc import EligibilityServiceStub
from gateway.v1.types_pb2 import VALIDITY_VALID
from loadtests import bulk_file
from loadtests.bulk_place import finished, running, upload
from loadtests.kill_world import World
from loadtests.places import channel_to

if TYPE_CHECKING:
    from gateway.v1.eligibility_pb2_grpc import EligibilityServiceAsyncStub

P99_GOAL: Final = 3.0
RATES: Final = (200.0, 500.0)
KNOWN_LINES: Final = 10_000
"""People who are there before, and are asked about."""
STRANGERS_FROM: Final = 900_000_000
"""A place no file has: nobody sent these people."""
CHANNELS: Final = 8
LEAD_S: Final = 0.3
DEADLINE_S: Final = 10.0
STOPPED_S, STOPPED_EVERY_S = 0.06, 0.5
PLANTED_S: Final = 4.0


class Asked(Struct):
    """How long each answer took from when its question was due, and how many were wrong."""

    ms: list[float]
    wrong: int

    def at(self, share: float) -> float:
        """The time that so many of the answers took at most."""
        return sorted(self.ms)[min(int(len(self.ms) * share), len(self.ms) - 1)]

    @property
    def said(self) -> str:
        """For people."""
        return f"median {self.at(0.5):.2f} ms, p99 {self.at(0.99):.2f} ms"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What lookups took with something, over what they took without; infinite if there was none."""

    median: float
    p99: float
    wrong: int

    @property
    def is_quick(self) -> bool:
        """Whether the goal holds."""
        return self.p99 <= P99_GOAL

    @property
    def is_good(self) -> bool:
        """Whether it was measured, every answer was right and, in a file, the goal holds."""
        is_measured = math.isfinite(self.p99)
        return is_measured and not self.wrong and (self.is_quick or is_on_server())


def is_on_server() -> bool:
    """Whether the environment names a server for the facts, as `on_postgres` does."""
    return STORE_VARIABLE in os.environ


def verdict(without: Sequence[Asked], beside: Asked) -> Verdict:
    """Compare with the mean of what was before and after."""
    median, p99 = (
        beside.at(share) / statistics.mean(one.at(share) for one in without)
        for share in (0.5, 0.99)
    )
    return Verdict(median, p99, beside.wrong + sum(one.wrong for one in without))


async def asked(root: Path, port: int, rate: float, seconds: float, first: int) -> Asked:
    """Ask at a rate for so long about people from a place on."""
    channels = [channel_to(root, port, "institution") for _ in range(CHANNELS)]
    stubs: list[EligibilityServiceAsyncStub] = [EligibilityServiceStub(one) for one in channels]
    await asyncio.gather(*(channel.channel_ready() for channel in channels))
    places = [first + place for place in bulk_file.good_places(KNOWN_LINES)]
    found = Asked([], 0)

    async def ask(number: int, due: float) -> None:
        stub = stubs[number % CHANNELS]
        question = bulk_file.question(places[number * 7919 % len(places)])
        try:
            answer = await stub.ConfirmEligibility(question, timeout=DEADLINE_S)
            found.wrong += answer.validity != VALIDITY_VALID
        except grpc.aio.AioRpcError:
            found.wrong += 1
        found.ms.append((time.perf_counter() - due) * 1000)

    begin = time.perf_counter() + LEAD_S
    tasks = []
    for number in range(round(rate * seconds)):
        due = begin + number / rate
        await asyncio.sleep(max(due - time.perf_counter(), 0))
        tasks.append(asyncio.create_task(ask(number, due)))
    await asyncio.gather(*tasks)
    await asyncio.gather(*(channel.close() for channel in channels))
    return found


async def asked_beside(world: World, rate: float, seconds: float, first: int = 0) -> Asked:
    """Ask from a process of its own about people from a place on."""
    out = world.root / "asked.json"
    await finished(
        ["loadtests.upload_beside", "--ask", str(world.root), "--port", str(world.port),
         "--rate", str(rate), "--seconds", str(seconds), "--first", str(first), "--out", str(out)]
    )  # fmt: skip
    return msgspec.json.decode(out.read_bytes(), type=Asked)


async def hold_up(world: World) -> None:
    """Stop the workers for a moment, again and again."""
    workers = [pid for name, pid in world.processes().items() if name.startswith("worker")]
    try:
        while True:
            await asyncio.sleep(STOPPED_EVERY_S)
            for pid in workers:
                os.kill(pid, signal.SIGSTOP)
            await asyncio.sleep(STOPPED_S)
            for pid in workers:
                os.kill(pid, signal.SIGCONT)
    finally:
        for pid in workers:
            os.kill(pid, signal.SIGCONT)


async def planted(world: World) -> bool:
    """Show that the verdict notices workers that stop, and answers that are wrong."""
    without = await asked_beside(world, RATES[0], PLANTED_S)
    stopping = asyncio.create_task(hold_up(world))
    stopped = await asked_beside(world, RATES[0], PLANTED_S)
    stopping.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await stopping
    found = verdict([without], stopped)
    print(f"planted: workers that stop, p99 ratio {found.p99:.1f}: found {not found.is_quick}")
    strangers = await asked_beside(world, RATES[0], 1.0, STRANGERS_FROM)
    wrong = verdict([without], strangers)
    is_found = wrong.wrong == len(strangers.ms) and not wrong.is_good
    print(f"planted: people nobody sent, wrong {wrong.wrong}: found {is_found}")
    return (not found.is_quick or is_on_server()) and is_found


async def compared(world: World, lines: int, rate: float, seconds: float) -> Verdict:
    """Ask without, during and without an upload."""
    request_id = f"beside-{rate:.0f}"
    first = KNOWN_LINES + lines * RATES.index(rate)
    file = bulk_file.written(world.root / "file.csv", lines, first=first)
    before = await asked_beside(world, rate, seconds)
    uploading = asyncio.create_task(upload(world, request_id, bulk_file.chunks(file)))
    beside = await asked_beside(world, rate, seconds)
    is_long_enough = not uploading.done()
    uploaded = await uploading
    after = await asked_beside(world, rate, seconds)
    found = verdict([before, after], beside)
    print(f"{rate:.0f}/s without: {before.said}; {after.said}")
    print(
        f"{rate:.0f}/s beside {lines} lines ({uploaded.applied_s:.0f} s): {beside.said}; "
        f"ratios {found.median:.2f} and {found.p99:.2f}, wrong {found.wrong}"
    )
    if not is_long_enough:
        print("  the upload ended before the questions did: take more lines")
        return Verdict(found.median, float("inf"), found.wrong)
    return found


def kept_on_server(world: World) -> bool:
    """
    Whether the facts are on a server; prints it.

    Raises:
        RuntimeError: The gateway keeps them elsewhere than it was told.
    """
    if is_on_server() == (world.data / "gateway.db").exists():
        raise RuntimeError("the facts are elsewhere than they must be")
    print(f"the facts are {'on a server' if is_on_server() else 'in a file'}")
    return is_on_server()


async def show(lines: int, seconds: float) -> int:
    """Run everything; return the exit code."""
    with tempfile.TemporaryDirectory(prefix="onshi-beside-") as scratch:
        async with running(Path(scratch)) as world:
            await upload(world, "known", bulk_file.pieces(KNOWN_LINES))
            on_server = kept_on_server(world)
            noticed = await planted(world)
            found = [await compared(world, lines, rate, seconds) for rate in RATES]
    reached = "reached" if all(one.is_quick for one in found) else "MISSED"
    print(f"goal p99 ratio {P99_GOAL}: {reached}{', not judged on a server' if on_server else ''}")
    print(f"wrong answers {sum(one.wrong for one in found)}")
    return 0 if noticed and all(one.is_good for one in found) else 1


def main() -> None:
    """Parse the options and run; with `--ask`, be the clinic."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lines", type=int, default=1_000_000)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--ask", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--port", type=int, default=0, help=argparse.SUPPRESS)
    parser.add_argument("--rate", type=float, default=0.0, help=argparse.SUPPRESS)
    parser.add_argument("--out", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--first", type=int, default=0, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.ask is not None:
        found = asyncio.run(
            asked(options.ask, options.port, options.rate, options.seconds, options.first)
        )
        options.out.write_bytes(msgspec.json.encode(found))
        return
    sys.exit(asyncio.run(show(options.lines, options.seconds)))


if __name__ == "__main__":
    main()

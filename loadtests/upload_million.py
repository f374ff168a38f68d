"""
A file of a million lines, one in a hundred bad, through a whole gateway of real processes.

Every good line must answer a clinic, and the refused lines must be exactly the bad ones. It prints
lines a second against the bare driver with the same rows in the same run (goal 0.4), and how much
memory each process takes at a tenth of the lines and at all of them, which must not grow. First
the checker is shown a person nobody sent, a bad line that was not told and one told wrongly.

    python -m loadtests.upload_million [--lines 1000000] [--numbered] [--without-bare] [--postgres]

With `--postgres`, or by `python -m loadtests.on_postgres upload_million`, the facts are on a server
of their own, each run's in a database of its own, and the bare driver is COPY and upsert.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import grpc
import msgspec

from gateway.config import STORE_VARIABLE
from gateway.v1 import coverage_pb2 as cov
from gateway.v1.eligibility_pb2_grpc import EligibilityServiceStub
from gateway.v1.types_pb2 import VALIDITY_VALID
from loadtests import bulk_file
from loadtests.bare_driver import Figures
from loadtests.bulk_place import (
    Peaks,
    Uploaded,
    cpu_seconds,
    finished,
    kept_refused_lines,
    running,
    upload,
)
from loadtests.kill_world import World
from loadtests.places import channel_to
from loadtests.postgres_place import Databases
from loadtests.postgres_place import running as postgres

if TYPE_CHECKING:
    from gateway.v1.eligibility_pb2_grpc import EligibilityServiceAsyncStub

RATIO_GOAL: Final = 0.4
RATIO_LINES_MIN: Final = 50_000
"""With fewer lines the ratio says little, and is no goal."""
GROWTH_MAX, GROWTH_MIB_MAX = 1.1, 10.0
GROWTH_LINES_MIN: Final = 500_000
"""With fewer lines the database's cache still fills, and growth is printed, not judged."""
CHANNELS: Final = 4
IN_FLIGHT: Final = 32
DEADLINE_S: Final = 60.0


@dataclass(frozen=True, slots=True)
class Measured:
    """What a run of some lines gave."""

    lines: int
    uploaded: Uploaded
    writer_cpu_s: float
    peaks: dict[str, float]
    unanswered: int
    differences: int

    @property
    def per_second(self) -> float:
        """Lines from the first byte to APPLIED."""
        return self.lines / self.uploaded.applied_s

    @property
    def is_right(self) -> bool:
        """Whether report and answers are as they must be."""
        report = self.uploaded.report
        bad = sum(1 for _ in bulk_file.refused_lines(self.lines))
        counts = (report.lines_read, report.lines_applied, report.lines_refused)
        is_counted = counts == (self.lines, self.lines - bad, bad)
        return is_counted and not self.unanswered and not self.differences


async def unanswered(world: World, places: Iterable[int]) -> int:
    """Ask a clinic's question about the person of each place; how many are not valid."""
    waiting: Iterator[int] = iter(places)
    bad = 0

    async def ask(stub: EligibilityServiceAsyncStub) -> None:
        nonlocal bad
        for place in waiting:
            try:
                answer = await stub.ConfirmEligibility(
                    bulk_file.question(place), timeout=DEADLINE_S
                )
            except grpc.aio.AioRpcError:
                bad += 1
            else:
                bad += answer.validity != VALIDITY_VALID

    channels = [channel_to(world.root, world.port, "institution") for _ in range(CHANNELS)]
    try:
        stubs = [EligibilityServiceStub(channel) for channel in channels]
        await asyncio.gather(*(ask(stubs[n % CHANNELS]) for n in range(IN_FLIGHT)))
    finally:
        await asyncio.gather(*(channel.close() for channel in channels))
    return bad


def differences(told: Iterable[bulk_file.Refused], truth: Iterable[bulk_file.Refused]) -> int:
    """How many refused lines are told and should not be, or should be and are not."""
    return len(set(told) ^ set(truth))


async def planted(world: World, request_id: str, lines: int, store: str | None) -> bool:
    """Show that the checks can fail."""
    stranger = await unanswered(world, [lines + 1])
    told = await kept_refused_lines(world, request_id, store)
    truth = list(bulk_file.refused_lines(lines))
    missing = differences(told[1:], truth)
    wrong = differences([told[0]._replace(reason="TOO_LONG"), *told[1:]], truth)
    found = [stranger == 1, missing == 1, wrong == 2]
    print(f"planted: a person never sent, a line not told, a line told wrongly: found {found}")
    return all(found)


async def measured(
    root: Path, lines: int, store: str | None, *, is_numbered: bool, is_shown: bool
) -> Measured:
    """Upload to a fresh gateway and check everything."""
    async with running(root, store=store) as world:
        peaks = Peaks(world)
        peaks.forget()
        writer = next(pid for name, pid in world.processes().items() if name.startswith("writer"))
        file = bulk_file.written(root / "file.csv", lines, is_numbered=is_numbered)
        used = cpu_seconds(writer)
        uploaded = await upload(world, "all", bulk_file.chunks(file))
        used, high = cpu_seconds(writer) - used, peaks.mib()
        if is_shown and not await planted(world, "all", lines, store):
            raise RuntimeError("the checker is blind")
        began = time.perf_counter()
        bad = await unanswered(world, bulk_file.good_places(lines))
        asked_s = time.perf_counter() - began
        told = await kept_refused_lines(world, "all", store)
        wrong = differences(told, bulk_file.refused_lines(lines))
    result = Measured(lines, uploaded, used, high, bad, wrong)
    report: cov.UploadReport = uploaded.report
    print(
        f"{lines} lines, {uploaded.size_bytes / 1e6:.0f} MB: received {uploaded.received_s:.1f} s, "
        f"applied {uploaded.applied_s:.1f} s, {result.per_second:.0f} lines/s "
        f"(writer {used / lines * 1e6:.0f} us a line)"
    )
    print(
        f"  applied {report.lines_applied}, refused {report.lines_refused}, told wrongly {wrong}; "
        f"good lines without an answer {bad} (asked in {asked_s:.0f} s)"
    )
    print("  peak MiB: " + ", ".join(f"{kind} {mib:.0f}" for kind, mib in sorted(high.items())))
    return result


def has_grown(small: dict[str, float], large: dict[str, float]) -> list[str]:
    """The kinds of process whose memory grew with the file."""
    return [
        kind
        for kind, mib in large.items()
        if mib > small.get(kind, 0.0) * GROWTH_MAX + GROWTH_MIB_MAX
    ]


async def bare(root: Path, server: Databases | None) -> Figures:
    """Let the bare driver write what the gateway wrote."""
    out = root / "bare.json"
    if server is None:
        driver = "loadtests.bare_driver"
        source, target = str(root / "data" / "gateway.db"), str(root / "bare.db")
    else:
        driver = "loadtests.bare_copy"
        source, target = server.url("large"), await server.made("bare")
    await finished([driver, "--source", source, "--target", target, "--out", str(out)])
    return msgspec.json.decode(out.read_bytes(), type=Figures)


async def show(lines: int, server: Databases | None, *, is_numbered: bool, is_bare: bool) -> int:
    """Run everything; return the exit code."""
    stores = [None if server is None else await server.made(name) for name in ("small", "large")]
    with tempfile.TemporaryDirectory(prefix="onshi-bulk-") as scratch:
        small, large = (Path(scratch, name) for name in ("small", "large"))
        tenth = await measured(
            small, lines // 10, stores[0], is_numbered=is_numbered, is_shown=True
        )
        whole = await measured(large, lines, stores[1], is_numbered=is_numbered, is_shown=False)
        grown = has_grown(tenth.peaks, whole.peaks)
        noticed = has_grown({"writer": 100.0}, {"writer": 121.0}) == ["writer"]
        if lines < GROWTH_LINES_MIN:
            grown = []
        print(f"memory grew in {grown or 'no process'} (planted growth found: {noticed})")
        is_fast = True
        if is_bare:
            figures = await bare(large, server)
            ratio = whole.per_second / figures.per_second
            is_fast = ratio >= RATIO_GOAL or lines < RATIO_LINES_MIN
            print(
                f"bare driver {figures.per_second:.0f} lines/s in {figures.transactions} "
                f"transactions ({figures.cpu_s / figures.lines * 1e6:.0f} us CPU a line); "
                f"ratio {ratio:.2f}, goal {RATIO_GOAL}"
            )
    is_right = tenth.is_right and whole.is_right and noticed and not grown
    return 0 if is_right and is_fast else 1


def main() -> None:
    """Parse the options and run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lines", type=int, default=1_000_000)
    parser.add_argument("--numbered", action="store_true", help="each line tells a My Number")
    parser.add_argument("--without-bare", action="store_true")
    parser.add_argument("--postgres", action="store_true", help="keep the facts on a server")
    options = parser.parse_args()
    with contextlib.ExitStack() as stack:
        server: Databases | None = None
        if STORE_VARIABLE in os.environ:
            server = Databases(os.environ[STORE_VARIABLE].rpartition("/")[0])
        elif options.postgres:
            server = stack.enter_context(postgres())
        done = show(
            options.lines,
            server,
            is_numbered=options.numbered,
            is_bare=not options.without_bare,
        )
        code = asyncio.run(done)
    sys.exit(code)


if __name__ == "__main__":
    main()

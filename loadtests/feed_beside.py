"""
What watching costs those beside it: lookups and files, with and without watchers that catch up.

Watchers read the whole stream of an insurer again and again, which is the most they can ask for.
Lookups are asked one after the other by a few clinics; then a file is uploaded. The median of
rounds without and with watchers counts. Exit 1 beyond the named bounds; figures that were made
worse on purpose must be noticed first.

    python -m loadtests.feed_beside [--people 10000] [--watchers 3] [--rounds 3]
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import grpc

from gateway.app.certificates import issue_all
from gateway.v1.coverage_pb2_grpc import CoverageServiceStub
from gateway.v1.eligibility_pb2_grpc import EligibilityServiceStub
from loadtests.feed_kills import WATCHING_INSURER, file_of
from loadtests.kill_world import INSTITUTION, INSURER, World, question
from loadtests.places import free_port, write_config
from simulators.feed import watch
from simulators.insurer import upload

LOOKUP_S: Final = 4.0
ASKERS: Final = 2
P99_RATIO_MAX: Final = 3.0
LINES_RATIO_MIN: Final = 0.6


@dataclass(slots=True)
class Figures:
    """What was measured in one round."""

    lookups: float
    """A second."""
    p99_ms: float
    lines: float
    """A second."""
    events: float
    """Told to watchers, a second."""


def is_good(without: Figures, beside: Figures) -> bool:
    """Whether watching costs no more than allowed, and there was watching at all."""
    return (
        beside.p99_ms <= without.p99_ms * P99_RATIO_MAX
        and beside.lines >= without.lines * LINES_RATIO_MIN
        and beside.events > 0
    )


def median(rounds: Sequence[Figures]) -> Figures:
    """Each figure's median."""
    return Figures(
        statistics.median(one.lookups for one in rounds),
        statistics.median(one.p99_ms for one in rounds),
        statistics.median(one.lines for one in rounds),
        statistics.median(one.events for one in rounds),
    )


async def asked(world: World, people: int, took_ms: list[float]) -> None:
    """Ask for some seconds, and note how long each answer took."""
    async with world.channel("institution") as channel:
        stub = EligibilityServiceStub(channel)
        until, person = time.monotonic() + LOOKUP_S, 0
        while (began := time.monotonic()) < until:
            person = (person + 7919) % people
            await stub.ConfirmEligibility(question(person // 1000, person % 1000))
            took_ms.append((time.monotonic() - began) * 1000)


async def read_again_and_again(world: World, told: list[int]) -> None:
    """Watch from the oldest event on; once there is nothing new, begin anew."""
    async with world.channel(WATCHING_INSURER) as channel:
        while True:
            with suppress(grpc.aio.AioRpcError):
                is_open = False
                async for message in watch(channel):
                    count = message.last_sequence - message.previous_sequence
                    told.append(count)
                    if is_open and count < 1:
                        break
                    is_open = True


async def one_round(world: World, people: int, number: int, watchers: int) -> Figures:
    """Measure lookups, then a file."""
    told: list[int] = []
    began = time.monotonic()
    watching = [asyncio.create_task(read_again_and_again(world, told)) for _ in range(watchers)]
    took_ms: list[float] = []
    await asyncio.gather(*(asked(world, people, took_ms) for _ in range(ASKERS)))
    file_began = time.monotonic()
    async with world.channel(WATCHING_INSURER) as channel:
        content = file_of(2, people).replace("番2".encode(), f"番{number + 10}".encode())
        report = await upload(CoverageServiceStub(channel), f"beside-{number}", content)
    assert report.lines_applied == people, report
    ended = time.monotonic()
    for task in watching:
        task.cancel()
    await asyncio.gather(*watching, return_exceptions=True)
    return Figures(
        len(took_ms) / LOOKUP_S,
        statistics.quantiles(took_ms, n=100)[98],
        people / (ended - file_began),
        sum(told) / (ended - began),
    )


async def show(root: Path, people: int, watchers: int, rounds: int) -> bool:
    """Measure in turns, plant, judge."""
    issue_all(root / "certs", INSTITUTION, [INSURER])
    world = World(root, free_port())
    write_config(root, world.port)
    await world.start()
    try:
        async with world.channel(WATCHING_INSURER) as channel:
            await upload(CoverageServiceStub(channel), "beside-new", file_of(0, people))
        alone, beside = [], []
        for number in range(rounds):
            alone.append(await one_round(world, people, 2 * number, 0))
            beside.append(await one_round(world, people, 2 * number + 1, watchers))
    finally:
        assert world.supervisor is not None
        world.supervisor.terminate()
        await world.supervisor.wait()
    without, with_watchers = median(alone), median(beside)
    for name, one in (("without", without), (f"with {watchers} watchers", with_watchers)):
        print(
            f"{name}: {one.lookups:,.0f} lookups a second, p99 {one.p99_ms:.1f} ms; "
            f"{one.lines:,.0f} lines a second; {one.events:,.0f} events a second told"
        )
    slow = replace(with_watchers, p99_ms=without.p99_ms * P99_RATIO_MAX * 1.1)
    held = replace(with_watchers, lines=without.lines * LINES_RATIO_MIN * 0.9)
    silent = replace(with_watchers, events=0.0)
    noticed = [not is_good(without, one) for one in (slow, held, silent)]
    print(f"planted: slow lookups, slow files, no watching: noticed {noticed}")
    print(
        f"p99 ratio {with_watchers.p99_ms / without.p99_ms:.2f} (at most {P99_RATIO_MAX}), "
        f"lines ratio {with_watchers.lines / without.lines:.2f} (at least {LINES_RATIO_MIN})"
    )
    return all(noticed) and is_good(without, with_watchers)


def main() -> None:
    """Parse the options and run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--people", type=int, default=10_000)
    parser.add_argument("--watchers", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="onshi-feed-") as scratch:
        done = show(Path(scratch), options.people, options.watchers, options.rounds)
        good = asyncio.run(done)
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()

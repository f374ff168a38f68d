"""
Lookups among ten thousand, a million and ten million people, on either engine.

A real read worker is asked over mutual TLS, door, decision and access record included, and beside
it a bare handler of the same process. The sizes are measured in turn, in short rounds, so that a
machine whose speed drifts changes all alike. *Warm*: people who were asked about before, drawn at
random from all. *Cold*: processes have just started, nothing of the database is in memory, and
nobody was asked about before. Every answer of the first warm pass and of the cold one is checked.

Goal, warm: median and own CPU of each size within 1.3 of the smallest. Own CPU is the worker's
above the bare handler's and, with PostgreSQL, the server's. First the checks are shown answers that
belong to others, and a lookup with 400 us of work added.

    python -m loadtests.many_people [--engine sqlite] [--people 10000,1000000,10000000]
        [--at FOLDER] [--rounds 9] [--warm 20000] [--cold 500]

With `--at` the databases stay and are used again: about 36 GB for ten million people.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, TypeAlias

import grpc

from gateway.edges.rpc.convert import sheet
from gateway.v1.eligibility_pb2 import ConfirmEligibilityResponse
from loadtests.bulk_place import cpu_seconds, high_water_mib
from loadtests.clone_places import FilePlaces, Place, Places, ServerPlaces, Template
from loadtests.clone_world import Asked, what_must_stay
from loadtests.lookup_ratio import METHODS
from loadtests.places import channel_to

GOAL: Final = 1.3
CHANNELS, AT_ONCE = 2, 4
DEADLINE_S: Final = 30.0
CHECKED_COPIES: Final = (0, 1)
Call: TypeAlias = "grpc.aio.UnaryUnaryMultiCallable[bytes, bytes]"


@dataclass(frozen=True, slots=True)
class Drawn:
    """Somebody to ask about: a member of the block, in a copy."""

    asked: Asked
    copy: int


@dataclass(frozen=True, slots=True)
class Figures:
    """What requests took: each one's milliseconds, and microseconds of CPU a request."""

    ms: Sequence[float]
    worker_us: float
    server_us: float

    @property
    def median_ms(self) -> float:
        """Half of them took no longer."""
        return statistics.median(self.ms)

    def at(self, share: float) -> float:
        """The time that so many of them took at most."""
        return sorted(self.ms)[min(int(len(self.ms) * share), len(self.ms) - 1)]


@dataclass(slots=True)
class Series:
    """The rounds of one size."""

    bare: list[Figures] = field(default_factory=list)
    lookup: list[Figures] = field(default_factory=list)

    @property
    def median_ms(self) -> float:
        """Of a lookup."""
        return statistics.median(one.median_ms for one in self.lookup)

    @property
    def worker_us(self) -> float:
        """The worker's own CPU a lookup: above a bare handler's."""
        return statistics.median(one.worker_us for one in self.lookup) - statistics.median(
            one.worker_us for one in self.bare
        )

    @property
    def server_us(self) -> float:
        """The server's CPU a lookup."""
        return statistics.median(one.server_us for one in self.lookup)

    def ratios(self, smallest: Series) -> tuple[float, float]:
        """Its median and own CPU over those of another."""
        own, others = (one.worker_us + one.server_us for one in (self, smallest))
        return self.median_ms / smallest.median_ms, own / others

    def is_good(self, smallest: Series) -> bool:
        """Whether both are within the goal."""
        return max(self.ratios(smallest)) <= GOAL


class Asking:
    """Connections to the worker of a place."""

    def __init__(self, places: Places, place: Place) -> None:
        self.place = place
        self._places = places
        self._channels = [
            channel_to(place.root, place.port, "institution") for _ in range(CHANNELS)
        ]

    def drawn(self, seed: int, count: int) -> list[Drawn]:
        """People at random out of all; the same seed gives the same."""
        draw = random.Random(seed)
        asked = self._places.template.asked
        return [
            Drawn(draw.choice(asked), draw.randrange(self.place.block.copies)) for _ in range(count)
        ]

    def request(self, one: Drawn) -> bytes:
        """The question."""
        return one.asked.request(self.place.block, one.copy)

    async def close(self) -> None:
        """End the connections."""
        for channel in self._channels:
            await channel.close()

    async def wrong(self, people: Sequence[Drawn], *, off_by: int = 0) -> int:
        """
        Ask about people and count wrong answers.

        Args:
            off_by: Takes the answer for that of another copy, to show that this is noticed.
        """
        block, wrong = self.place.block, 0
        waiting = iter(people)

        async def ask(at: int) -> None:
            nonlocal wrong
            call: Call = self._channels[at % CHANNELS].unary_unary(METHODS["lookup"])
            for one in waiting:
                answer = await call(self.request(one), timeout=DEADLINE_S)
                told = what_must_stay(ConfirmEligibilityResponse.FromString(answer))
                wrong += told != one.asked.expected(block, one.copy + off_by)

        await asyncio.gather(*(ask(at) for at in range(AT_ONCE)))
        return wrong

    async def took(self, method: str, requests: Sequence[bytes], seconds: float) -> Figures:
        """Ask in a closed loop for so long."""
        ms: list[float] = []
        place = 0
        worker, server = cpu_seconds(self.place.pid), self._places.server_cpu_s()
        until = time.perf_counter() + seconds

        async def ask(at: int) -> None:
            nonlocal place
            call: Call = self._channels[at % CHANNELS].unary_unary(METHODS[method])
            while (began := time.perf_counter()) < until:
                place += 1
                await call(requests[place % len(requests)], timeout=DEADLINE_S)
                ms.append((time.perf_counter() - began) * 1000)

        await asyncio.gather(*(ask(at) for at in range(AT_ONCE)))
        return self._figures(ms, worker, server)

    async def one_by_one(self, people: Sequence[Drawn]) -> tuple[Figures, int]:
        """Ask about people one after the other; give also how many answers were wrong."""
        call: Call = self._channels[0].unary_unary(METHODS["lookup"])
        requests = [self.request(one) for one in people]
        worker, server = cpu_seconds(self.place.pid), self._places.server_cpu_s()
        ms, answers = [], []
        for request in requests:
            began = time.perf_counter()
            answers.append(await call(request, timeout=DEADLINE_S))
            ms.append((time.perf_counter() - began) * 1000)
        figures = self._figures(ms, worker, server)
        told = [what_must_stay(ConfirmEligibilityResponse.FromString(one)) for one in answers]
        expected = [one.asked.expected(self.place.block, one.copy) for one in people]
        return figures, sum(a != b for a, b in zip(told, expected, strict=True))

    async def connect(self) -> None:
        """Have every connection made before anything is measured."""
        for channel in self._channels:
            call: Call = channel.unary_unary(METHODS["bare"])
            await call(b"", timeout=DEADLINE_S)

    def _figures(self, ms: list[float], worker: float, server: float) -> Figures:
        return Figures(
            ms,
            (cpu_seconds(self.place.pid) - worker) / len(ms) * 1e6,
            (self._places.server_cpu_s() - server) / len(ms) * 1e6,
        )


async def planted(smallest: Asking, warm: Sequence[Drawn], seconds: float) -> bool:
    """Show that wrong answers and slow lookups are noticed."""
    people = [Drawn(one.asked, one.copy) for one in warm[:200]]
    wrong = await smallest.wrong(people, off_by=1)
    requests = [smallest.request(one) for one in warm]
    bare, quick, slow = [
        await smallest.took(method, requests, seconds) for method in ("bare", "lookup", "planted")
    ]
    is_slow_found = not Series([bare], [slow]).is_good(Series([bare], [quick]))
    print(
        f"planted: answers of others {wrong} of {len(people)} noticed; 400 us of work: "
        f"{'noticed' if is_slow_found else 'NOT NOTICED'}"
    )
    return is_slow_found and wrong > len(people) / 2


async def warm(places: Places, options: argparse.Namespace) -> bool:
    """Measure the sizes in turn, warm; tell whether all is well."""
    async with places.serving(), contextlib.AsyncExitStack() as open_:
        asking = []
        for place in places.places:
            asking.append(Asking(places, place))
            open_.push_async_callback(asking[-1].close)
        drawn = [one.drawn(1, options.warm) for one in asking]
        wrong = [await one.wrong(people) for one, people in zip(asking, drawn, strict=True)]
        requests = [
            [one.request(person) for person in people]
            for one, people in zip(asking, drawn, strict=True)
        ]
        noticed = await planted(asking[0], drawn[0], options.seconds)
        series = [Series() for _ in asking]
        for number in range(options.rounds):
            order = list(zip(asking, requests, series, strict=True))
            for one, asked, its in order if number % 2 else reversed(order):
                its.bare.append(await one.took("bare", asked, options.seconds))
                its.lookup.append(await one.took("lookup", asked, options.seconds))
        for one, its, of_it in zip(asking, series, wrong, strict=True):
            median, own = its.ratios(series[0])
            print(
                f"warm {one.place.people:>12,} people: median {its.median_ms:.2f} ms, own CPU "
                f"{its.worker_us:.0f} us in the worker, {its.server_us:.0f} us in the server; "
                f"ratios {median:.2f} and {own:.2f}; wrong {of_it} of {options.warm}; "
                f"worker's memory {high_water_mib(one.place.pid):.0f} MiB"
            )
        is_good = all(its.is_good(series[0]) for its in series)
        print(f"goal, warm, within {GOAL} of the smallest: {'reached' if is_good else 'MISSED'}")
        return is_good and noticed and not any(wrong)


async def cold(places: Places, options: argparse.Namespace) -> bool:
    """Ask each size cold; tell whether every answer was right."""
    all_wrong = 0
    for place in places.places:
        await places.chill()
        async with places.serving():
            asking = Asking(places, place)
            await asking.connect()
            figures, wrong = await asking.one_by_one(asking.drawn(2, options.cold))
            await asking.close()
        all_wrong += wrong
        print(
            f"cold {place.people:>12,} people: median {figures.median_ms:.2f} ms, p99 "
            f"{figures.at(0.99):.1f} ms, CPU {figures.worker_us:.0f} us in the worker, "
            f"{figures.server_us:.0f} us in the server; wrong {wrong} of {options.cold}"
        )
    return not all_wrong


async def show(options: argparse.Namespace, folder: Path) -> int:
    """Run everything; give the exit code."""
    template = Template(folder)
    await template.prepare()
    small = template.block(1 + max(CHECKED_COPIES))
    unlike = sum(small.wrong(copy, sheet) for copy in CHECKED_COPIES)
    print(f"copies of {small.people} people: not as the gateway makes them {unlike}")
    kind = ServerPlaces if options.engine == "postgresql" else FilePlaces
    places: Places = kind(folder, template)
    try:
        await places.fill([int(size) for size in options.people.split(",")])
        for people, size in (await places.sizes()).items():
            print(f"{options.engine} {people:,} people: {size:,} bytes, {size / people:,.0f} each")
        print(f"filled in seconds: {places.filled_s}")
        is_good = await warm(places, options)
        return 0 if await cold(places, options) and is_good and not unlike else 1
    finally:
        await places.close()


def main() -> None:
    """Parse the options and run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--engine", choices=("sqlite", "postgresql"), default="sqlite")
    parser.add_argument("--people", default="10000,1000000,10000000")
    parser.add_argument("--at", type=Path, help="Keep the databases in a folder.")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--seconds", type=float, default=1.0)
    parser.add_argument("--warm", type=int, default=20_000)
    parser.add_argument("--cold", type=int, default=500)
    options = parser.parse_args()
    with contextlib.ExitStack() as scratch:
        if options.at is None:
            folder = Path(scratch.enter_context(tempfile.TemporaryDirectory(prefix="onshi-many-")))
        else:
            folder = options.at.resolve()
            folder.mkdir(parents=True, exist_ok=True)
        sys.exit(asyncio.run(show(options, folder)))


if __name__ == "__main__":
    main()

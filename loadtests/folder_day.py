"""
A bad day of the drop folders, with a real gateway, a real bridge and clients of every habit.

First the counter is shown to see a doubled, a cut and a withheld answer. Then many requests are
dropped at once. Then clients keep asking while the bridge is killed at random instants, the
gateway stops and starts, folders vanish and come back, places of answers are locked, and the disk
is full. At the end everything asked must have been answered once, whole and right.

    python -m loadtests.folder_day [--minutes 2] [--at-once 2000] [--seed 1]
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import random
import signal
import statistics
import sys
import tempfile
import time
from collections import Counter as Tally
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final

from gateway.v1.eligibility_pb2_grpc import EligibilityServiceStub
from loadtests.folder_counter import HEAD, Counter
from loadtests.folder_world import INSTITUTION, FolderWorld
from simulators.clinic import ask
from simulators.folder_client import FolderClient, Style, Taken, all_styles, dated_counter
from simulators.people import TestPerson

DRAIN_S_MAX: Final = 60.0
AWAY_S: Final = (0.5, 3.0)
BETWEEN_TROUBLES_S: Final = (1.0, 4.0)
BETWEEN_KILLS_S: Final = (0.8, 4.0)
PAUSE_S: Final = 0.05
ASKED_IN_PARALLEL: Final = 16

PLAIN: Final = Style("moved", "sharing", "utf-8", dated_counter, 0.05)


def client_of(world: FolderWorld, style: Style) -> FolderClient:
    """A client of the world's folders."""
    return FolderClient(world.req, world.res, world.outbox, INSTITUTION, style)


def spelt(client: FolderClient, suffix: str, person: TestPerson) -> bytes:
    """A request about a test person."""
    consent = person.is_limit_certificate_consented
    question = (person.card, person.birth_date, person.on)
    return client.request(suffix, *question, is_consented=consent)


async def show_planted(world: FolderWorld) -> bool:
    """Show that the counter sees an answer doubled, cut in half, withheld, and a wrong one."""
    counter = Counter()
    client = client_of(world, PLAIN)
    taken: dict[str, Taken] = {}
    people = dict(zip(("doubled", "cut", "withheld", "wrong", "good"), world.people, strict=False))
    for suffix, person in people.items():
        validity = person.expected_validity + (suffix == "wrong")
        counter.ask(suffix, validity)
        await client.drop(suffix, spelt(client, suffix, person))
        taken[suffix] = await asyncio.wait_for(client.take(suffix), DRAIN_S_MAX)
    again = world.res / "OQSsiquc01res_doubled.xml"
    again.write_bytes(taken["doubled"].data)
    half = taken["cut"].data
    taken["cut"] = Taken(half[: len(half) // 2], False, 0)
    del taken["withheld"]
    for suffix, read in taken.items():
        counter.take(suffix, read, 0)
    counter.look(world.res, ())
    again.unlink()
    print(counter.row("planted, five requests"), flush=True)
    found = (counter.doubles, counter.half, counter.unanswered, len(counter.wrong))
    return found == ({"doubled"}, ["cut"], ["withheld"], 1)


async def ask_directly(world: FolderWorld, count: int) -> float:
    """Ask the gateway itself as often, as many at a time as the bridge; give the seconds."""
    numbers = iter(range(count))
    async with world.gateway.channel("institution") as channel:
        stub = EligibilityServiceStub(channel)

        async def some() -> None:
            for number in numbers:
                person = world.people[number % len(world.people)]
                await ask(stub, person.card, person.birth_date, person.on)

        begin = time.monotonic()
        await asyncio.gather(*(some() for _ in range(ASKED_IN_PARALLEL)))
        return time.monotonic() - begin


async def at_once(world: FolderWorld, count: int) -> Counter:
    """Drop many requests in one go, and read the answers as they come."""
    counter = Counter()
    client = client_of(world, PLAIN)
    for number in range(count):
        suffix = dated_counter(number)
        person = world.people[number % len(world.people)]
        counter.ask(suffix, person.expected_validity)
        path = world.outbox / f"OQSsiquc01req_{suffix}.xml"
        path.write_bytes(spelt(client, suffix, person))
    for path in world.outbox.iterdir():
        path.rename(world.req / path.name)
    begin = time.monotonic()
    while counter.unanswered and time.monotonic() < begin + DRAIN_S_MAX + count / 20:
        await asyncio.sleep(PAUSE_S)
        for path in world.res.glob("OQSsiquc01res_*.xml"):
            read = Taken(path.read_bytes(), False, path.stat().st_ino)
            path.unlink()
            suffix = path.stem.removeprefix("OQSsiquc01res_")
            counter.take(suffix, read, time.monotonic() - begin)
    counter.look(world.res, ())
    return counter


class Day:
    """Two hours of trouble in two minutes."""

    def __init__(self, world: FolderWorld, seed: int) -> None:
        self.world = world
        self.counter = Counter()
        self.forgotten: list[str] = []
        self.troubles: Tally[str] = Tally()
        self._random = random.Random(seed)
        self._number = 100_000
        self._waiting: set[str] = set()
        self._is_over = asyncio.Event()

    async def run(self, seconds: float) -> None:
        """Ask and make trouble for so long, then let everything be answered."""
        styles = all_styles()
        asking = [asyncio.create_task(self._ask_on(style)) for style in styles]
        trouble = [asyncio.create_task(self._kills()), asyncio.create_task(self._trouble())]
        await asyncio.sleep(seconds)
        self._is_over.set()
        await asyncio.gather(*trouble)
        _, late = await asyncio.wait(asking, timeout=DRAIN_S_MAX)
        for task in late:
            task.cancel()
        for outcome in await asyncio.gather(*asking, return_exceptions=True):
            if isinstance(outcome, Exception):
                raise outcome
        self.counter.look(self.world.res, self.forgotten)

    async def _ask_on(self, style: Style) -> None:
        client = client_of(self.world, style)
        while not self._is_over.is_set():
            person = self._random.choice(self.world.people)
            self._number += 1
            suffix = style.suffix(self._number)
            try:
                data = spelt(client, suffix, person)
            except UnicodeEncodeError:
                continue
            self.counter.ask(suffix, person.expected_validity)
            if style.habit == "forgetful":
                self.forgotten.append(suffix)
            self._waiting.add(suffix)
            begin = time.monotonic()
            await client.drop(suffix, data)
            taken = await client.take(suffix)
            self._waiting.discard(suffix)
            self.counter.take(suffix, taken, time.monotonic() - begin)

    async def _kills(self) -> None:
        while not await self._pause(BETWEEN_KILLS_S):
            await self.world.stop_bridge(signal.SIGKILL)
            self.troubles["bridge killed"] += 1
            await self.world.start_bridge()

    async def _trouble(self) -> None:
        kinds: dict[str, Callable[[], Awaitable[None]]] = {
            "gateway stopped": self._stop_gateway,
            "req vanished": lambda: self._vanish(self.world.req),
            "res vanished": lambda: self._vanish(self.world.res),
            "all folders vanished": lambda: self._vanish(self.world.base),
            "answers' places locked": self._lock,
        }
        if self.world.is_own_disk:
            kinds["disk full"] = self._fill
        order = list(kinds)
        while not await self._pause(BETWEEN_TROUBLES_S):
            if not order:
                order = list(kinds)
            kind = order.pop(self._random.randrange(len(order)))
            await kinds[kind]()
            self.troubles[kind] += 1

    async def _stop_gateway(self) -> None:
        await self.world.stop_gateway()
        await self._away()
        await self.world.gateway.start()

    async def _vanish(self, folder: Path) -> None:
        hidden = folder.with_name(f"{folder.name}.away")
        await asyncio.to_thread(folder.rename, hidden)
        await self._away()
        await asyncio.to_thread(hidden.rename, folder)

    async def _lock(self) -> None:
        """Put directories where answers are going to be."""
        places = []
        for suffix in self._random.sample(sorted(self._waiting), min(6, len(self._waiting))):
            with contextlib.suppress(OSError):
                place = self.world.res / f"OQSsiquc01res_{suffix}.xml"
                place.mkdir()
                places.append(place)
        await self._away()
        for place in places:
            place.rmdir()

    async def _fill(self) -> None:
        filler = self.world.fill_disk()
        await self._away()
        filler.unlink()

    async def _away(self) -> None:
        await asyncio.sleep(self._random.uniform(*AWAY_S))

    async def _pause(self, seconds: tuple[float, float]) -> bool:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._is_over.wait(), self._random.uniform(*seconds))
        return self._is_over.is_set()


async def run_all(world: FolderWorld, minutes: float, count: int, seed: int) -> int:
    """Do everything with a world; give the exit code."""
    world.settle_in(world.root / "disk" / "oqs")
    await world.start_bridge()
    print(HEAD)
    noticed = await show_planted(world)
    idle_kib = world.measure()
    direct_s = await ask_directly(world, count)
    flood = await at_once(world, count)
    flood_kib = world.measure()
    await world.stop_bridge(signal.SIGTERM)
    print(flood.row(f"{count} at once"), flush=True)
    disk = world.root / "small"
    if not world.mount(disk):
        print("!!! NO DISK COULD BE MOUNTED: what a full disk does WAS NOT TRIED !!!", flush=True)
    day = Day(world, seed)
    try:
        world.settle_in(disk / "oqs")
        await world.start_bridge()
        await day.run(60 * minutes)
        await world.stop_bridge(signal.SIGTERM)
    finally:
        world.unmount(disk)
    print(day.counter.row(f"{minutes:g} minutes of trouble"))
    for sentence in (*flood.wrong[:5], *day.counter.wrong[:5], *day.counter.unanswered[:5]):
        print(f"  {sentence}")
    waits = sorted(day.counter.waits_s) or [0.0]
    print(
        f"{count} at once: answered in {max(flood.waits_s, default=0):.2f} s; the gateway alone "
        f"needs {direct_s:.2f} s; peak memory {flood_kib / 1024:.1f} MiB, "
        f"idle {idle_kib / 1024:.1f} MiB"
    )
    print(f"trouble (seed {seed}): {dict(sorted(day.troubles.items()))}")
    print(
        f"an answer took {statistics.median(waits):.2f} s (median), {waits[-1]:.2f} s at most; "
        f"peak memory of the bridge {world.bridge_kib_max / 1024:.1f} MiB over "
        f"{world.bridge_starts} starts"
    )
    print(f"the planted defects were {'found' if noticed else 'NOT FOUND'}")
    return 0 if noticed and flood.is_good and day.counter.is_good else 1


async def show(minutes: float, count: int, seed: int) -> int:
    """Run in a scratch directory."""
    with tempfile.TemporaryDirectory(prefix="onshi-folders-") as scratch:
        world = await FolderWorld.start(Path(scratch))
        try:
            return await run_all(world, minutes, count, seed)
        finally:
            if world.bridge is not None and world.bridge.returncode is None:
                await world.stop_bridge(signal.SIGKILL)
            await world.stop_gateway()


def main() -> None:
    """Parse the options and run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=2)
    parser.add_argument("--at-once", type=int, default=2_000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    sys.exit(asyncio.run(show(options.minutes, options.at_once, options.seed)))


if __name__ == "__main__":
    main()

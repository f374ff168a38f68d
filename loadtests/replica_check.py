"""
A gateway whose lookups a replica may answer, while that falls behind: nothing stale may be told.

Each round the replica's replay is paused, or it is killed, frozen or cut off from its primary, and
comes back a moment later. Insurers' files are applied and clinics ask the whole time. Whoever was
acknowledged more than the bound before a question began must be in its answer, and every question
be answered. The check is first shown to notice a gateway whose own bound is larger.

    python -m loadtests.replica_check [--rounds 20] [--seed 1]
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

import grpc

from gateway.app.certificates import issue_all
from gateway.v1.eligibility_pb2_grpc import EligibilityServiceStub
from loadtests.kill_world import (
    INSTITUTION,
    INSURER,
    LINES_PER_ROUND,
    World,
    question,
    upload,
)
from loadtests.places import free_port, write_config
from loadtests.postgres_place import Server, running
from loadtests.postgres_standby import Standby, standby_of

if TYPE_CHECKING:
    from gateway.v1.eligibility_pb2_grpc import EligibilityServiceAsyncStub

BOUND_S: Final = 0.5
PLANTED_BOUND_S: Final = 60.0
PLANTED_BEGIN_S: Final = 2.0
"""So long its workers are given to find the replica fresh."""
PLANTED_S_MAX: Final = 30.0
ASKERS: Final = 4
ASK_S_MAX: Final = 10.0
NEWEST: Final = 3
"""Of every two questions one is about somebody of so many newest files."""
VALID: Final = 1


@dataclass(slots=True)
class Watched:
    """What was acknowledged when, and what clinics were told of it."""

    acknowledged_s: dict[int, float] = field(default_factory=dict)
    answers: int = 0
    stale: int = 0
    old: int = 0
    """Answers that missed a change, within the bound."""
    failed: Counter[str] = field(default_factory=Counter)
    longest_s: float = 0.0

    async def ask(self, stub: EligibilityServiceAsyncStub, file: int, line: int) -> None:
        """Ask about somebody whose registration was acknowledged, and judge the answer."""
        begun_s = time.monotonic()
        try:
            answer = await stub.ConfirmEligibility(question(file, line), timeout=ASK_S_MAX)
        except grpc.aio.AioRpcError as error:
            self.failed[f"{error.code().name}: {error.details()}"] += 1
            return
        self.answers += 1
        self.longest_s = max(self.longest_s, time.monotonic() - begun_s)
        if answer.validity != VALID:
            is_due = begun_s - self.acknowledged_s[file] > BOUND_S
            self.stale += is_due
            self.old += not is_due


@asynccontextmanager
async def gateway(root: Path, store: str, replica: str, bound_s: float) -> AsyncIterator[World]:
    """Have a gateway with a replica while the block runs."""
    root.mkdir()  # noqa: ASYNC240  nothing else runs yet
    issue_all(root / "certs", INSTITUTION, [INSURER])
    world = World(root, free_port(), log=root / "log")
    config = write_config(root, world.port, store)
    bound_ms = int(bound_s * 1000)
    limits = f"[limits]\nknown_time_margin_ms = {bound_ms}\nreplica_staleness_ms_max = {bound_ms}\n"
    config.write_text(f'replica = "{replica}"\n{config.read_text()}{limits}')
    await world.start()
    try:
        yield world
    finally:
        assert world.supervisor is not None
        with contextlib.suppress(ProcessLookupError):
            world.supervisor.terminate()
        await world.supervisor.wait()


def served(log: Path) -> Counter[str]:
    """How many lookups went where, by what the workers' log says at their end."""
    counts: Counter[str] = Counter()
    for line in log.read_text(encoding="utf-8").splitlines():
        with contextlib.suppress(json.JSONDecodeError):
            entry = json.loads(line)
            if entry["event"] == "replica_lookups":
                counts[entry["kind"]] += entry["count"]
    return counts


async def register_all(world: World, watched: Watched, first: int, stop: asyncio.Event) -> None:
    """Send one file after the other."""
    file = first
    while not stop.is_set():
        await upload(world, file)
        watched.acknowledged_s[file] = time.monotonic()
        file += 1
        await asyncio.sleep(BOUND_S / 10)


async def ask_all(world: World, watched: Watched, stop: asyncio.Event, seed: int) -> None:
    """Ask about registered people without end, often about those of the newest files."""
    rng = random.Random(seed)
    async with world.channel("institution") as channel:
        stub = EligibilityServiceStub(channel)
        while not stop.is_set():
            files = list(watched.acknowledged_s)
            if files:
                some = rng.choice((files, files[-NEWEST:]))
                await watched.ask(stub, rng.choice(some), rng.randrange(LINES_PER_ROUND))
            await asyncio.sleep(0.002)


Away = tuple[Callable[[], Awaitable[None]], Callable[[], Awaitable[None]]]


def ways(standby: Standby) -> dict[str, Away]:
    """How a replica falls behind, and how it comes back."""

    async def freeze() -> None:
        standby.freeze()

    async def thaw() -> None:
        standby.thaw()

    return {
        "paused": (standby.pause, standby.resume),
        "cut off": (standby.cut_off, standby.reconnect),
        "killed": (
            lambda: asyncio.to_thread(standby.kill),
            lambda: asyncio.to_thread(standby.start),
        ),
        "frozen": (freeze, thaw),
    }


async def disturb(standby: Standby, rounds: int, rng: random.Random) -> Counter[str]:
    """Have the replica fall behind, each time for longer than the bound; give how often how."""
    happened: Counter[str] = Counter()
    kinds = ways(standby)
    for number in range(rounds):
        kind = list(kinds)[number % len(kinds)]
        leave, come_back = kinds[kind]
        await leave()
        await asyncio.sleep(BOUND_S * rng.uniform(1.5, 4))
        await come_back()
        happened[kind] += 1
        await asyncio.sleep(BOUND_S * rng.uniform(0.5, 2))
    return happened


async def planted(root: Path, primary: Server, standby: Standby) -> bool:
    """Show that stale answers are noticed: of a gateway whose bound is larger than the check's."""
    watched, store = Watched(), await primary.made("planted")
    async with gateway(root, store, standby.url("planted"), PLANTED_BOUND_S) as world:
        await asyncio.sleep(PLANTED_BEGIN_S)
        await standby.pause()
        await upload(world, 0)
        watched.acknowledged_s[0] = time.monotonic()
        await asyncio.sleep(BOUND_S)
        async with world.channel("institution") as channel:
            stub = EligibilityServiceStub(channel)
            until = time.monotonic() + PLANTED_S_MAX
            while not watched.stale and time.monotonic() < until:
                await watched.ask(stub, 0, 0)
                await asyncio.sleep(0.05)
        await standby.resume()
    print(f"planted: a gateway with a bound of {PLANTED_BOUND_S:.0f} s, {watched.stale} stale")
    return watched.stale > 0


async def show(primary: Server, standby: Standby, rounds: int, seed: int, root: Path) -> bool:
    """Run everything; give whether nothing stale was told and nobody refused."""
    is_noticed = await planted(root / "planted", primary, standby)
    watched, stop = Watched(), asyncio.Event()
    place, store = root / "shown", await primary.made("shown")
    async with gateway(place, store, standby.url("shown"), BOUND_S) as world:
        tasks = [asyncio.create_task(register_all(world, watched, 1, stop))]
        tasks += [
            asyncio.create_task(ask_all(world, watched, stop, seed + asker))
            for asker in range(ASKERS)
        ]
        happened = await disturb(standby, rounds, random.Random(seed))
        stop.set()
        await asyncio.gather(*tasks)
    counts = served(place / "log")
    failed = sum(watched.failed.values())
    print(f"rounds {rounds}, seed {seed}; the replica was {dict(happened)}")
    files = len(watched.acknowledged_s)
    print(f"files {files}, people {LINES_PER_ROUND * files}")
    print(
        f"answers {watched.answers}: by the replica {counts['replica']}, "
        f"by the primary {counts['primary']}; the longest took {watched.longest_s:.2f} s"
    )
    print(f"of before a change within the bound {watched.old}")
    print(f"stale {watched.stale}, failed {failed} {dict(watched.failed)}")
    wrong = watched.stale or failed or world.wrong
    return is_noticed and not wrong and counts["replica"] > 0


def main() -> None:
    """Parse the options and run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    with (
        running(is_synced=False) as primary,
        standby_of(primary) as standby,
        tempfile.TemporaryDirectory(prefix="onshi-replica-") as scratch,
    ):
        done = show(primary, standby, options.rounds, options.seed, Path(scratch))
        is_good = asyncio.run(done)
    sys.exit(0 if is_good else 1)


if __name__ == "__main__":
    main()

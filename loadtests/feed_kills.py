"""
The change feed over `kill -9`: every change is seen, in order for each person, without a gap.

An insurer uploads files, each with one change of every person, while its consumer and a clinic's
are killed at random instants and started again, and the gateway's writer and supervisor too. At
the end what the consumers wrote is held against what was sent: nothing missing, nothing made up, no
gap, each person's changes in order; repetitions are counted. The clinic must have heard of exactly
the confirmations it asked for. Planted defects must be noticed first.

    python -m loadtests.feed_kills [--changes 100000] [--kills 20] [--seed 1]
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import grpc

from gateway.app.certificates import issue_all
from gateway.v1.coverage_pb2_grpc import CoverageServiceStub
from gateway.v1.eligibility_pb2_grpc import EligibilityServiceStub
from loadtests.feed_check import gaps_stop_a_consumer, judged, parsed, planted
from loadtests.feed_consumer import EXIT_GAP, bookmark_path, seen_path
from loadtests.kill_world import HEADER, INSTITUTION, INSURER, World, question
from loadtests.places import free_port, write_config
from simulators.feed import Bookmark
from simulators.insurer import Patience, resume

FILES: Final = 5
ASKED: Final = 200
CLINIC: Final = "institution"
WATCHING_INSURER: Final = f"insurer-{INSURER}"
PARTIES: Final = (WATCHING_INSURER, CLINIC)
CAUGHT_UP_S_MAX: Final = 90.0
LIFE_S: Final = 0.6
"""How long at most a consumer lives between two kills, once it wrote something."""
KILLED_S_MAX: Final = 20.0
PATIENCE: Final = Patience(tries_max=200, first_wait_s=0.05, wait_s_max=0.5)


def number_of(person: int) -> str:
    """The number of a made-up person, as `kill_world.question` asks for it."""
    return f"{person // 1000:05}{person % 1000:03}"


def file_of(file_no: int, people: int) -> bytes:
    """One change of each person: it begins, changes its name, ends, and so on."""
    head = HEADER + ",loss_date,loss_reason"
    lines = []
    for person in range(people):
        number = number_of(person)
        who = f"K{person // 1000},{number},01,19800101,20260401"
        if file_no == 0:
            cells = f"{INSURER},NEW,{who},試験　{number}番,1,模擬健康保険組合,,"
        elif file_no == FILES - 1:
            cells = f"{INSURER},LOSS,{who},,,,20260930,99"
        else:
            cells = f"{INSURER},CHANGE,{who},試験　{number}番{file_no},,,,"
        lines.append(cells)
    return ("\n".join([head, *lines]) + "\n").encode()


@dataclass(slots=True)
class Consumers:
    """The consumers' processes, killed and started again until told to stop."""

    world: World
    rng: random.Random
    kills_max: int
    kills: Counter[str] = field(default_factory=Counter)
    gaps: list[str] = field(default_factory=list)
    is_over: bool = False

    async def run(self, party: str) -> None:
        """Keep one consumer alive, but for the kills."""
        while not self.is_over:
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "loadtests.feed_consumer",
                str(self.world.root), str(self.world.port), party,
                stderr=asyncio.subprocess.DEVNULL,
            )  # fmt: skip
            before = size_of(seen_path(self.world.root, party))
            while process.returncode is None and not self.is_over:
                await asyncio.sleep(0.02)
                is_reading = size_of(seen_path(self.world.root, party)) > before
                if self.kills[party] < self.kills_max and (is_reading or party == CLINIC):
                    await asyncio.sleep(self.rng.uniform(0.0, LIFE_S))
                    break
            else:
                if process.returncode == EXIT_GAP:
                    self.gaps.append(party)
                    return
            if process.returncode is None:
                self.kills[party] += not self.is_over
                process.kill()
            await process.wait()

    async def killed(self, kills: int) -> None:
        """Wait until the insurer's consumer was killed so often, as far as it is to be, or not."""
        until = time.monotonic() + KILLED_S_MAX
        wanted = min(kills, self.kills_max)
        while self.kills[WATCHING_INSURER] < wanted and time.monotonic() < until:  # noqa: ASYNC110
            await asyncio.sleep(0.02)


def size_of(path: Path) -> int:
    """How long a file is; 0 if there is none."""
    return path.stat().st_size if path.exists() else 0


async def sent(world: World, people: int, consumers: Consumers) -> float:
    """Upload every file, each once a consumer died of the one before; give the seconds it took."""
    began = time.monotonic()
    async with world.channel(WATCHING_INSURER) as channel:
        stub = CoverageServiceStub(channel)
        for file_no in range(FILES):
            content = file_of(file_no, people)
            report = await resume(stub, f"feed-{file_no}", content, patience=PATIENCE)
            assert (report.lines_applied, report.lines_refused) == (people, 0), report
            if file_no == 0:
                await asked(world, people)
            await consumers.killed(file_no + 1)
    return time.monotonic() - began


async def asked(world: World, people: int) -> None:
    """Let the clinic ask about some, and remember the records of its confirmations."""
    async with world.channel(CLINIC) as channel:
        stub = EligibilityServiceStub(channel)
        step = max(1, people // ASKED)
        for person in range(0, people, step):
            while True:
                with suppress(grpc.aio.AioRpcError):
                    answer = await stub.ConfirmEligibility(
                        question(person // 1000, person % 1000), timeout=5
                    )
                    world.answers[answer.access_record_id] = int(answer.validity)
                    break
                await asyncio.sleep(0.05)


async def kill_gateway(world: World, rng: random.Random, upload_s: float) -> None:
    """Kill the writer a few times and the supervisor once while the files are applied."""
    for kind in ("writer", "writer", "supervisor", "writer"):
        await asyncio.sleep(rng.uniform(0.5, 1.0) * upload_s / 5)
        pid = await world.process(kind)
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        world.killed[kind] += 1
        if kind == "supervisor":
            assert world.supervisor is not None
            await world.supervisor.wait()
            await world.start()


async def caught_up(world: World, expected: dict[str, int]) -> None:
    """Wait until each consumer has come as far as it must, or time is up."""
    until = time.monotonic() + CAUGHT_UP_S_MAX
    for party, events in expected.items():
        bookmark = Bookmark(bookmark_path(world.root, party))
        while bookmark.read().sequence < events and time.monotonic() < until:  # noqa: ASYNC110
            await asyncio.sleep(0.05)


async def show(changes: int, kills: int, seed: int, root: Path) -> bool:
    """Run everything; give whether all was seen."""
    rng = random.Random(seed)
    issue_all(root / "certs", INSTITUTION, [INSURER])
    world = World(root, free_port())
    write_config(root, world.port)
    await world.start()
    people = changes // FILES
    consumers = Consumers(world, rng, kills)
    tasks = [asyncio.create_task(consumers.run(party)) for party in PARTIES]
    try:
        killing = asyncio.create_task(kill_gateway(world, rng, changes / 4_000))
        upload_s = await sent(world, people, consumers)
        await killing
        await caught_up(world, {WATCHING_INSURER: people * FILES, CLINIC: len(world.answers)})
        await asyncio.sleep(1.0)
    finally:
        consumers.is_over = True
        await asyncio.gather(*tasks)
        assert world.supervisor is not None
        with suppress(ProcessLookupError):
            world.supervisor.terminate()
        await world.supervisor.wait()
    print(f"{people * FILES:,} changes of {people:,} people in {upload_s:.0f} s; seed {seed}")
    print(f"killed: consumers {dict(consumers.kills)}, gateway {dict(world.killed)}")
    return verdicts(world, consumers, people, kills)


def verdicts(world: World, consumers: Consumers, people: int, kills: int) -> bool:
    """Plant, then judge both consumers."""
    files = [f"feed-{file_no}" for file_no in range(FILES)]
    expected: dict[str, dict[str, list[str]]] = {
        WATCHING_INSURER: {number_of(person): files for person in range(people)},
        CLINIC: {record_id: ["-"] for record_id in world.answers},
    }
    is_good = gaps_stop_a_consumer() and not consumers.gaps
    print(f"planted: a consumer stops at a gap: {gaps_stop_a_consumer()}")
    for party, of in expected.items():
        path = seen_path(world.root, party)
        seen = parsed(path.read_text(encoding="utf-8")) if path.exists() else []
        found = planted(seen, of) if seen else {"anything": False}
        print(f"{party}: planted: {', '.join(f'{k} {v}' for k, v in found.items())}")
        verdict = judged(seen, of)
        print(
            f"{party}: events {verdict.events:,}, missing {verdict.missing}, "
            f"gaps {verdict.gaps}, out of order {verdict.disordered}, not sent {verdict.unsent}, "
            f"seen again {verdict.repeated:,}"
        )
        is_good &= verdict.is_good and all(found.values()) and verdict.events > 0
    is_killed = consumers.kills[WATCHING_INSURER] >= kills and world.killed["supervisor"] == 1
    return is_good and is_killed


def main() -> None:
    """Parse the options and run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--changes", type=int, default=100_000)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="onshi-feed-") as scratch:
        done = show(options.changes, options.kills, options.seed, Path(scratch))
        is_good = asyncio.run(done)
    sys.exit(0 if is_good else 1)


if __name__ == "__main__":
    main()

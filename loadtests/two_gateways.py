"""
Two gateways on one PostgreSQL: the one that writes is killed, and the other must take its place.

An insurer sends a file each round to whichever gateway takes it, while the writing one is killed at
a random instant: its writer alone, or its supervisor and with it all of it. Then every person ever
acknowledged must answer at both gateways, and the database must hold each of them once. It prints
how long it took from a kill until the other gateway had made a file safe.

    python -m loadtests.two_gateways [--rounds 20] [--seed 1]
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import shutil
import signal
import statistics
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import asyncpg
import grpc

from gateway.app.certificates import issue_all
from gateway.v1.coverage_pb2_grpc import CoverageServiceStub
from gateway.v1.eligibility_pb2_grpc import EligibilityServiceStub
from loadtests.kill_world import (
    INSTITUTION,
    INSURER,
    LINES_PER_ROUND,
    RECOVER_S_MAX,
    World,
    ask,
    file_of,
    is_worth_retrying,
)
from loadtests.places import free_port, write_config
from loadtests.postgres_place import running
from simulators.insurer import Patience, UploadBrokenError, resume

ONE_TRY: Final = Patience(tries_max=1, answer_s_max=10.0, report_s_max=30.0)
KILL_S_MAX: Final = 0.3
"""A kill comes so long after the file was begun, at most."""
KINDS: Final = ("writer", "supervisor")


@dataclass(slots=True)
class Pair:
    """The two gateways, and what was seen of them."""

    worlds: list[World]
    rng: random.Random
    writing: int = 0
    """Which of them took the last file."""
    taken_over_s: list[float] = field(default_factory=list)

    async def upload(self, round_no: int) -> None:
        """Send a file to either gateway until one gives its report."""
        until = time.monotonic() + RECOVER_S_MAX
        while time.monotonic() < until:
            for number in (self.writing, 1 - self.writing):
                if await self._sent(number, round_no):
                    self.writing = number
                    return
            await asyncio.sleep(0.05)
        raise RuntimeError(f"round {round_no}: no gateway took the file")

    async def _sent(self, number: int, round_no: int) -> bool:
        async with self.worlds[number].channel(f"insurer-{INSURER}") as channel:
            stub = CoverageServiceStub(channel)
            try:
                content = file_of(round_no)
                report = await resume(stub, f"kill-{round_no}", content, patience=ONE_TRY)
            except (UploadBrokenError, TimeoutError):
                return False
            except grpc.aio.AioRpcError as error:
                if not is_worth_retrying(error):
                    raise
                return False
        assert (report.lines_read, report.lines_refused) == (LINES_PER_ROUND, 0), report
        return True

    async def kill(self) -> tuple[World, str]:
        """Kill the gateway that writes, or its writer alone; give which and what."""
        await asyncio.sleep(self.rng.uniform(0, KILL_S_MAX))
        world, kind = self.worlds[self.writing], self.rng.choice(KINDS)
        pid = await world.process(kind)
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        world.killed[kind] += 1
        return world, kind

    async def round(self, round_no: int) -> None:
        """Send a file while the writing gateway is killed, and have the other take the next."""
        sending = asyncio.create_task(self.upload(round_no))
        before = self.writing
        world, kind = await self.kill()
        began = time.monotonic()
        await sending
        if self.writing != before:
            self.taken_over_s.append(time.monotonic() - began)
        if kind == "supervisor":
            assert world.supervisor is not None
            await world.supervisor.wait()
            await world.start()


async def unanswered(world: World, rounds: range) -> int:
    """Ask about every person of some rounds; how many do not answer as registered."""
    bad = 0
    async with world.channel("institution") as channel:
        stub = EligibilityServiceStub(channel)
        for round_no in rounds:
            for line in range(LINES_PER_ROUND):
                until = time.monotonic() + RECOVER_S_MAX
                answer = await ask(world, stub, round_no, line)
                while answer is None and time.monotonic() < until:
                    await asyncio.sleep(0.05)
                    answer = await ask(world, stub, round_no, line)
                bad += answer is None or answer.validity != 1
    return bad


async def twice(url: str, rounds: int) -> int:
    """How many rows there are too many, or too few, of covers, their versions and their keys."""
    connection = await asyncpg.connect(url)
    people = rounds * LINES_PER_ROUND
    try:
        counts = [
            await connection.fetchval(f"SELECT count(*) FROM {table}")  # noqa: S608  our own names
            for table in ("enrollees", "cover_versions", "lookups", "people", "changes")
        ]
    finally:
        await connection.close()
    return sum(abs(count - people) for count in counts)


async def planted(pair: Pair, url: str, rounds: int) -> bool:
    """Show that the checks can fail: a person never sent, a cover that is there twice."""
    missing = await unanswered(pair.worlds[0], range(99_999, 100_000))
    connection = await asyncpg.connect(url)
    await connection.execute("INSERT INTO enrollees VALUES ('planted', '00000000')")
    doubled = await twice(url, rounds)
    await connection.execute("DELETE FROM enrollees WHERE enrollee_key = 'planted'")
    await connection.close()
    print(f"planted: a file never sent, {missing} missing; a row too many, {doubled} found")
    return missing == LINES_PER_ROUND and doubled == 1


async def show(url: str, rounds: int, seed: int, root: Path) -> bool:
    """Run everything; give whether nothing was lost and nothing done twice."""
    worlds: list[World] = []
    for name in ("one", "two"):
        place = root / name
        issue_all(place / "certs", INSTITUTION, [INSURER])
        world = World(place, free_port())
        write_config(place, world.port, url)
        if worlds:  # Both open the same vault and spool.
            (place / "data").mkdir(mode=0o700)
            shutil.copytree(worlds[0].data / "keys", place / "data" / "keys")
        await world.start()
        worlds.append(world)
    pair = Pair(worlds, random.Random(seed))
    try:
        await pair.upload(0)
        is_good = await planted(pair, url, 1)
        for round_no in range(1, rounds + 1):
            await pair.round(round_no)
        lost = [await unanswered(world, range(rounds + 1)) for world in worlds]
        doubled = await twice(url, rounds + 1)
    finally:
        for world in worlds:
            assert world.supervisor is not None
            with suppress(ProcessLookupError):
                world.supervisor.terminate()
            await world.supervisor.wait()
    killed = [dict(world.killed) for world in worlds]
    print(f"rounds {rounds}, seed {seed}; killed {killed}; files {rounds + 1}")
    print(f"people {(rounds + 1) * LINES_PER_ROUND}: lost at either gateway {lost}")
    print(f"rows too many or too few {doubled}")
    if pair.taken_over_s:
        times = pair.taken_over_s
        print(
            f"the other gateway wrote after {statistics.median(times):.2f} s (median of "
            f"{len(times)}), {max(times):.2f} s at most"
        )
    wrong = [sentence for world in worlds for sentence in world.wrong]
    for sentence in wrong[:10]:
        print(f"  {sentence}")
    return is_good and not any(lost) and not doubled and not wrong and bool(pair.taken_over_s)


def main() -> None:
    """Parse the options and run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    with running() as server, tempfile.TemporaryDirectory(prefix="onshi-two-") as scratch:
        done = show(server.url(), options.rounds, options.seed, Path(scratch))
        is_good = asyncio.run(done)
    sys.exit(0 if is_good else 1)


if __name__ == "__main__":
    main()

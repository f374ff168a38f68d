"""
Rounds of `kill -9`: nothing acknowledged may be missing, no answer without its access record.

Each round an insurer uploads a file of new people while clinics keep asking; at a random instant
from the first byte to 100 ms after the acknowledgement a random process (supervisor, writer or a
worker) is killed. A dead supervisor is started again, everything else restarts by itself. Then
the round's promises are checked: what was acknowledged as received is there without sending a
byte again, and every person of it answers. At the end every answer that reached a client must
have its access record, with the same outcome, in a chain that verifies.

    python -m loadtests.kill_rounds [--rounds 200] [--seed 1]
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import random
import shutil
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final

from gateway.app.certificates import issue_all
from gateway.v1.eligibility_pb2_grpc import EligibilityServiceStub
from loadtests.evidence import Evidence, read_evidence
from loadtests.kill_world import (
    INSTITUTION,
    INSURER,
    LINES_PER_ROUND,
    RECOVER_S_MAX,
    World,
    ask,
    upload,
)
from loadtests.places import free_port, write_config

AFTER_ACK_S: Final = 0.1
ASKERS: Final = 4

Kill = Callable[[World, random.Random, float, int], Awaitable[None]]
"""Breaks something at a random instant of a round; is told how long an upload usually takes."""


async def keep_asking(world: World, applied: list[int], stop: asyncio.Event, seed: int) -> None:
    """A clinic that never stops asking about people whose registration was confirmed."""
    rng = random.Random(seed)
    async with world.channel("institution") as channel:
        stub = EligibilityServiceStub(channel)
        away: float | None = None
        while not stop.is_set():
            if not applied:
                await asyncio.sleep(0.01)
                continue
            round_no = rng.choice(applied)
            answer = await ask(world, stub, round_no, rng.randrange(LINES_PER_ROUND))
            if answer is None:
                away = away or time.monotonic()
                await asyncio.sleep(0.02)
                continue
            if away is not None:
                world.down_s.append(time.monotonic() - away)
                away = None
            if answer.validity != 1:
                world.wrong.append(
                    f"round {round_no}: a registered person was answered with {answer.validity}"
                )
            await asyncio.sleep(0.002)


async def kill_some(world: World, rng: random.Random, usual_s: float, round_no: int) -> None:
    """Kill one process at a random instant up to 100 ms after the usual acknowledgement."""
    await asyncio.sleep(rng.uniform(0, usual_s + AFTER_ACK_S))
    while not (found := {n: p for n, p in world.processes().items() if world.may_kill in n}):  # noqa: ASYNC110
        await asyncio.sleep(0.02)
    kind = rng.choice(sorted({name.partition(":")[0] for name in found}))
    name = rng.choice([name for name in sorted(found) if name.partition(":")[0] == kind])
    when = "after" if round_no in world.received else "before"
    world.killed[f"{kind} {when} acknowledgement"] += 1
    with contextlib.suppress(ProcessLookupError):
        os.kill(found[name], signal.SIGKILL)
    if kind == "supervisor":
        assert world.supervisor is not None
        await world.supervisor.wait()
        await world.start()


async def one_round(
    world: World,
    rng: random.Random,
    usual_s: float,
    round_no: int,
    applied: list[int],
    kill: Kill,
) -> None:
    """One upload, one kill, and the promises of the round."""
    killer = asyncio.ensure_future(kill(world, rng, usual_s, round_no))
    report = await upload(world, round_no)
    await killer
    if (report.lines_read, report.lines_refused) != (LINES_PER_ROUND, 0):
        world.wrong.append(
            f"round {round_no}: report of {report.lines_read} lines, {report.lines_refused} refused"
        )
    await check_all(world, round_no)
    applied.append(round_no)


async def check_all(world: World, round_no: int) -> None:
    """Every person of a confirmed upload answers."""
    async with world.channel("institution") as channel:
        stub = EligibilityServiceStub(channel)
        for line in range(LINES_PER_ROUND):
            until = time.monotonic() + RECOVER_S_MAX
            answer = None
            while answer is None and time.monotonic() < until:
                answer = await ask(world, stub, round_no, line)
                if answer is None:
                    await asyncio.sleep(0.05)
            if answer is None or answer.validity != 1:
                world.wrong.append(f"round {round_no} line {line}: acknowledged and missing")


async def rounds_of(world: World, rounds: int, seed: int, kill: Kill) -> None:
    """Measure the usual time to the acknowledgement, then kill."""
    rng = random.Random(seed)
    applied: list[int] = []
    times = []
    for round_no in range(3):
        begin = time.monotonic()
        await upload(world, round_no)
        times.append(time.monotonic() - begin)
        applied.append(round_no)
    stop = asyncio.Event()
    askers = [
        asyncio.create_task(keep_asking(world, applied, stop, seed + i)) for i in range(ASKERS)
    ]
    for round_no in range(3, rounds + 3):
        await one_round(world, rng, statistics.median(times), round_no, applied, kill)
        if round_no % 20 == 2:
            print(
                f"  {round_no - 2} rounds, {len(world.answers)} answers, {len(world.wrong)} wrong",
                flush=True,
            )
    stop.set()
    await asyncio.gather(*askers)


def missing_records(answers: dict[str, int], evidence: Evidence) -> list[str]:
    """The answers that reached a client and have no access record with the same outcome."""
    return [
        record_id
        for record_id, validity in answers.items()
        if evidence.outcomes.get(record_id) != ("ANSWERED", str(validity))
    ]


def show_planted(world: World) -> bool:
    """Show that the checks can fail: a cut chain, a changed record, an answer nobody recorded."""
    copy = world.root / "planted"
    shutil.copytree(world.data / "access", copy)
    segment = max(copy.rglob("*.log"), key=lambda path: path.stat().st_size)
    content = segment.read_bytes()
    segment.write_bytes(content.replace(b'"ANSWERED"', b'"UNASKED!"', 1))
    changed = bool(read_evidence(copy).problems)
    segment.write_bytes(content[: content.rindex(b"\n", 0, -1) + 1])
    cut = bool(missing_records(world.answers, read_evidence(copy)))
    segment.write_bytes(content)
    whole = read_evidence(copy)
    invented = bool(missing_records({**world.answers, "0000-1": 1}, whole))
    shutil.rmtree(copy)
    print(f"planted: changed record {changed}, cut chain {cut}, unrecorded answer {invented}")
    return changed and cut and invented


async def show(
    rounds: int, seed: int, may_kill: str, kill: Kill = kill_some, store: str | None = None
) -> int:
    """Run everything; return the exit code."""
    with tempfile.TemporaryDirectory(prefix="onshi-kill-") as scratch:
        root = Path(scratch)
        issue_all(root / "certs", INSTITUTION, [INSURER])
        world = World(root, free_port(), may_kill)
        write_config(root, world.port, store)
        await world.start()
        try:
            stranger = World(root, world.port)
            await check_all(stranger, 99_999)
            print(f"planted: a file never sent, {len(stranger.wrong)} of {LINES_PER_ROUND} missing")
            await rounds_of(world, rounds, seed, kill)
        finally:
            assert world.supervisor is not None
            with contextlib.suppress(ProcessLookupError):
                world.supervisor.terminate()
            await world.supervisor.wait()
        evidence = read_evidence(world.data / "access")
        unrecorded = missing_records(world.answers, evidence)
        noticed = show_planted(world)
        print(f"rounds {rounds}, seed {seed}; killed: {dict(sorted(world.killed.items()))}")
        print(
            f"uploads acknowledged {rounds + 3}, people {(rounds + 3) * LINES_PER_ROUND}; "
            f"wrong or missing {len(world.wrong)}"
        )
        for sentence in world.wrong[:10]:
            print(f"  {sentence}")
        print(
            f"answers {len(world.answers)}, without their record {len(unrecorded)}; "
            f"chains {evidence.lives}, broken {len(evidence.problems)}"
        )
        for problem in evidence.problems[:10]:
            print(f"  {problem}")
        if world.down_s:
            print(
                f"a clinic was without an answer for {statistics.median(world.down_s):.2f} s "
                f"(median of {len(world.down_s)}), {max(world.down_s):.2f} s at most"
            )
        bad = world.wrong or unrecorded or evidence.problems
        return 1 if bad or not noticed or len(stranger.wrong) != LINES_PER_ROUND else 0


def main() -> None:
    """Parse the options and run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--kill", default="", choices=["", "supervisor", "writer", "worker"], help="only these"
    )
    options = parser.parse_args()
    sys.exit(asyncio.run(show(options.rounds, options.seed, options.kill)))


if __name__ == "__main__":
    main()

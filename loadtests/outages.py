"""
Outages: an insurer's link, the resident register, the writer; and what clinics are told meanwhile.

1. The link of two insurers is down for two sandbox days while people change jobs. Answers are
   stale: the old cover reads valid, the card finds it. Then the queued files come with their true
   dates: answers are right, for days past too, a question as of then is answered as it was then,
   and the lag report shows the two days.
2. The resident register is away. Numbers wait, clinics are told what a cover without a number
   gives; the writer is killed meanwhile. Back again, all link and none is lost.
3. The writer is killed twice in mid-upload. Lookups go on, the upload resumes, and every line
   answers as after an undisturbed one.

Each check is first shown to fail: on the state before the outage ends, and on what was never sent.

    python -m loadtests.outages [--people 12] [--lines 4000]
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import date, timedelta
from functools import partial
from pathlib import Path
from typing import Final

import grpc

from gateway.app.visits import set_conditions
from gateway.domain.period import Instant
from gateway.v1 import coverage_pb2
from gateway.v1 import lag_pb2 as pb
from gateway.v1.coverage_pb2_grpc import CoverageServiceStub
from gateway.v1.lag_pb2_grpc import LagServiceStub
from loadtests.outage_link import Link
from loadtests.outage_world import (
    HURRIED,
    NEW,
    OLD,
    PATIENCE,
    Ask,
    Mover,
    OutageWorld,
    running_world,
    wrong_among,
)
from simulators.insurer import UploadBrokenError, resume
from simulators.people import Row, lines_of

VALID, LOST, MOVED, UNKNOWN = 1, 2, 3, 4
SHOWN_MAX: Final = 5
CHUNK_BYTES: Final = 16 * 1024
APPLYING_S_MAX: Final = 60.0
"""How long the sender may take to go on after the writer was killed."""
ASKERS: Final = 2
CUT_UPLOAD: Final = "outage-cut"


def said(name: str, checks: dict[str, int | bool], wrong: Sequence[str]) -> bool:
    """Print a part's figures; whether it is as it must be: each check true, nothing wrong."""
    figures = ", ".join(f"{what} {value}" for what, value in checks.items())
    print(f"{name}: {figures}; wrong {len(wrong)}", flush=True)
    for sentence in wrong[:SHOWN_MAX]:
        print(f"  {sentence}")
    return not wrong and all(checks.values())


# The insurers' link is down


def stale(
    world: OutageWorld, movers: Sequence[Mover], on: date, known: Instant | None = None
) -> list[Ask]:
    """What is told while nobody has heard of the change of jobs."""
    asks = []
    for mover in movers:
        before, after = mover.story.before, mover.after
        asks += [
            Ask("the old number", partial(world.by_number, before, on, known), (VALID, OLD)),
            Ask("the new number", partial(world.by_number, after, on, known), (UNKNOWN, "")),
        ]  # fmt: skip
        if known is None:
            asks.append(Ask("the card", partial(world.by_card, mover, on), (VALID, OLD)))
    return asks


def caught_up(world: OutageWorld, movers: Sequence[Mover], before: date, on: date) -> list[Ask]:
    """What is told once both insurers were heard: of a day before the change, and of one after."""
    asks = []
    for mover in movers:
        old, new = mover.story.before, mover.after
        asks += [
            Ask("the old number", partial(world.by_number, old, on), (MOVED, OLD)),
            Ask("the old number before", partial(world.by_number, old, before), (VALID, OLD)),
            Ask("the new number", partial(world.by_number, new, on), (VALID, NEW)),
            Ask("the card", partial(world.by_card, mover, on), (VALID, NEW)),
            Ask("the card before", partial(world.by_card, mover, before), (VALID, OLD)),
        ]
    return asks


async def is_cut(world: OutageWorld, rows: Sequence[Row], port: int) -> bool:
    """Whether an insurer that tries to send gives up."""
    try:
        await world.send(rows[0]["insurer_number"], rows, port, HURRIED)
    except (grpc.aio.AioRpcError, UploadBrokenError, TimeoutError):
        return True
    return False


async def lagged_days(world: OutageWorld, insurer: str) -> tuple[int, float]:
    """How many cases an insurer has, and the longest days from receipt to registration."""
    async with world.channel(f"insurer-{insurer}") as channel:
        report = await LagServiceStub(channel).GetLagReport(pb.GetLagReportRequest())
    found = [one for one in report.stages if one.stage == pb.LAG_STAGE_REGISTRATION]
    return report.cases, found[0].max if found else -1.0


async def link_down(world: OutageWorld, people: int) -> bool:
    """Two days without the insurers."""
    day_0 = world.today
    day_1, day_2, day_3 = (day_0 + timedelta(days=days) for days in (1, 2, 3))
    movers = await world.movers(people, day_1)
    losses, begins = [one.loss for one in movers], [one.after for one in movers]
    link = Link(world.gateway.port)
    await link.mend()
    await link.cut()
    world.pass_days(1)
    tried = await is_cut(world, losses, link.port) + await is_cut(world, begins, link.port)
    world.pass_days(1)
    during = await wrong_among(stale(world, movers, day_2))
    moment = world.now
    planted = len(await wrong_among(caught_up(world, movers, day_0, day_2)))
    world.pass_days(1)
    await link.mend()
    reports = [
        await world.send(OLD, losses, link.port),
        await world.send(NEW, begins, link.port),
    ]
    unlinked = await world.until_linked(begins)
    await link.cut()
    after = await wrong_among(caught_up(world, movers, day_0, day_2))
    after += await wrong_among(caught_up(world, movers, day_0, day_3))
    then = await wrong_among(stale(world, movers, day_2, moment))
    planted_then = len(await wrong_among(stale(world, movers, day_2)))
    lag = {insurer: await lagged_days(world, insurer) for insurer in (OLD, NEW)}
    expected = dict.fromkeys((OLD, NEW), (people, 2.0))
    wrong = [*during, *after, *then]
    wrong += [f"lag of {i}: {lag[i]}, expected {expected[i]}" for i in lag if lag[i] != expected[i]]
    wrong += [f"{unlinked} never linked"] if unlinked else []
    wrong += [f"a report: {one}" for one in reports if one.lines_applied != people]
    checks: dict[str, int | bool] = {
        "people": people,
        "sends that failed": tried,
        "planted, not caught up yet, noticed": planted == people * 3,
        "planted, stale no more, noticed": planted_then == people * 3,
    }
    return said("link down two days", checks, wrong)


# The resident register is away


def waiting(world: OutageWorld, movers: Sequence[Mover], on: date) -> list[Ask]:
    """What is told of people whose old cover is lost and whose new one waits for its number."""
    asks = []
    for mover in movers:
        old, new = mover.story.before, mover.after
        asks += [
            Ask("the new number", partial(world.by_number, new, on), (VALID, NEW)),
            Ask("the old number", partial(world.by_number, old, on), (LOST, OLD)),
            Ask("the card", partial(world.by_card, mover, on), (LOST, OLD)),
        ]
    return asks


def linked(world: OutageWorld, movers: Sequence[Mover], on: date) -> list[Ask]:
    """What is told once their numbers are linked."""
    return [one for one in caught_up(world, movers, on, on) if not one.what.endswith("before")]


async def register_away(world: OutageWorld, people: int) -> bool:
    """Numbers told while the register refuses every call."""
    today = world.today
    movers = await world.movers(people + 1, today)
    *told, never_told = movers
    await world.send(OLD, [one.loss for one in movers])
    root = world.sandbox.root
    await set_conditions(root, 0, 0, 0, is_away=True)
    begins = [one.after for one in told]
    await world.send(NEW, [*begins, never_told.after | {"individual_number": ""}])
    await asyncio.sleep(1.0)
    states = set(await world.states(begins))
    wrong = await wrong_among(waiting(world, movers, today))
    planted = len(await wrong_among(linked(world, told, today)))
    kill(world)
    await writer_is_back(world)
    wrong += await wrong_among(waiting(world, movers, today))
    states |= set(await world.states(begins))
    if states != {coverage_pb2.NUMBER_STATE_RECEIVED}:
        wrong.append(f"states while the register is away: {states}")
    await set_conditions(root, 0, 0, 0, is_away=False)
    began = time.monotonic()
    unlinked = await world.until_linked(begins)
    took_s = time.monotonic() - began
    wrong += [f"{unlinked} never linked"] if unlinked else []
    wrong += await wrong_among(linked(world, told, today))
    lost = len(await wrong_among(linked(world, [never_told], today)))
    print(f"  all linked {took_s:.1f} s after the register came back")
    checks: dict[str, int | bool] = {
        "people": people,
        "planted, not linked yet, noticed": planted == people * 2,
        "planted, a number never told, noticed": lost == 2,
    }
    return said("register away", checks, wrong)


# The writer is restarted in mid-upload


@dataclass(slots=True)
class Asker:
    """A clinic that never stops asking, and counts."""

    world: OutageWorld
    mover: Mover
    answers: int = 0
    failed: int = 0
    longest_s: float = 0.0
    wrong: list[str] = field(default_factory=list)

    async def run(self, stop: asyncio.Event) -> None:
        """Ask until told to stop."""
        while not stop.is_set():
            began = time.monotonic()
            try:
                told = await self.world.by_number(self.mover.story.before, self.world.today)
            except grpc.aio.AioRpcError:
                self.failed += 1
            else:
                self.answers += 1
                if told != (VALID, OLD):
                    self.wrong.append(f"a lookup meanwhile: {told}")
            self.longest_s = max(self.longest_s, time.monotonic() - began)
            await asyncio.sleep(0.005)


def kill(world: OutageWorld) -> bool:
    """Kill the writer."""
    pid = world.gateway.writer.pid
    if pid is not None:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    return pid is not None


async def writer_is_back(world: OutageWorld) -> None:
    """Wait until insurers are answered again; that there is no such upload is an answer."""
    async with world.channel(f"insurer-{NEW}") as channel:
        stub = CoverageServiceStub(channel)
        while True:
            try:
                await stub.GetUpload(coverage_pb2.GetUploadRequest(request_id=CUT_UPLOAD))
            except grpc.aio.AioRpcError as error:
                if error.code() is not grpc.StatusCode.NOT_FOUND:
                    await asyncio.sleep(0.05)
                    continue
            return


async def is_being_applied(world: OutageWorld) -> bool:
    """Wait until the lines of the cut upload are applied; False if that was over already."""
    until = time.monotonic() + APPLYING_S_MAX
    async with world.channel(f"insurer-{NEW}") as channel:
        stub = CoverageServiceStub(channel)
        asked = coverage_pb2.GetUploadRequest(request_id=CUT_UPLOAD)
        while time.monotonic() < until:
            with suppress(grpc.aio.AioRpcError):  # The writer is not back, or knows of no upload.
                upload = await stub.GetUpload(asked)
                if upload.lines_total or upload.HasField("report"):
                    return not upload.HasField("report")
            await asyncio.sleep(0.005)
    return False


def strangers(lines: int, today: date) -> list[Row]:
    """Made-up enrollees without a number."""
    return [
        {
            "insurer_number": NEW, "action": "NEW", "symbol": "88000001",
            "number": f"{line:07}", "branch": "00", "birth_date": "19851013",
            "acquisition_date": f"{today:%Y%m%d}", "name": "見本　通", "sex": "1",
            "insurer_name": "見本健康保険協会青空支部",
        }
        for line in range(lines)
    ]  # fmt: skip


async def kill_twice(world: OutageWorld, receiving_s: float) -> int:
    """Kill the writer while bytes come, and while lines are applied; give how often."""
    await asyncio.sleep(receiving_s)
    kills = kill(world)
    is_applying = await is_being_applied(world)
    return kills + (is_applying and kill(world))


async def writer_restarted(world: OutageWorld, lines: int) -> bool:
    """An upload over two lives of the writer, and lookups beside it."""
    (known,) = await world.movers(1, world.today + timedelta(days=30))
    rows = strangers(lines + 1, world.today)
    never_sent = rows.pop()
    stop = asyncio.Event()
    askers = [Asker(world, known) for _ in range(ASKERS)]
    asking = [asyncio.create_task(asker.run(stop)) for asker in askers]
    async with world.channel(f"insurer-{NEW}") as channel:
        killing = asyncio.create_task(kill_twice(world, 0.02))
        report = await resume(
            CoverageServiceStub(channel), CUT_UPLOAD, lines_of(rows), CHUNK_BYTES, PATIENCE
        )
        kills = await killing
    stop.set()
    await asyncio.gather(*asking)
    today = world.today

    def answers(row: Row) -> Ask:
        return Ask(f"line {row['number']}", partial(world.by_number, row, today), (VALID, NEW))

    wrong = await wrong_among(map(answers, rows))
    wrong += [sentence for asker in askers for sentence in asker.wrong]
    failed = sum(asker.failed for asker in askers)
    wrong += [f"{failed} lookups failed meanwhile"] if failed else []
    counted = (report.lines_applied, report.lines_refused)
    wrong += [f"{kills} kills in mid-upload"] if kills != 2 else []
    wrong += [f"the report counts {counted}"] if counted != (lines, 0) else []
    lost = len(await wrong_among([answers(never_sent)]))
    asked = sum(asker.answers for asker in askers)
    slowest = max(asker.longest_s for asker in askers)
    print(f"  {asked} lookups meanwhile, the slowest {slowest * 1000:.0f} ms")
    checks: dict[str, int | bool] = {
        "lines": lines,
        "kills in mid-upload": kills,
        "planted, a line never sent, noticed": lost == 1,
        "planted, a wrong answer, noticed": await notices_wrong_lookups(world, known),
        "lookups": asked,
    }
    return said("writer restarted in mid-upload", checks, wrong)


async def notices_wrong_lookups(world: OutageWorld, known: Mover) -> bool:
    """Whether a clinic that asks about somebody unknown would have said so."""
    stranger = Mover(known.story, known.changed, known.card)
    stranger.story.before["number"] = "9999999"
    asker, stop = Asker(world, stranger), asyncio.Event()
    running = asyncio.create_task(asker.run(stop))
    await asyncio.sleep(0.1)
    stop.set()
    await running
    return bool(asker.wrong)


async def show(root: Path, people: int, lines: int) -> bool:
    """Run the three outages on one sandbox."""
    async with running_world(root) as world:
        done = [
            await link_down(world, people),
            await register_away(world, people),
            await writer_restarted(world, lines),
        ]
    return all(done)


def main() -> None:
    """Parse the options and run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--people", type=int, default=12)
    parser.add_argument("--lines", type=int, default=4_000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="onshi-outages-") as scratch:
        is_good = asyncio.run(show(Path(scratch), options.people, options.lines))
    sys.exit(0 if is_good else 1)


if __name__ == "__main__":
    main()

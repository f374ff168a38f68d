"""
A move to a PostgreSQL under lookups and uploads: goal 0 failed, 0 different answers, 0 lost.

A gateway of real processes answers from SQLite; a clinic asks at a fixed rate all the time, an
insurer uploads without a pause, and `onshi migrate` moves everything. Then the settings name the
new store, SIGHUP renews the processes, and the questions asked before are asked again. First all
of it happens in small with three planted defects, each of which must be noticed: a row dropped
after the copy, a byte changed, a lookup that fails.

    python -m loadtests.move_check [--people 1000000] [--rate 200] [--answers 100000]
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import os
import signal
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

import asyncpg
import grpc
import msgspec
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp
from google.type.date_pb2 import Date
from msgspec import Struct

from gateway.domain.identifiers import InsuredId
from gateway.v1.eligibility_pb2 import ConfirmEligibilityRequest, ConfirmEligibilityResponse
from gateway.v1.eligibility_pb2_grpc import EligibilityServiceStub
from gateway.v1.types_pb2 import VALIDITY_VALID
from loadtests import bulk_file, kill_world, postgres_place
from loadtests.bulk_place import running, upload
from loadtests.kill_world import LINES_PER_ROUND, RETRIED, World
from loadtests.places import channel_to, write_config

if TYPE_CHECKING:
    from gateway.v1.eligibility_pb2_grpc import EligibilityServiceAsyncStub

TRIES_MAX: Final = 20
WAITING: Final = "wait to be applied"
"""What a move says that met a file that is received and not applied."""
CHANNELS: Final = 8
AT_ONCE: Final = 32
"""Questions of the comparison under way at once."""
DEADLINE_S: Final = 10.0
RENEWED_S_MAX: Final = 90.0
SETTLE_S: Final = 3.0
"""What was recorded so long ago may be asked about as of then."""
UPLOAD_EVERY_S: Final = 0.3
UNKNOWN_EVERY: Final = 50
SAME: Final = frozenset(
    {
        "validity", "reason", "explanation_ja", "explanation_en", "coverages",
        "confirmation_date", "route", "decided_by",
    }
)  # fmt: skip
"""What of an answer must be the same; the rest tells when it was given, and as which record."""
PLANTED_PEOPLE, PLANTED_ANSWERS, PLANTED_SAMPLE = 300, 400, 60
PLANTED_NUMBERS: Final = (4, 8)
"""Of questions that ask about now, whose answers are spoilt."""


class Asked(Struct):
    """How long each answer took from when its question was due, and how many failed."""

    ms: list[float]
    failed: int
    again: int = 0
    """Questions asked once more because the process that had them was being renewed."""

    @property
    def said(self) -> str:
        """For people."""
        p50, p99 = (sorted(self.ms)[int(len(self.ms) * share)] for share in (0.5, 0.99))
        return f"median {p50:.1f} ms, p99 {p99:.1f} ms, longest {max(self.ms):.0f} ms"


@dataclass(slots=True)
class Found:
    """What a move was seen to do."""

    lookups: int = 0
    failed: int = 0
    answers: int = 0
    differences: int = 0
    acknowledged: list[int] = field(default_factory=list)
    lost: int = 0
    is_moved: bool = False

    @property
    def is_good(self) -> bool:
        """Whether all goals hold; some upload must have been acknowledged for that."""
        wrong = self.failed + self.differences + self.lost
        return self.is_moved and bool(self.acknowledged) and not wrong


class Questions:
    """Questions about the people of the bulk file, in kinds, each told by its number."""

    def __init__(self, people: int, began: Timestamp, ended: Timestamp) -> None:
        self._places = list(bulk_file.good_places(people))
        self._people = people
        self._began = began.ToMicroseconds()
        self._took_us = ended.ToMicroseconds() - self._began

    def question(self, number: int) -> ConfirmEligibilityRequest:
        """Now, without a branch, before the cover, or as of a moment while they were uploaded."""
        if number % UNKNOWN_EVERY == 0:
            return bulk_file.question(self._people + number)
        question = bulk_file.question(self._places[number * 7919 % len(self._places)])
        kind = (number + number // len(self._places)) % 4
        if kind == 1:
            question.insured_id.ClearField("branch")
        elif kind == 2:
            question.confirmation_date.CopyFrom(Date(year=2026, month=3, day=31))
        elif kind == 3:
            known = self._began + number * 104_729 % (self._took_us + 1)
            question.known_time.FromMicroseconds(known)
        return question


def _what_must_stay(answer: Message) -> bytes:
    for spelled, _ in answer.ListFields():
        if spelled.name not in SAME:
            answer.ClearField(spelled.name)
    return answer.SerializeToString(deterministic=True)


Plant = Callable[[asyncpg.Connection, Questions], Awaitable[None]]


async def answers(world: World, questions: Questions, count: int) -> list[bytes]:
    """Ask so many questions; give a digest of what must be the same of each answer."""
    found = [b""] * count
    numbers = iter(range(count))

    async def ask(stub: EligibilityServiceAsyncStub) -> None:
        for number in numbers:
            try:
                answer = await stub.ConfirmEligibility(
                    questions.question(number), timeout=DEADLINE_S, wait_for_ready=True
                )
            except grpc.aio.AioRpcError as error:
                said = f"{error.code()} {number}".encode()
            else:
                said = _what_must_stay(answer)
            found[number] = hashlib.sha256(said).digest()

    async with AsyncExitStack() as channels:
        stubs: list[EligibilityServiceAsyncStub] = []
        for _ in range(CHANNELS):
            channel = await channels.enter_async_context(
                channel_to(world.root, world.port, "institution")
            )
            stubs.append(EligibilityServiceStub(channel))
        await asyncio.gather(*(ask(stubs[at % CHANNELS]) for at in range(AT_ONCE)))
    return found


async def _asked(
    stub: EligibilityServiceAsyncStub, question: ConfirmEligibilityRequest
) -> ConfirmEligibilityResponse | None:
    """Ask once; None if the process that had the question ended."""
    try:
        return await stub.ConfirmEligibility(question, timeout=DEADLINE_S, wait_for_ready=True)
    except grpc.aio.AioRpcError as error:
        if error.code() in RETRIED:
            return None
        raise


async def asked_until(
    root: Path, port: int, rate: float, people: int, *, is_planted: bool
) -> Asked:
    """
    Ask at a rate until the file `stop` is there; one question fails if that is planted.

    While the file `switching` is there, a question whose process ended is asked once more, as a
    clinic's program does.
    """
    channels = [channel_to(root, port, "institution") for _ in range(CHANNELS)]
    stubs: list[EligibilityServiceAsyncStub] = [EligibilityServiceStub(one) for one in channels]
    places = list(bulk_file.good_places(people))
    found = Asked([], 0)

    async def ask(number: int, due: float) -> None:
        question = bulk_file.question(places[number * 7919 % len(places)])
        if is_planted and number == 0:
            question.insured_id.insurer_number = "1"
        stub = stubs[number % CHANNELS]
        try:
            answer = await _asked(stub, question)
            if answer is None and (root / "switching").exists():
                found.again += 1
                answer = await _asked(stub, question)
        except grpc.aio.AioRpcError:
            answer = None
        found.failed += answer is None or answer.validity != VALIDITY_VALID
        found.ms.append((time.perf_counter() - due) * 1000)

    begin, number, tasks = time.perf_counter(), 0, set()
    while not (root / "stop").exists():
        due = begin + number / rate
        await asyncio.sleep(max(due - time.perf_counter(), 0))
        task = asyncio.create_task(ask(number, due))
        tasks.add(task)
        task.add_done_callback(tasks.discard)
        number += 1
    await asyncio.gather(*tasks)
    await asyncio.gather(*(channel.close() for channel in channels))
    return found


class Scene:
    """One gateway that is moved."""

    def __init__(self, world: World, people: int, rate: float, count: int, sample: int) -> None:
        self.world = world
        self.people = people
        self.rate = rate
        self.count = count
        self.sample = sample
        self.found = Found(answers=count)
        self._is_over = asyncio.Event()
        self._one_more = asyncio.Event()

    async def run(self, url: str, plant: Plant | None) -> Found:
        """Fill, ask, move under lookups and uploads, switch, ask again."""
        questions = await self._filled()
        asking = await self._asking(is_planted=plant is not None)
        insuring = asyncio.create_task(self._insure())
        before = await answers(self.world, questions, self.count)
        self.found.is_moved = await self._moved(url)
        if plant is not None:
            connection = await asyncpg.connect(url)
            await plant(connection, questions)
            await connection.close()
        if self.found.is_moved:
            await self._switched(url)
            self._one_more.clear()
            await asyncio.wait_for(self._one_more.wait(), RENEWED_S_MAX)
        after = await answers(self.world, questions, self.count)
        self.found.differences = sum(a != b for a, b in zip(before, after, strict=True))
        self._is_over.set()
        await insuring
        await self._asked(asking)
        await self._count_lost()
        return self.found

    async def _filled(self) -> Questions:
        began, ended = Timestamp(), Timestamp()
        began.GetCurrentTime()
        pieces = bulk_file.pieces(self.people, is_numbered=True)
        report = (await upload(self.world, "bulk", pieces)).report
        ended.GetCurrentTime()
        print(f"  {report.lines_applied} people")
        await asyncio.sleep(SETTLE_S)
        return Questions(self.people, began, ended)

    async def _asking(self, *, is_planted: bool) -> asyncio.subprocess.Process:
        planted = ["--planted"] if is_planted else []
        return await asyncio.create_subprocess_exec(
            sys.executable, "-m", "loadtests.move_check", "--ask", str(self.world.root),
            "--port", str(self.world.port), "--rate", str(self.rate),
            "--people", str(self.people), *planted,
        )  # fmt: skip

    async def _asked(self, asking: asyncio.subprocess.Process) -> None:
        (self.world.root / "stop").touch()
        await asking.wait()
        asked = msgspec.json.decode((self.world.root / "asked.json").read_bytes(), type=Asked)
        self.found.lookups, self.found.failed = len(asked.ms), asked.failed
        print(
            f"  {len(asked.ms)} lookups at {self.rate:.0f}/s: {asked.said}; "
            f"asked again at the switch {asked.again}"
        )

    async def _insure(self) -> None:
        """Upload one small file after the other; one that breaks off is gone on with."""
        number = 0
        while not self._is_over.is_set():
            try:
                report = await kill_world.upload(self.world, number)
            except RuntimeError:
                continue
            if report.lines_applied == LINES_PER_ROUND:
                self.found.acknowledged.append(number)
                self._one_more.set()
                number += 1
            await asyncio.sleep(UPLOAD_EVERY_S)

    async def _moved(self, url: str) -> bool:
        """Move; a try that met a file not applied yet is gone on with at another moment."""
        began = time.monotonic()
        for tries in range(TRIES_MAX):
            moving = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "gateway", "migrate",
                "--from", f"sqlite://{self.world.data}/gateway.db", "--to", url,
                "--sample", str(self.sample), *(["--resume"] if tries else []),
                stderr=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
            )  # fmt: skip
            out, errors = await moving.communicate()
            if moving.returncode == 0 or WAITING not in errors.decode() + out.decode():
                break
        print(
            f"  migrate took {time.monotonic() - began:.0f} s in {tries + 1} tries, exit code "
            f"{moving.returncode}"
        )
        print("  " + out.decode().replace("\n", "\n  ").strip())
        if moving.returncode:
            print(errors.decode())
        return moving.returncode == 0

    async def _switched(self, url: str) -> None:
        """Name the new store, have the processes renewed, and wait until all are."""
        world = self.world
        assert world.supervisor is not None
        old = set(world.processes().values()) - {world.supervisor.pid}
        (world.root / "switching").touch()
        write_config(world.root, world.port, url)
        os.kill(world.supervisor.pid, signal.SIGHUP)
        until = time.monotonic() + RENEWED_S_MAX
        while old & set(world.processes().values()):
            assert time.monotonic() < until, "the processes were not renewed"
            await asyncio.sleep(0.1)
        (world.root / "switching").unlink()

    async def _count_lost(self) -> None:
        """Ask about a line of each file that was acknowledged, before, during and after."""
        async with self.world.channel("institution") as channel:
            stub: EligibilityServiceAsyncStub = EligibilityServiceStub(channel)
            for number in self.found.acknowledged:
                line = number % LINES_PER_ROUND
                answer = await _asked(stub, kill_world.question(number, line))
                self.found.lost += answer is None or answer.validity != VALIDITY_VALID


async def dropped_and_changed(connection: asyncpg.Connection, questions: Questions) -> None:
    """Drop the row of one person who is asked about, and change a byte of another's."""
    dropped, changed = (_lookup_key(questions.question(number)) for number in PLANTED_NUMBERS)
    person = "person_key = (SELECT person_key FROM lookups WHERE lookup_key = $1)"
    await connection.execute(f"DELETE FROM people WHERE {person}", dropped)  # noqa: S608  our own
    await connection.execute(
        "UPDATE people SET compact = set_byte(compact, length(compact) / 2, "  # noqa: S608  same
        f"get_byte(compact, length(compact) / 2) # 1) WHERE {person}",
        changed,
    )


def _lookup_key(question: ConfirmEligibilityRequest) -> bytes:
    said = question.insured_id
    return InsuredId.parse(said.insurer_number, said.symbol, said.number, said.branch).lookup_key


async def scene(
    people: int, rate: float, count: int, sample: int, plant: Plant | None = None
) -> Found:
    """Run one scene in a place of its own."""
    with (
        tempfile.TemporaryDirectory(prefix="onshi-move-") as scratch,
        postgres_place.running() as server,
    ):
        async with running(Path(scratch)) as world:
            return await Scene(world, people, rate, count, sample).run(server.url(), plant)


async def show(people: int, rate: float, count: int, sample: int) -> int:
    """Run everything; return the exit code."""
    planted = await scene(
        PLANTED_PEOPLE, rate, PLANTED_ANSWERS, PLANTED_SAMPLE, dropped_and_changed
    )
    noticed = planted.failed > 0 and planted.differences > 1
    print(
        f"planted: a lookup that fails, a row dropped, a byte changed: {planted.failed} failed, "
        f"{planted.differences} differences: found {noticed}"
    )
    found = await scene(people, rate, count, sample)
    print(
        f"lookups {found.lookups}, failed {found.failed}; answers {found.answers}, "
        f"differences {found.differences}; files acknowledged {len(found.acknowledged)}, "
        f"lost {found.lost}"
    )
    print(f"goal: {'reached' if found.is_good else 'MISSED'}")
    return 0 if noticed and found.is_good else 1


def main() -> None:
    """Parse the options and run; with `--ask`, be the clinic."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--people", type=int, default=1_000_000)
    parser.add_argument("--rate", type=float, default=200.0)
    parser.add_argument("--answers", type=int, default=100_000)
    parser.add_argument("--sample", type=int, default=10_000, help="Of the move's own check.")
    parser.add_argument("--ask", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--port", type=int, default=0, help=argparse.SUPPRESS)
    parser.add_argument("--planted", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.ask is not None:
        asking = asked_until(
            options.ask, options.port, options.rate, options.people, is_planted=options.planted
        )
        (options.ask / "asked.json").write_bytes(msgspec.json.encode(asyncio.run(asking)))
        return
    sys.exit(asyncio.run(show(options.people, options.rate, options.answers, options.sample)))


if __name__ == "__main__":
    main()

"""
A month of insurers' traffic about My Numbers on a running sandbox, with every mishap there is.

Each day eight people change jobs. Numbers come by line and by single change, right, another's,
swapped, with a wrong check digit, too short, too long, in full-width digits, in a wrong column, as
a name of a column, as the number of a card; they are corrected, looked for, checked again. Uploads
are left in the middle, the writer is killed in the middle of one, keys are rotated and retired,
clinics ask and read cards, and `onshi why` and `onshi lag report` are asked.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import subprocess
import sys
import urllib.request
from collections.abc import AsyncIterator, Awaitable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import grpc
from google.protobuf.message import Message
from google.type.date_pb2 import Date

from gateway.app.clock import SandboxClock
from gateway.app.sandbox import Sandbox, advance_clock, read_description
from gateway.domain.card import HolderCheck
from gateway.domain.period import tokyo_day
from gateway.v1 import coverage_pb2, types_pb2
from gateway.v1 import resident_register_pb2 as register_pb2
from gateway.v1.coverage_pb2_grpc import CoverageServiceStub
from gateway.v1.eligibility_pb2_grpc import EligibilityServiceStub
from gateway.v1.resident_register_pb2_grpc import ResidentRegisterSimulationServiceStub
from loadtests.number_places import Places, family_of, words_of
from simulators.channel import secure_channel
from simulators.clinic import ask
from simulators.insurer import (
    looks_through,
    recheck_numbers,
    register,
    register_number,
    resume,
    search_numbers,
    upload,
)
from simulators.people import Row, lines_of
from simulators.population import made_up_individual_number
from simulators.reader import PortalVisitor, Reader, Wallet
from simulators.story import NEW_INSURER, OLD_INSURER, Story, job_change

FIRST_SERIAL: Final = 7_000_000
PEOPLE_A_DAY: Final = 8
SEARCHED, WRONG, BY_FILE, *SWAPPED = 0, 1, 4, 2, 3
"""Of a day's people: without a number, with another's, by a file, with each other's."""
WEEK_DAYS: Final = 7
ROTATED_DAYS: Final = (8, 16)
RETIRED_DAY: Final = 24
PER_MILLE: Final = 100
"""Residents of a thousand whose birth date the register says is another."""
FULL_WIDTH: Final = str.maketrans("0123456789", "０１２３４５６７８９")
UNTIL_ANSWERED_S: Final = 0.3


def spoiled(number: str) -> str:
    """The number with another check digit."""
    return number[:-1] + str((int(number[-1]) + 1) % 10)


@dataclass(slots=True)
class Month:
    """The traffic, and the numbers it said: issued ones and wrong ones."""

    places: Places
    rng: random.Random
    pid: int
    metrics_port: int
    old: Any
    new: Any
    clinic: Any
    register: Any
    reader: Reader
    portal: PortalVisitor
    numbers: set[str] = field(default_factory=set, repr=False)
    calls: int = 0
    kills: int = 0

    async def day(self, day: int) -> None:
        """One day of it."""
        today = tokyo_day(_now(self.places.root))
        serial = FIRST_SERIAL + day * PEOPLE_A_DAY
        stories = [job_change(serial + place, today) for place in range(PEOPLE_A_DAY)]
        filed = {"employer_code": f"E-{day % WEEK_DAYS}", "filed_date": today.isoformat()}
        rows = [self._row(place, story, stories) | filed for place, story in enumerate(stories)]
        numbers = [story.person.individual_number for story in stories]
        self.numbers |= {*numbers, *map(spoiled, numbers)}
        await self._reside(stories, rows)
        before, losses = [s.before for s in stories], [s.loss for s in stories]
        await self.say(upload(self.old, f"leaks-before-{day}", lines_of(before)))
        await self.say(upload(self.old, f"leaks-losses-{day}", lines_of(losses)))
        await self.say(upload(self.new, f"leaks-new-{day}", lines_of(rows[BY_FILE:], "cp932")))
        for place, row in enumerate(rows[:BY_FILE]):
            await self.say(register(self.new, f"leaks-new-{day}-{place}", row))
        for place, story in enumerate(stories):
            await self._mishaps(f"leaks-{day}-{place}", place, story)
        await self.say(upload(self.new, f"leaks-broken-{day}", broken_file(rows)))
        await self.say(search_numbers(self.new, f"leaks-search-{day}"))
        await self._leave(f"leaks-left-{day}", lines_of(before))
        await self._ask(day, stories, today)
        if day % WEEK_DAYS == 1:
            await self._week(day, stories)

    def _row(self, place: int, story: Story, stories: Sequence[Story]) -> Row:
        """What the new insurer says of a person."""
        number = story.person.individual_number
        told = "" if place == SEARCHED else number
        if place in SWAPPED:
            told = stories[sum(SWAPPED) - place].person.individual_number
        if place == WRONG:
            told = made_up_individual_number(19_000_000 + self.rng.randrange(900_000))
            self.numbers.add(told)
        address = f"見本県架空市{story.new.card.number}番地"
        name = "見本　まわる" if place == SWAPPED[1] else story.person.name
        return {**story.after, "individual_number": told, "address": address, "name": name}

    async def _reside(self, stories: Sequence[Story], rows: Sequence[Row]) -> None:
        """Have the register know the day's people, by their right numbers."""
        people = [
            register_pb2.Resident(
                resident_id=f"leaks-{story.new.card.number}",
                individual_number=story.person.individual_number,
                items=register_pb2.FiveItems(
                    name=row["name"],
                    name_kana=row["name_kana"],
                    birth_date=_date(story),
                    sex=types_pb2.SEX_FEMALE,
                    address=row["address"],
                ),
            )
            for story, row in zip(stories, rows, strict=True)
        ]
        await self.register.AddResidents(register_pb2.AddResidentsRequest(residents=people))

    async def _mishaps(self, name: str, place: int, story: Story) -> None:
        """Say a person's number in every wrong way, then the right one."""
        number, card, born = story.person.individual_number, story.new.card, story.person.birth_date
        wrong = (spoiled(number), number[:-1], f"{number}0", number.translate(FULL_WIDTH))
        grouped = "-".join((number[:4], number[4:8], number[8:]))
        for count, digits in enumerate((*wrong, grouped)):
            if count % PEOPLE_A_DAY in (place, place - 4):
                told = register_number(self.new, f"{name}-{count}", card, born, digits)
                await self.say(told)
        misplaced = replace(card, number=number)
        await self.say(register_number(self.new, f"{name}-misplaced", misplaced, born, number))
        cells = ({**story.after, number: number}, {**story.after, "birth_date": number})
        await self.say(register(self.new, f"{name}-cells", cells[place % 2]))
        if place not in (SEARCHED, place % 2):
            right = register_number(
                self.new, f"{name}-right", card, born, number, is_correction=True
            )
            await self.say(right)

    async def _ask(self, day: int, stories: Sequence[Story], today: Any) -> None:
        """Clinics ask by right numbers and by a My Number; somebody's card is read."""
        for story in stories:
            await self.say(ask(self.clinic, story.old.card, story.person.birth_date, today))
        one = stories[day % PEOPLE_A_DAY]
        born, number = one.person.birth_date, one.person.individual_number
        misplaced = replace(one.old.card, number=number)
        await self.say(ask(self.clinic, misplaced, born, today))
        request = coverage_pb2.GetIndividualNumberStagesRequest(
            insured_id=types_pb2.InsuredId(**one.new.card.cells()), birth_date=_date(one)
        )
        await self.say(self.new.GetIndividualNumberStages(request))
        await self.say(looks_through(self.new, one.new.card, born))
        if day % WEEK_DAYS == 0:
            wallet = Wallet(self.places.root / "cards")
            name = f"leaks-{one.new.card.number}"
            at = read_description(self.places.root)["register"]
            card = await wallet.issued(name, at)
            await self.say(self.portal.register(card, wallet.pin(name)))
            pin = wallet.pin(name)
            await self.say(self.reader.visit(card, HolderCheck.PIN, pin=pin, on=today))

    async def _week(self, day: int, stories: Sequence[Story]) -> None:
        """Have all checked again, kill the writer in mid-upload, ask `onshi why`, note the rest."""
        await self.say(recheck_numbers(self.new, f"leaks-recheck-{day}"))
        content = lines_of([story.after for story in stories])
        name = f"leaks-killed-{day}"
        begun = asyncio.create_task(self.say(upload(self.new, name, content, chunk_bytes=64)))
        await asyncio.sleep(0.02)
        self.note()
        self.kills += kill_writer(Sandbox(self.places.root).gateway_config)
        await begun
        await self.say(resume(self.new, name, content))
        await asyncio.sleep(UNTIL_ANSWERED_S)
        card = stories[0].new.card
        question = ["--insurer", card.insurer_number, "--symbol", card.symbol]
        question += ["--number", card.number, "--branch", card.branch]
        born = stories[0].person.birth_date.isoformat()
        await self.command("why", *question, "--birth-date", born)
        await self._send(day, broken_file([story.after for story in stories]))

    async def _send(self, day: int, content: bytes) -> None:
        """Send a file as a clerk does; what the sender has of it is the sender's own."""
        file = self.places.root.parent / "sent.csv"
        file.write_bytes(content)
        result = self.places.outputs / f"result-{day}.csv"
        insurer = NEW_INSURER.number
        await self.command("upload", str(file), "--insurer", insurer, "--result", str(result))
        assert result.exists()
        file.unlink()

    def note(self) -> None:
        """Note the metrics page, and with what arguments and environments processes run."""
        with suppress(OSError):
            page = f"http://127.0.0.1:{self.metrics_port}/metrics"
            with urllib.request.urlopen(page, timeout=5) as answer:
                self.places.heard.metrics.append(answer.read())
        self.places.heard.processes += words_of(family_of(self.pid))

    async def command(self, *words: str) -> None:
        """Run a command of `onshi`, and keep what it prints."""
        command = [sys.executable, "-m", "gateway", *words, "--dir", str(self.places.root)]
        done = await asyncio.to_thread(subprocess.run, command, capture_output=True, check=False)
        kept = len(list(self.places.outputs.iterdir()))
        path = self.places.outputs / f"{kept}-{words[0]}.txt"
        path.write_bytes(done.stdout + done.stderr)

    async def report(self) -> None:
        """The lag as a page with charts, as JSON and as tables, in both languages."""
        html = str(self.places.outputs / "lag.html")
        await self.command("lag", "report", "--html", html, "--language", "ja")
        await self.command("lag", "report", "--json")

    async def say(self, call: Awaitable[Any]) -> None:
        """Make a call and keep what came of it; a writer that is away is not waited for."""
        self.calls += 1
        heard = self.places.heard
        try:
            answer = await call
        except grpc.aio.AioRpcError as error:
            heard.refusals += [
                str(error.details()).encode(),
                str(error.debug_error_string()).encode(),
            ]
            for _, value in error.trailing_metadata() or ():
                heard.refusals.append(value if isinstance(value, bytes) else str(value).encode())
            return
        answers = answer if isinstance(answer, list) else [answer]
        heard.answers += [
            one.SerializeToString() if isinstance(one, Message) else str(one).encode()
            for one in answers
        ]

    async def _leave(self, name: str, content: bytes) -> None:
        """Begin an upload and go away in the middle."""
        call = self.new.UploadCoverage()
        with suppress(grpc.aio.AioRpcError, asyncio.InvalidStateError):
            start = coverage_pb2.UploadStart(request_id=name)
            await call.write(coverage_pb2.UploadCoverageRequest(start=start))
            await call.read()
            chunk = coverage_pb2.UploadChunk(offset=0, data=content)
            await call.write(coverage_pb2.UploadCoverageRequest(chunk=chunk))
            await call.read()
        call.cancel()


def broken_file(rows: Sequence[Row]) -> bytes:
    """Lines each refused for another reason, a number in every one; some have a bad header."""
    number = rows[WRONG]["individual_number"]
    bad: list[dict[str, str]] = [
        {"birth_date": "20259999"},
        {"individual_number": spoiled(number)},
        {"individual_number": number[:-1]},
        {"acquisition_date": number},
        {"sex": number},
        {"insurer_number": number},
        {"branch": number},
        {"loss_reason": number},
    ]
    lines = [
        {**row, "individual_number": number, **cells} for row, cells in zip(rows, bad, strict=True)
    ]
    content = lines_of(lines) + f"{number}\r\n".encode()
    header, _, rest = content.partition(b"\r\n")
    return content if int(number[-1]) % 2 else header + f",{number}\r\n".encode() + rest


def _date(story: Story) -> Date:
    born = story.person.birth_date
    return Date(year=born.year, month=born.month, day=born.day)


def _now(root: Path) -> Any:
    clock = SandboxClock(Sandbox(root).data.clock)
    try:
        return clock()
    finally:
        clock.close()


def kill_writer(config: Path) -> bool:
    """Kill the sandbox's writer, found by its command line; the supervisor starts another."""
    for folder in Path("/proc").iterdir():
        with suppress(OSError):
            words = (folder / "cmdline").read_bytes().split(b"\0")
            if b"gateway.app.writer" in words and str(config).encode() in words:
                os.kill(int(folder.name), signal.SIGKILL)
                return True
    return False


@asynccontextmanager
async def month_in(places: Places, seed: int, pid: int, metrics_port: int) -> AsyncIterator[Month]:
    """Connect the parties of a running sandbox."""
    sandbox, description = Sandbox(places.root), read_description(places.root)
    at = description["register"]
    party = {name: Path(at[name]) for name in ("certificate", "key", "ca")}
    async with AsyncExitStack() as channels:

        async def channel(name: str) -> grpc.aio.Channel:
            to_gateway = secure_channel(description["address"], **sandbox.party(name))
            return await channels.enter_async_context(to_gateway)

        to_register = await channels.enter_async_context(secure_channel(at["address"], **party))
        clinic = await channel("institution")
        yield Month(
            places,
            random.Random(seed),
            pid,
            metrics_port,
            CoverageServiceStub(await channel(f"insurer-{OLD_INSURER.number}")),
            CoverageServiceStub(await channel(f"insurer-{NEW_INSURER.number}")),
            EligibilityServiceStub(clinic),
            ResidentRegisterSimulationServiceStub(to_register),
            Reader(clinic),
            PortalVisitor(await channel("portal")),
        )


async def live(places: Places, days: int, seed: int, pid: int, metrics_port: int) -> Month:
    """Let the month pass; give what it said."""
    async with month_in(places, seed, pid, metrics_port) as month:
        conditions = register_pb2.SetConditionsRequest(mismatch_per_mille=PER_MILLE)
        await month.register.SetConditions(conditions)
        for day in range(days):
            await month.day(day)
            if day in ROTATED_DAYS:
                await month.command("keys", "rotate")
            if day == RETIRED_DAY:
                await month.command("keys", "retire")
            await asyncio.to_thread(advance_clock, places.root, 1)
        await month.report()
        await asyncio.sleep(UNTIL_ANSWERED_S)
        month.note()
        return month

"""
A month of insurers' traffic, then a search for every issued My Number where none may be.

A sandbox runs for thirty of its days: files, single changes, numbers found by search, mismatches,
wrong numbers, corrections, refusals, uploads left in the middle, and a writer that is killed. Then
every file of the data directory but the vault (database pages, logs of changes, spool, access
records, trail, keys), the folders, what all processes printed, the refusals' texts and a dump of
the databases are searched for each number in every form of `loadtests.number_patterns`. A number
planted in each form must be found first.

    python -m loadtests.number_leaks [--people 3000] [--days 30] [--seed 1]
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, closing, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, BinaryIO, Final

import grpc

from gateway.app.clock import SandboxClock
from gateway.app.sandbox import Sandbox, advance_clock, read_description
from gateway.domain.period import tokyo_day
from gateway.v1 import coverage_pb2
from gateway.v1 import resident_register_pb2 as register_pb2
from gateway.v1.coverage_pb2_grpc import CoverageServiceStub
from gateway.v1.eligibility_pb2_grpc import EligibilityServiceStub
from gateway.v1.resident_register_pb2_grpc import ResidentRegisterSimulationServiceStub
from loadtests.number_patterns import FORMS, Numbers
from simulators.catalogue import ON, catalogue
from simulators.channel import secure_channel
from simulators.clinic import ask
from simulators.insurer import recheck_numbers, register, register_number, upload
from simulators.people import lines_of
from simulators.population import made_up_individual_number, population, rows_of
from simulators.story import NEW_INSURER, OLD_INSURER, Story, job_change

READY_S_MAX: Final = 180.0
STOP_S_MAX: Final = 60.0
POLL_S: Final = 0.1
FIRST_SERIAL: Final = 7_000_000
PEOPLE_A_DAY: Final = 8
KILL_EVERY_DAYS: Final = 7
PER_MILLE: Final = 100
ADDRESS: Final = "見本県架空市1番地"


@dataclass(slots=True)
class Month:
    """The traffic, the numbers it issued, and every text a refusal said."""

    root: Path
    rng: random.Random
    old: Any
    new: Any
    clinic: Any
    register: Any
    numbers: set[str] = field(default_factory=set, repr=False)
    texts: list[bytes] = field(default_factory=list, repr=False)
    calls: int = 0

    async def day(self, number: int) -> None:
        """One day: covers by line and by file, numbers right and wrong, questions."""
        today = tokyo_day(_now(self.root))
        serial = FIRST_SERIAL + number * PEOPLE_A_DAY
        stories = [job_change(serial + place, today) for place in range(PEOPLE_A_DAY)]
        self.numbers |= {story.person.individual_number for story in stories}
        before = [story.before for story in stories]
        losses = [story.loss for story in stories]
        await self.say(upload(self.old, f"leaks-before-{number}", lines_of(before)))
        await self.say(upload(self.old, f"leaks-losses-{number}", lines_of(losses)))
        for place, story in enumerate(stories):
            await self.enrol(f"leaks-{number}-{place}", place, story)
        broken = [{**story.after, "birth_date": "20259999"} for story in stories]
        await self.say(upload(self.new, f"leaks-broken-{number}", lines_of(broken)))
        await self.leave(f"leaks-left-{number}", lines_of(before))
        for story in stories:
            born = story.person.birth_date
            await self.say(ask(self.clinic, story.old.card, born, today))
        if number % KILL_EVERY_DAYS == 1:
            await self.say(recheck_numbers(self.new, f"leaks-recheck-{number}"))

    async def enrol(self, name: str, place: int, story: Story) -> None:
        """Register a person at the new insurer, each place with another mishap."""
        number = story.person.individual_number
        card, born = story.new.card, story.person.birth_date
        other = made_up_individual_number(19_000_000 + self.rng.randrange(900_000))
        self.numbers.add(other)
        if place % 2:
            await self.say(register(self.new, f"{name}-new", {**story.after, "address": ADDRESS}))
        else:
            row = {**story.after, "individual_number": "", "address": ADDRESS}
            await self.say(register(self.new, f"{name}-new", row))
        for digits, kind in ((number, "told"), (other, "other"), (number[::-1], "garbled")):
            await self.say(register_number(self.new, f"{name}-{kind}", card, born, digits))
        correct = register_number(
            self.new, f"{name}-right", card, born, other if place == 0 else number,
            is_correction=True,
        )  # fmt: skip
        await self.say(correct)
        wrong = replace(card, number=number)
        await self.say(register_number(self.new, f"{name}-misplaced", wrong, born, number))

    async def say(self, call: Any) -> None:
        """Make a call and keep what a refusal says; a writer that is away is not waited for."""
        self.calls += 1
        try:
            await call
        except grpc.aio.AioRpcError as error:
            details = [str(error.details()).encode(), str(error.debug_error_string()).encode()]
            for _, value in error.trailing_metadata() or ():
                details.append(value if isinstance(value, bytes) else str(value).encode())
            self.texts += details

    async def leave(self, name: str, content: bytes) -> None:
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
async def month_in(root: Path, seed: int) -> Any:
    """Connect the parties of a running sandbox."""
    sandbox, description = Sandbox(root), read_description(root)
    at = description["register"]
    party = {name: Path(at[name]) for name in ("certificate", "key", "ca")}
    async with AsyncExitStack() as channels:

        async def channel(name: str) -> grpc.aio.Channel:
            to_gateway = secure_channel(description["address"], **sandbox.party(name))
            return await channels.enter_async_context(to_gateway)

        to_register = await channels.enter_async_context(secure_channel(at["address"], **party))
        yield Month(
            root,
            random.Random(seed),
            CoverageServiceStub(await channel(f"insurer-{OLD_INSURER.number}")),
            CoverageServiceStub(await channel(f"insurer-{NEW_INSURER.number}")),
            EligibilityServiceStub(await channel("institution")),
            ResidentRegisterSimulationServiceStub(to_register),
        )


async def live(root: Path, days: int, seed: int) -> Month:
    """Let the month pass; give what it issued and heard."""
    async with month_in(root, seed) as month:
        conditions = register_pb2.SetConditionsRequest(mismatch_per_mille=PER_MILLE)
        await month.register.SetConditions(conditions)
        for number in range(days):
            await month.day(number)
            await asyncio.to_thread(advance_clock, root, 1)
            if number % KILL_EVERY_DAYS == 0:
                assert await asyncio.to_thread(kill_writer, Sandbox(root).gateway_config)
                await asyncio.sleep(1)
        found: Month = month
        return found


def contents(root: Path, printed: Path, texts: Sequence[bytes]) -> Iterator[tuple[str, bytes]]:
    """Everything that is searched: files but the vault's, what was printed, refusals, dumps."""
    data = Sandbox(root).data
    for folder in (data.root, root / "oqs", root / "certs"):
        for path in sorted(folder.rglob("*")):
            if path.is_file() and not path.name.startswith(data.vault.name):
                yield str(path.relative_to(root)), path.read_bytes()
    for path in (*root.glob("*.json"), *root.glob("*.toml")):
        yield path.name, path.read_bytes()
    yield "what processes printed", printed.read_bytes()
    yield "what refusals said", b"\n".join(texts)
    for database in (data.database, data.trail):
        with closing(sqlite3.connect(f"{database.as_uri()}?mode=ro", uri=True)) as connection:
            yield f"dump of {database.name}", "\n".join(connection.iterdump()).encode()


def issued_at_start(people: int, seed: int) -> set[str]:
    """The numbers of the test persons and of the population."""
    named = catalogue("1319999999").rows_by_insurer.values()
    rows = [row for some in named for row in some]
    rows += [row for household in population(people, seed, ON) for row in rows_of(household)]
    return {row["individual_number"] for row in rows if row.get("individual_number")}


def planted_found(numbers: set[str]) -> list[str]:
    """The forms in which a planted number is not noticed; none, if the search is good."""
    missed = []
    noise = random.Random(1).randbytes(100_000)
    for name, spell in FORMS.items():
        search = Numbers(numbers)
        spelled = spell(sorted(numbers)[len(numbers) // 2])
        search.search(noise + spelled + b"\xff:" + noise + b"\xfe;" + spelled + b"\xff:")
        if not search.leaks()[name]:
            missed.append(name)
    return missed


def started(root: Path, people: int, seed: int, printed: BinaryIO) -> subprocess.Popen[bytes]:
    """Start a sandbox of its own and wait until it is ready."""
    command = [sys.executable, "-m", "gateway", "sandbox", "--dir", str(root)]
    command += ["--people", str(people), "--seed", str(seed)]
    process = subprocess.Popen(command, stdout=printed, stderr=subprocess.STDOUT)
    until = time.monotonic() + READY_S_MAX
    while not Sandbox(root).description.exists():
        if process.poll() is not None or time.monotonic() > until:
            raise RuntimeError("the sandbox did not start")
        time.sleep(POLL_S)
    return process


def judged(root: Path, printed: Path, month: Month) -> bool:
    """Search everything and print the figures; whether nothing was found and all plants were."""
    missed = planted_found(month.numbers)
    print(f"planted: {len(FORMS)} forms, not found {len(missed)} {missed}")
    search, files, size = Numbers(month.numbers), 0, 0
    for _, content in contents(root, printed, month.texts):
        search.search(content)
        files += 1
        size += len(content)
    leaks = search.leaks()
    print(
        f"{month.calls} calls, {len(month.texts)} texts of refusals; {len(month.numbers)} numbers "
        f"in {len(FORMS)} forms, searched in {files} files and texts, {size / 1e6:.1f} MB: "
        f"found {sum(leaks.values())} {dict(leaks)}"
    )
    return not missed and not leaks


def main() -> None:
    """Run, and exit 0 only if no number was found and each planted one was."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--people", type=int, default=3_000)
    parser.add_argument("--days", type=int, default=30)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="onshi-leaks-") as scratch:
        root, printed = Path(scratch) / "sandbox", Path(scratch) / "printed.txt"
        with printed.open("wb") as output:
            process = started(root, options.people, options.seed, output)
            try:
                month = asyncio.run(live(root, options.days, options.seed))
                month.numbers |= issued_at_start(options.people, options.seed)
                is_good = judged(root, printed, month)
            finally:
                process.send_signal(signal.SIGINT)
                process.wait(STOP_S_MAX)
    sys.exit(0 if is_good else 1)


if __name__ == "__main__":
    main()

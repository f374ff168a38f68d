"""The steps of `citus_run` once the tables are distributed: conform, load, lose a worker."""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

from msgspec import Struct

from loadtests import citus_beside, citus_people, citus_place
from loadtests.citus_place import Question

CONFORMANCE: Final = (
    "tests/store/test_postgres.py::TestPostgresStore",
    "tests/store/test_stateful.py::TestPostgresStores",
)
SEED: Final = 1
TEST_S_MAX: Final = "1800"
PLANTED_S: Final = 5.0
BACK_S_MAX: Final = 120.0
POLL_S: Final = 0.5


class Run(Struct, frozen=True):
    """What was asked for."""

    cluster: str
    shards: int
    people: int
    seconds: float
    empty: bool
    stop: str | None
    start: str | None


class WrongError(Exception):
    """Something was not as it must be; says what."""


class _Asking(Struct):
    """The questions, what must be answered, and where they lie."""

    cluster: str
    questions: Sequence[Question]
    expected: Sequence[Any]
    places: Sequence[frozenset[str]]

    async def ask(self, when: str, gone: frozenset[str] = frozenset()) -> None:
        """
        Ask everything once.

        Raises:
            WrongError: An answer is not what it must be, or a defect that was planted is not seen.
        """
        found = await citus_people.asked(self.cluster, self.questions)
        print(f"  {when}: {citus_people.told(found)}")
        wrong = citus_people.faults(found, self.expected, self.places, gone)
        if wrong:
            raise WrongError("; ".join(f"{name}: {count}" for name, count in wrong.items()))
        missed = citus_people.planted_missed(found, self.expected, self.places, gone)
        if missed:
            raise WrongError(f"planted and not noticed: {', '.join(missed)}")


async def taken(run: Run) -> int:
    """Take the steps; give the exit code."""
    if not run.empty and await citus_place.holds_anything(run.cluster):
        print("missing:\n  an empty database; --empty says that what is in it may go")
        return 3
    try:
        await _conform(run)
        with tempfile.TemporaryDirectory() as folder:
            asking = await _load(run, Path(folder) / "gateway.db")
        await _beside(run)
        if run.stop is None or run.start is None:
            print("NOT RUN: the steps with a stopped worker; name --stop and --start")
            return 3
        await _without_one(run, run.stop, run.start, asking)
    except WrongError as error:
        print(f"WRONG: {error}")
        return 1
    return 0


async def _conform(run: Run) -> None:
    print("the tests of the contract", flush=True)
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--timeout", TEST_S_MAX,
        *CONFORMANCE,
        env={**os.environ, "ONSHI_TEST_CLUSTER": run.cluster},
    )  # fmt: skip
    if await process.wait() != 0:
        raise WrongError("a test of the contract fails")


async def _load(run: Run, file: Path) -> _Asking:
    await citus_place.emptied(run.cluster)
    begin = time.monotonic()
    lines, questions = await citus_place.filled(run.cluster, file, run.people, SEED)
    print(f"{run.people:,} people loaded twice, {lines:,} lines, {time.monotonic() - begin:.0f} s")
    asking = _Asking(
        run.cluster,
        questions,
        await citus_people.answers_of(file, questions),
        await citus_place.places_of(run.cluster, questions),
    )
    await asking.ask("with every worker")
    return asking


async def _beside(run: Run) -> None:
    print("a writer beside readers", flush=True)
    planted = await citus_beside.beside(run.cluster, PLANTED_S, citus_beside.HastyStore)
    print(f"  published too early, as planted: {planted}")
    if not planted.unlike:
        raise WrongError("planted and not noticed: commits that are published before they are made")
    found = await citus_beside.beside(run.cluster, run.seconds)
    print(f"  published once they are whole: {found}")
    if found.torn or found.unlike or not found.commits or not found.answers:
        raise WrongError("an answer beside a writer is not that of its instant")


async def _without_one(run: Run, stop: str, start: str, asking: _Asking) -> None:
    print("one worker stopped", flush=True)
    await _told(stop)
    try:
        gone = await _until(run.cluster, bool)
        print(f"  away: {', '.join(sorted(gone))}")
        await asking.ask("without it", gone)
    finally:
        await _told(start)
    await _until(run.cluster, lambda away: not away)
    await asking.ask("with it again")


async def _told(command: str) -> None:
    process = await asyncio.create_subprocess_shell(command)
    if await process.wait() != 0:
        raise WrongError("a command of the operator's fails")


async def _until(url: str, is_so: Callable[[frozenset[str]], bool]) -> frozenset[str]:
    """Wait until the workers that are away are as wanted, and give them."""
    until = time.monotonic() + BACK_S_MAX
    while not is_so(away := await citus_place.away(url)):
        if time.monotonic() > until:
            raise WrongError("the workers are not as the operator's command should have left them")
        await asyncio.sleep(POLL_S)
    return away

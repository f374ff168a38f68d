"""
Laws of insurers' changes, tried on many small made-up worlds, on a store and on the model.

    python -m loadtests.change_properties [--cases 800] [--seed 1] [--postgres]

Each case makes up enrollees of two insurers and changes about them of every kind, and tells them
through the use cases themselves, by calls and by files. Four laws: what is said again changes
nothing; changes about different enrollees, and all lines of one file, may come in any order; what
was known at a time is answered the same ever after; and every way to read gives the same. Each law
is first shown to notice a defect planted for it. Prints how many cases, changes and answers were
compared; exits 1 if a law is broken, with the seed of the case, or if a defect is not noticed.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from unittest.mock import patch

from gateway.domain.card import CardKey
from gateway.domain.collection import CollectionState
from gateway.domain.coverage import History
from gateway.domain.eligibility import ByNumber, Confirmation
from gateway.domain.errors import Refusal
from gateway.domain.identifiers import InsurerNumber, PersonKey
from gateway.domain.period import Instant
from gateway.domain.projection import history_of
from gateway.store.by_steps import StepReader
from gateway.store.memory import MemoryStore
from gateway.store.port import Batch, NewCard
from gateway.usecases.applying import Working
from gateway.usecases.list_collections import FROM_THE_FIRST
from loadtests.change_world import (
    ASKED,
    INSURERS,
    MATCHES_MAX,
    Place,
    Places,
    Row,
    Who,
    a_line,
    by_card,
    interleaved,
    lives,
    people_of,
    told,
    unversioned,
)
from loadtests.postgres_place import running

CASES: Final = 800
PLANTED_CASES_MAX: Final = 60
"""Cases within which a planted defect must be noticed."""
ASKED_A_STEP: Final = 8
LIST_MAX: Final = 1_000
_END_OF_TIME: Final = Instant(2**62)


class BrokenLawError(Exception):
    """Two things that must be the same are not."""


@dataclass(slots=True)
class Tally:
    """What was compared."""

    counts: Counter[str] = field(default_factory=Counter)

    def same(self, what: str, one: object, other: object) -> None:
        """Count a comparison; raises `BrokenLawError` if it fails."""
        self.counts["comparisons"] += 1
        if one != other:
            raise BrokenLawError(what)

    def change(self, refused: str) -> None:
        """Count a change, and whether it was taken."""
        self.counts["refused" if refused else "taken"] += 1


Law = Callable[[Places, random.Random, Tally], Awaitable[None]]


def questions_of(people: Sequence[Who]) -> list[ByNumber]:
    """Every question about some enrollees."""
    return [query for who in people for query in who.questions()]


# What is said again changes nothing


async def repeated(places: Places, rng: random.Random, tally: Tally) -> None:
    """The same change again, the same request again, and the same file again."""
    people = people_of(rng)
    queries = questions_of(people)
    lines = interleaved(lives(people, rng, 5), rng)
    for place in (await places.real(), places.model()):
        answers: dict[str, tuple[Row, tuple[bool, str]]] = {}
        for number, row in enumerate(lines):
            first = await place.tell(row, f"r{number}")
            tally.change(first[1])
            some = rng.sample(queries, ASKED_A_STEP)
            facts = await place.ask_all(some)
            if not first[1]:
                tally.same("said again", await place.tell(row), (False, ""))
                answers[f"r{number}"] = row, first
            tally.same("after it was said again", facts, await place.ask_all(some))
        facts = await place.ask_all(queries)
        for request_id, (row, first) in answers.items():
            tally.same("the same request", first, await place.tell(row, request_id))
        tally.same("after the same requests", facts, await place.ask_all(queries))
        await _file_again(place, people, rng, tally)


async def _file_again(
    place: Place, people: Sequence[Who], rng: random.Random, tally: Tally
) -> None:
    """A file of changes about different enrollees, sent again under its id and another."""
    queries = rng.sample(questions_of(people), 2 * ASKED_A_STEP)
    for insurer in INSURERS:
        rows = [a_line(who, rng, 0) for who in people if who.insurer == insurer]
        if not rows:
            continue
        report = await place.upload(rows, f"file-{insurer}")
        facts = await place.ask_all(queries)
        tally.same("the same upload", report, await place.upload(rows, f"file-{insurer}"))
        again = await place.upload(rows)
        tally.same("lines applied again", again.upload.lines_applied, 0)
        tally.same("lines refused again", again.refused, report.refused)
        tally.same("after the file again", facts, await place.ask_all(queries))


# Changes about different enrollees may come in any order, and the lines of a file in any at all


async def reordered(places: Places, rng: random.Random, tally: Tally) -> None:
    """Several orders: of calls, keeping each enrollee's own; of the lines of a file, any."""
    people = people_of(rng)
    own = lives(people, rng, 4)
    queries = questions_of(people)
    files = _files_of(interleaved(own, rng), rng)
    is_by_file = rng.random() < 0.5
    expected = None
    for place in (await places.real(), places.model(), await places.real()):
        if is_by_file:
            refused = await _shuffled(place, files, rng)
        else:
            lines = interleaved(own, rng)
            refused = sorted([(_named(row), (await place.tell(row))[1]) for row in lines])
        for _, reason in refused:
            tally.change(reason)
        state = (refused, *await _state(place, queries))
        expected = expected or state
        for what, one, other in zip(
            ("refusals", "answers by number", "answers by card", "lists"),
            expected,
            state,
            strict=True,
        ):
            tally.same(f"{what} in another order", one, other)


def _named(row: Row) -> tuple[str, ...]:
    return tuple(sorted(f"{name}={cell}" for name, cell in row.items()))


def _files_of(lines: Sequence[Row], rng: random.Random) -> list[list[Row]]:
    """Each insurer's lines in one file or two, those of one insurer in their order."""
    files = []
    for insurer in INSURERS:
        rows = [row for row in lines if row["insurer_number"] == insurer]
        cut = rng.randint(0, len(rows))
        files += [part for part in (rows[:cut], rows[cut:]) if part]
    return files


async def _shuffled(
    place: Place, files: Sequence[Sequence[Row]], rng: random.Random
) -> list[tuple[tuple[str, ...], str]]:
    """Send files, each with its lines in some order; each line and why it was refused."""
    said = []
    for rows in files:
        part = rng.sample(rows, len(rows))
        report = await place.upload(part)
        reasons = {line.line_number: line.reason for line, _ in report.refused}
        said += [(_named(row), reasons.get(n, "")) for n, row in enumerate(part, start=2)]
    return sorted(said)


async def _state(place: Place, queries: Sequence[ByNumber]) -> tuple[Any, Any, Any]:
    """What a world answers and lists, without the keys and times of its own."""
    answers = await place.ask_all(queries)
    people = {person for answer in answers for person in answer.people}
    cards = [
        tuple([told(by_card(await place.whole(person), person, on)) for on in ASKED])
        for person in people
    ]
    lists = []
    for insurer in map(InsurerNumber, INSURERS):
        overlaps = await place.store.overlapping(insurer, PersonKey(b""), LIST_MAX)
        collected = [
            sorted(
                lost
                for lost, _, _ in await place.store.collections(
                    insurer, state, FROM_THE_FIRST, LIST_MAX
                )
            )
            for state in list(CollectionState)[1:]
        ]
        lists.append((len(overlaps), collected))
    return [told(answer) for answer in answers], sorted(cards, key=repr), lists


# What was known at a time is answered the same ever after


async def remembered(places: Places, rng: random.Random, tally: Tally) -> None:
    """Ask after each change; after all of them, and half-way, ask what was known then."""
    people = people_of(rng)
    queries = questions_of(people)
    lines = interleaved(lives(people, rng, 6), rng)
    for place in (await places.real(), places.model()):
        asked: list[tuple[Instant, ByNumber, Confirmation]] = []
        for number, row in enumerate(lines, start=1):
            tally.change((await place.tell(row))[1])
            now = await place.store.last_recorded_time()
            asked += [
                (now, query, unversioned(await place.ask(query)))
                for query in rng.sample(queries, ASKED_A_STEP)
            ]
            if number not in (len(lines), len(lines) // 2):
                continue
            for known, query, answer in asked:
                then = unversioned(await place.ask(query, known))
                tally.same("what was known then", answer, then)


# Every way to read gives the same


async def agreeing(places: Places, rng: random.Random, tally: Tally) -> None:
    """The hot read, the versions, the whole history and the card; SQLite and the model."""
    people = people_of(rng)
    queries = questions_of(people)
    lines = interleaved(lives(people, rng, 6), rng)
    real, model = await places.real(), places.model()
    for row in lines:
        said = await real.tell(row)
        tally.change(said[1])
        tally.same("what both stores say to a change", said, await model.tell(row))
    known = await real.store.last_recorded_time()
    found: set[PersonKey] = set()
    for query in queries:
        hot = await real.ask(query)
        tally.same("SQLite and the model", hot, await model.ask(query))
        for place in (real, model):
            then = await place.ask(query, known)
            tally.same("the hot read and the versions", unversioned(hot), unversioned(then))
        found |= set(hot.people)
    for person in sorted(found):
        await _same_by_card(real, model, person, tally)


async def _same_by_card(real: Place, model: Place, person: PersonKey, tally: Tally) -> None:
    """A person by a registered card, by the whole history, and by number from the versions."""
    card = CardKey(b"card" + person[4:])
    for place in (real, model):
        async with place.desk.turn() as now:
            await place.store.commit(Batch(now, cards=[NewCard(card, person)]))
    holder = await real.store.by_card(card)
    assert holder is not None
    whole = await real.whole(person)
    other = await model.whole(person)
    from_versions = await _from_versions(real, person)
    for on in ASKED:
        answer = by_card(holder.history, person, on)
        tally.same("the card and the whole history", answer, by_card(whole, person, on))
        tally.same("the card and the model", answer, by_card(other, person, on))
        tally.same("the card and the versions", answer, by_card(from_versions, person, on))


async def _from_versions(place: Place, person: PersonKey) -> Any:
    """The person's history put together from the versions, found by a number it has."""
    history = await place.store.history_of(person)
    covers = [cover for one in history.enrolments for cover in one.covers]
    found = await place.store.matching_known_at(
        covers[0].insured_id.lookup_key, covers[0].birth_date, _END_OF_TIME, MATCHES_MAX
    )
    return next(one for one in found if one.person_key == person)


LAWS: Final[dict[str, Law]] = {
    "said again changes nothing": repeated,
    "independent changes in any order": reordered,
    "the past as known then stays": remembered,
    "every way to read agrees": agreeing,
}


# Planted defects


def _never_same(*_facts: object) -> bool:
    return False


def _losing_a_line(apply: Callable[..., bool]) -> Callable[..., bool]:
    """Apply changes, but lose whichever comes after a refused one in the same slice."""
    stumbled: set[int] = set()

    def applied(working: Working, *said: Any, **more: Any) -> bool:
        if id(working) in stumbled:
            stumbled.discard(id(working))
            return False
        try:
            return apply(working, *said, **more)
        except Refusal:
            stumbled.add(id(working))
            raise

    return applied


def _knowing_better(read: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
    """Read as of another time, but with what is known now."""

    async def known_now(store: object, *asked: Any) -> Any:
        key, birth_date, _, people_max = asked
        return await read(store, key, birth_date, _END_OF_TIME, people_max)

    return known_now


def _forgetting(make: Callable[..., History]) -> Callable[..., History]:
    """Project a person, but forget all insurers but one."""

    def first_only(person: PersonKey, version: int, enrolments: Sequence[Any]) -> History:
        return make(person, version, list(enrolments)[:1])

    return first_only


@contextmanager
def _planted(law: str) -> Iterator[None]:
    """Plant the defect of a law."""
    real, model = StepReader.matching_known_at, MemoryStore.matching_known_at
    plants: dict[str, list[Any]] = {
        "said again changes nothing": [patch("gateway.domain.changes._same_facts", _never_same)],
        "independent changes in any order": [
            patch.object(Working, "apply", _losing_a_line(Working.apply))
        ],
        "the past as known then stays": [
            patch.object(StepReader, "matching_known_at", _knowing_better(real)),
            patch.object(MemoryStore, "matching_known_at", _knowing_better(model)),
        ],
        "every way to read agrees": [
            patch("gateway.usecases.batching.history_of", _forgetting(history_of))
        ],
    }
    for plant in plants[law]:
        plant.start()
    try:
        yield
    finally:
        for plant in plants[law]:
            plant.stop()


async def _try(law: str, case: str, places: Places, tally: Tally) -> str:
    """Try a law in one world; what is broken, or nothing."""
    try:
        await LAWS[law](places, random.Random(f"{law}/{case}"), tally)
    except BrokenLawError as broken:
        return str(broken)
    finally:
        await places.close()
    return ""


async def _show(places: Places, cases: int, seed: int) -> bool:
    good = True
    for law in LAWS:
        with _planted(law):
            noticed = ""
            for number in range(PLANTED_CASES_MAX):
                noticed = await _try(law, f"planted-{seed}-{number}", places, Tally())
                if noticed:
                    print(f"planted defect noticed in case {number + 1}: {law}: {noticed}")
                    break
            else:
                print(f"PLANTED DEFECT NOT NOTICED: {law}")
                good = False
    for law in LAWS:
        began, tally, broken = time.monotonic(), Tally(), 0
        for number in range(cases):
            what = await _try(law, f"{seed}-{number}", places, tally)
            if what:
                broken += 1
                print(f"BROKEN: {law}: {what} (--seed {seed}, case {number})")
        counts = ", ".join(f"{name} {count:,}" for name, count in sorted(tally.counts.items()))
        seconds = time.monotonic() - began
        print(f"{law}: cases {cases:,}, broken {broken}; {counts}; {seconds:.1f} s")
        good &= not broken
    return good


def main() -> None:
    """Show the laws; exit 1 if one is broken."""
    parser = argparse.ArgumentParser(prog="python -m loadtests.change_properties")
    parser.add_argument("--cases", type=int, default=CASES, help="worlds made up for each law")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--postgres", action="store_true", help="on a server, not in a file")
    arguments = parser.parse_args()
    shared = Path("/dev/shm")  # noqa: S108  a disk would only make it slower
    within = shared if shared.is_dir() else None
    with contextlib.ExitStack() as stack:
        directory = stack.enter_context(tempfile.TemporaryDirectory(dir=within))
        synced = running(is_synced=False)
        server = stack.enter_context(synced) if arguments.postgres else None
        places = Places(Path(directory), server)
        good = asyncio.run(_show(places, arguments.cases, arguments.seed))
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()

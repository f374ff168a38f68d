"""
Asks a cluster about everybody, by number and by card, while a worker is there and while it is not.

What it must answer is told by a file with the same people; which questions it must refuse, by the
coordinator's own lists of what lies where.
"""

from __future__ import annotations

import asyncio
import statistics
import time
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from gateway.domain.card import CardKey
from gateway.domain.errors import Unavailable
from gateway.domain.identifiers import LookupKey
from gateway.edges.rpc.convert import sheet
from gateway.store import postgres_cluster
from gateway.store.by_steps import StepReader
from gateway.store.postgres import READ_PLACES
from gateway.store.sqlite import SqliteReader
from loadtests.citus_place import Question

AT_ONCE: Final = 8
PEOPLE_MAX: Final = 50
REFUSED_S_MAX: Final = READ_PLACES.statement_s_max + 1.0
REFUSED: Final = "STORE_UNAVAILABLE"


class Asked(NamedTuple):
    """What came of a question, and how long it took."""

    answer: Any
    """`REFUSED` if it was."""
    seconds: float


async def answers_of(file: Path, questions: Sequence[Question]) -> list[Any]:
    """What must be answered."""
    reader = SqliteReader(file, sheet)
    try:
        return [await _answer(reader, one) for one in questions]
    finally:
        await reader.close()


async def asked(url: str, questions: Sequence[Question]) -> list[Asked]:
    """Ask a cluster all of these, a few at once; only `STORE_UNAVAILABLE` is borne."""
    reader = await postgres_cluster.reader(url, sheet)
    waiting = iter(range(len(questions)))
    found: dict[int, Asked] = {}

    async def ask_some() -> None:
        for place in waiting:
            begin = time.perf_counter()
            answer = await _answer_or_refusal(reader, questions[place])
            found[place] = Asked(answer, time.perf_counter() - begin)

    try:
        await asyncio.gather(*(ask_some() for _ in range(AT_ONCE)))
    finally:
        await reader.close()
    return [found[place] for place in range(len(questions))]


async def _answer_or_refusal(reader: StepReader, question: Question) -> Any:
    try:
        return await _answer(reader, question)
    except Unavailable as refusal:
        return refusal.reason


async def _answer(reader: StepReader, question: Question) -> Any:
    if question.birth_date is None:
        return await reader.by_card(CardKey(question.key))
    return list(await reader.matching(LookupKey(question.key), question.birth_date, PEOPLE_MAX))


def faults(
    found: Sequence[Asked],
    expected: Sequence[Any],
    places: Sequence[frozenset[str]],
    gone: Collection[str] = (),
) -> Mapping[str, int]:
    """
    Count what is wrong with answers; nothing of whom they are about is told.

    Args:
        places: Where each question's rows lie.

        gone: The places that are away.
    """
    told: Counter[str] = Counter()
    for one, right, lies in zip(found, expected, places, strict=True):
        is_away = not lies.isdisjoint(gone)
        if is_away and one.answer != REFUSED:
            told["answered although its place is away"] += 1
        elif not is_away and one.answer == REFUSED:
            told["refused although its place is there"] += 1
        elif not is_away and one.answer != right:
            told["another answer"] += 1
        elif one.answer == REFUSED and one.seconds > REFUSED_S_MAX:
            told["refused too late"] += 1
    return told


def planted_missed(
    found: Sequence[Asked],
    expected: Sequence[Any],
    places: Sequence[frozenset[str]],
    gone: Collection[str] = (),
) -> list[str]:
    """Which defects, put into what was found, are not noticed."""
    before = sum(faults(found, expected, places, gone).values())
    answered = next(at for at, one in enumerate(found) if one.answer != REFUSED)
    planted: dict[str, tuple[list[Asked], list[frozenset[str]]]] = {
        "an answer altered": (_with(found, answered, Asked(["else"], 0.0)), list(places))
    }
    if gone:
        refused = next(at for at, one in enumerate(found) if one.answer == REFUSED)
        planted |= {
            "a key of the stopped worker said to lie elsewhere": (
                list(found),
                _with(places, refused, frozenset({"elsewhere"})),
            ),
            "a key that lies elsewhere said to be of the stopped worker": (
                list(found),
                _with(places, answered, frozenset(gone)),
            ),
            "a person of the stopped worker said to be unknown": (
                _with(found, refused, Asked([], 0.0)),
                list(places),
            ),
        }
    return [
        name
        for name, (answers, lies) in planted.items()
        if sum(faults(answers, expected, lies, gone).values()) != before + 1
    ]


def _with(several: Sequence[Any], at: int, one: Any) -> list[Any]:
    return [*several[:at], one, *several[at + 1 :]]


def told(found: Sequence[Asked]) -> str:
    """How many were answered and refused, and how long that took."""
    parts = []
    for name, seconds in (
        ("answered", [one.seconds for one in found if one.answer != REFUSED]),
        ("refused", [one.seconds for one in found if one.answer == REFUSED]),
    ):
        if seconds:
            p50, slowest = statistics.median(seconds) * 1e3, max(seconds) * 1e3
            parts.append(f"{len(seconds):,} {name} (p50 {p50:.1f} ms, slowest {slowest:.0f} ms)")
    return ", ".join(parts)

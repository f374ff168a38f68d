"""
Asks two stores the same and compares what they say: counts, lookups, the past, cards.

What differs is told by table or by key, which is a digest or drawn at random; never by a value.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Sequence
from datetime import date
from typing import Any, Final

from msgspec import Struct

from gateway.domain.card import CardKey
from gateway.domain.errors import TooMuch
from gateway.domain.identifiers import LookupKey, PersonKey
from gateway.domain.period import Instant
from gateway.store import sql_move
from gateway.store.by_steps import StepReader
from gateway.store.move import Side
from gateway.store.sql_move import TABLES

AT_ONCE: Final = 8
"""Questions asked of each store at once."""

CARDS_MAX: Final = 100
"""Cards of one person that are compared."""

PEOPLE_MAX: Final = 16
"""People one question may match before both stores must refuse it."""

KEY_BYTES: Final = 16


Question = Callable[[StepReader], Awaitable[Any]]


class Difference(Struct, frozen=True):
    """That two stores differ: in which table or question, and for which key."""

    what: str
    key: str = ""


class Checked(Struct):
    """How many questions were asked both ways, what differed, and of which numbers drawn."""

    asked: int = 0
    differences: list[Difference] = []
    numbers: set[int] = set()


async def counted(source: Side, target: Side) -> list[Difference]:
    """Compare how many rows each table has."""
    return [
        Difference(table.name)
        for table in TABLES
        if await source.count(table) != await target.count(table)
    ]


async def sampled(
    source: Side, target: Side, numbers: Sequence[int], seed: str, went: Callable[[int], None]
) -> Checked:
    """
    Ask about enrollees drawn at random, now and as of times drawn at random, and by cards.

    The times are those at which covers were recorded, or just before.

    Args:
        numbers: For each of them one enrollee is drawn, and one card if there are any.

        seed: What they are drawn by, with the number.
    """
    ours, theirs = await source.reader(), await target.reader()
    asking = _Asking(source, ours, theirs, seed)
    try:
        for at in range(0, len(numbers), AT_ONCE):
            some = numbers[at : at + AT_ONCE]
            await asyncio.gather(*(asking.about(number) for number in some))
            went(len(some))
    finally:
        await ours.close()
        await theirs.close()
    return asking.checked


class _Asking:
    def __init__(self, source: Side, ours: StepReader, theirs: StepReader, seed: str) -> None:
        self._source = source
        self._stores = (ours, theirs)
        self._seed = seed
        self._one_at_a_time = asyncio.Lock()
        self.checked = Checked()

    async def about(self, number: int) -> None:
        """Ask one lookup now and then, its person's history, and a card."""
        drawn = self._drawn(number)
        lookup = await self._some(sql_move.SOME_LOOKUP, drawn)
        time = await self._some(sql_move.SOME_TIME, self._drawn(-1 - number))
        card = await self._some(sql_move.SOME_CARD, drawn)
        if lookup is not None and time is not None:
            key, born = LookupKey(lookup[0]), date.fromisoformat(lookup[1])
            person_key = PersonKey(lookup[2])
            known = Instant(time[0] - number % 2)
            await self._same(
                number, "lookup", key, lambda store: store.matching(key, born, PEOPLE_MAX)
            )
            await self._same(
                number,
                "lookup as of then",
                key,
                lambda store: store.matching_known_at(key, born, known, PEOPLE_MAX),
            )
            await self._same(number, "history", key, lambda store: store.history_of(person_key))
        if card is not None:
            card_key, holder = CardKey(card[0]), PersonKey(card[1])
            await self._same(number, "card", card_key, lambda store: store.by_card(card_key))
            await self._same(
                number, "cards", card_key, lambda store: store.cards_of(holder, CARDS_MAX)
            )

    async def _same(self, number: int, what: str, key: bytes, question: Question) -> None:
        ours, theirs = await asyncio.gather(*(_answer(question, one) for one in self._stores))
        self.checked.asked += 1
        if ours != theirs:
            self.checked.differences.append(Difference(what, key.hex()))
            self.checked.numbers.add(number)

    async def _some(self, statement: str, drawn: bytes) -> tuple[Any, ...] | None:
        """Give the row after a key drawn at random; the first one if none follows."""
        async with self._one_at_a_time:
            for key in (drawn, b""):
                rows = await self._source.fetch(statement, key)
                if rows:
                    return rows[0]
        return None

    def _drawn(self, number: int) -> bytes:
        text = f"{self._seed} {number}"
        return hashlib.blake2b(text.encode(), digest_size=KEY_BYTES).digest()


async def _answer(question: Question, store: StepReader) -> Any:
    try:
        return await question(store)
    except TooMuch as refusal:
        return str(refusal)

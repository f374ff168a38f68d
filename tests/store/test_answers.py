"""Answers that can be asked again, in both stores: what is read, and as of when."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Protocol

import pytest
import pytest_asyncio

from gateway.domain.card import CardKey
from gateway.domain.coverage import Enrolment
from gateway.domain.errors import TooMuch
from gateway.domain.period import Instant
from gateway.store.memory import MemoryStore
from gateway.store.migrate import migrate
from gateway.store.port import Batch, NewCard, Writing
from gateway.store.port_answers import Answering
from gateway.store.records import encode_coverage
from gateway.store.sqlite import SqliteStore
from tests.store.batches import (
    BIRTH_DATE,
    batch_of,
    cover,
    enrollee,
    insured_id,
    next_version,
    person,
)

CARD = CardKey(b"card------------")
OTHER_CARD = CardKey(b"other-card------")
KEY = insured_id().lookup_key


class Store(Writing, Answering, Protocol):
    """A store that writes and answers."""


@pytest_asyncio.fixture(params=["memory", "sqlite"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    """A fresh store of either kind."""
    if request.param == "memory":
        yield MemoryStore(encode_coverage)
        return
    migrate(tmp_path / "gateway.db", encode_coverage)
    opened = SqliteStore(tmp_path / "gateway.db", encode_coverage)
    yield opened
    await opened.close()


async def enrol(store: Store, number: int = 1, now: int = 1_000) -> Enrolment:
    """Commit a person with one enrollee under the usual key."""
    enrolment = Enrolment(enrollee(number), is_numbered=True, covers=(cover(recorded=now),))
    before = await store.load([], [person(number)])
    await store.commit(batch_of(before, [(person(number), enrolment)], Instant(now)))
    return enrolment


async def test_nobody_is_found_as_of_the_last_recorded_time(store: Store) -> None:
    """An empty store answers as of 0; a commit about others moves the time."""
    assert await store.matching_last(KEY, BIRTH_DATE, 9) == ([], 0)
    await store.commit(Batch(Instant(500)))
    assert await store.matching_last(KEY, BIRTH_DATE, 9) == ([], 500)
    assert await store.by_card_last(CARD) == (None, 500)


async def test_what_is_found_is_what_matching_gives_and_when_it_is_of(store: Store) -> None:
    """One person and several, in the same order, as of the last commit."""
    for number in (2, 1, 3):
        await enrol(store, number, now=1_000 * (4 - number))
        people, at = await store.matching_last(KEY, BIRTH_DATE, 9)
        assert await store.matching(KEY, BIRTH_DATE, 9) == people
        assert await store.last_recorded_time() == at
    with pytest.raises(TooMuch, match="TOO_MANY_MATCHES"):
        await store.matching_last(KEY, BIRTH_DATE, 2)


async def test_a_holder_is_who_by_card_gives_and_when(store: Store) -> None:
    """With covers and without any; another card is nobody's."""
    await enrol(store)
    cards = [NewCard(CARD, person(1)), NewCard(OTHER_CARD, person(2))]
    await store.commit(Batch(Instant(2_000), cards=cards))
    for card in (CARD, OTHER_CARD):
        holder, at = await store.by_card_last(card)
        assert await store.by_card(card) == holder
        assert holder is not None
        assert at == 2_000
    assert await store.by_card_last(CardKey(b"nobody's--------")) == (None, 2_000)


async def test_a_person_is_read_as_was_known(store: Store) -> None:
    """Before anything was known there is no cover; then each version in its time."""
    enrolment = await enrol(store)
    (first,) = enrolment.covers
    second = next_version(first, 3_000, "後の　名")
    before = await store.load([], [person(1)])
    later = Enrolment(enrollee(1), is_numbered=True, covers=(second,))
    await store.commit(batch_of(before, [(person(1), later)], Instant(3_000)))
    versions = [
        [one.version_no for one in (await store.person_known_at(person(1), Instant(at))).covers]
        for at in (999, 1_000, 2_999, 3_000)
    ]
    assert versions == [[], [1], [1], [2]]


async def test_a_fresh_store_has_disposed_of_nothing(store: Store) -> None:
    """Until a disposal every moment can be asked about."""
    assert await store.disposed_before() == 0

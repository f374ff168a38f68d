"""Cards and told numbers in both stores: what is committed is what is read."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
import pytest_asyncio

from gateway.domain.card import CardKey
from gateway.domain.compact import compact
from gateway.domain.coverage import Enrolment
from gateway.domain.identifiers import InsurerNumber
from gateway.domain.period import Instant
from gateway.store import postgres_cluster
from gateway.store.memory import MemoryStore
from gateway.store.migrate import migrate
from gateway.store.port import Batch, CheckState, NewCard, NumberCheck, UploadKey, Writing
from gateway.store.records import encode_coverage
from gateway.store.sqlite import SqliteStore
from tests.store import postgres
from tests.store.batches import batch_of, cover, enrollee, person

CARD = CardKey(b"card------------")
OTHER_CARD = CardKey(b"other-card------")


@pytest_asyncio.fixture(params=["memory", "sqlite", "postgres"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Writing]:
    """A fresh store of either kind."""
    if request.param == "memory":
        yield MemoryStore(encode_coverage)
        return
    if request.param == "postgres":
        async with postgres.database() as url:
            there = await postgres_cluster.elected(url, encode_coverage, "a test")
            yield there
            await there.close()
        return
    migrate(tmp_path / "gateway.db", encode_coverage)
    opened = SqliteStore(tmp_path / "gateway.db", encode_coverage)
    yield opened
    await opened.close()


async def enrol(store: Writing, number: int = 1, now: int = 1_000) -> None:
    """Commit a person with one numbered enrollee."""
    enrolment = Enrolment(enrollee(number), is_numbered=True, covers=(cover(recorded=now),))
    before = await store.load([], [person(number)])
    await store.commit(batch_of(before, [(person(number), enrolment)], Instant(now)))


def check(number: int = 1, received: int = 1_000) -> NumberCheck:
    """A number told for an enrollee."""
    return NumberCheck(
        enrollee(number),
        Instant(received),
        InsurerNumber("01130012"),
        person(9),
        UploadKey(b"upload----------"),
        7,
    )


async def test_a_registered_card_finds_its_holder(store: Writing) -> None:
    """By card the holder's last known history is read."""
    await enrol(store)
    await store.commit(Batch(Instant(2_000), cards=[NewCard(CARD, person(1))]))
    holder = await store.by_card(CARD)
    history = await store.history_of(person(1))
    assert holder is not None
    assert history is not None
    assert person(1) == holder.person_key
    assert compact(history, encode_coverage) == holder.history


async def test_a_holder_without_covers_has_no_history(store: Writing) -> None:
    """A card may be registered before any cover is linked to its person."""
    await store.commit(Batch(Instant(2_000), cards=[NewCard(CARD, person(5))]))
    holder = await store.by_card(CARD)
    assert holder is not None
    assert holder.history is None


async def test_a_card_nobody_registered_is_not_found(store: Writing) -> None:
    """Another card finds nothing."""
    await store.commit(Batch(Instant(2_000), cards=[NewCard(CARD, person(1))]))
    assert await store.by_card(OTHER_CARD) is None


async def test_the_latest_cards_of_a_person_come_first(store: Writing) -> None:
    """Cards of a person are listed from the latest, and no more than asked for."""
    await store.commit(Batch(Instant(2_000), cards=[NewCard(CARD, person(1))]))
    await store.commit(Batch(Instant(3_000), cards=[NewCard(OTHER_CARD, person(1))]))
    assert list(await store.cards_of(person(1), 8)) == [OTHER_CARD, CARD]
    assert list(await store.cards_of(person(1), 1)) == [OTHER_CARD]
    assert list(await store.cards_of(person(2), 8)) == []


async def test_an_enrollee_comes_with_the_latest_check(store: Writing) -> None:
    """Of several checks of one enrollee the one received last counts."""
    await enrol(store)
    later = check(received=2_000)
    await store.commit(Batch(Instant(3_000), checks=[later, check()]))
    loaded = await store.load([], [], [enrollee(1)])
    assert [later] == [one.told for one in loaded.enrollees]


async def test_a_check_keeps_its_stamps(store: Writing) -> None:
    """Each stage is read back as it was stamped, and what was not reached stays absent."""
    await enrol(store)
    linked = replace(
        check(),
        state=CheckState.LINKED,
        checked_time=Instant(2),
        linked_time=Instant(3),
        projected_time=Instant(4),
        visible_time=None,
        mismatches=("SEX", "NAME"),
    )
    await store.commit(Batch(Instant(3_000), checks=[check()]))
    await store.commit(Batch(Instant(4_000), checks=[linked]))
    loaded = await store.load([], [], [enrollee(1)])
    assert [linked] == [one.told for one in loaded.enrollees]


async def test_only_checks_that_wait_are_given(store: Writing) -> None:
    """Checks that wait for the register come oldest first, those that are settled do not."""
    waiting = [check(1, 1_000), check(2, 2_000), check(3, 3_000)]
    settled = replace(check(4, 500), state=CheckState.SUSPENDED)
    await store.commit(Batch(Instant(4_000), checks=[waiting[2], settled, *waiting[:2]]))
    assert waiting == list(await store.checks_received(9))
    assert waiting[:2] == list(await store.checks_received(2))

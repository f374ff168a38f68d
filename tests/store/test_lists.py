"""Facts behind answers, overlaps and inquiries: both stores give what was committed."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest
import pytest_asyncio
from msgspec import structs

from gateway.domain.collection import CollectionState
from gateway.domain.errors import TooMuch
from gateway.domain.explanation import Facts
from gateway.domain.identifiers import EnrolleeKey, InsuredId, InsurerNumber, PersonKey
from gateway.domain.inquiry import (
    Inquiry,
    InquiryId,
    InquiryKind,
    InquiryVerdict,
    Question,
    Reply,
    inquiry_id_of,
)
from gateway.domain.overlap import OverlapState
from gateway.domain.period import Instant
from gateway.store import postgres_cluster
from gateway.store.memory import MemoryStore
from gateway.store.migrate import migrate
from gateway.store.port import Batch, CollectionRow
from gateway.store.port_insurers import Explaining, Lists
from gateway.store.records import encode_coverage
from gateway.store.sqlite import SqliteStore
from tests.store import postgres
from tests.store.batches import (
    BIRTH_DATE,
    INSURER,
    UPLOAD_KEY,
    an_upload,
    cover,
    enrollee,
    insured_id,
    moved,
    next_version,
    person,
    put,
)

OTHER = InsurerNumber("00138057")
KEY = insured_id().lookup_key
NEWEST = (Instant(2**63 - 1), InquiryId(b""))


class Store(Explaining, Lists):
    """Both sides of what is tested here."""


@pytest_asyncio.fixture(params=["memory", "sqlite", "postgres"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    """A fresh store of either kind."""
    if request.param == "memory":
        yield MemoryStore(encode_coverage)  # type: ignore[misc]  it has what `Store` says
        return
    if request.param == "postgres":
        async with postgres.database() as url:
            there = await postgres_cluster.elected(url, encode_coverage, "a test")
            yield there  # type: ignore[misc]  it has what `Store` says
            await there.close()
        return
    migrate(tmp_path / "gateway.db", encode_coverage)
    opened = SqliteStore(tmp_path / "gateway.db", encode_coverage)
    yield opened  # type: ignore[misc]  it has what `Store` says
    await opened.close()


async def facts(store: Explaining, known: int | None = None, versions_max: int = 9) -> Facts:
    """What was learned of whoever is under the usual key."""
    moment = None if known is None else Instant(known)
    return await store.facts_of(KEY, BIRTH_DATE, moment, versions_max, 3)


def seen(said: Facts) -> list[tuple[int, int, int | None]]:
    """Number, instant and end of each version."""
    return [
        (
            one.coverage.version_no,
            one.coverage.recorded_time,
            one.superseded_time,
        )
        for one in said.versions
    ]


async def two_versions(store: Lists) -> None:
    """A cover whose second version replaced the first."""
    upload = replace(an_upload(), upload_key=UPLOAD_KEY)
    await store.commit(Batch(Instant(500), upload=upload))
    await put(store, person(1), enrollee(1), cover())
    await put(store, person(1), enrollee(1), next_version(cover(), 2_000, "乙"), now=2_000)


async def test_versions_come_with_their_insurer_upload_and_line(store: Store) -> None:
    """Each version says whose it is, where it was told and until when it was believed."""
    await two_versions(store)
    said = await facts(store)
    assert seen(said) == [(1, 1_000, 2_000), (2, 2_000, None)]
    first = said.versions[0]
    assert (first.insurer_number, first.request_id, first.line_number) == (INSURER, "request-1", 2)
    assert first.coverage == cover()
    assert not said.is_cut


async def test_facts_are_those_known_at_an_instant(store: Store) -> None:
    """What came later is not there, and what it closed is still open."""
    await two_versions(store)
    assert seen(await facts(store, 1_999)) == [(1, 1_000, None)]
    assert seen(await facts(store, 2_000)) == [(1, 1_000, 2_000), (2, 2_000, None)]
    assert await facts(store, 999) == Facts((), ())


async def test_links_are_told_until_they_are_replaced(store: Store) -> None:
    """An enrollee that turns out to be another person is told of as both, and back again."""
    await put(store, person(1), enrollee(1), cover())
    await put(store, person(2), enrollee(2), cover(insured_id(number="2"), 1_500), now=1_500)
    for to, now in ((2, 2_000), (1, 3_000)):
        before = await store.load([KEY], [person(1), person(2)])
        await store.commit(moved(before, enrollee(1), person(to), Instant(now)))
    said = await facts(store)
    links = [
        (one.enrollee_key, one.person_key, one.recorded_time, one.superseded_time, one.is_numbered)
        for one in said.links
    ]
    assert links == [
        (enrollee(1), person(1), 1_000, 2_000, False),
        (enrollee(2), person(2), 1_500, None, False),
        (enrollee(1), person(2), 2_000, 3_000, True),
        (enrollee(1), person(1), 3_000, None, True),
    ]
    assert {one.enrollee_key for one in said.versions} == {enrollee(1), enrollee(2)}
    assert {one.enrollee_key for one in (await facts(store, 1_999)).versions} == {enrollee(1)}


async def test_old_versions_are_cut_and_the_last_ones_never(store: Store) -> None:
    """Beyond the limit the oldest replaced versions go, and the facts say so."""
    version = cover()
    for count in range(1, 6):
        await put(store, person(1), enrollee(1), version, now=version.recorded_time)
        version = next_version(version, 1_000 + count * 1_000, f"{count}")
    said = await facts(store, versions_max=3)
    assert ([one.coverage.version_no for one in said.versions], said.is_cut) == ([3, 4, 5], True)
    assert len((await facts(store, versions_max=5)).versions) == 5
    assert not (await facts(store, versions_max=5)).is_cut
    await put(store, person(1), enrollee(2), cover(recorded=9_000), now=9_000)
    both = await facts(store, versions_max=1)
    assert [one.superseded_time for one in both.versions] == [None, None]


async def test_too_many_people_are_refused(store: Store) -> None:
    """More people than a question may match are not told of."""
    for number in range(4):
        await put(store, person(number), enrollee(number), cover())
    with pytest.raises(TooMuch, match="TOO_MANY_MATCHES"):
        await facts(store)


async def test_a_person_is_told_of_whole(store: Store) -> None:
    """Whoever was ever linked to the person, and nobody else; too many are refused."""
    await two_versions(store)
    await put(store, person(2), enrollee(2), cover(insured_id(number="2"), 3_000), now=3_000)
    of_person = await store.facts_of_person(person(1), 9, 9)
    assert of_person == await facts(store)
    assert len((await store.facts_of_person(person(2), 9, 9)).versions) == 1
    assert await store.facts_of_person(person(3), 9, 9) == Facts((), ())
    cut = await store.facts_of_person(person(1), 1, 9)
    assert ([one.coverage.version_no for one in cut.versions], cut.is_cut) == ([2], True)
    with pytest.raises(TooMuch, match="TOO_MANY_MATCHES"):
        await store.facts_of_person(person(1), 9, 0)


async def overlap(store: Lists, person_key: PersonKey, now: int, *, is_there: bool) -> None:
    """Commit whether a person overlaps."""
    states = [OverlapState(INSURER, person_key, is_there)]
    await store.commit(Batch(Instant(now), overlaps=states))


async def test_an_overlap_keeps_the_time_it_became_known(store: Store) -> None:
    """Said again it is as old as before; gone and back it is new."""
    for now, is_there in ((1_000, True), (2_000, True)):
        await overlap(store, person(1), now, is_there=is_there)
    (row,) = await store.overlapping(INSURER, PersonKey(b""), 9)
    assert (row.person_key, row.recorded_time) == (person(1), 1_000)
    await overlap(store, person(1), 3_000, is_there=False)
    assert list(await store.overlapping(INSURER, PersonKey(b""), 9)) == []
    await overlap(store, person(1), 4_000, is_there=True)
    assert [one.recorded_time for one in await store.overlapping(INSURER, PersonKey(b""), 9)] == [
        4_000
    ]


async def test_overlaps_are_the_insurers_own_and_come_in_pages(store: Store) -> None:
    """Pages follow each other by person, and another insurer sees its own."""
    for number in range(5):
        await overlap(store, person(number), 1_000 + number, is_there=True)
    people, after = [], PersonKey(b"")
    while page := await store.overlapping(INSURER, after, 2):
        people += [row.person_key for row in page]
        after = page[-1].person_key
    assert people == sorted(person(number) for number in range(5))
    assert list(await store.overlapping(OTHER, PersonKey(b""), 9)) == []


COLLECTED, TO_COLLECT = CollectionState.COLLECTED, CollectionState.TO_COLLECT
FIRST = (date.min, EnrolleeKey(b""), 0)


async def listed(
    store: Lists, state: CollectionState, insurer: InsurerNumber = INSURER
) -> list[tuple[int, EnrolleeKey, int]]:
    """Every place of a state, in pages of two; the loss date as its day of the month."""
    places, after = [], FIRST
    while page := await store.collections(insurer, state, after, 2):
        places += [(lost.day, key, cover_no) for lost, key, cover_no in page]
        after = page[-1]
    return places


async def test_a_cover_is_listed_in_its_last_state_only(store: Lists) -> None:
    """A new state replaces the one before, and no state takes the cover off the list."""

    async def commit(now: int, state: CollectionState | None, lost: int = 2) -> None:
        row = CollectionRow(INSURER, enrollee(1), 1, state, date(2025, 8, lost))
        await store.commit(Batch(Instant(now), collections=[row]))

    await commit(1_000, TO_COLLECT)
    await commit(2_000, TO_COLLECT, lost=3)
    assert await listed(store, TO_COLLECT) == [(3, enrollee(1), 1)]
    await commit(3_000, COLLECTED)
    assert await listed(store, TO_COLLECT) == []
    assert await listed(store, COLLECTED) == [(2, enrollee(1), 1)]
    await commit(4_000, None)
    assert await listed(store, COLLECTED) == []


async def test_collections_are_the_insurers_own_and_come_in_pages(store: Lists) -> None:
    """Pages follow each other by loss date, then enrollee, then cover."""
    places = [(day, enrollee(n), no) for day in (2, 1) for n in (2, 1) for no in (2, 1)]
    rows = [
        CollectionRow(INSURER, key, no, TO_COLLECT, date(2025, 8, day)) for day, key, no in places
    ]
    rows = [replace(row, cover_no=row.cover_no + 2 * row.loss_date.day) for row in rows]  # type: ignore[union-attr]  all are lost
    await store.commit(Batch(Instant(1_000), collections=rows))
    expected = sorted((day, key, no + 2 * day) for day, key, no in places)
    assert expected == await listed(store, TO_COLLECT)
    assert await listed(store, TO_COLLECT, OTHER) == []


def inquiry(number: int, asked_time: int = 1_000) -> Inquiry:
    """An inquiry of one insurer to the other."""
    return Inquiry(
        inquiry_id_of(INSURER, f"request-{number}"),
        INSURER,
        Instant(asked_time),
        Question(
            InsuredId(OTHER, "記号", f"{number}", "01"),
            BIRTH_DATE,
            InquiryKind.DATES,
            acquisition_date=date(2025, 4, 1),
        ),
    )


async def test_an_inquiry_and_its_reply_are_read_as_written(store: Store) -> None:
    """Both insurers find it, answered once it is."""
    asked = inquiry(1)
    await store.commit(Batch(Instant(1_000), inquiries=[asked]))
    assert await store.inquiry(asked.inquiry_id) == asked
    reply = Reply(InquiryVerdict.NO, date(2025, 5, 1), date(2026, 4, 1))
    done = structs.replace(asked, reply=reply, answered_time=Instant(2_000))
    await store.commit(Batch(Instant(2_000), inquiries=[done]))
    assert await store.inquiry(asked.inquiry_id) == done
    assert [done] == list(await store.inquiries_of(OTHER, NEWEST, 9, is_received=True))
    assert [done] == list(await store.inquiries_of(INSURER, NEWEST, 9, is_received=False))
    assert list(await store.inquiries_of(INSURER, NEWEST, 9, is_received=True)) == []
    assert await store.inquiry(InquiryId(b"x" * 16)) is None


async def test_inquiries_come_newest_first_in_pages(store: Store) -> None:
    """Pages follow each other by time and id; of one instant none is lost or told twice."""
    asked = [inquiry(number, 1_000 + number // 2) for number in range(6)]
    await store.commit(Batch(Instant(1_000), inquiries=asked))
    found: list[Inquiry] = []
    before = NEWEST
    while page := await store.inquiries_of(OTHER, before, 2, is_received=True):
        found += page
        before = (page[-1].asked_time, page[-1].inquiry_id)
    expected = sorted(asked, key=lambda one: (one.asked_time, one.inquiry_id), reverse=True)
    assert expected == found

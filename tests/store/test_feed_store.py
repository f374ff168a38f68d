"""Streams of both stores, and the news of institutions against a model of them."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import pytest
import pytest_asyncio
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from gateway.domain.feed import OF_LINKS, ChangeKind, EnrolleeChange
from gateway.domain.identifiers import EnrolleeKey, InsurerNumber, PersonKey
from gateway.domain.period import Instant
from gateway.store import postgres_cluster
from gateway.store.memory import MemoryStore
from gateway.store.news import NewsBook, NewsRules
from gateway.store.port import Batch, NewLink, NewVersion, Writing
from gateway.store.port_feed import ChangeStream, Ends
from gateway.store.postgres import PostgresChanges, PostgresStore
from gateway.store.records import encode_coverage
from gateway.store.sqlite import SqliteChanges, SqliteStore
from gateway.store.trail import _ADD_ASKED, Trail
from loadtests.state_engines import empty_database
from tests.store import postgres
from tests.store.batches import (
    INSURER,
    UPLOAD_KEY,
    an_upload,
    cover,
    enrollee,
    next_version,
    person,
)
from tests.store.test_stateful import EXAMPLES

OTHER = InsurerNumber("00138057")
CODE = INSURER.zero_padded


def change(
    of: int = 1,
    insurer: InsurerNumber = INSURER,
    kinds: ChangeKind = ChangeKind.CHANGED,
    version_no: int = 1,
    to: int | None = None,
) -> EnrolleeChange:
    """That an enrollee changed; it is the person of its own number unless told otherwise."""
    return EnrolleeChange(
        enrollee(of), insurer, person(of if to is None else to), kinds.value, 1, version_no
    )


class Store(Writing, Protocol):
    """A store that also forgets."""


@dataclass(slots=True)
class Both:
    """A store and its streams."""

    store: Writing
    stream: ChangeStream

    async def commit(self, now: int, *changes: EnrolleeChange) -> None:
        """Commit changes with the versions they name."""
        batch = Batch(Instant(now), upload=an_upload(1))
        for one in changes:
            version = cover(recorded=now)
            for number in range(1, one.version_no):
                version = next_version(version, now, f"v{number}")
            batch.versions.append(
                NewVersion(one.enrollee_key, one.insurer_number, version, UPLOAD_KEY, 7)
            )
        batch.changes = list(changes)
        await self.store.commit(batch)

    async def forget(self, before: int) -> None:
        """Forget what was recorded earlier."""
        if isinstance(self.store, SqliteStore | PostgresStore):
            while await self.store.forget_changes(Instant(before), 2):
                pass
        else:
            assert isinstance(self.store, MemoryStore)
            self.store.forget_changes(Instant(before))


@pytest_asyncio.fixture(params=["memory", "sqlite", "postgres"])
async def both(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Both]:
    """A fresh store of either kind."""
    if request.param == "memory":
        memory = MemoryStore(encode_coverage)
        yield Both(memory, memory)
        return
    if request.param == "postgres":
        async with postgres.database() as url:
            there = await postgres_cluster.elected(url, encode_coverage, "a test")
            changes = await PostgresChanges.opened(url)
            yield Both(there, changes)
            await changes.close()
            await there.close()
        return
    database = tmp_path / "gateway.db"
    database.write_bytes(empty_database())
    store, stream = SqliteStore(database, encode_coverage), SqliteChanges(database)
    yield Both(store, stream)
    await stream.close()
    await store.close()


async def test_an_insurer_without_changes_has_an_empty_stream(both: Both) -> None:
    """Nothing was ever told to it, and nothing can be."""
    assert Ends(0, 0, Instant(0)) == await both.stream.ends(CODE, 0)
    assert not await both.stream.after(CODE, 0, 9)


async def test_a_stream_is_numbered_without_a_gap_for_each_insurer(both: Both) -> None:
    """Whatever comes in between for others, the numbers of one insurer follow each other."""
    await both.commit(1_000, change(1), change(2, OTHER), change(3))
    await both.commit(2_000, change(4, OTHER))
    await both.commit(3_000, change(5))
    found = await both.stream.after(CODE, 0, 9)
    assert [(e.sequence, e.recorded_time) for e in found] == [(1, 1_000), (2, 1_000), (3, 3_000)]
    assert [e.sequence for e in await both.stream.after(OTHER.zero_padded, 0, 9)] == [1, 2]
    assert Ends(1, 3, Instant(3_000)) == await both.stream.ends(CODE, 3)


async def test_a_page_begins_after_a_place_and_has_a_size(both: Both) -> None:
    """As many as asked for, from the place on."""
    await both.commit(1_000, *(change(of) for of in range(1, 6)))
    assert [e.sequence for e in await both.stream.after(CODE, 2, 2)] == [3, 4]


async def test_an_event_tells_where_it_came_from(both: Both) -> None:
    """A version's upload and line; nothing of them where only a link changed."""
    upload = an_upload(1)
    await both.store.commit(Batch(Instant(500), upload=upload))
    await both.commit(1_000, change(1))
    linked = change(1, kinds=ChangeKind.NUMBER_LINKED, to=2)
    await both.store.commit(Batch(Instant(2_000), changes=[linked]))
    said, link = await both.stream.after(CODE, 0, 9)
    assert (cover().insured_id, person(1), 7) == (
        said.insured_id,
        said.person_key,
        said.line_number,
    )
    assert (person(2), "", 0) == (link.person_key, link.request_id, link.line_number)
    assert link.kinds is ChangeKind.NUMBER_LINKED


async def test_old_changes_are_forgotten_but_the_newest_of_each_insurer(both: Both) -> None:
    """The numbers go on after it, as if nothing had been forgotten."""
    await both.commit(1_000, change(1), change(2), change(3, OTHER))
    await both.commit(2_000, change(4))
    await both.forget(5_000)
    assert Ends(3, 3, Instant(2_000)) == await both.stream.ends(CODE, 3)
    assert Ends(1, 1, Instant(1_000)) == await both.stream.ends(OTHER.zero_padded, 1)
    await both.commit(6_000, change(5))
    assert [e.sequence for e in await both.stream.after(CODE, 0, 9)] == [3, 4]


async def test_a_batch_that_fails_leaves_no_change(tmp_path: Path) -> None:
    """A change is there with what it tells of, or not at all."""
    database = tmp_path / "gateway.db"
    database.write_bytes(empty_database())
    store, stream = SqliteStore(database, encode_coverage), SqliteChanges(database)
    both = Both(store, stream)
    await both.commit(1_000, change(1))
    with pytest.raises(RuntimeError):
        await both.commit(2_000, change(2), change(1))
    assert [e.sequence for e in await stream.after(CODE, 0, 9)] == [1]
    await stream.close()
    await store.close()


# News

SETTLE, WINDOW = 10, 100
INSTITUTIONS = ("A", "B")


@dataclass(slots=True)
class NewsModel:
    """Who asked last about whom, every link ever, every change: all looked through."""

    asked: dict[tuple[PersonKey, str], tuple[int, str]] = field(default_factory=dict)
    links: list[tuple[EnrolleeKey, PersonKey, bool, int, int | None]] = field(default_factory=list)
    changes: list[tuple[int, EnrolleeChange]] = field(default_factory=list)
    told: set[tuple[str, str, PersonKey]] = field(default_factory=set)

    def concerned(self, at: int, one: EnrolleeChange) -> set[PersonKey]:
        """Whom a change is about: its person, and whom it left."""
        found = {one.person_key}
        if one.kinds & OF_LINKS:
            found |= {p for e, p, _, _, end in self.links if e == one.enrollee_key and end == at}
        return found

    def tell(self) -> None:
        """Say what all changes since the last telling have put out of date."""
        for at, one in self.changes:
            for who in self.concerned(at, one):
                for (asked_about, code), (asked_at, record) in self.asked.items():
                    if asked_about == who and at - WINDOW <= asked_at <= at + SETTLE:
                        self.told.add((code, record, who))
        self.changes = []


asks = st.tuples(
    st.just("ask"), st.integers(1, 3), st.sampled_from(INSTITUTIONS), st.integers(0, 8)
)
moves = st.tuples(st.just("move"), st.integers(1, 3), st.integers(1, 3), st.booleans())
items = st.tuples(st.just("items"), st.integers(1, 3))
waits = st.tuples(st.just("wait"), st.sampled_from([1, 7, 40, 90]))
tells = st.tuples(st.just("tell"), st.integers(1, 3))
restarts = st.tuples(st.just("restart"))


@given(
    st.lists(st.one_of(asks, asks, moves, items, waits, tells, restarts), min_size=12, max_size=40)
)
@example([("ask", 1, "A", 0), ("move", 1, 2, True)])
@example([("ask", 1, "A", 0), ("wait", 90), ("wait", 40), ("items", 1)])
@example([("move", 1, 2, True), ("wait", 40), ("ask", 1, "A", 0), ("move", 1, 3, True)])
@example([("items", 1), ("wait", 7), ("ask", 1, "A", 0), ("wait", 40), ("ask", 1, "A", 0)])
@settings(max_examples=EXAMPLES // 2, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_institutions_hear_of_what_they_asked_about_and_nothing_else(
    steps: list[tuple[object, ...]],
) -> None:
    """Any asks, changes and links, told in any steps over restarts, give the model's news once."""
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(_play(Path(folder), steps))


class _Stage:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "access").mkdir()
        (folder / "gateway.db").write_bytes(empty_database())
        self.store = SqliteStore(folder / "gateway.db", encode_coverage)
        self.trail = Trail(folder / "trail.db", folder / "access")
        self.changes = SqliteChanges(folder / "gateway.db")
        self.news = self.opened()
        self.model = NewsModel()
        self.now = 1_000
        self.people = {number: (person(number), False, 1) for number in range(1, 5)}
        """Of each enrollee: its person, whether by number, and its last version."""

    def opened(self) -> NewsBook:
        """Open the news, as a writer that starts does."""
        folder = self.folder
        return NewsBook(
            folder / "feed.db",
            self.changes,
            folder / "trail.db",
            NewsRules(SETTLE, WINDOW),
        )

    async def commit(self, changes: list[EnrolleeChange], links: list[NewLink]) -> None:
        """Commit at the next instant, in store and model."""
        self.now += 1
        batch = Batch(Instant(self.now), links=links, changes=changes)
        for one in changes:
            if not one.kinds & OF_LINKS:
                version = cover(recorded=self.now)
                for number in range(1, one.version_no):
                    version = next_version(version, self.now, f"v{number}")
                batch.versions.append(NewVersion(one.enrollee_key, INSURER, version, UPLOAD_KEY, 2))
        await self.store.commit(batch)
        for link in links:
            self.model.links = [
                (e, p, numbered, begin, self.now)
                if (e, p, end) == (link.enrollee_key, link.replaces, None)
                else (e, p, numbered, begin, end)
                for e, p, numbered, begin, end in self.model.links
            ]
            self.model.links.append(
                (link.enrollee_key, link.person_key, link.is_numbered, self.now, None)
            )
        self.model.changes += [(self.now, one) for one in changes]

    async def begin(self) -> None:
        """Register four enrollees, each a person by itself."""
        await self.commit(
            [change(number, kinds=ChangeKind.ACQUIRED) for number in self.people],
            [
                NewLink(enrollee(number), person(number), is_numbered=False, replaces=None)
                for number in self.people
            ],
        )

    async def tell(self, changes_max: int) -> None:
        """Tell everything up to now, in steps."""
        newest = await self.news.untold()
        if newest is not None:
            while await self.news.tell(newest, changes_max) is not None:
                pass
        self.model.tell()

    def ask(self, number: int, code: str, back: int) -> None:
        """Let an institution have asked about a person, a moment ago."""
        at, who = self.now - back, person(number)
        record = f"{code}-{number}-{at}"
        self.trail._connection.execute(_ADD_ASKED, (who, code, at, record))
        known = self.model.asked.get((who, code))
        if known is None or at >= known[0]:
            self.model.asked[who, code] = (at, record)

    async def change_items(self, number: int) -> None:
        """Give an enrollee's cover its next version."""
        who, is_numbered, version = self.people[number]
        self.people[number] = (who, is_numbered, version + 1)
        fresh = EnrolleeChange(
            enrollee(number), INSURER, who, ChangeKind.CHANGED.value, 1, version + 1
        )
        await self.commit([fresh], [])

    async def move(self, number: int, to: int, *, is_numbered: bool) -> None:
        """Link an enrollee to a person, as themselves or by number."""
        who, was_numbered, version = self.people[number]
        target = person(to)
        if (who, was_numbered) == (target, is_numbered):
            return
        self.people[number] = (target, is_numbered, version)
        kinds = ChangeKind.NUMBER_LINKED if is_numbered else ChangeKind.NUMBER_UNLINKED
        moved = EnrolleeChange(enrollee(number), INSURER, target, kinds.value, 1, version)
        await self.commit(
            [moved], [NewLink(enrollee(number), target, is_numbered=is_numbered, replaces=who)]
        )

    async def require_equal(self) -> None:
        """The news are the model's, each once, numbered without a gap."""
        found = []
        for code in INSTITUTIONS:
            news = await self.news.after(code, 0, 1_000)
            assert [one.sequence for one in news] == list(range(1, len(news) + 1))
            found += [(code, one.access_record_id, one.person_key) for one in news]
        assert len(found) == len(set(found))
        assert self.model.told == set(found)


async def _play(folder: Path, steps: list[tuple[object, ...]]) -> None:
    stage = _Stage(folder)
    await stage.begin()
    await stage.tell(9)
    for step in [*steps, ("tell", 2)]:
        match step:
            case ("ask", int(number), str(code), int(back)):
                stage.ask(number, code, back)
            case ("move", int(number), int(to), bool(is_numbered)):
                await stage.move(number, to, is_numbered=is_numbered)
            case ("items", int(number)):
                await stage.change_items(number)
            case ("wait", int(ticks)):
                stage.now += ticks
            case ("tell", int(changes_max)):
                await stage.tell(changes_max)
                await stage.require_equal()
            case _:
                await stage.news.close()
                stage.news = stage.opened()
    await stage.news.close()
    await stage.store.close()
    stage.trail.close()


async def test_old_news_are_forgotten_but_the_newest_of_each_institution(tmp_path: Path) -> None:
    """The numbers go on after it."""
    stage = _Stage(tmp_path)
    await stage.begin()
    for number in (1, 2, 3):
        stage.ask(number, "A", 0)
        await stage.change_items(number)
    await stage.tell(1)
    assert await stage.news.forget(Instant(9_000), 1) == 1
    assert await stage.news.forget(Instant(9_000), 9) == 1
    assert await stage.news.forget(Instant(9_000), 9) == 0
    assert [one.sequence for one in await stage.news.after("A", 0, 9)] == [3]
    assert Ends(3, 3, Instant(1_001)) == await stage.news.ends("A", 3)
    await stage.news.close()
    await stage.store.close()
    stage.trail.close()

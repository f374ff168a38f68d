"""
After any life and any disposals, killed anywhere, a store tells what one that kept all tells.

That is: what is known last, and what was known at any instant from the disposal's on. What was
known before is refused. `ONSHI_HYPOTHESIS_EXAMPLES` raises how many lives are tried.
"""

from __future__ import annotations

import asyncio
import os
import random
import tempfile
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs

from gateway.domain.coverage import Coverage, Enrolment
from gateway.domain.identifiers import EnrolleeKey, InsuredId, PersonKey
from gateway.domain.period import Instant
from gateway.domain.retention import SUPERSEDED, Disposal, first_broken
from gateway.store import postgres_cluster, sql_dispose, steps_dispose
from gateway.store.by_steps import StepStore
from gateway.store.memory import MemoryAccesses, MemoryStore
from gateway.store.port import Batch
from gateway.store.port_dispose import Sweep, ended
from gateway.store.records import encode_coverage
from gateway.store.sqlite import SqliteStore
from gateway.usecases.dispose import Pace
from loadtests.disposing import disposed, order_of
from loadtests.state_engines import empty_database
from tests.store import postgres
from tests.store.batches import (
    BIRTH_DATE,
    batch_of,
    cover,
    enrollee,
    insured_id,
    moved,
    next_version,
    person,
)
from tests.store.disposing import KilledError, Mortal

EXAMPLES = int(os.environ.get("ONSHI_HYPOTHESIS_EXAMPLES", "40"))
CARDS = [insured_id(number=str(number)) for number in range(5)]
PEOPLE_MAX = 100
STEPS = 50
INSTANTS = 25
"""How many moments of a life are asked about."""


class Life:
    """A store, a model that forgets as it does, and a model that keeps all; one seed, one life."""

    def __init__(self, seed: int, store: StepStore) -> None:
        self.rng = random.Random(seed)  # noqa: S311  a made-up life
        self.store = store
        self.model = MemoryStore(encode_coverage)
        self.whole = MemoryStore(encode_coverage)
        self.accesses = MemoryAccesses()
        self.now = 1_000
        self.covers: dict[EnrolleeKey, Coverage] = {}
        self.owners: dict[EnrolleeKey, PersonKey] = {}
        self.orders = 0

    async def commit(self, batch: Batch) -> None:
        """Commit to all three."""
        for one in (self.store, self.model, self.whole):
            await one.commit(batch)

    async def live(self) -> None:
        """Covers begin, change, move to another card; enrollees turn out to be somebody else."""
        for _ in range(STEPS):
            self.now += self.rng.randint(1, 2)
            kind = self.rng.choice(("begin", "change", "change", "change", "move", "alone"))
            if kind == "begin" or not self.covers:
                await self._begin()
                continue
            key = self.rng.choice(sorted(self.covers))
            if kind == "change":
                await self._change(key)
            else:
                alone = person(500 + self.now)
                to = alone if kind == "alone" else self.rng.choice(sorted(self.owners.values()))
                before = await self.store.load([], [self.owners[key], to])
                await self.commit(moved(before, key, to, Instant(self.now)))
                self.owners[key] = to

    async def _begin(self) -> None:
        number = len(self.covers)
        key, owner = enrollee(number), person(number)
        self.covers[key] = cover(self.rng.choice(CARDS), recorded=self.now)
        self.owners[key] = owner
        before = await self.store.load([], [owner])
        enrolment = Enrolment(key, is_numbered=False, covers=(self.covers[key],))
        await self.commit(batch_of(before, [(owner, enrolment)], Instant(self.now)))

    async def _change(self, key: EnrolleeKey) -> None:
        last = next_version(self.covers[key], self.now, self.rng.choice("甲乙丙"))
        if self.rng.random() < 0.5:
            last = structs.replace(last, insured_id=self.rng.choice(CARDS))
        self.covers[key] = last
        before = await self.store.load([], [self.owners[key]])
        was = next(one for one in before.enrollees if one.enrolment.enrollee_key == key)
        after = structs.replace(was.enrolment, covers=(last,))
        await self.commit(batch_of(before, [(self.owners[key], after)], Instant(self.now)))

    async def dispose(self) -> Disposal:
        """Dispose up to some moment, in slices of some size; killed at some write, go on."""
        self.orders += 1
        order = order_of(self.orders, self.rng.randint(1_000, self.now))
        pace = Pace(self.rng.randint(1, 9), self.rng.randint(1, 4), 0.0)
        mortal = Mortal(self.store, self.rng.randint(1, 12), is_kept=self.rng.random() < 0.5)
        try:
            done = await disposed(mortal, order, self.accesses, pace)
        except KilledError:
            done = await disposed(self.store, order, self.accesses)
        kept = len(self.model._versions)
        self.model.dispose_of(done.before(SUPERSEDED))
        rows = {one.code: one.rows for one in done.removed}[SUPERSEDED]
        assert kept - len(self.model._versions) == rows.get("cover_versions", 0)
        return done

    async def check(self) -> None:
        """Compare what is known last, and all there is to know from the instant on."""
        instant = await self.store.disposed_before()
        assert self.model.disposed == instant
        known = [instant, *(self.rng.randint(instant, self.now) for _ in range(INSTANTS))]
        for card in CARDS:
            for at in map(Instant, known):
                await self._check_card(card, at)
        everybody = {*self.owners.values(), *map(person, range(len(self.covers)))}
        for one in sorted(everybody):
            assert await self.whole.history_of(one) == await self.store.history_of(one)
            for at in map(Instant, known):
                expected = await self.whole.person_known_at(one, at)
                assert expected == await self.store.person_known_at(one, at)

    async def _check_card(self, card: InsuredId, at: Instant) -> None:
        key = card.lookup_key
        expected = await self.whole.matching_known_at(key, BIRTH_DATE, at, PEOPLE_MAX)
        found = await self.store.matching_known_at(key, BIRTH_DATE, at, PEOPLE_MAX)
        assert list(expected) == list(found)
        last = await self.whole.matching(key, BIRTH_DATE, PEOPLE_MAX)
        hot = await self.store.matching(key, BIRTH_DATE, PEOPLE_MAX)
        assert {one.person_key for one in last} <= {one.person_key for one in hot}
        assert list(last) == [one for one in hot if one in last]
        loaded = await self.store.load([key], [])
        under = {one for one, last in self.covers.items() if last.insured_id == card}
        assert under <= {one.enrolment.enrollee_key for one in loaded.enrollees}

    async def forerunners(self) -> list[list[PersonKey]]:
        """Whom each person was before a number linked them: whose looks are theirs too."""
        return [
            list(await self.store.forerunners_of(one, PEOPLE_MAX))
            for one in sorted(set(self.owners.values()))
        ]


async def lived(seed: int, store: StepStore) -> Counter[str]:
    """Live, dispose, live on and dispose again; give what went."""
    life = Life(seed, store)
    gone: Counter[str] = Counter()
    for _ in range(2):
        await life.live()
        forerunners = await life.forerunners()
        done = await life.dispose()
        assert forerunners == await life.forerunners()
        for one in done.removed:
            gone.update(one.rows)
        await life.check()
    certificates = ended(await store.disposals())
    assert len(certificates) == 2
    assert first_broken(certificates) is None
    assert first_broken(certificates[1:]) == 1
    ids = [one.access_record_id for one in certificates]
    assert len(set(ids)) == 2
    assert {record.outcome for record in life.accesses.records} == {"DISPOSED"}
    return gone


def on_sqlite(seed: int) -> Counter[str]:
    """A life on a database in a file."""

    async def run() -> Counter[str]:
        with tempfile.TemporaryDirectory() as directory:
            database = Path(directory) / "gateway.db"
            database.write_bytes(empty_database())
            store = SqliteStore(database, encode_coverage)
            try:
                return await lived(seed, store)
            finally:
                await store.close()

    return asyncio.run(run())


@settings(max_examples=-(-EXAMPLES // 4), deadline=None)
@given(seed=st.integers(0, 2**32))
def test_whatever_was_disposed_of_the_rest_is_as_it_was(seed: int) -> None:
    """In a file, whatever came before, however the disposal was cut and wherever it was killed."""
    assert on_sqlite(seed)["cover_versions"] >= 0


def test_every_table_of_facts_loses_something() -> None:
    """The lives are rich enough: versions, lookup rows, links and pairs go."""
    gone = sum((on_sqlite(seed) for seed in range(3)), Counter())
    assert {"cover_versions", "lookups", "links", "enrollee_people"} == {
        table for table, count in gone.items() if count
    }


@pytest.mark.parametrize("seed", [1, 2])
async def test_a_server_forgets_as_a_file_does(seed: int) -> None:
    """The same life on a server loses the same records."""
    async with postgres.database() as url:
        store = await postgres_cluster.elected(url, encode_coverage, "a test")
        try:
            gone = await lived(seed, store)
        finally:
            await store.close()
    assert await asyncio.to_thread(on_sqlite, seed) == gone


@pytest.mark.parametrize(
    ("statements", "sweeps", "defect"),
    [
        ([], [], None),
        (["REMOVE_VERSION"], [Sweep.VERSIONS], ("superseded_time <= ?", "superseded_time <= ?+5")),
        ([], [Sweep.LINKS], ("is_numbered = 1 AND", "")),
        (["REMOVE_LINK"], [Sweep.LINKS], ("superseded_time <= ?", "superseded_time <= ?+5")),
        (["REMOVE_LOOKUP"], [], ("lookup_key = ? AND", "(lookup_key = ? OR 1 = 1) AND")),
        (["REMOVE_ENROLLEE_PERSON"], [], ("person_key = ?", "(person_key = ? OR 1 = 1)")),
    ],
)
def test_a_planted_defect_is_noticed(
    statements: list[str],
    sweeps: list[Sweep],
    defect: tuple[str, str] | None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A disposal that takes more than it may is found within a few lives; without one, nothing."""
    if defect is None:
        few_lives()
        return
    for name in statements:
        whole = getattr(sql_dispose, name)
        assert whole != whole.replace(*defect)
        monkeypatch.setattr(sql_dispose, name, whole.replace(*defect))
    for sweep in sweeps:
        way = steps_dispose._WAYS[sweep]
        assert way.page != way.page.replace(*defect)
        changed = way._replace(page=way.page.replace(*defect))
        monkeypatch.setitem(steps_dispose._WAYS, sweep, changed)
    with pytest.raises(AssertionError):
        few_lives()


def few_lives() -> None:
    """Live some lives, each with its disposals."""
    for seed in range(5):
        on_sqlite(seed)

"""
Any commits on a store of either engine give what they give on the model, now and at any time.

`ONSHI_HYPOTHESIS_EXAMPLES` raises how many runs are tried.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
from collections.abc import Coroutine
from dataclasses import replace
from datetime import date
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

from hypothesis import HealthCheck, note, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, multiple, rule
from msgspec import structs

from gateway.domain.changes import Change, ChangeItems, CorrectCover, NewCover, Target
from gateway.domain.eligibility import ByNumber, Rules, confirm
from gateway.domain.errors import Refusal
from gateway.domain.identifiers import EnrolleeKey, InsuredId
from gateway.domain.period import Instant
from gateway.store import postgres_cluster
from gateway.store.memory import MemoryStore
from gateway.store.migrate import migrate
from gateway.store.port import Batch, Loaded
from gateway.store.postgres import PostgresStore
from gateway.store.records import encode_coverage
from gateway.store.sqlite import SqliteStore
from gateway.store.steps_reads import END_OF_TIME, histories_known_at
from tests import strategies
from tests.store import postgres
from tests.store.batches import changed, enrollee, expanded, moved, person, relevant

EXAMPLES = int(os.environ.get("ONSHI_HYPOTHESIS_EXAMPLES", "40"))
PEOPLE_MAX = 100

Result = TypeVar("Result")


@lru_cache(maxsize=1)
def empty_database() -> bytes:
    """What migrating makes; a fresh database is a copy of it."""
    with tempfile.TemporaryDirectory() as directory:
        migrate(Path(directory) / "gateway.db", encode_coverage)
        return (Path(directory) / "gateway.db").read_bytes()


class Stores(RuleBasedStateMachine):
    """A model and a store that are told the same."""

    questions = Bundle("questions")
    """Cards and birth dates about which something was said."""
    enrollees = Bundle("enrollees")

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.model = MemoryStore(encode_coverage)
        self.make()
        self.store = self.opened()
        self.now = Instant(1_000)
        self.made = 0

    def make(self) -> None:
        """Make an empty database."""
        raise NotImplementedError

    def opened(self) -> SqliteStore | PostgresStore:
        """Open it."""
        raise NotImplementedError

    def forget(self) -> None:
        """Leave nothing of it."""
        raise NotImplementedError

    def teardown(self) -> None:
        """Close everything."""
        self.run(self.store.close())
        self.forget()
        self.loop.close()

    def run(self, work: Coroutine[Any, Any, Result]) -> Result:
        """Wait for an answer."""
        return self.loop.run_until_complete(work)

    def loaded(self, keys: list[Any], people: list[Any]) -> Loaded:
        """Load from both; they must agree."""
        expected = self.run(self.model.load(keys, people))
        actual = self.run(self.store.load(keys, people))
        current = [one for one in actual.enrollees if one in expected.enrollees]
        assert list(expected.enrollees) == current
        assert expected.person_versions.items() <= actual.person_versions.items()
        return actual

    def commit(self, batch: Batch) -> None:
        """Commit to both."""
        note(f"{len(batch.versions)} versions, {len(batch.links)} links at {batch.recorded_time}")
        self.run(self.model.commit(batch))
        self.run(self.store.commit(batch))

    def say(self, change: Change) -> EnrolleeKey | None:
        """Apply a change as a writer would; give the enrollee it made."""
        target = change.target
        keys = {target.insured_id.lookup_key}
        if (corrected := getattr(change, "items", {}).get("insured_id")) is not None:
            keys.add(corrected.lookup_key)
        before = self.loaded(sorted(keys), [])
        fresh = person(self.made), enrollee(self.made)
        try:
            batch = changed(before, fresh, change, self.now)
        except Refusal:
            return None
        self.commit(batch)
        if not any(link.enrollee_key == fresh[1] for link in batch.links):
            return None
        self.made += 1
        return fresh[1]

    @rule(microseconds=st.integers(1, 3))
    def wait(self, microseconds: int) -> None:
        """Time goes on; without this, commits share an instant."""
        self.now = Instant(self.now + microseconds)

    @rule(target=enrollees, change=strategies.small_new_covers)
    def begin(self, change: NewCover) -> Any:
        """A cover begins, of a fresh enrollee or of one that lost its cover."""
        made = self.say(change)
        return multiple() if made is None else made

    @rule(target=questions, change=strategies.small_new_covers)
    def begin_and_ask(self, change: NewCover) -> tuple[InsuredId, date]:
        """A cover begins, and is asked about from then on."""
        self.say(change)
        return change.target.insured_id, change.target.birth_date

    @rule(question=questions, data=st.data())
    def change(self, question: tuple[InsuredId, date], data: st.DataObject) -> None:
        """An insurer says something about a cover, the card included but for its own number."""
        targets = st.builds(Target, st.just(question[0]), st.just(question[1]), st.none())
        change = data.draw(strategies.changes_of(targets))
        if isinstance(change, (ChangeItems, CorrectCover)) and data.draw(st.booleans()):
            card = structs.replace(
                data.draw(strategies.small_insured_ids), insurer_number=question[0].insurer_number
            )
            change = replace(change, items={**change.items, "insured_id": card})
        self.say(change)

    @rule(enrollee_key=enrollees, to=enrollees)
    def link(self, enrollee_key: EnrolleeKey, to: EnrolleeKey) -> None:
        """An enrollee turns out to be the person of another one, or is numbered."""
        people = [person(number) for number in range(self.made)]
        before = self.loaded([], people)
        owners = {one.enrolment.enrollee_key: one.person_key for one in before.enrollees}
        self.commit(moved(before, enrollee_key, owners[to], self.now))

    @rule(enrollee_key=consumes(enrollees))
    def split(self, enrollee_key: EnrolleeKey) -> None:
        """An enrollee turns out to be nobody known: their own person from then on."""
        people = [person(number) for number in range(self.made)]
        before = self.loaded([], [*people, person(900 + self.made)])
        self.commit(moved(before, enrollee_key, person(900 + self.made), self.now))

    @rule()
    def restart(self) -> None:
        """The writer goes and comes back."""
        self.run(self.store.close())
        self.store = self.opened()

    @rule(question=questions, ago=st.integers(0, 12))
    def ask_about_the_past(self, question: tuple[InsuredId, date], ago: int) -> None:
        """Both stores know the same of any instant."""
        card, birth_date = question
        known = Instant(max(0, self.now - ago))
        asked = card.lookup_key, birth_date, known, PEOPLE_MAX
        expected = self.run(self.model.matching_known_at(*asked))
        assert list(expected) == list(self.run(self.store.matching_known_at(*asked)))

    @rule(question=questions, on=strategies.small_days)
    def ask_now(self, question: tuple[InsuredId, date], on: date) -> None:
        """Both stores match the same people now, and the hot read answers as the other one."""
        card, birth_date = question
        asked = card.lookup_key, birth_date
        hot = self.run(self.store.matching(*asked, PEOPLE_MAX))
        as_of_now = self.run(self.store.matching_known_at(*asked, self.now, PEOPLE_MAX))
        expected = self.run(self.model.matching(*asked, PEOPLE_MAX))
        assert list(expected) == [
            history for history in hot if history.person_key in {one.person_key for one in expected}
        ]
        found = [expanded(one) for one in as_of_now]
        assert found == relevant([expanded(one) for one in hot], card, birth_date)
        query = ByNumber.of(card, birth_date, on)
        version = confirm(hot, query, Rules()).person_version
        answers = [confirm(people, query, Rules()) for people in (expected, hot, as_of_now)]
        assert answers[0] == answers[1]
        assert (answers[0].validity, answers[0].why, answers[0].decided_by, answers[0].shown) == (
            answers[2].validity,
            answers[2].why,
            answers[2].decided_by,
            answers[2].shown,
        )
        assert version == answers[0].person_version

    @invariant()
    def projections_are_what_facts_give(self) -> None:
        """Each person's history is the model's, and what a rebuild from the facts would write."""
        people = [person(number) for number in range(self.made)]
        found = self.run(self.store._read(histories_known_at(people, END_OF_TIME)))
        for key, from_facts in zip(sorted(people), found, strict=True):
            expected = self.run(self.model.history_of(key))
            assert expected is not None
            assert expected == self.run(self.store.history_of(key))
            assert expected == structs.replace(from_facts, version=expected.version)
        assert self.run(self.model.last_recorded_time()) == self.run(
            self.store.last_recorded_time()
        )


class OnSqlite(Stores):
    """The store in a file."""

    def make(self) -> None:
        """See `Stores`."""
        self.directory = Path(tempfile.mkdtemp())
        self.database = self.directory / "gateway.db"
        self.database.write_bytes(empty_database())

    def opened(self) -> SqliteStore:
        """See `Stores`."""
        return SqliteStore(self.database, encode_coverage)

    def forget(self) -> None:
        """See `Stores`."""
        shutil.rmtree(self.directory)


class OnPostgres(Stores):
    """The store on a server."""

    def make(self) -> None:
        """See `Stores`."""
        self.url = self.run(postgres.fresh())

    def opened(self) -> PostgresStore:
        """See `Stores`."""
        return self.run(postgres_cluster.elected(self.url, encode_coverage, "a test"))

    def forget(self) -> None:
        """See `Stores`."""
        self.run(postgres.dropped(self.url))


TestSqliteStores = OnSqlite.TestCase
TestPostgresStores = OnPostgres.TestCase
TestSqliteStores.settings = settings(
    max_examples=EXAMPLES,
    stateful_step_count=30,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
TestPostgresStores.settings = settings(TestSqliteStores.settings, max_examples=-(-EXAMPLES // 5))
"""Each run has a database of its own, which takes a second of a slow machine."""

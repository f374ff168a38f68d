"""
After any commits and disposals, killed anywhere, a store tells what one that kept all tells.

That is: what is known last, and what was known at any instant from the disposal's on. What was
known before is refused. `ONSHI_HYPOTHESIS_EXAMPLES` raises how many runs are tried.
"""

from __future__ import annotations

from datetime import date

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import invariant, rule

from gateway.domain.identifiers import InsuredId, PersonKey
from gateway.domain.period import Instant
from gateway.domain.retention import SUPERSEDED, first_broken
from gateway.store.memory import MemoryAccesses, MemoryStore
from gateway.store.port import Batch
from gateway.store.port_dispose import ended
from gateway.store.records import encode_coverage
from gateway.usecases.dispose import Pace
from tests.store.batches import person
from tests.store.disposing import KilledError, Mortal, disposed, order_of
from tests.store.test_stateful import EXAMPLES, PEOPLE_MAX, OnPostgres, OnSqlite, Stores

SETTINGS = settings(
    stateful_step_count=30,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


class Disposing(Stores):
    """The model forgets as the store does; another one keeps all."""

    def __init__(self) -> None:
        super().__init__()
        self.whole = MemoryStore(encode_coverage)
        self.accesses = MemoryAccesses()
        self.orders = 0
        self.instant = Instant(0)

    def commit(self, batch: Batch) -> None:
        """Commit to all three."""
        self.run(self.whole.commit(batch))
        super().commit(batch)

    @rule(
        ago=st.integers(0, 12),
        killed_at=st.integers(0, 9),
        is_kept=st.booleans(),
        rows=st.integers(1, 4),
        keys=st.integers(1, 3),
    )
    def dispose(self, ago: int, killed_at: int, rows: int, keys: int, *, is_kept: bool) -> None:
        """Whatever is due goes, in slices of any size; a life that is killed leaves the rest."""
        self.orders += 1
        order = order_of(self.orders, max(0, self.now - ago))
        kept, forerunners = len(self.model._versions), self.forerunners()
        mortal = Mortal(self.store, killed_at, is_kept=is_kept)
        try:
            done = self.run(disposed(mortal, order, self.accesses, Pace(rows, keys, 0.0)))
        except KilledError:
            self.restart()
            done = self.run(disposed(self.store, order, self.accesses))
        before = done.before(SUPERSEDED)
        assert min(order.before or 0, self.run(self.store.last_recorded_time())) == before
        assert forerunners == self.forerunners()
        self.model.dispose_of(before)
        self.instant = max(self.instant, before)
        gone = {one.code: one.rows for one in done.removed}[SUPERSEDED]
        assert kept - len(self.model._versions) == gone.get("cover_versions", 0)
        certificates = ended(self.run(self.store.disposals()))
        assert self.orders == len(certificates)
        assert first_broken(certificates) is None
        assert certificates[-1].access_record_id
        assert len(self.accesses.records) >= self.orders

    @rule(question=Stores.questions, later=st.integers(0, 12))
    def ask_from_the_instant_on(self, question: tuple[InsuredId, date], later: int) -> None:
        """From the instant of the last disposal on the past is what it was."""
        card, birth_date = question
        known = Instant(self.instant + later)
        asked = card.lookup_key, birth_date, known, PEOPLE_MAX
        expected = self.run(self.whole.matching_known_at(*asked))
        assert list(expected) == list(self.run(self.store.matching_known_at(*asked)))
        for number in range(self.made):
            was = self.run(self.whole.person_known_at(person(number), known))
            assert was == self.run(self.store.person_known_at(person(number), known))

    @invariant()
    def what_is_known_last_is_kept(self) -> None:
        """Nothing the last known state needs is gone, and what is refused is told."""
        assert self.instant == self.run(self.store.disposed_before())
        for number in range(self.made):
            expected = self.run(self.whole.history_of(person(number)))
            assert expected == self.run(self.store.history_of(person(number)))

    def forerunners(self) -> list[list[PersonKey]]:
        """Whom each person was before a number linked them."""
        return [
            list(self.run(self.store.forerunners_of(person(number), PEOPLE_MAX)))
            for number in range(self.made)
        ]


class DisposingOnSqlite(Disposing, OnSqlite):
    """The store in a file."""


class DisposingOnPostgres(Disposing, OnPostgres):
    """The store on a server."""


TestSqliteDisposals = DisposingOnSqlite.TestCase
TestPostgresDisposals = DisposingOnPostgres.TestCase
TestSqliteDisposals.settings = settings(SETTINGS, max_examples=EXAMPLES)
TestPostgresDisposals.settings = settings(SETTINGS, max_examples=-(-EXAMPLES // 5))

"""
Any changes, crashes of consumers and gateway, and forgetting: what watchers see is the model.

A consumer has seen everything from where it began, at least once, each time the same, in order for
each enrollee; or it was told that what it wanted is no longer kept.
"""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import Coroutine
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from gateway.domain.errors import Conflict
from gateway.domain.feed import (
    ChangeEvent,
    ChangeKind,
    EnrolleeChange,
    Event,
    decode_cursor,
    encode_cursor,
)
from gateway.domain.identifiers import InsurerNumber
from gateway.domain.period import Instant
from gateway.domain.purpose import Role
from gateway.policy import published_policy
from gateway.store.memory import MemoryAccesses, MemoryStore
from gateway.store.port import Batch, NewVersion
from gateway.store.port_feed import Stream
from gateway.store.records import encode_coverage
from gateway.store.sqlite import SqliteChanges, SqliteStore
from gateway.usecases.context import Caller, Context
from gateway.usecases.door import Door
from gateway.usecases.watch_changes import ChangeWatch, Page
from gateway.usecases.watchers import Watchers, WatchLimits
from loadtests.state_engines import empty_database
from tests.store.batches import INSURER, UPLOAD_KEY, cover, enrollee, next_version, person
from tests.store.test_stateful import EXAMPLES

INSURERS = (INSURER, InsurerNumber("00138057"))
ADAPTERS = ("memory", "sqlite")
NOW = Instant(1_800_000_000_000_000)
LIMITS = WatchLimits(3, 0.0, 0.001, 99, 99)

Result = TypeVar("Result")
ADAPTER, INSURER_NO = st.sampled_from(ADAPTERS), st.integers(0, len(INSURERS) - 1)


@dataclass(slots=True)
class Consumer:
    """What one consumer remembers durably, and everything it ever saw."""

    cursor: str = ""
    began: int = 0
    """The sequence before the first event it is entitled to."""
    sequence: int = 0
    seen: dict[int, ChangeEvent] = field(default_factory=dict)


class Watching(RuleBasedStateMachine):
    """Two stores told the same, and for each insurer a consumer of either."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.folder = Path(tempfile.mkdtemp())
        self.database = self.folder / "gateway.db"
        self.database.write_bytes(empty_database())
        self.memory = MemoryStore(encode_coverage)
        self.now = 1_000
        self.versions = [1] * 6
        self.truth: dict[InsurerNumber, list[tuple[int, int, bytes]]] = {i: [] for i in INSURERS}
        """Of each insurer: instant, kinds and enrollee of every change, in order."""
        self.consumers = {(a, i): Consumer() for a in ADAPTERS for i in range(len(INSURERS))}
        self.accesses = MemoryAccesses()
        self._open()

    def run(self, work: Coroutine[Any, Any, Result]) -> Result:
        """Run to the end."""
        return self.loop.run_until_complete(work)

    def _open(self) -> None:
        self.sqlite = SqliteStore(self.database, encode_coverage)
        self.changes = SqliteChanges(self.database)
        self.feeds = {
            "memory": self._feed(self.memory),
            "sqlite": self._feed(self.changes),
        }

    def _feed(self, stream: Stream[Event]) -> ChangeWatch:
        door = Door(published_policy(), self.accesses)
        watchers = Watchers(LIMITS, asyncio.Event())
        return ChangeWatch({Role.INSURER: stream}, door, watchers, lambda: NOW)

    def _close(self) -> None:
        self.run(self.changes.close())
        self.run(self.sqlite.close())

    def teardown(self) -> None:
        """Let everybody catch up, and hold what they saw against the truth."""
        try:
            for (adapter, number), consumer in self.consumers.items():
                self.read(adapter, number, 10**6, is_killed=False)
                truth = self.truth[INSURERS[number]]
                assert list(range(consumer.began + 1, len(truth) + 1)) == sorted(consumer.seen)
        finally:
            self._close()
            self.loop.close()
            shutil.rmtree(self.folder)

    @rule(whose=st.lists(st.integers(0, 5), min_size=1, max_size=6, unique=True))
    def commit(self, whose: list[int]) -> None:
        """Change some enrollees; even ones are the first insurer's, odd ones the second's."""
        self.now += 1
        batch = Batch(Instant(self.now))
        for one in whose:
            insurer = INSURERS[one % 2]
            version = cover(recorded=self.now)
            for number in range(1, self.versions[one]):
                version = next_version(version, self.now, f"v{number}")
            kind = ChangeKind.CHANGED if self.versions[one] > 1 else ChangeKind.ACQUIRED
            self.versions[one] += 1
            batch.versions.append(NewVersion(enrollee(one), insurer, version, UPLOAD_KEY, 2))
            batch.changes.append(
                EnrolleeChange(
                    enrollee(one), insurer, person(one), kind.value, 1, version.version_no
                )
            )
            self.truth[insurer].append((self.now, kind.value, person(one)))
        self.run(self.memory.commit(batch))
        self.run(self.sqlite.commit(batch))

    @rule(adapter=ADAPTER, number=INSURER_NO, pages=st.integers(1, 4), is_killed=st.booleans())
    def read(self, adapter: str, number: int, pages: int, *, is_killed: bool) -> None:
        """Handle some pages; a consumer that is killed handled the last and forgets that it did."""
        consumer = self.consumers[adapter, number]
        try:
            told = self.run(self._pages(adapter, number, consumer.cursor, pages))
        except Conflict:
            self._begin_again(adapter, number, consumer)
            return
        for place, page in enumerate(told):
            self._see(consumer, page)
            if not (is_killed and place == len(told) - 1):
                consumer.cursor = encode_cursor(page.cursor)
                consumer.sequence = page.cursor.sequence

    def _begin_again(self, adapter: str, number: int, consumer: Consumer) -> None:
        kept = self.run(self.memory.ends(INSURERS[number].zero_padded, 0))
        assert consumer.sequence + 1 < kept.first, adapter
        consumer.cursor, consumer.seen = "", {}
        consumer.began = consumer.sequence = kept.first - 1
        self.read(adapter, number, 10**6, is_killed=False)

    def _see(self, consumer: Consumer, page: Page) -> None:
        if not consumer.cursor:
            # The opening heartbeat says where the stream begins.
            consumer.began = consumer.sequence = page.previous_sequence
        assert page.previous_sequence <= max([consumer.sequence, *consumer.seen])
        assert [one.sequence for one in page.events] == list(
            range(page.previous_sequence + 1, page.cursor.sequence + 1)
        )
        for event in page.events:
            assert isinstance(event, ChangeEvent)
            assert consumer.seen.setdefault(event.sequence, event) == event

    async def _pages(self, adapter: str, number: int, token: str, pages: int) -> list[Page]:
        caller = Caller(Role.INSURER, INSURERS[number].zero_padded)
        context = Context(caller, NOW, "FeedService/WatchChanges")
        cursor = decode_cursor(token) if token else None
        told: list[Page] = []
        feed = self.feeds[adapter].watch(cursor, context, is_from_now=False)
        is_open = False
        async for page in feed:
            if is_open and not page.events:
                break
            is_open = True
            told.append(page)
            if len(told) > pages:
                break
        await feed.aclose()
        return told[1:] if token else told

    @rule()
    def restart(self) -> None:
        """The gateway ends and begins anew."""
        self._close()
        self._open()

    @rule(back=st.integers(0, 6))
    def forget(self, back: int) -> None:
        """Forget what is older than some commits."""
        before = Instant(self.now - back)
        self.memory.forget_changes(before)
        while self.run(self.sqlite.forget_changes(before, 2)):
            pass

    @invariant()
    def what_was_seen_is_what_happened(self) -> None:
        """Each event is the change of that place, so each enrollee's are in their order."""
        for (_, number), consumer in self.consumers.items():
            truth = self.truth[INSURERS[number]]
            for sequence, event in consumer.seen.items():
                expected = truth[sequence - 1]
                assert expected == (event.recorded_time, event.kinds.value, event.person_key)


TestWatching = Watching.TestCase
TestWatching.settings = settings(
    max_examples=EXAMPLES,
    stateful_step_count=25,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)

"""
A reader with a replica of its PostgreSQL, which answers lookups while it is fresh enough.

Only the two hot reads are asked of the replica. Everything else, and each lookup that the replica
does not answer in time or not freshly, is asked of the primary. Source: decision 0030.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import date
from typing import TYPE_CHECKING, Any, Final

import asyncpg
from msgspec import Struct

from gateway.domain.card import CardKey
from gateway.domain.compact import CompactHistory, Render
from gateway.domain.errors import Unavailable
from gateway.domain.identifiers import LookupKey
from gateway.store import sql, sql_replica
from gateway.store.by_steps import ENROLLEES_A_PERSON_MAX, holder_known, last_known
from gateway.store.freshness import ASKED_A_BOUND, Freshness, Shown
from gateway.store.port import CardHolder
from gateway.store.port_answers import HolderKnown, LastKnown
from gateway.store.postgres import READ_PLACES, PostgresReader
from gateway.store.postgres_pool import Places, Pool
from gateway.store.records import StoreTooNew, StoreTooOld, require_format
from gateway.store.steps import Row

if TYPE_CHECKING:
    Connection = asyncpg.Connection[asyncpg.Record]

WATCH_PLACES: Final = Places(connections_max=1, statement_s_max=1.0)
"""To ask the primary what it shows; lookups do not keep it waiting."""
REPLICA_PLACES: Final = Places(connections_max=8, statement_s_max=1.0)
"""A replica that hangs must not hold a lookup for long: the primary is there."""
LOOKUPS_MAX: Final = REPLICA_PLACES.connections_max - 1
"""Lookups a replica is asked at once; further ones go to the primary. One place is for polls."""
LOOK_S_MAX: Final = 0.5
"""How long it takes at most, by itself, to notice that a server is back or has changed its part."""
REPORT_S: Final = 60.0
"""How often it is reported how many lookups went where."""

BEHIND: Final = "Behind"
NOT_A_REPLICA: Final = "NotAReplica"


class Report(Struct, frozen=True):
    """What became of lookups since the report before."""

    on_replica: int
    on_primary: int
    failed: Mapping[str, int]
    """How often the replica failed, by why: `BEHIND`, `NOT_A_REPLICA`, or an error's name."""
    age_s: float | None
    """How old the replica's state was at most when it was last looked at; None: nobody can tell."""


class ReplicaRules(Struct, frozen=True):
    """How old a replica's state may be, by which clock, and who hears how it goes."""

    bound_s: float
    clock_s: Callable[[], float]
    """Seconds that never go back, and go on while the machine sleeps."""
    on_report: Callable[[Report], None]


class Replica:
    """
    A hot standby, asked for as long as what it shows is fresh.

    Once it fails, or shows too old a state, it is left alone until a poll finds it fresh.
    """

    def __init__(self, watch: Pool, pool: Pool, rules: ReplicaRules) -> None:
        self._watch = watch
        self._pool = pool
        self._rules = rules
        self._clock_s = rules.clock_s
        self._freshness = Freshness(rules.bound_s)
        self._is_used = False
        self._asking = 0
        self._counts: Counter[bool] = Counter()
        self._failed: Counter[str] = Counter()
        self._age_s: float | None = None
        self._reported_s = self._clock_s()
        self._tasks: list[asyncio.Task[None]] = []

    @classmethod
    async def opened(cls, primary: str, replica: str, rules: ReplicaRules) -> Replica:
        """Prepare to ask; neither needs to be there yet. It looks at nothing before `start`."""
        watch = await Pool.opened(primary, WATCH_PLACES, "onshi-freshness", is_current=False)
        pool = await Pool.opened(
            replica, REPLICA_PLACES, "onshi-replica", is_current=False, elect=_require_form
        )
        return cls(watch, pool, rules)

    def start(self) -> None:
        """Look at primary and replica from now on, each by itself: neither waits for the other."""
        every_s = min(self._rules.bound_s / ASKED_A_BOUND, LOOK_S_MAX)
        looks = (self.look_at_primary, self.look_at_replica)
        self._tasks = [asyncio.create_task(_keep(look, every_s)) for look in looks]

    async def close(self) -> None:
        """Stop looking, report, and close the connections."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._report()
        await self._watch.close()
        await self._pool.close()

    async def answer(self, statement: str, *values: Any) -> list[Row] | None:
        """
        Give the rows of a hot read without what they prove, or None: then ask the primary.

        Args:
            statement: One of `sql_replica`, which gives at least one row.
        """
        begun_s = self._clock_s()
        is_free = self._is_used and self._asking < LOOKUPS_MAX
        rows = None
        if is_free and self._freshness.is_known(begun_s):
            rows = await self._fetched(statement, *values)
            if rows is not None and not self._is_fresh(_shown(rows[0]), begun_s):
                rows = None
        self._counts[rows is not None] += 1
        return None if rows is None else [tuple(row)[:-2] for row in rows]

    async def look_at_primary(self) -> None:
        """Ask the primary what it shows, and note from when on that must have been so."""
        asked_s = self._clock_s()
        try:
            rows = await self._watch.fetch(sql_replica.SHOWN)
        except (Unavailable, asyncpg.PostgresError):
            return
        for row in rows:
            self._freshness.note(asked_s, Shown(*row))

    async def look_at_replica(self) -> None:
        """Ask the replica what it shows, and use it from now on if that is fresh, or else not."""
        begun_s = self._clock_s()
        if begun_s - self._reported_s >= REPORT_S:
            self._report()
        rows = await self._fetched(sql_replica.SHOWN)
        if rows is None:
            self._age_s = None
            return
        shown = Shown(*rows[0])
        self._age_s = self._freshness.age_s(shown, begun_s)
        if self._freshness.is_known(begun_s) and self._is_fresh(shown, begun_s):
            self._is_used = True

    async def _fetched(self, statement: str, *values: Any) -> list[Row] | None:
        self._asking += 1
        try:
            rows = await self._pool.fetch(statement, *values)
        except (Unavailable, StoreTooOld, StoreTooNew, asyncpg.PostgresError) as error:
            self._leave(type(error.__cause__ or error).__name__)
            return None
        finally:
            self._asking -= 1
        if not rows:  # The primary was just made, and its copy has not even that.
            self._leave(BEHIND)
            return None
        return rows

    def _is_fresh(self, shown: Shown, begun_s: float) -> bool:
        if self._freshness.is_fresh(shown, begun_s):
            return True
        self._leave(BEHIND if shown.is_replica else NOT_A_REPLICA)
        return False

    def _leave(self, why: str) -> None:
        self._failed[why] += 1
        self._is_used = False

    def _report(self) -> None:
        report = Report(self._counts[True], self._counts[False], dict(self._failed), self._age_s)
        self._counts.clear()
        self._failed.clear()
        self._reported_s = self._clock_s()
        self._rules.on_report(report)


class ReplicaReader(PostgresReader):
    """`Reading` from a database whose lookups a replica may answer."""

    def __init__(self, pool: Pool, render: Render, replica: Replica) -> None:
        super().__init__(pool, render)
        self._replica = replica

    @classmethod
    async def beside(
        cls, primary: str, replica: str, render: Render, rules: ReplicaRules
    ) -> ReplicaReader:
        """
        Open a database and its replica, which need not be there, and begin to look at both.

        Raises:
            StoreTooOld: As `PostgresReader.opened`.
            StoreTooNew: As `PostgresReader.opened`.
            Unavailable: `STORE_UNAVAILABLE` if the primary cannot be reached.
        """
        pool = await Pool.opened(primary, READ_PLACES, "onshi-reads")
        standby = await Replica.opened(primary, replica, rules)
        standby.start()
        return cls(pool, render, standby)

    async def close(self) -> None:
        """Close the connections."""
        await self._replica.close()
        await super().close()

    async def matching_last(self, key: LookupKey, birth_date: date, people_max: int) -> LastKnown:
        """See `Answering`; from the replica while that is fresh."""
        rows_max = people_max * ENROLLEES_A_PERSON_MAX + 1
        rows = await self._replica.answer(
            sql_replica.MATCHING_SHOWN, key, birth_date.isoformat(), rows_max
        )
        if rows is None:
            return await super().matching_last(key, birth_date, people_max)
        return last_known(rows, people_max)

    async def by_card_last(self, card_key: CardKey) -> HolderKnown:
        """See `Answering`; from the replica while that is fresh."""
        rows = await self._replica.answer(sql_replica.BY_CARD_SHOWN, card_key)
        if rows is None:
            return await super().by_card_last(card_key)
        return holder_known(rows[0])

    async def matching(
        self, key: LookupKey, birth_date: date, people_max: int
    ) -> Sequence[CompactHistory]:
        """See `Reading`; what goes on from it is read from the primary, so this is too."""
        return (await super().matching_last(key, birth_date, people_max)).people

    async def by_card(self, card_key: CardKey) -> CardHolder | None:
        """See `Reading`; as `matching`."""
        return (await super().by_card_last(card_key)).holder


async def _keep(look: Callable[[], Awaitable[None]], every_s: float) -> None:
    while True:
        await look()
        await asyncio.sleep(every_s)


def _shown(row: Row) -> Shown:
    """What a row of a hot read proves."""
    return Shown(row[0], row[-2], row[-1])


async def _require_form(connection: Connection) -> None:
    """Refuse a connection to a replica that has not replayed the last migration yet."""
    rows = await connection.fetch(sql.FORMAT)
    if not rows:
        raise StoreTooOld("there are no tables yet: migrate first")
    require_format(*rows[0])

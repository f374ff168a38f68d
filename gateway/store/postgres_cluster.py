"""
The store on a Citus cluster: PostgreSQL's, but for the hot reads and the order of a commit.

A commit touches several places and is seen at one before it is seen at another. So the writer says
in `meta`, which is at one place, that a commit comes, makes it, and says that it is whole. Readers
believe what is said there and nothing else. Source: decision 0029.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date

from gateway.domain.card import CardKey
from gateway.domain.compact import Render
from gateway.domain.errors import Unavailable
from gateway.domain.explanation import Facts
from gateway.domain.identifiers import LookupKey, PersonKey
from gateway.domain.period import Instant
from gateway.store import sql_cluster, steps_cluster, steps_why
from gateway.store.port import Batch
from gateway.store.port_answers import HolderKnown, LastKnown
from gateway.store.postgres import READ_PLACES, PostgresReader, PostgresStore
from gateway.store.postgres_pool import Places, Pool
from gateway.store.postgres_writer import Election
from gateway.store.steps import Result, Steps
from gateway.store.steps_batch import Passed, written

ASKING_PLACES = Places(connections_max=1, statement_s_max=READ_PLACES.statement_s_max)


class ClusterReader(PostgresReader):
    """`Reading` from a cluster that another process may be writing."""

    async def matching_last(self, key: LookupKey, birth_date: date, people_max: int) -> LastKnown:
        """See `Answering`."""
        steps = steps_cluster.matching_last(key, birth_date, people_max, self._render)
        return await self._pool.take(steps)

    async def by_card_last(self, card_key: CardKey) -> HolderKnown:
        """See `Answering`."""
        return await self._pool.take(steps_cluster.by_card_last(card_key, self._render))

    async def facts_of(
        self,
        key: LookupKey,
        birth_date: date,
        known: Instant | None,
        versions_max: int,
        people_max: int,
    ) -> Facts:
        """See `Explaining`; of now is as of the last whole commit."""

        def steps() -> Steps[Facts]:
            last = (yield from steps_cluster.commits()).published
            moment = last if known is None else known
            return (
                yield from steps_why.facts_of(key, birth_date, moment, versions_max, people_max)
            )

        return await self._read(steps())

    async def facts_of_person(
        self, person_key: PersonKey, versions_max: int, enrollees_max: int
    ) -> Facts:
        """See `Explaining`; as of the last whole commit."""

        def steps() -> Steps[Facts]:
            last = (yield from steps_cluster.commits()).published
            return (
                yield from steps_why.facts_of_person(person_key, versions_max, enrollees_max, last)
            )

        return await self._read(steps())


class ClusterStore(ClusterReader, PostgresStore):
    """
    `Writing`: the one writer of a cluster.

    While it is not known whether the last commit is whole, or will ever be, nothing more is
    written, and the writer does not read what it would decide on.
    """

    def __init__(self, reads: Pool, writes: Pool, election: Election, render: Render) -> None:
        super().__init__(reads, writes, election, render)
        self._is_in_doubt = True
        """At first of the writer before."""

    async def _read_as_writer(self, steps: Steps[Result]) -> Result:
        await self._settle()
        return await super()._read_as_writer(steps)

    async def _commit(self, batch: Batch) -> list[Passed]:
        await self._settle()
        await self._say(sql_cluster.ANNOUNCE, batch.recorded_time, batch.recorded_time)
        try:
            passed, is_whole = await self._kept(batch)
        except BaseException:
            if not self._is_in_doubt:  # It was taken back before it could be kept anywhere.
                await self._say(sql_cluster.RETRACT)
            raise
        if not is_whole:
            raise Unavailable("STORE_UNAVAILABLE")
        await self._say(sql_cluster.PUBLISH)
        self._is_in_doubt = False
        return passed

    async def _kept(self, batch: Batch) -> tuple[list[Passed], bool]:
        """Write a batch; tell whether it is to be seen in every place."""
        warnings: list[str] = []

        def steps() -> Steps[list[Passed]]:
            passed = yield from written(batch, self._render, self.lag_rules)
            self._is_in_doubt = True  # From now on it may be kept, whatever is heard of it.
            return passed

        # A place that was lost after it had promised to commit is told in a warning, no error.
        return await self._write(steps(), warnings.append), not warnings

    async def _settle(self) -> None:
        """
        Find out, if it is not known, that everything announced is either whole or gone for ever.

        Raises:
            Unavailable: `STORE_UNAVAILABLE` while a place cannot be asked, or has not ended it.
        """
        if not self._is_in_doubt:
            return
        if not (await self._read_commits()).is_whole:
            await self._say(sql_cluster.RECOVER)
            places = await self._writes.fetch(sql_cluster.UNFINISHED)
            if any((is_told, count) != (True, "0") for is_told, count in places):
                raise Unavailable("STORE_UNAVAILABLE")
            await self._say(sql_cluster.PUBLISH)
        self._is_in_doubt = False

    async def _read_commits(self) -> steps_cluster.Commits:
        return await self._writes.take(steps_cluster.commits())

    async def _say(self, statement: str, *values: Instant) -> None:
        await self._writes.fetch(statement, *values)


async def is_cluster(url: str) -> bool:
    """
    Whether a database's tables are spread over a cluster.

    Raises:
        Unavailable: `STORE_UNAVAILABLE`.
    """
    pool = await Pool.opened(url, ASKING_PLACES, "onshi-asks", is_current=False)
    try:
        return bool(
            await pool.fetch(sql_cluster.HAS_EXTENSION) and await pool.fetch(sql_cluster.IS_SPREAD)
        )
    finally:
        await pool.close()


async def reader(url: str, render: Render) -> PostgresReader:
    """Open a database to read, whichever it is; raises as `PostgresReader.opened`."""
    kind = ClusterReader if await is_cluster(url) else PostgresReader
    return await kind.opened(url, render)


async def elected(
    url: str, render: Render, life: str, on_waiting: Callable[[], None] = lambda: None
) -> PostgresStore:
    """Wait for a database's place of a writer, whichever it is; as `PostgresStore.elected`."""
    kind = ClusterStore if await is_cluster(url) else PostgresStore
    return await kind.elected(url, render, life, on_waiting)

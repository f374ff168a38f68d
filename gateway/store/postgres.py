"""
The store on PostgreSQL, through asyncpg: the same port, steps and statements as on SQLite.

A lookup is one statement over a pooled connection. The one writer has connections of its own.
Source: house 11 (engines).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date
from typing import Final

import asyncpg

from gateway.domain.card import CardKey
from gateway.domain.compact import Render
from gateway.domain.coverage import History
from gateway.domain.identifiers import LookupKey, PersonKey
from gateway.domain.lag import LagRules
from gateway.store import sql, sql_answers
from gateway.store.by_steps import (
    ENROLLEES_A_PERSON_MAX,
    StepReader,
    StepStore,
    holder_known,
    last_known,
)
from gateway.store.by_steps_beside import StepChanges, StepFilings
from gateway.store.port_answers import HolderKnown, LastKnown
from gateway.store.postgres_pool import Places, Pool
from gateway.store.postgres_writer import Election, elected
from gateway.store.records import ImpossibleBatch, decode_history
from gateway.store.steps import Result, Steps

READ_PLACES: Final = Places(connections_max=8, statement_s_max=5.0)
REPORT_PLACES: Final = Places(connections_max=2, statement_s_max=60.0)


class PostgresReader(StepReader):
    """`Reading` from a database that another process may be writing."""

    def __init__(self, pool: Pool, render: Render) -> None:
        self._pool = pool
        self._render = render

    @classmethod
    async def opened(cls, url: str, render: Render, places: Places = READ_PLACES) -> PostgresReader:
        """
        Open a database.

        Args:
            url: As `postgresql://user@host/database`.

            render: Spells the sheets of compact histories.

        Raises:
            StoreTooOld: As `Pool.opened`.
            StoreTooNew: As `Pool.opened`.
            Unavailable: `STORE_UNAVAILABLE`.
        """
        return cls(await Pool.opened(url, places, "onshi-reads"), render)

    async def close(self) -> None:
        """Close the connections."""
        await self._pool.close()

    async def matching_last(self, key: LookupKey, birth_date: date, people_max: int) -> LastKnown:
        """See `Answering`."""
        rows = await self._pool.fetch(
            sql_answers.MATCHING_LAST,
            key,
            birth_date.isoformat(),
            people_max * ENROLLEES_A_PERSON_MAX + 1,
        )
        return last_known(rows, people_max)

    async def by_card_last(self, card_key: CardKey) -> HolderKnown:
        """See `Answering`."""
        (row,) = await self._pool.fetch(sql_answers.BY_CARD_LAST, card_key)
        return holder_known(row)

    async def cards_of(self, person_key: PersonKey, cards_max: int) -> Sequence[CardKey]:
        """See `Reading`."""
        rows = await self._pool.fetch(sql.CARDS_OF, person_key, cards_max)
        return [card_key for (card_key,) in rows]

    async def history_of(self, person_key: PersonKey) -> History | None:
        """See `Reading`."""
        for (body,) in await self._pool.fetch(sql.HISTORY, person_key):
            return decode_history(body)
        return None

    async def _read(self, steps: Steps[Result]) -> Result:
        return await self._pool.read(steps)


class PostgresStore(PostgresReader, StepStore):
    """`Writing`: the one writer of a database."""

    def __init__(self, reads: Pool, writes: Pool, election: Election, render: Render) -> None:
        super().__init__(reads, render)
        self._writes = writes
        self.deposed = election.deposed
        self.lag_rules = LagRules()
        self.on_passed = None
        self.on_changed = None

    @classmethod
    async def elected(
        cls, url: str, render: Render, life: str, on_waiting: Callable[[], None] = lambda: None
    ) -> PostgresStore:
        """
        Wait until this is the one writer of a database, and open it.

        Args:
            life: Tells this writer from every other there is or was.

            on_waiting: Called once if another gateway writes.

        Raises:
            StoreTooOld: As `Pool.opened`.
            StoreTooNew: As `Pool.opened`.
            Unavailable: `STORE_UNAVAILABLE`.
        """
        reads = await Pool.opened(url, READ_PLACES, "onshi-writer-reads")
        election = Election(life)
        try:
            writes = await elected(url, election, on_waiting)
        except BaseException:
            await reads.close()
            raise
        return cls(reads, writes, election, render)

    async def close(self) -> None:
        """Close the connections."""
        await super().close()
        await self._writes.close()

    async def _read_as_writer(self, steps: Steps[Result]) -> Result:
        return await self._writes.read(steps)

    async def _write(
        self, steps: Steps[Result], on_warning: Callable[[str], None] | None = None
    ) -> Result:
        try:
            return await self._writes.write(steps, on_warning)
        except asyncpg.UniqueViolationError:
            raise ImpossibleBatch("a version of a cover is there already") from None


class PostgresFilings(StepFilings):
    """`Filings` over connections of their own."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    @classmethod
    async def opened(cls, url: str) -> PostgresFilings:
        """Open a database, as `PostgresReader`."""
        return cls(await Pool.opened(url, REPORT_PLACES, "onshi-reports"))

    async def close(self) -> None:
        """See `StepFilings`."""
        await self._pool.close()

    async def _read(self, steps: Steps[Result]) -> Result:
        return await self._pool.read(steps)


class PostgresChanges(StepChanges):
    """Insurers' streams over connections of their own."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    @classmethod
    async def opened(cls, url: str) -> PostgresChanges:
        """Open a database, as `PostgresReader`."""
        return cls(await Pool.opened(url, REPORT_PLACES, "onshi-feed"))

    async def close(self) -> None:
        """See `StepChanges`."""
        await self._pool.close()

    async def _read(self, steps: Steps[Result]) -> Result:
        return await self._pool.read(steps)

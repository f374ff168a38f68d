"""
Who writes: of all gateways on one database, the one whose connection holds the writer's lock.

The lock belongs to the connection, and everything is written over that connection. So a writer that
lost it can write nothing more, however late it learns so, and the server gives the lock to another
one as soon as it sees the connection end. `meta.writer_life` tells a writer that connects again
whether somebody wrote in between. It is another one for each connection, so that whatever was
written under the same is of one server and in one order. Sources: decisions 0025 and 0030.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from gateway.domain.errors import Unavailable
from gateway.store import sql
from gateway.store.postgres_pool import Places, Pool, spelled

if TYPE_CHECKING:
    import asyncpg

LOCK: Final = 0x6F6E_7368_6977
"""Of PostgreSQL's advisory locks: whoever writes a database holds it."""
PLACES: Final = Places(connections_max=1, statement_s_max=60.0)
POLL_S: Final = 0.1
"""How often a writer in waiting asks for the lock."""
_OF: Final = "/"
"""Between a writer's life and the number of its connection."""


class NotElected(Unavailable):
    """Another gateway writes, or has written since this one did."""


class Election:
    """
    Lets a connection write only while it holds the lock; there is one for a writer's life.

    Args:
        life: Tells this writer from every other there is or was.
    """

    def __init__(self, life: str) -> None:
        self._life = life
        self._is_elected = False
        self._connections = 0
        self.deposed = asyncio.Event()
        """Set once another gateway has written; what this writer holds in memory is of the past."""

    async def elect(self, connection: asyncpg.Connection[asyncpg.Record]) -> None:
        """
        Take the lock for a fresh connection.

        Raises:
            NotElected: Another has it, or had it since this writer lost it.
        """
        if not await connection.fetchval(sql.TRY_WRITERS_LOCK, LOCK):
            raise NotElected("WRITER_UNAVAILABLE")
        if self._is_elected and not await self._was_last(connection):
            self.deposed.set()
            raise NotElected("WRITER_UNAVAILABLE")
        self._connections += 1
        of_connection = f"{self._life}{_OF}{self._connections}"
        await connection.execute(spelled(sql.SET_WRITER_LIFE), of_connection)
        self._is_elected = True

    async def _was_last(self, connection: asyncpg.Connection[asyncpg.Record]) -> bool:
        """Whether nobody wrote since this writer did."""
        last: str = await connection.fetchval(sql.WRITER_LIFE)
        return last.rpartition(_OF)[0] == self._life


async def elected(url: str, election: Election, on_waiting: Callable[[], None]) -> Pool:
    """
    Wait until this is the writer, and give the one connection that writes.

    Args:
        on_waiting: Called once if another gateway writes.

    Raises:
        StoreTooOld: As `Pool.opened`.
        StoreTooNew: As `Pool.opened`.
        Unavailable: `STORE_UNAVAILABLE` if the server cannot be reached while none waits yet.
    """
    is_waiting = False
    while True:
        try:
            return await Pool.opened(url, PLACES, "onshi-writer", elect=election.elect)
        except NotElected:
            if not is_waiting:
                on_waiting()
            is_waiting = True
        except Unavailable:
            if not is_waiting:
                raise
        await asyncio.sleep(POLL_S)

"""
PostgreSQL: connections, statements in its spelling, and steps taken over them.

Statements are spelled once with `?` and translated when they are first seen. Values that come many
at a time go over in one message: an array to compare with, or columns to insert.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Sequence
from contextlib import asynccontextmanager
from functools import lru_cache
from itertools import count
from typing import TYPE_CHECKING, Any, Final, Literal, cast

import asyncpg
from msgspec import Struct

from gateway.domain.errors import Unavailable
from gateway.store import sql, sql_cluster
from gateway.store.records import StoreTooOld, require_format
from gateway.store.steps import Fetch, FetchEach, Result, Row, Steps, Write

if TYPE_CHECKING:
    from asyncpg.pool import PoolConnectionProxy

    Connection = PoolConnectionProxy[asyncpg.Record]

STATEMENTS_CACHED: Final = 500
"""Statements each connection keeps prepared; there are fewer."""

_SESSION: Final = {
    "synchronous_commit": "on",
    "enable_seqscan": "off",
    "plan_cache_mode": "force_generic_plan",
    "jit": "off",
}
"""
How each connection works: a commit is safe once it returns, and every statement goes by an index.

A plan made while a table was small would read all of it, and would be kept when it has grown.
"""

QUERIES_A_CONNECTION_MAX: Final = 2**31 - 1
_OPENED_WHEN_NEEDED: Final[dict[str, Any]] = {
    "min_size": 0,
    "statement_cache_size": STATEMENTS_CACHED,
    "max_queries": QUERIES_A_CONNECTION_MAX,
}
IDLE_S_MAX: Final = 300.0
"""A connection nobody used for so long is closed, but for a writer's."""

Elect = Callable[["asyncpg.Connection[asyncpg.Record]"], Coroutine[Any, Any, None]]
"""Is given a fresh connection and raises if that may not be used."""

_AWAY: Final = (
    OSError,
    TimeoutError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # Of a connection that broke while it was used.
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,
    asyncpg.InsufficientResourcesError,
    asyncpg.TransactionRollbackError,
    asyncpg.ReadOnlySQLTransactionError,
)
"""What a server that is away, starting, stopping, full or only a replica makes of a statement."""

_NUMBERED: Final = re.compile(r"\?(\d+)")
_INSERT: Final = re.compile(
    r'\s*INSERT INTO (?P<table>"?\w+"?) \((?P<columns>[\w,\s]+)\)\s*VALUES \([?,\s]+\)(?P<rest>.*)',
    re.DOTALL,
)
_KEY_OF_A_SHARD: Final = re.compile(r"\b\w+_pkey_\d+\b")
_CONFLICT: Final = re.compile(r"ON CONFLICT \(([\w,\s]+)\)\s*DO UPDATE")


class Places(Struct, frozen=True):
    """How large a pool is, and how long it waits."""

    connections_max: int
    statement_s_max: float
    """How long one statement, or getting a connection, may take."""


class Beginning:
    """Makes fresh connections ready to be used."""

    def __init__(self, elect: Elect | None) -> None:
        self._elect = elect
        self.is_coordinated = False
        """Whether a coordinator was found at their other end."""

    async def begin(self, connection: asyncpg.Connection[asyncpg.Record]) -> None:
        """Find out who is there, and raise if the connection may not be used."""
        self.is_coordinated = bool(await connection.fetch(sql_cluster.BE_COORDINATED))
        if self._elect is not None:
            await self._elect(connection)


class Inserted(Struct, frozen=True):
    """How rows of a statement are inserted all at once."""

    statement: str
    unique: tuple[int, ...]
    """Places in a row of the columns that tell it from others; empty if it does not matter."""

    def columns(self, rows: Sequence[Row]) -> list[tuple[Any, ...]]:
        """Turn rows into columns; of rows that meet in a conflict the last is left."""
        if self.unique:
            rows = list({tuple(row[at] for at in self.unique): row for row in rows}.values())
        return list(zip(*rows, strict=True))


class Pool:
    """
    Connections to one database, opened as they are needed and again once they break.

    Raises from its methods:
        Unavailable: `STORE_UNAVAILABLE` if the server cannot be reached or does not answer in
            time. If that happened at a commit, it may have been kept all the same.
    """

    def __init__(
        self, pool: asyncpg.Pool[asyncpg.Record], places: Places, beginning: Beginning
    ) -> None:
        self._pool = pool
        self._beginning = beginning
        self._wait_s = places.statement_s_max
        self._inserts: dict[str, Inserted] = {}

    @classmethod
    async def opened(
        cls,
        url: str,
        places: Places,
        application: str,
        *,
        is_current: bool = True,
        schema: str | None = None,
        elect: Elect | None = None,
    ) -> Pool:
        """
        Open a pool on a database.

        Args:
            application: What the server's own lists call these connections.

            is_current: Whether the database must have this version's form.

            schema: Whose tables come before all others of their name.

            elect: Called with each fresh connection, which is used only if it does not raise.

        Raises:
            StoreTooOld: The database must be migrated first.
            StoreTooNew: A newer version of the gateway wrote it.
            Unavailable: `STORE_UNAVAILABLE`.
        """
        beginning = Beginning(elect)
        with reaching():
            made = await asyncpg.create_pool(
                url,
                **_OPENED_WHEN_NEEDED,
                max_size=places.connections_max,
                timeout=places.statement_s_max,
                command_timeout=places.statement_s_max,
                max_inactive_connection_lifetime=0 if elect else IDLE_S_MAX,
                init=beginning.begin,
                reset=_rolled_back,
                server_settings=_session(application, schema),
            )
        assert made is not None
        pool = cls(made, places, beginning)
        try:
            if is_current:
                await pool._require_current()
        except BaseException:
            made.terminate()
            raise
        return pool

    async def close(self) -> None:
        """Close the connections, whatever they are at."""
        self._pool.terminate()

    async def fetch(self, statement: str, *values: Any) -> list[Row]:
        """Give the rows of one statement."""
        with reaching():
            rows = await self._pool.fetch(spelled(statement), *values)
        return cast("list[Row]", rows)

    async def read(self, steps: Steps[Result]) -> Result:
        """Take steps that only read, at one moment of the database."""
        async with self._transaction("repeatable_read", is_read_only=True) as connection:
            return await self._taken(connection, steps)

    async def take(self, steps: Steps[Result]) -> Result:
        """Take steps that only read, each at a moment of its own and none before the last one."""
        with reaching():
            async with self._pool.acquire(timeout=self._wait_s) as connection:
                return await self._taken(connection, steps)

    async def write(
        self, steps: Steps[Result], on_warning: Callable[[str], None] | None = None
    ) -> Result:
        """
        Take steps in one transaction; nothing of it is kept if one fails.

        Args:
            on_warning: Told of what the server warns of meanwhile, up to and at the commit.
        """
        async with self._transaction(
            "read_committed", is_read_only=False, on_warning=on_warning
        ) as connection:
            return await self._taken(connection, steps)

    @asynccontextmanager
    async def _transaction(
        self,
        isolation: Literal["repeatable_read", "read_committed"],
        *,
        is_read_only: bool,
        on_warning: Callable[[str], None] | None = None,
    ) -> AsyncIterator[Connection]:
        with reaching():
            async with (
                self._pool.acquire(timeout=self._wait_s) as connection,
                _heard(connection, on_warning),
                connection.transaction(isolation=isolation, readonly=is_read_only),
            ):
                yield connection

    async def _taken(self, connection: Connection, steps: Steps[Result]) -> Result:
        rows: list[Row] = []
        try:
            step = next(steps)
            while True:
                match step:
                    case Fetch(statement, values):
                        found = await connection.fetch(spelled(statement), *values)
                        rows = cast("list[Row]", found)
                    case FetchEach(statement, several):
                        rows = await _fetched_each(connection, statement, several)
                    case Write(statement, several):
                        await self._written(connection, statement, several)
                        rows = []
                step = steps.send(rows)
        except StopIteration as end:
            result: Result = end.value
            return result

    async def _written(self, connection: Connection, statement: str, rows: Sequence[Row]) -> None:
        if not rows:
            return
        # A coordinator plans many rows that may be there already anew for each shard: a second.
        is_single = self._beginning.is_coordinated and "ON CONFLICT" in statement
        if len(rows) == 1 or is_single or _INSERT.fullmatch(statement) is None:
            await connection.executemany(spelled(statement), rows)
            return
        if statement not in self._inserts:
            prepared = await connection.prepare(spelled(statement))
            kinds = [kind.name for kind in prepared.get_parameters()]
            self._inserts[statement] = inserted(statement, kinds)
        insert = self._inserts[statement]
        try:
            await connection.execute(insert.statement, *insert.columns(rows))
        except asyncpg.InternalServerError as error:
            # A coordinator copies rows to shards, and tells what went wrong there without its kind.
            if _KEY_OF_A_SHARD.search(str(error)):
                raise asyncpg.UniqueViolationError(str(error)) from error
            raise

    async def _require_current(self) -> None:
        try:
            rows = await self.fetch(sql.FORMAT)
        except asyncpg.UndefinedTableError:
            raise StoreTooOld("there are no tables yet: migrate first") from None
        require_format(*rows[0])


def _session(application: str, schema: str | None) -> dict[str, str]:
    """What is said of a connection when it is opened."""
    path = {} if schema is None else {"search_path": f'{schema}, "$user", public'}
    return {"application_name": application, **_SESSION, **path}


@asynccontextmanager
async def _heard(
    connection: Connection, on_warning: Callable[[str], None] | None
) -> AsyncIterator[None]:
    """Listen to a server's warnings while the block runs."""
    if on_warning is None:
        yield
        return

    def hear(_connection: object, message: asyncpg.PostgresLogMessage) -> None:
        if message.severity_en == "WARNING":
            on_warning(message.message)

    connection.add_log_listener(hear)
    try:
        yield
    finally:
        connection.remove_log_listener(hear)


async def _rolled_back(connection: asyncpg.Connection[asyncpg.Record]) -> None:
    """
    Give a connection back as it was taken.

    asyncpg's own way costs a message each time, and gives up locks of the session.
    """
    if connection.is_in_transaction():
        await connection.execute("ROLLBACK")


class reaching:  # noqa: N801  reads as what it does
    """Tells what fails within because the server is away as `STORE_UNAVAILABLE`."""

    def __enter__(self) -> None:
        """Begin."""

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        """Translate."""
        if isinstance(error, _AWAY):
            raise Unavailable("STORE_UNAVAILABLE") from error


async def _fetched_each(
    connection: Connection, statement: str, several: Sequence[Row]
) -> list[Row]:
    if not several:
        return []
    if (at_once := spelled_for_all(statement)) is not None:
        found = await connection.fetch(at_once, [value for (value,) in several])
    else:
        found = await connection.fetchmany(spelled(statement), several)
    return cast("list[Row]", found)


@lru_cache(maxsize=STATEMENTS_CACHED)
def spelled(statement: str) -> str:
    """Number the placeholders of a statement, as PostgreSQL wants them."""
    if _NUMBERED.search(statement):
        return _NUMBERED.sub(r"$\1", statement)
    numbers = count(1)
    return re.sub(r"\?", lambda _: f"${next(numbers)}", statement)


@lru_cache(maxsize=STATEMENTS_CACHED)
def spelled_for_all(statement: str) -> str | None:
    """Spell a statement that compares one column with one value for an array of them, or None."""
    if statement.count("?") != 1 or statement.count("= ?") != 1 or "LIMIT" in statement:
        return None
    return statement.replace("= ?", "= ANY($1)")


def inserted(statement: str, kinds: Iterable[str]) -> Inserted:
    """Spell an insert of one row, whose values are of these kinds, for all rows at once."""
    parts = _INSERT.fullmatch(statement)
    assert parts is not None
    columns = [column.strip() for column in parts["columns"].split(",")]
    arrays = ", ".join(f"${at}::{kind}[]" for at, kind in enumerate(kinds, 1))
    whole = (
        f"INSERT INTO {parts['table']} ({', '.join(columns)}) "  # noqa: S608  our own statement
        f"SELECT * FROM unnest({arrays}) {parts['rest']}"
    )
    conflict = _CONFLICT.search(parts["rest"])
    unique = (
        ()
        if conflict is None
        else tuple(columns.index(column.strip()) for column in conflict[1].split(","))
    )
    return Inserted(whole, unique)

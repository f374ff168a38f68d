"""
The two sides of a move of all facts: a database that is read, and one that is filled.

Either engine can be either side. A database that is being filled carries the move's token, and
a format no gateway serves from, until its last row is there. Source: decision 0026.
"""

from __future__ import annotations

import contextlib
import sqlite3
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, cast

import asyncpg

from gateway.domain.compact import Render
from gateway.store import sql, sql_move
from gateway.store.by_steps import StepReader
from gateway.store.migrate import migrate
from gateway.store.migrate_postgres import migrate_postgres
from gateway.store.postgres import READ_PLACES, PostgresReader
from gateway.store.postgres_cluster import ClusterReader, is_cluster
from gateway.store.postgres_pool import Places, Pool, reaching, spelled
from gateway.store.postgres_writer import LOCK
from gateway.store.records import UNFINISHED, require_format
from gateway.store.sql_move import TABLES, MovedTable
from gateway.store.sqlite import SqliteReader
from gateway.store.sqlite_file import LONG_BUSY_MS, Line, connected, format_of, transaction
from gateway.store.sqlite_vault import made
from gateway.store.steps import Row

STATEMENT_S_MAX: Final = 600.0
"""How long one statement on a PostgreSQL may take, such as counting a table."""

VAULT_FILE: Final = "vault.db"
"""Where the vault of a file is, beside it."""

CONNECT_S_MAX: Final = 10.0
"""How long getting a connection to a PostgreSQL may take."""

CACHE_KIB: Final = 65_536
"""Pages of an SQLite database that a move may keep in memory."""


class ServerRefusedError(Exception):
    """A PostgreSQL does not let us in; its argument is PostgreSQL's name of why."""


class Side(ABC):
    """
    One database of a move, over a connection of its own.

    Raises from its methods:
        Unavailable: `STORE_UNAVAILABLE`.
    """

    name: str
    """Of the engine, as `gateway.app.engine` names it."""

    @abstractmethod
    async def fetch(self, statement: str, *values: Any) -> list[Row]:
        """Give the rows of one statement, whose values stand at `?`."""

    @abstractmethod
    async def replace(self, table: MovedTable, gone: Sequence[Row], rows: Sequence[Row]) -> None:
        """Remove the rows with some keys, then add rows; all of it or nothing."""

    @abstractmethod
    async def prepare(self) -> None:
        """
        Make tables if there are none.

        Raises:
            StoreTooOld: There are, in an older form.
            StoreTooNew: There are, in a newer form.
        """

    @abstractmethod
    async def begin(self, token: str) -> None:
        """Make the database one that is being filled by this move, and no gateway serves from."""

    @abstractmethod
    async def seal(self, meta: Row) -> None:
        """Have the database be whole, durably: nothing before it is lost then either."""

    @abstractmethod
    async def forget(self) -> None:
        """Take the move's token away."""

    @abstractmethod
    async def token(self) -> str | None:
        """Tell by which move the database is filled, or None."""

    @abstractmethod
    async def stamp(self) -> object:
        """Give a value that changes once somebody else writes."""

    @abstractmethod
    async def reader(self) -> StepReader:
        """Open what lookups read, whether the database is whole or not."""

    @abstractmethod
    async def close(self) -> None:
        """Close the connection."""

    async def held(self) -> bool:
        """Keep every other machine's writer away as long as this side is open, if none writes."""
        return True

    @abstractmethod
    async def analyze(self) -> None:
        """Have the engine learn how its tables are filled, where its plans depend on it."""

    async def page(self, table: MovedTable, after: Row | None, rows_max: int) -> list[Row]:
        """Give rows in order of their keys, those after a key, or the first ones."""
        if after is None:
            return await self.fetch(sql_move.first_page(table), rows_max)
        return await self.fetch(sql_move.next_page(table), *after, rows_max)

    async def count(self, table: MovedTable) -> int:
        """Count a table's rows."""
        return int((await self.fetch(sql_move.count(table)))[0][0])

    async def meta(self) -> Row:
        """Give the one row of `meta`, without its key."""
        return (await self.fetch(sql_move.GET_META))[0]

    async def is_empty(self) -> bool:
        """Whether no table holds a row; there must be tables."""
        for table in TABLES:
            if await self.fetch(sql_move.any_row(table)):
                return False
        return True


class SqliteSide(Side):
    """An SQLite database."""

    name = "sqlite"

    def __init__(self, database: Path, render: Render, mode: str) -> None:
        self._database = database
        self._render = render
        self._connection = connected(database, mode, LONG_BUSY_MS)
        self._connection.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
        vault = database.with_name(VAULT_FILE)
        if vault.exists():
            uri = f"{vault.absolute().as_uri()}?mode={mode}"
            self._connection.execute(sql_move.ATTACH_VAULT, (uri,))
        else:
            self._connection.execute(sql_move.ATTACH_VAULT, (":memory:",))
            self._connection.execute(sql_move.NO_VAULT)
        self._line = Line(self._connection, "move")

    @classmethod
    def source(cls, database: Path, render: Render) -> SqliteSide:
        """
        Open a database to read from.

        Raises:
            StoreTooOld: It must be brought to this version first.
            StoreTooNew: A newer version of the gateway wrote it.
            FileNotFoundError: There is none.
        """
        if not database.exists():
            raise FileNotFoundError(database)
        side = cls(database, render, "ro")
        require_format(*format_of(side._connection))
        return side

    @classmethod
    def target(cls, database: Path, render: Render) -> SqliteSide:
        """Open a database to fill; it is created if there is none."""
        if not database.exists():
            migrate(database, render)
        made(database.with_name(VAULT_FILE))
        side = cls(database, render, "rw")
        side._connection.execute("PRAGMA synchronous = NORMAL")
        return side

    async def prepare(self) -> None:
        """See `Side`."""
        require_format(*await self._line.run(format_of))

    async def fetch(self, statement: str, *values: Any) -> list[Row]:
        """See `Side`."""
        return await self._line.run(lambda line: line.execute(statement, values).fetchall())

    async def replace(self, table: MovedTable, gone: Sequence[Row], rows: Sequence[Row]) -> None:
        """See `Side`."""

        def work(line: sqlite3.Connection) -> None:
            with transaction(line):
                line.executemany(sql_move.remove(table), gone)
                line.executemany(sql_move.add(table), rows)

        await self._line.run(work)

    async def begin(self, token: str) -> None:
        """See `Side`."""

        def work(line: sqlite3.Connection) -> None:
            with transaction(line):
                line.execute(sql_move.DROP_MOVE)
                line.execute(sql_move.MAKE_MOVE)
                line.execute(sql_move.ADD_MOVE, (token,))
                line.execute(sql.SET_PROJECTION_FORMAT, (UNFINISHED,))

        await self._line.run(work)

    async def seal(self, meta: Row) -> None:
        """See `Side`."""

        def work(line: sqlite3.Connection) -> None:
            line.execute("PRAGMA synchronous = FULL")
            line.execute(sql_move.PUT_META, meta)

        await self._line.run(work)

    async def forget(self) -> None:
        """See `Side`."""
        await self._line.run(lambda line: line.execute(sql_move.DROP_MOVE))

    async def token(self) -> str | None:
        """See `Side`."""

        def work(line: sqlite3.Connection) -> str | None:
            with contextlib.suppress(sqlite3.OperationalError):
                for (token,) in line.execute(sql_move.MOVE):
                    return str(token)
            return None

        return await self._line.run(work)

    async def stamp(self) -> object:
        """See `Side`."""
        return (await self.fetch(sql_move.DATA_VERSION))[0][0]

    async def analyze(self) -> None:
        """See `Side`; its statements do without."""

    async def reader(self) -> StepReader:
        """See `Side`."""
        return SqliteReader(self._database, self._render, is_current=False)

    async def close(self) -> None:
        """See `Side`."""
        await self._line.close()


class PostgresSide(Side):
    """A PostgreSQL database."""

    name = "postgresql"

    def __init__(
        self, url: str, render: Render, connection: asyncpg.Connection[asyncpg.Record]
    ) -> None:
        self._url = url
        self._render = render
        self._connection = connection

    @classmethod
    async def source(cls, url: str, render: Render) -> PostgresSide:
        """Open a database to read from, as `SqliteSide.source`."""
        side = await cls.opened(url, render)
        try:
            await side.require_current()
        except BaseException:
            await side.close()
            raise
        return side

    @classmethod
    async def opened(cls, url: str, render: Render) -> PostgresSide:
        """
        Open a database, which must exist, to fill.

        Raises:
            ServerRefusedError: There is none of this name, or it is not for this user.
        """
        try:
            with reaching():
                connection = await asyncpg.connect(
                    url,
                    timeout=CONNECT_S_MAX,
                    command_timeout=STATEMENT_S_MAX,
                    server_settings={"application_name": "onshi-move", "synchronous_commit": "off"},
                )
        except asyncpg.PostgresError as error:
            raise ServerRefusedError(type(error).__name__) from None
        return cls(url, render, connection)

    async def prepare(self) -> None:
        """See `Side`."""
        found = await self._format()
        if found == ("", 0):
            await migrate_postgres(self._url, self._render)
        else:
            require_format(*found)

    async def require_current(self) -> None:
        """Raise `StoreTooOld` or `StoreTooNew` unless it has this version's form."""
        require_format(*await self._format())

    async def _format(self) -> tuple[str, int]:
        try:
            rows = await self.fetch(sql.FORMAT)
        except asyncpg.UndefinedTableError:
            return "", 0
        return rows[0][0], rows[0][1]

    async def fetch(self, statement: str, *values: Any) -> list[Row]:
        """See `Side`."""
        with reaching():
            rows = await self._connection.fetch(spelled(statement), *values)
        return cast("list[Row]", list(map(tuple, rows)))

    async def replace(self, table: MovedTable, gone: Sequence[Row], rows: Sequence[Row]) -> None:
        """See `Side`."""
        with reaching():
            async with self._connection.transaction():
                await self._connection.executemany(spelled(sql_move.remove(table)), gone)
                if rows:
                    await self._connection.copy_records_to_table(
                        table.name,
                        records=rows,
                        columns=table.columns,
                        schema_name=table.schema,
                    )

    async def begin(self, token: str) -> None:
        """See `Side`."""
        with reaching():
            async with self._connection.transaction():
                await self._connection.execute(sql_move.DROP_MOVE)
                await self._connection.execute(sql_move.MAKE_MOVE)
                await self._connection.execute(spelled(sql_move.ADD_MOVE), token)
                await self._connection.execute(spelled(sql.SET_PROJECTION_FORMAT), UNFINISHED)

    async def seal(self, meta: Row) -> None:
        """See `Side`."""
        with reaching():
            await self._connection.execute("SET synchronous_commit = on")
            await self._connection.execute(spelled(sql_move.PUT_META), *meta)

    async def forget(self) -> None:
        """See `Side`."""
        with reaching():
            await self._connection.execute(sql_move.DROP_MOVE)

    async def token(self) -> str | None:
        """See `Side`."""
        try:
            rows = await self.fetch(sql_move.MOVE)
        except asyncpg.UndefinedTableError:
            return None
        return str(rows[0][0]) if rows else None

    async def stamp(self) -> object:
        """See `Side`."""
        return await self.fetch(sql.LAST_RECORDED)

    async def held(self) -> bool:
        """See `Side`."""
        return bool((await self.fetch(sql.TRY_WRITERS_LOCK, LOCK))[0][0])

    async def analyze(self) -> None:
        """See `Side`."""
        with reaching():
            await self._connection.execute(sql_move.ANALYZE)

    async def reader(self) -> StepReader:
        """See `Side`."""
        places = Places(READ_PLACES.connections_max, READ_PLACES.statement_s_max)
        pool = await Pool.opened(self._url, places, "onshi-move-reads", is_current=False)
        kind = ClusterReader if await is_cluster(self._url) else PostgresReader
        return kind(pool, self._render)

    async def close(self) -> None:
        """See `Side`."""
        self._connection.terminate()

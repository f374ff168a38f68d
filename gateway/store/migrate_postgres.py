"""
Brings a PostgreSQL database to this version's form; see `gateway.store.migrate`.

Imports SQLAlchemy and Alembic, which cost over a second, so serving never imports this module.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import asyncpg
import sqlalchemy as sa
from alembic import command
from sqlalchemy.exc import DBAPIError, ProgrammingError
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine

from gateway.domain.compact import Render
from gateway.domain.errors import Unavailable
from gateway.store import facts, sql, sql_cluster
from gateway.store.distribution import SHARD_COUNT, distribution_statements
from gateway.store.migrate import SCRIPTS, configured
from gateway.store.postgres_pool import Places, Pool
from gateway.store.records import PROJECTION_FORMAT, require_not_newer
from gateway.store.steps import Steps, Write

LOCK: Final = 0x6F6E_7368_69
"""Of PostgreSQL's advisory locks: whoever migrates a database holds it."""

REBUILD_PLACES: Final = Places(connections_max=1, statement_s_max=3600.0)


async def migrate_postgres(
    url: str, render: Render, scripts: Path = SCRIPTS, shard_count: int = SHARD_COUNT
) -> None:
    """
    Migrate a database that exists, all steps or none, and rebuild projections in an older form.

    Where the extension `citus` is in it and there are workers, its tables are spread over them,
    each in `shard_count` shards. Several may do so at once: one does it, the others wait. Migrating
    a database that is up to date changes nothing.

    Raises:
        StoreTooNew: A newer version of the gateway wrote it; nothing was changed.
        OtherwiseDistributedError: As `distribution_statements`; nothing was changed.
        Unavailable: `STORE_UNAVAILABLE`.
    """
    # The driver reads the address: it knows of several hosts, and of parameters like `sslmode`.
    engine = create_async_engine(
        "postgresql+asyncpg://", poolclass=sa.NullPool, async_creator=lambda: asyncpg.connect(url)
    )
    try:
        async with engine.begin() as connection:
            await connection.execute(sa.text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": LOCK})
            require_not_newer(*await _format(connection))
            is_cluster = await _is_cluster(connection)
            if is_cluster:
                await connection.execute(sa.text(sql_cluster.ONE_SHARD_AT_A_TIME))
            await connection.run_sync(lambda one: command.upgrade(configured(one, scripts), "head"))
            if is_cluster:
                await _distribute(connection, shard_count)
            _, projection = await _format(connection)
    except (OSError, DBAPIError) as error:
        raise Unavailable("STORE_UNAVAILABLE") from error
    finally:
        await engine.dispose()
    if projection < PROJECTION_FORMAT:
        await _rebuild(url, render)


async def _is_cluster(connection: AsyncConnection) -> bool:
    """Whether there is the extension, and a worker to spread tables over."""
    if not (await connection.execute(sa.text(sql_cluster.HAS_EXTENSION))).all():
        return False
    return bool((await connection.execute(sa.text(sql_cluster.WORKERS))).all())


async def _distribute(connection: AsyncConnection, shard_count: int) -> None:
    """Spread what is not spread yet."""
    rows = await connection.execute(sa.text(sql_cluster.DISTRIBUTED))
    done = {str(table): str(column) for table, column in rows}
    for statement in distribution_statements(shard_count, done):
        await connection.execute(sa.text(statement))


async def _format(connection: AsyncConnection) -> tuple[str, int]:
    try:
        async with connection.begin_nested():
            row = (await connection.execute(sa.text(sql.FORMAT))).one()
    except ProgrammingError:
        return "", 0
    return row[0], row[1]


async def _rebuild(url: str, render: Render) -> None:
    def steps() -> Steps[None]:
        yield from facts.rebuilt(render)
        yield Write(sql.SET_PROJECTION_FORMAT, [(PROJECTION_FORMAT,)])

    pool = await Pool.opened(url, REBUILD_PLACES, "onshi-migrate", is_current=False)
    try:
        await pool.write(steps())
    finally:
        await pool.close()

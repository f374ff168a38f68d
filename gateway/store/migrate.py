"""
Brings the main database to this version's form; creates it if there is none.

Imports SQLAlchemy and Alembic, which cost over a second, so serving never imports this module.
"""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any, Final

import sqlalchemy as sa
from alembic import command
from alembic.config import Config

from gateway.domain.compact import Render
from gateway.store import facts, sql
from gateway.store.records import PROJECTION_FORMAT, require_not_newer
from gateway.store.sqlite_file import (
    LONG_BUSY_MS,
    connected,
    format_of,
    taken,
    transaction,
)

SCRIPTS: Final = Path(__file__).parent / "migrations"


def migrate(database: Path, render: Render, scripts: Path = SCRIPTS) -> None:
    """
    Migrate a database, all steps or none, and rebuild projections kept in an older form.

    The file is created for its owner's eyes only, with a write-ahead log. Nothing else may use
    the database meanwhile. Migrating a database that is up to date changes nothing.

    Raises:
        StoreTooNew: A newer version of the gateway wrote it; nothing was changed.
    """
    os.close(os.open(database, os.O_RDWR | os.O_CREAT, 0o600))
    with closing(connected(database, "rw", LONG_BUSY_MS)) as connection:
        require_not_newer(*format_of(connection))
        connection.execute("PRAGMA journal_mode = WAL")
    engine = engine_of(database)
    try:
        with engine.begin() as transacting:
            command.upgrade(configured(transacting, scripts), "head")
    finally:
        engine.dispose()
    with closing(connected(database, "rw", LONG_BUSY_MS)) as connection:
        connection.execute("PRAGMA synchronous = FULL")
        _, projection = format_of(connection)
        if projection < PROJECTION_FORMAT:
            with transaction(connection):
                taken(connection, facts.rebuilt(render))
                connection.execute(sql.SET_PROJECTION_FORMAT, (PROJECTION_FORMAT,))


def engine_of(database: Path) -> sa.Engine:
    """Give an engine whose transactions hold changes of the schema too."""
    engine = sa.create_engine(
        sa.URL.create("sqlite", database=str(database)), poolclass=sa.NullPool
    )

    @sa.event.listens_for(engine, "connect")
    def no_implicit_transactions(connection: sqlite3.Connection, _record: Any) -> None:
        connection.isolation_level = None
        connection.execute("PRAGMA synchronous = FULL")

    @sa.event.listens_for(engine, "begin")
    def begin(connection: sa.Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    return engine


def configured(connection: sa.Connection, scripts: Path) -> Config:
    """Tell Alembic the connection to use and where the steps are."""
    config = Config()
    config.set_main_option("script_location", str(scripts).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    return config

"""
An SQLite file as it is at one moment, copied while others go on writing to it.

A read transaction holds the moment, so the online backup never starts again however much is
written meanwhile; the price is that the file's log cannot be reset before the transaction ends.
Copies are opened as files nobody writes to, which leaves nothing beside them.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final

from gateway.domain.period import Instant
from gateway.store import sql_backup
from gateway.store.copying import SYNCED_AT_ONCE_BYTES, Step
from gateway.store.port import UploadKey
from gateway.store.port_backup import FactsFormat
from gateway.store.sqlite_file import LONG_BUSY_MS, connected

STEP_PAGES: Final = 256
"""Pages copied at a time, 1 MiB of them with pages of 4 KiB."""

STILL: Final = "ro&immutable=1"
"""The mode of `connected` for a file nobody writes to."""


class HeldFile:
    """An SQLite file at the moment it was first read; used in one thread."""

    def __init__(self, database: Path) -> None:
        self._connection = connected(database, "ro", LONG_BUSY_MS)
        try:
            self._connection.execute("BEGIN")
            self._connection.execute(sql_backup.HOLD).fetchone()
        except BaseException:
            self._connection.close()
            raise

    def close(self) -> None:
        """Let go of the moment."""
        self._connection.close()

    def copy_to(self, target: Path, step: Step) -> None:
        """Copy into a new file, for its owner's eyes only, and sync it."""
        page_bytes = self._number(sql_backup.PAGE_BYTES)
        left = self._number(sql_backup.PAGES)
        unsynced = 0
        handle = os.open(target, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)

        def copied(_status: int, remaining: int, _total: int) -> None:
            nonlocal left, unsynced
            done = (left - remaining) * page_bytes
            left, unsynced = remaining, unsynced + done
            if unsynced >= SYNCED_AT_ONCE_BYTES:
                os.fdatasync(handle)
                unsynced = 0
            step(done)

        try:
            with closing(connected(target, "rw", LONG_BUSY_MS)) as copy:
                for pragma in sql_backup.UNSYNCED_TARGET:
                    copy.execute(pragma)
                self._connection.backup(copy, pages=STEP_PAGES, progress=copied)
            os.fsync(handle)
        finally:
            os.close(handle)

    def _number(self, statement: str) -> int:
        return int(self._connection.execute(statement).fetchone()[0])


class HeldFacts(HeldFile):
    """The main database at one moment: `FactsAtOnce` of this engine."""

    def format(self) -> FactsFormat:
        """See `FactsAtOnce`."""
        return _format_of(self._connection)

    def newest_change(self) -> Instant:
        """See `FactsAtOnce`."""
        try:
            return Instant(self._number(sql_backup.NEWEST_CHANGE))
        except sqlite3.OperationalError:
            return Instant(0)  # A schema from before the feed.

    def received(self) -> Mapping[UploadKey, int]:
        """See `FactsAtOnce`."""
        rows = self._connection.execute(sql_backup.RECEIVED)
        return {UploadKey(key): size_bytes for key, size_bytes in rows}

    def is_applied(self, upload_key: UploadKey) -> bool:
        """See `FactsAtOnce`."""
        found = self._connection.execute(sql_backup.IS_APPLIED, (upload_key,))
        return found.fetchone() is not None


def cut_news(copy: Path, until: Instant) -> None:
    """Take from a copy of the news what came of changes recorded after an instant."""
    with closing(connected(copy, "rw", LONG_BUSY_MS)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        connection.execute(sql_backup.FORGET_LATER_NEWS, (until,))
        connection.execute(sql_backup.TELL_AGAIN_AFTER, (until,))
        connection.execute("COMMIT")
    _sync(copy)


def told_until(news: Path) -> Instant:
    """Up to which change institutions were told; may run beside the gateway."""
    with closing(connected(news, "ro", LONG_BUSY_MS)) as connection:
        return Instant(connection.execute(sql_backup.TOLD_UNTIL).fetchone()[0])


@contextmanager
def still(copy: Path, **attached: Path) -> Iterator[sqlite3.Connection]:
    """Open a copy nobody writes to, with others attached by name."""
    with closing(connected(copy, STILL, LONG_BUSY_MS)) as connection:
        for name, path in attached.items():
            uri = f"{path.absolute().as_uri()}?mode={STILL}"
            connection.execute(sql_backup.ATTACH.format(name), (uri,))
        yield connection


def format_of_copy(copy: Path) -> FactsFormat:
    """Give the form of copied facts. Raises `sqlite3.DatabaseError` if they are none."""
    with still(copy) as connection:
        return _format_of(connection)


def received_in(copy: Path) -> Mapping[UploadKey, int]:
    """The uploads of copied facts that wait to be applied, with their sizes in bytes."""
    with still(copy) as connection:
        return dict(connection.execute(sql_backup.RECEIVED).fetchall())


def rows_of(copy: Path) -> dict[str, int]:
    """How many rows each table of a copy has."""
    with still(copy) as connection:
        names = [name for (name,) in connection.execute(sql_backup.TABLES).fetchall()]
        return {
            name: connection.execute(sql_backup.COUNT.format(name)).fetchone()[0] for name in names
        }


def is_sound(copy: Path) -> bool:
    """Whether the engine finds a copy whole, page by page and index by index."""
    try:
        with still(copy) as connection:
            return list(connection.execute(sql_backup.INTEGRITY)) == [("ok",)]
    except sqlite3.DatabaseError:
        return False


def people_without_number(facts: Path, vault: Path) -> int:
    """How many links and checks of a copy are of a number its vault does not have."""
    with still(facts, vault=vault) as connection:
        links = connection.execute(sql_backup.UNNUMBERED_LINKS).fetchone()[0]
        tables = {name for (name,) in connection.execute(sql_backup.TABLES)}
        if "number_checks" not in tables:
            return int(links)  # A schema from before numbers were checked.
        return int(links + connection.execute(sql_backup.UNNUMBERED_CHECKS).fetchone()[0])


def key_ids_in(vault: Path) -> Sequence[str]:
    """The names of the keys that wrote the rows of a copied vault."""
    with still(vault) as connection:
        return [key_id for (key_id,) in connection.execute(sql_backup.KEY_IDS).fetchall()]


def news_after(news: Path, until: Instant) -> bool:
    """Whether copied news, or how far they were told, are of changes after an instant."""
    with still(news) as connection:
        times = [
            connection.execute(statement).fetchone()[0]
            for statement in (sql_backup.TOLD_UNTIL, sql_backup.NEWEST_NEWS)
        ]
    return bool(max(times) > until)


def unrecorded_news(news: Path, trail: Path) -> int:
    """How many copied news are of confirmations a copied trail does not know."""
    with still(news, trail=trail) as connection:
        return int(connection.execute(sql_backup.UNRECORDED_NEWS).fetchone()[0])


def _format_of(connection: sqlite3.Connection) -> FactsFormat:
    return FactsFormat(*connection.execute(sql_backup.FORMAT).fetchone())


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)

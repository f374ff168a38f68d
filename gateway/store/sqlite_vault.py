"""The vault in an SQLite file of its own; see `gateway.store.vault`."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Final

from gateway.store import sql, sql_backup, sql_numbers
from gateway.store.keyring import Secret, load_keyring
from gateway.store.records import StoreTooNew
from gateway.store.sqlite_file import LONG_BUSY_MS, Line, connected
from gateway.store.steps import Result, Steps
from gateway.store.vault import StepVault, is_any_read

VAULT_FORMAT: Final = 1
ROWS_TRIED_MAX: Final = 20
"""Rows of each key that are tried with the keys of a copy; a few may have been spoiled."""


def made(database: Path) -> None:
    """Make an empty vault if there is none, for its owner's eyes only; raises `StoreTooNew`."""
    os.close(os.open(database, os.O_RDWR | os.O_CREAT, 0o600))
    with closing(connected(database, "rw", LONG_BUSY_MS)) as connection:
        _prepare(connection)


class SqliteVault(StepVault):
    """A `Vault` in an SQLite file, used by one process."""

    def __init__(self, database: Path, key_file: Path) -> None:
        """
        Open a vault; make the file and its keys if there are none.

        Raises:
            StoreTooNew: A newer version of the gateway wrote it.
            PermissionError: The key file is open to others.
            FileNotFoundError: There is a vault, but its key file is gone.
        """
        super().__init__(load_keyring(key_file, may_make=not database.exists()).secrets, key_file)
        made(database)
        self._line = Line(connected(database, "rw", LONG_BUSY_MS), "vault")

    async def close(self) -> None:
        """See `StepVault`."""
        await self._line.close()

    async def _read(self, steps: Steps[Result]) -> Result:
        return await self._line.read(steps)

    async def _write(self, steps: Steps[Result]) -> Result:
        return await self._line.write(steps)

    async def _enter(self, secrets: Sequence[Secret]) -> None:  # noqa: ARG002  nobody else has any
        """
        See `StepVault`: the key file lies beside the vault, and one machine has both.

        Work that a caller left is done before, with the keys it began with.
        """
        await self._line.run(lambda _: None)


def old_rows(database: Path, key_id: str) -> int:
    """How many rows of a vault were not written with a key; may run beside the gateway."""
    if not database.exists():
        return 0
    with closing(connected(database, "ro", LONG_BUSY_MS)) as connection:
        (count,) = connection.execute(sql_numbers.VAULT_OLD_COUNT, (key_id,)).fetchone()
    return int(count)


def is_readable_with(still: sqlite3.Connection, secrets: Sequence[Secret]) -> bool:
    """Whether secrets read a copied vault: of each key's rows some are tried."""
    by_id = {secret.key_id: secret for secret in secrets}
    for (key_id,) in still.execute(sql_backup.KEY_IDS).fetchall():
        rows = still.execute(sql_backup.SOME_NUMBERS, (key_id, ROWS_TRIED_MAX)).fetchall()
        if key_id not in by_id or not is_any_read(by_id[key_id], rows):
            return False
    return True


def _prepare(connection: sqlite3.Connection) -> None:
    (written_by,) = connection.execute("PRAGMA user_version").fetchone()
    if written_by > VAULT_FORMAT:
        raise StoreTooNew(
            f"the vault has format {written_by}; this gateway knows up to {VAULT_FORMAT}"
        )
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute(sql.VAULT_TABLE)
    connection.execute(sql.VAULT_INDEX)
    connection.execute(f"PRAGMA user_version = {VAULT_FORMAT}")

"""Where a test's vault or spool is: files in a directory, or a database of its own."""

from __future__ import annotations

import shutil
from abc import ABC, abstractmethod
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import asyncpg

from gateway.domain.identifiers import PersonKey
from gateway.store import postgres_spool, postgres_vault, sqlite_vault
from gateway.store.keyring import load_keyring
from gateway.store.postgres_spool import PostgresSpool
from gateway.store.postgres_vault import PostgresVault
from gateway.store.spool import FileSpool
from gateway.store.spool_frames import KeptSpool
from gateway.store.spool_keys import old_uploads
from gateway.store.sqlite_file import LONG_BUSY_MS, connected
from gateway.store.sqlite_vault import SqliteVault
from gateway.store.vault import StepVault

ENGINES = ("files", "server")


class Place(ABC):
    """A vault, a spool and their keys."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.vault_keys = root / "vault.json"
        self.spool_keys = root / "spool.json"

    @abstractmethod
    async def vault(self) -> StepVault:
        """Open the vault, as after a restart."""

    @abstractmethod
    async def spool(self) -> KeptSpool:
        """Open the spool, as after a restart."""

    @abstractmethod
    async def rows(self) -> Sequence[tuple[bytes, str]]:
        """Each number's digest and key."""

    @abstractmethod
    async def spoil(self, person_key: PersonKey) -> None:
        """Have a person's number be unreadable."""

    @abstractmethod
    async def old_rows(self, key_id: str) -> int:
        """How many rows of the vault another key wrote."""

    @abstractmethod
    async def old_uploads(self) -> int:
        """How many uploads the current key did not write."""

    @abstractmethod
    def cut(self) -> Place:
        """The place as it is found after a power cut now."""


class Files(Place):
    """Files beside the database."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.database = root / "vault.db"
        self.directory = root / "spool"

    async def vault(self) -> StepVault:
        """See `Place`."""
        return SqliteVault(self.database, self.vault_keys)

    async def spool(self) -> KeptSpool:
        """See `Place`."""
        return FileSpool(self.directory, self.spool_keys)

    async def rows(self) -> Sequence[tuple[bytes, str]]:
        """See `Place`."""
        with closing(connected(self.database, "ro", LONG_BUSY_MS)) as connection:
            return connection.execute("SELECT mac, key_id FROM numbers ORDER BY mac").fetchall()

    async def spoil(self, person_key: PersonKey) -> None:
        """See `Place`."""
        with closing(connected(self.database, "rw", LONG_BUSY_MS)) as connection:
            spoiled = "UPDATE numbers SET ciphertext = x'00' WHERE person_key = ?"
            connection.execute(spoiled, (person_key,))

    async def old_rows(self, key_id: str) -> int:
        """See `Place`."""
        return sqlite_vault.old_rows(self.database, key_id)

    async def old_uploads(self) -> int:
        """See `Place`."""
        secrets = load_keyring(self.spool_keys, may_make=False).secrets
        return old_uploads(self.directory, secrets[0])

    def cut(self) -> Place:
        """See `Place`; a copy of the files as they are on the disk."""
        copy = self.root / "cut"
        shutil.copytree(self.root, copy, ignore=shutil.ignore_patterns("cut"))
        return Files(copy)


class Database(Place):
    """A database of a server."""

    def __init__(self, root: Path, url: str) -> None:
        super().__init__(root)
        self.url = url

    async def vault(self) -> StepVault:
        """See `Place`."""
        return await PostgresVault.opened(self.url, self.vault_keys)

    async def spool(self) -> KeptSpool:
        """See `Place`."""
        return await PostgresSpool.opened(self.url, self.spool_keys, self.root)

    async def rows(self) -> Sequence[tuple[bytes, str]]:
        """See `Place`."""
        return [tuple(row) for row in await self.told("SELECT mac, key_id FROM vault.numbers")]

    async def spoil(self, person_key: PersonKey) -> None:
        """See `Place`."""
        spoiled = r"UPDATE vault.numbers SET ciphertext = '\x00' WHERE person_key = $1"
        await self.told(spoiled, person_key)

    async def old_rows(self, key_id: str) -> int:
        """See `Place`."""
        return await postgres_vault.old_rows(self.url, key_id)

    async def old_uploads(self) -> int:
        """See `Place`."""
        secrets = load_keyring(self.spool_keys, may_make=False).secrets
        return await postgres_spool.old_uploads(self.url, secrets[0].key_id)

    def cut(self) -> Place:
        """See `Place`; another machine with the same key files goes on with the same database."""
        other = self.root / "other"
        other.mkdir()
        for path in (self.vault_keys, self.spool_keys):
            if path.exists():
                shutil.copy(path, other / path.name)
        return Database(other, self.url)

    async def told(self, statement: str, *values: Any) -> list[asyncpg.Record]:
        """Tell the database something behind the gateway's back."""
        connection = await asyncpg.connect(self.url)
        try:
            return await connection.fetch(statement, *values)
        finally:
            await connection.close()

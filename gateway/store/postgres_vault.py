"""The vault in a schema of its own on a PostgreSQL server; see `gateway.store.vault`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import asyncpg

from gateway.domain.errors import Unavailable
from gateway.store import sql_numbers
from gateway.store.key_names import COUNTING_PLACES, KeyNames
from gateway.store.keyring import Secret
from gateway.store.postgres_pool import Places, Pool
from gateway.store.steps import Result, Steps
from gateway.store.vault import StepVault

SCHEMA: Final = "vault"
VAULT_PLACES: Final = Places(connections_max=2, statement_s_max=60.0)


class PostgresVault(StepVault):
    """A `Vault` in a database, used by the one writer."""

    def __init__(self, pool: Pool, names: KeyNames, secrets: Sequence[Secret], keys: Path) -> None:
        super().__init__(secrets, keys)
        self._pool = pool
        self._names = names

    @classmethod
    async def opened(cls, url: str, key_file: Path) -> PostgresVault:
        """
        Open a vault; make its keys if no key was ever used.

        Raises:
            StoreTooOld: As `Pool.opened`.
            StoreTooNew: As `Pool.opened`.
            Unavailable: `STORE_UNAVAILABLE`.
            PermissionError: As `KeyNames.opened`.
            FileNotFoundError: As `KeyNames.opened`.
            WrongKeys: As `KeyNames.opened`.
        """
        pool = await Pool.opened(url, VAULT_PLACES, "onshi-vault", schema=SCHEMA)
        try:
            names = KeyNames(pool, "vault")
            return cls(pool, names, await names.opened(key_file), key_file)
        except BaseException:
            await pool.close()
            raise

    async def close(self) -> None:
        """See `StepVault`."""
        await self._pool.close()

    async def _read(self, steps: Steps[Result]) -> Result:
        return await self._pool.read(steps)

    async def _write(self, steps: Steps[Result]) -> Result:
        try:
            return await self._names.write([key.key_id for key in self._keys], steps)
        except asyncpg.UniqueViolationError:
            # Somebody else wrote the number meanwhile: asked again, it is found.
            raise Unavailable("STORE_UNAVAILABLE") from None

    async def _enter(self, secrets: Sequence[Secret]) -> None:
        await self._names.enter(secrets)


async def old_rows(url: str, key_id: str) -> int:
    """How many rows of a vault were not written with a key; may run beside the gateway."""
    pool = await Pool.opened(url, COUNTING_PLACES, "onshi-keys", schema=SCHEMA)
    try:
        ((count,),) = await pool.fetch(sql_numbers.VAULT_OLD_COUNT, key_id)
    finally:
        await pool.close()
    return int(count)

"""
Which engine keeps facts, vault and spool: files in the data directory, or a PostgreSQL.

The settings name it. Keys, access records and what is made of these stay in the data directory.
"""

from __future__ import annotations

import asyncio
import sys
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Final

from gateway.app.clock import new_key
from gateway.app.layout import DataDir
from gateway.config import Settings
from gateway.edges.rpc.convert import sheet
from gateway.store import spool_keys, sqlite_vault
from gateway.store.by_steps import StepReader, StepStore
from gateway.store.by_steps_beside import StepChanges, StepFilings
from gateway.store.keyring import Secret, in_use
from gateway.store.records import StoreTooNew, StoreTooOld
from gateway.store.spool import FileSpool
from gateway.store.spool_frames import KeptSpool
from gateway.store.sqlite import (
    SqliteChanges,
    SqliteFilings,
    SqliteReader,
    SqliteStore,
    open_cases,
)
from gateway.store.sqlite_file import opened
from gateway.store.sqlite_vault import SqliteVault
from gateway.store.vault import StepVault

if TYPE_CHECKING:
    from gateway.store.key_names import KeyNames

VAULT: Final = "vault"
SPOOL: Final = "spool"
KEPT_IN: Final = "kept in"
"""Under this name a writer says, beside its keys, where it keeps what they encrypt."""
FILES: Final = "files"
SERVER: Final = "server"
Current = Mapping[str, Secret]
"""The current keys of `VAULT` and `SPOOL`."""

CaseCounter = Callable[[], tuple[int, int]]
"""Counts cases that wait for their link and to be seen by card; called from any thread."""

BUSY_MS: Final = 5_000
COUNTING_S_MAX: Final = 30.0
"""How long counting every case may take."""


class NotMigratedError(Exception):
    """The database could not be brought to this version; says why in one sentence."""


class Engine(ABC):
    """
    Opens what one process needs of the facts.

    All but `migrate` raise `StoreTooOld`, `StoreTooNew` and `Unavailable` as the stores do.
    """

    name: str
    """What tells it from the others."""
    kept_in: ClassVar[str]
    """`FILES`, or `SERVER`, which several machines share: none can tell if another one writes."""

    @abstractmethod
    async def reader(self) -> StepReader:
        """Open what a read worker needs."""

    @abstractmethod
    async def store(self, on_waiting: Callable[[], None]) -> StepStore:
        """
        Open what the one writer needs.

        Args:
            on_waiting: Called once if another gateway writes; then this waits for its place.
        """

    @abstractmethod
    async def filings(self) -> StepFilings:
        """Open what reports of the lag read."""

    @abstractmethod
    async def changes(self) -> StepChanges:
        """Open what watchers read."""

    @abstractmethod
    def case_counter(self, filings: StepFilings) -> CaseCounter:
        """Give what counts cases, for the metrics; needs the running event loop."""

    async def migrate(self) -> None:
        """
        Bring the database to this version if it is older, in a process of its own.

        Raises:
            NotMigratedError: It is newer, or could not be brought to this version.
        """
        try:
            await self._require_current()
        except StoreTooNew as error:
            raise NotMigratedError(str(error)) from None
        except StoreTooOld:
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "gateway.app.migrate", stdin=asyncio.subprocess.PIPE
            )
            await process.communicate(self._place().encode())
            if process.returncode != 0:
                raise NotMigratedError(
                    "the database could not be brought to this version"
                ) from None

    @abstractmethod
    async def require_keys(self, data: DataDir) -> None:
        """Raise as `vault` and `spool` would by their keys: also where another machine writes."""

    @abstractmethod
    async def vault(self, data: DataDir) -> StepVault:
        """
        Open the vault for the one writer; make its keys where nothing was ever encrypted.

        Raises:
            FileNotFoundError: Its key file is gone.
            WrongKeys: It was written with keys that this data directory does not have.
        """

    @abstractmethod
    async def spool(self, data: DataDir, sort_bytes_max: int) -> KeptSpool:
        """Open the spool for the one writer; raises as `vault`."""

    @abstractmethod
    async def written_with_others(self, data: DataDir, current: Current) -> Mapping[str, int]:
        """How many rows of the vault and uploads of the spool other keys than these wrote."""

    @abstractmethod
    async def keys_in_use(self, data: DataDir, current: Current) -> frozenset[str]:
        """Of vault and spool, those that writers write with these keys from now on."""

    @abstractmethod
    async def forget_keys(self, key_ids: Mapping[str, Sequence[str]]) -> None:
        """Have writers do without these keys of vault and spool; nothing may need one."""

    @abstractmethod
    async def _require_current(self) -> None:
        """Raise `StoreTooOld` or `StoreTooNew` unless the database has this version's form."""

    @abstractmethod
    def _place(self) -> str:
        """What `gateway.app.migrate` is told on its standard input: it may hold a password."""


class EmbeddedEngine(Engine):
    """SQLite in the data directory."""

    name = "sqlite"
    kept_in = FILES

    def __init__(self, database: Path) -> None:
        self._database = database

    async def reader(self) -> StepReader:
        """See `Engine`."""
        return SqliteReader(self._database, sheet)

    async def store(self, on_waiting: Callable[[], None]) -> StepStore:  # noqa: ARG002  another engine's
        """See `Engine`; the lock of the data directory keeps others away."""
        return SqliteStore(self._database, sheet)

    async def filings(self) -> StepFilings:
        """See `Engine`."""
        return SqliteFilings(self._database)

    async def changes(self) -> StepChanges:
        """See `Engine`."""
        return SqliteChanges(self._database)

    def case_counter(self, filings: StepFilings) -> CaseCounter:  # noqa: ARG002  another engine's
        """See `Engine`; counts over a connection of its own, beside reports."""
        return lambda: open_cases(self._database)

    async def require_keys(self, data: DataDir) -> None:
        """See `Engine`; the key files lie beside what they encrypt."""

    async def vault(self, data: DataDir) -> StepVault:
        """See `Engine`."""
        return SqliteVault(data.vault, data.vault_keys)

    async def spool(self, data: DataDir, sort_bytes_max: int) -> KeptSpool:
        """See `Engine`."""
        return FileSpool(data.spool, data.spool_keys, sort_bytes_max)

    async def written_with_others(self, data: DataDir, current: Current) -> Mapping[str, int]:
        """See `Engine`."""
        return {
            VAULT: sqlite_vault.old_rows(data.vault, current[VAULT].key_id),
            SPOOL: spool_keys.old_uploads(data.spool, current[SPOOL]),
        }

    async def keys_in_use(self, data: DataDir, current: Current) -> frozenset[str]:
        """See `Engine`."""
        said = in_use(data.keys_in_use)
        return frozenset(name for name, one in current.items() if said.get(name) == one.key_id)

    async def forget_keys(self, key_ids: Mapping[str, Sequence[str]]) -> None:
        """See `Engine`; the key files lie beside what they encrypt."""

    async def _require_current(self) -> None:
        opened(self._database, "ro", BUSY_MS).close()

    def _place(self) -> str:
        return str(self._database)


class ServerEngine(Engine):
    """A database of a PostgreSQL server; asyncpg is imported when it is asked for."""

    name = "postgresql"
    kept_in = SERVER

    def __init__(self, url: str) -> None:
        self._url = url

    async def reader(self) -> StepReader:
        """See `Engine`."""
        from gateway.store import postgres_cluster

        return await postgres_cluster.reader(self._url, sheet)

    async def store(self, on_waiting: Callable[[], None]) -> StepStore:
        """See `Engine`."""
        from gateway.store import postgres_cluster

        return await postgres_cluster.elected(self._url, sheet, new_key().hex(), on_waiting)

    async def filings(self) -> StepFilings:
        """See `Engine`."""
        from gateway.store.postgres import PostgresFilings

        return await PostgresFilings.opened(self._url)

    async def changes(self) -> StepChanges:
        """See `Engine`."""
        from gateway.store.postgres import PostgresChanges

        return await PostgresChanges.opened(self._url)

    def case_counter(self, filings: StepFilings) -> CaseCounter:
        """See `Engine`."""
        loop = asyncio.get_running_loop()

        def count() -> tuple[int, int]:
            counting = asyncio.run_coroutine_threadsafe(filings.open_cases(), loop)
            return counting.result(COUNTING_S_MAX)

        return count

    async def require_keys(self, data: DataDir) -> None:
        """See `Engine`."""
        files = {VAULT: data.vault_keys, SPOOL: data.spool_keys}
        async with self._key_names(files) as names:
            for name, of in names.items():
                await of.require(files[name])

    async def vault(self, data: DataDir) -> StepVault:
        """See `Engine`."""
        from gateway.store.postgres_vault import PostgresVault

        return await PostgresVault.opened(self._url, data.vault_keys)

    async def spool(self, data: DataDir, sort_bytes_max: int) -> KeptSpool:
        """See `Engine`."""
        from gateway.store.postgres_spool import PostgresSpool

        return await PostgresSpool.opened(self._url, data.spool_keys, data.spool, sort_bytes_max)

    async def written_with_others(self, data: DataDir, current: Current) -> Mapping[str, int]:  # noqa: ARG002  another engine's
        """See `Engine`."""
        from gateway.store import postgres_spool, postgres_vault

        return {
            VAULT: await postgres_vault.old_rows(self._url, current[VAULT].key_id),
            SPOOL: await postgres_spool.old_uploads(self._url, current[SPOOL].key_id),
        }

    async def keys_in_use(self, data: DataDir, current: Current) -> frozenset[str]:  # noqa: ARG002  another engine's
        """See `Engine`; whichever machine writes."""
        async with self._key_names(current) as names:
            used = [name for name, of in names.items() if await of.is_used(current[name])]
        return frozenset(used)

    async def forget_keys(self, key_ids: Mapping[str, Sequence[str]]) -> None:
        """See `Engine`."""
        async with self._key_names(key_ids) as names:
            for name, of in names.items():
                await of.forget(key_ids[name])

    @asynccontextmanager
    async def _key_names(self, memories: Iterable[str]) -> AsyncIterator[Mapping[str, KeyNames]]:
        from gateway.store.key_names import COUNTING_PLACES, KeyNames
        from gateway.store.postgres_pool import Pool

        pool = await Pool.opened(self._url, COUNTING_PLACES, "onshi-keys")
        try:
            yield {name: KeyNames(pool, name) for name in memories}
        finally:
            await pool.close()

    async def _require_current(self) -> None:
        await (await self.reader()).close()

    def _place(self) -> str:
        return self._url


def engine_of(settings: Settings) -> Engine:
    """Give the engine that settings name."""
    return engine_at(settings.store, DataDir(settings.data_dir))


def engine_at(store: str | None, data: DataDir) -> Engine:
    """Give the engine of a database's address, or of a data directory if there is none."""
    return EmbeddedEngine(data.database) if store is None else ServerEngine(store)

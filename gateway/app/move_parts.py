"""
What moves, part by part: each counts, compares and copies, and tells what differs.

The key files, the access records with their trail and the institutions' feed stay in the data
directory.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Final, Protocol

from gateway.app.layout import DataDir
from gateway.store.key_names import KeyNames
from gateway.store.keyring import load_keyring
from gateway.store.move import Side
from gateway.store.move_round import Round, round_of
from gateway.store.move_sample import Difference, counted
from gateway.store.port import UploadKey
from gateway.store.postgres_pool import Pool
from gateway.store.postgres_spool import SPOOL_PLACES, PostgresSpool
from gateway.store.sorted_runs import FileRuns
from gateway.store.spool import FileSpool
from gateway.store.spool_frames import KeptSpool
from gateway.store.sql_move import TABLES

CHUNK_BYTES: Final = 1024 * 1024
"""Of an upload held in memory at a time."""
UPLOADS_MAX: Final = 10_000
"""Uploads not applied yet that a move carries over; with more it is not the moment for one."""


class Part(Protocol):
    """One part of what a gateway keeps."""

    async def is_empty(self) -> bool:
        """Whether the target holds nothing of it."""

    async def count(self) -> int:
        """Count what is to be compared, in rows."""

    async def round(self, went: Callable[[int], None], *, is_reread: bool) -> Round:
        """Compare all of it and copy what differs, as `round_of`."""

    async def differences(self) -> list[Difference]:
        """Tell what differs while nobody writes."""


class Facts:
    """Every table of the main database, and the vault's."""

    def __init__(self, source: Side, target: Side) -> None:
        self._source = source
        self._target = target

    async def is_empty(self) -> bool:
        """See `Part`."""
        return await self._target.is_empty()

    async def count(self) -> int:
        """See `Part`."""
        return sum([await self._source.count(table) for table in TABLES])

    async def round(self, went: Callable[[int], None], *, is_reread: bool) -> Round:
        """See `Part`."""
        return await round_of(self._source, self._target, went, is_reread=is_reread)

    async def differences(self) -> list[Difference]:
        """See `Part`."""
        return await counted(self._source, self._target)


class Uploads:
    """
    Files that are received and not applied, or half received.

    They come and go quickly, so they are carried over in the last round, while nobody writes.
    """

    def __init__(self, file: Path, url: str, *, is_to_server: bool) -> None:
        self._data = DataDir(file.parent)
        self._url = url
        self._is_to_server = is_to_server

    async def is_empty(self) -> bool:
        """See `Part`."""
        async with self._spools() as (_, target):
            return not await target.uploads(1)

    async def count(self) -> int:
        """See `Part`: they are none of the rows that are shown."""
        return 0

    async def round(self, went: Callable[[int], None], *, is_reread: bool) -> Round:  # noqa: ARG002  another part's
        """See `Part`."""
        if is_reread:
            async with self._spools() as (source, target):
                here = await source.uploads(UPLOADS_MAX)
                for upload_key in set(await target.uploads(UPLOADS_MAX)) - set(here):
                    await target.discard(upload_key)
                for upload_key in here:
                    await _carried(upload_key, source, target)
        return Round()

    async def differences(self) -> list[Difference]:
        """See `Part`."""
        async with self._spools() as (source, target):
            here = await source.uploads(UPLOADS_MAX)
            there = set(await target.uploads(UPLOADS_MAX))
            return [
                Difference("spool", upload_key.hex())
                for upload_key in {*here, *there}
                if len(here) == UPLOADS_MAX
                or await source.digest(upload_key) != await target.digest(upload_key)
            ]

    @asynccontextmanager
    async def _spools(self) -> AsyncIterator[tuple[KeptSpool, KeptSpool]]:
        """Open the spool that is read and the one that is filled."""
        in_files = FileSpool(self._data.spool, self._data.spool_keys)
        try:
            pool = await Pool.opened(self._url, SPOOL_PLACES, "onshi-move", is_current=False)
            names = KeyNames(pool, "spool")
            keys = self._data.spool_keys
            secrets = await names.opened(keys)
            on_server = PostgresSpool(
                pool, names, secrets, keys, partial(FileRuns, self._data.spool)
            )
            try:
                to_server = self._is_to_server
                yield (in_files, on_server) if to_server else (on_server, in_files)
            finally:
                await on_server.close()
        finally:
            await in_files.close()


async def _carried(upload_key: UploadKey, source: KeptSpool, target: KeptSpool) -> None:
    size, at = await source.durable_offset(upload_key), await target.durable_offset(upload_key)
    while at < size:
        data = await source.read(upload_key, at, CHUNK_BYTES)
        at = await target.append(upload_key, at, data)


async def enter_keys(url: str, data: DataDir) -> None:
    """
    Note on a server all keys that what was moved there may be encrypted with.

    Raises:
        WrongKeys: They lack a key that was used there.
        Unavailable: `STORE_UNAVAILABLE`.
    """
    pool = await Pool.opened(url, SPOOL_PLACES, "onshi-move", is_current=False)
    try:
        for memory, key_file in (("vault", data.vault_keys), ("spool", data.spool_keys)):
            if not key_file.exists():
                continue  # No writer ever ran here, and so nothing is encrypted.
            secrets = load_keyring(key_file, may_make=False).secrets
            for at in reversed(range(len(secrets))):
                await KeyNames(pool, memory).enter([*secrets[at:], *secrets[:at]])
    finally:
        await pool.close()


def parts_of(
    source: Side, target: Side, file: Path, url: str, *, is_to_server: bool
) -> tuple[Part, ...]:
    """Give everything that moves; one side is a file, the other a server."""
    return Facts(source, target), Uploads(file, url, is_to_server=is_to_server)

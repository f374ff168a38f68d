"""
The spool on a PostgreSQL server: a row of a table for each chunk of an upload, until it is applied.

So an upload that was acknowledged outlives the machine that took it. A chunk is encrypted before it
leaves this process, as a frame of the spool's files is, and is durable when its one insert is
committed. Nothing but how far an upload is, its digest so far and its last chunk stays in memory.
Sorting goes on in files without a name on this machine: they need not outlive it.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import OrderedDict
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Final

import asyncpg

from gateway.domain.errors import InvalidInput, Unavailable
from gateway.store import sql_spool
from gateway.store.key_names import COUNTING_PLACES, KeyNames
from gateway.store.keyring import KeyFile, Secret
from gateway.store.port import UploadKey
from gateway.store.postgres_pool import Places, Pool
from gateway.store.sorted_runs import SORT_BYTES_MAX, FileRuns
from gateway.store.spool_frames import (
    HASHED_AT_ONCE_BYTES,
    UPLOADS_INDEXED_MAX,
    KeptSpool,
    RunningDigest,
    SpoolBroken,
    SpoolKeys,
)
from gateway.store.steps import Row, Steps, Write

SPOOL_PLACES: Final = Places(connections_max=3, statement_s_max=60.0)
_BEGINNING: Final = (b"", -1)
_NO_CHUNK: Final = (0, b"")


class _Upload:
    """How far one upload is."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.digest = RunningDigest()
        self.last = _NO_CHUNK
        """The first byte of the chunk read last, and its plain bytes: reads are shorter than it."""


class PostgresSpool(KeptSpool):
    """
    A `Spool` in a database, used by the one writer.

    Chunks are written one at a time, so that none is written with a key that `refresh` replaced.
    Two chunks cannot begin at one byte: a writer that believes it still is one cannot add to what
    its successor has.
    """

    def __init__(
        self,
        pool: Pool,
        names: KeyNames,
        secrets: Sequence[Secret],
        key_file: Path,
        runs: Callable[[], FileRuns],
    ) -> None:
        self._pool = pool
        self._names = names
        self._keys = SpoolKeys(secrets)
        self._key_file = KeyFile(key_file)
        self._runs = runs
        self._renewed_to: tuple[bytes, int] = _BEGINNING
        self._uploads: OrderedDict[UploadKey, _Upload] = OrderedDict()
        self._turn = asyncio.Lock()

    @classmethod
    async def opened(
        cls, url: str, key_file: Path, runs: Path, sort_bytes_max: int = SORT_BYTES_MAX
    ) -> PostgresSpool:
        """
        Open a spool; make its keys if no key was ever used.

        Args:
            runs: A directory of this machine to sort in.

            sort_bytes_max: What `runs` hold in memory.

        Raises:
            StoreTooOld: As `Pool.opened`.
            StoreTooNew: As `Pool.opened`.
            Unavailable: `STORE_UNAVAILABLE`.
            PermissionError: As `KeyNames.opened`.
            FileNotFoundError: As `KeyNames.opened`.
            WrongKeys: As `KeyNames.opened`.
        """
        pool = await Pool.opened(url, SPOOL_PLACES, "onshi-spool")
        try:
            names = KeyNames(pool, "spool")
            secrets = await names.opened(key_file)
            return cls(pool, names, secrets, key_file, partial(FileRuns, runs, sort_bytes_max))
        except BaseException:
            await pool.close()
            raise

    async def close(self) -> None:
        """See `KeptSpool`."""
        async with self._turn:
            await self._pool.close()

    async def durable_offset(self, upload_key: UploadKey) -> int:
        """See `Spool`."""
        return (await self._upload(upload_key)).size

    async def append(self, upload_key: UploadKey, offset: int, data: bytes) -> int:
        """See `Spool`."""
        upload = await self._upload(upload_key)
        if not 0 <= offset <= upload.size:
            raise InvalidInput("UPLOAD_OFFSET_WRONG", "offset")
        fresh = data[upload.size - offset :]
        if fresh:
            async with self._turn:
                await self._add(upload_key, upload, fresh)
        return upload.size

    async def _add(self, upload_key: UploadKey, upload: _Upload, data: bytes) -> None:
        try:
            sealed = await asyncio.to_thread(self._keys.seal, upload_key, upload.size, data)
            # A chunk of an older key that slips in after this is renewed before the key can go.
            await self._names.allow(self._keys.names)
            await asyncio.gather(
                self._pool.fetch(sql_spool.ADD_CHUNK, upload_key, upload.size, len(data), *sealed),
                asyncio.to_thread(upload.digest.see, upload.size, data),
            )
        except BaseException as error:
            # It may have been kept all the same: the database is asked before the next chunk.
            self._uploads.pop(upload_key, None)
            if isinstance(error, asyncpg.UniqueViolationError):
                raise Unavailable("STORE_UNAVAILABLE") from None
            raise
        upload.size += len(data)

    async def digest(self, upload_key: UploadKey) -> bytes:
        """See `KeptSpool`."""
        upload = await self._upload(upload_key)
        try:
            while (seen := upload.digest.seen) < upload.size:
                part = await self._between(upload_key, upload, seen, seen + HASHED_AT_ONCE_BYTES)
                await asyncio.to_thread(upload.digest.see, seen, part)
        except BaseException:
            # A thread may still be hashing: nobody else goes on with this digest.
            self._uploads.pop(upload_key, None)
            raise
        return upload.digest.value()

    async def read(self, upload_key: UploadKey, offset: int, bytes_max: int) -> bytes:
        """See `KeptSpool`."""
        upload = await self._upload(upload_key)
        return await self._between(upload_key, upload, offset, offset + bytes_max)

    async def _between(self, upload_key: UploadKey, upload: _Upload, begin: int, end: int) -> bytes:
        """Give the plain bytes from one byte to before another, or to the end."""
        end = min(end, upload.size)
        if begin >= end:
            return b""
        chunks: list[tuple[int, bytes]] = []
        unread = begin
        first, last = upload.last
        if first <= begin < first + len(last):
            chunks.append(upload.last)
            unread = first + len(last)
        if unread < end:
            rows = await self._pool.fetch(sql_spool.CHUNKS_BETWEEN, upload_key, unread, end)
            chunks += await asyncio.to_thread(self._opened, upload_key, rows)
        parts: list[bytes] = []
        for first, plain in chunks:
            if first <= begin < end:
                parts.append(plain[begin - first : end - first])
                begin += len(parts[-1])
        if begin < end:
            raise SpoolBroken("a chunk of an upload is gone")
        upload.last = chunks[-1] if end < upload.size else _NO_CHUNK
        return b"".join(parts)

    def _opened(self, upload_key: UploadKey, rows: Sequence[Row]) -> list[tuple[int, bytes]]:
        """Decrypt chunks; runs in a thread."""
        return [
            (first, self._keys.plain(upload_key, first, nonce, ciphertext, key_id))
            for first, key_id, nonce, ciphertext in rows
        ]

    async def discard(self, upload_key: UploadKey) -> None:
        """See `Spool`."""
        async with self._turn:
            self._uploads.pop(upload_key, None)
            await self._pool.write(_written(sql_spool.DROP_CHUNKS, [(upload_key,)]))

    async def uploads(self, uploads_max: int) -> Sequence[UploadKey]:
        """See `Spool`."""
        rows = await self._pool.fetch(sql_spool.SPOOLED_UPLOADS, uploads_max)
        return [UploadKey(upload_key) for (upload_key,) in rows]

    def runs(self) -> FileRuns:
        """See `Spool`."""
        return self._runs()

    async def refresh(self) -> str:
        """See `StepVault.refresh`."""
        async with self._turn:
            secrets = await self._key_file.entered(self._names.enter)
            if secrets is not None:
                self._keys.take(secrets)
                self._renewed_to = _BEGINNING
            return self._keys.current

    async def renew(self, frames_max: int) -> int:
        """See `KeptSpool`. Chunks that cannot be read stay as they are: they still count as old."""
        async with self._turn:
            if not self._keys.has_older:
                return 0
            asked = (*self._renewed_to, self._keys.current, frames_max)
            rows = await self._pool.fetch(sql_spool.OLD_CHUNKS, *asked)
            renewed = await asyncio.to_thread(self._renewed, rows)
            await self._names.write(self._keys.names, _written(sql_spool.RENEW_CHUNK, renewed))
            self._renewed_to = (rows[-1][0], rows[-1][1]) if rows else _BEGINNING
            return 1 if rows else 0

    def _renewed(self, rows: Sequence[Row]) -> list[Row]:
        """Give the rows of `RENEW_CHUNK`; runs in a thread."""
        renewed: list[Row] = []
        for upload_key, first, key_id, nonce, ciphertext in rows:
            with contextlib.suppress(SpoolBroken):
                plain = self._keys.plain(upload_key, first, nonce, ciphertext, key_id)
                renewed.append((*self._keys.seal(upload_key, first, plain), upload_key, first))
        return renewed

    async def _upload(self, upload_key: UploadKey) -> _Upload:
        """How far an upload is; asked of the database, in turn, if it is not remembered."""
        if upload_key not in self._uploads:
            async with self._turn:
                rows = await self._pool.fetch(sql_spool.CHUNKS_END, upload_key)
                upload = _Upload(rows[0][0] if rows else 0)
                self._uploads.setdefault(upload_key, upload)
        self._uploads.move_to_end(upload_key)
        upload = self._uploads[upload_key]
        if len(self._uploads) > UPLOADS_INDEXED_MAX:
            self._uploads.popitem(last=False)
        return upload


def _written(statement: str, rows: Sequence[Row]) -> Steps[None]:
    yield Write(statement, rows)


async def old_uploads(url: str, key_id: str) -> int:
    """How many uploads have a chunk of another key; may run beside the gateway."""
    pool = await Pool.opened(url, COUNTING_PLACES, "onshi-keys")
    try:
        ((count,),) = await pool.fetch(sql_spool.OLD_UPLOADS, key_id)
    finally:
        await pool.close()
    return int(count)

"""
The spool: a file of encrypted frames for each upload, until it is applied.

A frame is the length of its ciphertext (4 bytes), the offset of its first plain byte (8), a nonce
(12) and the AES-256-GCM ciphertext, bound to its upload and its offset. Plain bytes never touch
the disk, because files hold My Numbers. A frame that a power cut tore is cut off at the first
touch after the restart: it was never acknowledged. Frames are indexed, not kept, in memory.
"""

from __future__ import annotations

import asyncio
import os
import struct
from array import array
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Final, TypeVar

from gateway.domain.errors import InvalidInput, Unavailable
from gateway.store.keyring import KeyFile, load_keyring, sync_directory
from gateway.store.port import UploadKey
from gateway.store.sorted_runs import SORT_BYTES_MAX, FileRuns
from gateway.store.spool_frames import (
    HASHED_AT_ONCE_BYTES,
    TAG_BYTES,
    UPLOADS_INDEXED_MAX,
    KeptSpool,
    RunningDigest,
    SpoolBroken,
    SpoolKeys,
)

FRAME: Final = struct.Struct(">IQ12s")
"""Length of the ciphertext with its tag, offset of the first plain byte, nonce."""

SUFFIX: Final = ".spool"
RENEWING: Final = ".renewing"
"""Of an upload's copy under a new key, until it takes the upload's place."""
Result = TypeVar("Result")


class _Upload:
    """The index of one upload's file; used in the spool's thread only."""

    def __init__(self, path: Path, upload_key: UploadKey, keys: SpoolKeys) -> None:
        self._path = path
        self._upload_key = upload_key
        self._keys = keys
        self._offsets = array("Q")
        """Of each frame's first plain byte."""
        self._places = array("Q")
        """Of each frame in the file."""
        self._digest = RunningDigest()
        self._last: tuple[int, bytes] = (-1, b"")
        self._renewed = 0
        """Frames of the copy under the current key."""
        self.size = 0
        self._end = 0
        if path.exists():
            self._scan()

    def append(self, data: bytes) -> None:
        """Add a frame and make it durable; on failure the file is as before."""
        is_new = not self._offsets
        frame = self._framed(self.size, data)
        with _opened(self._path, os.O_RDWR | os.O_CREAT) as handle:
            try:
                _write_at(handle, frame, self._end)
                os.fdatasync(handle)
                if is_new:
                    sync_directory(self._path.parent)
            except OSError:
                os.ftruncate(handle, self._end)
                raise
        self._digest.see(self.size, data)
        self._indexed(self.size, self._end, len(frame))
        self.size += len(data)

    def read(self, offset: int, bytes_max: int) -> bytes:
        """Give up to `bytes_max` plain bytes from an offset."""
        parts: list[bytes] = []
        end = min(offset + bytes_max, self.size)
        with _opened(self._path, os.O_RDONLY) as handle:
            while offset < end:
                number = bisect_right(self._offsets, offset) - 1
                begin = offset - self._offsets[number]
                part = self._plain(handle, number)[begin : begin + end - offset]
                parts.append(part)
                offset += len(part)
        if end == self.size:
            self._last = (-1, b"")
        return b"".join(parts)

    def is_old(self) -> bool:
        """Whether its first frame, and so perhaps others, was written with a previous key."""
        if not self._offsets:
            return False
        with _opened(self._path, os.O_RDONLY) as handle:
            nonce, ciphertext = self._frame(handle, 0)
        return not self._keys.is_current(self._upload_key, self._offsets[0], nonce, ciphertext)

    def renew(self, frames_max: int) -> bool:
        """
        Copy some frames under the current key; whether all are, and the copy took the place.

        Frames keep their sizes, so the index stays as it is. What is appended meanwhile is copied
        too: appending and renewing take turns.
        """
        copy = self._path.with_suffix(RENEWING)
        last = min(self._renewed + frames_max, len(self._offsets))
        with _opened(copy, os.O_RDWR | os.O_CREAT) as target:
            with _opened(self._path, os.O_RDONLY) as source:
                for number in range(self._renewed, last):
                    frame = self._framed(self._offsets[number], self._plain(source, number))
                    _write_at(target, frame, self._places[number])
            self._renewed = last
            if last < len(self._offsets):
                return False
            os.ftruncate(target, self._end)
            os.fdatasync(target)
        copy.replace(self._path)
        sync_directory(self._path.parent)
        self._renewed = 0
        return True

    def begin_again(self) -> None:
        """Forget a copy that was begun under a key which is no longer the current one."""
        self._renewed = 0

    def hash_on(self) -> bytes | None:
        """Hash some more; give the digest once all is hashed."""
        if self._digest.seen < self.size:
            part = self.read(self._digest.seen, HASHED_AT_ONCE_BYTES)
            self._digest.see(self._digest.seen, part)
        return self._digest.value() if self._digest.seen == self.size else None

    def _scan(self) -> None:
        """Index the frames of a file, and cut off a torn end."""
        with _opened(self._path, os.O_RDWR) as handle:
            file_size = os.fstat(handle).st_size
            while (plain := self._plain_size_at(handle, self._end, file_size)) > 0:
                self._indexed(self.size, self._end, FRAME.size + plain + TAG_BYTES)
                self.size += plain
            if self._offsets and not self._is_readable(handle, len(self._offsets) - 1):
                self._end = self._places.pop()
                self.size = self._offsets.pop()
            if self._end < file_size:
                os.ftruncate(handle, self._end)
                os.fdatasync(handle)

    def _plain_size_at(self, handle: int, place: int, file_size: int) -> int:
        """How many plain bytes the frame at a place holds; 0 if none is whole there."""
        head = os.pread(handle, FRAME.size, place)
        if len(head) < FRAME.size:
            return 0
        length: int
        length, offset, _ = FRAME.unpack(head)
        if offset != self.size or place + FRAME.size + length > file_size:
            return 0
        return max(0, length - TAG_BYTES)

    def _is_readable(self, handle: int, number: int) -> bool:
        try:
            self._plain(handle, number)
        except SpoolBroken:
            return False
        return True

    def _plain(self, handle: int, number: int) -> bytes:
        """Decrypt a frame; the last one stays at hand, since reads are shorter than frames."""
        if self._last[0] == number:
            return self._last[1]
        nonce, ciphertext = self._frame(handle, number)
        plain = self._keys.plain(self._upload_key, self._offsets[number], nonce, ciphertext)
        self._last = (number, plain)
        return plain

    def _frame(self, handle: int, number: int) -> tuple[bytes, bytes]:
        """The nonce and the ciphertext of a frame."""
        length, _, nonce = FRAME.unpack(os.pread(handle, FRAME.size, self._places[number]))
        return nonce, os.pread(handle, length, self._places[number] + FRAME.size)

    def _indexed(self, offset: int, place: int, frame_bytes: int) -> None:
        self._offsets.append(offset)
        self._places.append(place)
        self._end = place + frame_bytes

    def _framed(self, offset: int, plain: bytes) -> bytes:
        """Spell a frame under the current key."""
        sealed = self._keys.seal(self._upload_key, offset, plain)
        return FRAME.pack(len(sealed.ciphertext), offset, sealed.nonce) + sealed.ciphertext


class FileSpool(KeptSpool):
    """
    A `Spool` in a directory, used by one process; its work runs in one thread.

    A disk that does not take or give bytes is `Unavailable`, `STORE_UNAVAILABLE`.
    """

    def __init__(
        self, directory: Path, key_file: Path, sort_bytes_max: int = SORT_BYTES_MAX
    ) -> None:
        """
        Open a spool; make the directory and its keys if there are none.

        Args:
            sort_bytes_max: What `runs` hold in memory.

        Raises:
            PermissionError: The key file is open to others.
            FileNotFoundError: There are uploads, but their key file is gone.
        """
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._directory = directory
        self._sort_bytes_max = sort_bytes_max
        secrets = load_keyring(key_file, may_make=not any(directory.iterdir())).secrets
        self._key_file = KeyFile(key_file)
        self._keys = SpoolKeys(secrets)
        for copy in directory.glob(f"*{RENEWING}"):
            copy.unlink()
        self._uploads: OrderedDict[UploadKey, _Upload] = OrderedDict()
        self._threads = ThreadPoolExecutor(max_workers=1, thread_name_prefix="spool")

    async def close(self) -> None:
        """Wait for the work under way."""
        await self._run(self._uploads.clear)
        self._threads.shutdown()

    async def durable_offset(self, upload_key: UploadKey) -> int:
        """See `Spool`."""
        return await self._run(lambda: self._upload(upload_key).size)

    async def append(self, upload_key: UploadKey, offset: int, data: bytes) -> int:
        """See `Spool`."""

        def write() -> int:
            upload = self._upload(upload_key)
            if not 0 <= offset <= upload.size:
                raise InvalidInput("UPLOAD_OFFSET_WRONG", "offset")
            fresh = data[upload.size - offset :]
            if fresh:
                upload.append(fresh)
            return upload.size

        return await self._run(write)

    async def digest(self, upload_key: UploadKey) -> bytes:
        """See `KeptSpool`."""
        upload = await self._run(lambda: self._upload(upload_key))
        while (digest := await self._run(upload.hash_on)) is None:
            pass
        return digest

    async def read(self, upload_key: UploadKey, offset: int, bytes_max: int) -> bytes:
        """See `KeptSpool`."""

        def read() -> bytes:
            upload = self._upload(upload_key)
            return upload.read(offset, bytes_max) if offset < upload.size else b""

        return await self._run(read)

    async def discard(self, upload_key: UploadKey) -> None:
        """See `Spool`."""

        def remove() -> None:
            self._uploads.pop(upload_key, None)
            path = self._path(upload_key)
            path.with_suffix(RENEWING).unlink(missing_ok=True)
            if path.exists():
                path.unlink()
                sync_directory(self._directory)

        await self._run(remove)

    async def uploads(self, uploads_max: int) -> Sequence[UploadKey]:
        """See `Spool`."""

        def listed() -> Sequence[UploadKey]:
            found = islice(self._directory.glob(f"*{SUFFIX}"), uploads_max)
            return [UploadKey(bytes.fromhex(path.stem)) for path in found]

        return await self._run(listed)

    def runs(self) -> FileRuns:
        """See `Spool`."""
        return FileRuns(self._directory, self._sort_bytes_max)

    async def refresh(self) -> str:
        """See `StepVault.refresh`."""

        def take() -> str:
            keyring = self._key_file.fresh()
            if keyring is not None:
                self._keys.take(keyring.secrets)
                for upload in self._uploads.values():
                    upload.begin_again()
            return self._keys.current

        return await self._run(take)

    async def renew(self, frames_max: int) -> int:
        """See `KeptSpool`; of one upload."""

        def write() -> int:
            if not self._keys.has_older:
                return 0
            for path in self._directory.glob(f"*{SUFFIX}"):
                upload = self._upload(UploadKey(bytes.fromhex(path.stem)))
                if upload.is_old():
                    upload.renew(frames_max)
                    return 1
            return 0

        return await self._run(write)

    async def _run(self, work: Callable[[], Result]) -> Result:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, work)
        except OSError as error:
            raise Unavailable("STORE_UNAVAILABLE") from error

    def _path(self, upload_key: UploadKey) -> Path:
        return self._directory / f"{upload_key.hex()}{SUFFIX}"

    def _upload(self, upload_key: UploadKey) -> _Upload:
        upload = self._uploads.get(upload_key)
        if upload is None:
            upload = _Upload(self._path(upload_key), upload_key, self._keys)
            self._uploads[upload_key] = upload
            if len(self._uploads) > UPLOADS_INDEXED_MAX:
                self._uploads.popitem(last=False)
        self._uploads.move_to_end(upload_key)
        return upload


@contextmanager
def _opened(path: Path, flags: int) -> Iterator[int]:
    handle = os.open(path, flags, 0o600)
    try:
        yield handle
    finally:
        os.close(handle)


def _write_at(handle: int, data: bytes, place: int) -> None:
    rest = memoryview(data)
    while rest:
        written = os.pwrite(handle, rest, place)
        rest = rest[written:]
        place += written

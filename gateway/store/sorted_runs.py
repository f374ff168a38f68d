"""
Sorting more than memory holds: encrypted runs on disk, merged while they are read.

A run holds lines of files and so My Numbers. Its file has no name and its key is never written
down, so that nothing is left of a run, and nobody can read it, once its process is gone.
"""

from __future__ import annotations

import asyncio
import heapq
import struct
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import IO, Final, TypeVar

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from gateway.domain.errors import Unavailable

SORT_BYTES_MAX: Final = 8 * 1024 * 1024
"""What is sorted in memory before it becomes a run; less than this never comes to a disk."""
FRAME_BYTES: Final = 32 * 1024
"""Plain bytes of one frame, and so what a merge holds of each run."""
RUNS_MERGED_MAX: Final = 64
"""Runs merged at once; more of one size become one run first."""
RECORD_OVERHEAD_BYTES: Final = 64
"""What the interpreter adds to a record held in memory, about."""

_LENGTH: Final = struct.Struct(">I")
Result = TypeVar("Result")


class _Run:
    """A sorted sequence of records in a file without a name."""

    def __init__(self, directory: Path, records: Iterator[bytes]) -> None:
        self._key = AESGCM(AESGCM.generate_key(256))
        self._file: IO[bytes] = tempfile.TemporaryFile(dir=directory, buffering=0)  # noqa: SIM115  closed by whoever merges it
        self._frames: list[int] = []
        try:
            self._write(records)
        except BaseException:
            self._file.close()
            raise

    def _write(self, records: Iterator[bytes]) -> None:
        held: list[bytes] = []
        size = 0
        for record in records:
            held += (_LENGTH.pack(len(record)), record)
            size += len(record)
            if size >= FRAME_BYTES:
                self._add(b"".join(held))
                held.clear()
                size = 0
        if held:
            self._add(b"".join(held))

    def _add(self, plain: bytes) -> None:
        ciphertext = self._key.encrypt(self._nonce(len(self._frames)), plain, None)
        rest = memoryview(ciphertext)
        while rest:
            rest = rest[self._file.write(rest) :]
        self._frames.append(len(ciphertext))

    def _nonce(self, frame: int) -> bytes:
        return frame.to_bytes(12, "big")

    def records(self) -> Iterator[bytes]:
        """Read it once, from the beginning; ends by closing the file."""
        self._file.seek(0)
        for frame, size in enumerate(self._frames):
            plain = self._key.decrypt(self._nonce(frame), self._read(size), None)
            place = 0
            while place < len(plain):
                (length,) = _LENGTH.unpack_from(plain, place)
                place += _LENGTH.size + length
                yield plain[place - length : place]
        self.close()

    def _read(self, size: int) -> bytes:
        parts = bytearray()
        while len(parts) < size:
            part = self._file.read(size - len(parts))
            if not part:
                raise OSError("a run ends early")
            parts += part
        return bytes(parts)

    def close(self) -> None:
        self._file.close()


class FileRuns:
    """`Runs` on a disk, with a thread of its own."""

    def __init__(self, directory: Path, sort_bytes_max: int = SORT_BYTES_MAX) -> None:
        self._directory = directory
        self._sort_bytes_max = sort_bytes_max
        self._held: list[bytes] = []
        self._held_bytes = 0
        self._levels: list[list[_Run]] = []
        """Runs by how often they were merged."""
        self._merged: Iterator[bytes] | None = None
        self._threads = ThreadPoolExecutor(max_workers=1, thread_name_prefix="runs")

    async def put(self, records: Sequence[bytes]) -> None:
        """See `Runs`."""
        self._held += records
        self._held_bytes += sum(map(len, records)) + RECORD_OVERHEAD_BYTES * len(records)
        if self._held_bytes > self._sort_bytes_max:
            held, self._held, self._held_bytes = self._held, [], 0
            await self._run(lambda: self._keep(held))

    async def take(self, records_max: int) -> Sequence[bytes]:
        """See `Runs`."""

        def read() -> list[bytes]:
            if self._merged is None:
                self._merged = self._begin()
            return list(islice(self._merged, records_max))

        return await self._run(read)

    async def close(self) -> None:
        """See `Runs`."""

        def forget() -> None:
            for level in self._levels:
                for run in level:
                    run.close()

        await asyncio.get_running_loop().run_in_executor(self._threads, forget)
        self._threads.shutdown()

    def _begin(self) -> Iterator[bytes]:
        """Merge what there is; beside runs nothing is held."""
        held, self._held = self._held, []
        if not self._levels:
            held.sort()
            return iter(held)
        if held:
            self._keep(held)
            held.clear()
        return heapq.merge(*(run.records() for level in self._levels for run in level))

    def _keep(self, held: list[bytes]) -> None:
        held.sort()
        self._add(0, _Run(self._directory, iter(held)))

    def _add(self, number: int, run: _Run) -> None:
        if number == len(self._levels):
            self._levels.append([])
        level = self._levels[number]
        level.append(run)
        if len(level) >= RUNS_MERGED_MAX:
            merged = _Run(self._directory, heapq.merge(*(one.records() for one in level)))
            level.clear()
            self._add(number + 1, merged)

    async def _run(self, work: Callable[[], Result]) -> Result:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, work)
        except OSError as error:
            raise Unavailable("STORE_UNAVAILABLE") from error

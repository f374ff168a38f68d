"""
Which request files in `req` are written to their end. Everything here blocks.

Any number of files may lie in `req`, of any name. So a sweep looks at a bounded number of names
and opens a bounded number of files, and the next one goes on where it stopped, round and round.
Sources: oqs-interface.md 1.6 (clients write into the folder directly, and in pieces).
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Generator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from stat import S_ISREG
from typing import Final

from gateway.config import BridgeSettings
from gateway.edges.folder_names import is_request
from gateway.formats.oqs_xml import is_complete

NAMES_PER_SWEEP_MAX: Final = 4_096
"""Names of any kind that one sweep looks at."""
WATCHED_MAX: Final = 16_384
"""Requests remembered between two looks; further ones wait until some of these are gone."""
HOLD_S: Final = 1.0
"""How long a file that cannot be read or claimed is left alone, so that it keeps none waiting."""

_NOT_A_FILE: Final = frozenset({errno.ELOOP, errno.ENXIO})
"""What opening a link, or a socket, gives."""

Signature = tuple[int, int, int]
"""Size, time of the last write in nanoseconds, file number."""


@dataclass(frozen=True, slots=True)
class Found:
    """A request file in `req`, as a sweep met it."""

    name: str
    signature: Signature


def signature_of(stat: os.stat_result) -> Signature:
    """What changes when a file is written to or replaced."""
    return stat.st_size, stat.st_mtime_ns, stat.st_ino


def read_request(path: Path, bytes_max: int) -> bytes | None:
    """
    Read a request, cut off just over the limit; None if it is no plain file.

    No link is followed and no pipe waited at, whatever was put in a request's place.

    Raises:
        OSError: If it is gone or cannot be read now.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError as error:
        if error.errno in _NOT_A_FILE:
            return None
        raise
    try:
        if not S_ISREG(os.fstat(descriptor).st_mode):
            return None
        with open(descriptor, "rb", closefd=False) as file:
            return file.read(bytes_max + 1)
    finally:
        os.close(descriptor)


class Watch:
    """
    Tells which files in `req` are written to their end; used by one thread at a time.

    A file counts once it can be read and is well formed and unchanged for `settle_ms`, or else
    unchanged for `half_written_wait_ms`. `errno` says why one could not be read in the last sweep.
    """

    def __init__(self, settings: BridgeSettings) -> None:
        self._settings = settings
        self._since: dict[str, tuple[Signature, float]] = {}
        self._met: dict[str, tuple[Signature, float]] = {}
        self._held: dict[str, float] = {}
        self._round = self._entries()
        self.errno: int | None = None

    def ready(self, now_s: float, count_max: int, is_busy: Callable[[str], bool]) -> list[Found]:
        """
        List the files to claim among the next `NAMES_PER_SWEEP_MAX` names.

        Args:
            now_s: Any clock that runs evenly.

            count_max: How many are wanted now, and opened; the sweep ends with the last of them.

            is_busy: Whether a request of that name is being answered, and this one must wait.

        Raises:
            OSError: If the folder cannot be read.
        """
        self._held = {name: until for name, until in self._held.items() if until > now_s}
        self.errno = None
        ready: list[Found] = []
        opened = 0
        for _ in range(NAMES_PER_SWEEP_MAX):
            entry = self._next() if opened < count_max else None
            if entry is None:
                break
            found = _found(entry)
            if found is None or not self._is_settled(found, now_s):
                continue
            if found.name not in self._held and not is_busy(found.name):
                opened += 1
                if self._is_whole(found, now_s):
                    ready.append(found)
        return ready

    def hold(self, name: str, now_s: float) -> None:
        """Leave a file alone for a while."""
        if len(self._held) < WATCHED_MAX:
            self._held[name] = now_s + HOLD_S

    def close(self) -> None:
        """Let go of the folder; the next sweep begins a new round."""
        self._round.close()
        self._round = self._entries()
        self._met = {}

    def _entries(self) -> Generator[os.DirEntry[str], None, None]:
        with os.scandir(self._settings.req) as entries:
            yield from entries

    def _next(self) -> os.DirEntry[str] | None:
        """Give the next name of the round, or None at its end; after that another begins."""
        try:
            entry = next(self._round, None)
        except OSError:
            self.close()
            raise
        if entry is None:
            self._since = self._met
            self.close()
        return entry

    def _is_settled(self, found: Found, now_s: float) -> bool:
        """Remember a file as it is met; whether it is unchanged for long enough, or too large."""
        if len(self._met) >= WATCHED_MAX:
            return False
        signature, first_s = self._since.get(found.name, (None, now_s))
        if signature != found.signature:
            first_s = now_s
        self._met[found.name] = (found.signature, first_s)
        return self._is_too_large(found) or 1000 * (now_s - first_s) >= self._settings.settle_ms

    def _is_whole(self, found: Found, now_s: float) -> bool:
        """Whether a file can be read, and there is nothing more to wait for."""
        settings = self._settings
        try:
            data = read_request(settings.req / found.name, settings.request_bytes_max)
        except FileNotFoundError:
            return False
        except OSError as error:
            self.errno = error.errno
            self.hold(found.name, now_s)
            return False
        if data is None:
            return False
        _, first_s = self._met[found.name]
        is_over = 1000 * (now_s - first_s) >= settings.half_written_wait_ms
        return self._is_too_large(found) or is_over or is_complete(data)

    def _is_too_large(self, found: Found) -> bool:
        return found.signature[0] > self._settings.request_bytes_max


def _found(entry: os.DirEntry[str]) -> Found | None:
    """Give a request's name and signature; None for other names, links and folders."""
    if is_request(entry.name):
        with suppress(OSError):
            if entry.is_file(follow_symlinks=False):
                return Found(entry.name, signature_of(entry.stat(follow_symlinks=False)))
    return None

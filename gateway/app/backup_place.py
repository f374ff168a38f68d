"""
Where copies are made: under a temporary name beside their place, which they take when complete.

Also how fast: whoever copies rests as long as it works, so that a gateway beside it has the disk
and the processors half of the time at least.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Protocol

from rich.filesize import decimal

from gateway.app.backup_words import refused
from gateway.store.copying import sync_tree
from gateway.store.keyring import sync_directory

NICENESS: Final = 10
REST_S_MAX: Final = 0.1
"""The longest rest after one step."""
ROOM_SPARE_BYTES: Final = 16 * 1024**2


class Watching(Protocol):
    """Who is told how far a copy is."""

    def copied(self, bytes_done: int, bytes_total: int) -> None:
        """So many bytes are copied."""

    def checked(self, checks_done: int, checks_total: int) -> None:
        """So many checks are done."""


class Unwatched:
    """Nobody looks."""

    def copied(self, bytes_done: int, bytes_total: int) -> None:
        """See `Watching`."""

    def checked(self, checks_done: int, checks_total: int) -> None:
        """See `Watching`."""


class Steps:
    """Counts what is copied, tells it, and rests."""

    def __init__(self, watching: Watching, bytes_total: int, *, is_resting: bool) -> None:
        self._watching = watching
        self._total = bytes_total
        self._done = 0
        self._is_resting = is_resting
        self._since = time.monotonic()

    def __call__(self, size_bytes: int) -> None:
        """See `gateway.store.copying.Step`."""
        self._done += size_bytes
        self._total = max(self._total, self._done)
        self._watching.copied(self._done, self._total)
        if self._is_resting:
            time.sleep(min(REST_S_MAX, time.monotonic() - self._since))
        self._since = time.monotonic()


def be_nice() -> None:
    """Leave the processors to others, as the writer does."""
    os.nice(NICENESS)


def require_room(folder: Path, needed_bytes: int) -> None:
    """Refuse a copy that does not fit: `NO_ROOM`."""
    said = os.statvfs(folder)
    free = said.f_bavail * said.f_frsize
    if free < needed_bytes + ROOM_SPARE_BYTES:
        raise refused("NO_ROOM", path=folder, needed=decimal(needed_bytes), free=decimal(free))


@contextmanager
def whole_or_nothing(place: Path) -> Iterator[Path]:
    """
    Give an empty folder that takes a place, synced, when the block ends well, and is gone if not.

    What a kill left there of an earlier one is removed first. The place is absent or empty.

    Raises:
        BackupRefusedError: `COPY_UNDER_WAY` if another process is at it.
    """
    partial = place.with_name(f".{place.name}.partial")
    partial.mkdir(mode=0o700, exist_ok=True)
    handle = os.open(partial, os.O_RDONLY | os.O_DIRECTORY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise refused("COPY_UNDER_WAY", path=place) from None
        try:
            _empty(partial)
            yield partial
            sync_tree(partial)
            partial.rename(place)
        except BaseException:
            shutil.rmtree(partial, ignore_errors=True)
            raise
        sync_directory(place.parent)
    finally:
        os.close(handle)


def _empty(folder: Path) -> None:
    for path in folder.iterdir():
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()

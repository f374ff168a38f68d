"""
Copying files so that a copy can be trusted: digests on the way, closed to others, synced.

Nothing here knows what a file holds.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Final, NamedTuple

from gateway.store.keyring import sync_directory

COPIED_AT_ONCE_BYTES: Final = 1024 * 1024

SYNCED_AT_ONCE_BYTES: Final = 4 * 1024 * 1024
"""A copy is synced after so many bytes: all at the end, others' syncs would wait for it."""

Step = Callable[[int], None]
"""Told after each piece how many bytes it had; may take its time, so that others get theirs."""


class Written(NamedTuple):
    """What was written: its size, and SHA-256 in hexadecimal digits."""

    size_bytes: int
    sha256: str


def copy_bytes(source: int, target: Path, size_bytes: int, step: Step) -> Written:
    """
    Copy the first bytes of an open file into a new one, for its owner's eyes only, and sync it.

    Args:
        source: A file descriptor.

        size_bytes: At most so many; fewer if the file is shorter.

    Raises:
        OSError: Also if `target` is there.
    """
    digest = hashlib.sha256()
    place = 0
    handle = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "wb") as file:
        while place < size_bytes:
            data = os.pread(source, min(COPIED_AT_ONCE_BYTES, size_bytes - place), place)
            if not data:
                break
            file.write(data)
            digest.update(data)
            place += len(data)
            if not place % SYNCED_AT_ONCE_BYTES:
                file.flush()
                os.fdatasync(file.fileno())
            step(len(data))
        file.flush()
        os.fsync(file.fileno())
    return Written(place, digest.hexdigest())


def copy_file(source: Path, target: Path, step: Step) -> Written:
    """Copy a file as long as it is now; see `copy_bytes`."""
    handle = os.open(source, os.O_RDONLY)
    try:
        return copy_bytes(handle, target, os.fstat(handle).st_size, step)
    finally:
        os.close(handle)


def write_new(path: Path, data: bytes) -> None:
    """Write a new file for its owner's eyes only and sync it."""
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def written(path: Path, step: Step) -> Written:
    """Read a file for its size and digest."""
    digest = hashlib.sha256()
    size = 0
    with path.open("rb") as file:
        while data := file.read(COPIED_AT_ONCE_BYTES):
            digest.update(data)
            size += len(data)
            step(len(data))
    return Written(size, digest.hexdigest())


def sync_tree(root: Path) -> None:
    """Make the names of all directories under a root durable; their files are already."""
    for folder, _, _ in os.walk(root, topdown=False):
        sync_directory(Path(folder))

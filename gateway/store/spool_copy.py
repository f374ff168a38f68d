"""
The spool beside a running gateway: uploads held so that applying one does not take its bytes away.

An upload's file is only ever added to, removed, or replaced as a whole, so an open file keeps
what it had whatever becomes of its name. Frames are walked by their lengths; no key is needed.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from gateway.store.copying import Step, Written, copy_bytes
from gateway.store.keyring import Secret
from gateway.store.port import UploadKey
from gateway.store.spool import FRAME, SUFFIX
from gateway.store.spool_frames import TAG_BYTES, SpoolKeys


class Whole(NamedTuple):
    """The whole frames at the beginning of a file: bytes on the disk, and plain ones."""

    file_bytes: int
    plain_bytes: int


class HeldSpool:
    """Uploads whose files are held open."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._held: dict[UploadKey, int] = {}

    def hold(self) -> None:
        """
        Hold every upload that is there now and not held yet.

        Raises:
            OSError: `EMFILE` when there are more than a process may open.
        """
        for path in sorted(self._directory.glob(f"*{SUFFIX}")):
            upload_key = UploadKey(bytes.fromhex(path.stem))
            if upload_key in self._held:
                continue
            try:
                self._held[upload_key] = os.open(path, os.O_RDONLY)
            except FileNotFoundError:
                continue

    def hold_again(self, upload_key: UploadKey) -> None:
        """Hold what is under an upload's name now, instead of what was."""
        self.drop(upload_key)
        self.hold()

    def drop(self, upload_key: UploadKey) -> None:
        """Let go of an upload."""
        handle = self._held.pop(upload_key, None)
        if handle is not None:
            os.close(handle)

    def uploads(self) -> Iterator[UploadKey]:
        """Which are held."""
        return iter(tuple(self._held))

    def plain_bytes(self, upload_key: UploadKey) -> int:
        """How many bytes of an upload are held by now; 0 if it is not held."""
        handle = self._held.get(upload_key)
        return 0 if handle is None else _whole(handle).plain_bytes

    def file_bytes(self) -> int:
        """How large what is held is by now."""
        return sum(os.fstat(handle).st_size for handle in self._held.values())

    def copy(self, upload_key: UploadKey, folder: Path, step: Step) -> Written:
        """Copy an upload's whole frames; one that is being written is left out."""
        handle = self._held[upload_key]
        target = folder / name_of(upload_key)
        return copy_bytes(handle, target, _whole(handle).file_bytes, step)

    def close(self) -> None:
        """Let go of all."""
        for upload_key in self.uploads():
            self.drop(upload_key)


def name_of(upload_key: UploadKey) -> str:
    """The name of an upload's file."""
    return f"{upload_key.hex()}{SUFFIX}"


def plain_bytes_of(path: Path) -> int:
    """How many plain bytes the whole frames of a copy hold; 0 if there is none."""
    try:
        handle = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return 0
    try:
        return _whole(handle).plain_bytes
    finally:
        os.close(handle)


def opens(path: Path, secret: Secret) -> bool:
    """Whether a secret's key reads the first frame of a copy; an empty file has none to read."""
    with path.open("rb") as file:
        head = file.read(FRAME.size)
        if len(head) < FRAME.size:
            return True
        length, offset, nonce = FRAME.unpack(head)
        ciphertext = file.read(length)
    upload_key = UploadKey(bytes.fromhex(path.stem))
    return SpoolKeys([secret]).is_current(upload_key, offset, nonce, ciphertext)


def _whole(handle: int) -> Whole:
    """Walk the frames that are there as a whole."""
    end = os.fstat(handle).st_size
    place = plain = 0
    while len(head := os.pread(handle, FRAME.size, place)) == FRAME.size:
        length, offset, _ = FRAME.unpack(head)
        after = place + FRAME.size + length
        if offset != plain or length <= TAG_BYTES or after > end:
            break
        place, plain = after, plain + length - TAG_BYTES
    return Whole(place, plain)

"""
The secrets of vault and spool: a current one, and previous ones that still read old data.

A key file is JSON, for its owner's eyes only; the first key is the current one. From each
secret keys are derived for each use, so one secret never serves two algorithms.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Final

import msgspec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from msgspec import Struct

SECRET_BYTES: Final = 32


class Secret(Struct, frozen=True, forbid_unknown_fields=True):
    """A secret and the name that data written with it carries; its repr shows the name only."""

    key_id: str
    secret: bytes

    def __repr__(self) -> str:
        return f"Secret({self.key_id!r})"

    def derived(self, use: str) -> bytes:
        """Give the 32-byte key for a use."""
        return HKDF(SHA256(), SECRET_BYTES, salt=None, info=use.encode()).derive(self.secret)


class Keyring(Struct, frozen=True, forbid_unknown_fields=True):
    """Secrets, the current one first."""

    secrets: tuple[Secret, ...]


def load_keyring(path: Path, *, may_make: bool) -> Keyring:
    """
    Read a key file.

    Args:
        may_make: Make one with a fresh secret, durably, if there is none. To be true only where
            nothing is encrypted yet: a lost key file must be restored, never replaced.

    Raises:
        FileNotFoundError: There is none and none may be made.
        PermissionError: Others than its owner may read it.
        msgspec.MsgspecError: It is no key file.
    """
    if may_make and not path.exists():
        _write(path, Keyring((_fresh("1"),)))
    if path.stat().st_mode & 0o077:
        raise PermissionError("a key file may be readable by its owner only")
    return msgspec.json.decode(path.read_bytes(), type=Keyring)


def rotate(path: Path) -> None:
    """Put a fresh secret first in a key file; the others stay, to read what they wrote."""
    secrets = load_keyring(path, may_make=False).secrets
    fresh = _fresh(str(1 + max(int(secret.key_id) for secret in secrets)))
    _write(path, Keyring((fresh, *secrets)))


def sync_directory(directory: Path) -> None:
    """Make the names in a directory durable."""
    handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _fresh(key_id: str) -> Secret:
    return Secret(key_id, os.urandom(SECRET_BYTES))


def _write(path: Path, keyring: Keyring) -> None:
    """Replace the file as a whole, so that a power cut leaves the old or the new one."""
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    with os.fdopen(handle, "wb") as file:
        file.write(msgspec.json.encode(keyring))
        file.flush()
        os.fsync(file.fileno())
    Path(temporary).replace(path)
    sync_directory(path.parent)

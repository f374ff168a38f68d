"""
The secrets of vault, spool and tokens: a current one, and previous ones that read old data.

A key file is JSON, for its owner's eyes only; the first key is the current one. From each
secret keys are derived for each use, so one secret never serves two algorithms.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import tempfile
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import msgspec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from msgspec import Struct

SECRET_BYTES: Final = 32


class WrongKeys(RuntimeError):  # noqa: N818  says what is the case, as the refusals do
    """A key file lacks a key that something was written with, or has another of its name."""


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
    with _alone(path):
        secrets = load_keyring(path, may_make=False).secrets
        fresh = _fresh(str(1 + max(int(secret.key_id) for secret in secrets)))
        _write(path, Keyring((fresh, *secrets)))


def retire(path: Path, key_id: str) -> None:
    """
    Drop the secrets older than a key from a key file: what they wrote can be read no more.

    The key, and any put in front of it meanwhile, stay; nothing changes if it is not there.
    """
    with _alone(path):
        secrets = load_keyring(path, may_make=False).secrets
        names = [secret.key_id for secret in secrets]
        if key_id in names:
            _write(path, Keyring(secrets[: names.index(key_id) + 1]))


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Keep other changes of the key files beside this one out; a reader is not held up."""
    directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(directory, fcntl.LOCK_EX)
        yield
    finally:
        os.close(directory)


def say_in_use(path: Path, key_ids: Mapping[str, str]) -> None:
    """Note, for who retires keys, with which current keys a process writes from now on."""
    replace_durably(path, msgspec.json.encode(dict(key_ids)))


def in_use(path: Path) -> dict[str, str]:
    """Give the names of the keys a process said it writes with; empty if none ever did."""
    return msgspec.json.decode(path.read_bytes(), type=dict[str, str]) if path.exists() else {}


class KeyFile:
    """A key file that is read again once it was replaced."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stamp: tuple[int, int] | None = None

    def fresh(self) -> Keyring | None:
        """
        Give the keyring the first time, and if the file was replaced since it was last given.

        Raises:
            OSError, msgspec.MsgspecError: It cannot be read; it is tried again the next time.
        """
        stamp = _stamp(self._path)
        if stamp == self._stamp:
            return None
        keyring = load_keyring(self._path, may_make=False)
        self._stamp = stamp
        return keyring

    async def entered(
        self, enter: Callable[[Sequence[Secret]], Awaitable[None]]
    ) -> Sequence[Secret] | None:
        """
        Give the secrets of what `fresh` gives, once `enter` took note of them.

        What this or `enter` raises is raised again the next time, until it goes well.
        """
        keyring = await asyncio.to_thread(self.fresh)
        if keyring is None:
            return None
        try:
            await enter(keyring.secrets)
        except BaseException:
            self._stamp = None
            raise
        return keyring.secrets


def _stamp(path: Path) -> tuple[int, int]:
    said = path.stat()
    return said.st_mtime_ns, said.st_ino


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
    replace_durably(path, msgspec.json.encode(keyring))


def replace_durably(path: Path, content: bytes) -> None:
    """Replace a file as a whole, so that a power cut leaves the old or the new one."""
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    with os.fdopen(handle, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    Path(temporary).replace(path)
    sync_directory(path.parent)

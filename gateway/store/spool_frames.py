"""
What a spool keeps of an upload, wherever it keeps it: encrypted frames, and a digest that runs on.

A frame is AES-256-GCM with a nonce of its own, bound to its upload and the offset of its first
plain byte, so that none can stand for another.
"""

from __future__ import annotations

import hashlib
import os
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from gateway.store.keyring import Secret
from gateway.store.port import UploadKey
from gateway.store.sorted_runs import FileRuns

TAG_BYTES: Final = 16
NONCE_BYTES: Final = 12
UPLOADS_INDEXED_MAX: Final = 256
"""Uploads of which a spool remembers how far they are; another one's is read again."""
HASHED_AT_ONCE_BYTES: Final = 8 * 1024 * 1024
"""What one turn hashes, so that other uploads need not wait long."""


class SpoolBroken(RuntimeError):  # noqa: N818  says what is the case, as the refusals do
    """A frame that was durable cannot be read: the disk lost it, or its key is gone."""


class Sealed(NamedTuple):
    """An encrypted frame; the ciphertext ends with its tag."""

    key_id: str
    nonce: bytes
    ciphertext: bytes


class SpoolKeys:
    """The keys of one key file's secrets, the current one first; shared by all who use them."""

    def __init__(self, secrets: Sequence[Secret]) -> None:
        self.take(secrets)

    def take(self, secrets: Sequence[Secret]) -> None:
        """Use the keys of other secrets from now on."""
        self._keys: Mapping[str, AESGCM] = {
            secret.key_id: AESGCM(secret.derived("onshi spool data")) for secret in secrets
        }
        self.names = tuple(self._keys)
        self.current = secrets[0].key_id
        self.has_older = len(secrets) > 1

    def seal(self, upload_key: UploadKey, offset: int, plain: bytes) -> Sealed:
        """Encrypt a frame with the current key."""
        nonce = os.urandom(NONCE_BYTES)
        ciphertext = self._keys[self.current].encrypt(nonce, plain, _bound(upload_key, offset))
        return Sealed(self.current, nonce, ciphertext)

    def is_current(
        self, upload_key: UploadKey, offset: int, nonce: bytes, ciphertext: bytes
    ) -> bool:
        """Whether the current key wrote a frame."""
        return self._opened(self.current, upload_key, offset, nonce, ciphertext) is not None

    def plain(
        self,
        upload_key: UploadKey,
        offset: int,
        nonce: bytes,
        ciphertext: bytes,
        key_id: str | None = None,
    ) -> bytes:
        """
        Decrypt a frame.

        Args:
            key_id: With which key; None if it must be tried.

        Raises:
            SpoolBroken: No key reads it.
        """
        for one in self._keys if key_id is None else (key_id,):
            if (plain := self._opened(one, upload_key, offset, nonce, ciphertext)) is not None:
                return plain
        raise SpoolBroken("a frame of an upload cannot be read")

    def _opened(
        self, key_id: str, upload_key: UploadKey, offset: int, nonce: bytes, ciphertext: bytes
    ) -> bytes | None:
        key = self._keys.get(key_id)
        try:
            return (
                None if key is None else key.decrypt(nonce, ciphertext, _bound(upload_key, offset))
            )
        except (InvalidTag, ValueError):
            return None


def _bound(upload_key: UploadKey, offset: int) -> bytes:
    return upload_key + offset.to_bytes(8, "big")


class RunningDigest:
    """The SHA-256 of an upload as far as its bytes were seen in order."""

    def __init__(self) -> None:
        self._hash = hashlib.sha256()
        self.seen = 0
        """Bytes."""

    def see(self, offset: int, data: bytes) -> None:
        """Take bytes, if they are the next ones."""
        if offset == self.seen:
            self._hash.update(data)
            self.seen += len(data)

    def value(self) -> bytes:
        """Give the digest of what was seen."""
        return self._hash.digest()


class KeptSpool(ABC):
    """A `Spool` whose keys can change while it is used."""

    @abstractmethod
    async def close(self) -> None:
        """Close what is open, once the work under way is done."""

    @abstractmethod
    async def durable_offset(self, upload_key: UploadKey) -> int:
        """See `Spool`."""

    @abstractmethod
    async def append(self, upload_key: UploadKey, offset: int, data: bytes) -> int:
        """See `Spool`."""

    @abstractmethod
    async def digest(self, upload_key: UploadKey) -> bytes:
        """See `Spool`. Raises `SpoolBroken` if what was safe was lost."""

    @abstractmethod
    async def read(self, upload_key: UploadKey, offset: int, bytes_max: int) -> bytes:
        """See `Spool`. Raises `SpoolBroken` if what was safe was lost."""

    @abstractmethod
    async def discard(self, upload_key: UploadKey) -> None:
        """See `Spool`."""

    @abstractmethod
    async def uploads(self, uploads_max: int) -> Sequence[UploadKey]:
        """See `Spool`."""

    @abstractmethod
    def runs(self) -> FileRuns:
        """See `Spool`."""

    @abstractmethod
    async def refresh(self) -> str:
        """See `StepVault.refresh`."""

    @abstractmethod
    async def renew(self, frames_max: int) -> int:
        """
        Write some frames anew under the current key.

        Returns:
            1 if there may be more to do, 0 if every upload is of the current key.
        """

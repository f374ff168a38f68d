"""
What `onshi keys` does: put new keys into the key files, tell how far they are, retire old ones.

May run beside the gateway, which notices new keys by itself (`gateway.app.key_renewal`).
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from gateway.app.layout import DataDir
from gateway.store.keyring import in_use, load_keyring, retire, rotate
from gateway.store.spool_keys import old_uploads
from gateway.store.vault import old_rows


@dataclass(frozen=True, slots=True)
class KeyStatus:
    """One key file: its current key, older ones, what they still hold, whether it is in use."""

    name: str
    current: str
    older: tuple[str, ...]
    left: int
    """Rows of the vault, or uploads of the spool, that older keys wrote."""
    is_in_use: bool
    """Whether the running writer writes with the current key, or none runs."""
    is_older_kept: bool = False
    """Whether older keys are never retired, because what they made is good for ever."""

    @property
    def can_retire(self) -> bool:
        """Whether nothing needs the older keys any more."""
        return not self.left and self.is_in_use


def data_of(directory: Path) -> DataDir:
    """The gateway's directory: the one given, or `data` in a sandbox's."""
    inner = DataDir(directory / "data")
    return inner if inner.keys.is_dir() else DataDir(directory)


def rotate_keys(directory: Path) -> list[KeyStatus]:
    """
    Put a fresh current key into each key file.

    Raises:
        FileNotFoundError: No gateway ever ran here.
    """
    data = data_of(directory)
    for path in (data.vault_keys, data.spool_keys):
        rotate(path)
    if data.token_keys.exists():
        rotate(data.token_keys)
    return key_status(directory)


def key_status(directory: Path) -> list[KeyStatus]:
    """
    Tell how far the current keys are used.

    Raises:
        FileNotFoundError: No gateway ever ran here.
    """
    data = data_of(directory)
    with _writer_held_off(data) as is_alone:
        return _statuses(data, is_alone=is_alone)


def retire_keys(directory: Path) -> tuple[list[KeyStatus], bool]:
    """
    Drop older keys of vault and spool, unless something still needs one; whether they are gone.

    Those of tokens stay: a token is good for ever.

    Raises:
        FileNotFoundError: No gateway ever ran here.
    """
    data = data_of(directory)
    with _writer_held_off(data) as is_alone:
        statuses = _statuses(data, is_alone=is_alone)
        if not all(status.can_retire for status in statuses):
            return statuses, False
        for path, status in zip((data.vault_keys, data.spool_keys), statuses[:2], strict=True):
            retire(path, status.current)
        return _statuses(data, is_alone=is_alone), True


def _statuses(data: DataDir, *, is_alone: bool) -> list[KeyStatus]:
    said = in_use(data.keys_in_use)
    vault = load_keyring(data.vault_keys, may_make=False).secrets
    spool = load_keyring(data.spool_keys, may_make=False).secrets
    # What is in use comes first: a writer that uses the current key leaves no more old rows.
    statuses = [
        KeyStatus(
            name,
            secrets[0].key_id,
            tuple(secret.key_id for secret in secrets[1:]),
            left,
            is_alone or said.get(name) == secrets[0].key_id,
        )
        for name, secrets, left in (
            ("vault", vault, old_rows(data.vault, vault[0].key_id)),
            ("spool", spool, old_uploads(data.spool, spool[0])),
        )
    ]
    if data.token_keys.exists():
        token = load_keyring(data.token_keys, may_make=False).secrets
        older = tuple(secret.key_id for secret in token[1:])
        current = token[0].key_id
        statuses.append(KeyStatus("token", current, older, 0, is_in_use=True, is_older_kept=True))
    return statuses


@contextlib.contextmanager
def _writer_held_off(data: DataDir) -> Iterator[bool]:
    """Keep a writer from starting if none runs; give whether none does."""
    descriptor = os.open(data.writer_lock, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        yield False
    else:
        yield True
    finally:
        os.close(descriptor)

"""
What `onshi keys` does: put new keys into the key files, tell how far they are, retire old ones.

May run beside the gateway, which notices new keys by itself (`gateway.app.key_renewal`). Where
several machines share a database, whoever writes must have been given the new key files before the
old keys can be retired.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from gateway.app.engine import FILES, KEPT_IN, SPOOL, VAULT, Engine, engine_at
from gateway.app.layout import DataDir
from gateway.app.sandbox import Sandbox
from gateway.config import STORE_VARIABLE, load_settings
from gateway.store.keyring import in_use, load_keyring, retire, rotate


class KeptElsewhereError(Exception):
    """What the keys encrypt is not where it is looked for; says so in one sentence."""


@dataclass(frozen=True, slots=True)
class KeyStatus:
    """One key file: its current key, older ones, what they still hold, whether it is in use."""

    name: str
    current: str
    older: tuple[str, ...]
    left: int
    """Rows of the vault, or uploads of the spool, that older keys wrote."""
    is_in_use: bool
    """Whether a writer said that it writes with the current key, or none can be running."""
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
        KeptElsewhereError: The database of the vault is not named, or none is used.
        Unavailable: `STORE_UNAVAILABLE`.
    """
    data = data_of(directory)
    engine = _engine(directory)
    for path in _files(data).values():
        rotate(path)
    if data.token_keys.exists():
        rotate(data.token_keys)
    with _writer_held_off(data) as is_alone:
        return asyncio.run(_statuses(data, engine, is_alone=is_alone))


def key_status(directory: Path) -> list[KeyStatus]:
    """
    Tell how far the current keys are used.

    Raises:
        FileNotFoundError: No gateway ever ran here.
        KeptElsewhereError: The database of the vault is not named, or none is used.
        Unavailable: `STORE_UNAVAILABLE`.
    """
    data = data_of(directory)
    with _writer_held_off(data) as is_alone:
        return asyncio.run(_statuses(data, _engine(directory), is_alone=is_alone))


def retire_keys(directory: Path) -> tuple[list[KeyStatus], bool]:
    """
    Drop older keys of vault and spool, unless something still needs one; whether they are gone.

    Those of tokens stay: a token is good for ever.

    Raises:
        FileNotFoundError: No gateway ever ran here.
        KeptElsewhereError: The database of the vault is not named, or none is used.
        Unavailable: `STORE_UNAVAILABLE`.
    """
    data = data_of(directory)
    with _writer_held_off(data) as is_alone:
        return asyncio.run(_retired(data, _engine(directory), is_alone=is_alone))


async def _retired(
    data: DataDir, engine: Engine, *, is_alone: bool
) -> tuple[list[KeyStatus], bool]:
    statuses = await _statuses(data, engine, is_alone=is_alone)
    if not all(status.can_retire for status in statuses):
        return statuses, False
    # First there, so that no writer misses a key it is still told it needs.
    retiring = [status for status in statuses if not status.is_older_kept]
    await engine.forget_keys({status.name: status.older for status in retiring})
    for status in retiring:
        retire(_files(data)[status.name], status.current)
    return await _statuses(data, engine, is_alone=is_alone), True


async def _statuses(data: DataDir, engine: Engine, *, is_alone: bool) -> list[KeyStatus]:
    rings = {
        name: load_keyring(path, may_make=False).secrets for name, path in _files(data).items()
    }
    current = {name: secrets[0] for name, secrets in rings.items()}
    # What is in use comes first: a writer that uses the current key leaves no more old rows.
    used = await engine.keys_in_use(data, current)
    left = await engine.written_with_others(data, current)
    statuses = [
        KeyStatus(
            name,
            secrets[0].key_id,
            tuple(secret.key_id for secret in secrets[1:]),
            left[name],
            name in used or (is_alone and engine.kept_in == FILES),
        )
        for name, secrets in rings.items()
    ]
    if data.token_keys.exists():
        newest, *older = load_keyring(data.token_keys, may_make=False).secrets
        kept = tuple(secret.key_id for secret in older)
        statuses.append(
            KeyStatus("token", newest.key_id, kept, 0, is_in_use=True, is_older_kept=True)
        )
    return statuses


def _files(data: DataDir) -> dict[str, Path]:
    return {VAULT: data.vault_keys, SPOOL: data.spool_keys}


def _engine(directory: Path) -> Engine:
    """The engine that a sandbox's settings or the environment name, if it is that of the keys."""
    config = Sandbox(directory).gateway_config
    data = data_of(directory)
    store = load_settings(config).store if config.exists() else os.environ.get(STORE_VARIABLE)
    engine = engine_at(store, data)
    if in_use(data.keys_in_use).get(KEPT_IN, engine.kept_in) != engine.kept_in:
        must = "must name its database" if engine.kept_in == FILES else "must not be set"
        raise KeptElsewhereError(
            f"the gateway keeps vault and spool elsewhere: {STORE_VARIABLE} {must}"
        )
    return engine


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

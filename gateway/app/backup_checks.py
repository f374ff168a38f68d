"""
Whether the parts of a copied data directory agree; the directory is one nobody writes to.

A backup, a restore and `onshi backup verify` ask the same. A problem is a sentence that names
files, counts and places in a chain, never what they hold.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

import msgspec

from gateway.app.backup_place import Watching
from gateway.app.backup_words import refused
from gateway.app.layout import DataDir
from gateway.store.keyring import Keyring, Secret, load_keyring
from gateway.store.spool_copy import name_of, opens, plain_bytes_of
from gateway.store.sqlite_copy import (
    STILL,
    format_of_copy,
    is_sound,
    news_after,
    people_without_number,
    received_in,
    still,
    unrecorded_news,
)
from gateway.store.sqlite_vault import is_readable_with
from gateway.store.trail import verify

TRIED: Final = frozenset({"vault", "spool"})
"""Key files whose keys are tried on what they wrote."""


def databases_of(data: DataDir) -> list[Path]:
    """The databases of a data directory, whether they are there or not."""
    return [data.database, data.vault, data.news, data.trail]


def key_files(keys: Path) -> list[Path]:
    """The key files of a folder."""
    return [path for path in sorted(keys.glob("*.json")) if path.stem != "in-use"]


def key_ids_of(keys: Path) -> dict[str, tuple[str, ...]]:
    """The names of the keys in the key files of a folder, by file."""
    return {
        name: tuple(secret.key_id for secret in secrets) for name, secrets in rings_of(keys).items()
    }


def problems_of(copy: DataDir, watching: Watching) -> tuple[str, ...]:
    """Check a copy; nothing is said of keys."""
    checks: list[Callable[[DataDir], Iterator[str]]] = [
        _sound,
        _numbers,
        _uploads,
        _news,
        _chains,
    ]
    problems: list[str] = []
    for number, check in enumerate(checks):
        watching.checked(number, len(checks))
        try:
            problems += check(copy)
        except (sqlite3.DatabaseError, OSError) as error:
            problems.append(f"{check.__name__.strip('_')}: {type(error).__name__}")
    watching.checked(len(checks), len(checks))
    return tuple(problems)


def require_keys(copy: DataDir, keys: Path, key_ids: Mapping[str, Sequence[str]]) -> None:
    """
    Refuse keys that do not open a copy: `KEYS_WRONG`.

    Some rows of each key of the vault are tried, and the beginning of each upload: of these older
    keys may be retired by now. Of any other key file each key must be there.

    Args:
        key_ids: The names of the keys there were, by file.
    """
    rings = rings_of(keys)
    for name, wanted in key_ids.items():
        there = {secret.key_id for secret in rings.get(name, ())}
        if not there or (name not in TRIED and not there.issuperset(wanted)):
            raise refused("KEYS_WRONG", what=f"{name}.json")
    if copy.vault.exists():
        with still(copy.vault) as connection:
            if not is_readable_with(connection, rings.get("vault", ())):
                raise refused("KEYS_WRONG", what="vault")
    for path in copy.spool.iterdir():
        if not any(opens(path, secret) for secret in rings.get("spool", ())):
            raise refused("KEYS_WRONG", what="spool")


def rings_of(keys: Path) -> dict[str, tuple[Secret, ...]]:
    """
    Read the key files of a folder.

    Raises:
        BackupRefusedError: `KEYS_WRONG`, also for a file others than its owner may read.
    """
    try:
        return {path.stem: _keyring(path).secrets for path in key_files(keys)}
    except (OSError, msgspec.MsgspecError) as error:
        raise refused("KEYS_WRONG", what=f"{keys}: {type(error).__name__}: {error}") from None


def _keyring(path: Path) -> Keyring:
    return load_keyring(path, may_make=False)


def _sound(copy: DataDir) -> Iterator[str]:
    for path in databases_of(copy):
        if path.exists() and not is_sound(path):
            yield f"{path.name}: the database is damaged"


def _numbers(copy: DataDir) -> Iterator[str]:
    if not copy.vault.exists():
        yield "vault.db: missing"
    elif count := people_without_number(copy.database, copy.vault):
        yield f"vault.db: {count} numbers that gateway.db speaks of are missing"


def _uploads(copy: DataDir) -> Iterator[str]:
    for upload_key, size_bytes in received_in(copy.database).items():
        held = plain_bytes_of(copy.spool / name_of(upload_key))
        if held < size_bytes:
            yield f"spool: {size_bytes - held} bytes of a received upload are missing"


def _news(copy: DataDir) -> Iterator[str]:
    if not copy.news.exists():
        return
    if news_after(copy.news, format_of_copy(copy.database).last_recorded_time):
        yield "gateway.db: older than feed.db, which tells of changes it does not know"
    if copy.trail.exists() and (count := unrecorded_news(copy.news, copy.trail)):
        yield f"trail.db: older than feed.db, {count} confirmations are missing"


def _chains(copy: DataDir) -> Iterator[str]:
    yield from verify(copy.access, copy.trail, STILL).problems

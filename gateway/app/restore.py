"""
Puts a backup into an empty directory, or tells whether one could be; refuses what does not agree.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from gateway.app.backup_checks import key_files, problems_of, require_keys, rings_of
from gateway.app.backup_manifest import FileEntry, Manifest, read_manifest, require_known
from gateway.app.backup_place import Steps, Watching, require_room, whole_or_nothing
from gateway.app.backup_words import refused
from gateway.app.layout import DataDir
from gateway.store.copying import Written, copy_file, written
from gateway.store.sqlite_copy import format_of_copy, rows_of


@dataclass(frozen=True, slots=True)
class RestoreWish:
    """What `onshi restore` was told; `keys` is the folder of keys that are kept apart."""

    source: Path
    data: Path
    keys: Path | None = None


def restore(wish: RestoreWish, watching: Watching) -> Manifest:
    """
    Restore a backup; when this returns, a gateway may start in the directory.

    Raises:
        BackupRefusedError: `NOT_A_BACKUP`, `BACKUP_TOO_NEW`, `BACKUP_BROKEN`, `KEYS_NEEDED`,
            `KEYS_WRONG`, `DIRECTORY_NOT_EMPTY`, `COPY_UNDER_WAY`, `NO_ROOM`. The directory is as
            it was.
        OSError: A file cannot be read or written, or the directory is a mount point.
    """
    manifest = read_manifest(wish.source)
    if wish.keys is None and not manifest.has_keys:
        raise refused("KEYS_NEEDED")
    target = wish.data.absolute()
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise refused("DIRECTORY_NOT_EMPTY", path=wish.data)
    target.parent.mkdir(parents=True, exist_ok=True)
    total = sum(entry.size_bytes for entry in manifest.files)
    require_room(target.parent, total)
    steps = Steps(watching, total, is_resting=False)
    with whole_or_nothing(target) as partial:
        copy = DataDir(partial)
        copy.make()
        for entry in manifest.files:
            _copy(entry, wish.source, partial, steps)
        if wish.keys is not None:
            _take_keys(wish.keys, copy.keys)
        require_keys(copy, copy.keys, manifest.key_ids)
        _require_agreeing(copy, manifest, watching)
    return manifest


def verify(source: Path, keys: Path | None, watching: Watching) -> Manifest:
    """
    Check a backup without restoring it; the keys only if it holds them or they are given.

    Raises:
        BackupRefusedError: `NOT_A_BACKUP`, `BACKUP_TOO_NEW`, `BACKUP_BROKEN`, `KEYS_WRONG`.
        OSError: A file cannot be read.
    """
    manifest = read_manifest(source)
    total = sum(entry.size_bytes for entry in manifest.files)
    steps = Steps(watching, total, is_resting=False)
    for entry in manifest.files:
        try:
            _require_same(entry, written(source / entry.name, steps))
        except FileNotFoundError:
            raise refused("BACKUP_BROKEN", what=entry.name) from None
    copy = DataDir(source)
    if keys is not None or manifest.has_keys:
        require_keys(copy, keys or copy.keys, manifest.key_ids)
    _require_agreeing(copy, manifest, watching)
    return manifest


def _copy(entry: FileEntry, source: Path, target: Path, steps: Steps) -> None:
    place = target / entry.name
    place.parent.mkdir(mode=0o700, exist_ok=True)
    try:
        done = copy_file(source / entry.name, place, steps)
    except FileNotFoundError:
        raise refused("BACKUP_BROKEN", what=entry.name) from None
    _require_same(entry, done)


def _require_same(entry: FileEntry, found: Written) -> None:
    if found != entry.said:
        raise refused("BACKUP_BROKEN", what=entry.name)


def _take_keys(given: Path, target: Path) -> None:
    """Put the keys that are given in the place of those the backup holds, if any."""
    rings_of(given)
    for path in key_files(target):
        path.unlink()
    for path in key_files(given):
        copy_file(path, target / path.name, lambda _: None)


def _require_agreeing(copy: DataDir, manifest: Manifest, watching: Watching) -> None:
    """Refuse parts that do not agree, unless the original's did not when it was copied."""
    found = problems_of(copy, watching)
    fresh: Sequence[str] = [problem for problem in found if problem not in manifest.problems]
    if fresh:
        raise refused("BACKUP_BROKEN", what=fresh[0])
    there = format_of_copy(copy.database)
    require_known(there)
    if there.last_recorded_time != manifest.last_recorded_time:
        raise refused("BACKUP_BROKEN", what=copy.database.name)
    for name, rows in manifest.rows.items():
        if rows_of(copy.root / name) != rows:
            raise refused("BACKUP_BROKEN", what=name)

"""
What a backup says of itself: `manifest.json`, and `manifest.sha256` so that it is whole too.

Only files of a data directory can be named, so no manifest leads a restore elsewhere.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Annotated, Final

import msgspec
from msgspec import Meta, Struct

from gateway.app.backup_words import refused
from gateway.domain.period import Instant
from gateway.store.copying import Written, write_new
from gateway.store.port_backup import FactsFormat
from gateway.store.records import PROJECTION_FORMAT, SCHEMA_REVISION

FORMAT: Final = 1
"""Of the manifest and of what lies beside it; one that is newer is refused."""

ENGINE: Final = "sqlite"
"""What keeps the facts."""

MANIFEST: Final = "manifest.json"
DIGEST: Final = "manifest.sha256"
MANIFEST_BYTES_MAX: Final = 256 * 1024**2

_NAMES: Final = (
    r"gateway\.db|vault\.db|feed\.db|trail\.db|clock|rules\.json|keys/[a-z]+\.json"
    r"|spool/[0-9a-f]{32}\.spool|access/[0-9a-f]+/[0-9]{6,}\.log"
)


class FileEntry(Struct, frozen=True, forbid_unknown_fields=True):
    """A file of a backup, by its name in the data directory."""

    name: Annotated[str, Meta(pattern=rf"\A({_NAMES})\Z")]
    size_bytes: int
    sha256: str

    @property
    def said(self) -> Written:
        """Its size and digest."""
        return Written(self.size_bytes, self.sha256)


class Manifest(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """
    A backup as a whole.

    `begun_time` and `ended_time` are the machine's, in ISO 8601; whatever was acknowledged before
    `begun_time` is in the backup. `last_recorded_time` is the gateway's own, in microseconds since
    1970: the moment the facts are of. `rows` counts by file and table. `key_ids` names the keys
    that open the backup, which hold them only if `has_keys`. `problems` were there when it was
    taken.
    """

    format: int = FORMAT
    engine: str = ENGINE
    schema_revision: str
    projection_format: int
    begun_time: str
    ended_time: str
    last_recorded_time: int
    has_keys: bool
    key_ids: dict[str, tuple[str, ...]]
    is_feed_behind: bool
    rows: dict[str, dict[str, int]]
    problems: tuple[str, ...]
    files: tuple[FileEntry, ...]


class _Head(Struct, frozen=True):
    format: int
    engine: str


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Write it and its digest into a folder, synced."""
    body = msgspec.json.format(msgspec.json.encode(manifest), indent=1) + b"\n"
    write_new(folder / MANIFEST, body)
    write_new(folder / DIGEST, f"{hashlib.sha256(body).hexdigest()}  {MANIFEST}\n".encode())


def read_manifest(folder: Path) -> Manifest:
    """
    Read the manifest of a backup.

    Raises:
        BackupRefusedError: `NOT_A_BACKUP`, `BACKUP_BROKEN`, `BACKUP_TOO_NEW`.
    """
    try:
        body = _bounded(folder / MANIFEST)
        digest = _bounded(folder / DIGEST)
    except (FileNotFoundError, NotADirectoryError):
        raise refused("NOT_A_BACKUP", path=folder) from None
    if digest != f"{hashlib.sha256(body).hexdigest()}  {MANIFEST}\n".encode():
        raise refused("BACKUP_BROKEN", what=MANIFEST)
    try:
        head = msgspec.json.decode(body, type=_Head)
        if head.format > FORMAT or head.engine != ENGINE:
            raise refused("BACKUP_TOO_NEW", found=f"{head.engine} {head.format}", known=FORMAT)
        manifest = msgspec.json.decode(body, type=Manifest)
    except msgspec.MsgspecError:
        raise refused("BACKUP_BROKEN", what=MANIFEST) from None
    last = Instant(manifest.last_recorded_time)
    require_known(FactsFormat(manifest.schema_revision, manifest.projection_format, last))
    return manifest


def require_known(found: FactsFormat) -> None:
    """Refuse facts in a newer form than this version knows: `BACKUP_TOO_NEW`."""
    if found[:2] > (SCHEMA_REVISION, PROJECTION_FORMAT):
        raise refused(
            "BACKUP_TOO_NEW",
            found=f"{found.schema_revision} / {found.projection_format}",
            known=f"{SCHEMA_REVISION} / {PROJECTION_FORMAT}",
        )


def _bounded(path: Path) -> bytes:
    with path.open("rb") as file:
        body = file.read(MANIFEST_BYTES_MAX + 1)
    if len(body) > MANIFEST_BYTES_MAX:
        raise refused("BACKUP_BROKEN", what=path.name)
    return body

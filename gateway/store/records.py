"""
How values are kept in a database: as MessagePack arrays, and as whole numbers for instants.

Arrays keep the order of the fields, so a field may be added at the end with a default and
records written before still read. Anything else is a new `PROJECTION_FORMAT` or a migration.
"""

from __future__ import annotations

from typing import Final

import msgspec

from gateway.domain.compact import CompactHistory
from gateway.domain.coverage import Coverage, History

SCHEMA_REVISION: Final = "0007"
"""The last migration. Revisions are named so that a later one sorts later."""

PROJECTION_FORMAT: Final = 1
"""The form of a stored history; a database with an older one is rebuilt by `migrate`."""

UNFINISHED: Final = 1_000_000
"""In place of that form in a database that `onshi migrate` has not filled yet."""

_encoder: Final = msgspec.msgpack.Encoder()
_coverages: Final = msgspec.msgpack.Decoder(Coverage)
_histories: Final = msgspec.msgpack.Decoder(History)
_compacts: Final = msgspec.msgpack.Decoder(CompactHistory)


class StoreTooOld(RuntimeError):  # noqa: N818  says what is the case, as the refusals do
    """The database must be migrated before this version of the gateway can serve from it."""


class StoreTooNew(RuntimeError):  # noqa: N818  the same
    """The database was written by a newer version of the gateway, which must be used instead."""


def require_not_newer(revision: str, projection: int) -> None:
    """Raise `StoreTooNew`, naming both revisions, if a newer gateway wrote the database."""
    if projection == UNFINISHED:
        raise StoreTooNew("a move into this database has not ended: end it, or name another one")
    if (revision, projection) > (SCHEMA_REVISION, PROJECTION_FORMAT):
        raise StoreTooNew(
            f"the database has schema {revision} and projection format {projection}; this version "
            f"of the gateway knows up to {SCHEMA_REVISION} and {PROJECTION_FORMAT}: use a newer one"
        )


def require_format(revision: str, projection: int) -> None:
    """Raise `StoreTooOld` or `StoreTooNew` unless this is the form of this version."""
    require_not_newer(revision, projection)
    if (revision, projection) != (SCHEMA_REVISION, PROJECTION_FORMAT):
        raise StoreTooOld(
            f"the database has schema {revision or 'none'} and projection format {projection}; "
            f"this gateway needs {SCHEMA_REVISION} and {PROJECTION_FORMAT}: migrate first"
        )


class ImpossibleBatch(RuntimeError):  # noqa: N818  the same
    """A batch contradicts what is stored: a bug of the writer. Nothing of it was written."""


def encode_coverage(coverage: Coverage) -> bytes:
    """Spell a version of a cover."""
    return _encoder.encode(coverage)


def decode_coverage(body: bytes) -> Coverage:
    """Read a version of a cover back. Raises `msgspec.MsgspecError` for anything else."""
    return _coverages.decode(body)


def encode_history(history: History) -> bytes:
    """Spell a person's history."""
    return _encoder.encode(history)


def decode_history(body: bytes) -> History:
    """Read a person's history back. Raises `msgspec.MsgspecError` for anything else."""
    return _histories.decode(body)


def encode_compact(history: CompactHistory) -> bytes:
    """Spell a person's compact history."""
    return _encoder.encode(history)


def decode_compact(body: bytes) -> CompactHistory:
    """Read a compact history back. Raises `msgspec.MsgspecError` for anything else."""
    return _compacts.decode(body)

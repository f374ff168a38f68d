"""
What moves, part by part: each counts, compares and copies, and tells what differs.

Today the facts are all. The vault and the spool do not move yet, so a gateway that has a My Number
or an upload that is not applied is not moved (`numbers_of`, `waiting_of`).
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final, Protocol

from gateway.app.layout import DataDir
from gateway.store import postgres_spool, postgres_vault, spool_keys, sqlite_vault
from gateway.store.keyring import SECRET_BYTES, Secret
from gateway.store.move import Side
from gateway.store.move_round import Round, round_of
from gateway.store.move_sample import Difference, counted
from gateway.store.sql_move import TABLES

NOBODY: Final = Secret("", bytes(SECRET_BYTES))
"""A key nothing was written with, so that what other keys wrote is everything."""


class Part(Protocol):
    """One part of what a gateway keeps."""

    async def is_empty(self) -> bool:
        """Whether the target holds nothing of it."""

    async def count(self) -> int:
        """Count what is to be compared, in rows."""

    async def round(self, went: Callable[[int], None], *, is_reread: bool) -> Round:
        """Compare all of it and copy what differs, as `round_of`."""

    async def differences(self) -> list[Difference]:
        """Tell what differs while nobody writes."""


class Facts:
    """Every table of the main database."""

    def __init__(self, source: Side, target: Side) -> None:
        self._source = source
        self._target = target

    async def is_empty(self) -> bool:
        """See `Part`."""
        return await self._target.is_empty()

    async def count(self) -> int:
        """See `Part`."""
        return sum([await self._source.count(table) for table in TABLES])

    async def round(self, went: Callable[[int], None], *, is_reread: bool) -> Round:
        """See `Part`."""
        return await round_of(self._source, self._target, went, is_reread=is_reread)

    async def differences(self) -> list[Difference]:
        """See `Part`."""
        return await counted(self._source, self._target)


async def numbers_of(file: Path | None, url: str, data: DataDir) -> int:
    """Count the My Numbers of a source, a file of a data directory or a database."""
    if file is not None:
        return sqlite_vault.old_rows(data.vault, NOBODY.key_id)
    return await postgres_vault.old_rows(url, NOBODY.key_id)


async def waiting_of(file: Path | None, url: str, data: DataDir) -> int:
    """Count the uploads of a source that are received and not applied, or half received."""
    if file is not None:
        return spool_keys.old_uploads(data.spool, NOBODY)
    return await postgres_spool.old_uploads(url, NOBODY.key_id)


def parts_of(source: Side, target: Side) -> tuple[Part, ...]:
    """Give everything that moves."""
    return (Facts(source, target),)

"""
What moves, part by part: each counts, compares and copies, and tells what differs.

Today the facts are all; the vault and the spool stay in the data directory.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from gateway.store.move import Side
from gateway.store.move_round import Round, round_of
from gateway.store.move_sample import Difference, counted
from gateway.store.sql_move import TABLES


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


def parts_of(source: Side, target: Side) -> tuple[Part, ...]:
    """Give everything that moves."""
    return (Facts(source, target),)

"""What a disposal asks of a store: the contract, in docstrings. Source: decision 0028."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from typing import Any, NamedTuple, Protocol

from gateway.domain.period import Instant
from gateway.domain.retention import NUMBER_CHECKS, REFUSED_LINES, SUPERSEDED, Disposal, Progress

Key = tuple[Any, ...]
"""A row's primary key."""


class Sweep(Enum):
    """One table gone through in the order of its keys, and the class its rows belong to."""

    VERSIONS = SUPERSEDED, "cover_versions"
    LINKS = SUPERSEDED, "links"
    LINES = REFUSED_LINES, "refused_lines"
    CHECKS = NUMBER_CHECKS, "number_checks"

    @property
    def code(self) -> str:
        """The class."""
        return self.value[0]

    @property
    def table(self) -> str:
        """The table."""
        return self.value[1]


SWEEPS = tuple(Sweep)
"""In the order a disposal takes them."""


class DuePage(NamedTuple):
    """Keys that are due, in order, and the last key looked at; None if the table is at its end."""

    keys: Sequence[Key]
    last: Key | None


class Disposals(Protocol):
    """What the one writer needs to dispose of what is due."""

    async def last_recorded_time(self) -> Instant:
        """See `Loading`."""

    async def forget_changes(self, before: Instant, events_max: int) -> int:
        """Forget changes recorded before an instant, at most so many; give how many."""

    async def disposals(self) -> Sequence[Progress]:
        """Give every disposal, the first one first; at most the last is not ended."""

    async def begin_disposal(self, progress: Progress) -> None:
        """
        Keep a disposal that begins, and from now on refuse what it makes impossible to tell.

        Raises:
            Unavailable: `STORE_UNAVAILABLE`; nothing was kept.
        """

    async def keep_disposal(self, progress: Progress) -> None:
        """Keep how far a disposal is."""

    async def due(self, sweep: Sweep, before: Instant, after: Key, rows_max: int) -> DuePage:
        """Give which of the next rows after a key are due; looks at so many rows."""

    async def remove(
        self, progress: Progress, sweep: Sweep, keys: Sequence[Key], place: Key
    ) -> Progress:
        """
        Take out what is due of these keys, and keep how far the disposal is, in one transaction.

        Nothing the last known state needs goes, nor what an event that is kept names.

        Returns:
            The disposal after it, at `place`.
        """


class Counted(Protocol):
    """What a dry run needs; any reader has it."""

    async def last_known_time(self) -> Instant:
        """Give the latest recorded time, as `Loading.last_recorded_time`."""

    async def disposals(self) -> Sequence[Progress]:
        """See `Disposals`."""

    async def due(self, sweep: Sweep, before: Instant, after: Key, rows_max: int) -> DuePage:
        """See `Disposals`."""


def ended(kept: Sequence[Progress]) -> list[Disposal]:
    """Give the certificates of disposals that ended."""
    return [one.disposal for one in kept if one.disposal.ended_time is not None]

"""
How old the state of a replica may be, judged without its clock and without its own opinion.

The primary is asked again and again what it shows: the last recorded time, and under which of the
writer's connections. When it was asked is noted before it is asked. A database that shows at least
as much has everything that was acknowledged before that moment. So a snapshot of a replica, which
says both of itself, proves its own age. Source: decision 0030.

It does no IO. All times are of one clock of this process, in seconds.
"""

from __future__ import annotations

from collections import deque
from typing import Final, NamedTuple

from gateway.domain.period import Instant

ASKED_A_BOUND: Final = 4
"""How often, at least, the primary is asked within the bound; a replica may lag by the rest."""


class Shown(NamedTuple):
    """What a database says of itself, in one snapshot."""

    at: Instant
    """Its last recorded time."""
    life: str
    """Under which of the writer's connections that was written; empty if none ever wrote."""
    is_replica: bool
    """Whether it only replays what its primary writes; one that was promoted does not."""


class Mark(NamedTuple):
    """What the primary showed, and from when on it must have been so."""

    asked_s: float
    at: Instant
    life: str


class Freshness:
    """
    What the primary showed of late, and whether a replica shows as much.

    Args:
        bound_s: How old a state may be, inclusive.
    """

    def __init__(self, bound_s: float) -> None:
        self._bound_s = bound_s
        self._marks: deque[Mark] = deque()

    def note(self, asked_s: float, shown: Shown) -> None:
        """
        Remember what the primary showed, and forget what it showed before the bound.

        To be called in the order of asking.
        A primary that is itself a replica, or that nobody ever wrote, proves nothing.

        Args:
            asked_s: The time before it was asked.

            shown: What it said.
        """
        if shown.life and not shown.is_replica:
            self._marks.append(Mark(asked_s, shown.at, shown.life))
            while asked_s - self._marks[0].asked_s > self._bound_s:
                self._marks.popleft()

    def is_known(self, now_s: float) -> bool:
        """Whether the primary said anything within the bound: else nothing can be fresh."""
        return bool(self._marks) and now_s - self._marks[-1].asked_s <= self._bound_s

    def is_fresh(self, shown: Shown, begun_s: float) -> bool:
        """
        Whether a snapshot has all that was acknowledged longer than the bound before a question.

        Args:
            shown: What the snapshot says of itself. It must be of a replica: another gateway may
                write to one that was promoted, and then it is another database.

            begun_s: When the question began.
        """
        return shown.is_replica and any(
            begun_s - mark.asked_s <= self._bound_s and _has(shown, mark) for mark in self._marks
        )

    def age_s(self, shown: Shown, now_s: float) -> float | None:
        """How old a snapshot is at most; None if nothing that is remembered tells."""
        for mark in reversed(self._marks):
            if _has(shown, mark):
                return now_s - mark.asked_s
        return None


def _has(shown: Shown, mark: Mark) -> bool:
    """
    Whether a snapshot has all that the primary had.

    One connection writes one server, in order. So what two databases hold under the same life is
    the same up to the smaller of their last recorded times; under two lives it need not be.
    """
    return shown.life == mark.life and shown.at >= mark.at

"""
Who must not be found: the two flags an insurer sets for a person in danger, and what they hide.

Nondisclosed (不開示該当フラグ): an answer by number holds no address, and the portal does not
tell who looked. Self-information withheld (自己情報提供不可フラグ): besides, the card finds
nothing and opens nothing, because it may be in wrong hands. A flag counts for the whole person
while its cover was not cancelled and has no loss date, suspended or not; for the cover itself it
counts until the insurer takes it away. Source: insurer-lifecycle.md 1.6.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from gateway.domain.coverage import Coverage, CoverState, History


class Flags(NamedTuple):
    """Which of the two flags count."""

    is_nondisclosed: bool
    is_self_information_withheld: bool

    @property
    def is_any(self) -> bool:
        """Whether there is something to hide."""
        return self.is_nondisclosed or self.is_self_information_withheld


NO_FLAGS = Flags(is_nondisclosed=False, is_self_information_withheld=False)


def flags_of_person(history: History) -> Flags:
    """Give the flags that count for all of a person's covers."""
    return _flags(
        cover
        for enrolment in history.enrolments
        for cover in enrolment.covers
        if cover.period.end is None and cover.state is not CoverState.CANCELLED
    )


def flags_of_cover(cover: Coverage, person: Flags) -> Flags:
    """Give the flags that count for one cover of a person."""
    own = _flags((cover,))
    if own is person:
        return own
    return Flags(
        person.is_nondisclosed or own.is_nondisclosed,
        person.is_self_information_withheld or own.is_self_information_withheld,
    )


def _flags(covers: Iterable[Coverage]) -> Flags:
    is_nondisclosed = is_withheld = False
    for cover in covers:
        is_nondisclosed |= cover.is_nondisclosed
        is_withheld |= cover.is_self_information_withheld
    if not (is_nondisclosed or is_withheld):
        return NO_FLAGS
    return Flags(is_nondisclosed, is_withheld)

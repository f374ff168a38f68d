"""
What the road of a My Number asks of a store and of the trail besides `gateway.store.port`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from gateway.domain.identifiers import EnrolleeKey, InsurerNumber, PersonKey
from gateway.domain.period import Instant
from gateway.store.port import NumberCheck, Writing
from gateway.store.port_beside import Look, Looks


class LinkSpan(NamedTuple):
    """
    From when until when, not included, an enrollee was linked to a person while it could be seen.

    A link under which the enrollee's covers went out of sight and came back gives several.
    """

    person_key: PersonKey
    begin: Instant
    end: Instant | None
    is_numbered: bool


class NumberStore(Writing, Protocol):
    """A `Writing` store that also tells of checks and links over all enrollees."""

    async def checks_wanted(self, checks_max: int) -> Sequence[NumberCheck]:
        """Give the checks whose number the register is to be asked for, oldest first."""

    async def checks_disagreeing(
        self, insurer_number: InsurerNumber, checks_max: int
    ) -> Sequence[NumberCheck]:
        """Give an insurer's checks that the register disagreed with, answered last first."""

    async def enrollees_of(
        self, insurer_number: InsurerNumber, after: EnrolleeKey, enrollees_max: int
    ) -> Sequence[EnrolleeKey]:
        """Give an insurer's enrollees in order of their keys, beginning after one."""

    async def links_of(self, enrollee_key: EnrolleeKey) -> Sequence[LinkSpan]:
        """Give whom an enrollee was linked to and from when until when, earliest first."""


class LooksThrough(Looks, Protocol):
    """A trail that can be asked about several people, each within a time."""

    async def looks_within(
        self,
        spans: Sequence[tuple[PersonKey, Instant, Instant]],
        before: tuple[Instant, str],
        but_of: tuple[str, str],
        looks_max: int,
    ) -> Sequence[Look]:
        """
        Give the latest looks at people, each within its time, newest first.

        Args:
            spans: The people, from when, until when (not included).

            before: Only looks that come after this one in the list: instant and record id.

            but_of: Role and code whose own looks are left out.
        """

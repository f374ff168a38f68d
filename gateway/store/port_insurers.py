"""What else is asked of a store: how an answer came about, overlaps, inquiries of insurers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Protocol

from gateway.domain.collection import CollectionState
from gateway.domain.explanation import Facts
from gateway.domain.identifiers import EnrolleeKey, InsurerNumber, LookupKey, PersonKey
from gateway.domain.inquiry import Inquiry, InquiryId
from gateway.domain.period import Instant
from gateway.store.port import Writing


class Explaining(Protocol):
    """What telling how an answer came about needs."""

    async def facts_of(
        self,
        key: LookupKey,
        birth_date: date,
        known: Instant | None,
        versions_max: int,
        people_max: int,
    ) -> Facts:
        """
        Give what was learned up to an instant of everybody a question may match.

        That is, of each person whom an enrollee under this key and birth date is or was linked
        to, every enrollee they are or were linked to. The last version of each cover is always
        given, and of older ones the newest, at most `versions_max` in all. Links that began and
        ended at one instant are left out. Known None is now.

        Raises:
            TooMuch: `TOO_MANY_MATCHES` for more people than `people_max`.
            Unavailable: `STORE_UNAVAILABLE`.
        """

    async def facts_of_person(
        self, person_key: PersonKey, versions_max: int, enrollees_max: int
    ) -> Facts:
        """
        Give what was learned of one person, as `facts_of` does.

        Raises:
            TooMuch: `TOO_MANY_MATCHES` for more enrollees than `enrollees_max`.
            Unavailable: `STORE_UNAVAILABLE`.
        """


@dataclass(frozen=True, slots=True)
class OverlapRow:
    """A person of an insurer whose covers overlap another's, and since when that is known."""

    person_key: PersonKey
    recorded_time: Instant


CollectionPlace = tuple[date, EnrolleeKey, int]
"""Where a cover stands in a list: loss date, enrollee and cover number."""


class Lists(Writing, Protocol):
    """The one writer's lists for insurers."""

    async def overlapping(
        self, insurer: InsurerNumber, after: PersonKey, people_max: int
    ) -> Sequence[OverlapRow]:
        """Give people of an insurer with an overlap, by person key, those after a key only."""

    async def collections(
        self,
        insurer: InsurerNumber,
        state: CollectionState,
        after: CollectionPlace,
        covers_max: int,
    ) -> Sequence[CollectionPlace]:
        """
        Give the places of an insurer's listed covers in a state, those lost first in front.

        Args:
            after: Place of the last one given before; give those that come after it.
        """

    async def inquiry(self, inquiry_id: InquiryId) -> Inquiry | None:
        """Give an inquiry, or None."""

    async def inquiries_of(
        self,
        insurer: InsurerNumber,
        before: tuple[Instant, InquiryId],
        inquiries_max: int,
        *,
        is_received: bool,
    ) -> Sequence[Inquiry]:
        """
        Give what an insurer was asked, or asked others, newest first.

        Args:
            before: Time and id of the last one given before; give those that come after it.
        """

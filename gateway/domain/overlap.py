"""
Enrolment by two insurers for one day (資格重複): accepted, never blocked, and told to both.

A person's old insurer may be late with the loss, so two covers may hold on one day. Only covers
linked by number count, because nobody else is known to be one person; medical assistance stands
beside insurance and is no duplicate. Source: insurer-lifecycle.md 1.5.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date
from itertools import permutations

from msgspec import Struct

from gateway.domain.coverage import Coverage, CoverState, Enrolment
from gateway.domain.identifiers import InsurerNumber, PersonKey
from gateway.domain.period import Instant, Period, tokyo_day

Enrolled = tuple[InsurerNumber, Enrolment]
"""An insurer's enrollee; of one person, where several stand together."""


class OverlapState(Struct, frozen=True):
    """Whether a person's covers by an insurer overlap another insurer's, as known now."""

    insurer_number: InsurerNumber
    person_key: PersonKey
    is_overlapping: bool


class Overlap(Struct, frozen=True):
    """A cover, a cover of the same person by another insurer, and the days both hold."""

    own: Coverage
    other: Coverage
    shared: Period


def overlaps_of(insurer: InsurerNumber, enrolled: Sequence[Enrolled]) -> list[Overlap]:
    """
    Give a person's covers by an insurer that share a day with one by another insurer.

    Args:
        insurer: Whose covers are looked at.

        enrolled: All of one person's enrolments.
    """
    counted = list(_counted(enrolled))
    found = [
        Overlap(own, other, shared)
        for of, own in counted
        if of == insurer
        for by, other in counted
        if by != insurer and (shared := own.period.shared_with(other.period)) is not None
    ]
    return sorted(found, key=lambda one: (one.shared.start, one.other.period.start))


def overlapping_insurers(enrolled: Sequence[Enrolled]) -> set[InsurerNumber]:
    """Give the insurers of a person that have a cover which shares a day with another's."""
    return {
        of
        for (of, own), (by, other) in permutations(_counted(enrolled), 2)
        if of != by and own.period.overlaps(other.period)
    }


def days_known(recorded: Instant, today: date) -> int:
    """How many days an overlap has been known; 0 on the day it became known."""
    return today.toordinal() - tokyo_day(recorded).toordinal()


def _counted(enrolled: Iterable[Enrolled]) -> Iterable[tuple[InsurerNumber, Coverage]]:
    return (
        (insurer, cover)
        for insurer, enrolment in enrolled
        if enrolment.is_numbered and not insurer.is_medical_assistance
        for cover in enrolment.covers
        if cover.state is CoverState.REGISTERED
    )

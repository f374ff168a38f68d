"""List an insurer's enrollees whom another insurer covers too (資格重複状況結果一覧)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from gateway.domain.identifiers import InsurerNumber, PersonKey
from gateway.domain.overlap import Enrolled, Overlap, days_known, overlaps_of
from gateway.domain.period import Instant, tokyo_day
from gateway.domain.purpose import DataCategory, Operation, Role
from gateway.store.port import Enrollee
from gateway.store.port_insurers import Lists, OverlapRow
from gateway.usecases.context import Context
from gateway.usecases.door import Door, Errand, Looked

ERRAND: Final = Errand(
    purpose="OQS-INS-01",
    operation=Operation.DISCLOSE,
    data=frozenset({DataCategory.QUALIFICATION}),
    recipient=Role.INSURER,
)


@dataclass(frozen=True, slots=True)
class KnownOverlap:
    """An overlap, and since when it is known that the person's covers overlap."""

    overlap: Overlap
    known_since: Instant
    days_known: int


@dataclass(frozen=True, slots=True)
class OverlapPage:
    """Some overlaps, and the person after whom the next page begins; None after the last one."""

    overlaps: tuple[KnownOverlap, ...]
    last: PersonKey | None


async def list_overlaps(
    after: PersonKey, people_max: int, context: Context, store: Lists, door: Door
) -> OverlapPage:
    """
    Give a page of the caller's overlaps, through the door.

    Args:
        after: The person the page before ended with; empty for the first page.

        people_max: How many people a page tells of.

    Raises:
        NotPermitted: As the door.
        Unavailable: `STORE_UNAVAILABLE`.
    """
    insurer = InsurerNumber(context.caller.code)

    async def look() -> Looked[OverlapPage]:
        rows = await store.overlapping(insurer, after, people_max + 1)
        told = rows[:people_max]
        people = tuple(row.person_key for row in told)
        loaded = await store.load((), people) if people else None
        enrolled = _enrolled(() if loaded is None else loaded.enrollees)
        found = tuple(_known(insurer, told, enrolled, context.now))
        last = people[-1] if len(rows) > people_max else None
        return Looked(OverlapPage(found, last), "ANSWERED", str(len(found)), people)

    page, _ = await door.opened(context, ERRAND, look)
    return page


def _enrolled(enrollees: Iterable[Enrollee]) -> dict[PersonKey, list[Enrolled]]:
    of_person: dict[PersonKey, list[Enrolled]] = {}
    for one in enrollees:
        of_person.setdefault(one.person_key, []).append((one.insurer_number, one.enrolment))
    return of_person


def _known(
    insurer: InsurerNumber,
    rows: Sequence[OverlapRow],
    enrolled: dict[PersonKey, list[Enrolled]],
    now: Instant,
) -> Iterable[KnownOverlap]:
    today = tokyo_day(now)
    return (
        KnownOverlap(overlap, row.recorded_time, days_known(row.recorded_time, today))
        for row in rows
        for overlap in overlaps_of(insurer, enrolled.get(row.person_key, ()))
    )

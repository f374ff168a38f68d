"""Which touched people are enrolled twice, as the batch that touched them must say."""

from __future__ import annotations

from collections.abc import Collection

from gateway.domain.coverage import Enrolment
from gateway.domain.identifiers import InsurerNumber, PersonKey
from gateway.domain.overlap import Enrolled, OverlapState, overlapping_insurers
from gateway.usecases.enrollees import WorkedEnrollee


def overlap_states(
    enrollees: Collection[WorkedEnrollee], touched: Collection[PersonKey]
) -> list[OverlapState]:
    """
    Tell whether the covers of touched people overlap, for each insurer they have or had.

    Who has one insurer and had no other, which is nearly everybody, is passed over.

    Args:
        enrollees: All that were loaded or are new; of a touched person, every one.
    """
    insurers: dict[PersonKey, set[InsurerNumber]] = {}
    for enrollee in enrollees:
        for person_key in (enrollee.person_key, enrollee.linked_before):
            if person_key is not None:
                insurers.setdefault(person_key, set()).add(enrollee.insurer_number)
    several = {one for one in touched if len(insurers.get(one, ())) > 1}
    if not several:
        return []
    enrolled: dict[PersonKey, list[Enrolled]] = {}
    for enrollee in enrollees:
        if enrollee.person_key in several:
            enrolment = Enrolment(enrollee.key, enrollee.is_numbered, enrollee.covers)
            enrolled.setdefault(enrollee.person_key, []).append(
                (enrollee.insurer_number, enrolment)
            )
    states = []
    for person_key in sorted(several):
        found = overlapping_insurers(enrolled.get(person_key, ()))
        states += [
            OverlapState(insurer, person_key, insurer in found)
            for insurer in sorted(insurers[person_key])
        ]
    return states

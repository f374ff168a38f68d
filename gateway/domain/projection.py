"""
The person's record a lookup needs: a projection of facts and links, rebuilt when either changes.

The writer and every store build it here, so that one person's record is spelt one way. Source:
house 11 (keys).
"""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import structs

from gateway.domain.coverage import Enrolment, History
from gateway.domain.identifiers import PersonKey


def history_of(person_key: PersonKey, version: int, enrolments: Iterable[Enrolment]) -> History:
    """
    Put a person's enrolments together, sorted by enrollee key and their covers by cover number.

    Args:
        version: How often the person's record changed, this change included; 0 if not counted.
    """
    found = tuple(enrolments)
    if len(found) == 1 and len(found[0].covers) == 1:
        return History(person_key, version, found)
    return History(
        person_key,
        version,
        tuple(
            structs.replace(
                enrolment, covers=tuple(sorted(enrolment.covers, key=lambda c: c.cover_no))
            )
            for enrolment in sorted(found, key=lambda e: e.enrollee_key)
        ),
    )

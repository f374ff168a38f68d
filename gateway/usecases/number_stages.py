"""How far the My Number of an enrollee has come, for the insurer who told it."""

from __future__ import annotations

from typing import Final

from gateway.domain.changes import Target
from gateway.domain.errors import Conflict, NotFound, NotPermitted
from gateway.domain.identifiers import InsurerNumber
from gateway.domain.purpose import DataCategory, Operation, Role
from gateway.store.port import Enrollee, NumberCheck, Writing
from gateway.usecases.context import Context
from gateway.usecases.door import DeniedLookError, Door, Errand, Looked

ERRAND: Final = Errand(
    purpose="KP7-OR-01",
    operation=Operation.REGISTER,
    data=frozenset({DataCategory.QUALIFICATION}),
    recipient=Role.OPERATOR,
)


async def number_stages(
    target: Target, context: Context, store: Writing, door: Door
) -> NumberCheck | None:
    """
    Give the latest check of an enrollee's number, through the door.

    None is a number that linked without a check, because no register was named then.

    Raises:
        NotPermitted: `INSURER_NOT_CALLER`; as the door.
        NotFound: `NUMBER_NOT_TOLD`.
        Conflict: `COVERAGE_UNKNOWN`, `COVERAGE_AMBIGUOUS`.
        Unavailable: `STORE_UNAVAILABLE`.
    """

    async def look() -> Looked[NumberCheck | None]:
        found = await enrollee_named(target, context, store)
        told, people = found.told, (found.person_key,)
        if told is None and not found.enrolment.is_numbered:
            raise DeniedLookError(NotFound("NUMBER_NOT_TOLD", "insured_id"), people)
        return Looked(told, "ANSWERED", "LINKED" if told is None else told.state.name, people)

    check, _ = await door.opened(context, ERRAND, look)
    return check


async def enrollee_named(target: Target, context: Context, store: Writing) -> Enrollee:
    """
    Give the caller's enrollee of a card's numbers and birth date.

    Raises:
        NotPermitted: `INSURER_NOT_CALLER`.
        DeniedLookError: `COVERAGE_UNKNOWN`, `COVERAGE_AMBIGUOUS`.
    """
    if target.insured_id.insurer_number != InsurerNumber(context.caller.code):
        raise NotPermitted("INSURER_NOT_CALLER", "insured_id.insurer_number")
    loaded = await store.load({target.insured_id.lookup_key}, ())
    found = [
        one
        for one in loaded.enrollees
        if any(
            cover.birth_date == target.birth_date and target.insured_id.names(cover.insured_id)
            for cover in one.enrolment.covers
        )
    ]
    people = tuple(sorted({one.person_key for one in found}))
    if not found:
        raise DeniedLookError(Conflict("COVERAGE_UNKNOWN", "insured_id"), people)
    if len(found) > 1:
        raise DeniedLookError(Conflict("COVERAGE_AMBIGUOUS", "insured_id.branch"), people)
    return found[0]

"""An insurer looks up what was ever learned of one of its own members, through the door."""

from __future__ import annotations

import asyncio
from typing import Final, Protocol

from gateway.domain.changes import Target
from gateway.domain.enrollee_history import ToldHistory, history_of_enrollee
from gateway.domain.purpose import DataCategory, Operation
from gateway.store.port import Writing
from gateway.store.port_insurers import Explaining
from gateway.usecases.context import Context
from gateway.usecases.door import Door, Errand, Looked
from gateway.usecases.explain_eligibility import ENROLLEES_A_PERSON_MAX
from gateway.usecases.number_stages import enrollee_named

ERRAND: Final = Errand(
    purpose="KP1-I-01",
    operation=Operation.USE,
    data=frozenset({DataCategory.QUALIFICATION, DataCategory.CERTIFICATE}),
    recipient=None,
)


class HistoryStore(Writing, Explaining, Protocol):
    """Finds an enrollee, and what was learned of them."""


async def enrollee_history(
    target: Target, context: Context, store: HistoryStore, door: Door, versions_max: int
) -> ToldHistory:
    """
    Give every version and link of the caller's enrollee of a card's numbers and birth date.

    Args:
        versions_max: Versions of the enrollee's person that are read, by other insurers too; the
            last one of each cover always is, and of the others the newest.

    Raises:
        NotPermitted: `INSURER_NOT_CALLER`; as the door.
        Conflict: `COVERAGE_UNKNOWN`, `COVERAGE_AMBIGUOUS`.
        TooMuch: `TOO_MANY_MATCHES` for a person of too many enrollees.
        Unavailable: `STORE_UNAVAILABLE`.
    """

    async def look() -> Looked[ToldHistory]:
        found = await enrollee_named(target, context, store)
        person_key = found.person_key
        facts = await store.facts_of_person(person_key, versions_max, ENROLLEES_A_PERSON_MAX)
        told = await asyncio.to_thread(history_of_enrollee, facts, found.enrolment.enrollee_key)
        return Looked(told, "ANSWERED", str(len(told.versions)), (person_key,))

    told, _ = await door.opened(context, ERRAND, look)
    return told

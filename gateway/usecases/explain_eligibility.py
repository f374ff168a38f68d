"""Tell an institution how an answer came about, through the door like the answer itself."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from gateway.domain.eligibility import ByNumber, Rules
from gateway.domain.explanation import ExplainedAnswer, explain
from gateway.domain.period import Instant
from gateway.store.port_insurers import Explaining
from gateway.usecases.confirm_eligibility import ERRAND, LookupLimits, require_question
from gateway.usecases.context import Context
from gateway.usecases.door import Door, Looked


@dataclass(frozen=True, slots=True)
class ExplainLimits:
    """How far an explanation may reach: as a lookup, and how many versions it tells of."""

    lookup: LookupLimits
    explained_versions_max: int


async def explain_eligibility(
    query: ByNumber,
    known: Instant | None,
    context: Context,
    store: Explaining,
    door: Door,
    rules: Rules,
    limits: ExplainLimits,
) -> tuple[ExplainedAnswer, str]:
    """
    Answer a question by number from the facts, and tell what each of them changed.

    Args:
        query: Who is meant and on which day.

        known: Explain what would have been answered at this instant; None is now.

    Returns:
        The explained answer and the id of its access record.

    Raises:
        InvalidInput: As `confirm_eligibility`.
        NotPermitted: As the door.
        TooMuch: `TOO_MANY_MATCHES`.
        Unavailable: `STORE_UNAVAILABLE`.
    """
    require_question(query, known, context, limits.lookup)

    async def look() -> Looked[ExplainedAnswer]:
        facts = await store.facts_of(
            query.lookup_key,
            query.birth_date,
            known,
            limits.explained_versions_max,
            limits.lookup.matches_max,
        )
        # Many versions make many decisions; lookups go on meanwhile.
        explained = await asyncio.to_thread(explain, facts, query, rules)
        answer = explained.answer
        return Looked(explained, "ANSWERED", str(answer.validity.value), answer.people)

    return await door.opened(context, ERRAND, look)

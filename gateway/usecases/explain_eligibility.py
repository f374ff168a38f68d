"""
Tell an institution how an answer came about, through the door like the answer itself.

By card what is known now is explained: a card has no past of its own here.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Final, Protocol

from msgspec import structs

from gateway.domain.card import CardProof, CertificateState
from gateway.domain.eligibility import ByCard, ByNumber, Confirmation, Query, Rules, Validity, Why
from gateway.domain.explanation import ExplainedAnswer, Facts, explain
from gateway.domain.identifiers import PersonKey
from gateway.domain.period import tokyo_day
from gateway.store.port import Reading
from gateway.store.port_answers import ExplainingAgain
from gateway.store.port_insurers import Explaining
from gateway.usecases.answer_tokens import AsOf, Tokens, require_kept
from gateway.usecases.confirm_eligibility import (
    ERRAND,
    LookupLimits,
    require_day,
    require_question,
)
from gateway.usecases.context import Context
from gateway.usecases.door import Door, Looked
from gateway.usecases.visit import Cards

ENROLLEES_A_PERSON_MAX: Final = 1_000
"""Enrollees of one card's holder that are looked at."""


@dataclass(frozen=True, slots=True)
class ExplainLimits:
    """How far an explanation may reach: as a lookup, and how many versions it tells of."""

    lookup: LookupLimits
    explained_versions_max: int


async def explain_eligibility(
    query: ByNumber,
    as_of: AsOf,
    context: Context,
    store: ExplainingAgain,
    door: Door,
    tokens: Tokens,
    limits: ExplainLimits,
) -> tuple[ExplainedAnswer, str]:
    """
    Answer a question by number from the facts, and tell what each of them changed.

    Args:
        query: Who is meant and on which day.

        as_of: Explain what would have been answered at an instant, or what was answered with a
            token.

    Returns:
        The explained answer and the id of its access record.

    Raises:
        InvalidInput: As `confirm_eligibility`.
        Conflict: As `confirm_eligibility`.
        NotPermitted: As the door.
        TooMuch: `TOO_MANY_MATCHES`.
        Unavailable: `STORE_UNAVAILABLE`.
    """
    require_question(query, as_of, context, limits.lookup)
    rules = tokens.rules_then(as_of)

    async def look() -> Looked[ExplainedAnswer]:
        facts = await store.facts_of(
            query.lookup_key,
            query.birth_date,
            as_of.known,
            limits.explained_versions_max,
            limits.lookup.matches_max,
        )
        explained = await _explained(facts, query, rules)
        answer = explained.answer
        await require_kept(as_of, store, answer.people)
        return Looked(explained, "ANSWERED", str(answer.validity.value), answer.people)

    return await door.opened(context, ERRAND, look)


async def _explained(facts: Facts, query: Query, rules: Rules) -> ExplainedAnswer:
    """Many versions make many decisions; lookups go on meanwhile."""
    return await asyncio.to_thread(explain, facts, query, rules)


@dataclass(frozen=True, slots=True)
class ExplainedVisit:
    """An explained answer by card, and how long the card's certificate is still good."""

    query: ByCard
    explained: ExplainedAnswer
    certificate_state: CertificateState


class CardFacts(Reading, Explaining, Protocol):
    """Whose a card is, and what was learned of them."""


async def explain_by_card(
    proof: CardProof,
    query: ByCard,
    context: Context,
    store: CardFacts,
    door: Door,
    cards: Cards,
    rules: Rules,
    limits: ExplainLimits,
) -> tuple[ExplainedVisit, str]:
    """
    Answer a visit from the facts, and tell what each of them changed.

    Args:
        query: The question; whose card it is is filled in.

    Returns:
        The explained answer and the id of its access record.

    Raises:
        InvalidInput: `DATE_OUT_OF_RANGE`.
        NotPermitted: As `confirm_by_card`; recorded.
        TooMuch: `TOO_MANY_MATCHES`.
        Unavailable: `STORE_UNAVAILABLE`.
    """
    require_day(query.on, tokyo_day(context.now), limits.lookup)

    async def look() -> Looked[ExplainedVisit]:
        card = cards.genuine(proof, context)
        holder = await store.by_card(card.card_key)
        state = cards.require_holder(proof, card, holder, context)
        if holder is None:
            unknown = Confirmation(Validity.NO_SUCH_COVER, Why.CARD_NOT_REGISTERED, (), (), ())
            nothing = ExplainedAnswer(unknown, (), (), (), is_cut=False)
            return _looked(ExplainedVisit(query, nothing, state), ())
        of_holder = structs.replace(query, person_key=holder.person_key)
        facts = await store.facts_of_person(
            holder.person_key, limits.explained_versions_max, ENROLLEES_A_PERSON_MAX
        )
        explained = await _explained(facts, of_holder, rules)
        return _looked(ExplainedVisit(of_holder, explained, state), (holder.person_key,))

    return await door.opened(context, ERRAND, look)


def _looked(visit: ExplainedVisit, people: tuple[PersonKey, ...]) -> Looked[ExplainedVisit]:
    validity = str(visit.explained.answer.validity.value)
    return Looked(visit, "ANSWERED", validity, people)

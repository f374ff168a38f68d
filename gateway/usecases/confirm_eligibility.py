"""Confirm one person's eligibility for an institution (資格確認)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Final

from gateway.domain.eligibility import ByNumber, confirm
from gateway.domain.errors import InvalidInput
from gateway.domain.period import days_after, is_later, is_within, tokyo_day
from gateway.domain.purpose import DataCategory, Operation, Role
from gateway.store.port_answers import Answering
from gateway.usecases.answer_tokens import Answered, AsOf, Tokens, require_asked, require_kept
from gateway.usecases.context import Context
from gateway.usecases.door import Door, Errand, Looked

ERRAND: Final = Errand(
    purpose="OQS-MED-01",
    operation=Operation.DISCLOSE,
    data=frozenset({DataCategory.QUALIFICATION, DataCategory.CERTIFICATE}),
    recipient=Role.INSTITUTION,
)


@dataclass(frozen=True, slots=True)
class LookupLimits:
    """How far a question may reach; days are inclusive, the margin is in milliseconds."""

    confirmation_days_back_max: int
    confirmation_days_ahead_max: int
    matches_max: int
    known_time_margin_ms: int


async def confirm_eligibility(
    query: ByNumber,
    as_of: AsOf,
    context: Context,
    store: Answering,
    door: Door,
    tokens: Tokens,
    limits: LookupLimits,
) -> tuple[Answered, str]:
    """
    Answer a question by number, through the door.

    Args:
        query: Who is meant and on which day.

        as_of: Ask what would have been answered at an instant, or again what was answered with a
            token. The instant must be older than the named margin, so that the same question
            always gets the same answer.

    Returns:
        The answer with its token, and the id of its access record.

    Raises:
        InvalidInput: `DATE_OUT_OF_RANGE`, `BIRTH_DATE_IN_FUTURE`, `KNOWN_TIME_TOO_NEW`,
            `TOKEN_OF_ANOTHER_QUESTION`.
        Conflict: `TOKEN_RULES_UNKNOWN`, `FACTS_DISPOSED`.
        NotPermitted: As the door.
        TooMuch: `TOO_MANY_MATCHES`.
        Unavailable: `STORE_UNAVAILABLE`.
    """
    require_question(query, as_of, context, limits)
    rules = tokens.rules_then(as_of)

    async def look() -> Looked[Answered]:
        key, known = query.lookup_key, as_of.known
        if known is None:
            people, at = await store.matching_last(key, query.birth_date, limits.matches_max)
        else:
            at = known
            people = await store.matching_known_at(key, query.birth_date, known, limits.matches_max)
        answer = confirm(people, query, rules)
        await require_kept(as_of, store, answer.people)
        answered = Answered(answer, as_of.token or tokens.of(query, at))
        return Looked(answered, "ANSWERED", str(answer.validity.value), answer.people)

    return await door.opened(context, ERRAND, look)


def require_question(query: ByNumber, as_of: AsOf, context: Context, limits: LookupLimits) -> None:
    """
    Refuse what cannot be asked, as `confirm_eligibility` says.

    What was answered once may be asked again however long ago its day is by now.
    """
    if as_of.stamp is None:
        today = tokyo_day(context.now)
        require_day(query.on, today, limits)
        if is_later(query.birth_date, today):
            raise InvalidInput("BIRTH_DATE_IN_FUTURE", "birth_date")
    require_asked(as_of, query)
    require_old_enough(as_of, context, limits)


def require_old_enough(as_of: AsOf, context: Context, limits: LookupLimits) -> None:
    """Refuse a moment within the named margin (`KNOWN_TIME_TOO_NEW`)."""
    margin_us = limits.known_time_margin_ms * 1000
    if as_of.known is not None and as_of.known > context.now - margin_us:
        field = "known_time" if as_of.stamp is None else "answer_token"
        raise InvalidInput("KNOWN_TIME_TOO_NEW", field)


def require_day(on: date, today: date, limits: LookupLimits) -> None:
    """Refuse a day too far from today (`DATE_OUT_OF_RANGE`)."""
    first = days_after(today, -limits.confirmation_days_back_max)
    last = days_after(today, limits.confirmation_days_ahead_max)
    if not is_within(on, first, last):
        raise InvalidInput("DATE_OUT_OF_RANGE", "confirmation_date")

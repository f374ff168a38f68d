"""Confirm one person's eligibility for an institution (資格確認)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Final

from gateway.domain.eligibility import ByNumber, Confirmation, Rules, confirm
from gateway.domain.errors import InvalidInput
from gateway.domain.period import Instant, days_after, is_later, is_within, tokyo_day
from gateway.domain.purpose import DataCategory, Operation, Role
from gateway.store.port import Reading
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
    known: Instant | None,
    context: Context,
    store: Reading,
    door: Door,
    rules: Rules,
    limits: LookupLimits,
) -> tuple[Confirmation, str]:
    """
    Answer a question by number, through the door.

    Args:
        query: Who is meant and on which day.

        known: Ask what would have been answered at this instant; None is now. It must be older
            than the named margin, so that the same question always gets the same answer.

    Returns:
        The answer and the id of its access record.

    Raises:
        InvalidInput: `DATE_OUT_OF_RANGE`, `BIRTH_DATE_IN_FUTURE`, `KNOWN_TIME_TOO_NEW`.
        NotPermitted: As the door.
        TooMuch: `TOO_MANY_MATCHES`.
        Unavailable: `STORE_UNAVAILABLE`.
    """
    require_question(query, known, context, limits)

    async def look() -> Looked[Confirmation]:
        key = query.lookup_key
        if known is None:
            people = await store.matching(key, query.birth_date, limits.matches_max)
        else:
            people = await store.matching_known_at(key, query.birth_date, known, limits.matches_max)
        answer = confirm(people, query, rules)
        return Looked(answer, "ANSWERED", str(answer.validity.value), answer.people)

    return await door.opened(context, ERRAND, look)


def require_question(
    query: ByNumber, known: Instant | None, context: Context, limits: LookupLimits
) -> None:
    """Refuse what cannot be asked, as `confirm_eligibility` says."""
    today = tokyo_day(context.now)
    require_day(query.on, today, limits)
    if is_later(query.birth_date, today):
        raise InvalidInput("BIRTH_DATE_IN_FUTURE", "birth_date")
    if known is not None and known > context.now - limits.known_time_margin_ms * 1000:
        raise InvalidInput("KNOWN_TIME_TOO_NEW", "known_time")


def require_day(on: date, today: date, limits: LookupLimits) -> None:
    """Refuse a day too far from today (`DATE_OUT_OF_RANGE`)."""
    first = days_after(today, -limits.confirmation_days_back_max)
    last = days_after(today, limits.confirmation_days_ahead_max)
    if not is_within(on, first, last):
        raise InvalidInput("DATE_OUT_OF_RANGE", "confirmation_date")

"""Short spellings of covers, enrolments and histories for the tables of the domain's tests."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any

from gateway.domain.coverage import Coverage, CoverState, Enrolment, History, LossReason, Sex
from gateway.domain.identifiers import EnrolleeKey, InsuredId, PersonKey
from gateway.domain.period import Instant, Period

SOCIETY = "06139992"
NATIONAL = "00138057"
ASSISTANCE = "12130019"

BORN = date(1984, 2, 29)
NOW = Instant(1_775_000_000_000_000)


def key(name: str) -> PersonKey:
    """A person's key for a name of at most 16 letters."""
    return PersonKey(name.encode().ljust(16, b"."))


def insured(insurer: str = SOCIETY, number: str = "1", branch: str = "01") -> InsuredId:
    """What a card of the insurer shows."""
    return InsuredId.parse(insurer, "記号", number, branch)


def cover(
    start: date,
    end: date | None = None,
    *,
    of: InsuredId | None = None,
    state: CoverState = CoverState.REGISTERED,
    cover_no: int = 1,
    **items: Any,
) -> Coverage:
    """A cover from its acquisition date up to, not including, its loss date."""
    said: dict[str, Any] = {
        "birth_date": BORN,
        "name": "見本　甲",
        "insurer_name": "見本保険者",
        "sex": Sex.FEMALE,
        "loss_reason": None if end is None else LossReason.OTHER,
        "recorded_time": NOW,
        "version_no": 1,
    }
    return Coverage(
        cover_no=cover_no,
        state=state,
        insured_id=of or insured(),
        period=Period(start, end),
        **said | items,
    )


def enrolment(*covers: Coverage, is_numbered: bool = True, name: str = "enrollee") -> Enrolment:
    """An enrollee with these covers."""
    return Enrolment(EnrolleeKey(name.encode().ljust(16, b".")), is_numbered, covers)


def person(*enrolments: Enrolment | Coverage, name: str = "person", version: int = 1) -> History:
    """A person with these enrolments; a cover alone is an enrolment of its own."""
    whole: Sequence[Enrolment] = [
        one if isinstance(one, Enrolment) else enrolment(one, name=f"enrollee-{place}")
        for place, one in enumerate(enrolments)
    ]
    return History(key(name), version, tuple(whole))

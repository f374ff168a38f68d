"""
Which class of patient a cover makes of a person, and what share they pay at the counter.

Only what the law gives by age, insurer and certificate; it does not know claims' money.
Sources: claims-furikae.md 1.10 and 1.10b (classes, age limits, notes), 2.3 (ratios).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Final, TypeVar

from gateway.domain.claims import Claim, PatientClass
from gateway.domain.coverage import Coverage, LimitClass, Relationship
from gateway.domain.identifiers import InsurerKind
from gateway.domain.period import Period, age_on

Value = TypeVar("Value")

ELDERLY_AGE: Final = 70
"""Full years; from the month after the birthday, or from it for who is born on the 1st."""
SCHOOL_AGE: Final = 6
"""Full years; a child counts as preschool until the 31 March after."""
SCHOOL_MONTH: Final = 4

_ORDINARY: Final = (
    PatientClass.SELF,
    PatientClass.PRESCHOOL,
    PatientClass.FAMILY,
    PatientClass.ELDERLY,
    PatientClass.ELDERLY_30_PERCENT,
)
"""By pairs of last digits of the claim type: 1 and 2, 3 and 4, 5 and 6, 7 and 8, 9 and 0."""

_COPAY_PERCENT: Final = {
    PatientClass.SELF: 30,
    PatientClass.PRESCHOOL: 20,
    PatientClass.FAMILY: 30,
    PatientClass.ELDERLY: 20,
    PatientClass.ELDERLY_30_PERCENT: 30,
    PatientClass.LATTER_STAGE_30_PERCENT: 30,
}
_ELDERLY_BY_PERCENT: Final = {
    20: PatientClass.ELDERLY,
    30: PatientClass.ELDERLY_30_PERCENT,
}
_LATTER_STAGE_PERCENT: Final = (10, 20)
_LATTER_STAGE_BY_PERCENT: Final = {
    **dict.fromkeys(_LATTER_STAGE_PERCENT, PatientClass.LATTER_STAGE),
    30: PatientClass.LATTER_STAGE_30_PERCENT,
}


_NOTED_UNDER_70: Final = dict(
    zip(
        ("26", "27", "28", "29", "30", "31", "32", "33", "34", "35"),
        (LimitClass.A01, LimitClass.A02, LimitClass.A03, LimitClass.A04, LimitClass.A05) * 2,
        strict=True,
    )
)
"""区ア to 区オ and 多ア to 多オ (claims-furikae.md 1.10b)."""
_NOTED_FROM_70: Final = {
    **dict.fromkeys(("26", "31"), LimitClass.B01),
    **dict.fromkeys(("27", "32"), LimitClass.B02),
    **dict.fromkeys(("28", "33"), LimitClass.B03),
    **dict.fromkeys(("29", "34"), LimitClass.B04),
    **dict.fromkeys(("41", "43"), LimitClass.B09),
    **dict.fromkeys(("42", "44"), LimitClass.B10),
}
"""区オ is left out: from 70 on it may be either class of low income."""


def class_on_claim(claim_type: str) -> PatientClass:
    """The class the second and the last digit of a claim type (レセプト種別) tell."""
    pair = (int(claim_type[-1]) - 1) % 10 // 2
    match claim_type[1]:
        case "2":
            return PatientClass.PUBLIC_EXPENSE_ONLY
        case "3" if pair == len(_ORDINARY) - 1:
            return PatientClass.LATTER_STAGE_30_PERCENT
        case "3":
            return PatientClass.LATTER_STAGE
        case _:
            return _ORDINARY[pair]


def class_under(cover: Coverage, month: str, days: Sequence[date]) -> PatientClass | None:
    """
    The class of a person under a cover in a month, on all of the days.

    Returns:
        None where the insurer registered too little to tell, or it changes between the days.
    """
    first = date(int(month[:4]), int(month[4:]), 1)
    if cover.insured_id.insurer_number.kind is InsurerKind.LATTER_STAGE_ELDERLY:
        return _LATTER_STAGE_BY_PERCENT.get(cover.copayment_ratio or 0)
    if age_on(cover.birth_date, first) >= ELDERLY_AGE:
        return _ELDERLY_BY_PERCENT.get(_elderly_percent(cover, days) or 0)
    if age_on(cover.birth_date, _school_year_of(first)) < SCHOOL_AGE:
        return PatientClass.PRESCHOOL
    match cover.relationship:
        case Relationship.SELF:
            return PatientClass.SELF
        case Relationship.FAMILY:
            return PatientClass.FAMILY
        case None:
            return None


def copay_percent(patient_class: PatientClass, cover: Coverage) -> int | None:
    """
    What the patient pays, in percent.

    The class tells it, but for the latter-stage elderly who pay 10 or 20, as registered with
    their cover; None if neither is.
    """
    if patient_class is PatientClass.LATTER_STAGE:
        return cover.copayment_ratio if cover.copayment_ratio in _LATTER_STAGE_PERCENT else None
    return _COPAY_PERCENT.get(patient_class)


def limit_class_of(cover: Coverage, days: Sequence[date]) -> LimitClass | None:
    """
    The income class of the limit certificates that hold on the days, if it is one on all.

    オ of who is just above welfare (A06, 境) has the ceiling of オ (A05) and the same note on a
    claim (区オ), so it reads as A05.
    """
    found = _on_all(days, [(one.validity, one.limit_class) for one in cover.limits])
    return LimitClass.A05 if found is LimitClass.A06 else found


def noted_limit_class(claim: Claim) -> LimitClass | None:
    """The income class a claim notes (特記事項); None if it notes none or several."""
    is_young = class_on_claim(claim.claim_type) in (
        PatientClass.SELF,
        PatientClass.PRESCHOOL,
        PatientClass.FAMILY,
    )
    table = _NOTED_UNDER_70 if is_young else _NOTED_FROM_70
    found = {table[note] for note in claim.special_notes if note in table}
    return found.pop() if len(found) == 1 else None


def _elderly_percent(cover: Coverage, days: Sequence[date]) -> int | None:
    return _on_all(days, [(one.validity, one.copayment_ratio) for one in cover.elderly])


def _on_all(days: Sequence[date], said: Sequence[tuple[Period, Value]]) -> Value | None:
    """What certificates say on every one of the days; None where none or two say something."""
    found = [{value for validity, value in said if validity.holds_on(day)} for day in days]
    values = set().union(*found)
    return values.pop() if len(values) == 1 and all(found) else None


def _school_year_of(first: date) -> date:
    year = first.year if first.month >= SCHOOL_MONTH else first.year - 1
    return date(year, SCHOOL_MONTH, 1)

"""Enrolled twice: by two insurers, on one day, as one person by number."""

from __future__ import annotations

from datetime import date

import pytest

from gateway.domain.coverage import Coverage, CoverState
from gateway.domain.identifiers import InsurerNumber
from gateway.domain.overlap import Enrolled, days_known, overlapping_insurers, overlaps_of
from gateway.domain.period import Instant, Period
from tests.domain.covers import ASSISTANCE, NATIONAL, SOCIETY, cover, enrolment, insured

MINE, OTHER = InsurerNumber(SOCIETY), InsurerNumber(NATIONAL)
APRIL, MAY = date(2026, 4, 1), date(2026, 5, 1)


def enrolled(one: Coverage, *, is_numbered: bool = True) -> Enrolled:
    """A cover as its insurer's only one."""
    return one.insured_id.insurer_number, enrolment(one, is_numbered=is_numbered)


def test_both_insurers_see_the_shared_days() -> None:
    """A new cover before the old one's loss overlaps until the loss, seen from either side."""
    old = cover(date(2020, 4, 1), MAY, of=insured(NATIONAL))
    new = cover(APRIL)
    both = [enrolled(old), enrolled(new)]
    assert overlapping_insurers(both) == {MINE, OTHER}
    (mine,) = overlaps_of(MINE, both)
    (other,) = overlaps_of(OTHER, both)
    assert (mine.own, mine.other, mine.shared) == (new, old, Period(APRIL, MAY))
    assert (other.own, other.other, other.shared) == (old, new, Period(APRIL, MAY))


@pytest.mark.parametrize(
    "other",
    [
        enrolled(cover(date(2020, 4, 1), APRIL, of=insured(NATIONAL))),
        enrolled(cover(APRIL, APRIL, of=insured(NATIONAL))),
        enrolled(cover(APRIL, of=insured(NATIONAL)), is_numbered=False),
        enrolled(cover(APRIL, of=insured(NATIONAL), state=CoverState.SUSPENDED)),
        enrolled(cover(APRIL, of=insured(NATIONAL), state=CoverState.CANCELLED)),
        enrolled(cover(APRIL, of=insured(ASSISTANCE))),
        enrolled(cover(APRIL, of=insured(number="2"))),
    ],
    ids=["lost", "no day", "no number", "suspended", "cancelled", "assistance", "own"],
)
def test_what_is_no_duplicate(other: Enrolled) -> None:
    """No shared day, no number, nothing to be seen, no insurance, or the same insurer."""
    both = [enrolled(cover(APRIL)), other]
    assert overlapping_insurers(both) == set()
    assert overlaps_of(MINE, both) == []


def test_known_days_are_counted_in_japan() -> None:
    """An overlap learned late on a day in Japan is a day old after midnight there."""
    late = Instant(1_776_261_599_000_000)
    assert days_known(late, date(2026, 4, 15)) == 0
    assert days_known(late, date(2026, 4, 16)) == 1

"""
Business days (営業日): Monday to Friday without the days offices are closed.

Pure: which days of a year are closed is handed in, so that no table of holidays is looked up
here. Public offices close on national holidays and from 29 December to 3 January (行政機関の休日
に関する法律).
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from typing import Final

from gateway.domain.period import days_after, days_between

Closed = Callable[[int], frozenset[date]]
"""Gives the days of a year on which offices are closed, weekends aside."""

COUNTED_DAYS_MAX: Final = 1_000
"""Of a longer time only so many days at its end are counted: its beginning is a typing error."""

_SATURDAY: Final = 5


def is_business_day(day: date, closed: Closed) -> bool:
    """Whether offices are open on a day."""
    return day.weekday() < _SATURDAY and day not in closed(day.year)


def business_days_between(first: date, last: date, closed: Closed) -> int:
    """
    How many business days come after `first` up to `last`, which counts.

    The next business day is 1, the same day 0, and so is Sunday after a Saturday. Negative, by
    the same count the other way round, if `last` is before `first`.
    """
    days = days_between(first, last)
    if days < 0:
        return -business_days_between(last, first, closed)
    counted = min(days, COUNTED_DAYS_MAX)
    return sum(is_business_day(days_after(last, -back), closed) for back in range(counted))

"""The days of a year on which public offices are closed, weekends aside."""

from __future__ import annotations

from datetime import date
from functools import lru_cache
from typing import Final

YEARS_REMEMBERED_MAX: Final = 64

NEW_YEAR: Final = ((1, 2), (1, 3), (12, 29), (12, 30), (12, 31))
"""Months and days on which offices are closed besides the national holidays."""


@lru_cache(maxsize=YEARS_REMEMBERED_MAX)
def closed_days(year: int) -> frozenset[date]:
    """
    Give national holidays (国民の祝日) and the days around New Year.

    The table of holidays is loaded with the first question, so that nobody else pays for it.
    """
    import jpholiday

    holidays = frozenset(day for day, _ in jpholiday.year_holidays(year))
    return holidays | {date(year, month, day) for month, day in NEW_YEAR}

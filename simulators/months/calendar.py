"""The days on which offices work, by the library of holidays and the days around New Year."""

from __future__ import annotations

from datetime import date, timedelta
from functools import lru_cache
from typing import Final

_SATURDAY: Final = 5
_NEW_YEAR: Final = frozenset({(12, 29), (12, 30), (12, 31), (1, 2), (1, 3)})
_DAYS_REMEMBERED_MAX: Final = 16_384


@lru_cache(maxsize=_DAYS_REMEMBERED_MAX)
def is_open(on: date) -> bool:
    """Whether offices work on a day."""
    import jpholiday  # noqa: PLC0415  its table is slow to load

    closed = on.weekday() >= _SATURDAY or (on.month, on.day) in _NEW_YEAR
    return not closed and not jpholiday.is_holiday(on)


@lru_cache(maxsize=_DAYS_REMEMBERED_MAX)
def business_day_after(on: date, count: int) -> date:
    """Give the business day so many after a day; with none the day itself, or the next one open."""
    while not count and not is_open(on):
        on += timedelta(days=1)
    while count:
        on += timedelta(days=1)
        count -= is_open(on)
    return on

"""
Days, half-open periods, instants: the only date arithmetic in the house.

A period of cover runs from its first day up to, not including, its end: on the loss date
(資格喪失年月日) there is no cover. Certificates state their last valid day; `Period.through`
takes that spelling. Sources: house decision 0001; oqs-interface.md 2.2 (items 17-21, 26-29).
"""

from __future__ import annotations

import re
from calendar import monthrange
from datetime import UTC, date, datetime, timedelta, timezone
from functools import lru_cache
from typing import Final, NewType

from msgspec import Struct

from gateway.domain.errors import InvalidInput

Instant = NewType("Instant", int)
"""A moment, in microseconds since 1970-01-01T00:00:00Z."""

TOKYO: Final = timezone(timedelta(hours=9), "Asia/Tokyo")
"""Japan has had no summer time since 1951, so a fixed offset is exact for every living cover."""

_EPOCH_ORDINAL: Final = date(1970, 1, 1).toordinal()
_TOKYO_AHEAD_US: Final = 9 * 3_600 * 1_000_000
_DAY_US: Final = 86_400 * 1_000_000

FIRST_DAY: Final = date(1868, 1, 25)
"""The first day of Meiji, the oldest era the field's layouts can spell."""


_DAY: Final = re.compile(r"(\d{4})(-?)(\d\d)\2(\d\d)", re.ASCII)


def tokyo_day(instant: Instant) -> date:
    """The day it is in Japan at an instant."""
    return date.fromordinal(_EPOCH_ORDINAL + (instant + _TOKYO_AHEAD_US) // _DAY_US)


def day_start(day: date) -> Instant:
    """The instant a day begins in Japan."""
    return Instant((day.toordinal() - _EPOCH_ORDINAL) * _DAY_US - _TOKYO_AHEAD_US)


def tokyo_time(instant: Instant) -> datetime:
    """The wall-clock time in Japan at an instant."""
    return datetime.fromtimestamp(instant // 1_000_000, TOKYO).replace(
        microsecond=instant % 1_000_000
    )


def instant_of(moment: datetime) -> Instant:
    """The instant of an aware datetime."""
    assert moment.tzinfo is not None
    since = moment.astimezone(UTC) - datetime(1970, 1, 1, tzinfo=UTC)
    return Instant((since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds)


@lru_cache(maxsize=4_096)
def parse_day(text: str) -> date:
    """
    Read `YYYYMMDD` or `YYYY-MM-DD`.

    Raises:
        InvalidInput: `FORMAT_WRONG` for another form, `DATE_WRONG` for a day that does not exist.
    """
    spelled = _DAY.fullmatch(text)
    if spelled is None:
        raise InvalidInput("FORMAT_WRONG")
    try:
        day = date(int(spelled[1]), int(spelled[3]), int(spelled[4]))
    except ValueError:
        raise InvalidInput("DATE_WRONG") from None
    if day < FIRST_DAY:
        raise InvalidInput("DATE_WRONG")
    return day


def is_within(day: date, first: date, last: date) -> bool:
    """Whether a day lies from `first` to `last`, both included."""
    return first <= day <= last


def days_after(day: date, days: int) -> date:
    """The day so many days later (earlier, if negative), kept within the calendar."""
    return date.fromordinal(min(max(day.toordinal() + days, 1), date.max.toordinal()))


def months_after(day: date, months: int) -> date:
    """
    The same day so many months later (earlier, if negative), or that month's last day.

    Three months before 31 May is 28 February, or 29 in a leap year. Kept within the calendar.
    """
    month = min(max(day.year * 12 + day.month - 1 + months, 12), date.max.year * 12 + 11)
    first = date(month // 12, month % 12 + 1, 1)
    return first.replace(day=min(day.day, month_end(first).day))


def days_between(first: date, last: date) -> int:
    """How many days `last` is after `first`; negative if it is before."""
    return last.toordinal() - first.toordinal()


def month_end(day: date) -> date:
    """The last day of a day's month."""
    return day.replace(day=monthrange(day.year, day.month)[1])


def is_later(day: date, other: date) -> bool:
    """Whether a day is later than another."""
    return day > other


def age_on(birth_date: date, on: date) -> int:
    """Full years of age by calendar birthdays (the day before rule of law is not applied)."""
    had = (on.month, on.day) >= (birth_date.month, birth_date.day)
    return on.year - birth_date.year - (not had)


class Period(Struct, frozen=True, array_like=True):
    """
    Days from `start` up to, not including, `end`; `end` None is open.

    A period that ends on the day it starts is empty: acquired and lost on one day is cover on
    no day. One that ends before it starts cannot exist.
    """

    start: date
    end: date | None = None

    def __post_init__(self) -> None:
        if self.end is not None and self.end < self.start:
            raise InvalidInput("LOSS_BEFORE_ACQUISITION")

    @classmethod
    def until_loss(cls, acquisition_date: date, loss_date: date | None) -> Period:
        """Cover from its acquisition date up to, not including, its loss date."""
        return cls(acquisition_date, loss_date)

    @classmethod
    def through(cls, first_valid_date: date, last_valid_date: date | None) -> Period:
        """A certificate valid from its first to its last valid date, both included."""
        if last_valid_date is None or last_valid_date == date.max:
            return cls(first_valid_date, None)
        return cls(first_valid_date, days_after(last_valid_date, 1))

    @property
    def last_day(self) -> date | None:
        """The last day inside, or None if open. An empty period gives the day before its start."""
        return None if self.end is None else days_after(self.end, -1)

    @property
    def is_empty(self) -> bool:
        """Whether no day lies inside."""
        return self.end == self.start

    def holds_on(self, day: date) -> bool:
        """Whether a day lies inside."""
        return self.start <= day and (self.end is None or day < self.end)

    def begins_after(self, day: date) -> bool:
        """Whether the period has not begun on a day."""
        return self.start > day

    def overlaps(self, other: Period) -> bool:
        """Whether the two share a day."""
        if self.is_empty or other.is_empty:
            return False
        return (other.end is None or self.start < other.end) and (
            self.end is None or other.start < self.end
        )

    def shared_with(self, other: Period) -> Period | None:
        """The days inside both; None if there are none."""
        if not self.overlaps(other):
            return None
        ends = [end for end in (self.end, other.end) if end is not None]
        return Period(max(self.start, other.start), min(ends, default=None))

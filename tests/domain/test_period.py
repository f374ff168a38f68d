"""The laws of days and half-open periods, one a test."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.errors import InvalidInput
from gateway.domain.period import (
    FIRST_DAY,
    Instant,
    Period,
    age_on,
    days_after,
    instant_of,
    is_later,
    is_within,
    parse_day,
    tokyo_day,
    tokyo_time,
)
from tests.strategies import days, instants, nasty_texts, periods

APRIL = Period.until_loss(date(2026, 4, 1), date(2026, 5, 1))


@pytest.mark.parametrize(
    ("day", "holds"),
    [
        (date(2026, 3, 31), False),
        (date(2026, 4, 1), True),
        (date(2026, 4, 30), True),
        (date(2026, 5, 1), False),
    ],
)
def test_cover_holds_from_acquisition_up_to_not_including_loss(day: date, *, holds: bool) -> None:
    """On the acquisition date there is cover, on the loss date there is none."""
    assert holds == APRIL.holds_on(day)


@given(periods(), st.integers(0, 40_000))
def test_open_period_never_ends(period: Period, later: int) -> None:
    """Without an end, every day from the start on lies inside."""
    assert Period(period.start).holds_on(days_after(period.start, later))


@given(days, days)
def test_empty_period_holds_on_no_day(start: date, day: date) -> None:
    """Acquired and lost on one day is cover on no day."""
    empty = Period.until_loss(start, start)
    assert empty.is_empty
    assert not empty.holds_on(day)


@given(days, st.integers(1, 1_000))
def test_period_cannot_end_before_it_starts(start: date, earlier: int) -> None:
    """A loss before the acquisition is refused, with that reason."""
    with pytest.raises(InvalidInput) as caught:
        Period.until_loss(start, days_after(start, -earlier))
    assert caught.value.reason == "LOSS_BEFORE_ACQUISITION"


@given(days, st.integers(0, 20_000))
def test_through_includes_the_last_valid_date(first: date, length: int) -> None:
    """A certificate holds on its last valid date and not on the day after."""
    last = days_after(first, length)
    validity = Period.through(first, last)
    assert (True, False, last) == (
        validity.holds_on(last),
        validity.holds_on(days_after(last, 1)),
        validity.last_day,
    )


@pytest.mark.parametrize("last", [None, date.max])
def test_through_without_a_last_day_is_open(last: date | None) -> None:
    """A blank last valid date, or the calendar's last day, means no end."""
    assert Period(date(2026, 4, 1)) == Period.through(date(2026, 4, 1), last)


def test_last_day_of_an_open_period_is_none() -> None:
    """What has no end has no last day."""
    assert Period(date(2026, 4, 1)).last_day is None


@given(periods(), periods())
def test_overlap_is_symmetric(one: Period, other: Period) -> None:
    """If one overlaps the other, the other overlaps the one."""
    assert one.overlaps(other) == other.overlaps(one)


@given(periods())
def test_period_overlaps_itself_unless_it_is_empty(period: Period) -> None:
    """A period shares its days with itself, if it has any."""
    assert period.overlaps(period) is not period.is_empty


@given(st.integers(0, 12), st.integers(0, 12), st.integers(0, 12), st.integers(0, 12))
def test_overlap_means_a_day_in_common(a: int, b: int, c: int, d: int) -> None:
    """Two periods overlap exactly if some day lies inside both."""
    first = date(2026, 4, 1)
    one = Period(days_after(first, a), days_after(first, a + b))
    other = Period(days_after(first, c), days_after(first, c + d))
    common = any(
        one.holds_on(days_after(first, i)) and other.holds_on(days_after(first, i))
        for i in range(30)
    )
    assert common == one.overlaps(other)


def test_periods_that_meet_do_not_overlap() -> None:
    """A cover that begins on the loss date of another follows it."""
    assert not APRIL.overlaps(Period(date(2026, 5, 1)))


@given(periods(), days)
def test_a_day_is_before_inside_or_after(period: Period, day: date) -> None:
    """Exactly one of: not begun, inside, over."""
    is_over = period.end is not None and not is_later(period.end, day)
    begun = not period.begins_after(day)
    assert (period.begins_after(day) + period.holds_on(day) + (begun and is_over)) == 1


@given(days)
def test_day_reads_back_from_both_spellings(day: date) -> None:
    """YYYYMMDD and YYYY-MM-DD are the same day."""
    assert {day} == {parse_day(f"{day:%Y%m%d}"), parse_day(day.isoformat())}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "FORMAT_WRONG"),
        ("2026-4-1", "FORMAT_WRONG"),
        ("2026/04/01", "FORMAT_WRONG"),
        ("202604", "FORMAT_WRONG"),
        ("２０２６０４０１", "FORMAT_WRONG"),
        (" 20260401", "FORMAT_WRONG"),
        ("20260401\n", "FORMAT_WRONG"),
        ("2026-0401", "FORMAT_WRONG"),
        ("-2026-0401", "FORMAT_WRONG"),
        ("20-26-0401", "FORMAT_WRONG"),
        ("20260230", "DATE_WRONG"),
        ("20250229", "DATE_WRONG"),
        ("00000000", "DATE_WRONG"),
        ("99999999", "DATE_WRONG"),
        ("18680124", "DATE_WRONG"),
    ],
)
def test_day_is_refused_with_its_reason(text: str, reason: str) -> None:
    """Another form is FORMAT_WRONG; a day that does not exist, or is before Meiji, DATE_WRONG."""
    with pytest.raises(InvalidInput) as caught:
        parse_day(text)
    assert reason == caught.value.reason


@given(nasty_texts | st.text("0123456789-", min_size=7, max_size=11))
def test_day_raises_nothing_but_refusals(text: str) -> None:
    """Any text is a day from Meiji on, or refused."""
    try:
        day = parse_day(text)
    except InvalidInput as refusal:
        assert refusal.reason in ("FORMAT_WRONG", "DATE_WRONG")  # noqa: PT017  one of two outcomes
    else:
        assert not is_later(FIRST_DAY, day)


@pytest.mark.parametrize(
    ("utc", "day"),
    [
        (datetime(2026, 3, 31, 14, 59, 59, 999_999, tzinfo=UTC), date(2026, 3, 31)),
        (datetime(2026, 3, 31, 15, 0, tzinfo=UTC), date(2026, 4, 1)),
    ],
)
def test_day_changes_at_midnight_in_japan(utc: datetime, day: date) -> None:
    """Fifteen hours UTC is the next day in Tokyo, to the microsecond."""
    assert day == tokyo_day(instant_of(utc))


@given(instants)
def test_instant_reads_back_from_wall_clock_time(instant: Instant) -> None:
    """No microsecond is lost on the way to wall-clock time and back."""
    assert instant == instant_of(tokyo_time(instant))


@given(days, st.integers(-400, 400))
def test_days_after_counts_calendar_days(day: date, count: int) -> None:
    """So many days later is so many days later."""
    assert timedelta(days=count) == days_after(day, count) - day


def test_days_after_stays_within_the_calendar() -> None:
    """Counting past the calendar's ends gives its first or last day."""
    assert (date.min, date.max) == (days_after(FIRST_DAY, -(10**7)), days_after(FIRST_DAY, 10**7))


@given(days, days, days)
def test_within_includes_both_ends(day: date, first: date, last: date) -> None:
    """A day lies within if it is neither before the first nor after the last."""
    assert is_within(day, first, last) == (not is_later(first, day) and not is_later(day, last))


@pytest.mark.parametrize(
    ("birth_date", "on", "age"),
    [
        (date(1951, 4, 15), date(2026, 4, 14), 74),
        (date(1951, 4, 15), date(2026, 4, 15), 75),
        (date(2000, 2, 29), date(2026, 2, 28), 25),
        (date(2000, 2, 29), date(2026, 3, 1), 26),
        (date(2026, 4, 15), date(2026, 4, 15), 0),
    ],
)
def test_age_counts_birthdays(birth_date: date, on: date, age: int) -> None:
    """A year is added on the birthday; born on 29 February, on 1 March of a common year."""
    assert age == age_on(birth_date, on)

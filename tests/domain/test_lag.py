"""The lag: percentiles, classes of age, stages of a case, and what is late."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.business_days import COUNTED_DAYS_MAX, business_days_between, is_business_day
from gateway.domain.identifiers import EnrolleeKey, InsurerNumber
from gateway.domain.lag import (
    SHOWN_DAYS,
    Case,
    CaseKind,
    LagReport,
    LagRules,
    LagTally,
    Stage,
    Unit,
    Wait,
    age_class,
    percentile,
)
from gateway.domain.period import Instant, day_start, days_after, tokyo_day

APRIL = date(2026, 4, 1)
TODAY = date(2026, 4, 20)
HOUR = 3_600_000_000


def nobody_rests(_: int) -> frozenset[date]:
    """A year whose offices close on weekends alone."""
    return frozenset()


def case(number: int = 1, **said: object) -> Case:
    """A case filed and received on the day of the fact, registered at noon of the next."""
    plain = Case(
        EnrolleeKey(f"{number:016d}".encode()),
        1,
        CaseKind.ACQUISITION,
        InsurerNumber("01130012"),
        "A",
        APRIL,
        APRIL,
        APRIL,
        Instant(day_start(days_after(APRIL, 1)) + 12 * HOUR),
    )
    return replace(plain, **said)  # type: ignore[arg-type]


def reported(*cases: Case, rules: LagRules | None = None, employers_max: int = 9) -> LagReport:
    """The report of these cases."""
    tally = LagTally(TODAY, rules or LagRules(), nobody_rests)
    for one in cases:
        tally.add(one)
    return tally.report(employers_max)


def figures(report: LagReport) -> dict[Stage, tuple[float, ...]]:
    """Count, p50, p90, p99 and the longest of each stage."""
    return {one.stage: (one.count, one.p50, one.p90, one.p99, one.most) for one in report.stages}


@given(st.lists(st.integers(-50, 10**9), min_size=1), st.sampled_from([50, 90, 99, 100]))
def test_percentile_is_the_least_value_enough_cases_do_not_exceed(
    values: list[int], percent: int
) -> None:
    """Nearest rank: enough values are at most it, and with any smaller value too few are."""
    ordered = sorted(values)
    found = percentile(ordered, percent)
    needed = math.ceil(len(values) * percent / 100)
    assert found in values
    assert sum(value <= found for value in values) >= needed
    assert sum(value < found for value in values) < needed


@pytest.mark.parametrize(
    ("days", "place"), [(0, 0), (1, 0), (2, 1), (5, 1), (6, 2), (10, 2), (30, 3), (31, 4)]
)
def test_age_classes_include_their_last_day(days: int, place: int) -> None:
    """Day five is within the legal five days, day six is not."""
    assert place == age_class(days)


def test_each_stage_is_measured_in_its_unit() -> None:
    """Days between days, seconds between moments, and the whole way in days."""
    registered = case().registered_time
    done = case(
        filed_date=date(2026, 4, 4),
        received_date=date(2026, 3, 30),
        linked_time=Instant(registered + 90_000_000),
        card_visible_time=Instant(registered + 24 * HOUR),
    )
    lags = {stage: values[1] for stage, values in figures(reported(done)).items()}
    assert lags == {
        Stage.FILING: 3,
        Stage.DELIVERY: -5,
        Stage.REGISTRATION: 3,
        Stage.REGISTRATION_BUSINESS: 3,
        Stage.LINK: 90,
        Stage.NUMBER_VISIBLE: 0,
        Stage.CARD_VISIBLE: 86_400,
        Stage.FACT_TO_NUMBER: 1,
        Stage.FACT_TO_CARD: 2,
    }
    assert {Stage.LINK.unit, Stage.FILING.unit} == {Unit.SECONDS, Unit.DAYS}


def test_a_stage_nobody_passed_is_left_out() -> None:
    """Without a filed day there is no filing and no delivery to measure."""
    stages = figures(reported(case(filed_date=None, received_date=None)))
    assert set(stages) == {Stage.NUMBER_VISIBLE, Stage.FACT_TO_NUMBER}


def test_late_means_more_than_five_days() -> None:
    """The sixth day after the fact, or after the receipt, is the first that is late."""
    in_time, late = days_after(APRIL, 5), days_after(APRIL, 6)
    report = reported(
        case(1, filed_date=in_time),
        case(2, filed_date=late, kind=CaseKind.LOSS),
        case(3, registered_time=day_start(in_time)),
        case(4, registered_time=day_start(late)),
    )
    (employer,) = report.employers
    assert (report.late_filings, report.late_registrations) == (1, 1)
    assert (employer.late_filings, employer.late_losses, employer.latest_filing_days) == (1, 1, 6)
    assert (report.acquisitions, report.losses) == (3, 1)
    assert [day.late_registrations for day in report.days] == [0, 0, 1]


def test_open_cases_are_counted_by_their_age() -> None:
    """A case waits until it is stamped; without a link it is not seen by card either."""
    registered = case().registered_time
    report = reported(case(1), case(2, linked_time=registered))
    waits = dict(report.open_cases)
    assert waits[Wait.LINK] == (0, 0, 0, 1, 0)
    assert waits[Wait.CARD_VISIBLE] == (0, 0, 0, 2, 0)
    assert sum(waits[Wait.NUMBER_VISIBLE]) == 0


def test_where_unlinked_covers_are_hidden_the_link_makes_them_visible() -> None:
    """The rule of lookups decides from when on a cover can be seen by number."""
    linked = Instant(case().registered_time + 5_000_000)
    hiding = LagRules(is_unnumbered_found_by_number=False)
    report = reported(case(1), case(2, linked_time=linked), rules=hiding)
    assert figures(report)[Stage.NUMBER_VISIBLE] == (1, 5, 5, 5, 5)
    assert sum(dict(report.open_cases)[Wait.NUMBER_VISIBLE]) == 1


def test_employers_with_most_late_filings_come_first() -> None:
    """Those beyond the limit are counted and not listed."""
    late = days_after(APRIL, 9)
    report = reported(
        case(1, employer_code="A"),
        case(2, employer_code="B", filed_date=late),
        case(3, employer_code="C"),
        employers_max=2,
    )
    assert [one.employer_code for one in report.employers] == ["B", "A"]
    assert report.employers_left_out == 1


def test_days_far_off_are_counted_at_the_ends() -> None:
    """A typing error of a century does not make the table longer."""
    least, most = SHOWN_DAYS
    report = reported(case(1, filed_date=date(1926, 4, 1)), case(2, filed_date=date(2126, 4, 1)))
    (filing,) = [one for one in report.stages if one.stage is Stage.FILING]
    assert filing.days == ((least, 1), (most, 1))


def test_a_day_begins_at_midnight_in_japan() -> None:
    """The first instant of a day is that day, the one before is not."""
    begun = day_start(APRIL)
    assert (tokyo_day(begun), tokyo_day(Instant(begun - 1))) == (APRIL, date(2026, 3, 31))


def golden_week(year: int) -> frozenset[date]:
    """The closed days of the spring of 2026: 5 May is followed by a substitute holiday."""
    return frozenset(date(year, *day) for day in ((4, 29), (5, 3), (5, 4), (5, 5), (5, 6)))


@pytest.mark.parametrize(
    ("first", "last", "days"),
    [
        (date(2026, 4, 1), date(2026, 4, 1), 0),
        (date(2026, 4, 3), date(2026, 4, 6), 1),
        (date(2026, 4, 4), date(2026, 4, 5), 0),
        (date(2026, 4, 28), date(2026, 5, 7), 3),
        (date(2026, 5, 1), date(2026, 5, 7), 1),
        (date(2026, 4, 6), date(2026, 4, 3), -1),
    ],
)
def test_business_days_leave_out_weekends_and_holidays(first: date, last: date, days: int) -> None:
    """Friday to Monday is one; from 1 May over Golden Week 2026 the next one is 7 May."""
    assert days == business_days_between(first, last, golden_week)


def test_a_holiday_and_a_sunday_are_no_business_days() -> None:
    """Monday after is one."""
    days = [date(2026, 4, 29), date(2026, 4, 26), date(2026, 4, 27)]
    assert [is_business_day(day, golden_week) for day in days] == [False, False, True]


def test_a_receipt_of_another_century_costs_no_century_of_counting() -> None:
    """Only so many days at the end are counted."""
    days = business_days_between(date(1868, 1, 25), APRIL, nobody_rests)
    assert 0 < days < COUNTED_DAYS_MAX

"""The simulated April: its events follow the lag model, and its checker finds what is wrong."""

from __future__ import annotations

from collections import Counter
from datetime import date

import pytest

from gateway.app.holidays import closed_days
from gateway.domain.business_days import business_days_between, is_business_day
from gateway.domain.identifiers import EnrolleeKey, InsurerNumber
from gateway.domain.lag import Case, CaseKind, LagRules, LagTally
from gateway.domain.period import Instant, day_start
from gateway.edges.rpc.lag import _spelled
from gateway.store.port_lag import CasesWanted
from gateway.v1 import lag_pb2 as pb
from loadtests.april_truth import Expected, differences, is_open
from simulators.months.calendar import business_day_after
from simulators.months.events import Event
from simulators.months.lives import Plan
from simulators.nation.covers import households
from simulators.nation.insurers import nation

FIRST, LAST = date(2027, 4, 1), date(2027, 5, 20)
INSURERS = 12
HOUR = 3_600_000_000


@pytest.fixture(scope="module")
def events() -> list[Event]:
    """The notices of a small month by the default models."""
    plan = Plan(nation(INSURERS), 5, FIRST, date(2027, 4, 30))
    people = households(5, 6_000, date(2027, 3, 28), INSURERS)
    return [event for life in plan.lives(people) for event in life.events if event.is_notice]


def test_a_month_holds_every_kind_of_employer(events: list[Event]) -> None:
    """Early, late, twice, with a typo; numbers missing, mismatched; more losses late than not."""
    kinds = Counter(
        name
        for event in events
        for name, is_so in (
            ("early", event.filed < event.fact),
            ("late", (event.filed - event.fact).days > 5),
            ("twice", event.twice_on is not None),
            ("typo", event.typo_on is not None),
            ("later", event.number_told_on is not None),
            ("mismatched", event.is_mismatched),
            ("loss", event.is_loss),
        )
        if is_so
    )
    assert all(kinds[name] for name in ("early", "late", "twice", "typo", "loss"))
    assert 0.04 < len({event.number for event in events}) / 6_000 < 0.2


def test_insurers_register_on_business_days(events: list[Event]) -> None:
    """The month's own calendar agrees with the library's in that spring."""
    assert all(is_business_day(event.registered, closed_days) for event in events)
    assert business_day_after(date(2027, 4, 28), 1) == date(2027, 4, 30)
    assert not is_open(date(2026, 5, 6))


def reported(events: list[Event], expected: Expected) -> pb.GetLagReportResponse:
    """What the gateway reports of events registered at nine o'clock."""
    tally = LagTally(LAST, LagRules(), closed_days)
    for number, event in enumerate(events):
        linked, seen = expected.linked_on(event), expected.seen_on(event)
        tally.add(
            Case(
                EnrolleeKey(f"{number:016d}".encode()),
                1,
                CaseKind.LOSS if event.is_loss else CaseKind.ACQUISITION,
                InsurerNumber(event.insurer),
                event.employer_code,
                event.fact,
                event.filed,
                event.received,
                _nine(event.registered),
                None if linked is None else _nine(linked),
                None if seen is None else _nine(seen),
            )
        )
    return _spelled(CasesWanted(InsurerNumber(events[0].insurer), FIRST, LAST), tally.report(999))


def _nine(on: date) -> Instant:
    return Instant(day_start(on) + 9 * HOUR)


def test_the_checker_finds_what_is_planted(events: list[Event]) -> None:
    """A right report has no difference; one wrong count, one shifted day or figure has."""
    insurer = events[0].insurer
    mine = [event for event in events if event.insurer == insurer and event.registered <= LAST]
    expected = Expected(mine, LAST, frozenset({mine[0].seen_by}))
    right = reported(mine, expected)
    assert not differences(right, expected, 1.0)
    for plant in (
        lambda report: setattr(report, "late_filings", report.late_filings + 1),
        lambda report: setattr(report.stages[0].days[0], "days", 59),
        lambda report: setattr(report.stages[4], "p99", report.stages[4].p99 + 2),
        lambda report: setattr(report.employers[0], "unlinked", 77),
        lambda report: setattr(report.open_cases[0].ages[0], "cases", 55),
    ):
        wrong = pb.GetLagReportResponse()
        wrong.CopyFrom(right)
        plant(wrong)
        assert differences(wrong, expected, 1.0)


def test_business_days_are_counted_alike(events: list[Event]) -> None:
    """The truth's count and the gateway's are two."""
    for event in events[:200]:
        days = dict(Expected([event], LAST, frozenset()).days_of(event))
        counted = business_days_between(event.received, event.registered, closed_days)
        assert days["REGISTRATION_BUSINESS"] == counted

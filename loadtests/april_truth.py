"""
What a lag report must say, worked out from the events alone, and where one says otherwise.

Nothing of the gateway's own arithmetic is used: percentiles, classes of age and business days are
counted here anew.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, Final

from gateway.v1 import lag_pb2 as pb
from simulators.months.events import Event

_DAY_S: Final = 86_400
_AGES: Final = ((0, 1), (2, 5), (6, 10), (11, 30), (31, 0))
_IN_SECONDS: Final = frozenset({"LINK", "NUMBER_VISIBLE", "CARD_VISIBLE"})
_LEGAL_DAYS: Final = 5
_SATURDAY, _SUNDAY = 5, 6
EMPLOYERS_TOLD_MAX: Final = 1_000
"""What a gateway tells one by one unless its settings say otherwise (`lag_employers_max`)."""


@dataclass(frozen=True, slots=True)
class Expected:
    """What one insurer's report must say of the events registered up to a day."""

    events: Sequence[Event]
    until: date
    holders: frozenset[str]
    """My Numbers of the people with a registered card."""

    def seen_on(self, event: Event) -> date | None:
        """When a card first shows an event; a card sees what is linked."""
        linked = self.linked_on(event)
        return linked if event.seen_by in self.holders else None

    def linked_on(self, event: Event) -> date | None:
        """When an event was linked, if by the last day."""
        if event.linked_on is None or event.linked_on > self.until:
            return None
        return event.linked_on

    def days_of(self, event: Event) -> Iterator[tuple[str, int]]:
        """The lags of an event in days, by stage."""
        linked, seen = self.linked_on(event), self.seen_on(event)
        yield "FILING", (event.filed - event.fact).days
        yield "DELIVERY", (event.received - event.filed).days
        yield "REGISTRATION", (event.registered - event.received).days
        yield "REGISTRATION_BUSINESS", _business_days(event.received, event.registered)
        yield "NUMBER_VISIBLE", 0
        yield "FACT_TO_NUMBER", (event.registered - event.fact).days
        if linked is not None:
            yield "LINK", (linked - event.registered).days
        if seen is not None:
            yield "CARD_VISIBLE", (seen - event.registered).days
            yield "FACT_TO_CARD", (seen - event.fact).days


def holidays_of(year: int) -> set[date]:
    """The holidays from 29 April to 6 May, by the law's rule and not by any library."""
    fixed = [date(year, 4, 29), *(date(year, 5, number) for number in (3, 4, 5))]
    found = set(fixed)
    for one in fixed:
        if one.weekday() == _SUNDAY:
            substitute = one + timedelta(days=1)
            while substitute in found:
                substitute += timedelta(days=1)
            found.add(substitute)
    return found


def is_open(on: date) -> bool:
    """Whether offices work on a day of spring."""
    return on.weekday() < _SATURDAY and on not in holidays_of(on.year)


def _business_days(received: date, registered: date) -> int:
    days = (registered - received).days
    return sum(is_open(received + timedelta(days=one)) for one in range(1, days + 1))


def differences(report: pb.GetLagReportResponse, expected: Expected, step_s: float) -> list[str]:
    """
    Say where a report and the truth differ; seconds may differ by the length of a step.

    Args:
        step_s: The longest time one simulated day took.
    """
    said = _said(report)
    true = _true(expected)
    found = [
        f"{name}: {said.get(name)!r} and not {true.get(name)!r}"
        for name in sorted({*said, *true})
        if said.get(name) != true.get(name)
    ]
    return found + list(_figures_wrong(report, expected, step_s))


def _said(report: pb.GetLagReportResponse) -> dict[str, Any]:
    table: dict[str, Any] = {
        "cases": report.cases,
        "acquisitions": report.acquisitions,
        "losses": report.losses,
        "late_filings": report.late_filings,
        "late_registrations": report.late_registrations,
        "employers_left_out": report.employers_left_out,
    }
    for lag in report.stages:
        name = pb.LagStage.Name(lag.stage).removeprefix("LAG_STAGE_")
        table[f"{name} count"] = lag.count
        table[f"{name} days"] = {one.days: one.cases for one in lag.days}
    for wait in report.open_cases:
        name = pb.LagWait.Name(wait.wait).removeprefix("LAG_WAIT_")
        table[f"{name} open"] = tuple(age.cases for age in wait.ages)
    for one in report.days:
        on = date(one.day.year, one.day.month, one.day.day)
        table[f"day {on}"] = (one.cases, one.late_registrations)
    for employer in report.employers:
        table[f"employer {employer.employer_code}"] = (
            employer.cases,
            employer.late_filings,
            employer.late_losses,
            employer.latest_filing_days,
            employer.late_registrations,
            employer.unlinked,
        )
    return table


def _true(expected: Expected) -> dict[str, Any]:
    events = expected.events
    table: dict[str, Any] = {
        "cases": len(events),
        "acquisitions": sum(not event.is_loss for event in events),
        "losses": sum(event.is_loss for event in events),
        "late_filings": sum(map(_is_filed_late, events)),
        "late_registrations": sum(map(_is_registered_late, events)),
    }
    for stage, days in _by_stage(expected).items():
        table[f"{stage} count"] = len(days)
        table[f"{stage} days"] = dict(Counter(days))
    table["LINK open"] = _ages([e for e in events if expected.linked_on(e) is None], expected)
    table["CARD_VISIBLE open"] = _ages([e for e in events if expected.seen_on(e) is None], expected)
    table["NUMBER_VISIBLE open"] = _ages([], expected)
    for on in {event.registered for event in events}:
        those = [event for event in events if event.registered == on]
        table[f"day {on}"] = (len(those), sum(map(_is_registered_late, those)))
    employers: dict[str, list[Event]] = {}
    for event in events:
        employers.setdefault(event.employer_code, []).append(event)
    ranked = sorted(employers, key=lambda code: (-sum(map(_is_filed_late, employers[code])), code))
    table["employers_left_out"] = max(len(ranked) - EMPLOYERS_TOLD_MAX, 0)
    for code in ranked[:EMPLOYERS_TOLD_MAX]:
        those = employers[code]
        late = [event for event in those if _is_filed_late(event)]
        table[f"employer {code}"] = (
            len(those),
            len(late),
            sum(event.is_loss for event in late),
            max(((event.filed - event.fact).days for event in late), default=0),
            sum(map(_is_registered_late, those)),
            sum(expected.linked_on(event) is None for event in those),
        )
    return table


def _by_stage(expected: Expected) -> Mapping[str, list[int]]:
    found: dict[str, list[int]] = {}
    for event in expected.events:
        for stage, days in expected.days_of(event):
            found.setdefault(stage, []).append(days)
    return found


def _figures_wrong(
    report: pb.GetLagReportResponse, expected: Expected, step_s: float
) -> Iterator[str]:
    """Percentiles and maxima: days are exact, seconds within a step of their whole days."""
    true = _by_stage(expected)
    for lag in report.stages:
        name = pb.LagStage.Name(lag.stage).removeprefix("LAG_STAGE_")
        days = sorted(true.get(name, ()))
        if not days:
            yield f"{name}: a stage nobody has passed"
            continue
        unit, slack = (_DAY_S, step_s) if name in _IN_SECONDS else (1, 0.0)
        for percent, figure in ((50, lag.p50), (90, lag.p90), (99, lag.p99), (100, lag.max)):
            right = days[max(math.ceil(len(days) * percent / 100), 1) - 1] * unit
            if abs(figure - right) > slack:
                yield f"{name} p{percent}: {figure} and not {right}"


def _is_filed_late(event: Event) -> bool:
    return (event.filed - event.fact).days > _LEGAL_DAYS


def _is_registered_late(event: Event) -> bool:
    return (event.registered - event.received).days > _LEGAL_DAYS


def _ages(events: Sequence[Event], expected: Expected) -> tuple[int, ...]:
    ages = [(expected.until - event.registered).days for event in events]
    return tuple(
        sum(first <= age and (age <= last or not last) for age in ages) for first, last in _AGES
    )

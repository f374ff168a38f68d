"""
The lag (タイムラグ): how long a fact takes to become the clinic's answer, stage by stage.

A case is the beginning or the end of one cover that came by a notice (届出). Its stages are the
fact, the employer's filing, the insurer's receipt, the registration, the link to a My Number, and
the first moment it could be seen by number and by card. Pure; a tally takes one case at a time,
so memory holds one number for each stage of a case and no case. Sources: insurer-lifecycle.md
2.1, 2.2; R003-21 to R003-23.
"""

from __future__ import annotations

import math
from array import array
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date
from enum import Enum, IntEnum, StrEnum
from typing import Final

from gateway.domain.business_days import Closed, business_days_between
from gateway.domain.identifiers import EnrolleeKey, InsurerNumber
from gateway.domain.period import Instant, days_between, tokyo_day

FILING_DAYS_MAX: Final = 5
"""An employer files within so many days of the fact (健康保険法施行規則24条)."""

REGISTRATION_DAYS_MAX: Final = 5
"""An insurer registers within so many days of the receipt (2023-06-01 省令)."""

AGE_DAYS_MAX: Final = (1, 5, 10, 30)
"""The last day of each class of age of an open case; a further class has no last day."""

SHOWN_DAYS: Final = (-30, 60)
"""Counts by days go from the first to the second; what lies beyond is counted at the end."""

_SECOND_US: Final = 1_000_000


class CaseKind(IntEnum):
    """What a case is about."""

    ACQUISITION = 1
    LOSS = 2


@dataclass(frozen=True, slots=True)
class Case:
    """
    The beginning or the end of a cover, and when each of its stages was reached.

    Known by enrollee, cover and kind. `fact_date` is the acquisition or the loss date. A stamp is
    None until its stage is reached; `card_visible_time` is so as long as no registered card of
    the person showed it.
    """

    enrollee_key: EnrolleeKey
    cover_no: int
    kind: CaseKind
    insurer_number: InsurerNumber
    employer_code: str
    fact_date: date
    filed_date: date | None
    received_date: date | None
    registered_time: Instant
    linked_time: Instant | None = None
    card_visible_time: Instant | None = None


class Unit(Enum):
    """What a lag is counted in."""

    DAYS = 1
    BUSINESS_DAYS = 2
    SECONDS = 3


class Stage(StrEnum):
    """From when to when a lag is measured."""

    FILING = "filing"
    """From the fact to the employer's filing, in days; negative if filed early."""
    DELIVERY = "delivery"
    """From the filing to the insurer's receipt, in days."""
    REGISTRATION = "registration"
    """From the receipt to the registration, in days."""
    REGISTRATION_BUSINESS = "registration_business"
    """The same in business days."""
    LINK = "link"
    """From the registration to the link to a My Number, in seconds."""
    NUMBER_VISIBLE = "number_visible"
    """From the registration to the first moment it could be seen by number, in seconds."""
    CARD_VISIBLE = "card_visible"
    """From the registration to the first moment it was seen by card, in seconds."""
    FACT_TO_NUMBER = "fact_to_number"
    """From the fact to the first moment by number, in days."""
    FACT_TO_CARD = "fact_to_card"
    """From the fact to the first moment by card, in days."""

    @property
    def unit(self) -> Unit:
        """What its lags are counted in."""
        match self:
            case Stage.LINK | Stage.NUMBER_VISIBLE | Stage.CARD_VISIBLE:
                return Unit.SECONDS
            case Stage.REGISTRATION_BUSINESS:
                return Unit.BUSINESS_DAYS
            case _:
                return Unit.DAYS


class Wait(StrEnum):
    """What an open case waits for since its registration."""

    LINK = "link"
    NUMBER_VISIBLE = "number_visible"
    CARD_VISIBLE = "card_visible"


@dataclass(frozen=True, slots=True)
class LagRules:
    """Whether a cover can be found by number before it is linked; as the rules of lookups say."""

    is_unnumbered_found_by_number: bool = True


@dataclass(frozen=True, slots=True)
class StageLag:
    """
    The lags of one stage: how many, and by nearest rank the percentiles, in the stage's unit.

    `days` counts cases by whole days; for lags in seconds by how many midnights in Japan lie
    between. It is empty where only the figures are asked for.
    """

    stage: Stage
    count: int
    p50: float
    p90: float
    p99: float
    most: float
    days: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True, slots=True)
class EmployerLag:
    """
    The cases of one employer.

    `late_filings` were filed later than the law allows, the worst `latest_filing_days` after the
    fact; of them `late_losses` are losses.
    """

    employer_code: str
    cases: int
    late_filings: int
    late_losses: int
    latest_filing_days: int
    late_registrations: int
    unlinked: int
    stages: tuple[StageLag, ...]


@dataclass(frozen=True, slots=True)
class DayCases:
    """How many cases were registered on a day, and how many of them later than the law allows."""

    day: date
    cases: int
    late_registrations: int


@dataclass(frozen=True, slots=True)
class LagReport:
    """
    What became of the cases registered in a period, as they stood when they were read.

    `open_cases` gives, for each wait, how many cases of each class of age still wait. The
    employers are those with most late filings first; `employers_left_out` more had cases.
    """

    cases: int
    acquisitions: int
    losses: int
    late_filings: int
    late_registrations: int
    stages: tuple[StageLag, ...]
    open_cases: tuple[tuple[Wait, tuple[int, ...]], ...]
    days: tuple[DayCases, ...]
    employers: tuple[EmployerLag, ...]
    employers_left_out: int


def percentile(ordered: Sequence[int], percent: int) -> int:
    """The smallest value that so many per cent of the values do not exceed (nearest rank)."""
    assert ordered
    return ordered[max(math.ceil(len(ordered) * percent / 100), 1) - 1]


def age_class(days: int) -> int:
    """Which class of age an open case of so many days belongs to."""
    return next(
        (place for place, last in enumerate(AGE_DAYS_MAX) if days <= last), len(AGE_DAYS_MAX)
    )


def number_visible_time(case: Case, rules: LagRules) -> Instant | None:
    """The first moment a case could be seen by number; None if it still cannot."""
    return case.registered_time if rules.is_unnumbered_found_by_number else case.linked_time


def calendar_lags(case: Case, rules: LagRules) -> Iterator[tuple[Stage, int, int]]:
    """
    Give the lags of the stages a case has passed, business days aside.

    Each comes with the lag in its unit (in microseconds instead of seconds) and in whole days.
    """
    registered = tokyo_day(case.registered_time)
    filed, received = case.filed_date, case.received_date
    dated = [(Stage.FILING, case.fact_date, filed), (Stage.DELIVERY, filed, received)]
    dated.append((Stage.REGISTRATION, received, registered))
    seen = number_visible_time(case, rules)
    moments = (
        (Stage.LINK, case.linked_time),
        (Stage.NUMBER_VISIBLE, seen),
        (Stage.CARD_VISIBLE, case.card_visible_time),
    )
    for stage, moment in moments:
        if moment is not None:
            days = days_between(registered, tokyo_day(moment))
            yield stage, moment - case.registered_time, days
    for stage, moment in (
        (Stage.FACT_TO_NUMBER, seen),
        (Stage.FACT_TO_CARD, case.card_visible_time),
    ):
        if moment is not None:
            dated.append((stage, case.fact_date, tokyo_day(moment)))
    for stage, first, last in dated:
        if first is not None and last is not None:
            days = days_between(first, last)
            yield stage, days, days


@dataclass(slots=True)
class _Group:
    """The figures of some cases."""

    cases: int = 0
    late_filings: int = 0
    late_losses: int = 0
    latest_filing_days: int = 0
    late_registrations: int = 0
    unlinked: int = 0
    lags: dict[Stage, array[int]] = field(default_factory=dict)

    def add(self, case: Case, lags: Sequence[tuple[Stage, int]]) -> bool:
        """Add a case; whether it was registered later than the law allows."""
        self.cases += 1
        self.unlinked += case.linked_time is None
        is_late = False
        for stage, lag in lags:
            self.lags.setdefault(stage, array("q")).append(lag)
            if stage is Stage.FILING and lag > FILING_DAYS_MAX:
                self.late_filings += 1
                self.late_losses += case.kind is CaseKind.LOSS
                self.latest_filing_days = max(self.latest_filing_days, lag)
            is_late |= stage is Stage.REGISTRATION and lag > REGISTRATION_DAYS_MAX
        self.late_registrations += is_late
        return is_late

    def stages(self, days: dict[Stage, Counter[int]] | None = None) -> tuple[StageLag, ...]:
        """The figures of each stage that any case has passed."""
        found = []
        for stage in Stage:
            if stage not in self.lags:
                continue
            ordered = sorted(self.lags[stage])
            unit = _SECOND_US if stage.unit is Unit.SECONDS else 1
            p50, p90, p99 = (percentile(ordered, percent) / unit for percent in (50, 90, 99))
            counts = () if days is None else tuple(sorted(days[stage].items()))
            found.append(StageLag(stage, len(ordered), p50, p90, p99, ordered[-1] / unit, counts))
        return tuple(found)


class LagTally:
    """
    Takes cases one by one and ends as a report.

    Args:
        today: The day the age of an open case is counted to.

        closed: Which days are no business days.
    """

    def __init__(self, today: date, rules: LagRules, closed: Closed) -> None:
        self._today = today
        self._rules = rules
        self._closed = closed
        self._kinds: Counter[CaseKind] = Counter()
        self._total = _Group()
        self._employers: dict[str, _Group] = {}
        self._days: dict[Stage, Counter[int]] = {stage: Counter() for stage in Stage}
        self._open = {wait: [0] * (len(AGE_DAYS_MAX) + 1) for wait in Wait}
        self._registered: Counter[date] = Counter()
        self._late: Counter[date] = Counter()
        self._business: dict[tuple[date, date], int] = {}

    def add(self, case: Case) -> None:
        """Take a case."""
        registered = tokyo_day(case.registered_time)
        lags: list[tuple[Stage, int]] = []
        for stage, lag, days in calendar_lags(case, self._rules):
            lags.append((stage, lag))
            self._count(stage, days)
        if case.received_date is not None:
            business = self._business_days(case.received_date, registered)
            lags.append((Stage.REGISTRATION_BUSINESS, business))
            self._count(Stage.REGISTRATION_BUSINESS, business)
        self._kinds[case.kind] += 1
        self._registered[registered] += 1
        self._late[registered] += self._total.add(case, lags)
        self._employers.setdefault(case.employer_code, _Group()).add(case, lags)
        self._add_open(case, registered)

    def report(self, employers_max: int) -> LagReport:
        """Sum up; not more than so many employers are told one by one."""
        total = self._total
        ranked = sorted(self._employers.items(), key=lambda item: (-item[1].late_filings, item[0]))
        return LagReport(
            total.cases,
            self._kinds[CaseKind.ACQUISITION],
            self._kinds[CaseKind.LOSS],
            total.late_filings,
            total.late_registrations,
            total.stages(self._days),
            tuple((wait, tuple(ages)) for wait, ages in self._open.items()),
            tuple(
                DayCases(day, self._registered[day], self._late[day])
                for day in sorted(self._registered)
            ),
            tuple(
                EmployerLag(
                    code,
                    group.cases,
                    group.late_filings,
                    group.late_losses,
                    group.latest_filing_days,
                    group.late_registrations,
                    group.unlinked,
                    group.stages(),
                )
                for code, group in ranked[:employers_max]
            ),
            max(len(ranked) - employers_max, 0),
        )

    def _count(self, stage: Stage, days: int) -> None:
        least, most = SHOWN_DAYS
        self._days[stage][min(max(days, least), most)] += 1

    def _business_days(self, received: date, registered: date) -> int:
        between = received, registered
        if between not in self._business:
            self._business[between] = business_days_between(received, registered, self._closed)
        return self._business[between]

    def _add_open(self, case: Case, registered: date) -> None:
        age = age_class(days_between(registered, self._today))
        for wait, moment in (
            (Wait.LINK, case.linked_time),
            (Wait.NUMBER_VISIBLE, number_visible_time(case, self._rules)),
            (Wait.CARD_VISIBLE, case.card_visible_time),
        ):
            if moment is None:
                self._open[wait][age] += 1

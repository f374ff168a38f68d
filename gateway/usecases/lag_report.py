"""
Tell an insurer its lag: from the facts of a period to the clinic's answer (R003-21 to R003-23).

Cases are read in pages beside everything else, and only figures leave: nobody is named. Reports
are made one at a time, so that memory is bounded.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import date
from typing import Final

from gateway.domain.business_days import Closed
from gateway.domain.errors import InvalidInput, TooMuch
from gateway.domain.identifiers import InsurerNumber
from gateway.domain.lag import Case, CaseKind, LagReport, LagRules, LagTally
from gateway.domain.period import days_between, tokyo_day
from gateway.domain.purpose import DataCategory, Operation, Role
from gateway.store.port_lag import CasesWanted, Filings
from gateway.usecases.context import Context
from gateway.usecases.door import Door, Errand, Looked

ERRAND: Final = Errand(
    purpose="KP7-OR-01",
    operation=Operation.REGISTER,
    data=frozenset({DataCategory.QUALIFICATION}),
    recipient=Role.OPERATOR,
)

PAGE_CASES: Final = 500
"""Cases read, and counted without a pause, at a time."""


@dataclass(frozen=True, slots=True)
class LagLimits:
    """How much one report may be about."""

    cases_max: int
    days_max: int
    employers_max: int


@dataclass(frozen=True, slots=True)
class LagQuestion:
    """
    Which of the caller's cases are meant: registered from the first to the last day.

    Without a last day it is today, without a first day the first of the last day's month. An
    empty employer code and no kind mean any.
    """

    first_day: date | None = None
    last_day: date | None = None
    employer_code: str = ""
    kind: CaseKind | None = None

    def wanted(self, insurer: InsurerNumber, today: date, days_max: int) -> CasesWanted:
        """
        Fill in what is not said.

        Raises:
            InvalidInput: `LAG_PERIOD_WRONG`.
        """
        last_day = self.last_day or today
        first_day = self.first_day or last_day.replace(day=1)
        if not 0 <= days_between(first_day, last_day) < days_max:
            raise InvalidInput("LAG_PERIOD_WRONG", "first_day", days_max=str(days_max))
        return CasesWanted(insurer, first_day, last_day, self.employer_code, self.kind)


@dataclass(frozen=True, slots=True)
class LagReporter:
    """Makes reports; there is one in the writer."""

    filings: Filings
    door: Door
    rules: LagRules
    closed: Closed
    limits: LagLimits
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def report(
        self, question: LagQuestion, context: Context
    ) -> tuple[CasesWanted, LagReport]:
        """
        Give what was asked for, filled in, and the report, through the door.

        Raises:
            InvalidInput: `LAG_PERIOD_WRONG`.
            TooMuch: `TOO_MANY_CASES`.
            NotPermitted: As the door.
            Unavailable: `STORE_UNAVAILABLE`.
        """
        today = tokyo_day(context.now)
        insurer = InsurerNumber(context.caller.code)
        wanted = question.wanted(insurer, today, self.limits.days_max)

        async def look() -> Looked[LagReport]:
            async with self.turn:
                tally = await self._tally(wanted, today)
            report = tally.report(self.limits.employers_max)
            return Looked(report, "ANSWERED", str(report.cases))

        report, _ = await self.door.opened(context, ERRAND, look)
        return wanted, report

    async def _tally(self, wanted: CasesWanted, today: date) -> LagTally:
        tally = LagTally(today, self.rules, self.closed)
        last: Case | None = None
        left = self.limits.cases_max
        while page := await self.filings.cases(wanted, last, PAGE_CASES):
            left -= len(page)
            if left < 0:
                raise TooMuch("TOO_MANY_CASES", cases_max=str(self.limits.cases_max))
            for case in page:
                tally.add(case)
            last = page[-1]
        return tally

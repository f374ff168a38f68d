"""LagService as the writer serves it: an insurer's report of its lag."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from itertools import pairwise
from typing import Final

from google.type.date_pb2 import Date

from gateway.domain.errors import InvalidInput
from gateway.domain.lag import AGE_DAYS_MAX, CaseKind, EmployerLag, LagReport, Stage, StageLag, Wait
from gateway.domain.purpose import Role
from gateway.edges.rpc import convert
from gateway.edges.rpc.server import Method, read
from gateway.store.port_lag import CasesWanted
from gateway.usecases.context import Context
from gateway.usecases.lag_report import LagQuestion, LagReporter
from gateway.v1 import lag_pb2 as pb

INSURERS = frozenset({Role.INSURER})
EMPLOYER_CODE_LENGTH_MAX: Final = 20

_KINDS: Final = {
    pb.CASE_KIND_UNSPECIFIED: None,
    pb.CASE_KIND_ACQUISITION: CaseKind.ACQUISITION,
    pb.CASE_KIND_LOSS: CaseKind.LOSS,
}
_STAGES: Final = {stage: pb.LagStage.Value(f"LAG_STAGE_{stage.name}") for stage in Stage}
_WAITS: Final = {wait: pb.LagWait.Value(f"LAG_WAIT_{wait.name}") for wait in Wait}


@dataclass(frozen=True, slots=True)
class LagService:
    """Tells insurers their lag; there is one, in the writer."""

    reporter: LagReporter

    def methods(self) -> tuple[Method, ...]:
        """The method and who may call it."""
        return (Method("LagService/GetLagReport", INSURERS, unary=self.get_lag_report),)

    async def get_lag_report(self, request: bytes, context: Context) -> bytes:
        """Report the caller's cases."""
        said = read(pb.GetLagReportRequest, request)
        if len(said.employer_code) > EMPLOYER_CODE_LENGTH_MAX:
            raise InvalidInput("TOO_LONG", "employer_code")
        if said.kind not in _KINDS:
            raise InvalidInput("CODE_UNKNOWN", "kind")
        question = LagQuestion(
            _day(said.first_day, "first_day"),
            _day(said.last_day, "last_day"),
            said.employer_code,
            _KINDS[said.kind],
        )
        wanted, report = await self.reporter.report(question, context)
        return _spelled(wanted, report).SerializeToString()


def _day(message: Date, field: str) -> date | None:
    return convert.day(message, field) if message.ByteSize() else None


def _spelled(wanted: CasesWanted, report: LagReport) -> pb.GetLagReportResponse:
    return pb.GetLagReportResponse(
        first_day=convert.date_message(wanted.first_day),
        last_day=convert.date_message(wanted.last_day),
        cases=report.cases,
        acquisitions=report.acquisitions,
        losses=report.losses,
        late_filings=report.late_filings,
        late_registrations=report.late_registrations,
        stages=map(_stage, report.stages),
        open_cases=[
            pb.OpenCases(wait=_WAITS[wait], ages=_ages(ages)) for wait, ages in report.open_cases
        ],
        days=[
            pb.DayCases(
                day=convert.date_message(one.day),
                cases=one.cases,
                late_registrations=one.late_registrations,
            )
            for one in report.days
        ],
        employers=map(_employer, report.employers),
        employers_left_out=report.employers_left_out,
    )


def _stage(lag: StageLag) -> pb.StageLag:
    return pb.StageLag(
        stage=_STAGES[lag.stage],
        unit=pb.LagUnit.ValueType(lag.stage.unit.value),
        count=lag.count,
        p50=lag.p50,
        p90=lag.p90,
        p99=lag.p99,
        max=lag.most,
        days=[pb.DayCount(days=days, cases=cases) for days, cases in lag.days],
    )


def _ages(counts: tuple[int, ...]) -> list[pb.AgeClass]:
    bounds = [-1, *AGE_DAYS_MAX]
    closed = [
        pb.AgeClass(first_days=before + 1, last_days=last, cases=cases)
        for (before, last), cases in zip(pairwise(bounds), counts[:-1], strict=True)
    ]
    return [*closed, pb.AgeClass(first_days=bounds[-1] + 1, cases=counts[-1])]


def _employer(lag: EmployerLag) -> pb.EmployerLag:
    return pb.EmployerLag(
        employer_code=lag.employer_code,
        cases=lag.cases,
        late_filings=lag.late_filings,
        late_losses=lag.late_losses,
        latest_filing_days=lag.latest_filing_days,
        late_registrations=lag.late_registrations,
        unlinked=lag.unlinked,
        stages=map(_stage, lag.stages),
    )

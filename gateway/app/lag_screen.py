"""The lag report on the terminal."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from rich.console import Console
from rich.table import Table

from gateway.app import lag_words as words
from gateway.app.lag_ask import Reports
from gateway.v1 import lag_pb2 as pb

EMPLOYERS_SHOWN_MAX: Final = 20
WIDTH_MIN: Final = 150


def print_lag(reports: Reports, language: str) -> None:
    """Show each insurer's report; one without cases in a sentence."""
    console = Console(highlight=False)
    console.width = max(console.width, WIDTH_MIN)
    for insurer, report in reports.items():
        console.print(heading(insurer, report, language), style="bold", soft_wrap=True)
        if not report.cases:
            console.print(words.NO_CASES.within(language))
            continue
        for table in tables(report, language):
            console.print(table)


def heading(insurer: str, report: pb.GetLagReportResponse, language: str) -> str:
    """Whose report it is, about which days, and its counts."""
    said = "  ".join(f"{name} {count}" for name, count in counts(report, language))
    return f"{words.INSURER.within(language)} {insurer}  {period(report)}  {said}"


def period(report: pb.GetLagReportResponse) -> str:
    """The first and the last day reported."""
    days = (report.first_day, report.last_day)
    return "..".join(f"{day.year}-{day.month:02}-{day.day:02}" for day in days)


def counts(report: pb.GetLagReportResponse, language: str) -> list[tuple[str, str]]:
    """What was counted, by name; late ones as a share too."""
    late = (
        (words.LATE_FILINGS, report.late_filings),
        (words.LATE_REGISTRATIONS, report.late_registrations),
    )
    plain = (
        (words.CASES, report.cases),
        (words.ACQUISITIONS, report.acquisitions),
        (words.LOSSES, report.losses),
    )
    return [
        *((word.within(language), f"{count:,}") for word, count in plain),
        *(
            (word.within(language), f"{count:,} ({count / max(report.cases, 1):.0%})")
            for word, count in late
        ),
    ]


def tables(report: pb.GetLagReportResponse, language: str) -> Iterator[Table]:
    """Stages, open cases, and the employers that file late."""
    yield _table(STAGE_HEAD, stage_rows(report, language), language)
    yield _table((words.OPEN, *age_names(report)), open_rows(report, language), language)
    rows = employer_rows(report, EMPLOYERS_SHOWN_MAX)
    if rows:
        yield _table(EMPLOYER_HEAD, rows, language)


STAGE_HEAD: Final = (
    words.STAGE, words.CASES, "p50", "p90", "p99", words.LONGEST, words.UNIT
)  # fmt: skip
EMPLOYER_HEAD: Final = (
    words.EMPLOYERS,
    words.CASES,
    words.LATE_FILINGS,
    words.LATE_LOSSES,
    words.LATEST,
    words.LATE_REGISTRATIONS,
    words.UNLINKED,
    words.FILING_DAYS,
    words.REGISTRATION_DAYS,
)


def stage_rows(report: pb.GetLagReportResponse, language: str) -> list[list[str]]:
    """A row a stage."""
    return [
        [
            words.STAGES[lag.stage].within(language),
            f"{lag.count:,}",
            *(_figure(value, lag.unit, language) for value in (lag.p50, lag.p90, lag.p99, lag.max)),
            words.UNITS[lag.unit].within(language),
        ]
        for lag in report.stages
    ]


def age_names(report: pb.GetLagReportResponse) -> list[str]:
    """The classes of age, such as `2-5`."""
    ages = report.open_cases[0].ages if report.open_cases else []
    return [
        f"{one.first_days}-{one.last_days}" if one.last_days else f"{one.first_days}+"
        for one in ages
    ]


def open_rows(report: pb.GetLagReportResponse, language: str) -> list[list[str]]:
    """A row a wait."""
    return [
        [words.WAITS[one.wait].within(language), *(f"{age.cases:,}" for age in one.ages)]
        for one in report.open_cases
    ]


def employer_rows(report: pb.GetLagReportResponse, rows_max: int) -> list[list[str]]:
    """A row for each employer, those that file late first."""
    return [
        [
            one.employer_code,
            *(
                f"{count:,}"
                for count in (
                    one.cases,
                    one.late_filings,
                    one.late_losses,
                    one.latest_filing_days,
                    one.late_registrations,
                    one.unlinked,
                )
            ),
            _percentiles(one, pb.LAG_STAGE_FILING),
            _percentiles(one, pb.LAG_STAGE_REGISTRATION),
        ]
        for one in report.employers[:rows_max]
    ]


def _percentiles(employer: pb.EmployerLag, stage: int) -> str:
    """The three percentiles of one stage in whole days; empty if no case has passed it."""
    return next(
        (
            f"{lag.p50:,.0f} / {lag.p90:,.0f} / {lag.p99:,.0f}"
            for lag in employer.stages
            if lag.stage == stage
        ),
        "",
    )


def _table(head: tuple[words.Words | str, ...], rows: list[list[str]], language: str) -> Table:
    names = [name if isinstance(name, str) else name.within(language) for name in head]
    table = Table(names[0])
    for name in names[1:]:
        table.add_column(name, justify="right")
    for row in rows:
        table.add_row(*row)
    return table


def _figure(value: float, unit: int, language: str) -> str:
    """Days as a number; a time in the unit that tells it best."""
    if unit != pb.LAG_UNIT_SECONDS:
        return f"{value:,.0f}"
    if value == 0:
        return "0"
    seconds, word = next(
        (seconds, word) for below, seconds, word in words.DURATIONS if value < below
    )
    told = value / seconds
    return f"{told:,.{0 if told == round(told) else 1}f} {word.within(language)}"

"""The lag on a screen, on a page and as metrics; the calendar behind its business days."""

from __future__ import annotations

import re
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from functools import partial
from pathlib import Path

import pytest
from google.type.date_pb2 import Date

from gateway.app.holidays import closed_days
from gateway.app.lag_page import page, steps
from gateway.app.lag_screen import print_lag
from gateway.app.metrics import OPEN_CASES_S, LagMetrics, OpenCasesGauge
from gateway.domain.business_days import business_days_between
from gateway.domain.lag import Stage
from gateway.store.migrate import migrate
from gateway.store.records import encode_coverage
from gateway.store.sqlite import open_cases
from gateway.v1 import lag_pb2 as pb

REPORT = pb.GetLagReportResponse(
    first_day=Date(year=2026, month=4, day=1),
    last_day=Date(year=2026, month=4, day=30),
    cases=3,
    acquisitions=2,
    losses=1,
    late_filings=1,
    stages=[
        pb.StageLag(
            stage=pb.LAG_STAGE_FILING,
            unit=pb.LAG_UNIT_DAYS,
            count=3,
            p50=2,
            p90=9,
            p99=9,
            max=9,
            days=[pb.DayCount(days=-1, cases=1), pb.DayCount(days=9, cases=2)],
        )
    ],
    open_cases=[
        pb.OpenCases(
            wait=pb.LAG_WAIT_LINK,
            ages=[
                pb.AgeClass(first_days=0, last_days=1, cases=7),
                pb.AgeClass(first_days=2, cases=0),
            ],
        )
    ],
    days=[pb.DayCases(day=Date(year=2026, month=4, day=3), cases=3)],
    employers=[
        pb.EmployerLag(
            employer_code="<A&1>",
            cases=2,
            late_filings=1,
            latest_filing_days=9,
            stages=[pb.StageLag(stage=pb.LAG_STAGE_FILING, count=2, p50=2, p90=9, p99=9)],
        ),
        pb.EmployerLag(employer_code="in-time", cases=1),
    ],
)


def test_golden_week_has_no_business_day() -> None:
    """From Friday 1 May 2026 the next business day is 7 May: 6 May stands for Sunday 3 May."""
    assert business_days_between(date(2026, 5, 1), date(2026, 5, 7), closed_days) == 1
    assert business_days_between(date(2026, 5, 1), date(2026, 5, 6), closed_days) == 0


def test_offices_rest_around_new_year() -> None:
    """From Monday 28 December 2026 the next business day is Monday 4 January."""
    assert business_days_between(date(2026, 12, 28), date(2027, 1, 4), closed_days) == 1


@pytest.mark.parametrize(("language", "late"), [("ja", "届出の遅い順"), ("en", "employers,")])
def test_the_screen_shows_stages_ages_and_employers(
    capsys: pytest.CaptureFixture[str], language: str, late: str
) -> None:
    """Employers that file late come first; an insurer without cases gets a sentence."""
    print_lag({"01130012": REPORT, "00138057": pb.GetLagReportResponse()}, language)
    shown = capsys.readouterr().out
    assert all(text in shown for text in (late, "0-1", "2+", "<A&1>", "2 / 9 / 9", "00138057"))
    assert shown.index("<A&1>") < shown.index("in-time")


@pytest.mark.parametrize(
    ("seconds", "told"),
    [(0, "0"), (0.009, "9 ms"), (1, "1 s"), (119.5, "119.5 s"), (1_209_599.988, "14.0 d")],
)
def test_a_time_is_told_in_the_unit_that_fits(
    capsys: pytest.CaptureFixture[str], seconds: float, told: str
) -> None:
    """From milliseconds to days; nobody reads a million seconds."""
    lag = pb.StageLag(stage=pb.LAG_STAGE_LINK, unit=pb.LAG_UNIT_SECONDS, count=1, max=seconds)
    print_lag({"01130012": pb.GetLagReportResponse(cases=1, stages=[lag])}, "en")
    assert f" {told} " in capsys.readouterr().out


def test_the_page_stands_alone_and_spells_its_data_safely() -> None:
    """Charts are drawn inside, nothing is fetched, and a code cannot become markup."""
    shown = page({"01130012": REPORT}, "en")
    assert shown.count("<svg") == 2
    assert not re.search(r"<script|https?://|<A&1>", shown)
    assert "&lt;A&amp;1&gt;" in shown


def test_steps_rise_to_all_cases() -> None:
    """What came early stands at day 0."""
    assert steps([(-1, 1), (9, 3)]) == [(0, 0), (0, 0), (0, 25), (9, 25), (9, 100)]


@contextmanager
def serving(database: Path) -> Iterator[LagMetrics]:
    """Metrics on a free port."""
    migrate(database, encode_coverage)
    yield LagMetrics(partial(open_cases, database), 0)


def metrics_of(port: int) -> str:
    """What a scraper gets."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
        assert answer.status == 200
        return answer.read().decode()


async def test_metrics_are_served_on_loopback(tmp_path: Path) -> None:
    """A histogram by stage and gauges by wait; an early filing counts as none."""
    with serving(tmp_path / "gateway.db") as metrics:
        metrics.observe([(Stage.LINK, 90.0), (Stage.FILING, -86_400.0)])
        shown = metrics_of(metrics.port)
        await metrics.close()
    assert 'onshi_lag_seconds_bucket{le="60.0",stage="link"} 0.0' in shown
    assert 'onshi_lag_seconds_bucket{le="600.0",stage="link"} 1.0' in shown
    assert 'onshi_lag_seconds_sum{stage="filing"} 0.0' in shown
    assert 'onshi_lag_open_cases{wait="link"} 0.0' in shown
    labels = set(re.findall(r'(\w+)="', shown))
    assert labels == {"stage", "le", "wait"}


async def test_open_cases_are_not_counted_at_every_scrape(tmp_path: Path) -> None:
    """Counting looks at every case, so an old count is told for a while."""
    database, now = tmp_path / "gateway.db", [0.0]
    migrate(database, encode_coverage)
    gauge = OpenCasesGauge(partial(open_cases, database), lambda: now[0])
    (first,) = gauge.collect()
    database.unlink()
    now[0] = OPEN_CASES_S - 1
    (second,) = gauge.collect()
    assert [one.value for one in first.samples] == [one.value for one in second.samples] == [0, 0]

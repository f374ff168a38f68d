"""The lag report as one page with charts: self-contained, without scripts or outside links."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date
from html import escape
from typing import Final

from google.type.date_pb2 import Date

from gateway.app import lag_words as words
from gateway.app.lag_ask import Reports
from gateway.app.lag_screen import (
    EMPLOYER_HEAD,
    STAGE_HEAD,
    age_names,
    counts,
    employer_rows,
    open_rows,
    period,
    stage_rows,
)
from gateway.domain.period import days_between
from gateway.formats.svg import SOFT, Bar, Line, bar_chart, line_chart
from gateway.v1 import lag_pb2 as pb

EMPLOYERS_SHOWN_MAX: Final = 100
COLOURS: Final = {
    pb.LAG_STAGE_FILING: "#3b82f6",
    pb.LAG_STAGE_REGISTRATION: "#d9730d",
    pb.LAG_STAGE_REGISTRATION_BUSINESS: "#8b6fd0",
    pb.LAG_STAGE_LINK: "#b4506e",
    pb.LAG_STAGE_FACT_TO_NUMBER: "#1f9d6b",
}
"""The stages drawn over days, and their lines; one over seconds is drawn by midnights."""
_DASHED: Final = (pb.LAG_STAGE_REGISTRATION_BUSINESS, pb.LAG_STAGE_LINK)

_STYLE: Final = """
:root{--ink:#1d2430;--soft:#5b6472;--line:#d9dee6;--page:#fff;--panel:#f6f8fa}
@media(prefers-color-scheme:dark){:root{--ink:#e6e9ef;--soft:#a3adba;--line:#363d49;--page:#14181f;
--panel:#1c222b}}
*{box-sizing:border-box}body{margin:0 auto;max-width:1200px;padding:24px;background:var(--page);
color:var(--ink);font:15px/1.5 system-ui,"Hiragino Sans","Noto Sans JP",sans-serif}
h1{font-size:24px;margin:0}h2{font-size:19px;margin:40px 0 8px;padding-top:16px;
border-top:1px solid var(--line)}h2 .soft{font-size:15px;font-weight:400;margin-left:8px}
dl{display:flex;flex-wrap:wrap;gap:8px 32px;margin:0}dt{font-size:13px;color:var(--soft)}
dd{margin:0;font-size:19px;font-weight:600;font-variant-numeric:tabular-nums}.soft{color:var(--soft)}
.grid2{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(420px,100%),1fr));gap:16px;
margin:16px 0}
figure{margin:0;padding:12px;background:var(--panel);border-radius:8px}
figcaption{font-weight:600;margin-bottom:4px}svg{display:block;width:100%;height:auto}
.keys{display:flex;flex-wrap:wrap;gap:4px 16px;font-size:13px;color:var(--soft)}
.keys i{display:inline-block;width:22px;margin-right:6px;vertical-align:middle}
.scroll{overflow-x:auto}table{border-collapse:collapse;font-variant-numeric:tabular-nums;
margin-bottom:16px}
th,td{padding:4px 9px;border-bottom:1px solid var(--line);text-align:right;white-space:nowrap}
th{color:var(--soft);font-weight:600;white-space:normal;vertical-align:bottom}th:first-child,td:first-child{text-align:left}
"""


def page(reports: Reports, language: str) -> str:
    """Give the reports as one page."""
    title = escape(words.TITLE.within(language))
    parts = [
        f"<h1>{title}</h1>",
        f'<p class="soft">{escape(words.SIMULATION.within(language))}</p>',
        *(_insurer(insurer, report, language) for insurer, report in reports.items()),
    ]
    return (
        f'<!doctype html><html lang="{language}"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{title}</title><style>{_STYLE}</style></head><body>{''.join(parts)}"
        "</body></html>\n"
    )


def _insurer(insurer: str, report: pb.GetLagReportResponse, language: str) -> str:
    whose = f"{words.INSURER.within(language)} {insurer}"
    told = "".join(
        f"<div><dt>{escape(name)}</dt><dd>{escape(count)}</dd></div>"
        for name, count in counts(report, language)
    )
    title = (
        f'<h2>{escape(whose)} <span class="soft">{escape(period(report))}</span></h2>'
        f"<dl>{told}</dl>"
    )
    if not report.cases:
        return f"<section>{title}<p>{escape(words.NO_CASES.within(language))}</p></section>"
    charts = _within(report, language) + _by_day(report, language)
    employers = employer_rows(report, EMPLOYERS_SHOWN_MAX)
    left_out = ""
    if report.employers_left_out:
        left_out = f"<p>{words.LEFT_OUT.within(language)}: {report.employers_left_out:,}</p>"
    return (
        f'<section>{title}<div class="grid2">{charts}</div>'
        f"{_table(STAGE_HEAD, stage_rows(report, language), language)}"
        f"{_table((words.OPEN, *age_names(report)), open_rows(report, language), language)}"
        f"{_table(EMPLOYER_HEAD, employers, language) if employers else ''}{left_out}</section>"
    )


def _within(report: pb.GetLagReportResponse, language: str) -> str:
    """For each stage, how many per cent of its cases took how many days at most."""
    legal = Line(words.LEGAL.within(language), SOFT, [(5.0, 0.0), (5.0, 100.0)], is_dashed=True)
    lines = [
        Line(
            words.STAGES[lag.stage].within(language),
            COLOURS[lag.stage],
            steps([(one.days, one.cases) for one in lag.days]),
            is_dashed=lag.stage in _DASHED,
        )
        for lag in report.stages
        if lag.stage in COLOURS
    ]
    return line_chart(
        words.WITHIN.within(language),
        [*lines, legal] if lines else [],
        words.DAYS.within(language),
        words.PERCENT.within(language),
    )


def steps(counts: Sequence[tuple[int, int]]) -> list[tuple[float, float]]:
    """Per cent of cases up to each day, as steps; what came early stands at day 0."""
    total = sum(cases for _, cases in counts)
    points = [(0.0, 0.0)]
    so_far = 0
    for days, cases in counts:
        so_far += cases
        place = float(max(days, 0))
        points += ((place, points[-1][1]), (place, 100 * so_far / total))
    return points


def _by_day(report: pb.GetLagReportResponse, language: str) -> str:
    first = _date(report.first_day)
    bars = [
        Bar(float(place), place + 1.0, one.cases)
        for one in report.days
        for place in (days_between(first, _date(one.day)),)
    ]
    return bar_chart(
        words.BY_DAY.within(language),
        bars,
        COLOURS[pb.LAG_STAGE_FILING],
        words.SINCE.within(language).format(first),
        words.CASES.within(language),
    )


def _date(day: Date) -> date:
    return date(day.year, day.month, day.day)


def _table(
    head: tuple[words.Words | str, ...], rows: Iterable[Sequence[str]], language: str
) -> str:
    names = (name if isinstance(name, str) else name.within(language) for name in head)
    cells = "".join(f"<th>{escape(name)}</th>" for name in names)
    body = "".join(
        f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in rows
    )
    return (
        f'<div class="scroll"><table><thead><tr>{cells}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )

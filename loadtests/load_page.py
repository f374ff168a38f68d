"""The page of a load report: self-contained, without scripts or outside links. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from itertools import zip_longest
from typing import Final

from gateway.formats.svg import Line, bar_chart, ecdf, histogram, line_chart
from loadtests.load_figures import (
    OWN_SHARE_MAX,
    ROUTES,
    STAGES,
    Cpu,
    Distribution,
    Measured,
    Verdict,
    answers_in_gap,
    is_passed,
    mean_shares,
    timeline,
)

SIMULATION: Final = (
    "This is a simulation (模擬環境): made-up people, a stand-in gateway, loopback only. "
    "It says nothing about the speed of the live system."
)
MISSING: Final = "–"
STEPS_MAX: Final = 90
"""Steps of a chart over time."""
BLUE, ORANGE, GREEN, PURPLE = "#3b82f6", "#d9730d", "#1f9d6b", "#8b6fd0"
COLOURS: Final = {"number": BLUE, "card": ORANGE, "folder": GREEN}
PALETTE: Final = (BLUE, ORANGE, GREEN, PURPLE)
STAGE_WORDS: Final = {
    "checked": "the resident register had answered",
    "linked": "the link was recorded",
    "projected": "what lookups read was committed",
    "visible_by_card": "it could be seen by card",
}

_STYLE: Final = """
:root{--ink:#1d2430;--soft:#5b6472;--line:#d9dee6;--page:#fff;--panel:#f6f8fa;--good:#147a55;
--bad:#b3261e}
@media(prefers-color-scheme:dark){:root{--ink:#e6e9ef;--soft:#a3adba;--line:#363d49;--page:#14181f;
--panel:#1c222b;--good:#5fd0a2;--bad:#ff8a80}}
*{box-sizing:border-box}body{margin:0 auto;max-width:1200px;padding:24px;background:var(--page);
color:var(--ink);font:15px/1.5 system-ui,"Hiragino Sans","Noto Sans JP",sans-serif}
h1{font-size:24px;margin:0}h2{font-size:18px;margin:32px 0 8px}p{margin:6px 0;max-width:80ch}
.simulation{color:var(--soft)}.verdict{font-weight:600;font-size:17px}
.good{color:var(--good)}.bad{color:var(--bad)}
.grid2{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(420px,100%),1fr));gap:16px;
margin-top:16px}
figure{margin:0;padding:12px;background:var(--panel);border-radius:8px}
figcaption{font-weight:600;margin-bottom:4px}svg{display:block;width:100%;height:auto}
.keys{display:flex;flex-wrap:wrap;gap:4px 16px;font-size:13px;color:var(--soft)}
.keys i{display:inline-block;width:22px;margin-right:6px;vertical-align:middle}
.scroll{overflow-x:auto}table{border-collapse:collapse;font-variant-numeric:tabular-nums}
th,td{padding:4px 9px;border-bottom:1px solid var(--line);text-align:right;white-space:nowrap}
th{color:var(--soft);font-weight:600}th:first-child,td:first-child,.word{text-align:left}
td.word{white-space:normal}
"""


def page(measured: Measured, verdicts: Sequence[Verdict]) -> str:
    """Give the report as one self-contained page."""
    parts = (
        _heading(measured, verdicts),
        _thresholds(verdicts),
        _requests(measured),
        _lag(measured),
        _stages(measured),
        _open_loops(measured),
        _cpu(measured),
        _section("Parameters", _table(("what", "value"), measured.parameters.items())),
    )
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>Load report</title><style>{_STYLE}</style></head><body>{''.join(parts)}"
        "</body></html>\n"
    )


def _section(title: str, inside: str) -> str:
    return f"<section><h2>{escape(title)}</h2>{inside}</section>"


def _table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A table; words stand to the left, numbers to the right."""
    lines = list(rows)
    is_word = [isinstance(cell, str) and cell != MISSING for cell in lines[0]] if lines else []
    cells = "".join(
        f"<th{' class=word' if left else ''}>{escape(str(name))}</th>"
        for name, left in zip_longest(head, is_word, fillvalue=False)
    )
    body = "".join(f"<tr>{''.join(map(_cell, row))}</tr>" for row in lines)
    return (
        f'<div class="scroll"><table><thead><tr>{cells}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )


def _cell(value: object) -> str:
    if isinstance(value, bool):
        return f'<td class="{"good" if value else "bad"}">{"met" if value else "NOT met"}</td>'
    if isinstance(value, int | float):
        return f"<td>{_number(value)}</td>"
    if value == MISSING:
        return f"<td>{MISSING}</td>"
    return f'<td class="word">{escape(str(value))}</td>'


def _number(value: float) -> str:
    """Digits enough to compare by, no more."""
    if value == int(value) or value >= 1000:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def _heading(measured: Measured, verdicts: Sequence[Verdict]) -> str:
    is_good = is_passed(measured, verdicts)
    missed = [verdict.name for verdict in verdicts if not verdict.is_met]
    sentences = [
        "All thresholds are met." if not missed else f"NOT met: {', '.join(missed)}.",
        *(f"The run is broken: {problem}." for problem in measured.broken),
    ]
    notes = [
        f"Planted before the run: {name}. The thresholds "
        f"{'noticed it' if is_noticed else 'did NOT notice it'}."
        for name, is_noticed in measured.planted.items()
    ]
    notes += (
        f"{name} used more than {OWN_SHARE_MAX:.0%} of its core: it measured itself, and the "
        "gateway may be faster than these figures."
        for name in measured.self_measured
    )
    return (
        f'<h1>Load report</h1><p class="simulation">{SIMULATION}</p>'
        f'<p class="verdict {"good" if is_good else "bad"}">{escape(" ".join(sentences))}</p>'
        + "".join(f"<p>{escape(note)}</p>" for note in notes)
    )


def _thresholds(verdicts: Sequence[Verdict]) -> str:
    rows = [
        (v.name, v.limit, MISSING if v.measured is None else v.measured, v.is_met) for v in verdicts
    ]
    return _section("Thresholds", _table(("threshold", "at most", "measured", ""), rows))


_PERCENTILES: Final = ("p50 ms", "p90 ms", "p99 ms", "p99.9 ms", "most ms")


def _percentiles(found: Distribution) -> tuple[float | str, ...]:
    """Of less than a thousand values p99.9 is the most, and not shown."""
    p999 = found.p999 if found.count >= 1000 else MISSING
    return (found.p50, found.p90, found.p99, p999, found.most)


def _requests(measured: Measured) -> str:
    rows, charts, rates = [], [], []
    step_s = _step_s(measured.seconds)
    whole = int(measured.seconds // step_s)
    ordered = sorted(measured.series.items(), key=lambda item: (_place(item[0]), item[0]))
    for route, series in ordered:
        found = Distribution.of(series.ms)
        failed = sum(series.failures.values())
        why = ", ".join(f"{why} × {count}" for why, count in sorted(series.failures.items()))
        rate = found.count / measured.seconds
        rows.append((route, found.count, rate, failed, *_percentiles(found), why))
        if route not in ROUTES:
            continue
        steps = timeline(series, measured.began, measured.seconds, step_s)[:whole]
        colour = COLOURS[route]
        rates.append(Line(route, colour, [(at, step.count / step_s) for at, step in steps]))
        charts.append(
            line_chart(
                f"By {route}: latency",
                (
                    Line("p99", colour, [(at, s.p99) for at, s in steps if s.count]),
                    Line("p50", colour, [(at, s.p50) for at, s in steps if s.count], True),
                ),
                "seconds",
                "ms",
            )
        )
    table = _table(
        ("route", "requests", "per second", "failures", *_PERCENTILES, "what failed"), rows
    )
    rate_chart = line_chart("Requests a second, by route", rates, "seconds", "requests/s")
    return _section(
        "Requests, closed loop", f'{table}<div class="grid2">{rate_chart}{"".join(charts)}</div>'
    )


def _place(route: str) -> int:
    """The three ways of asking first, then all else."""
    return ROUTES.index(route) if route in ROUTES else len(ROUTES)


def _lag(measured: Measured) -> str:
    if not measured.lags:
        return ""
    rows, lines, bars = [], [], []
    for route, lags in measured.lags.items():
        values = [lag.lag_ms for lag in lags]
        found = Distribution.of(values)
        resolution = sum(lag.resolution_ms for lag in lags) / len(lags)
        gap = answers_in_gap(measured, route)
        said = ", ".join(f"{count} × {validity}" for validity, count in gap.items()) or "none"
        rows.append((route, found.count, *_percentiles(found), resolution, said))
        lines.append(Line(route, COLOURS[route], ecdf(values)))
        bars.append(
            bar_chart(f"Lag by {route}", histogram(values), COLOURS[route], "ms", "numbers told")
        )
    words = (
        "<p>From the acknowledged My Number to the first positive answer: by number and folder "
        "the earlier cover reads 3 (a newer cover exists), by card 1. The answer must have "
        "passed check, link and projection, and comes over another connection. The resolution "
        "is the mean time between the last negative question and the positive answer; a lag no "
        "longer than it was over before the first answer came.</p>"
        f"<p>{measured.waits} waits, {measured.unseen} without a positive answer in time.</p>"
    )
    table = _table(
        ("route", "samples", *_PERCENTILES, "resolution ms", "answers before, by validity"), rows
    )
    chart = line_chart("Lag, share of numbers visible", lines, "ms", "percent")
    return _section("Lag", f'{words}{table}<div class="grid2">{chart}{"".join(bars)}</div>')


def _stages(measured: Measured) -> str:
    rows = []
    for stage in STAGES:
        values = measured.stages[stage]
        if values:
            found = Distribution.of(values)
            rows.append((stage, found.count, *_percentiles(found), STAGE_WORDS[stage]))
    if not rows:
        return ""
    words = (
        "<p>The gateway's own stamps, counted from the moment the number was safe. They and the "
        "lag above are measured on different sides.</p>"
    )
    lines = [
        Line(stage, colour, ecdf(_up_to_p99(measured.stages[stage])), is_dashed)
        for stage, colour, is_dashed in (
            ("checked", PURPLE, False),
            ("linked", GREEN, True),
            ("projected", BLUE, False),
            ("visible_by_card", ORANGE, True),
        )
        if measured.stages[stage]
    ]
    chart = line_chart("Stages: time to each, up to p99", lines, "ms", "percent")
    table = _table(("stage", "numbers", *_PERCENTILES, "when"), rows)
    return _section("Stages", f'{words}{table}<div class="grid2">{chart}</div>')


def _up_to_p99(values: Sequence[float]) -> list[float]:
    """Without the last hundredth, which would press all else together; tables have it."""
    p99 = Distribution.of(values).p99
    return [value for value in values if value <= p99]


def _open_loops(measured: Measured) -> str:
    if not measured.loops:
        return ""
    rows, lines = [], []
    for place, loop in enumerate(measured.loops):
        name = f"{loop.rate:g}/s"
        found = Distribution.of(loop.ms)
        failed = sum(loop.failures.values())
        why = ", ".join(f"{why} × {count}" for why, count in sorted(loop.failures.items()))
        shares = (100 * loop.own_share, 100 * loop.gateway_share)
        rows.append((name, found.count, *_percentiles(found), loop.late, failed, *shares, why))
        lines.append(Line(name, PALETTE[place % len(PALETTE)], ecdf(_up_to_p99(loop.ms))))
    words = (
        "<p>Questions by number at a fixed rate, whatever the answers do. Latency counts from "
        "the moment a question was due.</p>"
    )
    table = _table(
        ("rate", "requests", *_PERCENTILES, "started late", "failures", "generator %",
         "gateway %", "what failed"),
        rows,
    )  # fmt: skip
    chart = line_chart("Open loop: latency up to p99", lines, "ms", "percent")
    return _section("Open loop", f'{words}{table}<div class="grid2">{chart}</div>')


def _cpu(measured: Measured) -> str:
    rows = [
        (side, name, 100 * share)
        for side, cpu in (("gateway", measured.server), ("generator", measured.generator))
        for name, share in mean_shares(cpu).items()
    ]
    charts = [
        line_chart(f"CPU of the {side}", _cpu_lines(measured, cpu), "seconds", "% of a core")
        for side, cpu in (("gateway", measured.server), ("generator", measured.generator))
        if cpu
    ]
    return _section(
        "CPU",
        _table(("side", "process", "mean % of a core"), rows)
        + f'<div class="grid2">{"".join(charts)}</div>',
    )


def _cpu_lines(measured: Measured, cpu: Sequence[Cpu]) -> list[Line]:
    return [
        Line(
            name,
            PALETTE[place % len(PALETTE)],
            [
                (sample.at - measured.began, 100 * sample.share)
                for sample in cpu
                if sample.process == name and measured.began <= sample.at
            ],
            place >= len(PALETTE),
        )
        for place, name in enumerate(mean_shares(cpu))
    ]


def _step_s(seconds: float) -> int:
    """Whole seconds a step of a chart over time takes."""
    return max(round(seconds / STEPS_MAX), 1)

"""
The report of a load run as files: a page, and the same figures as CSV and JSON.

Nothing of a person is in it: routes, times, counts and reasons only.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import msgspec

from loadtests.load_figures import (
    OWN_SHARE_MAX,
    Distribution,
    Measured,
    Verdict,
    answers_in_gap,
    figures,
    is_passed,
    judged,
    mean_shares,
    timeline,
)
from loadtests.load_page import page


def write_report(out: Path, measured: Measured, thresholds: Mapping[str, float]) -> list[Verdict]:
    """Write `report.html`, `report.json`, `figures.csv`, `timeline.csv`, `lag.csv`; judge."""
    verdicts = judged(measured, thresholds)
    for name, text in {
        "report.html": page(measured, verdicts),
        "report.json": as_json(measured, verdicts),
        "figures.csv": _csv(("figure", "value"), figures(measured).items()),
        "timeline.csv": _csv(
            ("route", "second", "requests", "p50_ms", "p99_ms"), _timeline_rows(measured)
        ),
        "lag.csv": _csv(
            ("route", "second", "lag_ms", "resolution_ms", "answers_before"),
            [
                (lag.route, round(lag.at - measured.began, 3), lag.lag_ms, lag.resolution_ms,
                 sum(lag.gap.values()))
                for lags in measured.lags.values()
                for lag in lags
            ],
        ),
    }.items():  # fmt: skip
        (out / name).write_text(text, encoding="utf-8")
    return verdicts


def _csv(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(head)
    writer.writerows(rows)
    return text.getvalue()


def _timeline_rows(measured: Measured) -> Iterable[tuple[object, ...]]:
    for route, series in measured.series.items():
        for second, found in timeline(series, measured.began, measured.seconds, 1):
            yield route, int(second), found.count, found.p50, found.p99


def as_json(measured: Measured, verdicts: Sequence[Verdict]) -> str:
    """All figures for programs: figures by name, verdicts, lag by route, CPU, parameters."""
    document = {
        "is_simulation": True,
        "is_passed": is_passed(measured, verdicts),
        "parameters": measured.parameters,
        "seconds": round(measured.seconds, 1),
        "planted": measured.planted,
        "broken": measured.broken,
        "thresholds": [
            {"name": v.name, "limit": v.limit, "measured": v.measured, "is_met": v.is_met}
            for v in verdicts
        ],
        "figures": figures(measured),
        "requests": {route: len(series.ms) for route, series in measured.series.items()},
        "failures": {r: s.failures for r, s in measured.series.items() if s.failures},
        "lag_samples": {route: len(lags) for route, lags in measured.lags.items()},
        "lag_resolution_ms": {
            route: round(sum(lag.resolution_ms for lag in lags) / len(lags), 1)
            for route, lags in measured.lags.items()
        },
        "answers_in_the_gap": {route: answers_in_gap(measured, route) for route in measured.lags},
        "cpu_share_of_a_core": {
            "gateway": mean_shares(measured.server),
            "generator": mean_shares(measured.generator),
        },
        "measured_itself": measured.self_measured,
    }
    return msgspec.json.format(msgspec.json.encode(document)).decode()


def summary(measured: Measured, verdicts: Iterable[Verdict]) -> list[str]:
    """Say shortly, in lines, what came out."""
    lines = [
        _line(
            route,
            Distribution.of(series.ms),
            f"{len(series.ms) / measured.seconds:.0f}/s, failures "
            f"{sum(series.failures.values())} {series.failures or ''}",
        )
        for route, series in measured.series.items()
    ]
    lines += (
        _line(
            f"lag by {route}",
            Distribution.of(lag.lag_ms for lag in lags),
            f"resolution {sum(lag.resolution_ms for lag in lags) / len(lags):.0f} ms",
        )
        for route, lags in measured.lags.items()
    )
    lines += (
        _line(
            f"open loop {loop.rate:g}/s",
            Distribution.of(loop.ms),
            f"late {loop.late}, generator {loop.own_share:.0%} of a core, gateway "
            f"{loop.gateway_share:.0%}, failures {loop.failures or 0}",
        )
        for loop in measured.loops
    )
    for side, cpu in (("gateway", measured.server), ("generator", measured.generator)):
        shares = ", ".join(f"{name} {share:.0%}" for name, share in mean_shares(cpu).items())
        lines.append(f"CPU of the {side}, of a core each: {shares}")
    lines += (
        f"{name} used over {OWN_SHARE_MAX:.0%} of its core: it measured itself"
        for name in measured.self_measured
    )
    lines += (
        f"NOT met: {verdict.name} at most {verdict.limit:g}, was {verdict.measured}"
        for verdict in verdicts
        if not verdict.is_met
    )
    return [*lines, *(f"broken: {problem}" for problem in measured.broken)]


def _line(name: str, found: Distribution, more: str) -> str:
    return (
        f"{name:20} {found.count:7}, p50 {found.p50:7.1f} ms, p99 {found.p99:7.1f} ms, "
        f"p99.9 {found.p999:7.1f} ms, {more}"
    )

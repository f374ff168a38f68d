"""
What a load run measured, what that comes to, and whether it is good enough. Pure.

Each process that made load keeps a `Ledger` and leaves it as a file; the ledgers are merged when
all have ended, so no row is lost with a worker's last message. Times are of the machine's
monotonic clock, which all its processes share. Percentiles are nearest-rank: a value that was
measured. Sources: insurer-lifecycle.md 7.3 (lag by route, answers in the gap).
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from msgspec import Struct, field

ROUTES: Final = ("number", "card", "folder")
"""By what the card shows, by the card itself, by a file in a folder."""

STAGES: Final = ("checked", "linked", "projected", "visible_by_card")
"""What the gateway stamps after `received`, in the order it happens."""

OWN_SHARE_MAX: Final = 0.9
"""A generator process that uses more of its core measures itself."""

THRESHOLDS: Final[Mapping[str, float]] = {
    "number_p99_ms": 250.0,
    "card_p99_ms": 500.0,
    "folder_p99_ms": 2_500.0,
    "lag_number_p99_ms": 3_000.0,
    "lag_card_p99_ms": 3_000.0,
    "lag_folder_p99_ms": 5_000.0,
    "unseen_max": 0.0,
    "failures_max": 0.0,
    "open_p99_ms": 1_000.0,
    "open_failures_max": 0.0,
}
"""At most so much, generous for two cores; a name without its `_max` is a figure's."""


class Series(Struct):
    """Requests of one route, side by side: when each ended, in seconds, and its milliseconds."""

    at: list[float] = field(default_factory=list)
    ms: list[float] = field(default_factory=list)
    failures: dict[str, int] = field(default_factory=dict)
    """How often by what went wrong; never a value of a person."""


class Lag(Struct):
    """
    From the acknowledgement of a My Number to the first positive answer by one route.

    `resolution_ms` lies between the start of the last negative question and the positive answer:
    how exact `lag_ms` is. `gap` counts the answers before, by validity.
    """

    route: str
    at: float
    lag_ms: float
    resolution_ms: float
    gap: dict[int, int] = field(default_factory=dict)


class Cpu(Struct):
    """Share of one core that a process used in the second before `at`."""

    process: str
    at: float
    share: float


class Ledger(Struct):
    """
    What one process measured.

    `waits` counts the waits for a first positive answer that came to an end, seen or given up.
    `trouble` counts what a generator did not expect of itself; any of it breaks the run.
    """

    process: str = ""
    series: dict[str, Series] = field(default_factory=dict)
    lags: list[Lag] = field(default_factory=list)
    stages: list[dict[str, float]] = field(default_factory=list)
    """For each number, milliseconds from `received` to each stage by the gateway's clock."""
    waits: int = 0
    trouble: dict[str, int] = field(default_factory=dict)
    cpu: list[Cpu] = field(default_factory=list)

    def add(self, route: str, at: float, ms: float, failure: str) -> None:
        """Note one request; `failure` is empty if all was right."""
        series = self.series.setdefault(route, Series())
        series.at.append(round(at, 3))
        series.ms.append(round(ms, 3))
        if failure:
            series.failures[failure] = series.failures.get(failure, 0) + 1

    def note(self, trouble: str) -> None:
        """Note that a generator failed, in words without a person."""
        self.trouble[trouble] = self.trouble.get(trouble, 0) + 1


class OpenLoop(Struct):
    """
    A run at a fixed rate of arrivals, whatever the answers do.

    Latencies count from the moment a request was due. `late` of them started more than
    `late_ms` after it; `own_share` is the generator's share of a core, `gateway_share` that of all
    the gateway's processes together. `began` is a monotonic second.
    """

    rate: float
    seconds: float
    channels: int
    late_ms: float
    ms: list[float] = field(default_factory=list)
    late: int = 0
    failures: dict[str, int] = field(default_factory=dict)
    began: float = 0.0
    own_share: float = 0.0
    gateway_share: float = 0.0


class Distribution(Struct, frozen=True):
    """Nearest-rank percentiles in milliseconds; all zero when nothing was measured."""

    count: int
    p50: float
    p90: float
    p99: float
    p999: float
    most: float

    @classmethod
    def of(cls, values: Iterable[float]) -> Distribution:
        """Sum up values in any order."""
        ordered = sorted(values)
        if not ordered:
            return cls(0, 0.0, 0.0, 0.0, 0.0, 0.0)
        p50, p90, p99, p999 = (percentile(ordered, share) for share in (0.5, 0.9, 0.99, 0.999))
        return cls(len(ordered), p50, p90, p99, p999, ordered[-1])


class Verdict(Struct, frozen=True):
    """One threshold and what was measured; None, which is never good, if nothing was."""

    name: str
    limit: float
    measured: float | None

    @property
    def is_met(self) -> bool:
        """Whether something was measured and is at most the limit."""
        return self.measured is not None and self.measured <= self.limit


class Measured(Struct):
    """
    A whole run.

    Args:
        began: The monotonic second that charts begin with; `seconds` is how long load was made.

        server: CPU of the gateway's processes; `loops` are the open-loop runs.

        planted: What was planted before the run, and whether the thresholds noticed it.
    """

    began: float
    seconds: float
    parameters: dict[str, str]
    ledgers: list[Ledger]
    server: list[Cpu] = field(default_factory=list)
    loops: list[OpenLoop] = field(default_factory=list)
    planted: dict[str, bool] = field(default_factory=dict)
    broken: list[str] = field(default_factory=list)
    """What makes the run itself worthless, such as a process that left no ledger."""

    @property
    def series(self) -> dict[str, Series]:
        """Requests by route, of all processes."""
        merged: dict[str, Series] = {}
        for ledger in self.ledgers:
            for route, series in ledger.series.items():
                into = merged.setdefault(route, Series())
                into.at += series.at
                into.ms += series.ms
                for failure, count in series.failures.items():
                    into.failures[failure] = into.failures.get(failure, 0) + count
        return dict(sorted(merged.items()))

    @property
    def lags(self) -> dict[str, list[Lag]]:
        """Lags by route, of all processes, for the routes that have any."""
        found: dict[str, list[Lag]] = {}
        for route in ROUTES:
            lags = [lag for ledger in self.ledgers for lag in ledger.lags if lag.route == route]
            if lags:
                found[route] = lags
        return found

    @property
    def stages(self) -> dict[str, list[float]]:
        """Milliseconds from `received` to each stage that was reached."""
        rows = [row for ledger in self.ledgers for row in ledger.stages]
        return {stage: [row[stage] for row in rows if stage in row] for stage in STAGES}

    @property
    def waits(self) -> int:
        """How often a first positive answer was waited for, counted by number and route."""
        return sum(ledger.waits for ledger in self.ledgers)

    @property
    def unseen(self) -> int:
        """How often none came in time."""
        return self.waits - sum(len(lags) for lags in self.lags.values())

    @property
    def generator(self) -> list[Cpu]:
        """CPU of the processes that made load."""
        return [cpu for ledger in self.ledgers for cpu in ledger.cpu]

    @property
    def self_measured(self) -> list[str]:
        """Which generator processes used so much of their core that they measured themselves."""
        shares = [*mean_shares(self.generator).items()]
        shares += [(f"open loop {loop.rate:g}/s", loop.own_share) for loop in self.loops]
        return [name for name, share in shares if share > OWN_SHARE_MAX]


def percentile(ordered: Sequence[float], share: float) -> float:
    """The smallest value that at least this share of the values does not exceed; `ordered`."""
    return ordered[max(math.ceil(share * len(ordered)), 1) - 1]


def mean_shares(cpu: Iterable[Cpu]) -> dict[str, float]:
    """Mean share of a core by process."""
    shares: dict[str, list[float]] = {}
    for sample in cpu:
        shares.setdefault(sample.process, []).append(sample.share)
    return {name: statistics.fmean(values) for name, values in sorted(shares.items())}


def figures(measured: Measured) -> dict[str, float]:
    """
    Every figure a threshold may name; one that was not measured is absent.

    Open-loop figures are the worst of the runs.
    """
    found: dict[str, float] = {}
    for route, series in measured.series.items():
        found |= _spelled(route, Distribution.of(series.ms))
    for route, lags in measured.lags.items():
        found |= _spelled(f"lag_{route}", Distribution.of(lag.lag_ms for lag in lags))
    for stage, values in measured.stages.items():
        if values:
            found |= _spelled(f"stage_{stage}", Distribution.of(values))
    if measured.series:
        found["failures"] = sum(
            sum(series.failures.values()) for series in measured.series.values()
        )
    if measured.waits:
        found["unseen"] = measured.unseen
    for loop in measured.loops:
        of_loop = _spelled("open", Distribution.of(loop.ms)) if loop.ms else {}
        of_loop["open_failures"] = sum(loop.failures.values())
        of_loop["open_late_percent"] = 100 * loop.late / max(round(loop.rate * loop.seconds), 1)
        for name, value in of_loop.items():
            found[name] = max(value, found.get(name, 0.0))
    return found


def _spelled(prefix: str, distribution: Distribution) -> dict[str, float]:
    return {
        f"{prefix}_p50_ms": distribution.p50,
        f"{prefix}_p90_ms": distribution.p90,
        f"{prefix}_p99_ms": distribution.p99,
        f"{prefix}_p999_ms": distribution.p999,
        f"{prefix}_most_ms": distribution.most,
    }


def judged(measured: Measured, thresholds: Mapping[str, float]) -> list[Verdict]:
    """Hold each threshold against its figure."""
    found = figures(measured)
    return [
        Verdict(name, limit, found.get(name.removesuffix("_max")))
        for name, limit in thresholds.items()
    ]


def thresholds_for(parts: Iterable[str], overrides: Mapping[str, float]) -> dict[str, float]:
    """
    The thresholds of the parts of a run that take place, with those set by hand.

    Args:
        parts: Of `number`, `card`, `folder`, `insurer` and `open`.
    """
    there = set(parts)
    chosen = {name: limit for name, limit in THRESHOLDS.items() if _part_of(name) <= there}
    return chosen | dict(overrides)


def _part_of(name: str) -> set[str]:
    """Which parts of a run a threshold is about; none for one about all of them."""
    first, _, rest = name.partition("_")
    if first == "lag":
        return {"insurer", rest.partition("_")[0]}
    return {"insurer"} if first == "unseen" else set() if first == "failures" else {first}


def timeline(
    series: Series, began: float, seconds: float, step_s: int
) -> list[tuple[float, Distribution]]:
    """Sum up a route for each step of so many seconds; an empty step has a count of 0."""
    steps: list[list[float]] = [[] for _ in range(max(math.ceil(seconds / step_s), 1))]
    for at, ms in zip(series.at, series.ms, strict=True):
        place = int((at - began) // step_s)
        if 0 <= place < len(steps):
            steps[place].append(ms)
    return [(float(i * step_s), Distribution.of(values)) for i, values in enumerate(steps)]


def answers_in_gap(measured: Measured, route: str) -> dict[int, int]:
    """Answers between the acknowledgement and the first positive one, by validity."""
    counts: dict[int, int] = {}
    for lag in measured.lags[route]:
        for validity, count in lag.gap.items():
            counts[validity] = counts.get(validity, 0) + count
    return dict(sorted(counts.items()))


def is_passed(measured: Measured, verdicts: Iterable[Verdict]) -> bool:
    """Whether the run is whole, every threshold is met, and what was planted was noticed."""
    return (
        not measured.broken
        and all(verdict.is_met for verdict in verdicts)
        and all(measured.planted.values())
    )

"""
The employer and the insurer at work: when a fact is filed, received, registered and linked.

Employers file early, late, never, twice or with a typing error; some are careless. Householders
and the insurer itself are slow in their own ways. The same draws give the same days.
"""

from __future__ import annotations

from bisect import bisect
from datetime import date, timedelta
from functools import lru_cache
from typing import NamedTuple
from zlib import crc32

from simulators.months.calendar import business_day_after
from simulators.months.models import LagModel
from simulators.nation.names import Draw
from simulators.nation.tables import cumulated


class Told(NamedTuple):
    """When a notice was filed, received and registered, and its mishaps."""

    filed: date
    received: date
    registered: date
    typo_on: date | None = None
    twice_on: date | None = None


class Numbered(NamedTuple):
    """When a new cover is linked, and what happens to its My Number."""

    is_in_line: bool
    linked_on: date | None
    told_on: date | None = None
    is_mismatched: bool = False
    corrected_on: date | None = None


class Offices:
    """Everybody who tells of facts, by a lag model and by chance."""

    def __init__(self, lag: LagModel, draw: Draw) -> None:
        self._lag = lag
        self._draw = draw

    def employer(self, code: str, fact: date, *, is_loss: bool) -> Told | None:
        """Let an employer file a fact; None if it never does."""
        lag, draw = self._lag, self._draw
        if draw() < lag.never:
            return None
        filed = fact + timedelta(days=self._filing_days(code, is_loss=is_loss))
        received, registered = self._worked_on(filed)
        typo_on = twice_on = None
        if draw() < lag.typo:
            typo_on, filed = registered, registered + timedelta(days=1)
            received, registered = self._worked_on(filed)
        if draw() < lag.twice:
            twice_on = business_day_after(registered, 1 + int(draw() * 6))
        return Told(filed, received, registered, typo_on, twice_on)

    def householder(self, fact: date) -> Told:
        """Let a householder tell the municipality, within fourteen days or rather later."""
        lag = self._lag
        first, last = lag.householder_days
        if self._draw() < lag.householder_late:
            first, last = last + 1, last * 3
        return self._counter(fact + timedelta(days=self._between(first, last)))

    def voluntary(self, fact: date) -> Told:
        """Let somebody ask to stay insured (任意継続): within twenty days of the loss."""
        filed = fact + timedelta(days=self._between(*self._lag.voluntary_days))
        received, registered = self._worked_on(filed)
        return Told(filed, received, registered)

    def insurer(self, fact: date) -> Told:
        """Let the insurer find out by itself, as it does of birthdays."""
        return self._counter(fact)

    def _counter(self, filed: date) -> Told:
        days = self._weighted(self._lag.counter_weights)
        return Told(filed, filed, business_day_after(filed, days))

    def number(self, registered: date) -> Numbered:
        """Decide what happens to the My Number of a new cover."""
        lag = self._lag
        if self._draw() < lag.number_missing:
            told = self._later(registered, lag.number_days, lag.number_never)
            return Numbered(is_in_line=False, linked_on=told, told_on=told)
        if self._draw() < lag.mismatch:
            corrected = self._later(registered, lag.correction_days, 1 - lag.corrected)
            return Numbered(
                is_in_line=True, linked_on=corrected, is_mismatched=True, corrected_on=corrected
            )
        return Numbered(is_in_line=True, linked_on=registered)

    def branch_day(self, registered: date) -> date | None:
        """Decide whether a branch is assigned later, and when."""
        if self._draw() >= self._lag.branch_late:
            return None
        later = registered + timedelta(days=self._between(*self._lag.branch_days))
        return business_day_after(later, 0)

    def _filing_days(self, code: str, *, is_loss: bool) -> int:
        lag, drawn = self._lag, self._draw()
        late = lag.late_loss if is_loss else lag.late_acquisition
        if is_careless(code, lag.careless_employers):
            late *= lag.careless_factor
        if drawn < lag.early:
            return -self._between(*lag.early_days)
        if drawn < lag.early + late:
            shortest, longest = lag.late_days
            return shortest + int((longest - shortest + 1) * (1 - (1 - self._draw()) ** 0.5))
        return self._weighted(lag.filing_weights)

    def _worked_on(self, filed: date) -> tuple[date, date]:
        lag = self._lag
        received = filed + timedelta(days=self._weighted(lag.delivery_weights))
        is_busy = received.month in lag.busy_months
        weights = lag.busy_weights if is_busy else lag.registration_weights
        return received, business_day_after(received, 1 + self._weighted(weights))

    def _later(self, on: date, days: tuple[int, int], never: float) -> date | None:
        if self._draw() < never:
            return None
        return on + timedelta(days=self._between(*days))

    def _between(self, first: int, last: int) -> int:
        return first + int(self._draw() * (last - first + 1))

    def _weighted(self, weights: tuple[int, ...]) -> int:
        return bisect(_bounds(weights), self._draw())


@lru_cache(maxsize=64)
def _bounds(weights: tuple[int, ...]) -> tuple[float, ...]:
    return cumulated([float(weight) for weight in weights])


def is_careless(code: str, share: float) -> bool:
    """Whether an employer is one of those that are often late; it always is, or never."""
    return crc32(code.encode()) % 10_000 < share * 10_000

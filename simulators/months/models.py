"""
The default models: how often things happen, and how long it takes until insurers have told of them.

Every parameter has a name and can be replaced. Sources: insurer-lifecycle.md 2.1, 2.2 and 7.3;
1.3 #3 and #11 for mismatches; rates of life are rounded from public statistics.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class LagModel:
    """
    How notices come about; chances are of one notice, days both included.

    Weights are of 0, 1, 2 ... days, and those of `registration_weights` of 1, 2 ... business days.
    """

    never: float = 0.01
    """The employer forgets the notice for good."""
    early: float = 0.03
    early_days: tuple[int, int] = (1, 3)
    """Filed so many days before the fact."""
    late_acquisition: float = 0.12
    late_loss: float = 0.20
    """A loss is filed late more often, so it arrives after the new acquisition (1.5)."""
    late_days: tuple[int, int] = (6, 30)
    filing_weights: tuple[int, ...] = (10, 22, 24, 20, 14, 10)
    """The legal five days."""
    delivery_weights: tuple[int, ...] = (55, 35, 10)
    registration_weights: tuple[int, ...] = (20, 25, 20, 14, 10, 4, 3, 2, 1, 1)
    busy_months: tuple[int, ...] = (4,)
    busy_weights: tuple[int, ...] = (12, 20, 20, 17, 12, 8, 5, 3, 2, 1)
    """The same in the months with most notices."""
    householder_days: tuple[int, int] = (0, 14)
    householder_late: float = 0.08
    """National health insurance: fourteen days, by the householder (2.1)."""
    counter_weights: tuple[int, ...] = (30, 40, 20, 10)
    """Business days from the counter of a municipality to the registration, 0 among them."""
    voluntary_days: tuple[int, int] = (1, 20)
    careless_employers: float = 0.05
    careless_factor: float = 3.0
    """Some employers are late so many times as often."""
    twice: float = 0.02
    typo: float = 0.015
    number_missing: float = 0.02
    number_days: tuple[int, int] = (5, 30)
    number_never: float = 0.5
    """Of missing numbers, those that never come."""
    mismatch: float = 0.0087
    corrected: float = 0.5
    correction_days: tuple[int, int] = (3, 10)
    branch_late: float = 0.03
    branch_days: tuple[int, int] = (3, 20)
    """Branches that are assigned after the registration."""


@dataclass(frozen=True, slots=True)
class LifeModel:
    """How often things happen; rates are a year's unless a month is named."""

    job_changes: tuple[float, ...] = (
        0.008, 0.006, 0.012, 0.070, 0.009, 0.007, 0.010, 0.007, 0.008, 0.012, 0.006, 0.006,
    )  # fmt: skip
    """Of employees, month by month from January on; April concentrates them."""
    first_of_month: float = 0.45
    """Job changes that fall on a month's first day."""
    joins_another: float = 0.72
    voluntary: float = 0.08
    becomes_dependent: float = 0.06
    """What follows a job: another, 任意継続, a spouse's insurance; else national insurance."""
    same_insurer: float = 0.02
    graduates: float = 0.22
    """Of dependants from 18 to 22: a first job on 1 April."""
    births: float = 0.1
    """Of couples of which the woman is 22 to 40."""
    deaths_at_40: float = 0.001
    deaths_growth: float = 0.098
    """Deaths grow by this exponent with each year of age."""
    moves: float = 0.04
    moves_far: float = 0.3
    """Moves to another prefecture."""
    marriages: float = 0.03
    """Of single people from 20 to 44: with another family name for half of them."""
    dependants_in: float = 0.015
    dependants_out: float = 0.02
    """Spouses who give up a job, and who begin one."""
    reissues: float = 0.012
    limits: float = 0.035
    """People who are given a limit certificate."""
    ratio_changes: float = 0.06
    """Of people from 70 on: another ratio from 1 August."""


DEFAULT_LAG = LagModel()
DEFAULT_LIFE = LifeModel()

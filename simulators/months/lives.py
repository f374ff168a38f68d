"""
What happens to a household in some months, and its whole consequence: `Life`.

Jobs, births, deaths, 75th birthdays, moves, marriages, dependants in and out, certificates, ratios
on 1 August, the end of a voluntary continuation. The order of a household's happenings is that of
their days.
"""

from __future__ import annotations

import random
from calendar import monthrange
from collections.abc import Iterable, Iterator
from datetime import date, timedelta
from math import exp
from typing import Final, NamedTuple

from msgspec import Struct

from simulators.months.employers import Offices
from simulators.months.events import Event, Known, Residing
from simulators.months.happenings import Happenings
from simulators.months.models import DEFAULT_LAG, DEFAULT_LIFE, LagModel, LifeModel
from simulators.months.telling import Teller
from simulators.nation.covers import LATTER_STAGE_AGE, birthday
from simulators.nation.households import CHILD, HEAD, SPOUSE, Household, Person
from simulators.nation.insurers import Nation
from simulators.nation.names import Draw
from simulators.nation.rows import ELDERLY_AGE

_YEAR_MONTHS: Final = 12
_DEATH_AGE: Final = 40
_MOTHERHOOD: Final = range(22, 41)
_MARRYING: Final = range(20, 45)
_STUDENTS: Final = range(18, 23)
_APRIL, _AUGUST = 4, 8


class Life(Struct):
    """A household after some months: its people's true covers, all events, and what is known."""

    household: Household
    events: list[Event]
    knowns: list[Known]
    residing: list[Residing]


class _Due(NamedTuple):
    """Something that will happen; `order` parts what happens on one day."""

    on: date
    order: int
    what: str
    person: int


class Plan:
    """
    The months of a nation, from the day after it was made.

    Args:
        first: The first day on which something may happen.

        last: The last one; insurers go on telling after it.
    """

    def __init__(
        self,
        nation: Nation,
        seed: int,
        first: date,
        last: date,
        lag: LagModel = DEFAULT_LAG,
        life: LifeModel = DEFAULT_LIFE,
    ) -> None:
        self.nation = nation
        self.seed = seed
        self.first = first
        self.last = last
        self.lag = lag
        self.life = life

    def life_of(self, household: Household) -> Life:
        """Let a household live; its people's covers are written on as they go."""
        draw = random.Random(f"months {self.seed} {household.serial}").random
        teller = Teller(household, Offices(self.lag, draw), draw, self.first, self.last)
        happenings = Happenings(self.nation, teller, self.life)
        for due in sorted(self._dues(household, draw)):
            if due.person < len(household.people):
                happenings.let(due.what, household.people[due.person], due.on)
        teller.finished()
        return Life(household, teller.events, teller.knowns, teller.residing)

    def lives(self, households: Iterable[Household]) -> Iterator[Life]:
        """Let households live, one after the other."""
        for household in households:
            yield self.life_of(household)

    def _dues(self, household: Household, draw: Draw) -> Iterator[_Due]:
        for place, person in enumerate(household.people):
            yield from self._birthdays(place, person)
        for first, days in self._months():
            for place, person in enumerate(household.people):
                yield from self._by_chance(household, place, person, first, days, draw)

    def _months(self) -> Iterator[tuple[date, int]]:
        """The months from the first day to the last: where each begins, and its days."""
        on = self.first
        while on <= self.last:
            end = min(on.replace(day=monthrange(on.year, on.month)[1]), self.last)
            yield on, (end - on).days + 1
            on = end + timedelta(days=1)

    def _birthdays(self, place: int, person: Person) -> Iterator[_Due]:
        for age, what in ((LATTER_STAGE_AGE, "75th birthday"), (ELDERLY_AGE, "70th birthday")):
            on = birthday(person.birth_date, age)
            if self.first <= on <= self.last:
                yield _Due(on, 0, what, place)
        for year in range(self.first.year, self.last.year + 1):
            august = date(year, _AUGUST, 1)
            if self.first <= august <= self.last and person.age(august) >= ELDERLY_AGE:
                yield _Due(august, 1, "ratio", place)
        for spell in person.spells:
            if spell.is_voluntary and spell.lost is None:
                end = birthday(spell.acquired, 2)
                if self.first <= end <= self.last:
                    yield _Due(end, 2, "end of continuation", place)

    def _by_chance(
        self, household: Household, place: int, person: Person, first: date, days: int, draw: Draw
    ) -> Iterator[_Due]:
        """What may happen to somebody in a month, or a part of it."""
        share = days / monthrange(first.year, first.month)[1]
        for order, (what, rate) in enumerate(self._rates(household, person, first), start=3):
            if rate and draw() < rate * share:
                on = first + timedelta(days=int(draw() * days))
                if what in {"job", "graduation"} and first.day == 1:
                    is_first = what == "graduation" or draw() < self.life.first_of_month
                    on = first if is_first else on
                yield _Due(on, order, what, place)

    def _rates(
        self, household: Household, person: Person, first: date
    ) -> Iterator[tuple[str, float]]:
        """How likely each is in a month."""
        life = self.life
        age = person.age(first)
        yield "death", life.deaths_at_40 * exp(life.deaths_growth * (age - _DEATH_AGE)) / 12
        yield "job", life.job_changes[first.month - 1] if age < LATTER_STAGE_AGE else 0.0
        is_student = person.role == CHILD and age in _STUDENTS
        yield "graduation", life.graduates if is_student and first.month == _APRIL else 0.0
        yield "reissue", life.reissues / _YEAR_MONTHS
        yield "limit", life.limits / _YEAR_MONTHS
        if person.role == HEAD:
            yield "move", life.moves / _YEAR_MONTHS
            alone = len(household.people) == 1 and age in _MARRYING
            yield "marriage", life.marriages / _YEAR_MONTHS if alone else 0.0
        if person.role == SPOUSE:
            yield "dependant in", life.dependants_in / _YEAR_MONTHS
            yield "dependant out", life.dependants_out / _YEAR_MONTHS
        if person.sex == "2" and age in _MOTHERHOOD and len(household.people) > 1:
            is_parent = person.role in {HEAD, SPOUSE}
            yield "birth", life.births / _YEAR_MONTHS if is_parent else 0.0

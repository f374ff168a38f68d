"""
The covers of the made-up nation: who is employed, who is a dependant, who was insured where before.

Employees and their dependants share a symbol and a number, and so do the members of a household in
national health insurance; branches tell them apart (insurer-lifecycle.md 1.4). From the 75th
birthday on everybody is insured by the latter-stage elderly's union alone.
"""

from __future__ import annotations

import random
from bisect import bisect
from collections.abc import Iterator, Sequence
from datetime import date
from functools import lru_cache
from math import log
from typing import Final

from gateway.domain.identifiers import InsurerKind
from simulators.nation.households import (
    CHILD,
    HEAD,
    YEAR_DAYS,
    Household,
    Person,
    Spell,
    blocks_of,
    members,
)
from simulators.nation.insurers import Insurer, Nation, nation
from simulators.nation.names import Draw
from simulators.nation.tables import INSURERS

FIRST_RECORDED: Final = date(2020, 11, 1)
"""When insurers began to register; covers lost before it are in no file."""
LATTER_STAGE_BEGAN: Final = date(2008, 4, 1)
LATTER_STAGE_AGE: Final = 75
LOST_BY_DEATH: Final = "01"
LOST_TO_OTHER_INSURANCE: Final = "03"
LOST_OTHERWISE: Final = "99"

UNFILED_CHANCE: Final = 0.009
"""Covers whose notice had no My Number: 36 of 3,940 ten thousands (insurer-lifecycle.md 2.2)."""
_NATIONAL_CHANCES: Final = ((24, 0.16), (34, 0.15), (44, 0.16), (54, 0.17), (64, 0.27), (74, 0.76))
_NATIONAL_AGES: Final = tuple(age for age, _ in _NATIONAL_CHANCES)
_DEPENDENT_CHANCES: Final = ((34, 0.30), (59, 0.40), (74, 0.62))
_DEPENDENT_AGES: Final = tuple(age for age, _ in _DEPENDENT_CHANCES)
_SPOUSE_EMPLOYED_CHANCE: Final = 0.35
"""Of the spouses of who is in national health insurance."""
_STUDENT_AGE_MAX: Final = 22
_PENSION_AGE: Final = 65
_WORKING_AGE: Final = 18
_YOUNG_WORKER_CHANCE: Final = 0.25
_TENURE_YEARS: Final = 9.0
_BEFORE_CHANCE: Final = 0.55
_GAP_CHANCE: Final = 0.1
_GAP_DAYS: Final = 45
_BEFORE_YEARS: Final = 6.0
_VOLUNTARY_CHANCE: Final = 0.25
_VOLUNTARY_AGES: Final = (60, 63)


@lru_cache(maxsize=65_536)
def birthday(birth_date: date, age: int) -> date:
    """The day an age is reached; for those born on a 29 February, 1 March."""
    try:
        return birth_date.replace(year=birth_date.year + age)
    except ValueError:
        return date(birth_date.year + age, 3, 1)


def elder_from(person: Person) -> date:
    """The day from which the latter-stage elderly's union insures somebody."""
    return max(birthday(person.birth_date, LATTER_STAGE_AGE), LATTER_STAGE_BEGAN)


def insure(place: Nation, household: Household, draw: Draw, on: date) -> None:
    """Give everybody of a household the covers they had up to a day."""
    insurers = _Insuring(place, household, draw, on)
    national: list[Person] = []
    for insurer, together in _employees(insurers, national):
        insurers.unit(insurer, together)
    if national:
        insurers.unit(place.national_insurer(draw, household.municipality), national)
    for person in household.people:
        insurers.elder(person)


def _employees(
    insurers: _Insuring, national: list[Person]
) -> Iterator[tuple[Insurer, list[Person]]]:
    """Who is insured by whose job; the rest joins `national`."""
    draw, on = insurers.draw, insurers.on
    household = insurers.household
    breadwinner: list[Person] | None = None
    units: list[list[Person]] = []
    for person in household.people:
        age = person.age(on)
        if age >= LATTER_STAGE_AGE + 6:
            continue  # Covers before it are in no file.
        if person.role == CHILD and age <= _STUDENT_AGE_MAX:
            works = age >= _WORKING_AGE and draw() < _YOUNG_WORKER_CHANCE
            own = [person] if works else breadwinner or national
        elif person.role in {HEAD, CHILD}:
            own = national if draw() < _chance(_NATIONAL_AGES, _NATIONAL_CHANCES, age) else [person]
        elif breadwinner is not None:
            is_dependent = draw() < _chance(_DEPENDENT_AGES, _DEPENDENT_CHANCES, age)
            own = breadwinner if is_dependent else [person]
        else:
            own = [person] if age < _PENSION_AGE and draw() < _SPOUSE_EMPLOYED_CHANCE else national
        if own and own[0] is person:
            units.append(own)
            if breadwinner is None and age < LATTER_STAGE_AGE:
                breadwinner = own
        else:
            own.append(person)
    for unit in units:
        yield insurers.employer(), unit


def _chance(ages: Sequence[int], chances: Sequence[tuple[int, float]], age: int) -> float:
    return chances[min(bisect(ages, age - 1), len(chances) - 1)][1]


class _Insuring:
    """One household, the nation around it, and the chance that decides."""

    def __init__(self, place: Nation, household: Household, draw: Draw, on: date) -> None:
        self.place = place
        self.household = household
        self.draw = draw
        self.on = on

    def employer(self) -> Insurer:
        """Draw the insurer of an employee of this household."""
        return self.place.employees_insurer(self.draw, self.household.prefecture)

    def unit(self, insurer: Insurer, people: list[Person]) -> None:
        """Insure people together, now and perhaps by another insurer before."""
        draw, on = self.draw, self.on
        first = people[0]
        tenure = int(-log(1.0 - draw()) * _TENURE_YEARS * YEAR_DAYS) + 1
        begun = max(date.fromordinal(on.toordinal() - tenure), _adulthood(first))
        if begun > FIRST_RECORDED and draw() < _BEFORE_CHANCE:
            gap = int(draw() * _GAP_DAYS) if draw() < _GAP_CHANCE else 0
            ended = date.fromordinal(begun.toordinal() - gap)
            years = -log(1.0 - draw()) * _BEFORE_YEARS
            earlier = max(
                date.fromordinal(ended.toordinal() - int(years * YEAR_DAYS) - 30),
                _adulthood(first),
            )
            if earlier < ended and ended > FIRST_RECORDED:
                self._spells(self._insurer_before(insurer), people, earlier, ended)
        is_voluntary = (
            insurer.kind is not InsurerKind.NATIONAL
            and _VOLUNTARY_AGES[0] <= first.age(on) <= _VOLUNTARY_AGES[1]
            and begun.toordinal() > on.toordinal() - 2 * YEAR_DAYS
            and draw() < _VOLUNTARY_CHANCE
        )
        self._spells(insurer, people, begun, None, is_voluntary=is_voluntary)

    def _insurer_before(self, insurer: Insurer) -> Insurer:
        national = self.household.municipality
        if insurer.kind is InsurerKind.NATIONAL or self.draw() < 0.75:  # noqa: PLR2004
            return self.employer()
        return national

    def _spells(
        self,
        insurer: Insurer,
        people: Sequence[Person],
        begun: date,
        ended: date | None,
        *,
        is_voluntary: bool = False,
    ) -> None:
        draw = self.draw
        is_national = insurer.kind is InsurerKind.NATIONAL
        employer = -1 if is_national or is_voluntary else insurer.employer_of(draw)
        group = self.household.serial % 90 if employer < 0 else employer
        symbol = insurer.symbol_of(group)
        number = self.household.next_number(insurer)
        for place, person in enumerate(people):
            start = max(begun, person.birth_date)
            elder = elder_from(person)
            end, reason = ended, LOST_TO_OTHER_INSURANCE if ended else ""
            if elder <= self.on and (end is None or elder < end):
                end, reason = elder, LOST_TO_OTHER_INSURANCE
            if end is not None and (end <= start or end < FIRST_RECORDED):
                continue
            person.spells.append(
                Spell(
                    insurer,
                    symbol,
                    number,
                    f"{insurer.first_branch + place:02d}",
                    start,
                    end,
                    reason,
                    "1" if place == 0 else "2",
                    bool(person.individual_number) and draw() >= UNFILED_CHANCE,
                    employer,
                    is_voluntary,
                )
            )

    def elder(self, person: Person) -> None:
        """Insure somebody from the 75th birthday on."""
        begun = elder_from(person)
        if begun > self.on:
            return
        insurer = self.place.elder[self.household.prefecture]
        number = self.household.next_number(insurer).rjust(8, "0")
        person.spells.append(
            Spell(insurer, "", number, "", begun, None, "", "1", bool(person.individual_number))
        )


def _adulthood(person: Person) -> date:
    return birthday(person.birth_date, 18)


def block_of(
    seed: int, block: int, people: int, on: date, insurers: int = INSURERS
) -> Iterator[Household]:
    """
    Give the households of one block as they truly are on a day, without making those before.

    Args:
        block: Its place, from 0 on.

        people: How many it has: a thousand, or fewer in the last block of a nation.

        insurers: Of how many insurers the nation is.
    """
    place = nation(insurers)
    draw = random.Random(f"covers {seed} {block}").random
    for household in members(place, seed, block, people, on):
        insure(place, household, draw, on)
        yield household


def households(seed: int, count: int, on: date, insurers: int = INSURERS) -> Iterator[Household]:
    """
    Give households of exactly so many people together, as they truly are on a day.

    The same arguments give the same people; more people begin with the same thousands.
    """
    for block, people in blocks_of(count):
        yield from block_of(seed, block, people, on, insurers)

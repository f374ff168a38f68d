"""
Households of the made-up nation: who lives together, how old, by which name, insured by whom.

The nation comes in blocks of a thousand people. A block is made from the seed and its place alone,
so person 7,654,321 is found without the people before. The covers are made by
`simulators.nation.covers`.
"""

from __future__ import annotations

import random
from bisect import bisect, bisect_left
from collections.abc import Iterator
from datetime import date
from typing import Final

from msgspec import Struct

from simulators.nation import tables
from simulators.nation.insurers import Insurer, Nation
from simulators.nation.names import (
    FOREIGN_CHANCE,
    Draw,
    Name,
    family_of,
    foreign_name,
    given_of,
    joined,
)
from simulators.nation.tables import AGE_BAND_YEARS, cumulated
from simulators.population import made_up_individual_number

BLOCK_PEOPLE: Final = 1_000
"""People of a block; each block has exactly so many, the last one fewer."""
PEOPLE_MAX: Final = 60_000_000
FIRST_SERIAL: Final = 20_000_000
"""Where the nation's My Numbers begin: behind those of `simulators.population`."""
BORN_LATER_SERIAL: Final = FIRST_SERIAL + PEOPLE_MAX
"""Where the My Numbers of children begin who are born later."""

NUMBERLESS_CHANCE: Final = 0.001
"""People who have no My Number yet (insurer-lifecycle.md 2.2, cause c)."""
YEAR_DAYS: Final = 365.2425
ELDEST: Final = 106

HEAD, SPOUSE, CHILD = range(3)
"""What somebody is in the household."""

_BAND_BOUNDS: Final = cumulated(tables.HEAD_WEIGHTS)
_SHAPE_AGES: Final = tuple(age for age, _ in tables.HOUSEHOLD_SHAPES)
_SHAPE_BOUNDS: Final = tuple(cumulated(weights) for _, weights in tables.HOUSEHOLD_SHAPES)
_CHILDREN_BOUNDS: Final = cumulated(tables.CHILDREN_WEIGHTS)
_TWIN_CHANCE: Final = 0.011
_CHILD_AGE_MAX: Final = 23
_MOTHERHOOD: Final = (21.0, 20.0)
"""The youngest mother, and how much older the eldest is, in years."""


class Spell(Struct):
    """
    A true cover, from `acquired` up to, not including, `lost`.

    `employer` is a place among the insurer's employers, or -1 without one. `is_numbered` tells
    whether the filing carried the My Number. `loss_reason` is an official code.
    """

    insurer: Insurer
    symbol: str
    number: str
    branch: str
    acquired: date
    lost: date | None
    loss_reason: str
    relationship: str
    is_numbered: bool
    employer: int = -1
    is_voluntary: bool = False

    def holds(self, on: date) -> bool:
        """Whether there is cover on a day."""
        return self.acquired <= on and (self.lost is None or on < self.lost)


class Person(Struct):
    """
    One made-up person, and every cover they truly had, oldest first.

    `individual_number` is empty for who has none. `copayment_ratio` is that from the age of 70 on.
    """

    index: int
    role: int
    name: Name
    sex: str
    birth_date: date
    copayment_ratio: str
    individual_number: str
    spells: list[Spell]

    def age(self, on: date) -> int:
        """Whole years on a day."""
        born = self.birth_date
        return on.year - born.year - ((on.month, on.day) < (born.month, born.day))

    def current(self, on: date) -> Spell | None:
        """The cover that holds on a day; of several, the one acquired last."""
        held = [spell for spell in self.spells if spell.holds(on)]
        return max(held, key=lambda spell: spell.acquired) if held else None


class Household(Struct):
    """
    People who live together; the first is the householder.

    `serial` is another one for each household of a nation. `units_given` counts the symbols and
    numbers its insurers gave it.
    """

    serial: int
    prefecture: int
    municipality: Insurer
    post_number: str
    address: str
    people: list[Person]
    units_given: int = 0

    def next_number(self, insurer: Insurer) -> str:
        """Give a number (番号) no insurer gave to anybody before."""
        self.units_given += 1
        return insurer.number_of(self.serial * UNITS_MAX + self.units_given)


UNITS_MAX: Final = 32
"""Symbols and numbers a household is given in the nation, at most."""


def birth_date_of(on: date, age: int, draw: Draw) -> date:
    """Draw a birth date of somebody who is so many full years old on a day."""
    return date.fromordinal(on.toordinal() - int((age + draw()) * YEAR_DAYS) - 1)


def blocks_of(people: int) -> Iterator[tuple[int, int]]:
    """Give the blocks of so many people: their places and how many people each has."""
    for block, first in enumerate(range(0, people, BLOCK_PEOPLE)):
        yield block, min(people - first, BLOCK_PEOPLE)


def members(nation: Nation, seed: int, block: int, people: int, on: date) -> Iterator[Household]:
    """
    Make the households of a block, without covers; together they have so many people.

    Args:
        on: The day of which the ages are.
    """
    rng = random.Random(f"nation {seed} {block}")
    index = block * BLOCK_PEOPLE
    last = index + people
    serial = index
    while index < last:
        household = _household(nation, rng.random, serial, index, on)
        del household.people[last - index :]
        index += len(household.people)
        serial += 1
        yield household


def _household(nation: Nation, draw: Draw, serial: int, index: int, on: date) -> Household:
    prefecture = nation.prefecture(draw)
    municipality = nation.municipality(draw, prefecture)
    post_number, address = nation.address(draw, municipality)
    family = family_of(draw)
    is_foreign = draw() < FOREIGN_CHANCE
    people = []
    for place, (role, sex, born) in enumerate(_births(draw, on)):
        if is_foreign:
            name = foreign_name(draw, sex, born.year)
        else:
            name = joined(family, given_of(draw, sex, born.year))
        ratio = draw()
        number = (
            ""
            if draw() < NUMBERLESS_CHANCE
            else made_up_individual_number(FIRST_SERIAL + index + place)
        )
        people.append(
            Person(
                index + place,
                role,
                name,
                sex,
                born,
                "010" if ratio < 0.73 else "020" if ratio < 0.93 else "030",  # noqa: PLR2004
                number,
                [],
            )
        )
    return Household(serial, prefecture, municipality, post_number, address, people)


def _births(draw: Draw, on: date) -> list[tuple[int, str, date]]:
    """What each is in the household, their sex and birth date; twins share a day."""
    band = bisect(_BAND_BOUNDS, draw()) + tables.HEAD_BAND_FIRST
    age = min(int((band + draw()) * AGE_BAND_YEARS), ELDEST)
    shape = bisect(_SHAPE_BOUNDS[bisect_left(_SHAPE_AGES, age)], draw())
    if shape == 0:
        sex = "2" if draw() < tables.WOMEN_ALONE_SHARES[min(band, 19)] else "1"
        return [(HEAD, sex, birth_date_of(on, age, draw))]
    sex = "2" if draw() < (0.15 if shape != 3 else 0.85) else "1"  # noqa: PLR2004
    born = birth_date_of(on, age, draw)
    found = [(HEAD, sex, born)]
    mother_age = age
    if shape != 3:  # noqa: PLR2004  one parent with children
        other = max(age + int(draw() * 7) - (4 if sex == "1" else 2), 18)
        found.append((SPOUSE, "2" if sex == "1" else "1", birth_date_of(on, other, draw)))
        mother_age = other if sex == "1" else age
    if shape in {2, 3}:
        found += _children(draw, on, mother_age, 0, _CHILD_AGE_MAX)
    elif shape == 4:  # noqa: PLR2004  parents with grown children
        found += _children(draw, on, mother_age, _CHILD_AGE_MAX, 60)[:1]
    return found


def _children(
    draw: Draw, on: date, mother_age: int, youngest: int, eldest: int
) -> list[tuple[int, str, date]]:
    found: list[tuple[int, str, date]] = []
    for _ in range(bisect(_CHILDREN_BOUNDS, draw()) + 1):
        if found and draw() < _TWIN_CHANCE:
            born = found[-1][2]
        else:
            at = _MOTHERHOOD[0] + (draw() + draw()) / 2 * _MOTHERHOOD[1]
            age = int(mother_age - at)
            if not youngest <= age <= min(eldest, mother_age - 18):
                continue
            born = birth_date_of(on, age, draw)
        found.append((CHILD, "2" if draw() < 0.487 else "1", born))  # noqa: PLR2004
    return found

"""
A made-up population with a true history: jobs change, children are born, someone turns 75.

The same seed gives the same people, one household at a time, so memory does not grow with their
count. `truth` says what a clinic must be told about them, by logic of its own, so that the
gateway is never compared with itself. Proportions: insurer-lifecycle.md 5.2; branches 1.4; My
Numbers that were never filed 2.2.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date, timedelta
from itertools import pairwise
from typing import Final

from gateway.domain.identifiers import InsurerKind
from gateway.domain.individual_number import individual_check_digit
from simulators.people import (
    FAMILY_NAMES,
    GIVEN_NAMES,
    INSURERS,
    Card,
    Row,
    SimulatedInsurer,
    address_of,
    day,
    loss_row,
)

MADE_UP_PREFIX: Final = "990"
"""Every My Number of the simulators begins so."""

FIRST_RECORDED: Final = date(2020, 11, 1)
"""When insurers began to register; covers lost before it are not in the files."""

LATTER_STAGE_BEGAN: Final = date(2008, 4, 1)
LATTER_STAGE_AGE: Final = 75

LOST_TO_OTHER_INSURANCE: Final = "03"
LOST_OTHERWISE: Final = "99"


def made_up_individual_number(serial: int) -> str:
    """Make up a My Number with a valid check digit, another for each serial below 10^8."""
    body = f"{MADE_UP_PREFIX}{serial:08d}"
    return body + individual_check_digit(body)


@dataclass(frozen=True, slots=True)
class Spell:
    """
    A true cover: from `acquired` up to, not including, `lost`.

    `is_numbered` tells whether the filing carried the My Number, without which the cover is not
    linked to the person's others.
    """

    insurer: SimulatedInsurer
    card: Card
    acquired: date
    lost: date | None
    loss_reason: str
    relationship: str
    is_numbered: bool


@dataclass(frozen=True, slots=True)
class Person:
    """
    One made-up person and every cover they truly had, oldest first.

    `sex` and `copayment_ratio` are official codes; the ratio is that of 後期高齢者.
    """

    name: str
    name_kana: str
    sex: str
    birth_date: date
    copayment_ratio: str
    is_preschool: bool
    spells: tuple[Spell, ...]
    individual_number: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Household:
    """People who live together; the first is the insured person or householder."""

    serial: int
    people: tuple[Person, ...]


@dataclass(frozen=True, slots=True)
class _Shape:
    """How a sort of household looks: millions of people insured so, sizes, ages of the head."""

    kind: InsurerKind
    people_millions: float
    size_weights: tuple[int, ...]
    head_ages: tuple[int, int]
    first_branch: int

    @property
    def weight(self) -> float:
        """How often such a household is drawn, so that people come in proportion."""
        total = sum(self.size_weights)
        mean = sum(size * w for size, w in enumerate(self.size_weights, start=1)) / total
        return self.people_millions / mean


_SHAPES: Final = (
    _Shape(InsurerKind.ASSOCIATION, 39.44, (60, 16, 14, 10), (19, 66), 0),
    _Shape(InsurerKind.SOCIETY, 28.20, (56, 16, 16, 12), (20, 64), 1),
    _Shape(InsurerKind.MUTUAL_AID, 10.26, (54, 16, 17, 13), (20, 62), 0),
    _Shape(InsurerKind.NATIONAL, 26.38, (58, 30, 8, 4), (24, 74), 1),
    _Shape(InsurerKind.LATTER_STAGE_ELDERLY, 19.44, (62, 38), (75, 96), 0),
)
_SHAPE_WEIGHTS: Final = tuple(shape.weight for shape in _SHAPES)
_SHAPE_OF: Final = {shape.kind: shape for shape in _SHAPES}
_KINDS_AFTER_A_JOB: Final = (
    InsurerKind.ASSOCIATION,
    InsurerKind.SOCIETY,
    InsurerKind.MUTUAL_AID,
    InsurerKind.NATIONAL,
)
_KINDS_AFTER_A_JOB_WEIGHTS: Final = (44, 28, 8, 20)

_JOB_CHANGE_CHANCE: Final = 0.3
_SECOND_CHANGE_CHANCE: Final = 0.2
_GAP_CHANCE: Final = 0.15
_LEFT_CHANCE: Final = 0.02
_TWIN_CHANCE: Final = 0.011
_UNFILED_NUMBER_CHANCE: Final = 0.015
_SPOUSE_AGE_DIFFERENCE: Final = (-4, 3)
_MOTHERHOOD_AGES: Final = (22, 41)
_CHILD_AGE_MAX: Final = 22
_PRESCHOOL_AGE: Final = 6
_YEAR_DAYS: Final = 365


def population(people: int, seed: int, on: date) -> Iterator[Household]:
    """
    Give households with exactly so many people together, as they truly are on a day.

    Histories reach from the beginning of each cover to `on`; nothing begins after it. The same
    arguments give the same households.
    """
    rng = random.Random(seed)
    left = people
    serial = 0
    while left > 0:
        serial += 1
        household = _household(serial, rng, on, left)
        left -= len(household.people)
        yield household


def rows_of(household: Household) -> Iterator[Row]:
    """
    Spell a household's true history as lines of coverage files, each cover's NEW before its LOSS.

    The lines belong to several insurers; a sender sorts them by `insurer_number`.
    """
    head = household.people[0]
    for person in household.people:
        for spell in person.spells:
            new = _new_row(household, head, person, spell)
            yield new
            if spell.lost is not None:
                yield loss_row(new, day(spell.lost), spell.loss_reason)


def _new_row(household: Household, head: Person, person: Person, spell: Spell) -> Row:
    row = {
        **spell.card.cells(),
        **address_of(household.serial),
        "action": "NEW",
        "birth_date": day(person.birth_date),
        "acquisition_date": day(spell.acquired),
        "name": person.name,
        "name_kana": person.name_kana,
        "insured_name": head.name if spell.relationship == "2" else person.name,
        "sex": person.sex,
        "relationship": spell.relationship,
        "card_classification": "01",
        "insurer_name": spell.insurer.name,
        "card_issue_date": day(spell.acquired),
        "card_first_valid_date": day(spell.acquired),
    }
    if spell.insurer.kind is InsurerKind.LATTER_STAGE_ELDERLY:
        row["copayment_ratio"] = person.copayment_ratio
    if person.is_preschool:
        row["is_preschool"] = "1"
    if spell.is_numbered:
        row["individual_number"] = person.individual_number
    return row


def truth(people: Iterable[Person], card: Card, birth_date: date, on: date) -> int:
    """
    What a clinic must be told that asks by a card: the official validity 1 to 5.

    Args:
        people: All who may match; a household suffices, because no two share a card.

        card: Asked with; an empty branch means any.
    """
    matching = [
        (person, spells)
        for person in people
        if person.birth_date == birth_date
        and (spells := [s for s in person.spells if _is_meant(card, s.card)])
    ]
    if not matching:
        return 4
    if len(matching) > 1:
        return 5
    person, asked = matching[0]
    if any(_holds(spell, on) for spell in asked):
        return 1
    last = max(
        (spell for spell in asked if spell.acquired <= on),
        key=lambda spell: spell.acquired,
        default=asked[0],
    )
    has_newer = last.is_numbered and any(
        spell.is_numbered and spell.acquired > last.acquired and _holds(spell, on)
        for spell in person.spells
    )
    return 3 if has_newer else 2


def _is_meant(asked: Card, shown: Card) -> bool:
    return (asked.insurer_number, asked.symbol, asked.number) == (
        shown.insurer_number,
        shown.symbol,
        shown.number,
    ) and asked.branch in ("", shown.branch)


def _holds(spell: Spell, on: date) -> bool:
    return spell.acquired <= on and (spell.lost is None or on < spell.lost)


@dataclass(frozen=True, slots=True)
class _Stage:
    """An insurer of the whole household for a time, with the symbol and number it gave."""

    insurer: SimulatedInsurer
    symbol: str
    number: str
    start: date
    end: date | None
    reason: str


def _household(serial: int, rng: random.Random, on: date, people_max: int) -> Household:
    shape = rng.choices(_SHAPES, _SHAPE_WEIGHTS)[0]
    size = rng.choices(range(1, len(shape.size_weights) + 1), shape.size_weights)[0]
    births = _births(shape, size, rng, on)[:people_max]
    stages = _stages(shape, serial, rng, on)
    family, family_kana = rng.choice(FAMILY_NAMES)
    people = []
    for place, (sex, birth_date) in enumerate(births):
        given, given_kana = rng.choice(GIVEN_NAMES[sex])
        people.append(
            Person(
                name=f"{family}　{given}",
                name_kana=f"{family_kana} {given_kana}",
                sex=sex,
                birth_date=birth_date,
                copayment_ratio=rng.choices(("010", "020", "030"), (73, 20, 7))[0],
                is_preschool=on < _birthday(birth_date, _PRESCHOOL_AGE),
                spells=tuple(_spells(place, birth_date, stages, serial, rng, on)),
                individual_number=made_up_individual_number(serial * 8 + place),
            )
        )
    return Household(serial, tuple(people))


def _births(shape: _Shape, size: int, rng: random.Random, on: date) -> list[tuple[str, date]]:
    """Sexes and birth dates: the head, then a spouse, then children; twins share a day."""
    head_age = rng.randint(*shape.head_ages)
    head_sex = rng.choice("12")
    births = [(head_sex, _born(on, head_age, rng))]
    is_elder = shape.kind is InsurerKind.LATTER_STAGE_ELDERLY
    if size > 1:
        spouse_age = max(head_age + rng.randint(*_SPOUSE_AGE_DIFFERENCE), 19)
        births.append(
            (
                "2" if head_sex == "1" else "1",
                _born(on, max(spouse_age, LATTER_STAGE_AGE) if is_elder else spouse_age, rng),
            )
        )
    for _ in range(size - 2):
        if len(births) > 2 and rng.random() < _TWIN_CHANCE:  # noqa: PLR2004  a first child
            born = births[-1][1]
        else:
            age = min(max(head_age - rng.randint(*_MOTHERHOOD_AGES), 0), _CHILD_AGE_MAX)
            born = _born(on, age, rng)
        births.append((rng.choice("12"), born))
    return births


def _born(on: date, age: int, rng: random.Random) -> date:
    """A birth date that makes a person so many full years old on a day, give or take days."""
    return on - timedelta(days=age * _YEAR_DAYS + age // 4 + rng.randrange(1, _YEAR_DAYS))


def _birthday(birth_date: date, age: int) -> date:
    """The day an age is reached; for those born on a 29 February, 1 March."""
    try:
        return birth_date.replace(year=birth_date.year + age)
    except ValueError:
        return date(birth_date.year + age, 3, 1)


def _stages(shape: _Shape, serial: int, rng: random.Random, on: date) -> list[_Stage]:
    """The insurers of a household in turn, oldest first; seldom none is left at the end."""
    is_elder = shape.kind is InsurerKind.LATTER_STAGE_ELDERLY
    kind = InsurerKind.NATIONAL if is_elder else shape.kind
    kinds = [kind]
    if not is_elder and rng.random() < _JOB_CHANGE_CHANCE:
        count = 2 if rng.random() < _SECOND_CHANGE_CHANCE else 1
        # The shape is what the household has today, so the earlier insurers come before it.
        kinds = [*rng.choices(_KINDS_AFTER_A_JOB, _KINDS_AFTER_A_JOB_WEIGHTS, k=count), kind]
    changes = sorted(rng.sample(range(30, 4 * _YEAR_DAYS), len(kinds) - 1), reverse=True)
    starts = [on - timedelta(days=rng.randrange(5 * _YEAR_DAYS, 20 * _YEAR_DAYS))]
    starts += [on - timedelta(days=days) for days in changes]
    ends: list[date | None] = []
    for start, following in pairwise(starts):
        gap = timedelta(days=rng.randrange(1, 45) if rng.random() < _GAP_CHANCE else 0)
        ends.append(max(start, following - gap))
    has_left = not is_elder and rng.random() < _LEFT_CHANCE
    ends.append(max(starts[-1], on - timedelta(days=rng.randrange(60))) if has_left else None)
    return [
        _stage(kind, serial, place, start, end, rng, is_last=place == len(kinds) - 1)
        for place, (kind, start, end) in enumerate(zip(kinds, starts, ends, strict=True))
    ]


def _stage(
    kind: InsurerKind,
    serial: int,
    place: int,
    start: date,
    end: date | None,
    rng: random.Random,
    *,
    is_last: bool,
) -> _Stage:
    group = rng.randrange(1000)
    symbol = {
        InsurerKind.ASSOCIATION: f"{70_000_000 + group}",
        InsurerKind.SOCIETY: f"{group // 20 + 1}-{group % 20 + 1}",
        InsurerKind.MUTUAL_AID: "公架見",
        InsurerKind.NATIONAL: f"架見{group % 90 + 10}",
    }[kind]
    reason = LOST_OTHERWISE if is_last else LOST_TO_OTHER_INSURANCE
    number = f"{serial * 4 + place:07d}"
    return _Stage(rng.choice(INSURERS[kind]), symbol, number, start, end, reason)


def _spells(
    place: int,
    birth_date: date,
    stages: Iterable[_Stage],
    serial: int,
    rng: random.Random,
    on: date,
) -> Iterator[Spell]:
    """A member's covers: the household's from birth, then 後期高齢者 from the 75th birthday."""

    def spell(
        insurer: SimulatedInsurer, card: Card, start: date, end: date | None, reason: str
    ) -> Spell:
        is_self = place == 0 or not card.branch
        is_numbered = rng.random() >= _UNFILED_NUMBER_CHANCE
        return Spell(insurer, card, start, end, reason, "1" if is_self else "2", is_numbered)

    elder_from = max(_birthday(birth_date, LATTER_STAGE_AGE), LATTER_STAGE_BEGAN)
    for stage in stages:
        start = max(stage.start, birth_date)
        end, reason = stage.end, stage.reason
        if elder_from <= on and (end is None or elder_from < end):
            end, reason = elder_from, LOST_TO_OTHER_INSURANCE
        if end is not None and (end <= start or end < FIRST_RECORDED):
            continue
        branch = _SHAPE_OF[stage.insurer.kind].first_branch + place
        card = Card(stage.insurer.number, stage.symbol, stage.number, f"{branch:02d}")
        yield spell(stage.insurer, card, start, end, reason if end else "")
    if elder_from <= on:
        insurer = INSURERS[InsurerKind.LATTER_STAGE_ELDERLY][0]
        card = Card(insurer.number, "", f"{serial * 8 + place:08d}", "")
        yield spell(insurer, card, elder_from, None, "")

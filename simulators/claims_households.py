"""
Households made for claims: a cover changes within the month, or twins share a number.

A population has few such people. Those built here are ordinary households of
`simulators.population`, so their coverage is spelled by `rows_of` and uploaded like any other.
Their serials lie far above the population's, so no card and no My Number is used twice.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import date, timedelta
from typing import Final, NamedTuple

import jaconv

from simulators.people import FAMILY_NAMES, GIVEN_NAMES, INSURERS, Card, SimulatedInsurer
from simulators.population import Household, Person, Spell, made_up_individual_number

SERIALS_FROM: Final = 5_000_000

_ONE_DAY: Final = timedelta(days=1)
_LAWS: Final = ("00", "01", "06", "31")
_INSURERS: Final = tuple(
    insurer for many in INSURERS.values() for insurer in many if insurer.number[:2] in _LAWS
)
_RARE_FAMILY_NAMES: Final = (
    ("髙﨑", jaconv.z2h("タカサキ", kana=True)),
    ("●井", jaconv.z2h("トクイ", kana=True)),
    ("草彅", jaconv.z2h("クサナギ", kana=True)),
)
"""Names with extension characters of cp932, and one with the mark of a missing character."""


class Change(NamedTuple):
    """
    How somebody's covers change: the first ends on `lost`, a second begins on `begun`.

    `is_second_shown` tells which card the person showed.
    """

    lost: date | None
    begun: date | None
    is_linked: bool = True
    is_same_insurer: bool = False
    becomes_family: bool = False
    is_preschool: bool = False
    is_second_shown: bool = False


Visits = tuple[date, ...]
"""Days of care in order, at least two."""

CHANGES: Final[dict[str, Callable[[Visits], Change]]] = {
    "another cover holds too": lambda v: Change(None, v[0] - 40 * _ONE_DAY),
    "lost the day after the last visit": lambda v: Change(v[-1] + _ONE_DAY, v[-1] + _ONE_DAY),
    "begun on the first visit": lambda v: Change(v[0], v[0], is_second_shown=True),
    "changed on the first visit": lambda v: Change(v[0], v[0]),
    "new number at the same insurer": lambda v: Change(v[0], v[0], is_same_insurer=True),
    "insured person became family": lambda v: Change(v[0], v[0], becomes_family=True),
    "preschool child changed insurers": lambda v: Change(v[0], v[0], is_preschool=True),
    "nothing newer": lambda v: Change(v[0], None),
    "newer cover without My Number": lambda v: Change(v[0], v[0], is_linked=False),
    "changed between visits": lambda v: Change(v[1], v[1]),
    "visits in a gap": lambda v: Change(v[0], v[-1] + _ONE_DAY),
}
"""What happens in a household, from the visits of its last person."""

TWINS: Final = ("twins of one sex without a branch", "twins of both sexes without a branch")


def changed_household(
    serial: int, change: Change, on: date, rng: random.Random
) -> tuple[Household, Spell]:
    """
    Build a head without covers and a person whose covers change; give the cover shown too.

    Args:
        on: About when; it decides ages only.
    """
    old = rng.choice(_INSURERS)
    new = old if change.is_same_insurer else rng.choice([i for i in _INSURERS if i != old])
    years = rng.randint(2, 4) if change.is_preschool else rng.randint(22, 60)
    birth_date = _years_before(on, years, rng)
    acquired = max(birth_date, on - rng.randrange(400, 4_000) * _ONE_DAY)
    before = "2" if change.is_preschool else "1"
    after = "2" if change.is_preschool or change.becomes_family else "1"
    reason = "03" if change.begun is not None else "99" if change.lost is not None else ""
    spells = [_spell(serial, 0, old, before, acquired, change.lost, reason)]
    if change.begun is not None:
        second = _spell(serial, 1, new, after, change.begun, None, "", is_linked=change.is_linked)
        spells.append(second)
    family = _family_name(rng)
    head = _person(serial, 0, family, "1", _years_before(on, 62, rng), (), rng)
    sex = rng.choice("12")
    person = _person(
        serial, 1, family, sex, birth_date, tuple(spells), rng, is_preschool=change.is_preschool
    )
    return Household(serial, (head, person)), spells[int(change.is_second_shown)]


def twin_household(
    serial: int, on: date, rng: random.Random, *, is_one_sex: bool
) -> tuple[Household, Spell]:
    """Build a parent and twins under one number; give the second twin's cover too."""
    insurer = rng.choice(_INSURERS)
    acquired = on - rng.randrange(400, 4_000) * _ONE_DAY
    birth_date = _years_before(on, rng.randint(9, 14), rng)
    began = max(acquired, birth_date)
    sex = rng.choice("12")
    other = sex if is_one_sex else "1" if sex == "2" else "2"
    family = _family_name(rng)
    parent = _spell(serial, 0, insurer, "1", acquired, None, "")
    people = [_person(serial, 0, family, "1", _years_before(on, 40, rng), (parent,), rng)]
    for place, twin_sex in ((1, sex), (2, other)):
        card = Card(insurer.number, parent.card.symbol, parent.card.number, f"{place + 1:02d}")
        spell = Spell(insurer, card, began, None, "", "2", is_numbered=True)
        people.append(_person(serial, place, family, twin_sex, birth_date, (spell,), rng))
    return Household(serial, tuple(people)), people[-1].spells[0]


def _spell(
    serial: int,
    place: int,
    insurer: SimulatedInsurer,
    relationship: str,
    acquired: date,
    lost: date | None,
    reason: str,
    *,
    is_linked: bool = True,
) -> Spell:
    symbol = {
        "00": f"架見{serial % 90 + 10}",
        "01": f"{71_000_000 + serial % 1000}",
        "06": f"{serial % 900 + 100}",
        "31": "公架見",
    }[insurer.number[:2]]
    branch = "00" if relationship == "1" else "01"
    card = Card(insurer.number, symbol, f"{serial * 4 + place:08d}", branch)
    return Spell(insurer, card, acquired, lost, reason, relationship, is_linked)


def _person(
    serial: int,
    place: int,
    family: tuple[str, str],
    sex: str,
    birth_date: date,
    spells: tuple[Spell, ...],
    rng: random.Random,
    *,
    is_preschool: bool = False,
) -> Person:
    given, given_kana = rng.choice(GIVEN_NAMES[sex])
    return Person(
        name=f"{family[0]}　{given}",
        name_kana=f"{family[1]} {given_kana}",
        sex=sex,
        birth_date=birth_date,
        copayment_ratio="010",
        is_preschool=is_preschool,
        spells=spells,
        individual_number=made_up_individual_number(serial * 8 + place),
    )


def _family_name(rng: random.Random) -> tuple[str, str]:
    return rng.choice(_RARE_FAMILY_NAMES if rng.random() < 0.2 else FAMILY_NAMES)  # noqa: PLR2004


def _years_before(on: date, years: int, rng: random.Random) -> date:
    """A day on which somebody was born who is so many years old, and not near a birthday."""
    return date(on.year - years, on.month, 1) - rng.randrange(60, 300) * _ONE_DAY

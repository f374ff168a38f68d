"""
A month of job changes as employers and insurers tell them: early, late, never, twice, with a typo.

The default lag model of insurer-lifecycle.md 7.3. `april_of` is the one place that decides what
happens; everything else only carries it out, so another generator can stand in its place.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Final

from gateway.domain.identifiers import InsurerKind
from simulators.people import INSURERS, Card, Row, SimulatedInsurer, address_of, day, loss_row
from simulators.population import Household, Person, Spell

EMPLOYERS_AN_INSURER: Final = 40
CHANGE_CHANCE: Final = 0.08
FIRST_OF_APRIL_CHANCE: Final = 0.45
NEVER_CHANCE: Final = 0.01
EARLY_CHANCE: Final = 0.03
LATE_CHANCE: Final = {"NEW": 0.12, "LOSS": 0.2}
"""A loss is filed late more often, so it arrives after the new acquisition (1.5)."""
LATE_DAYS: Final = (6, 30)
FILING_DAYS: Final = (range(6), (10, 22, 24, 20, 14, 10))
DELIVERY_DAYS: Final = (range(3), (55, 35, 10))
BUSINESS_DAYS: Final = (range(1, 11), (20, 25, 20, 14, 10, 4, 3, 2, 1, 1))
TWICE_CHANCE: Final = 0.02
TYPO_CHANCE: Final = 0.015
NUMBER_MISSING_CHANCE: Final = 0.02
NUMBER_DAYS: Final = (5, 30)
NUMBER_NEVER_CHANCE: Final = 0.5
MISMATCH_CHANCE: Final = 0.0087
CORRECTED_CHANCE: Final = 0.5
CORRECTION_DAYS: Final = (3, 10)

_MOVING: Final = (InsurerKind.ASSOCIATION, InsurerKind.SOCIETY, InsurerKind.MUTUAL_AID)
_SUNDAY: Final = 6


@dataclass(frozen=True, slots=True)
class Event:
    """
    One beginning or end of a cover, on every day that matters to it; None for what never comes.

    `row` is the line that is right. `typo_on` is when it was first sent with a birth date that
    does not exist, `twice_on` when it was sent again. `linked_on` is when the enrollee is linked.
    """

    insurer: str
    employer_code: str
    row: Row
    fact: date
    filed: date
    received: date
    registered: date
    linked_on: date | None
    typo_on: date | None = None
    twice_on: date | None = None
    number_told_on: date | None = None
    corrected_on: date | None = None
    seen_by: str = ""
    """The My Number whose card sees it once it is linked; empty if there is none."""
    number: str = field(default="", repr=False)

    @property
    def is_loss(self) -> bool:
        """Whether a cover ends."""
        return self.row["action"] == "LOSS"

    @property
    def is_mismatched(self) -> bool:
        """Whether the first line names the wrong sex."""
        return self.corrected_on is not None or (
            self.linked_on is None and "individual_number" in self.row and not self.is_loss
        )


def april_of(households: Iterable[Household], seed: int, first: date) -> Iterator[Event]:
    """
    Give what happens in the month that begins on a day, two events for each cover that moves.

    The same arguments give the same events.
    """
    rng = random.Random(seed)
    for household in households:
        last = household.people[0].spells[-1:]
        if not last or last[0].insurer.kind not in _MOVING or last[0].lost is not None:
            continue
        if rng.random() < CHANGE_CHANCE:
            yield from _moved(household, rng, first)


def _moved(household: Household, rng: random.Random, first: date) -> Iterator[Event]:
    fact = first
    if rng.random() >= FIRST_OF_APRIL_CHANCE:
        fact += timedelta(days=rng.randrange(1, 30))
    insurer = rng.choice(INSURERS[rng.choice(_MOVING[:2])])
    leaving = _employer(household.people[0].spells[-1].insurer, rng)
    joining = _employer(insurer, rng)
    for place, person in enumerate(household.people):
        spell = person.spells[-1] if person.spells else None
        if spell is None or spell.lost is not None or spell.insurer.kind not in _MOVING:
            continue
        loss = loss_row(_cells(household, person, spell.insurer, spell.card), day(fact), "03")
        yield from _filed(loss | _at(spell), leaving, fact, rng, person, spell)
        card = Card(insurer.number, f"{9000 + household.serial % 97}", f"9{household.serial:06d}",
                    f"{place + 1:02d}")  # fmt: skip
        new = _cells(household, person, insurer, card)
        new |= {"acquisition_date": day(fact), "relationship": spell.relationship}
        yield from _filed(new, joining, fact, rng, person, None)


def _employer(insurer: SimulatedInsurer, rng: random.Random) -> str:
    return f"{insurer.number}-{rng.randrange(EMPLOYERS_AN_INSURER):03d}"


def _at(spell: Spell) -> Row:
    return {"acquisition_date": day(spell.acquired)}


def _cells(household: Household, person: Person, insurer: SimulatedInsurer, card: Card) -> Row:
    return {
        **card.cells(),
        **address_of(household.serial),
        "action": "NEW",
        "birth_date": day(person.birth_date),
        "name": person.name,
        "name_kana": person.name_kana,
        "sex": person.sex,
        "insurer_name": insurer.name,
        "acquisition_date": "",
    }


def _filed(
    row: Row,
    employer: str,
    fact: date,
    rng: random.Random,
    person: Person,
    spell: Spell | None,
) -> Iterator[Event]:
    """Give the event of a line, if the employer ever files it."""
    if rng.random() < NEVER_CHANCE:
        return
    filed = fact + timedelta(days=_filing_days(row["action"], rng))
    received, registered = _worked_on(filed, rng)
    typo_on = None
    if rng.random() < TYPO_CHANCE:
        typo_on, filed = registered, registered + timedelta(days=1)
        received, registered = _worked_on(filed, rng)
    twice_on = None
    if rng.random() < TWICE_CHANCE:
        twice_on = business_day_after(registered, rng.randrange(1, 7))
    row = row | {
        "employer_code": employer,
        "filed_date": day(filed),
        "received_date": day(received),
    }
    told, corrected = None, None
    if spell is not None:
        linked_on = registered if spell.is_numbered else None
    elif not any(one.is_numbered for one in person.spells):
        linked_on = None  # Who never gave a number to anybody does not begin now.
    elif rng.random() < NUMBER_MISSING_CHANCE:
        told = linked_on = _after(registered, NUMBER_DAYS, NUMBER_NEVER_CHANCE, rng)
    else:
        row["individual_number"] = person.individual_number
        linked_on = registered
        if rng.random() < MISMATCH_CHANCE:
            corrected = linked_on = _after(registered, CORRECTION_DAYS, 1 - CORRECTED_CHANCE, rng)
    yield Event(
        row["insurer_number"], employer, row, fact, filed, received, registered, linked_on,
        typo_on, twice_on, told, corrected, person.individual_number, person.individual_number,
    )  # fmt: skip


def _filing_days(action: str, rng: random.Random) -> int:
    drawn = rng.random()
    if drawn < EARLY_CHANCE:
        return -rng.randrange(1, 4)
    if drawn < EARLY_CHANCE + LATE_CHANCE[action]:
        return round(rng.triangular(*LATE_DAYS, LATE_DAYS[0]))
    return rng.choices(*FILING_DAYS)[0]


def _worked_on(filed: date, rng: random.Random) -> tuple[date, date]:
    received = filed + timedelta(days=rng.choices(*DELIVERY_DAYS)[0])
    return received, business_day_after(received, rng.choices(*BUSINESS_DAYS)[0])


def _after(day_: date, days: tuple[int, int], never: float, rng: random.Random) -> date | None:
    if rng.random() < never:
        return None
    return day_ + timedelta(days=rng.randint(*days))


def holidays_of(year: int) -> set[date]:
    """The holidays from 29 April to 6 May, by the law's rule and not by any library."""
    fixed = [date(year, 4, 29), *(date(year, 5, number) for number in (3, 4, 5))]
    found = set(fixed)
    for one in fixed:
        if one.weekday() == _SUNDAY:
            substitute = one + timedelta(days=1)
            while substitute in found:
                substitute += timedelta(days=1)
            found.add(substitute)
    return found


def is_open(on: date) -> bool:
    """Whether offices work on a day of spring."""
    return on.weekday() < _SUNDAY - 1 and on not in holidays_of(on.year)


def business_day_after(on: date, count: int) -> date:
    """The business day so many after a day."""
    while count:
        on += timedelta(days=1)
        count -= is_open(on)
    return on

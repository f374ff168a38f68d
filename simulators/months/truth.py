"""
What is true of a household, and what a clinic must be told of it on a day, by logic of its own.

`covered` is the truth nobody may know yet; the answers follow from what insurers have told by then
(insurer-lifecycle.md 2.3 and 7.2).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date
from typing import Any

from simulators.months.events import Known
from simulators.months.lives import Life
from simulators.nation.households import Person, Spell
from simulators.people import Card


def covered(person: Person, on: date) -> list[Spell]:
    """Every cover somebody truly has on a day, told or not."""
    return [spell for spell in person.spells if spell.holds(on)]


def card_of(spell: Spell) -> Card:
    """What the card of a cover shows."""
    return Card(spell.insurer.number, spell.symbol, spell.number, spell.branch)


def by_number(knowns: Iterable[Known], card: Card, birth_date: date, on: date) -> int:
    """
    Give the answer to who asks by a card's number, on a day about that day: 1 to 5.

    Args:
        knowns: Of everybody who may match; a household suffices, because no two share a card.

        card: Asked with; an empty branch means any.
    """
    seen = [known for known in knowns if _is_seen(known, on)]
    matching = [
        known
        for known in seen
        if known.person.birth_date == birth_date and _is_meant(card, known, on)
    ]
    exact = {
        known.person.index
        for known in matching
        if card.branch and known.branch_from <= on and known.spell.branch == card.branch
    }
    if exact:
        matching = [known for known in matching if known.person.index in exact]
    if not matching:
        return 4
    if len({known.person.index for known in matching}) > 1:
        return 5
    asked = _latest(matching, on)
    if _holds(asked, on):
        return 1
    others = [one for one in seen if one.person is asked.person and _is_linked(one, on)]
    has_newer = _is_linked(asked, on) and any(
        _holds(other, on)
        and (
            other.spell.acquired > asked.spell.acquired
            or (_is_empty(asked, on) and other.spell.acquired == asked.spell.acquired)
        )
        for other in others
    )
    return 3 if has_newer else 2


def by_card(knowns: Iterable[Known], person: Person, on: date) -> int:
    """Give the answer to who reads somebody's registered My Number card: 1, 2 or 4."""
    linked = [
        known
        for known in knowns
        if known.person is person and _is_seen(known, on) and _is_linked(known, on)
    ]
    if not linked:
        return 4
    return 1 if any(_holds(known, on) for known in linked) else 2


def as_json(life: Life) -> list[dict[str, Any]]:
    """Tell of each person's covers, true and told, as values for JSON; no My Number is in it."""
    return [
        {
            "person": person.index,
            "birth_date": person.birth_date.isoformat(),
            "covers": [
                _cover_as_json(spell, life.knowns)
                for spell in sorted(person.spells, key=lambda one: one.acquired)
            ],
        }
        for person in life.household.people
    ]


def _cover_as_json(spell: Spell, knowns: Sequence[Known]) -> dict[str, Any]:
    known = next((one for one in knowns if one.spell is spell), None)
    told: dict[str, str] = {}
    if known is not None:
        days = {
            "registered": known.registered,
            "linked": known.linked,
            "loss_told": known.loss_told,
            "shown_from": known.shown_from,
            "branch_from": known.branch_from,
        }
        told = {name: f"{day}" for name, day in days.items() if day not in {None, date.min}}
        if known.shown_from is None:
            told["shown_from"] = "never"
        if known.linked is None:
            told["linked"] = "never"
    return {
        **card_of(spell).cells(),
        "acquired": spell.acquired.isoformat(),
        "lost": spell.lost and spell.lost.isoformat(),
        "is_told": known is not None,
        **told,
    }


def _is_seen(known: Known, on: date) -> bool:
    return known.registered <= on and known.shown_from is not None and known.shown_from <= on


def _is_linked(known: Known, on: date) -> bool:
    return known.linked is not None and known.linked <= on


def _is_meant(card: Card, known: Known, on: date) -> bool:
    spell = known.spell
    if (card.insurer_number, card.symbol, card.number) != (
        spell.insurer.number,
        spell.symbol,
        spell.number,
    ):
        return False
    return card.branch in ("", spell.branch) or on < known.branch_from


def _end(known: Known, on: date) -> date | None:
    """The loss date as far as it was told by a day."""
    is_told = known.loss_told is not None and known.loss_told <= on
    return known.spell.lost if is_told else None


def _holds(known: Known, on: date) -> bool:
    end = _end(known, on)
    return known.spell.acquired <= on and (end is None or on < end)


def _is_empty(known: Known, on: date) -> bool:
    return _end(known, on) == known.spell.acquired


def _latest(matching: Sequence[Known], on: date) -> Known:
    """The cover that holds, else the last that began, else the next to begin."""

    def rank(known: Known) -> tuple[bool, bool, int]:
        start = known.spell.acquired
        has_begun = start <= on
        place = start.toordinal()
        return _holds(known, on), has_begun, place if has_begun else -place

    return max(matching, key=rank)

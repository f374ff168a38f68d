"""
Covers begin, change and end: the truth at once, the insurers' lines when their offices come to it.

`Teller` keeps both for one household. It is the only place that writes covers and events.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from typing import Final

from gateway.domain.identifiers import InsurerKind
from simulators.months.calendar import business_day_after
from simulators.months.employers import Offices, Told
from simulators.months.events import Event, Known, Residing
from simulators.nation.households import Household, Person, Spell
from simulators.nation.insurers import Insurer
from simulators.nation.names import Draw
from simulators.nation.rows import cell, loss_row, new_row, resident_line, target
from simulators.people import Row

FIRST_LATER_NUMBER: Final = 4_000_000_000
"""Where the numbers (番号) begin that are given in months to come; a thousand a household."""
NUMBERS_A_HOUSEHOLD: Final = 1_000

Notice = Callable[[date], Told | None]
"""Tells when a fact was filed, received and registered."""


class Unit:
    """People insured together: an insurer's symbol and number, and whose employer it is."""

    def __init__(self, insurer: Insurer, symbol: str, number: str, employer: int) -> None:
        self.insurer = insurer
        self.symbol = symbol
        self.number = number
        self.employer = employer
        self.members = 0

    @property
    def employer_code(self) -> str:
        """The employer's code; empty without one."""
        return self.insurer.employer_code(self.employer) if self.employer >= 0 else ""


class Teller:
    """The covers of one household, what its insurers told of them, and when."""

    def __init__(
        self, household: Household, offices: Offices, draw: Draw, first: date, last: date
    ) -> None:
        self.household = household
        self.offices = offices
        self.draw = draw
        self.last = last
        self.events: list[Event] = []
        self.residing: list[Residing] = []
        self.knowns: list[Known] = []
        self._known: dict[int, Known] = {}
        self._numbers_given = 0
        for person in household.people:
            for spell in person.spells:
                linked = date.min if spell.is_numbered else None
                loss = None if spell.lost is None else date.min
                self._keep(Known(person, spell, date.min, linked, loss))
        self.first = first

    def known(self, spell: Spell) -> Known | None:
        """What is known of a cover; None if nobody ever told it."""
        return self._known.get(id(spell))

    def new_unit(self, insurer: Insurer, employer: int) -> Unit:
        """Let an insurer give a symbol and a number nobody had."""
        self._numbers_given += 1
        serial = FIRST_LATER_NUMBER + self.household.serial * NUMBERS_A_HOUSEHOLD
        if insurer.kind is InsurerKind.LATTER_STAGE_ELDERLY:
            return Unit(insurer, "", f"{serial + self._numbers_given}", -1)
        group = employer if employer >= 0 else self.household.serial % 90
        number = insurer.number_of(serial + self._numbers_given)
        return Unit(insurer, insurer.symbol_of(group), number, employer)

    def unit_of(self, spell: Spell) -> Unit:
        """The unit a cover belongs to, with as many members as ever had a branch of it."""
        unit = Unit(spell.insurer, spell.symbol, spell.number, spell.employer)
        branches = [
            int(other.branch or 0)
            for person in self.household.people
            for other in person.spells
            if other.insurer is spell.insurer and other.number == spell.number
        ]
        unit.members = max(branches) - spell.insurer.first_branch + 1
        return unit

    def begin(
        self,
        happening: str,
        person: Person,
        unit: Unit,
        fact: date,
        notice: Notice,
        *,
        is_dependent: bool = False,
        is_voluntary: bool = False,
    ) -> Spell:
        """Begin a cover in truth, and have its insurer told."""
        insurer = unit.insurer
        branch = f"{insurer.first_branch + unit.members:02d}" if insurer.first_branch >= 0 else ""
        unit.members += 1
        spell = Spell(
            insurer, unit.symbol, unit.number, branch, fact, None, "",
            "2" if is_dependent else "1", False, unit.employer, is_voluntary,
        )  # fmt: skip
        told = notice(fact)
        row = new_row(self.household, person, spell, fact)
        if told is not None:
            is_employers = unit.employer >= 0 and not is_voluntary
            self._tell_new(happening, person, spell, row, told, is_employers=is_employers)
        person.spells.append(spell)
        return spell

    def _tell_new(
        self,
        happening: str,
        person: Person,
        spell: Spell,
        row: Row,
        told: Told,
        *,
        is_employers: bool,
    ) -> None:
        registered = told.registered
        event = self._event(happening, spell, row, spell.acquired, told, is_employers=is_employers)
        known = Known(person, spell, registered, None)
        has_number = any(other.is_numbered for other in person.spells) or not person.spells
        if person.individual_number and has_number:
            numbered = self.offices.number(registered)
            if numbered.is_in_line:
                row["individual_number"] = person.individual_number
            spell.is_numbered = numbered.linked_on is not None
            known.linked = event.linked_on = numbered.linked_on
            event.number_told_on = numbered.told_on
            if numbered.is_mismatched:
                event.is_mismatched, event.corrected_on = True, numbered.corrected_on
                known.shown_from = numbered.corrected_on
            event.seen_by = event.number = person.individual_number
        is_alone = spell.relationship == "1" and spell.branch != ""
        if is_alone and known.linked == registered and told.twice_on is None:
            self._assign_branch_late(person, spell, row, known)
        self._keep(known)

    def _assign_branch_late(self, person: Person, spell: Spell, row: Row, known: Known) -> None:
        """Some insurers give a branch days after the registration."""
        alone = sum(other.number == spell.number for one in self.household.people
                    for other in one.spells) == 0  # fmt: skip
        assigned = self.offices.branch_day(known.registered) if alone else None
        if assigned is None or assigned <= known.registered:
            return
        row["branch"] = ""
        known.branch_from = assigned
        change = target(person, spell) | {
            "action": "CHANGE", "branch": "", "new_branch": spell.branch,
        }  # fmt: skip
        told = Told(assigned, assigned, assigned)
        self._event("branch", spell, change, assigned, told)

    def end(
        self, happening: str, person: Person, spell: Spell, fact: date, reason: str, notice: Notice
    ) -> None:
        """End a cover in truth, and have its insurer told; one never told of has nobody to tell."""
        spell.lost, spell.loss_reason = max(fact, spell.acquired), reason
        known, told = self.known(spell), notice(fact)
        if known is None or told is None or known.shown_from is None:
            return
        told = self._not_before(known, told)
        row = loss_row(person, spell)
        if told.registered < known.branch_from:
            row["branch"] = ""
        is_employers = spell.employer >= 0 and not spell.is_voluntary and reason != "01"
        event = self._event(happening, spell, row, spell.lost, told, is_employers=is_employers)
        known.loss_told = told.registered
        if known.linked is not None:
            event.linked_on = max(known.linked, told.registered)
        event.seen_by = event.number = person.individual_number

    def change(
        self, happening: str, person: Person, cells: Row, fact: date, notice: Notice
    ) -> bool:
        """Have the insurer of somebody's cover say that something changed; tell whether it did."""
        spell = person.current(fact)
        known = None if spell is None else self.known(spell)
        told = notice(fact)
        if spell is None or spell.lost or known is None or told is None or not known.shown_from:
            return False
        told = self._not_before(known, told)
        row = target(person, spell) | {"action": "CHANGE", "effective_date": cell(fact)} | cells
        if told.registered < known.branch_from:
            row["branch"] = ""
        self._event(happening, spell, row, fact, told)
        return True

    def resident(self, person: Person, on: date) -> None:
        """Let the resident register know somebody, or know them anew."""
        line = resident_line(self.household, person)
        if line:
            self.residing.append(Residing(on, line))

    def finished(self) -> None:
        """Drop second sendings that something else came before: they would undo it."""
        said: dict[tuple[str, str, str], list[date]] = {}
        for event in self.events:
            said.setdefault(_cover_of(event), []).extend(event.days - {event.twice_on})
        for event in self.events:
            twice = event.twice_on
            others = said[_cover_of(event)]
            if twice and (event.is_mismatched or any(event.registered < on for on in others)):
                event.twice_on = None

    def _not_before(self, known: Known, told: Told) -> Told:
        """An insurer cannot work on a cover it has not registered; it comes to it a day later."""
        ready = max(known.registered, known.shown_from or date.min)
        if told.registered > ready and (told.typo_on is None or told.typo_on > ready):
            return told
        return told._replace(
            registered=business_day_after(max(ready, told.registered), 1),
            typo_on=None,
            twice_on=None,
        )

    def _event(
        self,
        happening: str,
        spell: Spell,
        row: Row,
        fact: date,
        told: Told,
        *,
        is_employers: bool = False,
    ) -> Event:
        code = spell.insurer.employer_code(spell.employer) if is_employers else ""
        if code:
            row |= {
                "employer_code": code,
                "filed_date": cell(told.filed),
                "received_date": cell(told.received),
            }
        event = Event(
            happening, spell.insurer.number, code, row, fact, told.filed, told.received,
            told.registered, typo_on=told.typo_on, twice_on=told.twice_on,
        )  # fmt: skip
        self.events.append(event)
        return event

    def _keep(self, known: Known) -> None:
        self.knowns.append(known)
        self._known[id(known.spell)] = known


def _cover_of(event: Event) -> tuple[str, str, str]:
    row = event.row
    return row["insurer_number"], row["number"], row["birth_date"]

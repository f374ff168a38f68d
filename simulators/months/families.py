"""
Who of a household is insured with whom, and how families are insured anew together.

`Family` knows the members, the living and the dead; what happens to them is `happenings`.
"""

from __future__ import annotations

from datetime import date

from gateway.domain.identifiers import InsurerKind
from simulators.months.employers import Told
from simulators.months.telling import Notice, Teller, Unit
from simulators.nation.households import HEAD, SPOUSE, Person, Spell
from simulators.nation.insurers import Nation


class Family:
    """The people of one household as insurers see them."""

    def __init__(self, nation: Nation, teller: Teller) -> None:
        self._nation = nation
        self._teller = teller
        self._household = teller.household
        self._draw = teller.draw
        self._dead: set[int] = set()

    def _cover(self, person: Person, on: date) -> Spell | None:
        """The cover somebody has on a day, unless its end is decided."""
        spell = person.current(on)
        return None if spell is None or spell.lost is not None else spell

    def _together(self, spell: Spell, on: date) -> list[tuple[Person, Spell]]:
        """Who is insured under a symbol and number on a day, the insured person first."""
        found = [
            (person, other)
            for person in self._household.people
            if person.index not in self._dead
            and (other := self._cover(person, on)) is not None
            and (other.insurer, other.number) == (spell.insurer, spell.number)
        ]
        return sorted(found, key=lambda one: one[1].relationship)

    def _job_of(self, person: Person, on: date) -> Spell | None:
        """The cover somebody has by an own job on a day."""
        spell = self._cover(person, on)
        if spell is None or spell.employer < 0 or spell.relationship != "1" or spell.is_voluntary:
            return None
        return spell if spell.acquired < on else None

    def _breadwinner(self, person: Person, on: date) -> Spell | None:
        """The job of the head or the spouse that somebody may be a dependant of."""
        for other in self._household.people:
            if (
                other is not person
                and other.role in {HEAD, SPOUSE}
                and other.index not in self._dead
            ):
                spell = self._job_of(other, on)
                if spell is not None:
                    return spell
        return None

    def _national(self, on: date) -> Unit:
        """The household's unit in national health insurance, or a new one."""
        for person in self._household.people:
            spell = self._cover(person, on)
            if (
                spell is not None
                and spell.insurer.kind is InsurerKind.NATIONAL
                and person.index not in self._dead
                and spell.acquired < on
            ):
                return self._teller.unit_of(spell)
        return self._teller.new_unit(self._household.municipality, -1)

    def _by_employer(self, spell: Spell, *, is_loss: bool) -> Notice:
        if spell.employer < 0 or spell.is_voluntary:
            return self._teller.offices.householder
        return self._employer_of(spell.insurer.employer_code(spell.employer), is_loss=is_loss)

    def _employer_of(self, code: str, *, is_loss: bool) -> Notice:
        """One notice for a whole family: all of it is filed on one day."""
        offices = self._teller.offices
        told: dict[date, Told | None] = {}

        def notice(fact: date) -> Told | None:
            if fact not in told:
                told[fact] = offices.employer(code, fact, is_loss=is_loss)
            return told[fact]

        return notice

    def _employed(self, happening: str, people: list[Person], on: date) -> None:
        """Give people the insurance of a new job of the first of them."""
        draw = self._draw
        insurer = self._nation.employees_insurer(draw, self._household.prefecture)
        unit = self._teller.new_unit(insurer, insurer.employer_of(draw))
        notice = self._employer_of(unit.employer_code, is_loss=False)
        for place, person in enumerate(people):
            self._teller.begin(happening, person, unit, on, notice, is_dependent=place > 0)

    def _nationally(self, happening: str, people: list[Person], on: date) -> None:
        """Insure people by their municipality."""
        unit = self._national(on)
        for person in people:
            is_dependent = unit.members > 0
            notice = self._teller.offices.householder
            self._teller.begin(happening, person, unit, on, notice, is_dependent=is_dependent)

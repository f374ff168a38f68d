"""
Each happening of a life, carried out: whose cover ends, whose begins, whose lines change.

A happening that does not fit any more (the person has died, has no job) does nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from typing import Final

from gateway.domain.identifiers import InsurerKind
from simulators.months.families import Family
from simulators.months.models import LifeModel
from simulators.months.telling import Notice, Teller
from simulators.nation.covers import (
    LOST_BY_DEATH,
    LOST_OTHERWISE,
    LOST_TO_OTHER_INSURANCE,
)
from simulators.nation.households import (
    BORN_LATER_SERIAL,
    CHILD,
    Person,
    Spell,
)
from simulators.nation.insurers import Nation
from simulators.nation.names import family_of, given_of, joined
from simulators.nation.rows import cell, elderly, elderly_ratio, limit
from simulators.people import Row
from simulators.population import made_up_individual_number

_BORN_MAX: Final = 19_000_000
_BIRTHS_MAX: Final = 2
"""Children a woman may have in the months of one plan; so nine million people can."""
_RATIOS: Final = ("010", "020", "030")
_CHANGES_NAME: Final = 0.5
_CERTIFICATE_IN: Final = 11


class Happenings(Family):
    """What can happen to the people of one household."""

    def __init__(self, nation: Nation, teller: Teller, life: LifeModel) -> None:
        super().__init__(nation, teller)
        self._life = life
        self._births: dict[int, int] = {}
        self._table: dict[str, Callable[[Person, date], None]] = {
            "75th birthday": self._turn_75,
            "70th birthday": self._turn_70,
            "ratio": self._ratio,
            "end of continuation": self._end_continuation,
            "death": self._die,
            "job": self._change_job,
            "graduation": self._graduate,
            "reissue": self._reissue,
            "limit": self._limit,
            "move": self._move,
            "marriage": self._marry,
            "dependant in": self._join_spouse,
            "dependant out": self._leave_spouse,
            "birth": self._give_birth,
        }

    def let(self, what: str, person: Person, on: date) -> None:
        """Let something happen to somebody on a day."""
        if person.index not in self._dead:
            self._table[what](person, on)

    # Jobs

    def _change_job(self, person: Person, on: date) -> None:
        job = self._job_of(person, on)
        if job is None:
            return
        members = self._together(job, on)
        leaving = self._by_employer(job, is_loss=True)
        drawn = self._draw()
        life = self._life
        if drawn < life.voluntary and len(members) == 1:
            reason, follows = LOST_OTHERWISE, self._continue
        elif drawn < life.voluntary + life.joins_another:
            reason, follows = LOST_TO_OTHER_INSURANCE, self._employed
        elif drawn < life.voluntary + life.joins_another + life.becomes_dependent and (
            len(members) == 1 and (other := self._breadwinner(person, on)) is not None
        ):
            self._teller.end("job", person, job, on, LOST_TO_OTHER_INSURANCE, leaving)
            self._depend("job", person, other, on)
            return
        else:
            reason, follows = LOST_TO_OTHER_INSURANCE, self._nationally
        for one, spell in members:
            self._teller.end("job", one, spell, on, reason, leaving)
        follows("job", [one for one, _ in members], on)

    def _continue(self, happening: str, people: list[Person], on: date) -> None:
        """Stay with the insurer of the job that ended (任意継続), under a new number."""
        before = people[0].spells[-1].insurer
        unit = self._teller.new_unit(before, -1)
        self._teller.begin(
            f"{happening}, continued", people[0], unit, on, self._teller.offices.voluntary,
            is_voluntary=True,
        )  # fmt: skip

    def _end_continuation(self, person: Person, on: date) -> None:
        spell = self._cover(person, on - timedelta(days=1))
        if spell is None or not spell.is_voluntary:
            return
        members = self._together(spell, on - timedelta(days=1))
        for one, other in members:
            self._teller.end(
                "end of continuation", one, other, on, LOST_OTHERWISE, self._teller.offices.insurer
            )
        self._nationally("end of continuation", [one for one, _ in members], on)

    def _graduate(self, person: Person, on: date) -> None:
        self._begin_work("graduation", person, on)

    def _leave_spouse(self, person: Person, on: date) -> None:
        self._begin_work("dependant out", person, on)

    def _begin_work(self, happening: str, person: Person, on: date) -> None:
        """Somebody insured with others begins a job."""
        spell = self._cover(person, on)
        if spell is None or spell.acquired >= on or self._job_of(person, on) is not None:
            return
        if spell.insurer.kind is InsurerKind.LATTER_STAGE_ELDERLY or spell.relationship == "1":
            return
        ending = self._by_employer(spell, is_loss=True)
        self._teller.end(happening, person, spell, on, LOST_TO_OTHER_INSURANCE, ending)
        self._employed(happening, [person], on)

    def _join_spouse(self, person: Person, on: date) -> None:
        """A spouse gives up a job and becomes a dependant."""
        job, other = self._job_of(person, on), self._breadwinner(person, on)
        if job is None or other is None or len(self._together(job, on)) > 1:
            return
        ending = self._by_employer(job, is_loss=True)
        self._teller.end("dependant in", person, job, on, LOST_TO_OTHER_INSURANCE, ending)
        self._depend("dependant in", person, other, on)

    def _depend(self, happening: str, person: Person, other: Spell, on: date) -> None:
        unit = self._teller.unit_of(other)
        notice = self._employer_of(unit.employer_code, is_loss=False)
        self._teller.begin(happening, person, unit, on, notice, is_dependent=True)

    # Ages

    def _turn_75(self, person: Person, on: date) -> None:
        spell = self._cover(person, on - timedelta(days=1))
        insurer = self._nation.elder[self._household.prefecture]
        offices = self._teller.offices
        if spell is not None:
            members = self._together(spell, on - timedelta(days=1))
            is_insured = spell.relationship == "1" and spell.employer >= 0
            self._teller.end(
                "75th birthday", person, spell, on, LOST_TO_OTHER_INSURANCE, offices.insurer
            )
            left = [one for one in members if one[0] is not person] if is_insured else []
            for one, other in left:
                self._teller.end(
                    "75th birthday", one, other, on, LOST_TO_OTHER_INSURANCE, offices.insurer
                )
            if left:
                self._nationally("75th birthday", [one for one, _ in left], on)
        unit = self._teller.new_unit(insurer, -1)
        self._teller.begin("75th birthday", person, unit, on, offices.insurer)

    def _turn_70(self, person: Person, on: date) -> None:
        """The elderly recipient certificate is valid from the month after."""
        spell = person.current(on)
        if spell is None:
            return
        valid = on if on.day == 1 else (on.replace(day=1) + timedelta(days=32)).replace(day=1)
        cells = elderly(person, spell, valid)
        if cells:
            self._teller.change("70th birthday", person, cells, on, self._teller.offices.insurer)

    def _ratio(self, person: Person, on: date) -> None:
        """From 1 August: another certificate until 75, sometimes another ratio after."""
        spell = person.current(on)
        if spell is None:
            return
        is_changed = self._draw() < self._life.ratio_changes
        if is_changed:
            place = _RATIOS.index(person.copayment_ratio)
            person.copayment_ratio = _RATIOS[(place + 1 + int(self._draw() * 2)) % 3]
        if spell.insurer.kind is InsurerKind.LATTER_STAGE_ELDERLY:
            cells = {"copayment_ratio": person.copayment_ratio} if is_changed else {}
        else:
            cells = elderly(person, spell, on, elderly_ratio(person))
        if cells:
            self._teller.change("ratio", person, cells, on, self._teller.offices.insurer)

    def _die(self, person: Person, on: date) -> None:
        """Cover ends on the day after; those insured through the dead are insured nationally."""
        spell = self._cover(person, on)
        after = on + timedelta(days=1)
        self._dead.add(person.index)
        if spell is None:
            return
        self._teller.end(
            "death", person, spell, after, LOST_BY_DEATH, self._teller.offices.householder
        )
        if spell.relationship == "1" and spell.employer >= 0:
            left = self._together(spell, on)
            for one, other in left:
                ending = self._by_employer(other, is_loss=True)
                self._teller.end("death", one, other, after, LOST_TO_OTHER_INSURANCE, ending)
            if left:
                self._nationally("death", [one for one, _ in left], after)

    def _give_birth(self, person: Person, on: date) -> None:
        household = self._household
        births = self._births.get(person.index, 0)
        if births >= _BIRTHS_MAX:
            return
        self._births[person.index] = births + 1
        job = self._job_of(person, on) or self._breadwinner(person, on)
        draw = self._draw
        sex = "2" if draw() < 0.487 else "1"  # noqa: PLR2004  girls among the newborn
        serial = BORN_LATER_SERIAL + (person.index * _BIRTHS_MAX + births) % _BORN_MAX
        given = given_of(draw, sex, on.year)
        family, _, _ = person.name.name.partition("　")
        kana = person.name.kana.partition(" ")[0]
        resident = person.name.resident.partition("　")[0]
        child = Person(
            -serial, CHILD, joined(((family, kana), resident), given), sex, on, "010",
            made_up_individual_number(serial), [],
        )  # fmt: skip
        household.people.append(child)
        self._teller.resident(child, on)
        if job is not None:
            self._depend("birth", child, job, on)
        else:
            self._nationally("birth", [child], on)

    # What changes beside covers

    def _changed(self, happening: str, person: Person, cells: Row, on: date) -> None:
        spell = person.current(on)
        if spell is not None:
            self._teller.change(happening, person, cells, on, self._by_filing(spell))

    def _by_filing(self, spell: Spell) -> Notice:
        return self._by_employer(spell, is_loss=False)

    def _reissue(self, person: Person, on: date) -> None:
        """Another qualification certificate, or another card, for one that was lost."""
        if person.index % _CERTIFICATE_IN == 0:
            cells = {
                "certificate_issue_date": cell(on),
                "certificate_last_valid_date": f"{on.year + 4}0731",
            }
        else:
            cells = {"card_issue_date": cell(on)}
        self._changed("reissue", person, cells, on)

    def _limit(self, person: Person, on: date) -> None:
        self._changed("limit", person, limit(person, on.replace(day=1), on), on)

    def _marry(self, person: Person, on: date) -> None:
        if self._draw() >= _CHANGES_NAME or person.name.other:
            return
        given = person.name.resident.partition("　")[2]
        given_kana = person.name.kana.partition(" ")[2]
        person.name = joined(family_of(self._draw), (given, given_kana))
        self._teller.resident(person, on)
        cells = {"name": person.name.name, "name_kana": person.name.kana}
        spell = person.current(on)
        if spell is not None and spell.relationship == "1":
            cells["insured_name"] = person.name.name
        self._changed("marriage", person, cells, on)

    def _move(self, _: Person, on: date) -> None:
        """Everybody moves; another municipality insures who was insured by the one before."""
        nation, draw, household = self._nation, self._draw, self._household
        before = household.prefecture
        if draw() < self._life.moves_far:
            household.prefecture = nation.prefecture(draw)
        municipality = nation.municipality(draw, household.prefecture)
        is_other = municipality is not household.municipality
        left = household.municipality
        household.municipality = municipality
        household.post_number, household.address = nation.address(draw, municipality)
        moved: list[Person] = []
        for one in household.people:
            if one.index in self._dead:
                continue
            self._teller.resident(one, on)
            spell = self._cover(one, on)
            if spell is None or spell.acquired >= on:
                continue
            is_elder = spell.insurer.kind is InsurerKind.LATTER_STAGE_ELDERLY
            if spell.insurer is left and is_other:
                self._teller.end(
                    "move", one, spell, on, LOST_OTHERWISE, self._teller.offices.householder
                )
                moved.append(one)
            elif is_elder and before != household.prefecture:
                self._move_elder(one, spell, on)
            else:
                cells = {"post_number": household.post_number, "address": household.address}
                self._changed("move", one, cells, on)
        if moved:
            unit = self._teller.new_unit(municipality, -1)
            for one in moved:
                notice = self._teller.offices.householder
                self._teller.begin("move", one, unit, on, notice, is_dependent=unit.members > 0)

    def _move_elder(self, person: Person, spell: Spell, on: date) -> None:
        offices = self._teller.offices
        self._teller.end("move", person, spell, on, LOST_OTHERWISE, offices.householder)
        unit = self._teller.new_unit(self._nation.elder[self._household.prefecture], -1)
        self._teller.begin("move", person, unit, on, offices.householder)

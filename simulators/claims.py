"""
A clinic's month of claims about made-up people, with what must become of each.

The truth of a claim follows from the covers its person truly had (`Spell`), by logic of its own,
so that the gateway is never compared with itself. Where the public rules leave an outcome open
(claims-furikae.md 2.2 and 8: other copayment ratios, 公費 on a claim that would move, people of 70
to 74 without a certificate), no such claim is made. Households in which things happen within the
month are built here; their coverage must be uploaded beside the population's.

One file holds claims for every insurer, as if one review body served all of them.
"""

from __future__ import annotations

import calendar
import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from typing import Final, NamedTuple

from simulators.claims_households import (
    CHANGES,
    SERIALS_FROM,
    TWINS,
    changed_household,
    twin_household,
)
from simulators.claims_text import (
    UNIDENTIFIED,
    UNIDENTIFIED_REMARK,
    Bill,
    check_digit,
    details,
    file_of,
)
from simulators.people import Card
from simulators.population import Household, Person, Spell

SITUATIONS: Final = {
    "cover holds": ("02", 290),
    "cover holds, with 公費": ("02", 45),
    "another cover holds too": ("02", 30),
    "lost the day after the last visit": ("02", 30),
    "begun on the first visit": ("02", 20),
    "number nobody has": ("03", 50),
    "insurer not known (77777777)": ("03", 30),
    "twins of one sex without a branch": ("03", 40),
    "old card, whole month elsewhere": ("04", 110),
    "old card, no MF, points at the limit": ("04", 30),
    "changed on the first visit": ("04", 30),
    "new number at the same insurer": ("04", 15),
    "insured person became family": ("04", 20),
    "preschool child changed insurers": ("04", 15),
    "nothing newer": ("06", 35),
    "newer cover without My Number": ("06", 35),
    "no MF, points over the limit": ("06", 30),
    "changed between visits": ("06", 35),
    "visits in a gap": ("06", 20),
    "branch missing": ("09", 40),
    "branch wrong": ("09", 35),
    "twins of both sexes without a branch": ("09", 15),
}
"""Each situation with the 確認区分 it must get, and how many of a thousand claims are in it."""

_SUBSIDY_SITUATION: Final = "cover holds, with 公費"
_LIMIT: Final = 11_800
_LIMIT_PRESCHOOL: Final = 17_700
"""Most points at which a claim without MF may move (0, fact 5)."""

_ELDER: Final = "39"
_NATIONAL: Final = "00"
_CERTIFICATE_AGE: Final = 70
_SCHOOL_MONTH: Final = 4
_NOBODY: Final = 9_700_000


@dataclass(frozen=True, slots=True)
class Truth:
    """
    What must become of the claim with this number (レセプト番号).

    `card` and `claim_type` are those it must come out with: the new cover's for 04, with the
    branch found for 09, and as billed otherwise.
    """

    number: int
    situation: str
    check_code: str
    claim_type: str
    card: Card = field(repr=False)


@dataclass(frozen=True, slots=True)
class ClaimFile:
    """A file, the truth of each claim in order, and the households to upload beside."""

    data: bytes = field(repr=False)
    truths: tuple[Truth, ...]
    households: tuple[Household, ...] = field(repr=False)


class _Case(NamedTuple):
    """Somebody's visits, with the cover whose card was shown and the card as billed."""

    person: Person
    shown: Spell
    card: Card
    visits: tuple[date, ...]


class _Found(NamedTuple):
    code: str
    spell: Spell | None
    """The cover a moved claim goes to, or whose branch was found."""


def claims_of(
    households: Iterable[Household], month: str, count: int, seed: int, institution_code: str
) -> ClaimFile:
    """
    Make a month of claims; the same arguments give the same.

    Args:
        households: A population that is registered; some thousand people for a thousand claims.
        month: The month of care, YYYYMM.
        institution_code: Ten digits.

    Raises:
        ValueError: If the population is too small for so many claims.
    """
    rng = random.Random(seed)
    maker = _Maker(list(households), month, rng)
    drafts: list[tuple[str, Bill, _Found]] = []
    for situation, many in _shares(count):
        drafts += [(situation, *maker.claim(situation)) for _ in range(many)]
    rng.shuffle(drafts)
    truths = tuple(
        _truth(number, situation, bill, found)
        for number, (situation, bill, found) in enumerate(drafts, start=1)
    )
    bills = (bill for _, bill, _ in drafts)
    return ClaimFile(file_of(bills, month, institution_code), truths, tuple(maker.built))


def _shares(count: int) -> Iterator[tuple[str, int]]:
    """So many claims of each situation, in proportion, together exactly `count`."""
    total = sum(weight for _, weight in SITUATIONS.values())
    before = weighed = 0
    for situation, (_, weight) in SITUATIONS.items():
        weighed += weight
        upto = count * weighed // total
        yield situation, upto - before
        before = upto


def _truth(number: int, situation: str, bill: Bill, found: _Found) -> Truth:
    if found.spell is None:
        return Truth(number, situation, found.code, bill.claim_type, bill.card)
    if found.code == "04":
        moved = _claim_type(bill.person, found.spell, bill.subsidies)
        return Truth(number, situation, found.code, moved, found.spell.card)
    card = replace(bill.card, branch=found.spell.card.branch)
    return Truth(number, situation, found.code, bill.claim_type, card)


def _found(
    people: Iterable[Person], case: _Case, points: int, *, has_burden: bool
) -> _Found | None:
    """
    What the covers say of a claim without 公費; None where the public rules leave it open.

    Args:
        people: All who ever had the number billed with.
    """
    born = [p for p in people if p.birth_date == case.person.birth_date]
    meant = [p for p in born if any(s.card == case.card for s in p.spells)]
    meant = meant or [p for p in born if p.sex == case.person.sex]
    if len(meant) != 1:
        return _Found("03", None)
    person = meant[0]
    asked = [s for s in person.spells if _number_of(s.card) == _number_of(case.card)]
    for spell in asked:
        if _holds(spell, case.visits):
            return _Found("02", None) if spell.card == case.card else _Found("09", spell)
    others = [
        spell
        for spell in person.spells
        if spell not in asked and spell.is_numbered and _holds(spell, case.visits)
    ]
    if not others or not asked[0].is_numbered:
        return _Found("06", None)
    if len(others) > 1 or _ELDER in {s.card.insurer_number[:2] for s in (*others, *asked)}:
        return None
    limit = _LIMIT_PRESCHOOL if person.is_preschool else _LIMIT
    is_in_scope = has_burden or points <= limit
    return _Found("04", others[0]) if is_in_scope else _Found("06", None)


def _holds(spell: Spell, visits: Iterable[date]) -> bool:
    return all(spell.acquired <= d and (spell.lost is None or d < spell.lost) for d in visits)


def _number_of(card: Card) -> tuple[str, str, str]:
    return card.insurer_number, card.symbol, card.number


def _claim_type(person: Person, spell: Spell, subsidies: int) -> str:
    """The レセプト種別 of an outpatient 医科 claim (1.10)."""
    if spell.card.insurer_number.startswith(_ELDER):
        return f"13{subsidies + 1}{'0' if person.copayment_ratio == '030' else '8'}"
    is_insured = spell.relationship == "1"
    return f"11{subsidies + 1}{'4' if person.is_preschool else '2' if is_insured else '6'}"


def _benefit(person: Person, card: Card) -> str:
    """The 給付割合, which only national health insurance shows."""
    if not card.insurer_number.startswith(_NATIONAL):
        return ""
    return "80" if person.is_preschool else "70"


def _special(person: Person, card: Card) -> str:
    """The income class in the レセプト特記事項, which the claims of elders need (1.10b)."""
    if not card.insurer_number.startswith(_ELDER):
        return ""
    return {"010": "42", "020": "41", "030": "28"}[person.copayment_ratio]


class _Maker:
    """Makes claims of a situation; every person of the population serves once."""

    def __init__(self, households: list[Household], month: str, rng: random.Random) -> None:
        first = date(int(month[:4]), int(month[4:]), 1)
        self._first = first
        self._last = first.replace(day=calendar.monthrange(first.year, first.month)[1])
        self._rng = rng
        self._by_number: dict[tuple[str, str, str], list[Person]] = {}
        self._waiting: list[Person] = []
        for household in households:
            self._waiting += household.people
            self._register(household)
        rng.shuffle(self._waiting)
        self.built: list[Household] = []

    def _register(self, household: Household) -> None:
        for person in household.people:
            for number in {_number_of(spell.card) for spell in person.spells}:
                self._by_number.setdefault(number, []).append(person)

    def claim(self, situation: str) -> tuple[Bill, _Found]:
        """
        Make one claim whose truth is the one the situation promises.

        Raises:
            ValueError: If nobody is left who could be in it.
        """
        expected, _ = SITUATIONS[situation]
        if situation in CHANGES or situation in TWINS:
            bill, found = self._made(situation, self._built_case(situation))
            assert found is not None, situation
            assert found.code == expected, situation
            return bill, found
        for place, person in enumerate(self._waiting):
            case = self._case_of(situation, person)
            if case is None:
                continue
            bill, found = self._made(situation, case)
            if found is not None and found.code == expected:
                del self._waiting[place]
                return bill, found
        raise ValueError(f"the population has too few people for: {situation}")

    def _made(self, situation: str, case: _Case) -> tuple[Bill, _Found | None]:
        rng = self._rng
        limit = _LIMIT_PRESCHOOL if case.person.is_preschool else _LIMIT
        points = {
            "old card, no MF, points at the limit": limit,
            "no MF, points over the limit": limit + 1,
        }.get(situation)
        subsidies = rng.choice((1, 1, 2)) if situation == _SUBSIDY_SITUATION else 0
        days = tuple(visit.day for visit in case.visits)
        is_twin = situation in TWINS
        lines = details(days, subsidies, points, rng)
        if case.card.insurer_number == UNIDENTIFIED:
            lines += (UNIDENTIFIED_REMARK,)
        may_go_unconfirmed = not case.card.branch
        bill = Bill(
            person=case.person,
            card=case.card,
            claim_type=_claim_type(case.person, case.shown, subsidies),
            benefit=_benefit(case.person, case.card),
            special=_special(case.person, case.card),
            days=days,
            uncounted=days[2:3] if len(days) > 2 and rng.random() < 0.2 else (),  # noqa: PLR2004
            lines=lines,
            subsidies=subsidies,
            has_kana=not is_twin and rng.random() < 0.5,  # noqa: PLR2004
            has_confirmation=not (may_go_unconfirmed and rng.random() < 0.5),  # noqa: PLR2004
            has_days=situation == "changed between visits" or rng.random() < 0.9,  # noqa: PLR2004
            has_burden=points is None and rng.random() < 0.9,  # noqa: PLR2004
            is_wide=rng.random() < 0.2,  # noqa: PLR2004
            has_other_bytes=rng.random() < 0.3,  # noqa: PLR2004
        )
        people = self._by_number.get(_number_of(case.card), ())
        return bill, _found(people, case, bill.points, has_burden=bill.has_burden)

    def _case_of(self, situation: str, person: Person) -> _Case | None:
        """A person of the population in a situation, or None if they cannot be."""
        spells = [spell for spell in person.spells if self._is_plain(person, spell)]
        if not spells:
            return None
        last = spells[-1]
        is_old = situation.startswith(("old card", "no MF"))
        shown = self._rng.choice(spells[:-1]) if is_old and len(spells) > 1 else last
        from_day = max(last.acquired, self._first)
        to_day = min(last.lost - timedelta(days=1) if last.lost else self._last, self._last)
        if is_old:
            if shown is last or shown.lost is None:
                return None
            if not (shown.is_numbered and last.is_numbered):
                return None
            from_day = max(from_day, shown.lost)
        if to_day < from_day:
            return None
        card = self._card_in(situation, shown.card)
        if card is None:
            return None
        visits = self._visits(from_day, to_day, 1)
        return _Case(person, shown, card, visits)

    def _card_in(self, situation: str, card: Card) -> Card | None:
        if situation == "number nobody has":
            nobody = replace(card, number=f"{_NOBODY + self._rng.randrange(90_000)}")
            if card.insurer_number.startswith(_ELDER):
                nobody = replace(nobody, number=nobody.number + check_digit(nobody.number))
            return nobody if _number_of(nobody) not in self._by_number else None
        if situation.startswith("insurer not known"):
            is_elder = card.insurer_number.startswith(_ELDER)
            return None if is_elder else Card(UNIDENTIFIED, "7" * 7, "7" * 7, "")
        if situation.startswith("branch"):
            if not card.branch:
                return None
            wrong = f"{self._rng.randrange(60, 99)}"
            return replace(card, branch="" if situation == "branch missing" else wrong)
        return card

    def _is_plain(self, person: Person, spell: Spell) -> bool:
        """Whether nothing about the person's age or the number makes a claim's outcome open."""
        if person.is_preschool != (self._first < _school_start(person.birth_date)):
            return False
        if spell.card.insurer_number.startswith(_ELDER):
            return check_digit(spell.card.number[:-1]) == spell.card.number[-1]
        return person.birth_date.year + _CERTIFICATE_AGE > self._last.year

    def _visits(self, from_day: date, to_day: date, least: int) -> tuple[date, ...]:
        window = (to_day - from_day).days + 1
        many = max(least, self._rng.choices((1, 2, 3, 5, 9), (50, 25, 12, 9, 4))[0])
        chosen = sorted(self._rng.sample(range(window), min(many, window)))
        return tuple(from_day + timedelta(days=offset) for offset in chosen)

    def _built_case(self, situation: str) -> _Case:
        """A household made for the situation; its coverage is to be uploaded."""
        serial = SERIALS_FROM + len(self.built)
        visits = self._visits(self._first, self._last, 2)
        if situation in TWINS:
            is_one_sex = situation == TWINS[0]
            household, shown = twin_household(serial, self._first, self._rng, is_one_sex=is_one_sex)
            card = replace(shown.card, branch="")
        else:
            change = CHANGES[situation](visits)
            household, shown = changed_household(serial, change, self._first, self._rng)
            card = shown.card
        self.built.append(household)
        self._register(household)
        return _Case(household.people[-1], shown, card, visits)


def _school_start(birth_date: date) -> date:
    """1 April after the sixth birthday."""
    sixth = birth_date.year + 6
    is_late = birth_date.month >= _SCHOOL_MONTH
    return date(sixth + is_late, _SCHOOL_MONTH, 1)

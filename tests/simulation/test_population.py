"""The made-up population is plausible, repeatable, and its truth agrees with the domain."""

from __future__ import annotations

import tracemalloc
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import date, timedelta

import pytest

from gateway.domain.compact import compact
from gateway.domain.coverage import History
from gateway.domain.eligibility import ByNumber, Rules, confirm
from gateway.domain.identifiers import InsuredId, InsurerKind, InsurerNumber
from gateway.domain.individual_number import IndividualNumber
from simulators.people import INSURERS, Card, Row, SimulatedInsurer, lines_of
from simulators.population import Household, Person, Spell, population, rows_of, truth

ON = date(2026, 4, 15)
SOME = list(population(3_000, 11, ON))


def _people(households: Iterable[Household]) -> list[Person]:
    return [person for household in households for person in household.people]


def _files(households: Iterable[Household]) -> list[bytes]:
    by_insurer: dict[str, list[Row]] = {}
    for household in households:
        for row in rows_of(household):
            by_insurer.setdefault(row["insurer_number"], []).append(row)
    return [lines_of(rows) for rows in by_insurer.values()]


def test_the_same_seed_gives_the_same_people() -> None:
    """Seed, count and day decide everything; another seed gives others."""
    assert SOME[:50] == list(population(3_000, 11, ON))[:50]
    assert SOME[:50] != list(population(3_000, 12, ON))[:50]


@pytest.mark.parametrize("count", [0, 1, 2, 17, 1_000])
def test_it_gives_exactly_as_many_people_as_asked(count: int) -> None:
    """The last household is cut so that the count is exact."""
    assert count == len(_people(population(count, 3, ON)))


def test_insurers_come_in_proportion() -> None:
    """Shares of insured people lie within three points of insurer-lifecycle.md 5.2."""
    millions = {
        InsurerKind.ASSOCIATION: 39.44,
        InsurerKind.SOCIETY: 28.20,
        InsurerKind.MUTUAL_AID: 10.26,
        InsurerKind.NATIONAL: 26.38,
        InsurerKind.LATTER_STAGE_ELDERLY: 19.44,
    }
    counts = Counter(
        spell.insurer.kind
        for person in _people(population(20_000, 5, ON))
        for spell in person.spells
        if spell.lost is None
    )
    total = sum(counts.values())
    for kind, share in millions.items():
        assert counts[kind] / total == pytest.approx(share / sum(millions.values()), abs=0.03)


def test_numbers_hold_and_nobody_shares_one() -> None:
    """My Numbers have valid check digits and are unique; insurer numbers parse."""
    people = _people(SOME)
    numbers = {IndividualNumber.parse(person.individual_number).reveal() for person in people}
    assert len(people) == len(numbers)
    for spell in (spell for person in people for spell in person.spells):
        assert spell.card.insurer_number == InsurerNumber.parse(spell.insurer.number).zero_padded


def test_covers_follow_each_other() -> None:
    """A person's covers are never empty, never overlap and never begin before birth."""
    for person in _people(SOME):
        before = person.birth_date
        for spell in person.spells:
            assert before <= spell.acquired <= ON
            before = spell.lost or date.max
            assert spell.acquired < before


def test_cover_changes_hands_on_the_75th_birthday() -> None:
    """Who turned 75 lately lost the earlier cover that day and is covered as elderly from it."""
    seen = 0
    for person in _people(SOME):
        for earlier, later in zip(person.spells, person.spells[1:], strict=False):
            if later.insurer.kind is InsurerKind.LATTER_STAGE_ELDERLY and later.card.branch == "":
                seen += 1
                assert (earlier.lost, person.birth_date.year + 75) == (
                    later.acquired,
                    later.acquired.year,
                )
    assert seen > 0


def test_families_share_symbol_and_number() -> None:
    """Members insured together differ in their branch alone."""
    together: dict[tuple[str, str, str], list[str]] = {}
    for person in _people(SOME):
        for spell in person.spells:
            card = spell.card
            together.setdefault((card.insurer_number, card.symbol, card.number), []).append(
                card.branch
            )
    assert any(len(branches) > 2 for branches in together.values())
    assert all(len(branches) == len(set(branches)) for branches in together.values())


def test_the_story_has_job_changes_births_and_unfiled_numbers() -> None:
    """Every event the simulation promises occurs among 3 000 people."""
    people = _people(SOME)
    assert any(len(person.spells) > 2 for person in people)
    assert any(
        spell.acquired == person.birth_date and spell.relationship == "2"
        for person in people
        for spell in person.spells
    )
    assert any(not spell.is_numbered for person in people for spell in person.spells)
    assert any(person.is_preschool for person in people)


def test_the_truth_is_the_answer_of_the_domain(
    histories_of: Callable[[Iterable[bytes]], list[History]],
) -> None:
    """Asked for every cover, with and without branch, on several days, both say the same."""
    asked = Counter[int]()
    for household in SOME:
        histories = [compact(one, lambda _: b"") for one in histories_of(_files([household]))]
        for person in household.people:
            for spell in person.spells:
                days = {ON, ON - timedelta(days=400), spell.acquired, spell.lost or ON}
                for card in (spell.card, replace(spell.card, branch="")):
                    for on in days | {spell.acquired - timedelta(days=1)}:
                        expected = truth(household.people, card, person.birth_date, on)
                        asked[expected] += 1
                        insured_id = InsuredId.parse(
                            card.insurer_number, card.symbol, card.number, card.branch
                        )
                        query = ByNumber.of(insured_id, person.birth_date, on)
                        answer = confirm(histories, query, Rules())
                        assert (expected, card, on) == (int(answer.validity), card, on)
    assert {1, 2, 3, 5} == set(asked)


def test_the_truth_by_hand() -> None:
    """Each answer of a small family stands as anybody would say it."""
    old, new = INSURERS[InsurerKind.SOCIETY][:2]
    birth = date(2000, 2, 29)

    def spell(insurer: SimulatedInsurer, branch: str, acquired: date, lost: date | None) -> Spell:
        card = Card(insurer.number, "1", "2", branch)
        return Spell(insurer, card, acquired, lost, "03" if lost else "", "1", True)

    def person(*spells: Spell) -> Person:
        return Person("見本　一", "ﾐﾎﾝ ﾊｼﾞﾒ", "1", birth, "010", False, spells, "990000000000")

    moved = person(
        spell(old, "01", date(2020, 4, 1), date(2026, 4, 1)),
        spell(new, "01", date(2026, 4, 2), None),
    )
    twin = person(spell(old, "02", date(2020, 4, 1), date(2026, 4, 1)))
    card = Card(old.number, "1", "2", "01")
    either = replace(card, branch="")
    assert truth([moved, twin], card, birth, date(2026, 3, 31)) == 1
    assert truth([moved, twin], card, birth, date(2026, 4, 1)) == 2
    assert truth([moved, twin], card, birth, date(2026, 4, 2)) == 3
    assert truth([moved, twin], card, date(2000, 2, 28), ON) == 4
    assert truth([moved, twin], either, birth, ON) == 5
    assert truth([moved], either, birth, ON) == 3


def test_memory_does_not_grow_with_the_population() -> None:
    """Streaming 10 000 people through rows holds less than a megabyte at once."""
    tracemalloc.start()
    try:
        lines = sum(1 for household in population(10_000, 1, ON) for _ in rows_of(household))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert lines > 10_000
    assert peak < 1_000_000

"""The made-up nation is plausible, repeatable, findable by place, and its files are right."""

from __future__ import annotations

import asyncio
import hashlib
import tracemalloc
from collections import Counter
from datetime import date
from pathlib import Path

import msgspec
import pytest

from gateway.domain.identifiers import InsurerKind, InsurerNumber
from gateway.domain.individual_number import IndividualNumber
from gateway.formats.text import half_width_kana
from loadtests.nation_store import pour
from simulators.nation.covers import FIRST_RECORDED, block_of, households
from simulators.nation.files import read_manifest, write_nation
from simulators.nation.households import BLOCK_PEOPLE
from simulators.nation.insurers import nation
from simulators.nation.names import FAMILIES
from simulators.nation.rows import rows_of
from simulators.nation.tables import PYRAMID_MILLIONS, WOMEN_SHARES
from simulators.people import INSURERS
from simulators.population import population
from simulators.resident_book import Resident, is_alike
from tests.usecases.registration import Stand

ON = date(2026, 4, 1)
SOME = list(households(11, 12_000, ON))
PEOPLE = [person for home in SOME for person in home.people]
SPELLS = [spell for person in PEOPLE for spell in person.spells]
EVERY_INSURER = nation().insurers
HALF_WIDTH = {chr(code) for code in range(0xFF66, 0xFFA0)} | {" "}


def test_the_same_seed_gives_the_same_people() -> None:
    """Seed, count and day decide everything; another seed gives others."""
    assert SOME[:80] == list(households(11, 12_000, ON))[:80]
    assert SOME[:80] != list(households(12, 12_000, ON))[:80]


def test_a_block_is_made_without_those_before() -> None:
    """The seventh thousand by itself is the seventh thousand of all."""
    alone = list(block_of(11, 6, BLOCK_PEOPLE, ON))

    assert alone == [home for home in SOME if 6_000 <= home.people[0].index < 7_000]
    assert [person.index for home in alone for person in home.people] == list(range(6_000, 7_000))


@pytest.mark.parametrize("count", [0, 1, 999, 1_000, 1_001, 2_500])
def test_it_gives_exactly_as_many_people_as_asked(count: int) -> None:
    """And more people begin with the same ones."""
    people = [p.index for home in households(3, count, ON) for p in home.people]

    assert list(range(count)) == people


def test_ages_make_the_pyramid() -> None:
    """Every band of ten years is within 1.2 points of the published share, women within six."""
    bands = Counter(min(person.age(ON) // 10, 9) for person in PEOPLE)
    women = Counter(min(person.age(ON) // 10, 9) for person in PEOPLE if person.sex == "2")
    for band in range(10):
        millions = sum(PYRAMID_MILLIONS[band * 2 : band * 2 + 2])
        assert bands[band] / len(PEOPLE) == pytest.approx(
            millions / sum(PYRAMID_MILLIONS), abs=0.012
        )
        if bands[band] > 600:
            expected = sum(WOMEN_SHARES[band * 2 : band * 2 + 2]) / 2
            assert women[band] / bands[band] == pytest.approx(expected, abs=0.06)


def test_insurers_come_in_proportion() -> None:
    """Shares of insured people lie within three points of insurer-lifecycle.md 5.2."""
    millions = {
        InsurerKind.ASSOCIATION: 39.44,
        InsurerKind.SOCIETY: 28.20,
        InsurerKind.MUTUAL_AID: 10.26,
        InsurerKind.NATIONAL: 26.38,
        InsurerKind.LATTER_STAGE_ELDERLY: 19.44,
    }
    kinds = Counter(spell.insurer.kind for spell in SPELLS if spell.lost is None)
    for kind, share in millions.items():
        assert kinds[kind] / len(PEOPLE) == pytest.approx(share / sum(millions.values()), abs=0.03)


def test_households_are_as_large_as_they_are() -> None:
    """About 2.2 people live together, four of ten alone, and children have parents."""
    sizes = Counter(len(home.people) for home in SOME)
    assert len(PEOPLE) / len(SOME) == pytest.approx(2.2, abs=0.3)
    assert sizes[1] / len(SOME) == pytest.approx(0.38, abs=0.08)
    assert all(home.people[0].age(ON) >= 19 for home in SOME)


def test_there_are_3411_insurers_of_every_size() -> None:
    """Numbers hold and are unique, names too; the largest hundredth of societies has a tenth."""
    assert len(EVERY_INSURER) == 3_411
    assert len({one.number for one in EVERY_INSURER}) == len(EVERY_INSURER)
    assert len({one.name for one in EVERY_INSURER}) == len(EVERY_INSURER)
    for one in EVERY_INSURER:
        assert one.kind is InsurerNumber.parse(one.number).kind
    kinds = Counter(one.kind for one in EVERY_INSURER)
    assert kinds[InsurerKind.ASSOCIATION] == kinds[InsurerKind.LATTER_STAGE_ELDERLY] == 47
    assert kinds[InsurerKind.NATIONAL] == 1_716 + 160
    weights = sorted(one.weight for one in EVERY_INSURER if one.kind is InsurerKind.SOCIETY)
    assert 0.08 < sum(weights[-14:]) / sum(weights) < 0.3


def test_no_insurer_could_be_real() -> None:
    """The prefecture code of each is above 50, and none is one of the fixed simulated ones."""
    assert all(int(one.number[2:4]) > 47 for one in EVERY_INSURER)
    fixed = {one.number for some in INSURERS.values() for one in some}
    assert not fixed & {one.number for one in EVERY_INSURER}


@pytest.mark.parametrize("count", [8, 40, 120, 700, 3_411])
def test_a_smaller_nation_has_about_so_many_insurers(count: int) -> None:
    """And all that people need."""
    small = nation(count)
    assert len(small.insurers) == pytest.approx(count, abs=3)
    assert all(small.municipal)
    assert small.societies
    assert small.mutuals


def test_identifiers_are_never_given_twice() -> None:
    """My Numbers hold and are unique; insurer, symbol, number and branch are one person's."""
    told = [person.individual_number for person in PEOPLE if person.individual_number]
    assert len(told) == len({IndividualNumber.parse(number).reveal() for number in told})
    assert 0 < len(PEOPLE) - len(told) < 60
    held: dict[tuple[str, ...], int] = {}
    for person in PEOPLE:
        for spell in person.spells:
            card = (spell.insurer.number, spell.number, spell.branch)
            assert held.setdefault(card, person.index) == person.index


def test_my_numbers_are_apart_from_the_other_population() -> None:
    """Both can be in one sandbox."""
    others = {p.individual_number for home in population(2_000, 11, ON) for p in home.people}
    assert not others & {person.individual_number for person in PEOPLE}


def test_families_share_symbol_and_number() -> None:
    """Members insured together differ in their branch alone, and one of them is insured."""
    together: dict[tuple[str, str, str], list[tuple[str, str]]] = {}
    for spell in SPELLS:
        key = (spell.insurer.number, spell.symbol, spell.number)
        together.setdefault(key, []).append((spell.branch, spell.relationship))
    assert any(len(members) > 3 for members in together.values())
    for members in together.values():
        branches = [branch for branch, _ in members]
        assert len(branches) == len(set(branches))
        assert sum(relationship == "1" for _, relationship in members) <= 1


def test_covers_follow_each_other() -> None:
    """A person's covers are never empty, never overlap, and everybody has one."""
    for person in PEOPLE:
        before = person.birth_date
        for spell in person.spells:
            assert before <= spell.acquired <= ON
            before = spell.lost or date.max
            assert max(spell.acquired, FIRST_RECORDED) <= before
        assert person.current(ON) is not None


def test_everybody_from_75_is_insured_as_elderly() -> None:
    """From the birthday itself on, and nobody before."""
    for person in PEOPLE:
        spell = person.current(ON)
        assert spell is not None
        is_elder = spell.insurer.kind is InsurerKind.LATTER_STAGE_ELDERLY
        assert is_elder == (person.age(ON) >= 75)
        assert not is_elder or (spell.symbol, spell.branch) == ("", "")


def test_employees_have_employers() -> None:
    """And the household in national health insurance has none."""
    for spell in SPELLS:
        employed = spell.insurer.kind in {
            InsurerKind.ASSOCIATION,
            InsurerKind.SOCIETY,
            InsurerKind.MUTUAL_AID,
            InsurerKind.SEAMEN,
        }
        assert employed == (spell.employer >= 0 or spell.is_voluntary)
        assert spell.employer < spell.insurer.employers


def test_kana_are_half_width_and_belong_to_the_name() -> None:
    """Every name's kana are what its family name is read as, in the script the wire has."""
    readings = dict(FAMILIES)
    for person in PEOPLE:
        name = person.name
        assert set(name.kana) <= HALF_WIDTH
        assert name.kana == half_width_kana(name.kana)
        family, _, given = name.name.partition("　")
        assert given
        if family in readings:
            assert name.kana.startswith(readings[family] + " ")
        assert is_alike(name.resident, name.name)


def test_the_nation_has_what_makes_trouble() -> None:
    """● names, other names, characters beyond Shift_JIS, symbols of every script, no numbers."""
    names = [person.name for person in PEOPLE]
    assert any("●" in name.name for name in names)
    assert any(name.other for name in names)
    assert any(not _fits(name.resident) for name in names)
    symbols = "".join(spell.symbol for spell in SPELLS)
    for character in "ｱア１けん架-":
        assert character in symbols
    assert any(not spell.is_numbered for spell in SPELLS)
    assert any(spell.is_voluntary for spell in SPELLS)


def _fits(name: str) -> bool:
    return name.encode("cp932", errors="ignore").decode("cp932") == name


def test_a_store_takes_every_line(tmp_path: Path) -> None:
    """Straight through the desk nothing is refused, and everybody has their covers."""
    stand = Stand()
    before = date(2025, 10, 1)
    homes = list(households(5, 600, before, 40))
    rows = [row for home in homes for row in rows_of(home, before)]

    applied, refused = asyncio.run(pour(rows, stand.store, stand.desk, "nation"))

    assert (len(rows), 0) == (applied, refused)
    covers = sum(len(person.spells) for home in homes for person in home.people)
    assert covers == sum(
        len(enrolment.covers)
        for history in stand.store.projections.values()
        for enrolment in history.enrolments
    )


def test_files_are_whole_and_the_same_again(tmp_path: Path) -> None:
    """The manifest counts what is there, residents are in form, and a seed gives the same bytes."""
    manifest = write_nation(tmp_path / "one", 1_500, 4, ON, 60)
    write_nation(tmp_path / "two", 1_500, 4, ON, 60)

    assert manifest == read_manifest(tmp_path / "one")
    assert _digest(tmp_path / "one") == _digest(tmp_path / "two")
    assert manifest["people"] == 1_500
    for number, told in manifest["insurers"].items():
        lines = (tmp_path / "one" / "coverage" / f"{number}.csv").read_bytes().splitlines()
        assert told["lines"] == len(lines) - 1
    residents = (tmp_path / "one" / "residents.jsonl").read_bytes().splitlines()
    assert manifest["residents"] == len(residents)
    assert len({msgspec.json.decode(one, type=Resident).ids for one in residents}) == len(residents)
    with pytest.raises(FileExistsError):
        write_nation(tmp_path / "one", 10, 4, ON)


def _digest(folder: Path) -> str:
    found = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            found.update(path.relative_to(folder).as_posix().encode() + path.read_bytes())
    return found.hexdigest()


def test_memory_does_not_grow_with_the_nation() -> None:
    """Streaming 8,000 people through their lines holds less than four megabytes at once."""
    list(households(1, 10, ON))
    tracemalloc.start()
    try:
        lines = sum(1 for home in households(1, 8_000, ON) for _ in rows_of(home, ON))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert lines > 8_000
    assert peak < 4_000_000

"""Months of the made-up nation: plausible, repeatable, and true: a store told of them agrees."""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import replace
from datetime import date, timedelta
from itertools import count, pairwise
from pathlib import Path

import pytest

from gateway.app.holidays import closed_days
from gateway.domain.business_days import is_business_day
from gateway.domain.compact import CompactHistory, compact
from gateway.domain.eligibility import ByCard, ByNumber, Rules, confirm
from gateway.domain.identifiers import InsuredId, InsurerKind, PersonKey
from gateway.domain.individual_number import IndividualNumber
from gateway.domain.period import Instant, day_start
from gateway.store.memory import MemoryStore, MemoryVault
from gateway.store.port import Batch
from gateway.store.records import encode_coverage
from gateway.usecases.desk import Desk
from loadtests.nation_store import pour
from simulators.months.calendar import is_open
from simulators.months.events import Event, lines_of, number_line
from simulators.months.files import files_of, read_months, write_months
from simulators.months.lives import Life, Plan
from simulators.months.models import DEFAULT_LAG, LagModel, LifeModel
from simulators.months.truth import by_card, by_number, card_of, covered
from simulators.nation.covers import households
from simulators.nation.files import write_nation
from simulators.nation.insurers import nation
from simulators.nation.rows import rows_of
from simulators.people import Row

ON = date(2027, 3, 20)
FIRST, LAST = date(2027, 3, 21), date(2027, 9, 30)
INSURERS = 60
BUSY = LifeModel(
    job_changes=(0.2,) * 12, graduates=0.8, births=2.0, deaths_at_40=0.02, moves=1.5,
    marriages=1.0, dependants_in=0.6, dependants_out=0.8, reissues=0.3, limits=0.3,
)  # fmt: skip
"""A year's happenings in a month, so that few people meet them all."""


def lives(
    people: int, seed: int, lag: LagModel = DEFAULT_LAG, life: LifeModel = BUSY
) -> list[Life]:
    """The months of so many people."""
    plan = Plan(nation(INSURERS), seed, FIRST, LAST, lag, life)
    return list(plan.lives(households(seed, people, ON, INSURERS)))


@pytest.fixture(scope="module")
def some() -> list[Life]:
    """Busy months of some thousands."""
    return lives(4_000, 3)


def events_of(found: Iterable[Life]) -> list[Event]:
    """Every event."""
    return [event for life in found for event in life.events]


def test_the_same_seed_gives_the_same_months(some: list[Life]) -> None:
    """Events and truth alike; another household is not needed for one."""
    again = lives(4_000, 3)

    assert events_of(some) == events_of(again)
    assert [life.knowns for life in some] == [life.knowns for life in again]
    assert events_of(some) != events_of(lives(500, 4))


def test_everything_promised_happens(some: list[Life]) -> None:
    """Each happening, and each way an employer may fail."""
    happened = {event.happening for event in events_of(some)}
    assert happened >= {
        "job", "job, continued", "graduation", "birth", "death", "75th birthday", "70th birthday",
        "move", "marriage", "dependant in", "dependant out", "branch", "reissue", "limit", "ratio",
        "end of continuation",
    }  # fmt: skip
    mishaps = Counter(
        name
        for event in events_of(some)
        for name, is_so in (
            ("early", event.is_notice and event.filed < event.fact),
            ("late", event.is_notice and (event.filed - event.fact).days > 5),
            ("twice", event.twice_on is not None),
            ("typo", event.typo_on is not None),
            ("number later", event.number_told_on is not None),
            ("mismatch", event.is_mismatched),
        )
        if is_so
    )
    assert len(mismatch_names := [name for name in mishaps if mishaps[name]]) == 6, mismatch_names
    told = {id(known.spell) for life in some for known in life.knowns}
    assert any(
        id(spell) not in told
        for life in some
        for person in life.household.people
        for spell in person.spells
    )


def test_nobody_truly_has_two_covers(some: list[Life]) -> None:
    """Covers of one person follow each other, and the dead and nobody else have none."""
    for life in some:
        for person in life.household.people:
            spells = sorted(person.spells, key=lambda one: one.acquired)
            for earlier, later in pairwise(spells):
                assert earlier.lost is not None
                assert earlier.lost <= later.acquired
            is_dead = any(one.loss_reason == "01" and not one.holds(LAST) for one in spells)
            assert len(covered(person, LAST)) == (not is_dead)


def test_everybody_of_75_is_insured_as_elderly(some: list[Life]) -> None:
    """From the birthday on, whoever they were insured with."""
    for life in some:
        for person in life.household.people:
            for spell in covered(person, LAST):
                is_elder = spell.insurer.kind is InsurerKind.LATTER_STAGE_ELDERLY
                assert is_elder == (person.age(LAST) >= 75)


def test_identifiers_stay_unique(some: list[Life]) -> None:
    """Also those given in the months; children have My Numbers of their own."""
    held: dict[tuple[str, ...], int] = {}
    numbers = Counter(
        person.individual_number
        for life in some
        for person in life.household.people
        if person.individual_number
    )
    assert max(numbers.values()) == 1
    for life in some:
        for person in life.household.people:
            for spell in person.spells:
                card = (spell.insurer.number, spell.number, spell.branch)
                assert held.setdefault(card, person.index) == person.index


def test_insurers_register_on_business_days(some: list[Life]) -> None:
    """The gateway's calendar is the simulators' too, and both keep the holidays of the law."""
    for event in events_of(some):
        assert is_business_day(event.registered, closed_days)
    days = [date(2026, 1, 1) + timedelta(days=one) for one in range(1_000)]
    assert [is_open(day) for day in days] == [is_business_day(day, closed_days) for day in days]
    for closed in (date(2027, 4, 29), date(2027, 5, 3), date(2026, 5, 6), date(2027, 1, 2)):
        assert not is_open(closed)


def test_april_has_the_peak() -> None:
    """By the default model more covers change hands in April than in any other month."""
    plan = Plan(nation(INSURERS), 1, date(2027, 1, 1), date(2027, 12, 31))
    on = date(2026, 12, 31)
    months = Counter(
        event.fact.month
        for life in plan.lives(households(1, 4_000, on, INSURERS))
        for event in life.events
        if event.happening in {"job", "graduation"}
    )
    others = [months[month] for month in range(1, 13) if month != 4]
    assert months[4] > 3 * max(others)


def test_losses_come_later_than_acquisitions(some: list[Life]) -> None:
    """The old insurer is told late more often, so covers overlap for a while (1.5)."""
    late = Counter[bool]()
    all_ = Counter[bool]()
    for event in events_of(some):
        if event.is_notice:
            all_[event.is_loss] += 1
            late[event.is_loss] += (event.filed - event.fact).days > 5
    assert 0.08 < late[False] / all_[False] < 0.25
    assert late[True] / all_[True] > late[False] / all_[False]


class Told:
    """A gateway's memory, told of the months day by day; asked on each day."""

    def __init__(self) -> None:
        self.on = ON
        self.keys = count(1)
        self.store = _Projecting()
        self.vault = MemoryVault()
        self.desk = Desk(
            self.store,
            self.vault,
            self.new_key,
            lambda: Instant(day_start(self.on) + 9 * 3_600_000_000),
        )

    def new_key(self) -> bytes:
        """A key never given before."""
        return f"{next(self.keys):016d}".encode()

    async def tell(self, rows: Iterable[Row], name: str) -> tuple[int, int]:
        """Register lines."""
        return await pour(rows, self.store, self.desk, name)


class _Projecting(MemoryStore):
    """Keeps each person's last record at hand."""

    def __init__(self) -> None:
        super().__init__(encode_coverage)
        self.projected: dict[PersonKey, CompactHistory] = {}
        self.by_key: dict[bytes, set[PersonKey]] = defaultdict(set)

    async def commit(self, batch: Batch) -> None:
        await super().commit(batch)
        for history in batch.histories:
            self.projected[history.person_key] = compact(history, lambda _: b"")
        for row in batch.lookups:
            self.by_key[row.key].add(row.person_key)


def test_a_store_told_of_the_months_answers_the_truth() -> None:
    """Day by day, by number with and without branch and by card; none is refused but typos."""
    lag = replace(DEFAULT_LAG, mismatch=0.0, number_missing=0.1, branch_late=0.2, twice=0.1)
    found = lives(260, 8, lag)
    told = Told()
    answers = asyncio.run(_play(found, told))

    assert not answers.wrong
    assert {1, 2, 3, 4} <= {*answers.by_number} | {5}
    assert {1, 2, 4} == {*answers.by_card}
    assert sum(answers.by_number.values()) > 1_000
    planted = next(
        life
        for life in found
        for known in life.knowns
        if known.loss_told not in {None, date.min} and known.registered < known.spell.lost < LAST
    )
    for known in planted.knowns:
        known.loss_told = None
    wrong = Answers()
    asyncio.run(_ask(planted, told, wrong))
    assert wrong.wrong


class Answers:
    """What was asked and answered."""

    def __init__(self) -> None:
        self.by_number = Counter[int]()
        self.by_card = Counter[int]()
        self.wrong: list[str] = []


async def _play(found: list[Life], told: Told) -> Answers:
    answers = Answers()
    homes = list(households(8, 260, ON, INSURERS))
    rows = [row for home in homes for row in rows_of(home, ON)]
    assert await told.tell(rows, "before") == (len(rows), 0)
    by_day: dict[date, list[Event]] = defaultdict(list)
    for event in events_of(found):
        for day in event.days:
            by_day[day].append(event)
    while told.on < LAST:
        told.on += timedelta(days=1)
        events = by_day[told.on]
        rows = [row for event in events for row in lines_of(event, told.on)]
        rows += [number_line(e) for e in events if e.number_told_on == told.on]
        _, refused = await told.tell(rows, f"{told.on}")
        if refused != sum(event.typo_on == told.on for event in events):
            answers.wrong.append(f"{told.on}: {refused} refused")
        if told.on.day in {1, 11, 25}:
            for life in found:
                if life.events:
                    await _ask(life, told, answers)
    return answers


async def _ask(life: Life, told: Told, answers: Answers) -> None:
    on, store = told.on, told.store
    for known in life.knowns:
        full = card_of(known.spell)
        for card in {full, replace(full, branch="")}:
            born = known.person.birth_date
            expected = by_number(life.knowns, card, born, on)
            insured_id = InsuredId.parse(card.insurer_number, card.symbol, card.number, card.branch)
            query = ByNumber.of(insured_id, born, on)
            people = [store.projected[key] for key in store.by_key[query.lookup_key]]
            said = int(confirm(people, query, Rules()).validity)
            answers.by_number[said] += 1
            if said != expected:
                answers.wrong.append(f"{on} {card}: {said} and not {expected}")
    for person in life.household.people:
        if person.individual_number:
            number = IndividualNumber.parse(person.individual_number)
            if_new = PersonKey(told.new_key())
            key = await told.vault.person_of(number, if_new)
            history = [one] if (one := store.projected.get(key)) else []
            said = int(confirm(history, ByCard(key, on), Rules()).validity)
            expected = by_card(life.knowns, person, on)
            answers.by_card[said] += 1
            if said != expected:
                answers.wrong.append(f"{on} card of {person.index}: {said} and not {expected}")


def test_months_are_written_into_a_nations_folder(tmp_path: Path) -> None:
    """Each day's files say what the events say, and no My Number stands beside the truth."""
    written = write_nation(tmp_path, 2_000, 3, ON, INSURERS)
    with pytest.raises(ValueError, match="before"):
        write_months(tmp_path, ON)
    months = write_months(tmp_path, LAST)

    assert months == read_months(tmp_path)
    assert months["first"] == FIRST.isoformat()
    lines = residents = 0
    for day in months["days"]:
        for number, path in files_of(tmp_path, day).items():
            rows = path.read_text("utf-8").splitlines()[1:]
            assert all(row.startswith(number) for row in rows)
            lines += len(rows)
        known = tmp_path / "days" / day / "residents.jsonl"
        residents += len(known.read_bytes().splitlines()) if known.exists() else 0
    assert (months["lines"], months["residents"]) == (lines, residents)
    truth = (tmp_path / "truth.jsonl").read_text("utf-8")
    assert truth.count("\n") > 100
    told = {
        line.rpartition(",")[2]
        for path in (tmp_path / "coverage").glob("*.csv")
        for line in path.read_text("utf-8").splitlines()
        if line[-12:].isdigit()
    }
    assert len(told) > 1_000
    assert not any(number in truth for number in told)
    assert written["people"] == 2_000
    with pytest.raises(FileExistsError):
        write_months(tmp_path, LAST)

"""Filings in both stores: cases are written, stamped and read in order."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

import pytest
import pytest_asyncio

from gateway.domain.coverage import Enrolment
from gateway.domain.identifiers import InsurerNumber
from gateway.domain.lag import Case, CaseKind, Stage
from gateway.domain.period import Instant, day_start
from gateway.store import postgres_cluster
from gateway.store.memory import MemoryStore
from gateway.store.migrate import migrate
from gateway.store.port import Batch, CheckState, NewLink, NumberCheck, UploadKey, Writing
from gateway.store.port_lag import CasesWanted, Filings
from gateway.store.postgres import PostgresFilings
from gateway.store.records import encode_coverage
from gateway.store.sqlite import SqliteFilings, SqliteStore, open_cases
from gateway.store.steps_batch import Passed
from tests.store import postgres
from tests.store.batches import batch_of, cover, enrollee, person

INSURER, OTHER = InsurerNumber("01130012"), InsurerNumber("00138057")
DAY = date(2026, 4, 1)
NOON = Instant(day_start(DAY) + 43_200_000_000)
WANTED = CasesWanted(INSURER, DAY, DAY)


@dataclass
class Kept:
    """A store and the cases in it."""

    store: Writing
    filings: Filings

    async def commit(self, *cases: Case, at: int = NOON) -> None:
        """Register cases."""
        await self.store.commit(Batch(Instant(at), filings=list(cases)))

    async def all(self, wanted: CasesWanted = WANTED) -> list[Case]:
        """Every case wanted."""
        return list(await self.filings.cases(wanted, None, 100))


@pytest_asyncio.fixture(params=["memory", "sqlite", "postgres"])
async def kept(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Kept]:
    """A fresh store of either kind."""
    if request.param == "memory":
        memory = MemoryStore(encode_coverage)
        yield Kept(memory, memory.filings)
        return
    if request.param == "postgres":
        async with postgres.database() as url:
            there = await postgres_cluster.elected(url, encode_coverage, "a test")
            cases = await PostgresFilings.opened(url)
            yield Kept(there, cases)
            await cases.close()
            await there.close()
        return
    migrate(tmp_path / "gateway.db", encode_coverage)
    store, filings = (
        SqliteStore(tmp_path / "gateway.db", encode_coverage),
        SqliteFilings(tmp_path / "gateway.db"),
    )
    yield Kept(store, filings)
    await filings.close()
    await store.close()


def case(number: int = 1, **said: object) -> Case:
    """A case registered at noon."""
    plain = Case(enrollee(number), 1, CaseKind.ACQUISITION, INSURER, "A-1", DAY, DAY, None, NOON)
    return replace(plain, **said)  # type: ignore[arg-type]


def check(seen: int, number: int = 1) -> NumberCheck:
    """A check that linked and was seen by card at a moment."""
    return NumberCheck(
        enrollee(number),
        Instant(seen - 3),
        INSURER,
        person(9),
        UploadKey(b"upload----------"),
        7,
        CheckState.LINKED,
        visible_time=Instant(seen),
    )


async def link(kept: Kept, at: int, number: int = 1) -> None:
    """Link an enrollee that was registered unnumbered."""
    fresh = Enrolment(enrollee(number), is_numbered=False, covers=(cover(recorded=1_000),))
    before = await kept.store.load([], [person(number)])
    await kept.store.commit(batch_of(before, [(person(number), fresh)], Instant(1_000)))
    numbered = NewLink(enrollee(number), person(9), is_numbered=True, replaces=person(number))
    await kept.store.commit(Batch(Instant(at), links=[numbered]))


async def test_a_case_is_read_as_it_was_written(kept: Kept) -> None:
    """Every field comes back, absent days too."""
    said = case(filed_date=None, received_date=DAY, linked_time=NOON, card_visible_time=NOON)
    await kept.commit(said)
    assert [said] == await kept.all()


async def test_cases_come_in_order_page_by_page(kept: Kept) -> None:
    """By time of registration, then enrollee; a page begins after the last case before it."""
    cases = [case(2), case(3), case(1, registered_time=Instant(NOON + 1))]
    await kept.commit(*reversed(cases))
    first = await kept.filings.cases(WANTED, None, 2)
    assert cases[:2] == list(first)
    assert cases[2:] == list(await kept.filings.cases(WANTED, first[-1], 2))


async def test_only_the_insurers_cases_of_the_period_are_read(kept: Kept) -> None:
    """Both days count whole; the day before and the day after do not."""
    start, end = day_start(DAY), day_start(date(2026, 4, 2))
    inside = [case(1, registered_time=start), case(2, registered_time=Instant(end - 1))]
    outside = [
        case(3, registered_time=Instant(start - 1)),
        case(4, registered_time=end),
        case(5, insurer_number=OTHER),
    ]
    await kept.commit(*inside, *outside)
    assert inside == await kept.all()


async def test_cases_of_one_employer_or_kind_are_read_alone(kept: Kept) -> None:
    """Empty and None mean any."""
    loss, other = case(1, kind=CaseKind.LOSS), case(2, employer_code="B")
    await kept.commit(loss, other)
    assert [other] == await kept.all(replace(WANTED, employer_code="B"))
    assert [loss] == await kept.all(replace(WANTED, kind=CaseKind.LOSS))
    assert await kept.all(replace(WANTED, kind=CaseKind.LOSS, employer_code="B")) == []


async def test_a_loss_registered_again_replaces_its_case(kept: Kept) -> None:
    """The last notice counts."""
    await kept.commit(case(kind=CaseKind.LOSS))
    again = case(kind=CaseKind.LOSS, employer_code="B", registered_time=Instant(NOON + 5))
    await kept.commit(again)
    assert [again] == await kept.all()


async def test_a_link_stamps_the_cases_of_its_enrollee_once(kept: Kept) -> None:
    """A later link leaves the first stamp; other enrollees' cases wait on."""
    await kept.commit(case(1), case(1, kind=CaseKind.LOSS), case(2))
    await link(kept, NOON + 10)
    numbered = NewLink(enrollee(1), person(8), is_numbered=True, replaces=person(9))
    await kept.store.commit(Batch(Instant(NOON + 20), links=[numbered]))
    stamps = [one.linked_time for one in await kept.all()]
    assert stamps == [NOON + 10, NOON + 10, None]


async def test_a_sight_by_card_stamps_what_was_registered_by_then(kept: Kept) -> None:
    """A case registered after the moment was not seen at it."""
    await kept.commit(case(1), case(2), case(1, kind=CaseKind.LOSS, registered_time=NOON + 90))
    await kept.store.commit(Batch(Instant(NOON + 95), checks=[check(NOON + 50)]))
    await kept.store.commit(Batch(Instant(NOON + 96), checks=[check(NOON + 60)]))
    stamps = [one.card_visible_time for one in await kept.all()]
    assert stamps == [NOON + 50, None, None]


async def test_the_stages_a_commit_passed_are_told(tmp_path: Path) -> None:
    """Once each, in seconds, after the commit; the open cases are counted from the database."""
    database = tmp_path / "gateway.db"
    migrate(database, encode_coverage)
    store = SqliteStore(database, encode_coverage)
    passed: list[Passed] = []
    store.on_passed = passed.extend
    kept = Kept(store, SqliteFilings(database))
    await kept.commit(case(1, filed_date=date(2026, 4, 3)), case(2))
    assert (Stage.FILING, 172_800.0) in passed
    assert open_cases(database) == (2, 2)
    passed.clear()
    await link(kept, NOON + 10_000_000)
    await store.commit(Batch(Instant(NOON + 20_000_000), checks=[check(NOON + 15_000_000)]))
    assert passed == [(Stage.LINK, 10.0), (Stage.CARD_VISIBLE, 15.0), (Stage.FACT_TO_CARD, 0.0)]
    assert open_cases(database) == (1, 1)
    await SqliteFilings.close(kept.filings)  # type: ignore[arg-type]
    await store.close()

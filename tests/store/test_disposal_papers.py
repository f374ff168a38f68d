"""What else a disposal takes out and leaves: lists, checks, what the feed names; both engines."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
import pytest_asyncio

from gateway.domain.coverage import Enrolment
from gateway.domain.errors import NotPermitted
from gateway.domain.explanation import Facts
from gateway.domain.feed import ChangeKind, EnrolleeChange
from gateway.domain.period import Instant
from gateway.domain.retention import NUMBER_CHECKS, REFUSED_LINES, SUPERSEDED, Disposal
from gateway.store import postgres_cluster
from gateway.store.by_steps import StepStore
from gateway.store.memory import MemoryAccesses
from gateway.store.migrate import migrate
from gateway.store.port import Batch, CheckState, NumberCheck, RefusedLine, Upload
from gateway.store.port_dispose import ended
from gateway.store.records import encode_coverage
from gateway.store.sqlite import SqliteStore
from gateway.usecases.dispose import PACE, Disposer, count_due
from gateway.usecases.upload_coverage import are_lines_disposed
from loadtests.disposing import AT_ONCE, LATER, disposed, disposer_of, order_of
from tests.store import postgres
from tests.store.batches import (
    BIRTH_DATE,
    INSURER,
    UPLOAD_KEY,
    an_upload,
    applied,
    batch_of,
    cover,
    enrollee,
    insured_id,
    next_version,
    person,
)

LINES = [RefusedLine(2, "name", "ITEM_MISSING"), RefusedLine(3, "", "LINE_BROKEN")]


@pytest_asyncio.fixture(params=["sqlite", "postgres"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[StepStore]:
    """A fresh store of either engine."""
    if request.param == "sqlite":
        migrate(tmp_path / "gateway.db", encode_coverage)
        opened: StepStore = SqliteStore(tmp_path / "gateway.db", encode_coverage)
        yield opened
        await opened.close()
        return
    async with postgres.database() as url:
        opened = await postgres_cluster.elected(url, encode_coverage, "a test")
        yield opened
        await opened.close()


def rows_of(done: Disposal, code: str) -> dict[str, int]:
    """What went of a class."""
    return next(one.rows for one in done.removed if one.code == code)


async def put_upload(store: StepStore, number: int, at: int) -> Upload:
    """An applied upload with refused lines."""
    upload = replace(applied(an_upload(number), at), lines_refused=len(LINES))
    await store.commit(Batch(Instant(at), upload=upload, refused_lines=LINES))
    return upload


async def test_lists_of_uploads_applied_before_go_whole(store: StepStore) -> None:
    """Lists go with their uploads' time; the uploads stay, and it is told that a list is gone."""
    old, new = await put_upload(store, 1, 1_000), await put_upload(store, 2, 2_000)
    done = await disposed(store, order_of(1, 1_500), MemoryAccesses())
    assert rows_of(done, REFUSED_LINES) == {"refused_lines": 2}
    assert [await are_lines_disposed(one, store) for one in (old, new)] == [True, False]
    assert list(await store.refused_lines(old.upload_key, 9)) == []
    assert list(await store.refused_lines(new.upload_key, 9)) == LINES
    assert await store.upload(old.upload_key) == old


def check_of(number: int, at: int, state: CheckState = CheckState.REPLACED) -> NumberCheck:
    """A check of an enrollee's number."""
    return NumberCheck(enrollee(number), Instant(at), INSURER, person(number), UPLOAD_KEY, 2, state)


async def test_the_last_check_of_an_enrollee_stays(store: StepStore) -> None:
    """Of several checks the older ones go once they are done; what waits is never touched."""
    checks = [
        check_of(1, 1_000),
        check_of(1, 1_100, CheckState.NOT_FOUND),
        check_of(1, 1_200),
        check_of(2, 1_000, CheckState.RECEIVED),
        check_of(2, 1_100),
        check_of(3, 1_400),
        check_of(3, 1_600),
        check_of(3, 1_700),
    ]
    await store.commit(Batch(Instant(2_000), checks=checks))
    done = await disposed(store, order_of(1, 1_500), MemoryAccesses())
    assert rows_of(done, NUMBER_CHECKS) == {"number_checks": 3}
    assert list(await store.checks_received(9)) == [checks[3]]
    again = await disposed(store, order_of(2, 1_650), MemoryAccesses())
    assert rows_of(again, NUMBER_CHECKS) == {"number_checks": 1}


async def three_versions(store: StepStore, change_at: int | None = None) -> None:
    """A cover with versions of 1,000, 2,000 and 3,000; the change at one of them is told of."""
    last = cover(recorded=1_000)
    for now in (1_000, 2_000, 3_000):
        last = last if now == 1_000 else next_version(last, now, "乙")
        before = await store.load([], [person(1)])
        enrolment = Enrolment(enrollee(1), is_numbered=True, covers=(last,))
        batch = batch_of(before, [(person(1), enrolment)], Instant(now))
        if now == change_at:
            kinds = ChangeKind.CHANGED.value
            batch.changes.append(
                EnrolleeChange(enrollee(1), INSURER, person(1), kinds, 1, last.version_no)
            )
        await store.commit(batch)


async def test_what_the_newest_event_names_stays(store: StepStore) -> None:
    """An insurer's newest event is kept for its number, and its version with it."""
    await three_versions(store, change_at=1_000)
    done = await disposed(store, order_of(1, 3_000), MemoryAccesses())
    assert rows_of(done, SUPERSEDED)["cover_versions"] == 1
    facts = await store.facts_of_person(person(1), 9, 9)
    assert [one.coverage.version_no for one in facts.versions] == [1, 3]


async def test_an_explanation_says_that_older_versions_are_gone(store: StepStore) -> None:
    """Before a disposal nothing is left out; after it that is told."""
    await three_versions(store)
    asked = insured_id().lookup_key, BIRTH_DATE, None, 9, 9
    told: list[Facts] = [await store.facts_of(*asked)]
    await disposed(store, order_of(1, 3_000), MemoryAccesses())
    told.append(await store.facts_of(*asked))
    assert [len(one.versions) for one in told] == [3, 1]
    assert [one.is_cut for one in told] == [False, True]


async def test_nothing_later_than_is_known_or_needed_is_refused(store: StepStore) -> None:
    """
    The instant is no later than the last recorded time, nor than what is still to be told.

    An answer of now is as of the last recorded time; it must be answered again after a disposal.
    """
    await three_versions(store)
    waiting = disposer_of(store, MemoryAccesses(), PACE, horizon=Instant(2_500))
    done = await waiting.dispose(order_of(1, LATER), asyncio.Event())
    assert done is not None
    assert done.before(SUPERSEDED) == 2_500 == await store.disposed_before()
    again = await disposed(store, order_of(2, LATER), MemoryAccesses())
    assert again.before(SUPERSEDED) == 3_000 == await store.disposed_before()


async def test_a_dry_run_counts_what_then_goes_and_the_same_order_is_done_once(
    store: StepStore,
) -> None:
    """Counting changes nothing; the order carried out again gives its certificate again."""
    await three_versions(store)
    order, accesses = order_of(1, 2_500), MemoryAccesses()
    counted = await count_due(store, AT_ONCE, order, LATER)
    assert await store.disposed_before() == 0
    assert list(await store.disposals()) == []
    done = await disposed(store, order, accesses)
    assert rows_of(counted, SUPERSEDED)["cover_versions"] == 1
    assert rows_of(done, SUPERSEDED)["cover_versions"] == 1
    assert await disposed(store, order, accesses) == done
    assert ended(await store.disposals()) == [done]
    assert [record.detail for record in accesses.records] == ["1"]
    second = await disposed(store, order_of(2, 2_500), accesses)
    assert [one.digest for one in second.removed] == ["", "", ""]


async def test_a_denied_order_moves_nothing(store: StepStore) -> None:
    """Before its purpose is in force a disposal is denied and recorded; the store is as it was."""
    await three_versions(store)
    accesses = MemoryAccesses()
    early = disposer_of(store, accesses, PACE)
    denied = Disposer(
        early._store,
        early._desk,
        early._door,
        AT_ONCE,
        lambda: Instant(1_000),
        early._horizon,
        PACE,
    )
    with pytest.raises(NotPermitted, match="PURPOSE_NOT_IN_FORCE"):
        await denied.dispose(order_of(1, 3_000), asyncio.Event())
    assert [record.outcome for record in accesses.records] == ["DENIED"]
    assert await store.disposed_before() == 0
    assert list(await store.disposals()) == []

"""The PostgreSQL store keeps the contract, on a real server that may go away."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import asyncpg
import pytest
import pytest_asyncio
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy.ext.asyncio import create_async_engine

from gateway.domain.errors import Unavailable
from gateway.domain.period import Instant
from gateway.store import postgres_cluster, sql, sql_feed
from gateway.store.migrate_postgres import migrate_postgres
from gateway.store.port import Batch
from gateway.store.postgres import PostgresReader, PostgresStore
from gateway.store.postgres_pool import Inserted, inserted, spelled, spelled_for_all
from gateway.store.records import StoreTooNew, StoreTooOld, encode_coverage
from gateway.store.schema import metadata_of
from loadtests.postgres_place import running
from tests.store import postgres
from tests.store.batches import BIRTH_DATE, cover, enrollee, matching, person, put
from tests.store.conformance import KEY, StoreTests


@pytest_asyncio.fixture
async def url() -> AsyncIterator[str]:
    """A fresh database."""
    async with postgres.database() as found:
        yield found


@pytest_asyncio.fixture
async def store(url: str) -> AsyncIterator[PostgresStore]:
    """A fresh store."""
    opened = await postgres_cluster.elected(url, encode_coverage, "a test")
    yield opened
    await opened.close()


class TestPostgresStore(StoreTests):
    """The contract."""


async def changed_by(url: str, statement: str) -> None:
    """Change a database behind the gateway's back."""
    connection = await asyncpg.connect(url)
    await connection.execute(statement)
    await connection.close()


async def test_what_was_committed_is_there_after_reopening(url: str) -> None:
    """Covers and the last instant outlive the connections."""
    store = await PostgresStore.elected(url, encode_coverage, "a test")
    await put(store, person(1), enrollee(1), cover())
    await store.close()
    reader = await PostgresReader.opened(url, encode_coverage)
    assert len(await matching(reader, KEY, BIRTH_DATE, 9)) == 1
    await reader.close()


async def test_the_schema_is_what_migrations_make(url: str) -> None:
    """Nothing of the metadata is missing in the database, and nothing else is there."""
    engine = create_async_engine(url.replace("postgresql:", "postgresql+asyncpg:"))

    def differences(connection: sa.Connection) -> list[object]:
        context = MigrationContext.configure(connection, opts={"include_schemas": True})
        return compare_metadata(context, metadata_of("postgresql"))

    async with engine.connect() as connection:
        assert not await connection.run_sync(differences)
    await engine.dispose()


async def test_a_database_without_tables_must_be_migrated() -> None:
    """It is refused, not filled in passing."""
    with pytest.raises(StoreTooOld, match="migrate first"):
        await PostgresReader.opened(postgres.server().url(), encode_coverage)


async def test_a_database_of_another_form_is_refused(url: str) -> None:
    """One with an older projection must be migrated, one of a newer gateway left alone."""
    await changed_by(url, "UPDATE meta SET projection_format = 0")
    with pytest.raises(StoreTooOld):
        await PostgresReader.opened(url, encode_coverage)
    await migrate_postgres(url, encode_coverage)
    await (await PostgresReader.opened(url, encode_coverage)).close()
    await changed_by(url, "UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(StoreTooNew, match="9999"):
        await PostgresReader.opened(url, encode_coverage)
    with pytest.raises(StoreTooNew, match="9999"):
        await migrate_postgres(url, encode_coverage)


async def test_projections_are_rebuilt_from_the_facts(url: str) -> None:
    """A person whose projection is of an older form answers as before once it is migrated."""
    store = await PostgresStore.elected(url, encode_coverage, "a test")
    await put(store, person(1), enrollee(1), cover())
    before = await store.history_of(person(1))
    await store.close()
    await changed_by(url, "UPDATE people SET history = '', compact = ''")
    await changed_by(url, "UPDATE meta SET projection_format = 0")
    await migrate_postgres(url, encode_coverage)
    reader = await PostgresReader.opened(url, encode_coverage)
    assert before == await reader.history_of(person(1))
    assert len(await matching(reader, KEY, BIRTH_DATE, 9)) == 1
    await reader.close()


async def test_several_may_migrate_at_once() -> None:
    """One does it and the others wait."""
    server = postgres.server()
    await changed_by(server.url(), "CREATE DATABASE migrated_by_several")
    url = server.url("migrated_by_several")
    await asyncio.gather(*(migrate_postgres(url, encode_coverage) for _ in range(3)))
    await (await PostgresReader.opened(url, encode_coverage)).close()
    await postgres.dropped(url)


async def test_a_server_that_went_away_is_unavailable_until_it_is_back() -> None:
    """What was committed before it was killed is there again, over the same store."""
    with running() as server:
        await migrate_postgres(server.url(), encode_coverage)
        store = await PostgresStore.elected(server.url(), encode_coverage, "a test")
        await put(store, person(1), enrollee(1), cover())
        server.kill()
        for _ in range(2):
            with pytest.raises(Unavailable, match="STORE_UNAVAILABLE"):
                await store.matching(KEY, BIRTH_DATE, 9)
            with pytest.raises(Unavailable, match="STORE_UNAVAILABLE"):
                await store.matching_known_at(KEY, BIRTH_DATE, Instant(9_999), 9)
            with pytest.raises(Unavailable, match="STORE_UNAVAILABLE"):
                await store.commit(Batch(Instant(2_000)))
        await asyncio.to_thread(server.start)
        assert len(await matching(store, KEY, BIRTH_DATE, 9)) == 1
        await store.commit(Batch(Instant(3_000)))
        assert await store.last_recorded_time() == 3_000
        await store.close()


async def test_a_server_that_is_not_there_is_unavailable() -> None:
    """It is told when the store is opened, and when it is migrated."""
    url = "postgresql://onshi@127.0.0.1:1/nowhere"
    with pytest.raises(Unavailable, match="STORE_UNAVAILABLE"):
        await PostgresReader.opened(url, encode_coverage)
    with pytest.raises(Unavailable, match="STORE_UNAVAILABLE"):
        await migrate_postgres(url, encode_coverage)


async def test_one_writes_and_the_other_waits(url: str) -> None:
    """A second writer is told that it waits, and takes over once the first is gone."""
    first = await PostgresStore.elected(url, encode_coverage, "first")
    waiting = asyncio.Event()
    second = asyncio.create_task(PostgresStore.elected(url, encode_coverage, "second", waiting.set))
    await asyncio.wait_for(waiting.wait(), 30)
    await put(first, person(1), enrollee(1), cover())
    assert not second.done()
    await first.close()
    taken_over = await asyncio.wait_for(second, 30)
    assert await taken_over.last_recorded_time() == 1_000
    await taken_over.close()


async def cut(url: str) -> None:
    """Have the server end the writer's connection."""
    await changed_by(
        url,
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        "WHERE application_name = 'onshi-writer' AND datname = current_database()",
    )


async def test_a_writer_whose_connection_broke_goes_on_if_nobody_wrote(url: str) -> None:
    """It takes the lock again and is still who wrote last."""
    store = await PostgresStore.elected(url, encode_coverage, "first")
    await put(store, person(1), enrollee(1), cover())
    await cut(url)
    await retried(lambda: store.commit(Batch(Instant(2_000))))
    assert await store.last_recorded_time() == 2_000
    assert not store.deposed.is_set()
    await store.close()


async def retried(work: Callable[[], Awaitable[None]]) -> None:
    """Do it again while the store is away, as a writer does."""
    for _ in range(100):
        try:
            return await work()
        except Unavailable:
            await asyncio.sleep(0.05)
    raise AssertionError("it did not come back")


async def test_a_writer_that_was_replaced_never_writes_again(url: str) -> None:
    """Neither while the other has the lock, nor when it is free again."""
    old = await PostgresStore.elected(url, encode_coverage, "old")
    waiting = asyncio.Event()
    opening = asyncio.create_task(PostgresStore.elected(url, encode_coverage, "new", waiting.set))
    await asyncio.wait_for(waiting.wait(), 30)
    await cut(url)
    new = await asyncio.wait_for(opening, 30)
    with pytest.raises(Unavailable):
        await old.commit(Batch(Instant(2_000)))
    await new.commit(Batch(Instant(3_000)))
    await new.close()
    for _ in range(3):
        with pytest.raises(Unavailable):
            await old.commit(Batch(Instant(4_000)))
        await asyncio.sleep(0.1)
    assert old.deposed.is_set()
    await old.close()
    fresh = await PostgresStore.elected(url, encode_coverage, "fresh")
    assert await fresh.last_recorded_time() == 3_000
    await fresh.close()


async def test_a_commit_that_fails_half_way_writes_nothing(url: str, store: PostgresStore) -> None:
    """A batch is one transaction: its first rows are gone with its last."""
    await put(store, person(1), enrollee(1), cover())
    await changed_by(url, "ALTER TABLE meta ADD CONSTRAINT early CHECK (last_recorded_time < 2000)")
    with pytest.raises(asyncpg.CheckViolationError):
        await put(store, person(2), enrollee(2), cover(recorded=3_000), now=3_000)
    assert await store.history_of(person(2)) is None


async def test_cancelled_work_gives_its_connection_back(store: PostgresStore) -> None:
    """However often a caller goes away in the middle, the store goes on."""
    for _ in range(20):
        task = asyncio.create_task(store.matching_known_at(KEY, BIRTH_DATE, Instant(9), 9))
        await asyncio.sleep(0.001)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert not await store.matching(KEY, BIRTH_DATE, 9)


def test_placeholders_are_numbered() -> None:
    """In their order, or as the statement numbers them itself."""
    assert spelled("a = ? AND b = ?") == "a = $1 AND b = $2"
    assert "$1" in spelled(sql_feed.CHANGE_ENDS)
    assert "?" not in spelled(sql_feed.CHANGE_ENDS)


def test_a_comparison_with_one_value_takes_many_at_once() -> None:
    """Not so where there are several values, or a limit for each."""
    assert spelled_for_all(sql.HISTORY) == sql.HISTORY.replace("= ?", "= ANY($1)")
    assert spelled_for_all(sql.LINKS_KNOWN_AT) is None
    assert spelled_for_all(sql.LAST_CHECK) is None


def test_rows_are_inserted_by_columns() -> None:
    """Of rows that meet in a conflict the last is left; else all are."""
    statement = "INSERT INTO t (a, b, c) VALUES (?, ?, ?) ON CONFLICT (b, a) DO UPDATE SET c = 1"
    insert = inserted(statement, ["int4", "text", "bytea"])
    assert insert == Inserted(
        "INSERT INTO t (a, b, c) SELECT * FROM unnest($1::int4[], $2::text[], $3::bytea[]) "
        " ON CONFLICT (b, a) DO UPDATE SET c = 1",
        (1, 0),
    )
    rows = [(1, "x", b"1"), (2, "x", b"2"), (1, "x", b"3")]
    assert insert.columns(rows) == [(1, 2), ("x", "x"), (b"3", b"2")]
    plain = inserted("INSERT INTO t (a) VALUES (?)", ["int4"])
    assert plain.columns([(1,), (1,)]) == [(1, 1)]

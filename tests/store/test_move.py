"""A round of a move makes two databases the same, whatever they held, from either engine."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
import sqlalchemy as sa

from gateway.domain.identifiers import LookupKey
from gateway.store import move_round, schema, sql_move
from gateway.store.migrate import migrate
from gateway.store.migrate_postgres import migrate_postgres
from gateway.store.move import PostgresSide, Side, SqliteSide
from gateway.store.move_round import NotKeptError, Round, round_of
from gateway.store.move_sample import Difference, counted, sampled
from gateway.store.postgres import PostgresReader, PostgresStore
from gateway.store.records import PROJECTION_FORMAT, StoreTooNew, encode_coverage
from gateway.store.schema import METADATA, SERVER_METADATA
from gateway.store.sql_move import META_COLUMNS, TABLES, MovedTable
from gateway.store.sqlite import SqliteReader, SqliteStore
from gateway.store.steps import Row
from tests.store import postgres
from tests.store.batches import cover, enrollee, insured_id, person, put

SEEDS = range(6)
TEXTS = ("", "甲", "é", "Z", "z", "～𠮷", "06139992")


def unheard(count: int) -> None:
    """Nobody asks how far it is."""


@pytest_asyncio.fixture
async def file_side(tmp_path: Path) -> AsyncIterator[SqliteSide]:
    """An empty SQLite database."""
    side = SqliteSide.target(tmp_path / "gateway.db", encode_coverage)
    yield side
    await side.close()


@pytest_asyncio.fixture
async def server_side() -> AsyncIterator[PostgresSide]:
    """An empty PostgreSQL database."""
    async with postgres.database() as url:
        side = await PostgresSide.opened(url, encode_coverage)
        yield side
        await side.close()


def value_of(column: sa.Column[object], drawn: random.Random) -> object:
    """Draw a value a column can hold; few values for keys, so that rows meet."""
    if column.nullable and drawn.random() < 0.3:
        return None
    if isinstance(column.type, sa.LargeBinary):
        return bytes([drawn.choice((0, 1, 127, 128, 255))]) * drawn.choice((0, 1, 16))
    if isinstance(column.type, sa.BigInteger):
        return drawn.choice((-1, 0, 7, 2**62))
    if isinstance(column.type, sa.Integer):
        return drawn.choice((0, 1, 2, 2**31 - 1))
    return drawn.choice(TEXTS)


def rows_of(table: MovedTable, drawn: random.Random, count: int) -> list[Row]:
    """Draw rows with different keys."""
    whole = {**METADATA.tables, **SERVER_METADATA.tables}
    columns = whole[f"{table.schema}.{table.name}" if table.schema else table.name].columns
    rows = (tuple(value_of(column, drawn) for column in columns) for _ in range(count))
    return list({tuple(row[at] for at in table.key_at): row for row in rows}.values())


async def everything(side: Side) -> dict[str, list[Row]]:
    """Give every row of every table, in no particular order of the engine's."""
    return {
        table.name: sorted(
            await side.fetch(f"SELECT {', '.join(table.columns)} FROM {table.quoted}"),  # noqa: S608
            key=repr,
        )
        for table in TABLES
    }


async def filled(side: Side, drawn: random.Random, count: int) -> None:
    """Put drawn rows into every table that holds none yet."""
    for table in TABLES:
        await side.replace(table, [], rows_of(table, drawn, count))


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("is_to_server", [True, False])
async def test_a_round_makes_any_two_databases_the_same(
    seed: int,
    is_to_server: bool,  # noqa: FBT001  a parameter of the test
    file_side: SqliteSide,
    server_side: PostgresSide,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Rows come, change and go in each table; pages of a few rows end anywhere."""
    drawn = random.Random(seed)  # noqa: S311  values of a test
    monkeypatch.setattr(move_round, "PAGE_ROWS", drawn.choice((1, 2, 3, 7, 50)))
    sides: list[Side] = [file_side, server_side]
    source, target = sides if is_to_server else reversed(sides)
    await filled(source, drawn, drawn.choice((0, 5, 25)))
    await filled(target, drawn, drawn.choice((0, 5, 25)))
    expected = await everything(source)
    await round_of(source, target, unheard, is_reread=True)
    assert expected == await everything(target)
    assert expected == await everything(source)
    rows = sum(map(len, expected.values()))
    assert Round(compared=rows) == await round_of(source, target, unheard)


async def test_a_round_writes_only_what_differs(
    file_side: SqliteSide, server_side: PostgresSide
) -> None:
    """One row changed, one new, one gone: two are written, one is removed."""
    table = next(table for table in TABLES if table.name == "enrollees")
    old = [(bytes([n]) * 16, "06139992") for n in range(10)]
    await server_side.replace(table, [], old)
    await file_side.replace(table, [], [*old[1:9], (b"\x09" * 16, "01130012"), (b"z", "")])
    done = await round_of(file_side, server_side, unheard)
    assert Round(compared=10, written=2, removed=1) == done


async def test_what_is_not_kept_is_noticed(
    file_side: SqliteSide, server_side: PostgresSide, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A side that takes rows and does not give them back is not believed."""
    drawn = random.Random(1)  # noqa: S311  values of a test
    await filled(file_side, drawn, 5)

    async def lost(table: MovedTable, gone: list[Row], rows: list[Row]) -> None:
        """Do nothing."""

    monkeypatch.setattr(server_side, "replace", lost)
    with pytest.raises(NotKeptError):
        await round_of(file_side, server_side, unheard, is_reread=True)


def test_every_table_of_either_engine_moves_but_meta() -> None:
    """A new table is moved without a word about it; what only a server has is made there anew."""
    known = {
        name
        for value in vars(schema).values()
        if isinstance(value, sa.MetaData)
        for name in value.tables
    }
    assert {f"{one.schema}.{one.name}" if one.schema else one.name for one in TABLES} == known - {
        "meta",
        "spool_chunks",
        "key_names",
    }
    assert all(table.key for table in TABLES)


async def test_a_database_being_filled_serves_nobody(
    tmp_path: Path, server_side: PostgresSide, file_side: SqliteSide
) -> None:
    """Readers and migrations refuse it until it is sealed; then readers take it."""
    url, file = server_side._url, tmp_path / "gateway.db"
    for side in (server_side, file_side):
        await side.begin("this move")
        assert await side.token() == "this move"
    with pytest.raises(StoreTooNew, match="has not ended"):
        await PostgresReader.opened(url, encode_coverage)
    with pytest.raises(StoreTooNew, match="has not ended"):
        SqliteReader(file, encode_coverage)
    with pytest.raises(StoreTooNew, match="has not ended"):
        await migrate_postgres(url, encode_coverage)
    with pytest.raises(StoreTooNew, match="has not ended"):
        migrate(file, encode_coverage)
    for side in (server_side, file_side):
        meta = dict(zip(META_COLUMNS, await side.meta(), strict=True))
        meta |= {"projection_format": PROJECTION_FORMAT, "last_recorded_time": 7}
        await side.seal(tuple(meta.values()))
        await side.forget()
        assert await side.token() is None
        assert await side.meta() == tuple(meta.values())
    await (await PostgresReader.opened(url, encode_coverage)).close()
    await SqliteReader(file, encode_coverage).close()


@pytest_asyncio.fixture
async def people(tmp_path: Path, file_side: SqliteSide) -> LookupKey:
    """Have three people in the file; give the key of one."""
    store = SqliteStore(tmp_path / "gateway.db", encode_coverage)
    for number in range(1, 4):
        of = insured_id(number=str(number))
        await put(
            store,
            person(number),
            enrollee(number),
            cover(of, recorded=1_000 * number),
            now=1_000 * number,
        )
    await store.close()
    return insured_id(number="2").lookup_key


async def test_the_same_is_answered_the_same(
    people: LookupKey, file_side: SqliteSide, server_side: PostgresSide
) -> None:
    """After a round nothing differs: three questions for each enrollee that is drawn."""
    await round_of(file_side, server_side, unheard)
    checked = await sampled(file_side, server_side, range(9), "seed", unheard)
    assert checked.asked == 27
    assert not checked.differences
    assert not await counted(file_side, server_side)


async def test_planted_differences_are_found(
    people: LookupKey, file_side: SqliteSide, server_side: PostgresSide
) -> None:
    """A row dropped is found by counting, a person's row and a past version by asking."""
    await round_of(file_side, server_side, unheard)
    await server_side._connection.execute("DELETE FROM people WHERE person_key = $1", person(2))
    await server_side._connection.execute(
        "UPDATE cover_versions SET recorded_time = recorded_time + 1 WHERE enrollee_key = $1",
        enrollee(1),
    )
    assert Difference("people") in await counted(file_side, server_side)
    checked = await sampled(file_side, server_side, range(400), "seed", unheard)
    assert 0 < len(checked.numbers) <= 400
    found = {(one.what, one.key) for one in checked.differences}
    assert ("lookup", people.hex()) in found
    assert ("history", people.hex()) in found
    assert "lookup as of then" in {what for what, _ in found}


async def test_the_source_tells_that_somebody_wrote(
    tmp_path: Path, people: LookupKey, file_side: SqliteSide
) -> None:
    """The stamp of a file changes with a commit over another connection, and only then."""
    before = await file_side.stamp()
    assert before == await file_side.stamp()
    store = SqliteStore(tmp_path / "gateway.db", encode_coverage)
    await put(
        store, person(9), enrollee(9), cover(insured_id(number="9"), recorded=9_000), now=9_000
    )
    await store.close()
    assert before != await file_side.stamp()


async def test_a_side_keeps_writers_of_other_machines_away(server_side: PostgresSide) -> None:
    """It cannot while one writes; once it does, no writer is elected until it is closed."""
    store = await PostgresStore.elected(server_side._url, encode_coverage, "first")
    assert not await server_side.held()
    await store.close()
    while not await server_side.held():  # noqa: ASYNC110  the server tells nobody
        await asyncio.sleep(0.01)
    waiting = asyncio.Event()
    second = asyncio.create_task(
        PostgresStore.elected(server_side._url, encode_coverage, "second", waiting.set)
    )
    await waiting.wait()
    assert not second.done()
    await server_side.close()
    await (await second).close()


def test_names_that_are_words_of_an_engine_are_quoted() -> None:
    """One table is called what PostgreSQL keeps for itself."""
    table = next(table for table in TABLES if table.name == "overlaps")
    assert 'FROM "overlaps"' in sql_move.count(table)

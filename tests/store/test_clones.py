"""Copies of a block of people are what the gateway would have written of other people."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from itertools import count, pairwise
from pathlib import Path

import pytest

from gateway.domain.compact import CompactHistory
from gateway.domain.period import Instant
from gateway.edges.rpc.convert import sheet
from gateway.store.migrate import migrate
from gateway.store.port_answers import Answering
from gateway.store.postgres import PostgresReader
from gateway.store.sqlite import SqliteReader, SqliteStore
from gateway.store.sqlite_vault import SqliteVault
from gateway.usecases.desk import Desk
from loadtests.clone_world import Nation, fill_file, fill_server
from loadtests.clones import WHOLE, Block
from loadtests.nation_store import pour
from tests.store import postgres

PEOPLE, COPIES = 60, 5
NOW = Instant(int(datetime(2026, 11, 1, tzinfo=UTC).timestamp()) * 1_000_000)


@pytest.fixture(scope="module")
def nation() -> Nation:
    """A few households."""
    return Nation(PEOPLE)


@pytest.fixture(scope="module")
def block(nation: Nation, tmp_path_factory: pytest.TempPathFactory) -> Block:
    """Registered at the desk, ready to be copied."""
    folder = tmp_path_factory.mktemp("block")
    database = folder / "gateway.db"
    migrate(database, sheet)
    # Keys begin with the time, and end with what is no other's.
    keys = ((NOW // 1_000 + one).to_bytes(6) + one.to_bytes(10) for one in count())

    async def register() -> None:
        store = SqliteStore(database, sheet)
        vault = SqliteVault(folder / "vault.db", folder / "vault.keys")
        desk = Desk(store, vault, keys.__next__, lambda: NOW)
        _, refused = await pour(iter(nation.rows), store, desk, "block")
        assert refused == 0
        await vault.close()
        await store.close()

    asyncio.run(register())
    return Block(database, nation.numbers, COPIES)


async def found(store: Answering, nation: Nation, block: Block) -> dict[str, CompactHistory]:
    """Whom a store knows by the number of each copy of each id, by number and birth date."""
    people = {}
    for own, birth_date in nation.ids:
        for copy in range(COPIES):
            asked = block.id_of(own, copy)
            last = await store.matching_last(asked.lookup_key, birth_date, 5)
            (people[f"{asked} {birth_date}"],) = last.people
    return people


@pytest.mark.parametrize("copy", range(COPIES))
def test_a_copy_is_what_the_gateway_makes_of_its_values(block: Block, copy: int) -> None:
    """Each person's rows are the same as the gateway's own code spells the changed values."""
    assert block.wrong(copy, sheet) == 0


def test_a_copy_that_is_spelled_otherwise_is_noticed(block: Block) -> None:
    """Everybody counts whose sheets are not as the gateway renders them."""
    enrolled = sum(bool(one.enrolments) for one in block.histories)
    assert block.wrong(1, lambda *_: b"another") == enrolled


def test_copies_share_no_key_number_or_instant(block: Block) -> None:
    """No two copies have a key in common, and each is wholly earlier than the one before it."""
    rows = [block.copy(number) for number in range(COPIES)]
    for table, at in (("people", 0), ("enrollees", 0), ("lookups", 0)):
        sets = [{row[at] for row in one[table]} for one in rows]
        assert sum(map(len, sets)) == len(set.union(*sets)) > 0
    times = [[row[3] for row in one["cover_versions"]] for one in rows]
    assert all(max(later) < min(now) for now, later in pairwise(times))


def test_a_number_of_too_few_digits_is_not_made(block: Block, nation: Nation) -> None:
    """More copies than numbers of a length are refused, not cut off."""
    number = next(iter(nation.numbers))
    with pytest.raises(ValueError, match="too many copies"):
        block.number(number, 10 ** len(number))


@pytest.mark.asyncio
async def test_both_engines_know_everybody_of_every_copy(
    block: Block, nation: Nation, tmp_path: Path
) -> None:
    """Each copy's number leads to its own person, the same on either engine."""
    path = tmp_path / "gateway.db"
    heard: list[int] = []
    fill_file(path, block, heard.append)
    file = SqliteReader(path, sheet)
    async with postgres.database() as url:
        await fill_server(url, block, heard.append, is_new=False)
        server = await PostgresReader.opened(url, sheet)
        by_file, by_server = [await found(one, nation, block) for one in (file, server)]
        await server.close()
    await file.close()
    assert by_file == by_server
    assert len({one.person_key for one in by_file.values()}) == block.people * COPIES
    assert heard[-1] == block.people * COPIES


def test_what_belongs_to_nobody_is_kept_once(block: Block) -> None:
    """The one row of meta is not copied, nor are uploads."""
    assert len(block.kept["meta"]) == 1
    assert WHOLE.isdisjoint(name for name, rows in block.copy(1).items() if rows)

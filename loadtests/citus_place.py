"""A cluster's database as `citus_run` uses it: emptied, filled, and asked what lies where."""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from collections.abc import Sequence
from contextlib import closing
from datetime import date
from hashlib import blake2b
from itertools import count
from pathlib import Path
from typing import Final, NamedTuple

import asyncpg
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from gateway.domain.card import CardKey
from gateway.domain.identifiers import LookupKey, PersonKey
from gateway.domain.period import Instant
from gateway.edges.rpc.convert import sheet
from gateway.store import postgres_cluster
from gateway.store.by_steps import StepStore
from gateway.store.memory import MemoryVault
from gateway.store.migrate import migrate
from gateway.store.port import Batch, NewCard
from gateway.store.schema import metadata_of
from gateway.store.sqlite import SqliteStore
from gateway.usecases.desk import Desk
from loadtests.nation_store import pour
from loadtests.scale_bytes import AS_OF, NOW
from simulators.nation.covers import households
from simulators.nation.rows import rows_of

CARDS_AT_ONCE: Final = 1_000

NEW_META: Final = """
UPDATE meta SET last_recorded_time = 0, writer_life = '', disposed_before = 0,
    lines_disposed_before = 0, announced_time = 0
"""
HOLDS_ANYTHING: Final = "SELECT 1 FROM enrollees LIMIT 1"
LOOKUPS: Final = "SELECT lookup_key, birth_date, person_key FROM lookups"
PLACE: Final = """
SELECT node.nodename || ':' || node.nodeport
FROM pg_dist_placement AS placement JOIN pg_dist_node AS node USING (groupid)
WHERE placement.shardid = get_shard_id_for_distribution_column($1::text::regclass, $2::bytea)
AND node.noderole = 'primary'
"""
ANSWERING: Final = """
SELECT nodename || ':' || nodeport, success FROM run_command_on_workers('SELECT 1')
"""


class Question(NamedTuple):
    """A lookup by number, with whom it may find; or by card."""

    key: LookupKey | CardKey
    birth_date: date | None
    """None if it is by card."""
    people: frozenset[PersonKey]


async def emptied(url: str) -> None:
    """Leave no row in a database's tables, and `meta` as the migration made it."""
    tables = [one for one in metadata_of("postgresql").sorted_tables if one.name != "meta"]
    connection = await asyncpg.connect(url)
    try:
        for table in tables:
            statement = sa.delete(table).compile(dialect=postgresql.dialect())  # type: ignore[no-untyped-call]
            await connection.execute(str(statement))
        await connection.execute(NEW_META)
    finally:
        await connection.close()


async def holds_anything(url: str) -> bool:
    """Whether a migrated database holds enrollees."""
    connection = await asyncpg.connect(url)
    try:
        return bool(await connection.fetch(HOLDS_ANYTHING))
    finally:
        await connection.close()


async def filled(url: str, file: Path, people: int, seed: int) -> tuple[int, list[Question]]:
    """
    Register the same people and cards in an empty cluster and in a file; give lines and questions.

    The file is what the cluster is compared with: its store is held to the same contract.
    """
    migrate(file, sheet)
    ours = SqliteStore(file, sheet)
    theirs = await postgres_cluster.elected(url, sheet, "citus_run")
    try:
        lines = await _poured(ours, people, seed)
        assert lines == await _poured(theirs, people, seed)
        questions = _questions(file)
        cards = [
            NewCard(CardKey(one.key), min(one.people))
            for one in questions
            if one.birth_date is None
        ]
        for first in range(0, len(cards), CARDS_AT_ONCE):
            now = Instant(await ours.last_recorded_time() + 1)
            for store in (ours, theirs):
                await store.commit(Batch(now, cards=cards[first : first + CARDS_AT_ONCE]))
    finally:
        await theirs.close()
        await ours.close()
    return lines, questions


async def _poured(store: StepStore, people: int, seed: int) -> int:
    keys = (number.to_bytes(8) + number.to_bytes(8) for number in count(1))
    desk = Desk(store, MemoryVault(), keys.__next__, lambda: NOW)
    rows = (row for home in households(seed, people, AS_OF) for row in rows_of(home, AS_OF))
    applied, refused = await pour(rows, store, desk, "nation")
    assert not refused
    return applied


def _questions(file: Path) -> list[Question]:
    """Every number and birth date there is, and a card for each person."""
    asked: dict[tuple[bytes, str], set[PersonKey]] = defaultdict(set)
    with closing(sqlite3.connect(file)) as connection:
        for key, birth_date, person_key in connection.execute(LOOKUPS):
            asked[key, birth_date].add(person_key)
    by_number = [
        Question(LookupKey(key), date.fromisoformat(birth_date), frozenset(people))
        for (key, birth_date), people in asked.items()
    ]
    everybody = sorted({person_key for one in by_number for person_key in one.people})
    by_card = [Question(CardKey(_card_of(one)), None, frozenset({one})) for one in everybody]
    return [*by_number, *by_card]


def _card_of(person_key: PersonKey) -> bytes:
    return blake2b(b"card" + person_key, digest_size=16).digest()


async def places_of(url: str, questions: Sequence[Question]) -> list[frozenset[str]]:
    """On which workers the rows of each question lie, as the coordinator says, key by key."""
    connection = await asyncpg.connect(url)
    found: dict[tuple[str, bytes], str] = {}

    async def place(table: str, key: bytes) -> str:
        if (table, key) not in found:
            found[table, key] = await connection.fetchval(PLACE, table, key)
        return found[table, key]

    try:
        return [
            frozenset(
                [
                    await place("cards" if one.birth_date is None else "lookups", one.key),
                    *[await place("people", person_key) for person_key in one.people],
                ]
            )
            for one in questions
        ]
    finally:
        await connection.close()


async def away(url: str) -> frozenset[str]:
    """The workers that do not answer the coordinator."""
    connection = await asyncpg.connect(url)
    try:
        rows = await connection.fetch(ANSWERING)
    finally:
        await connection.close()
    return frozenset(place for place, is_there in rows if not is_there)

"""A replica answers lookups only while it is fresh: real servers, a clock of the test's own."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from itertools import count

import asyncpg
import pytest
import pytest_asyncio

from gateway.domain.card import CardKey
from gateway.domain.errors import TooMuch, Unavailable
from gateway.domain.period import Instant
from gateway.store.migrate_postgres import migrate_postgres
from gateway.store.port import Batch, NewCard
from gateway.store.postgres import READ_PLACES, PostgresStore
from gateway.store.postgres_pool import Pool
from gateway.store.postgres_replica import (
    BEHIND,
    LOOKUPS_MAX,
    NOT_A_REPLICA,
    Replica,
    ReplicaReader,
    ReplicaRules,
    Report,
)
from gateway.store.records import encode_coverage
from loadtests.postgres_place import Server, running
from loadtests.postgres_standby import Standby, standby_of
from tests.store.batches import BIRTH_DATE, cover, enrollee, insured_id, person, put

KEY = insured_id().lookup_key
CARD = CardKey(b"card------------")
BOUND_S = 1.0
TEMPLATE = "migrated"
WAIT_S = 60.0
_databases = count(1)


@dataclass
class Pair:
    """A primary and its standby, with a template database."""

    primary: Server
    standby: Standby


@pytest.fixture(scope="module")
def primary() -> Iterator[Server]:
    """A server with a migrated database to copy."""
    with running(is_synced=False) as server:

        async def prepare() -> None:
            await migrate_postgres(await server.made(TEMPLATE), encode_coverage)

        asyncio.run(prepare())
        yield server


@pytest.fixture(scope="module")
def lasting(primary: Server) -> Iterator[Pair]:
    """A standby that tests leave as they found it."""
    with standby_of(primary) as standby:
        yield Pair(primary, standby)


@dataclass
class Clock:
    """Time passes when a test says so."""

    now_s: float = 0.0

    def __call__(self) -> float:
        """The time."""
        return self.now_s


@dataclass
class World:
    """A writer, a reader beside it, and what was acknowledged."""

    store: PostgresStore
    reader: ReplicaReader
    replica: Replica
    standby: Standby
    url: str
    clock: Clock
    reports: list[Report]
    acknowledged_s: list[float] = field(default_factory=list)

    async def write(self) -> None:
        """Register one more person under the usual key; it is acknowledged now."""
        number = len(self.acknowledged_s) + 1
        now = 1_000 * number
        await put(self.store, person(number), enrollee(number), cover(recorded=now), now=now)
        self.acknowledged_s.append(self.clock.now_s)

    async def found(self) -> int:
        """How many people a lookup finds."""
        return len((await self.reader.matching_last(KEY, BIRTH_DATE, 999)).people)

    async def caught_up(self) -> None:
        """Look at both until the replica is used."""

        async def is_used() -> bool:
            await self.look()
            return self.replica._is_used

        await until(is_used)

    async def look(self) -> None:
        """Look at both."""
        await self.replica.look_at_primary()
        await self.replica.look_at_replica()

    def report(self) -> Report:
        """What became of lookups since the last time this was asked."""
        self.replica._report()
        return self.reports.pop()


async def until(is_so: Callable[[], Awaitable[bool]]) -> None:
    """Wait for something that happens soon, however slow the machine is."""
    async with asyncio.timeout(WAIT_S):
        while not await is_so():  # noqa: ASYNC110  another process's doing
            await asyncio.sleep(0.01)


async def world_of(pair: Pair) -> World:
    """A fresh database on both servers; nothing is looked at but when a test says so."""
    name = f"of_a_test_{next(_databases)}"
    url = await pair.primary.made(name, TEMPLATE)
    store = await PostgresStore.elected(url, encode_coverage, name)
    clock, reports = Clock(), list[Report]()
    rules = ReplicaRules(BOUND_S, clock, reports.append)
    reads = await Pool.opened(url, READ_PLACES, "a-test")
    replica = await Replica.opened(url, pair.standby.url(name), rules)
    reader = ReplicaReader(reads, encode_coverage, replica)
    return World(store, reader, replica, pair.standby, url, clock, reports)


@pytest_asyncio.fixture
async def world(lasting: Pair) -> AsyncIterator[World]:
    """A fresh database, whose replica is used; the standby goes on afterwards."""
    made = await world_of(lasting)
    await made.caught_up()
    made.report()
    yield made
    await made.reader.close()
    await made.store.close()
    await lasting.standby.reconnect()
    await lasting.standby.resume()


async def register(store: PostgresStore, number: int, now: int) -> None:
    """Register a card of a person."""
    await store.commit(Batch(Instant(now), cards=[NewCard(CARD, person(number))]))


async def test_a_fresh_replica_answers_lookups(world: World) -> None:
    """By number and by card, as the primary would; people over the limit are refused as there."""
    for _ in range(2):
        await world.write()
    await register(world.store, 1, 3_000)
    await until(lambda: shows(world, 3_000))
    found = await world.reader.matching_last(KEY, BIRTH_DATE, 9)
    assert found == await world.store.matching_last(KEY, BIRTH_DATE, 9)
    assert await world.reader.by_card_last(CARD) == await world.store.by_card_last(CARD)
    nobody = await world.reader.matching_last(insured_id(number="9").lookup_key, BIRTH_DATE, 9)
    assert nobody == ([], 3_000)
    with pytest.raises(TooMuch):
        await world.reader.matching_last(KEY, BIRTH_DATE, 1)
    report = world.report()
    assert (report.on_replica, report.on_primary, report.failed) == (4, 0, {})


async def shows(world: World, at: int) -> bool:
    """Whether the replica is at an instant."""
    rows = await world.replica._fetched("SELECT last_recorded_time FROM meta")
    return rows is not None and rows[0][0] == at


async def test_all_else_is_read_from_the_primary(world: World) -> None:
    """Also what finds somebody to go on with: it goes on from the newest state."""
    await world.standby.pause()
    await world.write()
    assert await world.found() == 0
    assert len(await world.reader.matching(KEY, BIRTH_DATE, 9)) == 1
    assert await world.reader.history_of(person(1)) is not None
    await register(world.store, 1, 2_000)
    holder = await world.reader.by_card(CARD)
    assert holder is not None
    assert (await world.reader.by_card_last(CARD)).holder is None


async def test_a_lookup_may_miss_a_change_for_the_bound_and_no_longer(world: World) -> None:
    """The change shows as soon as the primary told of it, and else when the bound has passed."""
    await world.standby.pause()
    await world.write()
    world.clock.now_s += BOUND_S
    assert await world.found() == 0
    world.clock.now_s += 0.001
    assert await world.found() == 1
    await world.look()
    assert await world.found() == 1
    assert world.report().failed == {BEHIND: 1}
    await world.standby.resume()
    await world.caught_up()
    assert await world.found() == 1
    assert world.report().on_replica == 1


async def test_a_replica_found_behind_is_left_alone_until_it_has_caught_up(world: World) -> None:
    """The lookup that finds it behind is answered by the primary, the next does not ask it."""
    await world.standby.pause()
    await world.write()
    world.clock.now_s += 0.5
    await world.replica.look_at_primary()
    world.clock.now_s += BOUND_S - 0.1
    assert [await world.found() for _ in range(3)] == [1, 1, 1]
    report = world.report()
    assert (report.on_replica, report.on_primary, report.failed) == (0, 3, {BEHIND: 1})


async def test_a_replica_that_dies_costs_no_answer(world: World) -> None:
    """Each lookup is asked of the primary at once; the replica is used again when it is back."""
    await world.write()
    await world.caught_up()
    await asyncio.to_thread(world.standby.kill)
    assert [await world.found() for _ in range(3)] == [1, 1, 1]
    assert world.report().on_primary == 3
    await world.replica.look_at_replica()
    assert not world.replica._is_used
    await asyncio.to_thread(world.standby.start)
    await world.caught_up()
    assert await world.found() == 1
    assert world.report().on_replica == 1


async def test_a_replica_cut_off_from_its_primary_is_behind(world: World) -> None:
    """It does not know, and believes itself up to date."""
    await world.standby.cut_off()
    await until(lambda: is_alone(world))
    await world.write()
    world.clock.now_s += BOUND_S + 0.001
    await world.replica.look_at_primary()
    assert await world.found() == 1
    assert world.report().failed == {BEHIND: 1}


async def is_alone(world: World) -> bool:
    """Whether nobody receives what the primary writes."""
    return await told(world.url, "SELECT count(*) FROM pg_stat_replication") == 0


async def test_without_its_primary_a_replica_answers_for_the_bound() -> None:
    """After that lookups are refused as they are without a replica."""
    with running(is_synced=False) as own, standby_of(own) as standby:
        await migrate_postgres(await own.made(TEMPLATE), encode_coverage)
        world = await world_of(Pair(own, standby))
        await world.write()
        await world.caught_up()
        await until(lambda: shows(world, 1_000))
        world.report()
        await asyncio.to_thread(own.kill)
        await world.replica.look_at_primary()
        world.clock.now_s += BOUND_S
        assert await world.found() == 1
        world.clock.now_s += 0.001
        with pytest.raises(Unavailable, match="STORE_UNAVAILABLE"):
            await world.found()
        await world.reader.close()
        await world.store.close()
        assert (world.reports[-1].on_replica, world.reports[-1].on_primary) == (1, 1)


async def test_a_promoted_replica_is_another_database(primary: Server) -> None:
    """It is not used, even where another gateway writes to it and its times are later."""
    with standby_of(primary) as standby:
        world = await world_of(Pair(primary, standby))
        await world.caught_up()
        world.report()
        await standby.promote()
        assert await world.found() == 0
        assert world.report().failed == {NOT_A_REPLICA: 1}
        name = world.url.rpartition("/")[2]
        split = await PostgresStore.elected(standby.url(name), encode_coverage, "another")
        await split.commit(Batch(Instant(9_999)))
        await world.write()
        await world.replica.look_at_primary()
        await world.replica.look_at_replica()
        assert await world.found() == 1
        report = world.report()
        assert (report.on_replica, report.failed) == (0, {NOT_A_REPLICA: 1})
        for one in (split, world.reader, world.store):
            await one.close()


async def test_a_replica_that_lost_a_failover_is_not_believed() -> None:
    """It has a change that the new primary never had, of a later time than those it lacks."""
    with (
        running(is_synced=False) as old,
        standby_of(old) as behind,
        standby_of(old) as ahead,
    ):
        await migrate_postgres(await old.made("one"), encode_coverage)
        store = await PostgresStore.elected(old.url("one"), encode_coverage, "a life")
        await store.commit(Batch(Instant(1_000)))
        clock = Clock()
        rules = ReplicaRules(BOUND_S, clock, lambda _: None)
        replica = await Replica.opened(behind.url("one"), ahead.url("one"), rules)
        await until(lambda: has(ahead.url("one"), 1_000))
        await until(lambda: has(behind.url("one"), 1_000))
        await behind.cut_off()
        await store.commit(Batch(Instant(9_000)))
        await until(lambda: has(ahead.url("one"), 9_000))
        await asyncio.to_thread(old.kill)
        await behind.promote()
        new = await PostgresStore.elected(behind.url("one"), encode_coverage, "another life")
        await new.commit(Batch(Instant(2_000)))
        await replica.look_at_primary()
        await replica.look_at_replica()
        assert not replica._is_used
        assert replica._failed == {BEHIND: 1}
        for one in (replica, new, store):
            await one.close()


async def has(url: str, at: int) -> bool:
    """Whether a server shows an instant."""
    try:
        connection = await asyncpg.connect(url)
    except asyncpg.InvalidCatalogNameError:
        return False
    try:
        return bool(await connection.fetchval("SELECT last_recorded_time FROM meta") == at)
    except asyncpg.UndefinedTableError:
        return False
    finally:
        await connection.close()


async def test_each_connection_of_a_writer_has_a_life_of_its_own(world: World) -> None:
    """One that connects again is still who wrote last, and a replica must follow it."""
    await world.standby.pause()
    lives = [await life(world)]
    await told(
        world.url,
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        "WHERE application_name = 'onshi-writer' AND datname = current_database()",
    )

    async def is_written() -> bool:
        try:
            await world.store.commit(Batch(Instant(5_000)))
        except Unavailable:
            return False
        return True

    await until(is_written)
    lives.append(await life(world))
    name = world.url.rpartition("/")[2]
    assert lives == [f"{name}/1", f"{name}/2"]
    await world.look()
    assert not world.store.deposed.is_set()
    assert world.replica._is_used
    world.clock.now_s += BOUND_S + 0.1
    await world.look()
    assert not world.replica._is_used


async def life(world: World) -> str:
    """Under which of the writer's connections the primary was written last."""
    return str(await told(world.url, "SELECT writer_life FROM meta"))


async def told(url: str, statement: str) -> object:
    """Run a statement; give its one value."""
    connection = await asyncpg.connect(url)
    try:
        return await connection.fetchval(statement)
    finally:
        await connection.close()


async def test_a_database_that_is_no_copy_is_never_used(lasting: Pair) -> None:
    """Of another database of the same servers, nothing is believed; nor of one without tables."""
    other, world = await world_of(lasting), await world_of(lasting)
    await world.write()
    await other.store.commit(Batch(Instant(9_999)))
    for url in (other.url.replace(str(lasting.primary.port), str(lasting.standby.port)), None):
        rules = ReplicaRules(BOUND_S, lambda: 0.0, lambda _: None)
        replica = await Replica.opened(world.url, url or lasting.standby.url(), rules)
        for _ in range(3):
            await replica.look_at_primary()
            await replica.look_at_replica()
        assert not replica._is_used
        assert replica._failed
        await replica.close()
    for one in (other.reader, other.store, world.reader, world.store):
        await one.close()


async def test_only_so_many_lookups_hang_on_a_replica_that_hangs(world: World) -> None:
    """The others are answered by the primary meanwhile, and those that hung after a moment."""
    await world.write()
    await world.caught_up()
    await until(lambda: shows(world, 1_000))
    world.report()
    world.standby.freeze()
    try:
        found = await asyncio.gather(*(world.found() for _ in range(5 * LOOKUPS_MAX)))
    finally:
        world.standby.thaw()
    assert found == [1] * 5 * LOOKUPS_MAX
    report = world.report()
    assert (report.on_replica, report.on_primary) == (0, 5 * LOOKUPS_MAX)
    assert sum(report.failed.values()) <= LOOKUPS_MAX
    await world.caught_up()


async def test_it_looks_by_itself_and_reports(lasting: Pair) -> None:
    """Once opened it finds the replica, and tells of it when it is closed."""
    name = f"of_a_test_{next(_databases)}"
    url = await lasting.primary.made(name, TEMPLATE)
    store = await PostgresStore.elected(url, encode_coverage, "a test")
    reports: list[Report] = []
    rules = ReplicaRules(60.0, asyncio.get_running_loop().time, reports.append)
    reader = await ReplicaReader.beside(url, lasting.standby.url(name), encode_coverage, rules)
    replica = reader._replica
    await until(lambda: looked(replica))
    await replica.look_at_replica()
    await reader.matching_last(KEY, BIRTH_DATE, 9)
    await reader.close()
    await store.close()
    assert reports[-1].on_replica + reports[-1].on_primary == 1


async def looked(replica: Replica) -> bool:
    """Whether the primary was asked."""
    return replica._freshness.is_known(asyncio.get_running_loop().time())


@pytest.mark.parametrize("seed", range(4))
async def test_nothing_acknowledged_longer_ago_than_the_bound_is_missed(
    world: World, seed: int
) -> None:
    """Whatever happens to the replica, and however it is looked at, in any order."""
    rng = random.Random(seed)  # noqa: S311  an order of events
    standby, replica = world.standby, world.replica
    happens = [
        standby.pause,
        standby.resume,
        standby.cut_off,
        standby.reconnect,
        *3 * [world.write, replica.look_at_primary, replica.look_at_replica],
    ]
    missed = []
    for _ in range(100):
        if rng.random() < 0.02:
            await asyncio.to_thread(standby.kill)
            await asyncio.to_thread(standby.start)
        else:
            await rng.choice(happens)()
        world.clock.now_s += rng.choice((0.0, 0.1, 0.3, BOUND_S))
        due = sum(world.clock.now_s - at > BOUND_S for at in world.acknowledged_s)
        found = await world.found()
        if not due <= found <= len(world.acknowledged_s):
            missed.append((found, due, len(world.acknowledged_s)))
    assert missed == []
    assert world.report().on_replica > 0

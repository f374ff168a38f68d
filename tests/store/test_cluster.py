"""
The store of a cluster keeps the contract, on one server whose `meta` says what a cluster's would.

A commit under way is made by setting back what is published: its rows are there, as some of them
are on a cluster. What only a coordinator has, two functions, is there in a plain spelling.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable

import asyncpg
import pytest
import pytest_asyncio
from msgspec import structs

from gateway.domain.card import CardKey
from gateway.domain.errors import Unavailable
from gateway.domain.feed import ChangeKind, EnrolleeChange
from gateway.domain.lag import Stage
from gateway.domain.period import Instant
from gateway.store import postgres_cluster, sql_cluster, steps_cluster
from gateway.store.port import Batch, NewCard, NewVersion
from gateway.store.port_answers import LastKnown
from gateway.store.postgres import PostgresChanges, PostgresReader, PostgresStore
from gateway.store.postgres_cluster import ClusterReader, ClusterStore
from gateway.store.records import ImpossibleBatch, encode_coverage
from gateway.store.steps import Fetch, Row, Step, Steps
from tests.store import postgres
from tests.store.batches import (
    BIRTH_DATE,
    INSURER,
    UPLOAD_KEY,
    cover,
    enrollee,
    insured_id,
    next_version,
    person,
    put,
)
from tests.store.conformance import StoreTests

KEY = insured_id().lookup_key
CARD = CardKey(b"card------------")

COORDINATOR = r"""
CREATE TABLE said (unfinished integer, recovered integer);
INSERT INTO said VALUES (0, 0);
CREATE FUNCTION recover_prepared_transactions() RETURNS integer LANGUAGE sql AS
    'UPDATE said SET recovered = recovered + 1 RETURNING recovered';
CREATE FUNCTION run_command_on_all_nodes(command text)
    RETURNS TABLE (nodeid integer, success boolean, result text) LANGUAGE plpgsql AS $$
DECLARE held text;
BEGIN
    EXECUTE command INTO held;
    RETURN QUERY SELECT 1, held = '0', unfinished::text FROM said;
END $$;
"""
"""The functions of a coordinator; what it finds unfinished is what a test says."""

WARNS_AT_COMMIT = """
CREATE FUNCTION warn() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN RAISE WARNING 'failed to commit transaction on worker'; RETURN NULL; END $$;
CREATE CONSTRAINT TRIGGER warns AFTER INSERT ON enrollees DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION warn();
"""

COPIES_BADLY = """
CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    RAISE EXCEPTION 'schon da: "cover_versions_pkey_102012"' USING ERRCODE = 'XX000';
END $$;
CREATE TRIGGER refuses BEFORE INSERT ON cover_versions
    FOR EACH ROW EXECUTE FUNCTION refuse();
"""
"""How a coordinator tells that a shard had a row already."""


@pytest_asyncio.fixture
async def url() -> AsyncIterator[str]:
    """A fresh database."""
    async with postgres.database() as found:
        yield found


@pytest_asyncio.fixture
async def store(url: str) -> AsyncIterator[ClusterStore]:
    """A fresh store that takes its database for a cluster's."""
    opened = await ClusterStore.elected(url, encode_coverage, "a test")
    assert isinstance(opened, ClusterStore)
    yield opened
    await opened.close()


class TestClusterStore(StoreTests):
    """The contract."""


async def told(url: str, statement: str) -> list[Row]:
    """Tell a database something behind the gateway's back."""
    connection = await asyncpg.connect(url)
    try:
        return [tuple(row) for row in await connection.fetch(statement)]
    finally:
        await connection.close()


async def coordinated(url: str) -> None:
    """Give a database the functions of a coordinator."""
    connection = await asyncpg.connect(url)
    await connection.execute(COORDINATOR)
    await connection.close()


async def set_back(url: str, published: int) -> None:
    """Have everything after an instant be of a commit under way."""
    await told(url, f"UPDATE meta SET last_recorded_time = {published}, announced_time = 9000")  # noqa: S608  a number


async def two_commits(store: ClusterStore) -> None:
    """A person with a card at 1,000, and another name for them at 2,000."""
    await put(store, person(1), enrollee(1), cover())
    await store.commit(Batch(Instant(1_500), cards=[NewCard(CARD, person(1))]))
    later = next_version(cover(), 2_000, "乙")
    await put(store, person(1), enrollee(1), later, now=2_000)


async def test_between_commits_it_answers_as_one_server(url: str, store: ClusterStore) -> None:
    """By number and by card the answers and their instants are those of the join."""
    await two_commits(store)
    reader = await PostgresReader.opened(url, encode_coverage)
    expected = await reader.matching_last(KEY, BIRTH_DATE, 9)
    assert expected == await store.matching_last(KEY, BIRTH_DATE, 9)
    assert await reader.by_card_last(CARD) == await store.by_card_last(CARD)
    assert (len(expected.people), expected.at) == (1, 2_000)
    await reader.close()


async def test_during_a_commit_it_answers_as_of_the_last_whole_one(
    url: str, store: ClusterStore
) -> None:
    """Rows of the commit that are there already are not believed, nor explained."""
    await put(store, person(1), enrollee(1), cover())
    expected = await store.matching_last(KEY, BIRTH_DATE, 9)
    await store.commit(Batch(Instant(1_500), cards=[NewCard(CARD, person(1))]))
    await put(store, person(1), enrollee(1), next_version(cover(), 2_000, "乙"), now=2_000)
    await set_back(url, 1_000)
    (before,) = expected.people
    asof = structs.replace(before, version=0)
    assert await store.matching_last(KEY, BIRTH_DATE, 9) == LastKnown([asof], Instant(1_000))
    held = await store.by_card_last(CARD)
    assert held.holder is not None
    assert (held.holder.history, held.at) == (asof, 1_000)
    for facts in (
        await store.facts_of(KEY, BIRTH_DATE, None, 9, 9),
        await store.facts_of_person(person(1), 9, 9),
    ):
        assert [one.coverage.version_no for one in facts.versions] == [1]


async def test_nobody_is_found_who_is_only_being_committed(url: str, store: ClusterStore) -> None:
    """A person of a commit under way is unknown, and a card without a person is nobody's."""
    await put(store, person(1), enrollee(1), cover())
    await set_back(url, 500)
    assert await store.matching_last(KEY, BIRTH_DATE, 9) == LastKnown([], Instant(500))
    assert (await store.by_card_last(CARD)).holder is None


async def taken(
    reader: PostgresReader, steps: Steps[LastKnown], before: Callable[[Step], Awaitable[None]]
) -> LastKnown:
    """Take steps, and do something before each."""

    def one(step: Step) -> Steps[list[Row]]:
        return list((yield step))

    rows: list[Row] = []
    try:
        step = next(steps)
        while True:
            await before(step)
            rows = await reader._pool.take(one(step))
            step = steps.send(rows)
    except StopIteration as end:
        result: LastKnown = end.value
        return result


async def test_a_commit_that_begins_meanwhile_is_noticed(store: ClusterStore) -> None:
    """Projections that a commit may have changed while they were read are not believed."""
    await put(store, person(1), enrollee(1), cover())
    expected = await store.matching_last(KEY, BIRTH_DATE, 9)
    asked = 0

    async def before(step: Step) -> None:
        nonlocal asked
        if isinstance(step, Fetch) and step.statement == sql_cluster.COMPACT:
            asked += 1
            await put(store, person(1), enrollee(1), next_version(cover(), 2_000, "乙"), now=2_000)

    steps = steps_cluster.matching_last(KEY, BIRTH_DATE, 9, encode_coverage)
    found = await taken(store, steps, before)
    assert asked == 1
    assert [structs.replace(one, version=0) for one in expected.people] == found.people
    assert expected.at == found.at


class Watched(ClusterStore):
    """Notes what `meta` says before and after the transaction of a batch."""

    noted: list[tuple[Instant, Instant]]

    async def _kept(self, batch: Batch) -> tuple[list[tuple[Stage, float]], bool]:
        self.noted.append(await self._noted())
        kept = await super()._kept(batch)
        self.noted.append(await self._noted())
        return kept

    async def _noted(self) -> tuple[Instant, Instant]:
        return tuple(await self._pool.take(steps_cluster.commits()))


async def test_a_commit_is_announced_before_and_published_after(url: str) -> None:
    """Its transaction touches neither, so readers can tell whether one is under way."""
    store = await Watched.elected(url, encode_coverage, "a test")
    assert isinstance(store, Watched)
    store.noted = []
    await put(store, person(1), enrollee(1), cover())
    assert store.noted == [(1_000, 0), (1_000, 0)]
    assert await store._noted() == (1_000, 1_000)
    await store.close()


async def test_a_batch_that_was_taken_back_is_no_longer_announced(
    url: str, store: ClusterStore
) -> None:
    """Nothing of it was kept, and readers need not look at the past any more."""
    await put(store, person(1), enrollee(1), cover())
    bad = NewVersion(enrollee(1), INSURER, structs.replace(cover(), version_no=3), UPLOAD_KEY, 2)
    with pytest.raises(ImpossibleBatch):
        await store.commit(Batch(Instant(5_000), versions=[bad]))
    assert await told(url, sql_cluster.COMMITS) == [(1_000, 1_000)]
    await store.commit(Batch(Instant(6_000)))
    assert await store.last_recorded_time() == 6_000


async def test_an_unfinished_commit_is_ended_at_the_start(url: str, store: ClusterStore) -> None:
    """A new writer reads and writes nothing before all places have ended it; then it is public."""
    await two_commits(store)
    await store.close()
    await coordinated(url)
    await set_back(url, 1_500)
    await told(url, "UPDATE said SET unfinished = 1")
    after = await ClusterStore.elected(url, encode_coverage, "another")
    for _ in range(2):
        with pytest.raises(Unavailable, match="STORE_UNAVAILABLE"):
            await after.load([KEY], [])
        with pytest.raises(Unavailable, match="STORE_UNAVAILABLE"):
            await after.commit(Batch(Instant(9_500)))
    assert await told(url, sql_cluster.COMMITS) == [(9_000, 1_500)]
    await told(url, "UPDATE said SET unfinished = 0")
    assert await after.last_recorded_time() == 9_000
    assert await told(url, "SELECT recovered FROM said") == [(5,)]
    found = await after.matching_last(KEY, BIRTH_DATE, 9)
    assert (found.people[0].version, found.at) == (2, 9_000)
    await after.close()


async def test_a_place_lost_at_the_commit_leaves_it_in_doubt(url: str, store: ClusterStore) -> None:
    """A warning is no success: the commit is refused, and public once every place has ended it."""
    await coordinated(url)
    connection = await asyncpg.connect(url)
    await connection.execute(WARNS_AT_COMMIT)
    await connection.close()
    with pytest.raises(Unavailable, match="STORE_UNAVAILABLE"):
        await put(store, person(1), enrollee(1), cover())
    assert await told(url, sql_cluster.COMMITS) == [(1_000, 0)]
    assert (await store.matching_last(KEY, BIRTH_DATE, 9)).people == []
    assert len((await store.load([KEY], [])).enrollees) == 1
    assert await told(url, sql_cluster.COMMITS) == [(1_000, 1_000)]
    assert len((await store.matching_last(KEY, BIRTH_DATE, 9)).people) == 1


async def test_a_writer_is_seen_until_it_has_ended(url: str) -> None:
    """What a place is asked finds whoever has written a row of a shard and not ended."""
    await coordinated(url)
    writer = await asyncpg.connect(url)
    await writer.execute("CREATE TABLE links_102008 (a integer); CREATE TABLE numbers_102009 ()")
    transaction = writer.transaction()
    await transaction.start()
    await writer.execute("INSERT INTO numbers_102009 DEFAULT VALUES")
    assert await told(url, sql_cluster.UNFINISHED) == [(True, "0")]
    await writer.execute("INSERT INTO links_102008 VALUES (1)")
    assert await told(url, sql_cluster.UNFINISHED) == [(False, "0")]
    await transaction.rollback()
    await writer.close()
    assert await told(url, sql_cluster.UNFINISHED) == [(True, "0")]


async def test_a_row_that_a_shard_had_already_is_an_impossible_batch(
    url: str, store: ClusterStore
) -> None:
    """However a coordinator words it, the key's name is in it."""
    await told(url, "SELECT 1")
    connection = await asyncpg.connect(url)
    await connection.execute(COPIES_BADLY)
    await connection.close()
    versions = [NewVersion(enrollee(one), INSURER, cover(), UPLOAD_KEY, one) for one in (2, 3)]
    with pytest.raises(ImpossibleBatch):
        await store.commit(Batch(Instant(1_000), versions=versions))


async def test_a_change_is_told_once_its_commit_is_whole(url: str, store: ClusterStore) -> None:
    """Neither a watcher nor the news of institutions hear of it before."""
    for number, now in enumerate((1_000, 2_000), 1):
        batch = await put(store, person(number), enrollee(number), cover(recorded=now), now=now)
        change = EnrolleeChange(
            enrollee(number), INSURER, person(number), ChangeKind.CHANGED.value, 1, 1
        )
        await store.commit(Batch(Instant(batch.recorded_time + 1), changes=[change]))
    changes = await PostgresChanges.opened(url)
    code = INSURER.zero_padded
    assert [one.sequence for one in await changes.after(code, 0, 9)] == [1, 2]
    assert await changes.newest() == 2_001
    await set_back(url, 2_000)
    assert [one.sequence for one in await changes.after(code, 0, 9)] == [1]
    assert await changes.newest() == 2_000
    await changes.close()


async def test_one_server_is_no_cluster(url: str) -> None:
    """It is asked, and gets the joins of one server."""
    reader = await postgres_cluster.reader(url, encode_coverage)
    store = await postgres_cluster.elected(url, encode_coverage, "a test")
    assert not isinstance(reader, ClusterReader)
    assert type(store) is PostgresStore
    await reader.close()
    await store.close()

"""The SQLite store keeps the contract, over restarts and beside readers of other processes."""

from __future__ import annotations

import asyncio
import shutil
import signal
import sqlite3
import stat
import sys
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import pytest
import pytest_asyncio
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from gateway.domain.errors import TooMuch, Unavailable
from gateway.domain.period import Instant
from gateway.store import migrate as migrating
from gateway.store import (
    records,
    sql,
    sqlite,
    steps_reads,
)
from gateway.store.migrate import migrate
from gateway.store.port import Batch
from gateway.store.records import StoreTooNew, StoreTooOld, encode_coverage
from gateway.store.schema import METADATA
from gateway.store.sqlite import LOG_PAGES_MAX, SqliteReader, SqliteStore
from tests.store.batches import (
    BIRTH_DATE,
    cover,
    enrollee,
    insured_id,
    matching,
    matching_known_at,
    next_version,
    person,
    put,
)
from tests.store.conformance import KEY, StoreTests

REVISION = records.SCHEMA_REVISION


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty database, to be copied: migrating costs more than a test."""
    database = tmp_path_factory.mktemp("migrated") / "gateway.db"
    migrate(database, encode_coverage)
    return database


@pytest.fixture
def database(migrated: Path, tmp_path: Path) -> Path:
    """A fresh empty database."""
    return Path(shutil.copy(migrated, tmp_path / "gateway.db"))


@pytest_asyncio.fixture
async def store(database: Path) -> AsyncIterator[SqliteStore]:
    """A fresh store."""
    opened = SqliteStore(database, encode_coverage)
    yield opened
    await opened.close()


class TestSqliteStore(StoreTests):
    """The contract."""


def changed_by(database: Path, statement: str) -> None:
    """Change a database behind the gateway's back."""
    with closing(sqlite3.connect(database, isolation_level=None)) as connection:
        connection.execute(statement)


async def test_what_was_committed_is_there_after_reopening(database: Path) -> None:
    """Covers and the last instant outlive the process; closing leaves one file."""
    store = SqliteStore(database, encode_coverage)
    await put(store, person(1), enrollee(1), cover())
    await store.close()
    assert [database] == list(database.parent.iterdir())
    store = SqliteStore(database, encode_coverage)
    assert len(await matching(store, KEY, BIRTH_DATE, 9)) == 1
    assert await store.last_recorded_time() == 1_000
    await store.close()


async def test_a_reader_sees_each_commit_and_outlives_the_writer(database: Path) -> None:
    """A read-only reader sees commits as they come, while the writer closes and returns."""
    reader = SqliteReader(database, encode_coverage)
    assert list(await matching(reader, KEY, BIRTH_DATE, 9)) == []
    versions = [cover()]
    versions += [next_version(cover(), 2_000, "乙")]
    for count, version in enumerate(versions, start=1):
        writer = SqliteStore(database, encode_coverage)
        await put(writer, person(1), enrollee(1), version, now=version.recorded_time)
        (found,) = await matching(reader, KEY, BIRTH_DATE, 9)
        assert (count, (version,)) == (found.version, found.enrolments[0].covers)
        (then,) = await matching_known_at(reader, KEY, BIRTH_DATE, Instant(9_000), 9)
        assert found.enrolments == then.enrolments
        await writer.close()
    assert len(await matching(reader, KEY, BIRTH_DATE, 9)) == 1
    await reader.close()


KILLED_WRITER = """
import asyncio, os, signal, sys
from pathlib import Path
from gateway.store.records import encode_coverage
from gateway.store.sqlite import SqliteStore
from tests.store.batches import cover, enrollee, person, put

async def main():
    store = SqliteStore(Path(sys.argv[1]), encode_coverage)
    await put(store, person(1), enrollee(1), cover())
    os.kill(os.getpid(), signal.SIGKILL)

asyncio.run(main())
"""


async def test_a_killed_writer_loses_nothing_it_committed(database: Path) -> None:
    """After a kill a reader that was open, a fresh reader and the next writer see the commit."""
    reader = SqliteReader(database, encode_coverage)
    assert await reader.history_of(person(1)) is None
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", KILLED_WRITER, str(database), cwd=Path(__file__).parents[2]
    )
    assert await process.wait() == -signal.SIGKILL
    fresh = SqliteReader(database, encode_coverage)
    for one in (reader, fresh):
        assert [person(1)] == [
            found.person_key for found in await matching(one, KEY, BIRTH_DATE, 9)
        ]
    writer = SqliteStore(database, encode_coverage)
    await put(writer, person(2), enrollee(2), cover(), now=2_000)
    for one in (reader, fresh, writer):
        assert len(await matching(one, KEY, BIRTH_DATE, 9)) == 2
        await one.close()


async def test_a_reader_cannot_write(database: Path) -> None:
    """The reader's connections are read-only by themselves."""
    reader = SqliteReader(database, encode_coverage)
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        reader._hot.execute(sql.SET_LAST_RECORDED, (1, 1))
    with pytest.raises(Unavailable):
        await reader._reads.run(lambda line: line.execute(sql.SET_LAST_RECORDED, (1, 1)))
    await reader.close()


async def test_the_writer_syncs_each_commit(store: SqliteStore) -> None:
    """The writer's connection has synchronous FULL (2), a log, and no implicit transactions."""

    def pragmas(connection: sqlite3.Connection) -> list[object]:
        names = ("synchronous", "journal_mode", "busy_timeout", "wal_autocheckpoint")
        return [connection.execute(f"PRAGMA {name}").fetchone()[0] for name in names]

    assert await store._writes.run(pragmas) == [2, "wal", 5_000, LOG_PAGES_MAX]
    assert await store._writes.run(lambda line: line.isolation_level) is None


async def test_a_locked_database_is_unavailable(
    database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A commit that cannot get the lock is STORE_UNAVAILABLE; nothing was written."""
    monkeypatch.setattr(sqlite, "LONG_BUSY_MS", 10)
    store = SqliteStore(database, encode_coverage)
    with closing(sqlite3.connect(database, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(Unavailable, match="STORE_UNAVAILABLE"):
            await put(store, person(1), enrollee(1), cover())
        other.execute("ROLLBACK")
    assert await store.history_of(person(1)) is None
    await put(store, person(1), enrollee(1), cover())
    assert await store.history_of(person(1)) is not None
    await store.close()


async def test_a_full_disk_is_unavailable_and_writes_nothing(store: SqliteStore) -> None:
    """A commit the disk has no room for is STORE_UNAVAILABLE, whole, and the next one works."""

    def limit_pages(connection: sqlite3.Connection, pages: int) -> None:
        connection.execute(f"PRAGMA max_page_count = {pages}")

    async def put_many(numbers: range) -> None:
        for number in numbers:
            await put(store, person(number), enrollee(number), cover(insured_id(f"{number}")))

    await store._writes.run(lambda line: limit_pages(line, 1))
    with pytest.raises(Unavailable, match="STORE_UNAVAILABLE"):
        await put_many(range(500))
    written = len((await store.load([], [person(number) for number in range(500)])).enrollees)
    found = await store.history_of(person(written))
    assert (written < 500, None) == (True, found)
    await store._writes.run(lambda line: limit_pages(line, 2**30))
    await put_many(range(written, 500))
    assert await store.history_of(person(499)) is not None


async def test_a_cancelled_commit_leaves_a_usable_store(store: SqliteStore) -> None:
    """A caller that goes away in the middle of a commit harms nobody after it."""
    commit = asyncio.ensure_future(put(store, person(1), enrollee(1), cover()))
    await asyncio.sleep(0)
    commit.cancel()
    with pytest.raises(asyncio.CancelledError):
        await commit
    await store.commit(Batch(Instant(7_000)))
    assert await store.last_recorded_time() == 7_000


async def test_reads_as_of_are_bounded(store: SqliteStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """More enrollees under one key than a read looks at are refused."""
    monkeypatch.setattr(steps_reads, "ENROLLEES_EXAMINED_MAX", 2)
    for number in range(3):
        await put(store, person(1), enrollee(number), cover(), now=1_000 + number)
    with pytest.raises(TooMuch, match="TOO_MANY_MATCHES"):
        await matching_known_at(store, KEY, BIRTH_DATE, Instant(9_000), 9)


def test_the_database_is_its_owners_only(migrated: Path) -> None:
    """Nobody else may read the file, which holds personal data."""
    assert stat.S_IMODE(migrated.stat().st_mode) == 0o600


def test_a_database_that_is_not_migrated_is_refused(tmp_path: Path) -> None:
    """A missing or empty database is refused with the advice to migrate."""
    with pytest.raises(StoreTooOld, match="migrate first"):
        SqliteReader(tmp_path / "missing.db", encode_coverage)
    (tmp_path / "empty.db").touch()
    with pytest.raises(StoreTooOld, match=f"schema none.*{records.SCHEMA_REVISION}"):
        SqliteReader(tmp_path / "empty.db", encode_coverage)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ("UPDATE alembic_version SET version_num = '9999'", "schema 9999"),
        ("UPDATE meta SET projection_format = 99", "projection format 99"),
    ],
)
def test_a_newer_database_is_refused(database: Path, change: str, named: str) -> None:
    """What a newer gateway wrote is neither opened nor migrated; the refusal names both."""
    changed_by(database, change)
    for refused in (SqliteReader, SqliteStore, migrate):
        with pytest.raises(StoreTooNew, match=f"{named}.*up to {records.SCHEMA_REVISION}"):
            refused(database, encode_coverage)


def test_migrating_again_changes_nothing(database: Path) -> None:
    """A database that is up to date stays as it is."""
    before = database.read_bytes()
    migrate(database, encode_coverage)
    assert before == database.read_bytes()


async def test_an_older_schema_is_migrated(
    database: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With one more revision the old database is refused, then migrated with its data."""
    store = SqliteStore(database, encode_coverage)
    await put(store, person(1), enrollee(1), cover())
    await store.close()
    scripts = Path(shutil.copytree(migrating.SCRIPTS, tmp_path / "migrations"))
    (scripts / "versions" / "next.py").write_text(
        f"from alembic import op\nrevision = '9999'\ndown_revision = '{REVISION}'\n"
        "def upgrade():\n    op.execute('ALTER TABLE people ADD COLUMN note TEXT')\n",
        encoding="utf-8",
    )
    monkeypatch.setattr(records, "SCHEMA_REVISION", "9999")
    with pytest.raises(StoreTooOld, match=rf"schema {REVISION}.*needs 9999"):
        SqliteReader(database, encode_coverage)
    migrate(database, encode_coverage, scripts)
    reader = SqliteReader(database, encode_coverage)
    assert len(await matching(reader, KEY, BIRTH_DATE, 9)) == 1
    await reader.close()


def test_tables_written_anew_keep_their_rows(tmp_path: Path) -> None:
    """The step that changes how four tables are kept loses no row and no cell of theirs."""
    scripts = Path(shutil.copytree(migrating.SCRIPTS, tmp_path / "migrations"))
    (scripts / "versions" / "seventh.py").unlink()
    database = tmp_path / "gateway.db"
    migrate(database, encode_coverage, scripts)
    rows: dict[str, list[tuple[object, ...]]] = {
        "people": [(bytes([n]) * 16, n, b"c" * n, b"h" * 90 * n) for n in range(1, 40)],
        "enrollees": [(bytes([n]) * 16, f"{n:08}") for n in range(1, 40)],
        "links": [(b"p" * 16, b"e" * 16, n, None if n == 9 else n + 1, n % 2) for n in range(10)],
        "number_checks": [
            (b"e" * 16, n, "06139992", b"p" * 16, b"u" * 16, n, 2, None, n, None, 7, "name", n % 2)
            for n in range(1, 10)
        ],
    }
    with closing(sqlite3.connect(database)) as connection, connection:
        for table, some in rows.items():
            marks = ", ".join("?" for _ in some[0])
            connection.executemany(f"INSERT INTO {table} VALUES ({marks})", reversed(some))  # noqa: S608
    migrate(database, encode_coverage)
    with closing(sqlite3.connect(database)) as connection:
        for table, some in rows.items():
            kept = connection.execute(f"SELECT * FROM {table}").fetchall()  # noqa: S608
            assert sorted(kept, key=repr) == sorted(some, key=repr)
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


def test_a_failing_migration_changes_nothing(database: Path, tmp_path: Path) -> None:
    """A step that fails half-way takes back its changes of the schema too."""
    scripts = Path(shutil.copytree(migrating.SCRIPTS, tmp_path / "migrations"))
    (scripts / "versions" / "next.py").write_text(
        f"from alembic import op\nrevision = '9999'\ndown_revision = '{REVISION}'\n"
        "def upgrade():\n    op.execute('CREATE TABLE half (x)')\n    raise KeyError('step')\n",
        encoding="utf-8",
    )
    before = database.read_bytes()
    with pytest.raises(KeyError, match="step"):
        migrate(database, encode_coverage, scripts)
    assert before == database.read_bytes()


async def test_older_projections_are_rebuilt_from_facts(database: Path) -> None:
    """Histories kept in an older form are refused, then put together anew by migrating."""
    store = SqliteStore(database, encode_coverage)
    await put(store, person(1), enrollee(1), cover(), is_numbered=True)
    await put(store, person(1), enrollee(2), cover(insured_id(number="2")), now=2_000)
    await put(store, person(2), enrollee(3), cover(), now=3_000)
    expected = [await store.history_of(person(number)) for number in (1, 2)]
    await store.close()
    changed_by(database, "UPDATE people SET history = x'00'")
    changed_by(database, "UPDATE meta SET projection_format = 0")
    with pytest.raises(StoreTooOld, match="projection format 0"):
        SqliteReader(database, encode_coverage)
    migrate(database, encode_coverage)
    reader = SqliteReader(database, encode_coverage)
    assert expected == [await reader.history_of(person(number)) for number in (1, 2)]
    await reader.close()


def test_migrations_lead_to_the_schema(migrated: Path) -> None:
    """The tables that migrations make are those of the metadata, and the revision is named."""
    engine = migrating.engine_of(migrated)
    try:
        with engine.connect() as connection:
            context = MigrationContext.configure(connection, opts={"compare_type": True})
            assert compare_metadata(context, METADATA) == []
            assert context.get_current_revision() == records.SCHEMA_REVISION
    finally:
        engine.dispose()


def test_migrations_make_the_very_statements_of_the_schema(migrated: Path, tmp_path: Path) -> None:
    """Partial indexes and WITHOUT ROWID, which a comparison misses, are the metadata's too."""
    fresh = tmp_path / "metadata.db"
    engine = migrating.engine_of(fresh)
    try:
        METADATA.create_all(engine)
    finally:
        engine.dispose()

    def statements(database: Path) -> set[str]:
        with closing(sqlite3.connect(database)) as connection:
            rows = connection.execute(
                "SELECT sql FROM sqlite_master WHERE sql NOT NULL AND name != 'alembic_version'"
            ).fetchall()
        # A column added later stands behind the others on one line.
        return {" ".join(text.split()) for (text,) in rows}

    assert statements(fresh) == statements(migrated)

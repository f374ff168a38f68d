"""Vault and spool on a server: nothing readable in it, machines that share it, and its absence."""

from __future__ import annotations

import asyncio
import hashlib
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from gateway.domain.errors import Unavailable
from gateway.domain.individual_number import IndividualNumber
from gateway.store.keyring import WrongKeys, rotate
from gateway.store.migrate_postgres import migrate_postgres
from gateway.store.port import UploadKey
from gateway.store.postgres_spool import PostgresSpool
from gateway.store.postgres_vault import PostgresVault
from gateway.store.records import encode_coverage
from gateway.store.spool_frames import SpoolBroken
from loadtests.number_patterns import FORMS, Numbers
from loadtests.postgres_place import running
from simulators.population import made_up_individual_number
from tests.store import postgres
from tests.store.batches import UPLOAD_KEY, key_of, person
from tests.store.memories import Database

NUMBERS = [IndividualNumber(made_up_individual_number(18_765_400 + i)) for i in range(30)]
ASKED = [(number, person(serial)) for serial, number in enumerate(NUMBERS)]


@pytest_asyncio.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    """A fresh database."""
    async with postgres.database() as url:
        yield Database(tmp_path, url)


async def dumped(database: Database) -> list[bytes]:
    """Every row of every table, each as the server sends it."""
    tables = await database.told(
        "SELECT format('%I.%I', schemaname, tablename) FROM pg_tables "
        "WHERE schemaname IN ('public', 'vault')"
    )
    rows: list[bytes] = []
    for (table,) in tables:
        for row in await database.told(f"SELECT * FROM {table}"):  # noqa: S608  our own tables
            rows += [value if isinstance(value, bytes) else str(value).encode() for value in row]
    return rows


async def test_no_table_shows_a_number(database: Database) -> None:
    """Neither vault nor spool nor any other table holds one in any form; a plant is found."""
    vault, spool = await database.vault(), await database.spool()
    await vault.people_of(ASKED)
    file = b"\r\n".join(number.reveal().encode() for number in NUMBERS)
    await spool.append(UPLOAD_KEY, 0, file)
    rotate(database.vault_keys)
    await vault.refresh()
    await vault.renew(10)
    digits = [number.reveal() for number in NUMBERS]
    clean = Numbers(digits)
    rows = await dumped(database)
    clean.search(b"\xff".join(rows), "table")
    assert not clean.leaks()
    assert any(person(1) == row for row in rows)
    plants = b"\xff".join(spell(digits[3]) for spell in FORMS.values())
    spoiled = "UPDATE vault.numbers SET ciphertext = $1 WHERE person_key = $2"
    await database.told(spoiled, b"\xff" + plants + b"\xff" + plants + b"\xff", person(3))
    planted = Numbers(digits)
    planted.search(b"\xff".join(await dumped(database)), "table")
    assert {form for _, form in planted.leaks()} == set(FORMS)
    await vault.close()
    await spool.close()


async def test_another_machine_needs_the_same_key_files(database: Database, tmp_path: Path) -> None:
    """One with keys of its own is refused before it takes a known number for a new one."""
    vault, spool = await database.vault(), await database.spool()
    await vault.people_of(ASKED)
    await spool.append(UPLOAD_KEY, 0, b"abc")
    await vault.close()
    await spool.close()
    other = Database(tmp_path / "other", database.url)
    other.root.mkdir()
    with pytest.raises(FileNotFoundError):
        await other.vault()
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    async with postgres.database() as url:
        stranger = Database(elsewhere, url)
        await (await stranger.vault()).close()
        await (await stranger.spool()).close()
    mixed = Database(elsewhere, database.url)
    with pytest.raises(WrongKeys, match="the vault was written with the keys 1"):
        await mixed.vault()
    with pytest.raises(WrongKeys, match="the spool was written with the keys 1"):
        await mixed.spool()
    for name in ("vault.json", "spool.json"):
        shutil.copy(database.root / name, other.root / name)
    vault, spool = await other.vault(), await other.spool()
    assert [whose for _, whose in ASKED] == list(
        await vault.people_of([(number, person(99)) for number in NUMBERS])
    )
    assert await spool.read(UPLOAD_KEY, 0, 9) == b"abc"
    await vault.close()
    await spool.close()


async def test_a_machine_without_the_new_key_is_refused(database: Database) -> None:
    """After a rotation elsewhere it must be given the new key file; the old key alone misleads."""
    vault = await database.vault()
    await vault.people_of(ASKED)
    behind = database.cut()
    rotate(database.vault_keys)
    assert await vault.refresh() == "2"
    await vault.close()
    with pytest.raises(WrongKeys, match="the keys 2"):
        await behind.vault()
    rotate(behind.vault_keys)
    with pytest.raises(WrongKeys, match="the keys 2"):
        await behind.vault()


async def test_a_replaced_writer_without_the_new_key_writes_nothing(database: Database) -> None:
    """Its successor would not find what it wrote; it still reads what it can."""
    old_vault, old_spool = await database.vault(), await database.spool()
    await old_vault.people_of(ASKED[:5])
    await old_spool.append(UPLOAD_KEY, 0, b"abc")
    other = database.cut()
    for path in (other.vault_keys, other.spool_keys):
        rotate(path)
    new_vault, new_spool = await other.vault(), await other.spool()
    with pytest.raises(Unavailable, match="STORE_UNAVAILABLE"):
        await old_vault.people_of(ASKED)
    with pytest.raises(Unavailable, match="STORE_UNAVAILABLE"):
        await old_spool.append(UPLOAD_KEY, 3, b"def")
    assert await old_vault.holds(person(1), NUMBERS[1])
    assert await old_spool.read(UPLOAD_KEY, 0, 9) == b"abc"
    assert {key_id for _, key_id in await database.rows()} == {"1"}
    assert len(await new_vault.people_of(ASKED)) == len(ASKED)
    assert await new_spool.append(UPLOAD_KEY, 3, b"def") == 6
    for one in (old_vault, old_spool, new_vault, new_spool):
        await one.close()


async def test_a_key_that_cannot_be_entered_is_tried_again(database: Database) -> None:
    """A running writer keeps its keys while a replaced file is wrong, and takes the right one."""
    vault, spool = await database.vault(), await database.spool()
    await vault.people_of(ASKED)
    for path in (database.vault_keys, database.spool_keys):
        shutil.copy(path, path.with_suffix(".kept"))
        path.unlink()
    async with postgres.database() as url:
        stranger = Database(database.root, url)
        await (await stranger.vault()).close()
        await (await stranger.spool()).close()
    for _ in range(2):
        with pytest.raises(WrongKeys):
            await vault.refresh()
        with pytest.raises(WrongKeys):
            await spool.refresh()
    assert await vault.holds(person(1), NUMBERS[1])
    for path in (database.vault_keys, database.spool_keys):
        path.with_suffix(".kept").replace(path)
        rotate(path)
    assert (await vault.refresh(), await spool.refresh()) == ("2", "2")
    await vault.close()
    await spool.close()


async def test_a_writer_that_was_replaced_adds_nothing(database: Database) -> None:
    """Its next chunk is refused; asked again, it goes on from what its successor has."""
    old = await database.spool()
    await old.append(UPLOAD_KEY, 0, b"abc")
    new = await database.cut().spool()
    assert await new.append(UPLOAD_KEY, 3, b"def") == 6
    with pytest.raises(Unavailable, match="STORE_UNAVAILABLE"):
        await old.append(UPLOAD_KEY, 3, b"xyz!")
    assert await old.durable_offset(UPLOAD_KEY) == 6
    for spool in (old, new):
        assert await spool.read(UPLOAD_KEY, 0, 9) == b"abcdef"
        assert hashlib.sha256(b"abcdef").digest() == await spool.digest(UPLOAD_KEY)
        await spool.close()


async def test_a_number_told_to_two_writers_has_one_person(database: Database) -> None:
    """Whoever comes second is refused or told the first one's person; both agree afterwards."""
    one, two = await database.vault(), await database.cut().vault()
    for serial, number in enumerate(NUMBERS[:9]):
        await asyncio.gather(
            one.person_of(number, person(serial)),
            two.person_of(number, person(100 + serial)),
            return_exceptions=True,
        )
        said = await one.person_of(number, person(200))
        assert said in {person(serial), person(100 + serial)}
        assert said == await two.person_of(number, person(300))
    await one.close()
    await two.close()


@pytest.mark.parametrize(
    "change",
    [
        r"UPDATE spool_chunks SET ciphertext = ciphertext || '\x00' WHERE first_byte = 5",
        "UPDATE spool_chunks SET first_byte = 4 WHERE first_byte = 5",
        "UPDATE spool_chunks SET key_id = '9' WHERE first_byte = 5",
        r"UPDATE spool_chunks SET nonce = '\x00' WHERE first_byte = 5",
        "DELETE FROM spool_chunks WHERE first_byte = 5",
    ],
)
async def test_a_damaged_chunk_is_never_given_out(database: Database, change: str) -> None:
    """A chunk that was changed, moved or lost is a broken spool, not other bytes."""
    spool = await database.spool()
    for offset, data in ((0, b"first"), (5, b"second"), (11, b"third")):
        await spool.append(UPLOAD_KEY, offset, data)
    await spool.close()
    await database.told(change)
    again = await database.spool()
    assert await again.read(UPLOAD_KEY, 0, 4) == b"firs"
    with pytest.raises(SpoolBroken):
        await again.read(UPLOAD_KEY, 0, 16)
    with pytest.raises(SpoolBroken):
        await again.digest(UPLOAD_KEY)
    assert await again.read(UPLOAD_KEY, 11, 9) == b"third"
    await again.close()


async def test_a_chunk_of_another_upload_does_not_pass(database: Database) -> None:
    """A chunk is bound to its upload."""
    spool = await database.spool()
    await spool.append(UPLOAD_KEY, 0, b"abc")
    other = UploadKey(key_of("upload", 2))
    await database.told("UPDATE spool_chunks SET upload_key = $1", other)
    with pytest.raises(SpoolBroken):
        await spool.read(other, 0, 3)
    await spool.close()


async def test_a_chunk_nobody_can_read_does_not_stop_renewing(database: Database) -> None:
    """It stays counted as old, and the chunks after it are renewed all the same."""
    spool = await database.spool()
    for offset in range(0, 40, 10):
        await spool.append(UPLOAD_KEY, offset, b"0123456789")
    await database.told(r"UPDATE spool_chunks SET ciphertext = '\x00' WHERE first_byte = 0")
    rotate(database.spool_keys)
    await spool.refresh()
    while await spool.renew(2):
        pass
    assert await database.old_uploads() == 1
    keys = await database.told("SELECT key_id FROM spool_chunks ORDER BY first_byte")
    assert [key_id for (key_id,) in keys] == ["1", "2", "2", "2"]
    await spool.close()


async def test_a_server_that_went_away_loses_nothing_acknowledged(tmp_path: Path) -> None:
    """Away it is `Unavailable`; back again vault and spool go on, over the same connections."""
    with running() as server:
        await migrate_postgres(server.url(), encode_coverage)
        place = Database(tmp_path, server.url())
        vault, spool = await place.vault(), await place.spool()
        await vault.people_of(ASKED[:9])
        await spool.append(UPLOAD_KEY, 0, b"abc")
        server.kill()
        for _ in range(2):
            with pytest.raises(Unavailable, match="STORE_UNAVAILABLE"):
                await vault.people_of(ASKED)
            with pytest.raises(Unavailable, match="STORE_UNAVAILABLE"):
                await spool.append(UPLOAD_KEY, 3, b"def")
        rotate(place.vault_keys)
        with pytest.raises(Unavailable, match="STORE_UNAVAILABLE"):
            await vault.refresh()
        await asyncio.to_thread(server.start)
        assert await vault.refresh() == "2"
        expected = [whose for _, whose in ASKED]
        assert expected[:9] == list(
            await vault.people_of([(number, person(99)) for number in NUMBERS[:9]])
        )
        assert expected == list(await vault.people_of(ASKED))
        assert await spool.durable_offset(UPLOAD_KEY) == 3
        assert await spool.append(UPLOAD_KEY, 3, b"def") == 6
        assert hashlib.sha256(b"abcdef").digest() == await spool.digest(UPLOAD_KEY)
        await vault.close()
        await spool.close()


async def test_commits_are_synced_whatever_the_server_prefers(database: Database) -> None:
    """A server or role that does not wait for the disk is told to."""
    name = database.url.rpartition("/")[2]
    await database.told(f"ALTER DATABASE {name} SET synchronous_commit = off")
    vault, spool = await database.vault(), await database.spool()
    for one in (vault, spool):
        assert isinstance(one, PostgresVault | PostgresSpool)
        ((said,),) = await one._pool.fetch("SHOW synchronous_commit")
        assert said == "on"
        await one.close()


async def test_a_role_that_may_not_create_schemas_can_be_given_one(tmp_path: Path) -> None:
    """Where the schema `vault` is there and the role's, its tables are made in it."""
    server = postgres.server()
    url = server.url("of_humble")
    for place, statement in (
        (server.url(), "CREATE ROLE humble LOGIN"),
        (server.url(), "CREATE DATABASE of_humble"),
        (url, "GRANT CREATE ON SCHEMA public TO humble"),
        (url, "CREATE SCHEMA vault AUTHORIZATION humble"),
    ):
        await Database(tmp_path, place).told(statement)
    humble = Database(tmp_path, url.replace("onshi@", "humble@"))
    await migrate_postgres(humble.url, encode_coverage)
    vault = await humble.vault()
    await vault.people_of(ASKED)
    assert len(await humble.rows()) == len(ASKED)
    await vault.close()
    await postgres.dropped(url)

"""The vault finds a number again, over restarts and rotations, and never shows it."""

from __future__ import annotations

import asyncio
import base64
import os
import stat
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from pathlib import Path

import pytest
import pytest_asyncio

from gateway.domain.individual_number import IndividualNumber
from gateway.store.keyring import load_keyring, rotate
from gateway.store.records import StoreTooNew
from gateway.store.sqlite_file import LONG_BUSY_MS, connected
from gateway.store.sqlite_vault import SqliteVault
from gateway.store.vault import StepVault
from tests.store.batches import person
from tests.store.memories import Files, Place

NUMBER = IndividualNumber("123456789018")
OTHER = IndividualNumber("111111111118")


@pytest.fixture
def files(tmp_path: Path) -> Files:
    """A fresh place in files."""
    return Files(tmp_path)


@pytest_asyncio.fixture
async def vault(place: Place) -> AsyncIterator[StepVault]:
    """A fresh vault."""
    opened = await place.vault()
    yield opened
    await opened.close()


async def test_a_number_stays_with_its_first_person(vault: StepVault) -> None:
    """A number never seen becomes the person offered; asked again, it stays theirs."""
    assert person(1) == await vault.person_of(NUMBER, person(1))
    assert person(1) == await vault.person_of(NUMBER, person(2))
    assert person(2) == await vault.person_of(OTHER, person(2))


async def test_several_numbers_are_answered_in_order_and_in_one_commit(
    place: Place, vault: StepVault
) -> None:
    """Known and new ones together; one that comes twice is one person's; nothing half-way."""
    await vault.person_of(NUMBER, person(1))
    asked = [(OTHER, person(2)), (NUMBER, person(3)), (OTHER, person(4))]
    assert [person(2), person(1), person(2)] == list(await vault.people_of(asked))
    assert len(await place.rows()) == 2
    assert list(await vault.people_of([])) == []


async def test_numbers_told_at_once_have_one_person_each(place: Place, vault: StepVault) -> None:
    """However many callers tell a number at one time, all are given the same person."""
    told = [vault.people_of([(NUMBER, person(n)), (OTHER, person(n + 50))]) for n in range(20)]
    answers = {tuple(said) for said in await asyncio.gather(*told)}
    assert len(answers) == 1
    assert len(await place.rows()) == 2


async def test_holds_tells_whose_number_it_is(vault: StepVault) -> None:
    """A person holds their own number, not another's nor an unknown one."""
    await vault.person_of(NUMBER, person(1))
    answers = [
        await vault.holds(person(1), NUMBER),
        await vault.holds(person(2), NUMBER),
        await vault.holds(person(1), OTHER),
    ]
    assert answers == [True, False, False]


async def test_a_number_is_found_after_a_restart(place: Place) -> None:
    """Reopening with the same key file finds what was there."""
    vault = await place.vault()
    await vault.person_of(NUMBER, person(1))
    await vault.close()
    vault = await place.vault()
    assert person(1) == await vault.person_of(NUMBER, person(2))
    await vault.close()


async def test_rotation_keeps_people_and_renews_what_is_asked_for(place: Place) -> None:
    """After a rotation an old number is found, and written anew under the current key."""
    vault = await place.vault()
    await vault.person_of(NUMBER, person(1))
    await vault.person_of(OTHER, person(2))
    await vault.close()
    for key_id, whose in [("2", person(1)), ("3", person(1))]:
        rotate(place.vault_keys)
        vault = await place.vault()
        assert await vault.holds(whose, NUMBER)
        assert whose == await vault.person_of(NUMBER, person(9))
        assert ["1", key_id] == sorted(used for _, used in await place.rows())
        assert await vault.holds(person(2), OTHER)
        await vault.close()
    assert [secret.key_id for secret in load_keyring(place.vault_keys, may_make=False).secrets] == [
        "3",
        "2",
        "1",
    ]


def spellings(digits: str) -> Iterator[bytes]:
    """Each way a number might slip into a file."""
    value = int(digits)
    plain = digits.encode()
    yield from (plain, digits.encode("utf-16-le"), digits.encode("utf-16-be"))
    yield from (plain.hex().encode(), plain.hex().upper().encode(), base64.b64encode(plain))
    yield from (value.to_bytes(5, "big"), value.to_bytes(5, "little"), bytes.fromhex(digits))
    yield from (f"{value:x}".encode(), f"{value:X}".encode(), plain[::-1])
    yield "".join(chr(ord(digit) + 0xFEE0) for digit in digits).encode()
    yield bytes(int(digit) for digit in digits)


@pytest.mark.parametrize("is_rotated", [False, True])
async def test_a_spoiled_number_told_again_is_read_again(
    place: Place,
    vault: StepVault,
    is_rotated: bool,  # noqa: FBT001  by the current key or an older one
) -> None:
    """It is the same person's, readable, once, and by the current key."""
    await vault.people_of([(NUMBER, person(1)), (OTHER, person(2))])
    await place.spoil(person(1))
    if is_rotated:
        rotate(place.vault_keys)
        await vault.refresh()
    assert list(await vault.numbers_of([person(1), person(2)])) == [None, OTHER]
    assert await vault.person_of(NUMBER, person(3)) == person(1)
    assert list(await vault.numbers_of([person(1), person(2)])) == [NUMBER, OTHER]
    assert len(await place.rows()) == 2


async def test_a_key_put_in_while_a_vault_opens_is_taken(place: Place) -> None:
    """A rotation between reading the keys and watching the file is not overlooked."""
    vault = await place.vault()
    await vault.close()
    first = load_keyring(place.vault_keys, may_make=False)
    rotate(place.vault_keys)
    with pytest.MonkeyPatch.context() as patch:
        for module in ("sqlite_vault", "key_names"):
            patch.setattr(f"gateway.store.{module}.load_keyring", lambda *_, **__: first)
        vault = await place.vault()
    assert await vault.refresh() == "2"
    await vault.close()


async def test_no_file_shows_a_number(files: Files) -> None:
    """No file of the vault, its log included, holds the number in any spelling."""
    vault = await files.vault()
    await vault.person_of(NUMBER, person(1))
    contents = [path.read_bytes() for path in files.database.parent.iterdir()]
    await vault.close()
    contents += [path.read_bytes() for path in files.database.parent.iterdir()]
    assert any(person(1) in content for content in contents)
    for spelling in spellings(NUMBER.reveal()):
        assert all(spelling not in content for content in contents), spelling


async def test_two_vaults_tell_nothing_about_each_other(tmp_path: Path) -> None:
    """The same number has another digest under another secret."""
    digests = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        place = Files(tmp_path / name)
        vault = await place.vault()
        await vault.person_of(NUMBER, person(1))
        digests += [mac for mac, _ in await place.rows()]
        await vault.close()
    assert len(set(digests)) == 2


async def test_files_are_their_owners_only(files: Files) -> None:
    """The database is readable by its owner only."""
    await (await files.vault()).close()
    assert stat.S_IMODE(files.database.stat().st_mode) == 0o600


async def test_an_open_key_file_is_refused(place: Place) -> None:
    """It is made readable by its owner only, and refused when it no longer is."""
    await (await place.vault()).close()
    assert stat.S_IMODE(place.vault_keys.stat().st_mode) == 0o600
    place.vault_keys.chmod(0o640)
    with pytest.raises(PermissionError, match="owner only"):
        await place.vault()


async def test_a_lost_key_file_is_not_replaced(place: Place) -> None:
    """A vault without its key file is refused: fresh keys would make every number new."""
    await (await place.vault()).close()
    place.vault_keys.unlink()
    with pytest.raises(FileNotFoundError):
        await place.vault()
    assert not place.vault_keys.exists()


async def test_a_newer_vault_is_refused(files: Files) -> None:
    """What a newer gateway wrote is not opened."""
    await (await files.vault()).close()
    with closing(connected(files.database, "rw", LONG_BUSY_MS)) as connection:
        connection.execute("PRAGMA user_version = 99")
    with pytest.raises(StoreTooNew, match="format 99"):
        await files.vault()


async def test_each_new_number_is_synced(files: Files) -> None:
    """The vault's connection has synchronous FULL (2)."""
    vault = SqliteVault(files.database, files.vault_keys)
    level = await vault._line.run(lambda line: line.execute("PRAGMA synchronous").fetchone())
    assert level == (2,)
    await vault.close()


async def test_a_key_file_is_synced_before_it_is_used(
    files: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The key file and its name are durable before anything is encrypted with it."""
    synced = []
    monkeypatch.setattr(os, "fsync", lambda handle: synced.append(os.fstat(handle).st_mode))
    load_keyring(files.vault_keys, may_make=True)
    assert [stat.S_ISREG(mode) for mode in synced] == [True, False]


def test_a_secret_hides_itself(files: Files) -> None:
    """What a key file holds does not show when it is printed."""
    keyring = load_keyring(files.vault_keys, may_make=True)
    assert repr(keyring) == "Keyring(secrets=(Secret('1'),))"

"""The vault finds a number again, over restarts and rotations, and never shows it."""

from __future__ import annotations

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
from gateway.store.vault import SqliteVault
from tests.store.batches import person

NUMBER = IndividualNumber("123456789018")
OTHER = IndividualNumber("111111111118")


class Place:
    """Where a test's vault is."""

    def __init__(self, root: Path) -> None:
        self.database = root / "vault.db"
        self.key_file = root / "vault.json"

    def open(self) -> SqliteVault:
        """Open it, as after a restart."""
        return SqliteVault(self.database, self.key_file)

    def rows(self) -> list[tuple[bytes, str]]:
        """Each number's digest and key."""
        with closing(connected(self.database, "ro", LONG_BUSY_MS)) as connection:
            return connection.execute("SELECT mac, key_id FROM numbers ORDER BY mac").fetchall()


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """A fresh place."""
    return Place(tmp_path)


@pytest_asyncio.fixture
async def vault(place: Place) -> AsyncIterator[SqliteVault]:
    """A fresh vault."""
    opened = place.open()
    yield opened
    await opened.close()


async def test_a_number_stays_with_its_first_person(vault: SqliteVault) -> None:
    """A number never seen becomes the person offered; asked again, it stays theirs."""
    assert person(1) == await vault.person_of(NUMBER, person(1))
    assert person(1) == await vault.person_of(NUMBER, person(2))
    assert person(2) == await vault.person_of(OTHER, person(2))


async def test_several_numbers_are_answered_in_order_and_in_one_commit(
    place: Place, vault: SqliteVault
) -> None:
    """Known and new ones together; one that comes twice is one person's; nothing half-way."""
    await vault.person_of(NUMBER, person(1))
    asked = [(OTHER, person(2)), (NUMBER, person(3)), (OTHER, person(4))]
    assert [person(2), person(1), person(2)] == list(await vault.people_of(asked))
    assert len(place.rows()) == 2
    assert list(await vault.people_of([])) == []


async def test_holds_tells_whose_number_it_is(vault: SqliteVault) -> None:
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
    vault = place.open()
    await vault.person_of(NUMBER, person(1))
    await vault.close()
    vault = place.open()
    assert person(1) == await vault.person_of(NUMBER, person(2))
    await vault.close()


async def test_rotation_keeps_people_and_renews_what_is_asked_for(place: Place) -> None:
    """After a rotation an old number is found, and written anew under the current key."""
    vault = place.open()
    await vault.person_of(NUMBER, person(1))
    await vault.person_of(OTHER, person(2))
    await vault.close()
    for key_id, whose in [("2", person(1)), ("3", person(1))]:
        rotate(place.key_file)
        vault = place.open()
        assert await vault.holds(whose, NUMBER)
        assert whose == await vault.person_of(NUMBER, person(9))
        assert ["1", key_id] == sorted(used for _, used in place.rows())
        assert await vault.holds(person(2), OTHER)
        await vault.close()
    assert [secret.key_id for secret in load_keyring(place.key_file, may_make=False).secrets] == [
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
    vault: SqliteVault,
    is_rotated: bool,  # noqa: FBT001  by the current key or an older one
) -> None:
    """It is the same person's, readable, once, and by the current key."""
    await vault.people_of([(NUMBER, person(1)), (OTHER, person(2))])
    await vault._line.run(
        lambda line: line.execute(
            "UPDATE numbers SET ciphertext = x'00' WHERE person_key = ?", (person(1),)
        )
    )
    if is_rotated:
        rotate(place.key_file)
        await vault.refresh()
    assert list(await vault.numbers_of([person(1), person(2)])) == [None, OTHER]
    assert await vault.person_of(NUMBER, person(3)) == person(1)
    assert list(await vault.numbers_of([person(1), person(2)])) == [NUMBER, OTHER]
    assert len(place.rows()) == 2


async def test_a_key_put_in_while_a_vault_opens_is_taken(place: Place) -> None:
    """A rotation between reading the keys and watching the file is not overlooked."""
    vault = place.open()
    await vault.close()
    first = load_keyring(place.key_file, may_make=False)
    rotate(place.key_file)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("gateway.store.vault.load_keyring", lambda *_, **__: first)
        vault = place.open()
    assert await vault.refresh() == "2"
    await vault.close()


async def test_no_file_shows_a_number(place: Place) -> None:
    """No file of the vault, its log included, holds the number in any spelling."""
    vault = place.open()
    await vault.person_of(NUMBER, person(1))
    files = [path.read_bytes() for path in place.database.parent.iterdir()]
    await vault.close()
    files += [path.read_bytes() for path in place.database.parent.iterdir()]
    assert any(person(1) in content for content in files)
    for spelling in spellings(NUMBER.reveal()):
        assert all(spelling not in content for content in files), spelling


async def test_two_vaults_tell_nothing_about_each_other(tmp_path: Path) -> None:
    """The same number has another digest under another secret."""
    digests = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        place = Place(tmp_path / name)
        vault = place.open()
        await vault.person_of(NUMBER, person(1))
        digests += [mac for mac, _ in place.rows()]
        await vault.close()
    assert len(set(digests)) == 2


async def test_files_are_their_owners_only(place: Place, vault: SqliteVault) -> None:
    """Database and key file are readable by their owner only; an open key file is refused."""
    for path in (place.database, place.key_file):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    place.key_file.chmod(0o640)
    with pytest.raises(PermissionError, match="owner only"):
        place.open()


async def test_a_lost_key_file_is_not_replaced(place: Place) -> None:
    """A vault without its key file is refused: fresh keys would make every number new."""
    await place.open().close()
    place.key_file.unlink()
    with pytest.raises(FileNotFoundError):
        place.open()
    assert not place.key_file.exists()


async def test_a_newer_vault_is_refused(place: Place) -> None:
    """What a newer gateway wrote is not opened."""
    await place.open().close()
    with closing(connected(place.database, "rw", LONG_BUSY_MS)) as connection:
        connection.execute("PRAGMA user_version = 99")
    with pytest.raises(StoreTooNew, match="format 99"):
        place.open()


async def test_each_new_number_is_synced(vault: SqliteVault) -> None:
    """The vault's connection has synchronous FULL (2)."""
    level = await vault._line.run(lambda line: line.execute("PRAGMA synchronous").fetchone())
    assert level == (2,)


async def test_a_key_file_is_synced_before_it_is_used(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The key file and its name are durable before anything is encrypted with it."""
    synced = []
    monkeypatch.setattr(os, "fsync", lambda handle: synced.append(os.fstat(handle).st_mode))
    load_keyring(place.key_file, may_make=True)
    assert [stat.S_ISREG(mode) for mode in synced] == [True, False]


def test_a_secret_hides_itself(place: Place) -> None:
    """What a key file holds does not show when it is printed."""
    keyring = load_keyring(place.key_file, may_make=True)
    assert repr(keyring) == "Keyring(secrets=(Secret('1'),))"

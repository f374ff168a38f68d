"""Keys change while vault and spool are used; once nothing needs an old key, it can be dropped."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from gateway.app.engine import ServerEngine
from gateway.domain.individual_number import IndividualNumber, individual_check_digit
from gateway.store.keyring import (
    in_use,
    load_keyring,
    retire,
    rotate,
    say_in_use,
)
from gateway.store.port import UploadKey
from gateway.store.spool import FileSpool
from gateway.store.spool_frames import SpoolBroken
from gateway.store.spool_keys import old_uploads
from tests.store.batches import person
from tests.store.memories import Database, Place

UPLOAD = UploadKey(b"upload----------")
COUNT = 25


def number(serial: int) -> IndividualNumber:
    """A made-up number."""
    body = f"{990_000_000_00 + serial:011d}"
    return IndividualNumber(body + individual_check_digit(body))


async def retired(place: Place) -> None:
    """Drop the first key, as `onshi keys retire` does."""
    if isinstance(place, Database):
        await ServerEngine(place.url).forget_keys({"vault": ["1"], "spool": ["1"]})
    for path in (place.vault_keys, place.spool_keys):
        if path.exists():
            retire(path, "2")


ASKED = [(number(serial), person(serial)) for serial in range(COUNT)]


async def test_a_running_vault_takes_a_new_key_and_renews_page_by_page(place: Place) -> None:
    """New rows have the new key at once, old ones after enough pages; nobody is lost."""
    vault = await place.vault()
    await vault.people_of(ASKED)
    rotate(place.vault_keys)
    assert await vault.refresh() == "2"
    await vault.person_of(number(COUNT), person(COUNT))
    assert await place.old_rows("2") == COUNT
    left = []
    while await vault.renew(10):
        assert all([await vault.holds(whose, one) for one, whose in ASKED])
        left.append(await place.old_rows("2"))
    assert left == [15, 5, 0]
    await retired(place)
    assert await vault.refresh() == "2"
    assert [whose for _, whose in ASKED] == list(await vault.people_of(ASKED))
    held = await vault.numbers_of([person(serial) for serial in range(COUNT)])
    assert [one for one, _ in ASKED] == list(held)
    await vault.close()


@pytest.mark.parametrize("pages", [0, 1, 2, 3])
async def test_a_power_cut_between_pages_loses_nobody(place: Place, pages: int) -> None:
    """What the disk held after so many pages opens, finds everybody, and is renewed to the end."""
    vault = await place.vault()
    await vault.people_of(ASKED)
    rotate(place.vault_keys)
    await vault.refresh()
    for _ in range(pages):
        await vault.renew(10)
    cut = place.cut()
    await vault.close()
    revived = await cut.vault()
    found = [await revived.holds(whose, one) for one, whose in ASKED]
    assert all(found)
    while await revived.renew(10):
        pass
    assert await cut.old_rows("2") == 0
    await revived.close()
    await retired(cut)
    last = await cut.vault()
    assert [whose for _, whose in ASKED] == list(await last.people_of(ASKED))
    await last.close()


async def test_a_row_nobody_can_read_keeps_its_key_from_being_forgotten(place: Place) -> None:
    """A spoiled row stays counted as old, and the others are renewed all the same."""
    vault = await place.vault()
    await vault.people_of(ASKED)
    await place.spoil(person(3))
    rotate(place.vault_keys)
    await vault.refresh()
    while await vault.renew(10):
        pass
    assert await place.old_rows("2") == 1
    assert list(await vault.numbers_of([person(3), person(4)])) == [None, number(4)]
    await vault.close()


def test_a_retired_secret_is_gone_from_the_file(tmp_path: Path) -> None:
    """After retirement the key file holds the bytes of the current secret alone."""
    key_file = tmp_path / "vault.json"
    old = load_keyring(key_file, may_make=True).secrets[0]
    rotate(key_file)
    kept = load_keyring(key_file, may_make=False).secrets
    assert [secret.key_id for secret in kept] == ["2", "1"]
    before = key_file.read_bytes()
    retire(key_file, "2")
    after = key_file.read_bytes()
    assert load_keyring(key_file, may_make=False).secrets == kept[:1]
    assert len(after) < len(before)
    assert repr(old.secret) not in repr(after)
    assert not any(path.name.startswith(".vault") for path in tmp_path.iterdir())


def test_a_key_put_in_front_meanwhile_is_not_retired(tmp_path: Path) -> None:
    """What was looked at before is the newest that is certain; a name unknown drops nothing."""
    key_file = tmp_path / "vault.json"
    load_keyring(key_file, may_make=True)
    rotate(key_file)
    rotate(key_file)
    for key_id, kept in (("9", ["3", "2", "1"]), ("2", ["3", "2"]), ("3", ["3"])):
        retire(key_file, key_id)
        secrets = load_keyring(key_file, may_make=False).secrets
        assert [secret.key_id for secret in secrets] == kept


def test_keys_put_in_at_once_are_all_kept(tmp_path: Path) -> None:
    """Rotations beside each other wait for one another: none replaces another's key."""
    key_file = tmp_path / "vault.json"
    load_keyring(key_file, may_make=True)
    with ThreadPoolExecutor(4) as threads:
        for _ in range(12):
            threads.submit(rotate, key_file)
    secrets = load_keyring(key_file, may_make=False).secrets
    assert [int(secret.key_id) for secret in secrets] == list(range(13, 0, -1))


async def test_an_upload_goes_on_under_a_new_key(place: Place) -> None:
    """Bytes before, while and after its frames are renewed read back whole, over a restart too."""
    spool = await place.spool()
    expected = b""
    for step in range(6):
        data = bytes([65 + step]) * (100 + step)
        await spool.append(UPLOAD, len(expected), data)
        expected += data
    rotate(place.spool_keys)
    await spool.refresh()
    assert await place.old_uploads() == 1
    await spool.renew(4)
    await spool.append(UPLOAD, len(expected), b"after")
    expected += b"after"
    while await spool.renew(4):
        pass
    assert await place.old_uploads() == 0
    assert expected == await spool.read(UPLOAD, 0, 10_000)
    await retired(place)
    await spool.refresh()
    await spool.close()
    again = await place.spool()
    assert expected == await again.read(UPLOAD, 0, 10_000)
    await again.close()


async def test_a_cut_copy_of_an_upload_is_begun_again(tmp_path: Path) -> None:
    """A crash while frames are copied leaves the upload as it was; the copy is dropped."""
    directory, key_file = tmp_path / "spool", tmp_path / "spool.json"
    spool = FileSpool(directory, key_file)
    for step in range(6):
        await spool.append(UPLOAD, step * 10, b"0123456789")
    rotate(key_file)
    await spool.refresh()
    await spool.renew(2)
    assert list(directory.glob("*.renewing"))
    again = FileSpool(directory, key_file)
    assert not list(directory.glob("*.renewing"))
    while await again.renew(2):
        pass
    assert await again.read(UPLOAD, 0, 100) == b"0123456789" * 6
    assert old_uploads(directory, load_keyring(key_file, may_make=False).secrets[0]) == 0
    await spool.close()
    await again.close()


async def test_a_frame_of_a_dropped_key_is_told_of(place: Place) -> None:
    """Whoever retires a key that is still needed learns it: nothing wrong is read."""
    spool = await place.spool()
    await spool.append(UPLOAD, 0, b"0123456789")
    await spool.append(UPLOAD, 10, b"0123456789")
    rotate(place.spool_keys)
    await retired(place)
    await spool.refresh()
    with pytest.raises(SpoolBroken):
        await spool.read(UPLOAD, 0, 20)
    await spool.close()


def test_keys_in_use_are_remembered(tmp_path: Path) -> None:
    """What a writer said is what is read; nothing was said at first."""
    path = tmp_path / "in-use.json"
    assert in_use(path) == {}
    say_in_use(path, {"vault": "2", "spool": "1"})
    assert in_use(path) == {"vault": "2", "spool": "1"}

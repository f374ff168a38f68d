"""What `onshi keys` tells and does, with vault and spool in files and on a server."""

from __future__ import annotations

import asyncio
import shutil

import pytest

from gateway.app.clock import new_key, real_clock
from gateway.app.engine import KEPT_IN, SPOOL, VAULT, engine_at
from gateway.app.key_renewal import KeyRenewal
from gateway.app.keys import KeptElsewhereError, key_status, retire_keys, rotate_keys
from gateway.app.layout import DataDir
from gateway.config import STORE_VARIABLE
from gateway.domain.individual_number import IndividualNumber, individual_check_digit
from gateway.store.keyring import WrongKeys, in_use, load_keyring
from gateway.store.memory import MemoryStore, MemoryVault
from gateway.store.records import encode_coverage
from gateway.usecases.desk import Desk
from tests.store.batches import UPLOAD_KEY, person
from tests.store.memories import Database, Place

ASKED = [
    (IndividualNumber(body + individual_check_digit(body)), person(serial))
    for serial in range(7)
    for body in [f"{880_000_000_00 + serial:011d}"]
]


class Gateway:
    """The part of a gateway that has keys, in a directory of its own."""

    def __init__(self, place: Place) -> None:
        self.data = DataDir(place.root)
        self.data.make()
        store = place.url if isinstance(place, Database) else None
        self.engine = engine_at(store, self.data)
        self.store = store

    async def run(self, pages: int) -> None:
        """Have a writer take new keys and renew some pages, and end."""
        vault = await self.engine.vault(self.data)
        spool = await self.engine.spool(self.data, 1_000)
        await vault.people_of(ASKED)
        await spool.append(UPLOAD_KEY, 0, b"abc")
        desk = Desk(MemoryStore(encode_coverage), MemoryVault(), new_key, real_clock)
        renewal = KeyRenewal(vault, spool, desk, self.data.keys_in_use, self.engine.kept_in)
        await renewal.take_new()
        for _ in range(pages):
            await renewal.renew_some()
        await vault.close()
        await spool.close()


@pytest.fixture
def gateway(place: Place, monkeypatch: pytest.MonkeyPatch) -> Gateway:
    """A gateway that never ran."""
    made = Gateway(place)
    monkeypatch.delenv(STORE_VARIABLE, raising=False)
    if made.store is not None:
        monkeypatch.setenv(STORE_VARIABLE, made.store)
    return made


async def test_old_keys_go_once_nothing_needs_them(gateway: Gateway) -> None:
    """They stay while rows or chunks of theirs are left; then vault and spool open without them."""
    root = gateway.data.root
    await gateway.run(0)
    statuses = await asyncio.to_thread(rotate_keys, root)
    assert [(one.name, one.current, one.older, one.left) for one in statuses] == [
        (VAULT, "2", ("1",), len(ASKED)),
        (SPOOL, "2", ("1",), 1),
    ]
    _, is_done = await asyncio.to_thread(retire_keys, root)
    assert not is_done
    await gateway.run(9)
    statuses = await asyncio.to_thread(key_status, root)
    assert [(one.left, one.is_in_use) for one in statuses] == [(0, True), (0, True)]
    statuses, is_done = await asyncio.to_thread(retire_keys, root)
    assert is_done
    assert [one.older for one in statuses] == [(), ()]
    for path in (gateway.data.vault_keys, gateway.data.spool_keys):
        assert len(load_keyring(path, may_make=False).secrets) == 1
    await gateway.run(0)
    statuses = await asyncio.to_thread(key_status, root)
    assert [one.left for one in statuses] == [0, 0]


async def test_the_database_must_be_named(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without it old keys would look as if nothing needed them; with it where none is used too."""
    await gateway.run(0)
    assert in_use(gateway.data.keys_in_use)[KEPT_IN] == gateway.engine.kept_in
    if gateway.store is None:
        monkeypatch.setenv(STORE_VARIABLE, "postgresql://onshi@127.0.0.1:1/nowhere")
    else:
        monkeypatch.delenv(STORE_VARIABLE)
    for command in (key_status, rotate_keys, retire_keys):
        with pytest.raises(KeptElsewhereError, match=STORE_VARIABLE):
            await asyncio.to_thread(command, gateway.data.root)
    assert len(load_keyring(gateway.data.vault_keys, may_make=False).secrets) == 1


async def test_a_machine_is_told_of_wrong_keys_before_it_writes(
    gateway: Gateway, place: Place, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """While another machine writes too; where nothing was written yet, any keys will do."""
    await gateway.engine.require_keys(gateway.data)
    await gateway.run(0)
    await gateway.engine.require_keys(gateway.data)
    other = DataDir(tmp_path_factory.mktemp("other"))
    other.make()
    if isinstance(place, Database):
        with pytest.raises(FileNotFoundError):
            await gateway.engine.require_keys(other)
        for path in (other.vault_keys, other.spool_keys):
            load_keyring(path, may_make=True)
        with pytest.raises(WrongKeys, match="the vault was written with the keys 1"):
            await gateway.engine.require_keys(other)
    shutil.copytree(gateway.data.keys, other.keys, dirs_exist_ok=True)
    await gateway.engine.require_keys(other)

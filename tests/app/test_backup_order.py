"""Whatever goes on while a backup is taken, its parts agree and nothing acknowledged is missing."""

from __future__ import annotations

import asyncio
import errno
import tempfile
from copy import deepcopy
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from gateway.app.backup import ORDER
from gateway.app.backup_words import BackupRefusedError
from gateway.store.keyring import load_keyring, retire
from gateway.store.spool_copy import HeldSpool
from tests.app.backup_stand import ACTS, Live, left_in, restored, taken
from tests.store.test_stateful import EXAMPLES

MOMENTS = (*ORDER, "held", "moment")
some_acts = st.lists(st.sampled_from(sorted(ACTS)), max_size=3)


@settings(max_examples=EXAMPLES // 2, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(before=some_acts, during=st.dictionaries(st.sampled_from(MOMENTS), some_acts))
@example(["begin"], {"held": ["finish"], "moment": ["apply"]})
@example(["finish"], {"moment": ["apply"], "vault": ["change", "rotate"], "keys": ["rotate"]})
@example(["change"], {"news": ["look", "change", "tell"], "access": ["look", "index"]})
@example(["begin", "rotate"], {"held": ["renew"], "moment": ["finish", "apply"]})
def test_a_copy_of_a_busy_gateway_has_lost_nothing(
    before: list[str], during: dict[str, list[str]]
) -> None:
    """What was acknowledged before it began is in it, and every part fits the others."""

    async def run(root: Path) -> None:
        live = Live(root / "live")
        for name in before:
            await ACTS[name](live)
        told = deepcopy(live.told)
        manifest = await taken(live, root / "backup", during)
        assert manifest.problems == ()
        again = await restored(root / "backup", root / "again")
        assert await again.holds(told) == []
        assert await again.whole()
        await again.close()
        await live.close()

    with tempfile.TemporaryDirectory() as scratch:
        asyncio.run(run(Path(scratch)))


def moved(part: str, before: str) -> list[str]:
    """The order with one part copied earlier than it should be."""
    order = [name for name in ORDER if name != part]
    order.insert(order.index(before), part)
    return order


@pytest.mark.parametrize(
    ("order", "during", "said"),
    [
        (moved("vault", "facts"), {"facts": ["change"]}, "vault.db: "),
        (moved("access", "trail"), {"trail": ["look", "index"]}, "anchored"),
        (moved("trail", "news"), {"news": ["look", "tell"]}, "trail.db: "),
    ],
    ids=["vault before facts", "access before trail", "trail before news"],
)
async def test_another_order_is_found_wrong(
    tmp_path: Path, order: list[str], during: dict[str, list[str]], said: str
) -> None:
    """Each arrow of the order matters: turned round, the checks name what is missing."""
    live = Live(tmp_path / "live")
    await live.change()
    await live.look()
    await live.index()

    manifest = await taken(live, tmp_path / "backup", during, order=order)

    assert [said in problem for problem in manifest.problems] == [True]
    await live.close()


@pytest.mark.parametrize("skipped", [1, 2])
async def test_a_spool_held_only_once_is_found_wrong(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, skipped: int
) -> None:
    """Held before the facts' moment alone, or after it alone, an upload's bytes are missing."""
    live = Live(tmp_path / "live")
    real, calls = HeldSpool.hold, 0

    def hold(held: HeldSpool) -> None:
        nonlocal calls
        calls += 1
        if calls != skipped:
            real(held)

    monkeypatch.setattr(HeldSpool, "hold", hold)
    monkeypatch.setattr("gateway.app.backup._Copying._holds_all", lambda *_: True)
    if skipped == 1:
        await live.finish()
        during = {"moment": ["apply"]}
    else:
        during = {"held": ["finish"]}

    manifest = await taken(live, tmp_path / "backup", during)

    assert ["of a received upload are missing" in one for one in manifest.problems] == [True]
    await live.close()


@pytest.mark.parametrize("too_many", [True, False])
async def test_uploads_that_cannot_be_held_are_said(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    too_many: bool,  # noqa: FBT001  a case
) -> None:
    """More than a process may open, or gone again and again: nothing is copied by halves."""
    live = Live(tmp_path / "live")
    await live.finish()

    def hold(_: HeldSpool) -> None:
        if too_many:
            raise OSError(errno.EMFILE, "too many open files")

    monkeypatch.setattr(HeldSpool, "hold", hold)
    monkeypatch.setattr("gateway.app.backup.HOLD_REST_S", 0.0)
    with pytest.raises(BackupRefusedError, match="UPLOADS_NOT_HELD"):
        await taken(live, tmp_path / "backup")
    await live.close()
    assert left_in(tmp_path) == ["live"]


async def test_keys_that_are_retired_meanwhile_are_noticed(tmp_path: Path) -> None:
    """What the copied vault may still need is gone, so that the backup must be taken again."""
    live = Live(tmp_path / "live")
    await live.change()
    await live.rotate()

    async def drop(of: Live) -> None:
        path = of.data.vault_keys
        retire(path, load_keyring(path, may_make=False).secrets[0].key_id)

    ACTS["drop"] = drop
    try:
        with pytest.raises(BackupRefusedError, match="KEYS_RETIRED"):
            await taken(live, tmp_path / "backup", {"trail": ["drop"]})
    finally:
        del ACTS["drop"]
    await live.close()
    assert left_in(tmp_path) == ["live"]

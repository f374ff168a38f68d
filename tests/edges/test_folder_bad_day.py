"""The drop folders on a bad day: whatever happens, one answer, whole, and only to who has none."""

from __future__ import annotations

import asyncio
import errno
import os
from pathlib import Path
from typing import Any

import grpc
import pytest

from gateway.config import BridgeSettings
from gateway.edges import folder_files, folder_put
from gateway.edges.folder import WAITING_MAX, FolderBridge
from gateway.edges.folder_files import Files
from gateway.edges.folder_names import ANSWER, REJECTION, result_name
from gateway.edges.folder_watch import Found, Watch, signature_of
from tests.edges.folder_stand import (
    NOW,
    Gateway,
    appeared,
    away,
    empty,
    files_in,
    request_file,
    running,
    settings_in,
    until,
)

NAME = "OQSsiquc01req_1.xml"
RESULT = "OQSsiquc01res_1.xml"


@pytest.fixture
def settings(tmp_path: Path) -> BridgeSettings:
    """Folders of a made-up institution, with short waits."""
    return settings_in(tmp_path)


async def test_a_taken_answer_is_not_given_again_after_a_start(settings: BridgeSettings) -> None:
    """The client deletes its answer; a bridge that starts again has nothing to say."""
    gateway = Gateway()
    (settings.req / NAME).write_bytes(request_file())
    async with running(settings, gateway):
        await appeared(settings.res / RESULT)
    (settings.res / RESULT).unlink()
    async with running(settings, gateway):
        await asyncio.sleep(0.1)
    assert len(gateway.asked) == 1
    assert not any(settings.res.iterdir())


async def test_the_same_name_later_is_a_new_request(settings: BridgeSettings) -> None:
    """A name is free again once its answer is put, even while the answer lies there."""
    gateway = Gateway()
    async with running(settings, gateway):
        for identifier in ("first", "second"):
            (settings.req / NAME).write_bytes(request_file(identifier=identifier))
            await until(
                lambda word=identifier: (
                    (settings.res / RESULT).exists()
                    and f">{word}<".encode() in (settings.res / RESULT).read_bytes()
                )
            )
    assert len(gateway.asked) == 2


async def test_a_request_claimed_before_a_crash_is_asked_though_an_older_answer_lies_there(
    settings: BridgeSettings,
) -> None:
    """An answer nobody took says nothing about a later request of the same name."""
    (settings.work / NAME).write_bytes(request_file(identifier="new"))
    (settings.res / RESULT).write_bytes(b"older")
    async with running(settings, Gateway()):
        await until(lambda: b">new<" in (settings.res / RESULT).read_bytes())


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO, errno.ESTALE])
async def test_a_full_or_broken_disk_is_waited_for(
    settings: BridgeSettings, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """No answer is lost, none is half, and the gateway is not asked without end."""
    broken = True
    real = os.fsync

    def fsync(descriptor: int) -> None:
        if broken:
            raise OSError(number, "")
        real(descriptor)

    monkeypatch.setattr(folder_put.os, "fsync", fsync)
    gateway = Gateway()
    for suffix in range(20):
        (settings.req / f"OQSsiquc01req_{suffix}.xml").write_bytes(request_file())
    async with running(settings, gateway):
        await until(lambda: len(gateway.asked) > 17)
        assert not any(settings.res.iterdir())
        broken = False
        await appeared(*(settings.res / f"OQSsiquc01res_{suffix}.xml" for suffix in range(20)))
        await empty(settings.work)


async def test_a_locked_place_of_one_answer_holds_up_no_other(settings: BridgeSettings) -> None:
    """More locked places than slots leave the others free; the answer comes when it can."""
    count = settings.requests_in_flight_max + 8
    for suffix in range(count):
        (settings.res / f"OQSsiquc01res_{suffix}.xml").mkdir()
        (settings.req / f"OQSsiquc01req_{suffix}.xml").write_bytes(request_file())
    gateway = Gateway()
    async with running(settings, gateway):
        await until(lambda: len(gateway.asked) == count)
        (settings.req / "OQSsiquc01req_free.xml").write_bytes(request_file())
        await appeared(settings.res / "OQSsiquc01res_free.xml")
        (settings.res / "OQSsiquc01res_3.xml").rmdir()
        await until((settings.res / "OQSsiquc01res_3.xml").is_file)
    assert len(gateway.asked) == count + 1


@pytest.mark.parametrize("number", [errno.EACCES, errno.EBUSY, errno.EAGAIN])
async def test_a_request_that_is_locked_is_claimed_later_and_blocks_nobody(
    settings: BridgeSettings, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """More locked requests than one sweep takes do not keep a free one waiting."""
    locked = {f"OQSsiquc01req_locked{place}.xml" for place in range(300)}
    real = Path.rename

    def rename(path: Path, target: Path) -> Path:
        if path.name in locked:
            raise OSError(number, "")
        return real(path, target)

    monkeypatch.setattr(folder_files.Path, "rename", rename)
    for name in locked:
        (settings.req / name).write_bytes(request_file())
    (settings.req / "OQSsiquc01req_zfree.xml").write_bytes(request_file())
    async with running(settings, Gateway()):
        await appeared(settings.res / "OQSsiquc01res_zfree.xml")
        locked.clear()
        await until(lambda: len(list(settings.res.iterdir())) == 301)


@pytest.mark.parametrize("lost", ["req", "res", "work", "all"])
async def test_a_folder_that_vanishes_and_comes_back_loses_nothing(
    tmp_path: Path, lost: str
) -> None:
    """
    No other folder is made in its place, not even by a bridge that starts while it is away.

    Only `work`, which is the bridge's own, is made at a start.
    """
    base = tmp_path / "share"
    base.mkdir()
    settings = settings_in(base)
    folder = base if lost == "all" else base / lost
    hidden = folder.with_name("hidden")
    (settings.req / NAME).write_bytes(request_file())
    if lost != "work":
        folder.rename(hidden)
    async with running(settings, Gateway()):
        await asyncio.sleep(0.3)
        if lost != "work":
            assert not folder.exists()
            hidden.rename(folder)
        await appeared(settings.res / RESULT)
        folder.rename(hidden)
        await asyncio.sleep(0.1)
        assert not folder.exists()
        hidden.rename(folder)
        (settings.req / "OQSsiquc01req_2.xml").write_bytes(request_file())
        await appeared(settings.res / "OQSsiquc01res_2.xml")


class Slow(Gateway):
    """Never answers some requests in time, and counts how many of them are asked at once."""

    def __init__(self) -> None:
        super().__init__()
        self.slow_tries = self.slow_now = self.slow_max = 0

    async def ConfirmEligibility(self, request: Any, /, *, timeout: Any = None) -> Any:  # noqa: ASYNC109, N802
        """Answer only those with the usual symbol."""
        if request.insured_id.symbol != "slow":
            return await super().ConfirmEligibility(request, timeout=timeout)
        self.slow_tries += 1
        self.slow_now += 1
        self.slow_max = max(self.slow_max, self.slow_now)
        await asyncio.sleep(0.05)
        self.slow_now -= 1
        raise away(grpc.StatusCode.DEADLINE_EXCEEDED)


async def test_a_deadline_of_some_requests_keeps_no_other_waiting(
    settings: BridgeSettings,
) -> None:
    """Requests the gateway never answers in time take no more than half of the slots."""
    count = 3 * settings.requests_in_flight_max
    for suffix in range(count):
        data = request_file().replace("記号".encode(), b"slow")
        (settings.req / f"OQSsiquc01req_s{suffix}.xml").write_bytes(data)
    gateway = Slow()
    async with running(settings, gateway):
        await until(lambda: gateway.slow_tries > 2 * count)
        gateway.slow_max = 0
        for suffix in range(40):
            (settings.req / f"OQSsiquc01req_{suffix}.xml").write_bytes(request_file())
        await appeared(*(settings.res / f"OQSsiquc01res_{suffix}.xml" for suffix in range(40)))
        await until(lambda: gateway.slow_tries > 4 * count)
    assert 0 < gateway.slow_max <= settings.requests_in_flight_max // 2
    assert len(files_in(settings.work)) == count


async def test_while_the_gateway_is_away_it_is_not_stormed_and_comes_back_to_all(
    settings: BridgeSettings,
) -> None:
    """One try at a time while away; all are answered soon after it is back."""
    gateway = Gateway(*[away()] * 19)
    for suffix in range(300):
        (settings.req / f"OQSsiquc01req_{suffix}.xml").write_bytes(request_file())
    async with running(settings, gateway):
        await until(lambda: len(gateway.asked) == 16)
        gateway.in_flight_max = 0
        await asyncio.sleep(0.3)
        assert 16 <= len(gateway.asked) <= 18
        await until(lambda: len(gateway.asked) == 19)
        assert gateway.in_flight_max == 1
        await appeared(*(settings.res / f"OQSsiquc01res_{suffix}.xml" for suffix in range(300)))
    assert len(gateway.asked) == 319


async def test_two_bridges_do_not_work_in_one_place(settings: BridgeSettings) -> None:
    """The second waits until the first is gone, so none answers what the other has claimed."""
    first, second = Gateway(*[away()] * 1_000), Gateway()
    (settings.req / NAME).write_bytes(request_file())
    async with running(settings, first):
        await appeared(settings.work / NAME)
        stop = asyncio.Event()
        other = asyncio.create_task(FolderBridge(second, settings, lambda: NOW).run(stop))
        await asyncio.sleep(0.3)
        assert not second.asked
    await appeared(settings.res / RESULT)
    stop.set()
    await other


def test_a_leftover_in_work_is_never_overwritten(settings: BridgeSettings) -> None:
    """A request of a name that still waits in `work` stays in `req`."""
    files = Files(settings, lambda: NOW)
    path = settings.req / NAME
    path.write_bytes(b"new")
    found = Found(NAME, signature_of(path.stat()))
    for waiting in (NAME, NAME + ANSWER, NAME + REJECTION):
        (settings.work / waiting).write_bytes(b"old")
        claims = files.claim([found])
        assert (claims.taken, claims.refused) == ([], [NAME])
        (settings.work / waiting).unlink()
    assert files.claim([found]).taken == [NAME]


def test_a_sweep_gives_no_more_than_asked_for_and_passes_over_the_held(
    settings: BridgeSettings,
) -> None:
    """Memory is bounded by what is wanted now; what could not be claimed stands back."""
    for suffix in range(10):
        (settings.req / f"OQSsiquc01req_{suffix}.xml").write_bytes(request_file())
    watch = Watch(settings)
    assert watch.ready(0.0, 4, lambda _: False) == []
    first = watch.ready(1.0, 4, lambda _: False)
    assert len(first) == 4
    for found in first:
        watch.hold(found.name, 1.0)
    others = watch.ready(1.1, 20, lambda name: name.endswith("_9.xml"))
    taken = {found.name for found in first} | {"OQSsiquc01req_9.xml"}
    assert not taken & {found.name for found in others}
    assert len(watch.ready(3.0, 20, lambda _: False)) == 10


async def test_folders_on_two_disks_are_refused(
    settings: BridgeSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The promise of one answer rests on a rename."""
    real = Path.stat

    def stat(path: Path, *, follow_symlinks: bool = True) -> Any:
        found = real(path, follow_symlinks=follow_symlinks)
        if path != settings.res:
            return found
        return os.stat_result((*found[:2], found.st_dev + 1, *found[3:]))

    monkeypatch.setattr(Path, "stat", stat)
    with pytest.raises(ValueError, match="one file system"):
        await FolderBridge(Gateway(), settings, lambda: NOW).run(asyncio.Event())


async def test_no_more_requests_wait_in_work_than_the_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What cannot be answered is left in `req`, where its client can still take it back."""
    assert WAITING_MAX >= 16
    monkeypatch.setattr("gateway.edges.folder.WAITING_MAX", 8)
    settings = settings_in(tmp_path, requests_in_flight_max=2)
    gateway = Gateway(*[away(grpc.StatusCode.DEADLINE_EXCEEDED)] * 10_000)
    for suffix in range(40):
        (settings.req / f"OQSsiquc01req_{suffix}.xml").write_bytes(request_file())
    async with running(settings, gateway):
        await until(lambda: len(gateway.asked) > 30)
    assert 8 <= len(files_in(settings.work)) <= 8 + settings.requests_in_flight_max


def test_the_name_of_a_result_needs_the_name_of_a_request() -> None:
    """Nothing else is ever written under a result's name."""
    assert result_name("oqssiquc01REQ_a-B.XML") == "OQSsiquc01res_a-B.xml"
    with pytest.raises(ValueError, match="not a request"):
        result_name("OQSsiquc01res_a.xml")

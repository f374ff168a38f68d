"""What other hands do in the drop folders: links, pipes, locks and errors in a request's way."""

from __future__ import annotations

import asyncio
import errno
import fcntl
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from gateway.config import BridgeSettings
from gateway.edges import folder_files, folder_watch
from gateway.edges.folder_files import Files
from gateway.edges.folder_names import ANSWER, REJECTION, temporary
from gateway.edges.folder_put import put, touch
from gateway.edges.folder_watch import Found, signature_of
from tests.edges.folder_stand import (
    NOW,
    Gateway,
    appeared,
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


def link_to(target: Path) -> Callable[[Path], None]:
    """How to make a link to a file."""
    return lambda path: path.symlink_to(target)


def test_a_link_in_the_way_of_a_file_is_not_written_through(tmp_path: Path) -> None:
    """Whoever may write into `res` must not make the bridge write elsewhere."""
    victim = tmp_path / "victim"
    victim.write_bytes(b"precious")
    target = tmp_path / "told.txt"
    temporary(target).symlink_to(victim)
    put(target, b"told")
    assert (victim.read_bytes(), target.read_bytes()) == (b"precious", b"told")
    assert not target.is_symlink()


def test_touching_a_link_leaves_its_target_alone(tmp_path: Path) -> None:
    """The time of a file elsewhere is not the bridge's to change."""
    victim = tmp_path / "victim"
    victim.write_bytes(b"precious")
    os.utime(victim, (5, 5))
    (tmp_path / "link").symlink_to(victim)
    touch(tmp_path / "link")
    assert victim.stat().st_mtime == 5


@pytest.mark.parametrize("kind", ["link", "dangling link", "pipe", "folder"])
async def test_what_took_a_requests_place_as_it_was_claimed_is_rejected_unread(
    settings: BridgeSettings, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """A link's target is neither read nor emptied, a pipe keeps no thread; others go on."""
    secret = settings.work.parent / "secret.xml"
    secret.write_bytes(request_file())
    plant: Callable[[Path], None] = {
        "link": link_to(secret),
        "dangling link": link_to(secret.with_name("nowhere")),
        "pipe": os.mkfifo,
        "folder": Path.mkdir,
    }[kind]
    real = Path.rename

    def rename(path: Path, target: Path) -> Path:
        if path == settings.req / NAME:
            path.unlink()
            plant(path)
        return real(path, target)

    monkeypatch.setattr(folder_files.Path, "rename", rename)
    gateway = Gateway()
    (settings.req / NAME).write_bytes(request_file())
    (settings.req / "OQSsiquc01req_2.xml").write_bytes(request_file())
    async with running(settings, gateway):
        (text,) = await appeared(settings.res / "OQSsiquc01req_1.err")
        await appeared(settings.res / "OQSsiquc01res_2.xml")
        await empty(settings.work)
    assert b"reason: MESSAGE_MALFORMED" in text
    assert len(gateway.asked) == 1
    assert secret.read_bytes() == request_file()
    assert NAME not in [path.name for path in settings.work.iterdir()]


def test_a_link_in_a_claimed_requests_place_is_not_emptied(settings: BridgeSettings) -> None:
    """The mark of the answer is then a new file."""
    kept = settings.work.parent / "kept.xml"
    kept.write_bytes(request_file())
    (settings.work / NAME).symlink_to(kept)
    Files(settings, lambda: NOW).settle(NAME, ANSWER, b"answer")
    assert kept.read_bytes() == request_file()
    assert not os.path.lexists(settings.work / NAME)
    (mark,) = (settings.work / "put").iterdir()
    assert (mark.is_symlink(), mark.stat().st_size) == (False, 0)


def test_a_request_of_another_owner_does_not_keep_its_answer(
    settings: BridgeSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Such a file cannot be dated, so it is let go of and the mark is a new one."""
    monkeypatch.setattr(os, "geteuid", lambda: (settings.req.stat().st_uid or 1) + 1)
    claimed = settings.work / NAME
    claimed.write_bytes(request_file())
    with claimed.open("rb") as theirs:
        answer = Files(settings, lambda: NOW).settle(NAME, ANSWER, b"answer")
        assert theirs.read() == request_file()
    assert answer is not None
    (mark,) = (settings.work / "put").iterdir()
    assert (mark.name, mark.stat().st_mtime_ns) == (answer.mark, NOW * 1000)
    assert not claimed.exists()
    assert (settings.res / RESULT).read_bytes() == b"answer"


async def test_a_request_written_to_as_it_is_claimed_gets_a_moment_more(
    settings: BridgeSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is read only after it had time to settle, and then whole."""
    real = Path.rename

    def rename(path: Path, target: Path) -> Path:
        moved = real(path, target)
        if path == settings.req / NAME:
            target.write_bytes(request_file(identifier="later")[:-40])
        return moved

    monkeypatch.setattr(folder_files.Path, "rename", rename)
    (settings.req / NAME).write_bytes(request_file(identifier="first"))
    changed = settings_in(settings.req.parent, settle_ms=500)
    async with running(changed, Gateway()):
        await appeared(settings.work / NAME)
        await asyncio.sleep(0.1)
        (settings.work / NAME).write_bytes(request_file(identifier="later"))
        (result,) = await appeared(settings.res / RESULT)
    assert b">later<" in result


def test_an_error_about_one_name_keeps_no_other_from_being_claimed(
    settings: BridgeSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stale handle is that name's own trouble: it stays in `req`, the others are taken."""
    names = [f"OQSsiquc01req_{number}.xml" for number in (1, 2, 3)]
    for name in names:
        (settings.req / name).write_bytes(request_file())
    found = [Found(name, signature_of((settings.req / name).stat())) for name in names]
    real = Path.exists

    def exists(path: Path) -> bool:
        if path.name.startswith(names[1]):
            raise OSError(errno.ESTALE, "")
        return real(path)

    monkeypatch.setattr(folder_files.Path, "exists", exists)
    claims = Files(settings, lambda: NOW).claim(found)
    assert (claims.taken, claims.changed) == ([names[0], names[2]], [])
    assert (claims.refused, claims.errno) == ([names[1]], errno.ESTALE)


async def test_a_claim_that_breaks_off_leaves_no_name_busy(
    settings: BridgeSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was renamed before is found in `work`, the rest in `req`; all are answered."""
    monkeypatch.setattr("gateway.edges.folder.LOOK_BACK_S", 0.2)
    real = Files.claim
    is_first = True

    def claim(files: Files, wanted: Any) -> Any:
        nonlocal is_first
        if is_first:
            is_first = False
            real(files, wanted[:1])
            raise OSError(errno.EIO, "")
        return real(files, wanted)

    monkeypatch.setattr(Files, "claim", claim)
    for number in range(3):
        (settings.req / f"OQSsiquc01req_{number}.xml").write_bytes(request_file())
    async with running(settings, Gateway()):
        await appeared(*(settings.res / f"OQSsiquc01res_{number}.xml" for number in range(3)))
    assert not is_first


def test_folders_can_be_taken_hold_of_after_a_passing_error(
    settings: BridgeSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A try that failed half way does not lock out the next one of the same bridge."""
    files = Files(settings, lambda: NOW)
    with monkeypatch.context() as patch:
        patch.setattr(folder_files, "_clear", lambda _: (settings.res / "gone").stat())
        with pytest.raises(FileNotFoundError):
            files.prepare()
    files.prepare()
    other = Files(settings, lambda: NOW)
    with pytest.raises(BlockingIOError):
        other.prepare()
    files.release()
    other.prepare()
    other.release()


def test_a_folder_of_a_half_written_files_name_stops_no_start(settings: BridgeSettings) -> None:
    """What cannot be removed is left where it is, and the rest is still cleared."""
    (settings.res / ".x.onshi-tmp").mkdir()
    (settings.res / ".y.onshi-tmp").write_bytes(b"half")
    files = Files(settings, lambda: NOW)
    files.prepare()
    files.release()
    assert [path.name for path in settings.res.iterdir()] == [".x.onshi-tmp"]


def test_the_lock_is_a_file_open_for_writing(
    settings: BridgeSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a network disk no folder can be locked, nor a file that is open for reading only."""
    seen: list[int] = []
    real = fcntl.flock

    def flock(descriptor: int, operation: int) -> None:
        seen.append(fcntl.fcntl(descriptor, fcntl.F_GETFL) & os.O_ACCMODE)
        real(descriptor, operation)

    monkeypatch.setattr(folder_files.fcntl, "flock", flock)
    files = Files(settings, lambda: NOW)
    files.prepare()
    files.release()
    assert seen == [os.O_RDWR]
    assert (settings.work / folder_files.LOCK).is_file()


@pytest.mark.parametrize("data", [request_file(), b"half", b"<" * 70_000])
async def test_a_request_that_cannot_be_read_stays_in_req_until_it_can(
    settings: BridgeSettings, monkeypatch: pytest.MonkeyPatch, data: bytes
) -> None:
    """Whole, half written or too large: it is not claimed, an operator is told, others go on."""
    monkeypatch.setattr(folder_watch, "HOLD_S", 0.05)
    real = os.open
    is_locked = True

    def opened(path: Any, *args: Any, **kwargs: Any) -> int:
        if is_locked and Path(path).name == NAME:
            raise PermissionError(errno.EACCES, "")
        return real(path, *args, **kwargs)

    monkeypatch.setattr(folder_watch.os, "open", opened)
    (settings.req / NAME).write_bytes(data)
    with capture_logs() as logs:
        async with running(settings, Gateway()):
            await asyncio.sleep(2 * settings.half_written_wait_ms / 1000)
            (settings.req / "OQSsiquc01req_2.xml").write_bytes(request_file())
            await appeared(settings.res / "OQSsiquc01res_2.xml")
            assert (settings.req / NAME).exists()
            assert not files_in(settings.work)
            is_locked = False
            ends = [settings.res / RESULT, settings.res / "OQSsiquc01req_1.err"]
            await until(lambda: any(path.exists() for path in ends))
    expected = {
        "event": "folder_request_unreadable",
        "errno": errno.EACCES,
        "log_level": "warning",
    }
    assert [expected] == [log for log in logs if log["log_level"] == "warning"]


async def test_a_bug_about_one_request_ends_no_other(
    settings: BridgeSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It waits for another try like any trouble of its own; the log tells the kind only."""
    real = Files.settle
    tries = 0

    def settle(files: Files, name: str, kind: str, data: bytes) -> Any:
        nonlocal tries
        if name == NAME and tries < 2:
            tries += 1
            raise RuntimeError("patient77")
        return real(files, name, kind, data)

    monkeypatch.setattr(Files, "settle", settle)
    for number in range(4):
        (settings.req / f"OQSsiquc01req_{number}.xml").write_bytes(request_file())
    with capture_logs() as logs:
        async with running(settings, Gateway()):
            await appeared(*(settings.res / f"OQSsiquc01res_{number}.xml" for number in range(4)))
    assert logs == [{"event": "folder_bug", "kind": "RuntimeError", "log_level": "warning"}]
    assert tries == 2


def test_requests_left_in_work_are_found_behind_a_crowd(
    settings: BridgeSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only requests count for the limit of a look, and those being answered do not."""
    monkeypatch.setattr(folder_files, "LEFTOVERS_PER_LOOK_MAX", 2)
    for number in range(50):
        (settings.work / f"note{number}.txt").write_bytes(b"an operator's")
    for number in range(4):
        (settings.work / f"OQSsiquc01req_{number}.xml").write_bytes(request_file())
    (settings.work / ("OQSsiquc01req_0.xml" + REJECTION)).write_bytes(b"reason")
    files = Files(settings, lambda: NOW)
    busy: set[str] = set()
    for _ in range(3):
        found = files.leftovers(busy.__contains__)
        assert len(found) <= 2
        busy.update(found)
    assert busy == {f"OQSsiquc01req_{number}.xml" for number in range(4)}

"""A kill before any file operation: the client finds its answer exactly once."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from gateway.config import BridgeSettings
from gateway.edges.folder_files import Files
from gateway.edges.folder_names import ANSWER, REJECTION
from tests.edges.folder_stand import NOW, files_in, request_file, settings_in

NAME = "OQSsiquc01req_1.xml"
RESULT = "OQSsiquc01res_1.xml"


@pytest.fixture
def settings(tmp_path: Path) -> BridgeSettings:
    """Folders of a made-up institution."""
    return settings_in(tmp_path)


class KilledError(BaseException):
    """Stands in for `kill -9`: nothing in the code under test catches it."""


class Killer:
    """Ends a sequence of file operations before its nth one."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, after: int) -> None:
        self.left = after
        for owner, names in (
            (os, ("open", "fsync", "ftruncate", "utime", "replace", "rename", "unlink")),
            (Path, ("replace", "rename", "unlink", "touch", "mkdir")),
        ):
            for name in names:
                monkeypatch.setattr(owner, name, self._counted(getattr(owner, name)))

    def _counted(self, function: Any) -> Any:
        def counted(*args: Any, **kwargs: Any) -> Any:
            if self.left == 0:
                raise KilledError
            self.left -= 1
            return function(*args, **kwargs)

        return counted


def settled(settings: BridgeSettings, kind: str, data: bytes) -> None:
    """What a bridge does with one claimed request, or does after a start with what it finds."""
    files = Files(settings, lambda: NOW)
    try:
        files.prepare()
        for name in files.leftovers(lambda _: False):
            if files.unanswered(name) is None:
                files.publish(name)
            else:
                files.settle(name, kind, data)
    finally:
        files.release()


@pytest.mark.parametrize("takes", [False, True])
@pytest.mark.parametrize("kind", [ANSWER, REJECTION])
def test_a_kill_at_any_instant_leaves_one_answer(tmp_path: Path, kind: str, *, takes: bool) -> None:
    """
    Before any file operation a kill may come, and a client may take the answer before the start.

    The client finds the answer exactly once: before the kill or after the next start.
    """
    after = 0
    instants = 0
    while True:
        folder = tmp_path / str(after)
        folder.mkdir()
        settings = settings_in(folder)
        (settings.work / NAME).write_bytes(request_file())
        result = settings.res / (RESULT if kind == ANSWER else "OQSsiquc01req_1.err")
        seen = number = 0
        is_killed = False
        with pytest.MonkeyPatch.context() as patch:
            killer = Killer(patch, after)
            try:
                settled(settings, kind, b"first")
            except KilledError:
                is_killed = True
            killer.left = -1
        if result.exists():
            assert result.read_bytes() == b"first"
            seen += 1
            number = result.stat().st_ino
            if takes:
                result.unlink()
        settled(settings, kind, b"second")
        if result.exists() and (takes or not seen):
            assert result.read_bytes() in {b"first", b"second"}
            seen += 1
        elif result.exists():
            assert (b"first", number) == (result.read_bytes(), result.stat().st_ino)
        assert seen == 1, f"killed before operation {after}"
        assert not files_in(settings.work)
        if not is_killed:
            break
        instants += 1
        after += 1
    assert instants > 12


def test_a_staged_answer_is_given_and_nobody_asked_again(settings: BridgeSettings) -> None:
    """What was staged before a kill is what appears, whatever would be answered now."""
    (settings.work / NAME).write_bytes(request_file())
    (settings.work / (NAME + ANSWER)).write_bytes(b"staged")
    settled(settings, ANSWER, b"later")
    assert (settings.res / RESULT).read_bytes() == b"staged"


def test_a_request_with_a_second_name_is_not_emptied(settings: BridgeSettings) -> None:
    """A client may keep its own copy by a hard link; it stays as it is."""
    kept = settings.work.parent / "kept.xml"
    kept.write_bytes(request_file())
    (settings.work / NAME).hardlink_to(kept)
    settled(settings, ANSWER, b"answer")
    assert kept.read_bytes() == request_file()
    assert (settings.res / RESULT).read_bytes() == b"answer"

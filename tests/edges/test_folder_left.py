"""Answers left in `res`: touched for a while, forgotten at last, and never anybody else's files."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from gateway.config import BridgeSettings, load_bridge_settings
from gateway.domain.period import Instant
from gateway.edges import folder_left
from gateway.edges.folder import FolderBridge
from gateway.edges.folder_files import Files
from gateway.edges.folder_left import MARK_STAYS_US
from gateway.edges.folder_names import ANSWER
from gateway.edges.folder_waiting import Agenda, pause_s
from tests.edges.folder_stand import NOW, Gateway, appeared, request_file, settings_in, until

STAY_MINUTES = 60
LATER = Instant(NOW + STAY_MINUTES * 60_000_000)


@pytest.fixture
def settings(tmp_path: Path) -> BridgeSettings:
    """Folders whose answers are forgotten after an hour."""
    return settings_in(tmp_path, response_file_stay_minutes=STAY_MINUTES)


def put(settings: BridgeSettings, *suffixes: str) -> Files:
    """Answer requests, as a bridge does at `NOW`."""
    files = Files(settings, lambda: NOW)
    for suffix in suffixes:
        name = f"OQSsiquc01req_{suffix}.xml"
        (settings.work / name).write_bytes(request_file())
        files.settle(name, ANSWER, b"answer " + suffix.encode())
    return files


def names_in(folder: Path) -> list[str]:
    """What lies in a folder."""
    return sorted(path.name for path in folder.iterdir())


def marks(settings: BridgeSettings) -> list[Path]:
    """The marks of answers that lie in `res`."""
    return sorted((settings.work / "put").iterdir())


def test_an_answer_stays_as_long_as_it_may(settings: BridgeSettings) -> None:
    """A microsecond before its time nothing happens; at its time it goes and is told of."""
    files = put(settings, "1")
    assert files.left.walk(Instant(LATER - 1)) == 0
    assert names_in(settings.res) == ["OQSsiquc01res_1.xml"]
    assert files.left.walk(LATER) == 1
    assert names_in(settings.res) == ["del-onshi-20260415103005.txt"]
    assert not marks(settings)


def test_what_tells_of_it_holds_no_word_of_the_client(settings: BridgeSettings) -> None:
    """Times and counts only: a file name may hold a patient's number."""
    put(settings, "patient77", "patient78").left.walk(LATER)
    (told,) = settings.res.iterdir()
    lines = told.read_text("utf-8").splitlines()
    assert lines[0].startswith("# Onshi Gateway (simulator).")
    assert lines[1:] == [
        "removed_time: 20260415103005",
        "stay_minutes: 60",
        "count: 2",
        "put_time: 20260415093005",
        "put_time: 20260415093005",
    ]


def test_a_restart_forgets_nothing(settings: BridgeSettings) -> None:
    """The time of putting lies on the disk."""
    put(settings, "1")
    assert Files(settings, lambda: LATER).left.walk(LATER) == 1


def test_zero_minutes_keep_answers_for_ever(tmp_path: Path) -> None:
    """The setting can be turned off."""
    settings = settings_in(tmp_path, response_file_stay_minutes=0)
    assert put(settings, "1").left.walk(Instant(NOW * 2)) == 0
    assert names_in(settings.res) == ["OQSsiquc01res_1.xml"]


def test_files_the_bridge_did_not_put_are_never_removed(settings: BridgeSettings) -> None:
    """A file of an answer's name by somebody else stays, and so does one in an answer's place."""
    files = put(settings, "1", "2")
    stranger = settings.res / "OQSsiquc01res_9.xml"
    stranger.write_bytes(b"a client's")
    os.utime(stranger, (0, 0))
    (settings.res / "other").write_bytes(b"a client's own words")
    (settings.res / "other").replace(settings.res / "OQSsiquc01res_1.xml")
    assert files.left.walk(LATER) == 1
    assert names_in(settings.res) == [
        "OQSsiquc01res_1.xml",
        "OQSsiquc01res_9.xml",
        "del-onshi-20260415103005.txt",
    ]
    assert not marks(settings)


def test_a_file_that_took_an_answers_place_in_the_last_moment_goes_back(
    settings: BridgeSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between looking and removing a client may put its own file there; it stays."""
    files = put(settings, "1")
    path = settings.res / "OQSsiquc01res_1.xml"
    real = Path.rename

    def rename(source: Path, target: Path) -> Path:
        if source == path and not target.exists():
            (settings.res / "own").write_bytes(b"a client's own words")
            (settings.res / "own").replace(path)
        return real(source, target)

    monkeypatch.setattr(folder_left.Path, "rename", rename)
    assert files.left.walk(LATER) == 0
    monkeypatch.undo()
    assert names_in(settings.res) == ["OQSsiquc01res_1.xml"]
    assert path.read_bytes() == b"a client's own words"
    files.left.walk(LATER)
    assert not marks(settings)


def test_the_mark_of_a_taken_answer_goes_and_holds_no_data(settings: BridgeSettings) -> None:
    """While an answer lies there its mark is an empty file; afterwards nothing is kept."""
    files = put(settings, "1")
    assert [path.stat().st_size for path in marks(settings)] == [0]
    (settings.res / "OQSsiquc01res_1.xml").unlink()
    files.left.walk(Instant(NOW + MARK_STAYS_US))
    assert len(marks(settings)) == 1
    files.left.walk(Instant(NOW + MARK_STAYS_US + 1))
    assert not marks(settings)
    assert not any(settings.res.iterdir())


def test_a_kill_between_removing_and_telling_is_told_of_later(settings: BridgeSettings) -> None:
    """An answer that was taken back and not told of yet is told of by the next walk."""
    files = put(settings, "1")
    (mark,) = marks(settings)
    (settings.res / "OQSsiquc01res_1.xml").rename(mark.with_name(f"gone-{mark.name}"))
    files.left.walk(LATER)
    assert names_in(settings.res) == ["del-onshi-20260415103005.txt"]
    assert not marks(settings)


def test_two_walks_within_a_second_tell_of_everything(settings: BridgeSettings) -> None:
    """A file that tells is not written over; the rest is told of later."""
    put(settings, "1").left.walk(LATER)
    files = put(settings, "2")
    files.left.walk(LATER)
    files.left.walk(Instant(LATER + 1_000_000))
    assert names_in(settings.res) == [f"del-onshi-2026041510300{second}.txt" for second in (5, 6)]


def test_the_files_that_tell_are_bounded_and_a_clients_stay(
    settings: BridgeSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beyond the limit the oldest of ours go; other del files are none of our business."""
    monkeypatch.setattr(folder_left, "DEL_FILES_MAX", 3)
    (settings.res / "del20250101.txt").write_bytes(b"")
    for second in range(5):
        put(settings, str(second)).left.walk(Instant(LATER + second * 1_000_000))
    expected = ["del-onshi-20260415103007.txt", "del-onshi-20260415103008.txt"]
    assert names_in(settings.res) == [
        *expected,
        "del-onshi-20260415103009.txt",
        "del20250101.txt",
    ]


def test_one_walk_removes_no_more_than_its_limit(
    settings: BridgeSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next walk goes on."""
    monkeypatch.setattr(folder_left, "FORGOTTEN_PER_WALK_MAX", 2)
    files = put(settings, "1", "2", "3")
    assert [files.left.walk(Instant(LATER + at)) for at in (0, 1_000_000)] == [2, 1]


def test_a_result_folder_that_is_away_means_nothing(settings: BridgeSettings) -> None:
    """No mark is dropped because its answer cannot be seen."""
    files = put(settings, "1")
    hidden = settings.res.rename(settings.res.with_name("hidden"))
    assert files.left.walk(LATER) == 0
    hidden.rename(settings.res)
    assert files.left.walk(LATER) == 1


def test_a_walk_while_an_answer_is_put_leaves_its_mark(
    settings: BridgeSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A mark lies there before its answer, also an old one of a try that failed."""
    files = Files(settings, lambda: NOW)
    staged = settings.work / f"OQSsiquc01req_1.xml{ANSWER}"
    staged.write_bytes(b"answer")
    old = Instant(NOW - 10 * MARK_STAYS_US)
    files.left.note(staged, "OQSsiquc01res_1.xml", old, settings.work / "OQSsiquc01req_1.xml")
    real = Files._move

    def move(mover: Files, source: Path, target: Path) -> None:
        mover.left.walk(NOW)
        real(mover, source, target)

    monkeypatch.setattr(Files, "_move", move)
    files.publish("OQSsiquc01req_1.xml")
    assert len(marks(settings)) == 1
    assert files.left.walk(LATER) == 1


def test_a_mark_made_anew_during_a_walk_stays(
    settings: BridgeSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A walk that met a mark old looks again before it drops it."""
    files = put(settings, "1")
    path = settings.res / "OQSsiquc01res_1.xml"
    staged = path.rename(settings.work / f"OQSsiquc01req_1.xml{ANSWER}")
    real = folder_left.Answer.is_at

    def is_at(answer: folder_left.Answer, place: Path) -> bool:
        is_there = real(answer, place)
        if staged.exists():
            files.left.note(staged, path.name, LATER, settings.work / "OQSsiquc01req_1.xml")
            staged.rename(path)
        return is_there

    monkeypatch.setattr(folder_left.Answer, "is_at", is_at)
    files.left.walk(LATER)
    assert len(marks(settings)) == 1
    assert path.exists()


def test_a_result_folder_that_vanishes_during_a_walk_costs_no_mark(
    settings: BridgeSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What cannot be seen any more was not taken."""
    files = put(settings, "1", "2")
    hidden = settings.res.with_name("hidden")
    real = folder_left.Answer.is_at

    def is_at(answer: folder_left.Answer, place: Path) -> bool:
        if settings.res.exists():
            settings.res.rename(hidden)
        return real(answer, place)

    monkeypatch.setattr(folder_left.Answer, "is_at", is_at)
    assert files.left.walk(LATER) == 0
    monkeypatch.undo()
    hidden.rename(settings.res)
    assert files.left.walk(LATER) == 2


def test_only_an_answer_that_is_still_there_is_touched(settings: BridgeSettings) -> None:
    """Somebody else's file in its place keeps its time."""
    files = put(settings, "1")
    (answer,) = files.left.young(NOW, 1.0)
    assert files.left.touch(answer)
    path = settings.res / "OQSsiquc01res_1.xml"
    path.unlink()
    assert not files.left.touch(answer)
    path.write_bytes(b"another")
    os.utime(path, (5, 5))
    assert not files.left.touch(answer)
    assert path.stat().st_mtime == 5
    assert not files.left.young(Instant(NOW + 1_000_001), 1.0)


async def test_an_answer_is_touched_again_while_it_lies_there(
    settings: BridgeSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also after a restart, so that a client that looks seldom meets a change (5.19)."""
    monkeypatch.setattr("gateway.edges.folder.TOUCH_FIRST_S", 0.05)
    path = settings.res / "OQSsiquc01res_1.xml"
    (settings.req / "OQSsiquc01req_1.xml").write_bytes(request_file())
    for _ in range(2):
        stop = asyncio.Event()
        bridge = FolderBridge(Gateway(), settings, lambda: NOW)
        task = asyncio.create_task(bridge.run(stop))
        await appeared(path)
        for _ in range(2):
            met = path.stat().st_mtime_ns
            await until(lambda met=met: path.stat().st_mtime_ns != met)
        stop.set()
        await task


async def test_a_running_bridge_removes_what_is_forgotten(settings: BridgeSettings) -> None:
    """It looks when it starts, and the log has a count only."""
    put(settings, "1")
    stop = asyncio.Event()
    with capture_logs() as logs:
        bridge = FolderBridge(Gateway(), settings, lambda: LATER)
        task = asyncio.create_task(bridge.run(stop))
        await appeared(settings.res / "del-onshi-20260415103005.txt")
        stop.set()
        await task
    assert logs == [{"event": "folder_answers_forgotten", "log_level": "info", "count": 1}]


def test_pauses_double_up_to_a_limit() -> None:
    """A tenth of a second first, two seconds at most, whatever the count."""
    assert [pause_s(tries) for tries in (1, 2, 5, 6, 10_000)] == [0.1, 0.2, 1.6, 2.0, 2.0]


def test_an_agenda_gives_what_is_due_in_order() -> None:
    """The earliest first, of one time the first; hurrying makes all due and keeps the order."""
    agenda: Agenda[str] = Agenda()
    for due_s, item in ((2.0, "c"), (1.0, "a"), (1.0, "b"), (9.0, "d")):
        agenda.add(due_s, item)
    assert [agenda.pop(0.9), agenda.pop(1.0), agenda.pop(1.0), agenda.pop(1.0)] == [
        None,
        "a",
        "b",
        None,
    ]
    agenda.hurry(1.0)
    assert [agenda.pop(1.0), agenda.pop(1.0), len(agenda)] == ["c", "d", 0]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("", ("layout", 1_440)),
        ('element_order = "hashmap"\nresponse_file_stay_minutes = 0\n', ("hashmap", 0)),
    ],
)
def test_order_and_stay_are_settings(tmp_path: Path, line: str, expected: tuple[str, int]) -> None:
    """Layout order and a day, unless the institution says otherwise."""
    path = tmp_path / "bridge.toml"
    path.write_text(
        f'{line}gateway = "127.0.0.1:1"\ninstitution_code = "1319999999"\n'
        'req = "q"\nres = "s"\nface = "f"\nwork = "w"\n'
        '[tls]\ncertificate = "c"\nkey = "k"\nca = "a"\n',
        encoding="utf-8",
    )
    settings = load_bridge_settings(path)
    assert expected == (settings.element_order, settings.response_file_stay_minutes)

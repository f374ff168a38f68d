"""A wall clock that is set while the bridge runs: answers stay as long as they may, no less."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from gateway.config import BridgeSettings
from gateway.domain.period import Instant
from gateway.edges.folder import FolderBridge
from gateway.edges.folder_files import Files
from gateway.edges.folder_left import CLOCK_STEP_US
from gateway.edges.folder_names import ANSWER
from tests.edges.folder_stand import NOW, Gateway, request_file, settings_in, until

STAY_MINUTES = 60
LATER = Instant(NOW + STAY_MINUTES * 60_000_000)
DAY_US = 86_400_000_000


@pytest.fixture
def settings(tmp_path: Path) -> BridgeSettings:
    """Folders whose answers are forgotten after an hour."""
    return settings_in(tmp_path, response_file_stay_minutes=STAY_MINUTES)


def put(settings: BridgeSettings) -> Files:
    """Answer a request, as a bridge does at `NOW`."""
    files = Files(settings, lambda: NOW)
    (settings.work / "OQSsiquc01req_1.xml").write_bytes(request_file())
    files.settle("OQSsiquc01req_1.xml", ANSWER, b"answer")
    return files


@pytest.mark.parametrize("step_us", [DAY_US, -DAY_US, 365 * DAY_US])
def test_a_clock_that_is_set_makes_no_answer_go_early_or_late(
    settings: BridgeSettings, step_us: int
) -> None:
    """Its time goes on where it was; answers put after the step are dated right already."""
    files = put(settings)
    half = STAY_MINUTES * 30
    assert files.left.follow(Instant(NOW + half * 1_000_000), half) == 0
    now = Instant(NOW + (half + 30) * 1_000_000 + step_us)
    files._now = lambda: Instant(now - 1_000_000)
    (settings.work / "OQSsiquc01req_2.xml").write_bytes(request_file())
    files.settle("OQSsiquc01req_2.xml", ANSWER, b"answer 2")
    assert files.left.follow(now, half + 30.0) == step_us // 1_000_000
    assert files.left.follow(Instant(now + 30_000_000), half + 60.0) == 0
    assert files.left.walk(Instant(LATER + step_us - 1)) == 0
    assert files.left.walk(Instant(LATER + step_us)) == 1
    assert files.left.walk(Instant(now - 1_000_001 + STAY_MINUTES * 60_000_000)) == 0
    assert files.left.walk(Instant(now - 1_000_000 + STAY_MINUTES * 60_000_000)) == 1
    assert not any((settings.work / "put").iterdir())


def test_a_clock_set_while_the_folders_are_away_is_noticed_after(settings: BridgeSettings) -> None:
    """The marks are dated once they are back."""
    files = put(settings)
    files.left.follow(NOW, 0.0)
    hidden = settings.work.rename(settings.work.with_name("hidden"))
    with pytest.raises(FileNotFoundError):
        files.left.follow(Instant(NOW + DAY_US), 1.0)
    hidden.rename(settings.work)
    assert files.left.follow(Instant(NOW + DAY_US), 1.0) == 86_399
    assert files.left.walk(Instant(NOW + DAY_US)) == 0


@pytest.mark.parametrize("step_us", [CLOCK_STEP_US, -CLOCK_STEP_US])
def test_a_clock_that_only_drifts_is_followed(settings: BridgeSettings, step_us: int) -> None:
    """Up to a minute between two walks it is not taken for set."""
    files = put(settings)
    files.left.follow(NOW, 0.0)
    assert files.left.follow(Instant(NOW + 30_000_000 + step_us), 30.0) == 0
    assert files.left.walk(LATER) == 1


async def test_a_running_bridge_notices_that_the_clock_was_set(
    settings: BridgeSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A step of a day removes no answer, and an operator is told."""
    monkeypatch.setattr("gateway.edges.folder.LOOK_BACK_S", 0.05)
    put(settings)
    now = NOW
    stop = asyncio.Event()
    with capture_logs() as logs:
        bridge = FolderBridge(Gateway(), settings, lambda: now)
        task = asyncio.create_task(bridge.run(stop))
        await asyncio.sleep(0.2)
        now = Instant(NOW + DAY_US)
        await until(lambda: logs)
        await asyncio.sleep(0.2)
        stop.set()
        await task
    assert logs == [{"event": "folder_clock_set", "log_level": "warning", "step_s": 86_400}]
    assert [path.name for path in settings.res.iterdir()] == ["OQSsiquc01res_1.xml"]

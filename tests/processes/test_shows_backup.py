"""A backup of a busy gateway, in small, and one that is killed."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from gateway.app.backup_place import Unwatched
from gateway.app.restore import verify
from tests.app.backup_stand import Live
from tests.processes.shows import run

pytestmark = pytest.mark.processes
KILLS = 4
WAIT_S = 60


def test_a_busy_gateway_restored_elsewhere_has_lost_nothing() -> None:
    """A small file; `python -m loadtests.backup_check` sends a larger one."""
    shown = run("loadtests.backup_check", "--lines", "3000", "--rounds", "2")

    assert "unlike or lost 0" in shown
    assert "without their record 0" in shown
    assert "differences at the end 0" in shown


@pytest.fixture
async def data(tmp_path: Path) -> Path:
    """A gateway's data directory with something in it."""
    live = Live(tmp_path / "live")
    for act in (live.change, live.look, live.tell, live.finish):
        await act()
    await live.close()
    return tmp_path / "live"


def files_in(folder: Path) -> int:
    """How many files are under a folder, which may go away meanwhile."""
    return sum(len(files) for _, _, files in os.walk(folder))


@pytest.mark.parametrize("number", range(KILLS))
def test_a_killed_backup_is_whole_or_not_there(data: Path, tmp_path: Path, number: int) -> None:
    """Killed while its parts appear one after the other; the next one under its name is whole."""
    to = tmp_path / "backup"
    partial = tmp_path / ".backup.partial"
    command = [sys.executable, "-m", "gateway", "backup", "--data", data, "--to", to, "--with-keys"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    until = time.monotonic() + WAIT_S
    while process.poll() is None and files_in(partial) < 2 * number + 1:
        assert time.monotonic() < until
    process.kill()
    process.wait()

    if not to.exists():
        assert subprocess.run(command, capture_output=True, check=False).returncode == 0
    assert verify(to, None, Unwatched()).problems == ()
    assert not partial.exists()

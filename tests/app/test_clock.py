"""The sandbox's clock: shared between processes, forward only, not turned back by a crash."""

from datetime import timedelta
from pathlib import Path

import pytest

from gateway.app.clock import ADVANCE_MAX, SandboxClock, real_clock

DAY_US = 86_400_000_000
TOLERANCE_US = 5_000_000


def test_a_new_sandbox_clock_tells_the_real_time(tmp_path: Path) -> None:
    """Nothing is added before somebody advances it."""
    clock = SandboxClock(tmp_path / "clock")

    assert abs(clock() - real_clock()) < TOLERANCE_US
    clock.close()


def test_an_advance_is_seen_by_every_holder_of_the_file(tmp_path: Path) -> None:
    """Two processes of one data directory agree on the time."""
    one, other = SandboxClock(tmp_path / "clock"), SandboxClock(tmp_path / "clock")
    one.advance(timedelta(days=30))

    assert abs(other() - real_clock() - 30 * DAY_US) < TOLERANCE_US
    one.close()
    other.close()


def test_an_advance_outlives_the_process(tmp_path: Path) -> None:
    """A restart does not turn the clock back."""
    clock = SandboxClock(tmp_path / "clock")
    clock.advance(timedelta(days=1))
    clock.advance(timedelta(days=1))
    clock.close()
    again = SandboxClock(tmp_path / "clock")

    assert abs(again() - real_clock() - 2 * DAY_US) < TOLERANCE_US
    again.close()


@pytest.mark.parametrize("step", [timedelta(seconds=-1), ADVANCE_MAX + timedelta(days=1)])
def test_a_step_back_or_out_of_bounds_is_refused(tmp_path: Path, step: timedelta) -> None:
    """The clock moves forward only, and not beyond its named bound."""
    clock = SandboxClock(tmp_path / "clock")
    with pytest.raises(ValueError, match="clock"):
        clock.advance(step)

    assert abs(clock() - real_clock()) < TOLERANCE_US
    clock.close()

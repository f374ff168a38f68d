"""What is said of lookups among many people: ratios, the goal, and what is counted as own."""

from __future__ import annotations

from pathlib import Path

import pytest

from loadtests.clone_places import forget
from loadtests.many_people import GOAL, Figures, Series


def series(ms: float, worker_us: float, server_us: float = 0.0) -> Series:
    """Three rounds beside a bare handler of 100 us."""
    found = Series()
    for _ in range(3):
        found.bare.append(Figures([1.0], 100.0, 0.0))
        found.lookup.append(Figures([ms / 2, ms, ms * 2], worker_us + 100.0, server_us))
    return found


def test_own_cpu_is_above_the_bare_handlers_and_the_servers_besides() -> None:
    """The bare handler's share is taken off, the server's is added."""
    found, smallest = series(2.0, 300.0, 60.0), series(2.0, 200.0, 40.0)
    assert found.worker_us == 200.0 + 100.0
    assert found.ratios(smallest) == (1.0, 1.5)


@pytest.mark.parametrize(
    ("ms", "worker_us", "is_good"),
    [
        (2.0, 200.0, True),
        (2.0 * GOAL, 200.0 * GOAL, True),
        (2.7, 200.0, False),
        (2.0, 265.0, False),
    ],
)
def test_the_goal_is_missed_by_either(ms: float, worker_us: float, *, is_good: bool) -> None:
    """A median or a CPU over the goal is a miss; the goal itself is not."""
    assert series(ms, worker_us).is_good(series(2.0, 200.0)) is is_good


def test_a_share_is_a_value_that_was_measured() -> None:
    """The 99th percentile of a hundred is the last but none."""
    assert Figures([float(n) for n in range(100)], 0.0, 0.0).at(0.99) == 99.0


def test_what_is_forgotten_is_still_there(tmp_path: Path) -> None:
    """A file the kernel keeps nothing of reads as before."""
    (tmp_path / "some").mkdir()
    (tmp_path / "some" / "file").write_bytes(b"kept")
    forget(tmp_path)
    assert (tmp_path / "some" / "file").read_bytes() == b"kept"

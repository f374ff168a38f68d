"""What the state machine shows of memory, SQLite and PostgreSQL."""

from __future__ import annotations

import pytest

from loadtests.state_plants import PLANTS
from tests.processes.shows import run

pytestmark = pytest.mark.processes


def test_three_stores_tell_the_same() -> None:
    """A few runs, after every planted defect; `python -m loadtests.state_machine` takes 200."""
    shown = run("loadtests.state_machine", "--examples", "2")
    assert shown.count("planted defect noticed: ") == len(PLANTS)
    assert "differences 0" in shown

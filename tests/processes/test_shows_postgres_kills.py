"""A gateway on a PostgreSQL whose processes are killed: facts and uploads outlive it."""

from __future__ import annotations

import pytest

from tests.processes.shows import run

pytestmark = pytest.mark.processes


def test_nothing_is_lost_when_processes_die_beside_a_server() -> None:
    """A few rounds; `python -m loadtests.on_postgres kill_rounds` runs 200."""
    assert "wrong or missing 0" in run("loadtests.on_postgres", "kill_rounds", "--rounds", "3")


def test_an_upload_to_a_server_outlives_every_kill() -> None:
    """A sender, a writer and a supervisor; `on_postgres upload_kills` kills many."""
    shown = run("loadtests.on_postgres", "upload_kills", "--rounds", "3", "--lines", "600")
    assert "differences 0" in shown

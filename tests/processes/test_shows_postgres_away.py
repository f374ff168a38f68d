"""A gateway on a PostgreSQL that goes away, or whose place another gateway takes."""

from __future__ import annotations

import pytest

from tests.processes.shows import run

pytestmark = pytest.mark.processes


def test_nothing_is_lost_when_the_server_goes_away() -> None:
    """A few rounds; `python -m loadtests.postgres_kills` runs 30."""
    assert "wrong or missing 0" in run("loadtests.postgres_kills", "--rounds", "4")


def test_a_told_number_outlives_the_writer_beside_a_server() -> None:
    """A few kills; what was acknowledged is linked from the server's vault."""
    assert "lost or wrong 0" in run("loadtests.on_postgres", "number_kills", "--rounds", "2")


def test_another_gateway_takes_the_place_of_the_one_that_writes() -> None:
    """A few kills; `python -m loadtests.two_gateways` kills twenty times."""
    shown = run("loadtests.two_gateways", "--rounds", "4")
    assert "lost at either gateway [0, 0]" in shown
    assert "rows too many or too few 0" in shown

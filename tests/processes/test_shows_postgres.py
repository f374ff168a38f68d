"""What load tests show of a gateway whose facts are in a PostgreSQL."""

from __future__ import annotations

import pytest

from tests.processes.shows import run

pytestmark = pytest.mark.processes


def test_test_persons_answer_as_expected_from_a_server() -> None:
    """By gRPC and by folder, in both encodings; no file keeps facts meanwhile."""
    shown = run("loadtests.on_postgres", "catalogue_check")
    assert "disagreements 0" in shown


def test_nothing_is_lost_when_processes_die_beside_a_server() -> None:
    """A few rounds; `python -m loadtests.on_postgres kill_rounds` runs 200."""
    assert "wrong or missing 0" in run("loadtests.on_postgres", "kill_rounds", "--rounds", "3")


def test_nothing_is_lost_when_the_server_goes_away() -> None:
    """A few rounds; `python -m loadtests.postgres_kills` runs 30."""
    assert "wrong or missing 0" in run("loadtests.postgres_kills", "--rounds", "4")


def test_an_upload_to_a_server_outlives_every_kill() -> None:
    """A sender, a writer and a supervisor; `on_postgres upload_kills` kills many."""
    shown = run("loadtests.on_postgres", "upload_kills", "--rounds", "3", "--lines", "600")
    assert "differences 0" in shown


def test_a_told_number_outlives_the_writer_beside_a_server() -> None:
    """A few kills; what was acknowledged is linked from the server's vault."""
    assert "lost or wrong 0" in run("loadtests.on_postgres", "number_kills", "--rounds", "2")


def test_no_my_number_leaks_into_a_server() -> None:
    """Two days of mishaps; every table is searched too, and a plant in one is found."""
    shown = run("loadtests.on_postgres", "number_leaks", "--days", "2", "--people", "0")
    assert "table of a server" in shown


def test_another_gateway_takes_the_place_of_the_one_that_writes() -> None:
    """A few kills; `python -m loadtests.two_gateways` kills twenty times."""
    shown = run("loadtests.two_gateways", "--rounds", "4")
    assert "lost at either gateway [0, 0]" in shown
    assert "rows too many or too few 0" in shown


def test_the_laws_of_changes_hold_on_a_server() -> None:
    """A few worlds a law; `python -m loadtests.change_properties --postgres` tries 800."""
    shown = run("loadtests.change_properties", "--cases", "3", "--postgres")
    assert shown.count("broken 0") == 4

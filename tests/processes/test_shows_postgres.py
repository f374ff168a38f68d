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


def test_the_laws_of_changes_hold_on_a_server() -> None:
    """A few worlds a law; `python -m loadtests.change_properties --postgres` tries 800."""
    shown = run("loadtests.change_properties", "--cases", "3", "--postgres")
    assert shown.count("broken 0") == 4

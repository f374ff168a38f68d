"""What load tests show of a gateway whose facts are in a PostgreSQL; see the kills beside this."""

from __future__ import annotations

import pytest

from tests.processes.shows import run

pytestmark = pytest.mark.processes


def test_test_persons_answer_as_expected_from_a_server() -> None:
    """By gRPC and by folder, in both encodings; no file keeps facts meanwhile."""
    shown = run("loadtests.on_postgres", "catalogue_check")
    assert "disagreements 0" in shown


def test_no_my_number_leaks_into_a_server() -> None:
    """Two days of mishaps; every table is searched too, and a plant in one is found."""
    shown = run("loadtests.on_postgres", "number_leaks", "--days", "2", "--people", "0")
    assert "table of a server" in shown


def test_the_laws_of_changes_hold_on_a_server() -> None:
    """A few worlds a law; `python -m loadtests.change_properties --postgres` tries 800."""
    shown = run("loadtests.change_properties", "--cases", "3", "--postgres")
    assert shown.count("broken 0") == 4

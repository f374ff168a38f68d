"""What insurers tell, in small: numbers, files, laws of changes, the lag."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest

from tests.processes.shows import run

pytestmark = pytest.mark.processes


def test_a_wrong_link_is_made_viewed_found_and_repaired() -> None:
    """The insurer's list names who was shown the wrong cover, and `onshi why` tells the story."""
    shown = run("loadtests.wrong_link")

    assert "bad 0" in shown
    assert "NOT FOUND" not in shown


def test_no_my_number_leaks() -> None:
    """Two days of mishaps; `python -m loadtests.number_leaks` lets a month pass."""
    shown = run("loadtests.number_leaks", "--days", "2", "--people", "0")

    assert "not found 0" in shown
    assert "found 0 {}" in shown


def test_a_large_upload_answers_and_tells_exactly_the_bad_lines() -> None:
    """A small one; `python -m loadtests.upload_million` sends a million lines."""
    shown = run("loadtests.upload_million", "--lines", "3000", "--without-bare")

    assert shown.count("told wrongly 0; good lines without an answer 0") == 2


def test_laws_of_changes_hold() -> None:
    """A few worlds a law; `python -m loadtests.change_properties` tries hundreds of each."""
    shown = run("loadtests.change_properties", "--cases", "6")

    assert shown.count("planted defect noticed") == 4
    assert shown.count(", broken 0;") == 4


def test_lag_reports_agree_with_a_simulated_april() -> None:
    """A small town; `python -m loadtests.lag_april` lets 100,000 people live through it."""
    with tempfile.TemporaryDirectory() as out:
        shown = run("loadtests.lag_april", "--people", "1500", "--cards", "3", "--out", out)
        assert "</svg>" in Path(out, "lag.html").read_text(encoding="utf-8")

    assert "differences 0" in shown
    assert shown.count(": found") == 2

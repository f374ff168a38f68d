"""What is killed, cut off or traced, in small: nothing acknowledged is lost."""

from __future__ import annotations

import shutil

import pytest

from tests.processes.shows import run

pytestmark = pytest.mark.processes


def test_no_told_number_is_lost_when_the_writer_is_killed() -> None:
    """A few kills while the register thinks; `python -m loadtests.number_kills` does many."""
    assert "lost or wrong 0" in run("loadtests.number_kills", "--rounds", "3", "--seed", "3")


def test_nothing_acknowledged_is_lost_when_processes_are_killed() -> None:
    """A few rounds of `kill -9`; `python -m loadtests.kill_rounds` runs many."""
    shown = run("loadtests.kill_rounds", "--rounds", "4", "--seed", "11")

    assert "wrong or missing 0" in shown
    assert "without their record 0" in shown


def test_a_killed_upload_ends_like_an_undisturbed_one() -> None:
    """A sender, a writer and a supervisor; `python -m loadtests.upload_kills` kills many."""
    shown = run("loadtests.upload_kills", "--rounds", "3", "--lines", "600", "--seed", "5")

    assert "differences 0" in shown


def test_syncs_come_before_acknowledgements_and_answers() -> None:
    """A system-call trace shows the order; loud if it cannot be taken here."""
    if shutil.which("strace") is None:
        pytest.skip("DID NOT RUN: no strace on this machine, so the order of syncs is not shown")

    assert "FAILS" not in run("loadtests.sync_trace")


def test_every_change_is_seen_when_watchers_are_killed() -> None:
    """A few kills; `python -m loadtests.feed_kills` sends 100,000 changes past twenty."""
    shown = run("loadtests.feed_kills", "--changes", "2000", "--kills", "3")

    assert shown.count("missing 0, gaps 0, out of order 0, not sent 0") == 2


def test_outages_end_as_if_they_had_not_been() -> None:
    """The insurers' link, the register and the writer fail, with a few people."""
    shown = run("loadtests.outages", "--people", "2", "--lines", "1500")

    assert shown.count("; wrong 0") == 3

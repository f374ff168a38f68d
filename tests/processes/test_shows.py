"""
The commands that show what the gateway promises, in small: each exits 0, on real processes.

Each of them first shows that its checker notices a planted defect.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

pytestmark = pytest.mark.processes
TIMEOUT_S = 150


def run(*arguments: str) -> str:
    """Run a command of ours, and give what it printed; it must exit 0."""
    done = subprocess.run(
        [sys.executable, "-m", *arguments],
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize(
    ("language", "good"), [("en", "All answers as expected."), ("ja", "すべて期待どおりです。")]
)
def test_the_demo_tells_the_whole_circle(language: str, good: str) -> None:
    """`onshi demo` goes through a job change: 1, 2 and 4, 3, a claim moved, and who looked."""
    shown = run("gateway", "demo", "--language", language)

    assert good in shown
    assert "04" in shown
    assert "review-body review-1" in shown
    for code in "1234":
        assert f" {code} " in shown


def test_every_test_person_gets_one_answer_by_three_ways() -> None:
    """gRPC, UTF-8 folders and Shift_JIS folders agree with the catalogue."""
    assert "disagreements 0" in run("loadtests.catalogue_check")


def test_claims_come_out_right() -> None:
    """A small month; `python -m loadtests.claims_check` runs a thousand."""
    assert "right 100, wrong 0" in run("loadtests.claims_check", "--claims", "100")


def test_visits_by_card_are_right() -> None:
    """Mixed reader modes against the population's truth, from outside."""
    assert "mismatches 0" in run("loadtests.card_visits", "--visits", "30")


def test_attacks_by_card_are_refused_and_recorded() -> None:
    """Replays, foreign keys, locked PINs and the rest, each with its status and record."""
    assert "not as expected 0" in run("loadtests.card_attacks")


def test_no_told_number_is_lost_when_the_writer_is_killed() -> None:
    """A few kills while the register thinks; `python -m loadtests.number_kills` does many."""
    assert "lost or wrong 0" in run("loadtests.number_kills", "--rounds", "3", "--seed", "3")


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


def test_who_may_not_ask_is_refused() -> None:
    """No certificate, a foreign CA, a wrong role, another's number."""
    assert "EXPECTED" not in run("loadtests.refusals")


def test_nothing_acknowledged_is_lost_when_processes_are_killed() -> None:
    """A few rounds of `kill -9`; `python -m loadtests.kill_rounds` runs many."""
    shown = run("loadtests.kill_rounds", "--rounds", "4", "--seed", "11")

    assert "wrong or missing 0" in shown
    assert "without their record 0" in shown


def test_a_killed_upload_ends_like_an_undisturbed_one() -> None:
    """A sender, a writer and a supervisor; `python -m loadtests.upload_kills` kills many."""
    shown = run("loadtests.upload_kills", "--rounds", "3", "--lines", "600", "--seed", "5")

    assert "differences 0" in shown


def test_a_large_upload_answers_and_tells_exactly_the_bad_lines() -> None:
    """A small one; `python -m loadtests.upload_million` sends a million lines."""
    shown = run("loadtests.upload_million", "--lines", "3000", "--without-bare")

    assert shown.count("told wrongly 0; good lines without an answer 0") == 2


def test_syncs_come_before_acknowledgements_and_answers() -> None:
    """A system-call trace shows the order; loud if it cannot be taken here."""
    if shutil.which("strace") is None:
        pytest.skip("DID NOT RUN: no strace on this machine, so the order of syncs is not shown")

    assert "FAILS" not in run("loadtests.sync_trace")


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


def test_every_change_is_seen_when_watchers_are_killed() -> None:
    """A few kills; `python -m loadtests.feed_kills` sends 100,000 changes past twenty."""
    shown = run("loadtests.feed_kills", "--changes", "2000", "--kills", "3")

    assert shown.count("missing 0, gaps 0, out of order 0, not sent 0") == 2


def test_outages_end_as_if_they_had_not_been() -> None:
    """The insurers' link, the register and the writer fail, with a few people."""
    shown = run("loadtests.outages", "--people", "2", "--lines", "1500")

    assert shown.count("; wrong 0") == 3

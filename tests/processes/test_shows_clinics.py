"""What clinics, persons and the review body are shown, in small."""

from __future__ import annotations

import pytest

from tests.processes.shows import run

pytestmark = pytest.mark.processes


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


def test_who_may_not_ask_is_refused() -> None:
    """No certificate, a foreign CA, a wrong role, another's number."""
    assert "EXPECTED" not in run("loadtests.refusals")


def test_answers_asked_again_with_their_tokens_are_the_same() -> None:
    """A few; `python -m loadtests.token_check` asks 10,000 again after a month of corrections."""
    shown = run("loadtests.token_check", "--answers", "200", "--days", "4")

    assert "tokens: 200 answers, identical 200" in shown
    assert shown.count("planted defect noticed") == 6
    assert " of before refused with FACTS_DISPOSED, " in shown
    assert "identical; wrong 0" in shown
    assert ", accepted 0, " in shown

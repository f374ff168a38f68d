"""What a load test shows of a move to the other engine."""

from __future__ import annotations

import pytest

from tests.processes.shows import run

pytestmark = pytest.mark.processes


def test_a_move_under_lookups_and_uploads_loses_and_changes_nothing() -> None:
    """In small; `python -m loadtests.move_check` moves 1,000,000 people at 200 lookups a second."""
    shown = run(
        "loadtests.move_check", "--people", "300", "--rate", "20", "--answers", "400",
        "--sample", "60",
    )  # fmt: skip
    assert "failed 0; answers 400, differences 0" in shown

"""What a load test shows of a gateway whose lookups a replica answers."""

from __future__ import annotations

import pytest

from tests.processes.shows import run

pytestmark = pytest.mark.processes


def test_a_replica_that_falls_behind_tells_nothing_stale() -> None:
    """Each way once; `python -m loadtests.replica_check` has twenty rounds."""
    assert "stale 0, failed 0" in run("loadtests.replica_check", "--rounds", "4")

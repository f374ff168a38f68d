"""
Runs the commands that show what the gateway promises: each exits 0, on real processes.

Each of them first shows that its checker notices a planted defect. Their tests are in several
files, because the tests of one file run one after the other.
"""

from __future__ import annotations

import subprocess
import sys

TIMEOUT_S = 170


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

"""
Another load test on a gateway whose facts are in a PostgreSQL of their own, gone afterwards.

Only for tests that run one gateway, for it is the environment that names the database, and for
`upload_million`, which makes a database for each of its gateways. Those that look into the files of
SQLite stay with them: `sync_trace` and `lag_april`.

    python -m loadtests.on_postgres catalogue_check
    python -m loadtests.on_postgres kill_rounds --rounds 20
    python -m loadtests.on_postgres upload_beside --lines 1000000
"""

from __future__ import annotations

import os
import subprocess
import sys

from gateway.config import STORE_VARIABLE
from loadtests.postgres_place import running


def main() -> None:
    """Run the module named with the arguments after it; its exit code is ours."""
    if len(sys.argv) == 1:
        sys.exit(__doc__)
    module, *arguments = sys.argv[1:]
    with running() as server:
        done = subprocess.run(
            [sys.executable, "-m", f"loadtests.{module}", *arguments],
            env=os.environ | {STORE_VARIABLE: server.url()},
            check=False,
        )
    sys.exit(done.returncode)


if __name__ == "__main__":
    main()

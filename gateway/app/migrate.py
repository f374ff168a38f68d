"""Brings a database to this version in a process of its own, because the tools are slow to load."""

from __future__ import annotations

import sys
from pathlib import Path

from gateway.edges.rpc.convert import sheet
from gateway.store.migrate import migrate
from gateway.store.records import StoreTooNew


def main() -> None:
    """Run as `python -m gateway.app.migrate DATABASE`; a newer database is refused, exit code 1."""
    try:
        migrate(Path(sys.argv[1]), sheet)
    except StoreTooNew as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()

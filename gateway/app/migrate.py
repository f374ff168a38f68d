"""Brings a database to this version in a process of its own, because the tools are slow to load."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from gateway.domain.errors import Unavailable
from gateway.edges.rpc.convert import sheet
from gateway.store.records import StoreTooNew


def main() -> None:
    """
    Run as `python -m gateway.app.migrate`, with a file or an address on standard input.

    A newer database is refused, as is one that cannot be reached: exit code 1.
    """
    place = sys.stdin.read()
    try:
        if place.startswith("postgres"):
            from gateway.store.migrate_postgres import migrate_postgres

            asyncio.run(migrate_postgres(place, sheet))
        else:
            from gateway.store.migrate import migrate

            migrate(Path(place), sheet)
    except (StoreTooNew, Unavailable) as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()

"""
How far back the facts on SQLite reach.

**No disposal exists yet**: nothing is ever taken out of the database, so nothing is gone. Whoever
builds lawful disposal keeps the instant in the database, moves it in the transaction that takes
facts out, and reads it here; every answer as of an earlier moment is then refused already.
"""

from __future__ import annotations

import sqlite3

from gateway.domain.period import Instant


def disposed_before(_connection: sqlite3.Connection) -> Instant:
    """See `Disposing`: 0, because no disposal exists yet."""
    return Instant(0)

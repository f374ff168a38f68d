"""
The statements of the road of a My Number over all enrollees; see `gateway.store.sql`.
"""

from __future__ import annotations

from typing import Final

from gateway.store.sql import CHECK_COLUMNS

CHECKS_WANTED: Final = (
    f"SELECT {CHECK_COLUMNS} FROM number_checks WHERE state = 5 "  # noqa: S608  only our own column names
    "ORDER BY received_time, enrollee_key LIMIT ?"
)

CHECKS_DISAGREEING: Final = (
    f"SELECT {CHECK_COLUMNS} FROM number_checks "  # noqa: S608  same
    "WHERE insurer_number = ? AND state IN (2, 3) AND mismatches <> '' "
    "ORDER BY checked_time DESC, enrollee_key LIMIT ?"
)

ENROLLEES_OF: Final = """
SELECT enrollee_key FROM enrollees WHERE enrollee_key > ? AND insurer_number = ?
ORDER BY enrollee_key LIMIT ?
"""

LINKS_OF_ENROLLEE: Final = """
SELECT person_key, recorded_time, superseded_time, is_numbered FROM links
WHERE person_key = ? AND enrollee_key = ?
"""

SEEN_TIMES: Final = """
SELECT recorded_time, superseded_time FROM cover_versions WHERE enrollee_key = ? AND state = 1
"""

VAULT_ROW: Final = "SELECT mac, person_key, nonce, ciphertext FROM numbers WHERE mac = ?"

VAULT_OLD: Final = """
SELECT mac, key_id, nonce, ciphertext, person_key FROM numbers
WHERE mac > ? AND key_id <> ? ORDER BY mac LIMIT ?
"""

VAULT_OLD_COUNT: Final = "SELECT count(*) FROM numbers WHERE key_id <> ?"

UNROUTED: Final = frozenset(
    {CHECKS_WANTED, CHECKS_DISAGREEING, ENROLLEES_OF, VAULT_OLD, VAULT_OLD_COUNT}
)
"""Statements that concern every place: what waits, an insurer's enrollees, renewing the vault."""

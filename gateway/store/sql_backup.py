"""
The statements of backups: a moment held, counts, and what must agree between the copied files.

The checks run on copies nobody writes to; the other files are attached as `vault` and `trail`.
"""

from __future__ import annotations

from typing import Final

HOLD: Final = "SELECT count(*) FROM sqlite_master"
"""Any read: with it a transaction begins to see its one moment."""

UNSYNCED_TARGET: Final = ("PRAGMA journal_mode = OFF", "PRAGMA synchronous = OFF")
"""A copy that is torn is thrown away as a whole; it is synced once it is complete."""

PAGE_BYTES: Final = "PRAGMA page_size"
PAGES: Final = "PRAGMA page_count"

TABLES: Final = "SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name"

COUNT: Final = 'SELECT count(*) FROM "{}"'
"""The name comes from `TABLES`."""

INTEGRITY: Final = "PRAGMA integrity_check(1)"

FORMAT: Final = """
SELECT alembic_version.version_num, meta.projection_format, meta.last_recorded_time
FROM alembic_version, meta WHERE meta.meta_id = 1
"""

NEWEST_CHANGE: Final = "SELECT coalesce(max(recorded_time), 0) FROM changes"

RECEIVED: Final = "SELECT upload_key, size_bytes FROM uploads WHERE state = 2"

IS_APPLIED: Final = "SELECT 1 FROM uploads WHERE upload_key = ? AND state = 3"

UNNUMBERED_LINKS: Final = """
SELECT count(*) FROM links WHERE is_numbered = 1 AND NOT EXISTS (
    SELECT 1 FROM vault.numbers AS held WHERE held.person_key = links.person_key
)
"""
"""Links by a number that the vault does not have."""

UNNUMBERED_CHECKS: Final = """
SELECT count(*) FROM number_checks WHERE state IN (1, 2, 3) AND NOT EXISTS (
    SELECT 1 FROM vault.numbers AS held WHERE held.person_key = number_checks.person_key
)
"""
"""Checks of told numbers that the vault does not have."""

KEY_IDS: Final = "SELECT DISTINCT key_id FROM numbers ORDER BY key_id"

SOME_NUMBERS: Final = """
SELECT nonce, ciphertext, person_key FROM numbers WHERE key_id = ? LIMIT ?
"""

TOLD_UNTIL: Final = "SELECT told_until FROM progress WHERE progress_id = 1"

FORGET_LATER_NEWS: Final = "DELETE FROM news WHERE recorded_time > ?"

TELL_AGAIN_AFTER: Final = "UPDATE progress SET told_until = min(told_until, ?)"

NEWEST_NEWS: Final = "SELECT coalesce(max(recorded_time), 0) FROM news"

UNRECORDED_NEWS: Final = """
SELECT count(*) FROM news WHERE NOT EXISTS (
    SELECT 1 FROM trail.looks AS look WHERE look.record_id = news.access_record_id
)
"""

ATTACH: Final = "ATTACH DATABASE ? AS {}"

"""
The statements of a disposal; see `gateway.store.sql`.

A page looks at the next rows of a table in the order of its keys and tells of each whether it is
due; what removes looks again, so it never takes more than is due.
"""

from __future__ import annotations

from typing import Final

DISPOSED_BEFORE: Final = "SELECT disposed_before FROM meta WHERE meta_id = 1"

LINES_DISPOSED_BEFORE: Final = "SELECT lines_disposed_before FROM meta WHERE meta_id = 1"

SET_DISPOSED_BEFORE: Final = """
UPDATE meta SET disposed_before = ? WHERE meta_id = 1 AND disposed_before < ?
"""

SET_LINES_DISPOSED_BEFORE: Final = """
UPDATE meta SET lines_disposed_before = ? WHERE meta_id = 1 AND lines_disposed_before < ?
"""

DISPOSALS: Final = "SELECT body FROM disposals ORDER BY disposal_no"

PUT_DISPOSAL: Final = """
INSERT INTO disposals (disposal_no, body) VALUES (?, ?)
ON CONFLICT (disposal_no) DO UPDATE SET body = excluded.body
"""

VERSIONS_PAGE: Final = """
SELECT enrollee_key, cover_no, version_no, superseded_time IS NOT NULL AND superseded_time <= ?
FROM cover_versions WHERE (enrollee_key, cover_no, version_no) > (?, ?, ?)
ORDER BY enrollee_key, cover_no, version_no LIMIT ?
"""

LINKS_PAGE: Final = """
SELECT person_key, enrollee_key, recorded_time,
    is_numbered = 1 AND superseded_time IS NOT NULL AND superseded_time <= ?
FROM links WHERE (person_key, enrollee_key, recorded_time) > (?, ?, ?)
ORDER BY person_key, enrollee_key, recorded_time LIMIT ?
"""
"""A link without a number stays: it tells whom a person was before, whose looks are theirs."""

LINES_PAGE: Final = """
SELECT upload_key, refused_lines.line_number, column_name, reason,
    state = 3 AND applied_time IS NOT NULL AND applied_time <= ?
FROM refused_lines JOIN uploads USING (upload_key)
WHERE (upload_key, refused_lines.line_number, column_name, reason) > (?, ?, ?, ?)
ORDER BY upload_key, refused_lines.line_number, column_name, reason LIMIT ?
"""

CHECKS_PAGE: Final = """
SELECT enrollee_key, received_time,
    received_time <= ? AND received_time < (
        SELECT max(later.received_time) FROM number_checks AS later
        WHERE later.enrollee_key = number_checks.enrollee_key
    ) AND (state IN (3, 4, 6) OR (state = 2 AND visible_time IS NOT NULL))
FROM number_checks WHERE (enrollee_key, received_time) > (?, ?)
ORDER BY enrollee_key, received_time LIMIT ?
"""
"""The last check of an enrollee stays, whatever it says: its number is known by it."""

REMOVE_VERSION: Final = """
DELETE FROM cover_versions
WHERE enrollee_key = ? AND cover_no = ? AND version_no = ? AND superseded_time <= ?
RETURNING enrollee_key, cover_no, version_no, body
"""

NAMED_BY_CHANGES: Final = """
SELECT enrollee_key, cover_no, version_no FROM changes WHERE recorded_time < ?
"""
"""After forgetting, one at most of each insurer: the newest, from which its stream goes on."""

BODIES_OF: Final = "SELECT enrollee_key, body FROM cover_versions WHERE enrollee_key = ?"

REMOVE_LOOKUP: Final = """
DELETE FROM lookups WHERE lookup_key = ? AND birth_date = ? AND enrollee_key = ?
RETURNING enrollee_key
"""

REMOVE_LINK: Final = """
DELETE FROM links
WHERE person_key = ? AND enrollee_key = ? AND recorded_time = ? AND superseded_time <= ?
RETURNING person_key, enrollee_key, recorded_time
"""

LINK_LEFT: Final = """
SELECT person_key, enrollee_key FROM links WHERE person_key = ? AND enrollee_key = ? LIMIT 1
"""

REMOVE_ENROLLEE_PERSON: Final = """
DELETE FROM enrollee_people WHERE enrollee_key = ? AND person_key = ? RETURNING enrollee_key
"""

REMOVE_LINE: Final = """
DELETE FROM refused_lines
WHERE upload_key = ? AND line_number = ? AND column_name = ? AND reason = ?
RETURNING upload_key, line_number, column_name, reason
"""

REMOVE_CHECK: Final = """
DELETE FROM number_checks WHERE enrollee_key = ?1 AND received_time = ?2 AND received_time < (
    SELECT max(later.received_time) FROM number_checks AS later WHERE later.enrollee_key = ?1
)
RETURNING enrollee_key, received_time
"""

UNROUTED: Final = frozenset(
    {DISPOSALS, VERSIONS_PAGE, LINKS_PAGE, LINES_PAGE, CHECKS_PAGE, NAMED_BY_CHANGES}
)
"""Statements that concern every place: a disposal looks through whole tables."""

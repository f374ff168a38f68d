"""The statements of refused lines; see `sql`."""

from __future__ import annotations

from typing import Final

ADD_REFUSED_LINE: Final = """
INSERT INTO refused_lines (upload_key, line_number, column_name, reason) VALUES (?, ?, ?, ?)
ON CONFLICT DO NOTHING
"""

REFUSED_LINES: Final = """
SELECT line_number, column_name, reason FROM refused_lines
WHERE upload_key = ? AND (line_number, column_name, reason) > (?, ?, ?)
ORDER BY line_number, column_name, reason LIMIT ?
"""

FORGET_REFUSED_LINES: Final = "DELETE FROM refused_lines WHERE upload_key = ?"

SCRATCH_TABLES: Final = (
    """
CREATE TABLE scratch_people (
    person_key BLOB PRIMARY KEY, version INTEGER NOT NULL, body BLOB NOT NULL
) WITHOUT ROWID
""",
    """
CREATE TABLE scratch_places (
    lookup_key BLOB, person_key BLOB, PRIMARY KEY (lookup_key, person_key)
) WITHOUT ROWID
""",
)
"""Of the file of a dry run, which no migration knows because it never outlives the dry run."""

SCRATCH_PERSON: Final = "SELECT version, body FROM scratch_people WHERE person_key = ?"

SCRATCH_UNDER: Final = "SELECT person_key FROM scratch_places WHERE lookup_key = ?"

SCRATCH_PUT_PERSON: Final = """
INSERT OR REPLACE INTO scratch_people (person_key, version, body) VALUES (?, ?, ?)
"""

SCRATCH_PUT_PLACE: Final = """
INSERT OR IGNORE INTO scratch_places (lookup_key, person_key) VALUES (?, ?)
"""

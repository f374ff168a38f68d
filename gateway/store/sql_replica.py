"""
What is asked of a replica: the hot reads of `sql_answers`, which prove how old they are.

Each row ends with the last recorded time's connection of the writer and with whether the database
is a replica. Both are of the snapshot that the row is read from: `pg_is_in_recovery()` is asked
after the snapshot was taken, and a database that was promoted never becomes a replica again while
it runs.
"""

from __future__ import annotations

from typing import Final

SHOWN: Final = """
SELECT last_recorded_time, writer_life, pg_is_in_recovery() FROM meta WHERE meta_id = 1
"""
"""What a database says of itself; asked of a primary too."""

MATCHING_SHOWN: Final = """
SELECT meta.last_recorded_time, people.compact, meta.writer_life, pg_is_in_recovery()
FROM meta
LEFT JOIN lookups ON lookups.lookup_key = ? AND lookups.birth_date = ?
LEFT JOIN people ON people.person_key = lookups.person_key
WHERE meta.meta_id = 1
LIMIT ?
"""
"""`sql_answers.MATCHING_LAST` with what proves its age."""

BY_CARD_SHOWN: Final = """
SELECT meta.last_recorded_time, cards.person_key, people.compact,
    meta.writer_life, pg_is_in_recovery()
FROM meta
LEFT JOIN cards ON cards.card_key = ?
LEFT JOIN people ON people.person_key = cards.person_key
WHERE meta.meta_id = 1
"""
"""`sql_answers.BY_CARD_LAST` with what proves its age."""

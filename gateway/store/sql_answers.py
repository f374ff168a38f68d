"""The hot reads with the last recorded time of the same snapshot; see `sql`."""

from __future__ import annotations

from typing import Final

MATCHING_LAST: Final = """
SELECT meta.last_recorded_time, people.compact
FROM meta
LEFT JOIN lookups ON lookups.lookup_key = ? AND lookups.birth_date = ?
LEFT JOIN people ON people.person_key = lookups.person_key
WHERE meta.meta_id = 1
LIMIT ?
"""
"""`MATCHING` and `LAST_RECORDED` in one statement, so in one snapshot; a row at least."""

BY_CARD_LAST: Final = """
SELECT meta.last_recorded_time, cards.person_key, people.compact
FROM meta
LEFT JOIN cards ON cards.card_key = ?
LEFT JOIN people ON people.person_key = cards.person_key
WHERE meta.meta_id = 1
"""
"""`BY_CARD` and `LAST_RECORDED` in one statement; exactly one row."""

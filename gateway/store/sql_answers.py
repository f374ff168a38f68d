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
"""
The hot read: two routed statements on a distributed database, one join here.

One statement, so one snapshot; a row at least. A person comes once for each of their enrollees
under the key; telling them apart here would cost every lookup a temporary table, and it is rare.
"""

BY_CARD_LAST: Final = """
SELECT meta.last_recorded_time, cards.person_key, people.compact
FROM meta
LEFT JOIN cards ON cards.card_key = ?
LEFT JOIN people ON people.person_key = cards.person_key
WHERE meta.meta_id = 1
"""
"""The hot read by card, as `MATCHING_LAST`; exactly one row."""

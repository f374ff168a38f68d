"""
Statements and keys that would cross places, planted to see that `loadtests.statement_guard` minds.

And some that it must let pass. They are spelled in every way the store spells its statements.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import sqlalchemy as sa
from sqlalchemy.sql.schema import SchemaItem

from loadtests.statement_rules import Known, Way, judged, key_faults, list_faults

CROSSING: Final = {
    "a select without the column": "SELECT version FROM people LIMIT ?",
    "another column": "SELECT version FROM people WHERE version = ?",
    "an OR": "SELECT version FROM people WHERE person_key = ? OR version = ?",
    "an OR in brackets": (
        "SELECT version FROM people WHERE (person_key = $1 OR person_key = $2) AND version > 1"
    ),
    "an inequality": "SELECT version FROM people WHERE person_key > ?",
    "a negation": "SELECT version FROM people WHERE NOT person_key = ?",
    "a NOT IN": "SELECT version FROM people WHERE person_key NOT IN (?, ?)",
    "a function": "SELECT version FROM people WHERE upper(person_key) = ?",
    "<> ALL": "SELECT version FROM people WHERE person_key <> ALL($1)",
    "a column of its own": "SELECT version FROM people WHERE person_key = person_key",
    "a join that compares the wrong columns": (
        "SELECT people.compact FROM links JOIN people ON people.person_key = links.enrollee_key"
        " WHERE links.person_key = ?"
    ),
    "a join by another column": (
        "SELECT people.compact FROM links JOIN people ON people.version = links.is_numbered"
        " WHERE links.person_key = ?"
    ),
    "a join of everything": "SELECT 1 FROM people, links WHERE people.person_key = ?",
    "a join of two places that is on no list": (
        "SELECT people.compact FROM cards JOIN people USING (person_key) WHERE card_key = ?"
    ),
    "two keys of one table": (
        "SELECT 1 FROM people AS a CROSS JOIN people AS b"
        " WHERE a.person_key = ? AND b.person_key = ?"
    ),
    "two lists of keys": (
        "SELECT 1 FROM people, links"
        " WHERE people.person_key = ANY($1) AND links.person_key = ANY($1)"
    ),
    "the condition of an outer join": (
        "SELECT 1 FROM people LEFT JOIN links"
        " ON links.person_key = people.person_key AND people.person_key = ?"
    ),
    "the optional side of an outer join": (
        "SELECT 1 FROM people LEFT JOIN links"
        " ON links.person_key = people.person_key AND links.person_key = ?"
    ),
    "an IN with a subquery over another table": (
        "SELECT version FROM people WHERE person_key IN"
        " (SELECT person_key FROM lookups WHERE lookup_key = ?)"
    ),
    "a subquery without the column": (
        "SELECT (SELECT count(*) FROM links) FROM people WHERE person_key = ?"
    ),
    "a subquery that looks bound from outside": (
        "SELECT 1 FROM people WHERE NOT EXISTS (SELECT 1 FROM links"
        " WHERE links.person_key = people.person_key AND people.person_key = ?)"
    ),
    "a named query without the column": (
        "WITH known AS (SELECT person_key FROM links)"
        " SELECT version FROM people JOIN known USING (person_key) WHERE people.person_key = ?"
    ),
    "one half of a union": (
        "SELECT version FROM people WHERE person_key = ?1"
        " UNION ALL SELECT is_numbered FROM links WHERE is_numbered = ?1"
    ),
    "a join with the rows of a parameter": (
        "SELECT version FROM people"
        " JOIN unnest($1::bytea[]) AS wanted (one) ON people.person_key = wanted.one"
    ),
    "an update without the column": "UPDATE people SET compact = ? WHERE version = ?",
    "an update that moves rows": "UPDATE people SET person_key = ? WHERE person_key = ?",
    "an update from another table": (
        "UPDATE people SET version = $2 FROM cards"
        " WHERE people.person_key = cards.person_key AND cards.card_key = $1"
    ),
    "a delete without the column": "DELETE FROM refused_lines WHERE line_number = ?",
    "a delete of everything": "DELETE FROM refused_lines",
    "a delete by rows that are looked for": (
        "DELETE FROM changes WHERE (insurer_number, sequence) IN"
        " (SELECT insurer_number, sequence FROM changes WHERE recorded_time < ?)"
    ),
    "an insert whose column list lacks it": (
        "INSERT INTO links (enrollee_key, recorded_time, is_numbered) VALUES (?, ?, ?)"
    ),
    "an insert without a column list": "INSERT INTO links VALUES (?, ?, ?, ?, ?)",
    "an insert of what is looked for": (
        "INSERT INTO person_cards (person_key, card_key, recorded_time)"
        " SELECT person_key, card_key, recorded_time FROM cards"
    ),
    "an upsert whose conflict target lacks it": (
        "INSERT INTO lookups (lookup_key, birth_date, enrollee_key, person_key)"
        " VALUES ($1, $2, $3, $4) ON CONFLICT (birth_date, enrollee_key)"
        " DO UPDATE SET person_key = excluded.person_key"
    ),
    "an upsert that moves rows": (
        "INSERT INTO people (person_key, version) VALUES (?, ?)"
        " ON CONFLICT (person_key) DO UPDATE SET person_key = excluded.person_key"
    ),
    "a change in a named query": (
        "WITH gone AS (DELETE FROM links WHERE is_numbered = 0 RETURNING enrollee_key)"
        " SELECT count(*) FROM gone"
    ),
    "a truncation": "TRUNCATE people",
    "what cannot be read": "SELECT FROM WHERE people people people",
}
"""Each must be a fault."""

ROUTED: Final = {
    "a placeholder": "SELECT version FROM people WHERE person_key = ? AND version > ?",
    "a numbered one": "SELECT version FROM people WHERE ?1 = person_key",
    "a dollar": "SELECT version FROM people WHERE person_key = $1::bytea",
    "a list": "SELECT version FROM people WHERE person_key IN (?, ?, ?)",
    "an array": "SELECT version FROM people WHERE person_key = ANY($1::bytea[])",
    "a row": "SELECT 1 FROM links WHERE (person_key, enrollee_key) = (?, ?)",
    "a join of one place": (
        "SELECT compact FROM links JOIN people USING (person_key) WHERE links.person_key = ?"
    ),
    "an outer join of one place": (
        "SELECT compact FROM links AS l LEFT JOIN people AS p ON p.person_key = l.person_key"
        " WHERE l.person_key = ANY($1)"
    ),
    "one key twice": "SELECT (SELECT count(*) FROM links WHERE person_key = $1) FROM people"
    " WHERE person_key = $1",
    "a correlated subquery": (
        "SELECT 1 FROM people AS p WHERE p.person_key = ? AND EXISTS"
        " (SELECT 1 FROM links WHERE links.person_key = p.person_key)"
    ),
    "a named query": (
        "WITH known AS (SELECT person_key FROM links WHERE person_key = ?)"
        " SELECT version FROM people JOIN known ON people.person_key = known.person_key"
    ),
    "a change in a named query": (
        "WITH gone AS (DELETE FROM links WHERE person_key = $1 RETURNING enrollee_key)"
        " SELECT count(*) FROM gone"
    ),
    "an update": "UPDATE people SET compact = ? WHERE person_key = ?",
    "a delete": "DELETE FROM refused_lines WHERE upload_key = ?",
    "an insert of rows": (
        "INSERT INTO enrollees (insurer_number, enrollee_key) VALUES (?, ?), (?, ?)"
    ),
    "an insert of arrays": (
        "INSERT INTO enrollees (enrollee_key, insurer_number)"
        " SELECT * FROM unnest($1::bytea[], $2::text[]) ON CONFLICT DO NOTHING"
    ),
}
"""Each must be found by its key."""


def missed() -> list[str]:
    """The planted faults that went unnoticed, and the good statements that did not pass."""
    nothing = Known(steps={})
    found = [*_wrong(CROSSING, Way.FAULT), *_wrong(ROUTED, Way.ROUTED)]
    found += [f"{name} lacks its key" for name in _keys_missed()]
    if len(list_faults([], [], Known(steps={"GONE": "why", "TOO": "why"}))) != 2:
        found.append("names on a list that no statement has")
    routed = ROUTED["a placeholder"]
    excused = Known(frozenset({routed}), steps={})
    if judged("sql.PLANTED", routed, excused)[0].way is not Way.FAULT:
        found.append("an excuse that is not needed")
    if judged("sql.PLANTED", "SELECT last_recorded_time FROM meta", nothing)[0].way is Way.FAULT:
        found.append("the table that is everywhere")
    return found


def _wrong(planted: Mapping[str, str], way: Way) -> list[str]:
    nothing = Known(steps={})
    return [
        name
        for name, text in planted.items()
        if {one.way for one in judged("sql.PLANTED", text, nothing)} != {way}
    ]


def _keys_missed() -> list[str]:
    planted = sa.MetaData()
    blob, number = sa.LargeBinary, sa.Integer
    keys: dict[str, list[SchemaItem]] = {
        "primary": [sa.Column("number", number, primary_key=True, autoincrement=False)],
        "unique": [sa.Column("number", number), sa.UniqueConstraint("number")],
        "index": [sa.Column("number", number), sa.Index("planted", "number", unique=True)],
        "foreign": [sa.Column("number", number), sa.ForeignKeyConstraint(["number"], ["other.id"])],
    }
    sa.Table("other", planted, sa.Column("id", number, primary_key=True))
    for name, parts in keys.items():
        sa.Table(name, planted, sa.Column("key", blob, primary_key=name != "primary"), *parts)
    sa.Table("counted", planted, sa.Column("key", number, primary_key=True))
    sa.Table("good", planted, sa.Column("key", blob, primary_key=True), sa.Column("number", number))
    sa.Index("any", planted.tables["good"].c.number)
    distributed = dict.fromkeys([*keys, "counted", "good"], "key")
    found = {one.name for one in key_faults(planted, distributed)}
    return sorted(found ^ {*keys, "counted"})

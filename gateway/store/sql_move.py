"""
Statements that move tables whole, made from their columns; and which tables there are.

Imports the schema, and so SQLAlchemy: only the command that moves uses this module.
"""

from __future__ import annotations

from typing import Final

from msgspec import Struct

from gateway.store.schema import META, METADATA


class MovedTable(Struct, frozen=True):
    """A table as a move sees it; its rows are told apart, and read in order, by its key."""

    name: str
    columns: tuple[str, ...]
    key: tuple[str, ...]
    schema: str | None = None
    """Where it is, if not among the facts."""

    @property
    def quoted(self) -> str:
        """Its name as a statement may spell it; one is a word of PostgreSQL's."""
        return f'"{self.name}"' if self.schema is None else f'"{self.schema}"."{self.name}"'

    @property
    def key_at(self) -> tuple[int, ...]:
        """Where in a row the columns of the key stand."""
        return tuple(self.columns.index(name) for name in self.key)


NUMBERS: Final = MovedTable(
    "numbers", ("mac", "key_id", "nonce", "ciphertext", "person_key"), ("mac",), "vault"
)
"""My Numbers, encrypted as they are: the key files stay where they are."""

TABLES: Final = (
    NUMBERS,
    *(
        MovedTable(
            table.name,
            tuple(column.name for column in table.columns),
            tuple(column.name for column in table.primary_key.columns),
        )
        for table in METADATA.tables.values()
        if table is not META
    ),
)
"""Every table but `meta`, whose one row says that a database is whole: it comes last of all."""

ATTACH_VAULT: Final = "ATTACH DATABASE ? AS vault"
"""The vault of a file is a file beside it."""

NO_VAULT: Final = """
CREATE TABLE vault.numbers (
    mac BLOB NOT NULL PRIMARY KEY, key_id TEXT NOT NULL, nonce BLOB NOT NULL,
    ciphertext BLOB NOT NULL, person_key BLOB NOT NULL
)
"""
"""Of a data directory that never had one; in memory alone."""


def first_page(table: MovedTable) -> str:
    """Spell the first rows of a table; takes how many at most."""
    return (
        f"SELECT {', '.join(table.columns)} FROM {table.quoted} "  # noqa: S608  our own names
        f"ORDER BY {', '.join(table.key)} LIMIT ?"
    )


def next_page(table: MovedTable) -> str:
    """Spell the rows after a key; takes the key, and how many at most."""
    marks = ", ".join("?" for _ in table.key)
    key = ", ".join(table.key)
    return (
        f"SELECT {', '.join(table.columns)} FROM {table.quoted} "  # noqa: S608  our own names
        f"WHERE ({key}) > ({marks}) ORDER BY {key} LIMIT ?"
    )


def remove(table: MovedTable) -> str:
    """Spell how a row is removed; takes its key."""
    where = " AND ".join(f"{name} = ?" for name in table.key)
    return f"DELETE FROM {table.quoted} WHERE {where}"  # noqa: S608  our own names


def add(table: MovedTable) -> str:
    """Spell how a row is added; takes its values."""
    marks = ", ".join("?" for _ in table.columns)
    return f"INSERT INTO {table.quoted} ({', '.join(table.columns)}) VALUES ({marks})"  # noqa: S608


def count(table: MovedTable) -> str:
    """Spell how many rows a table has."""
    return f"SELECT count(*) FROM {table.quoted}"  # noqa: S608  our own names


def any_row(table: MovedTable) -> str:
    """Spell whether a table has a row."""
    return f"SELECT 1 FROM {table.quoted} LIMIT 1"  # noqa: S608  our own names


MAKE_MOVE: Final = "CREATE TABLE move (token TEXT NOT NULL)"
ADD_MOVE: Final = "INSERT INTO move (token) VALUES (?)"
MOVE: Final = "SELECT token FROM move"
DROP_MOVE: Final = "DROP TABLE IF EXISTS move"
"""What a database that is being filled is known by: the move's token."""

META_COLUMNS: Final = tuple(one.name for one in META.columns if one.name != "meta_id")

GET_META: Final = f"SELECT {', '.join(META_COLUMNS)} FROM meta WHERE meta_id = 1"  # noqa: S608

PUT_META: Final = (
    f"UPDATE meta SET {', '.join(f'{name} = ?' for name in META_COLUMNS)} WHERE meta_id = 1"  # noqa: S608  same
)

ANALYZE: Final = "ANALYZE"

DATA_VERSION: Final = "PRAGMA data_version"
"""Of SQLite: another number once another connection committed anything."""

SOME_LOOKUP: Final = """
SELECT lookup_key, birth_date, person_key FROM lookups WHERE lookup_key >= ?
ORDER BY lookup_key, birth_date, enrollee_key LIMIT 1
"""

SOME_CARD: Final = """
SELECT card_key, person_key FROM cards WHERE card_key >= ? ORDER BY card_key LIMIT 1
"""

SOME_TIME: Final = """
SELECT recorded_time FROM cover_versions WHERE enrollee_key >= ?
ORDER BY enrollee_key, cover_no, version_no LIMIT 1
"""

UNROUTED: Final = frozenset({SOME_LOOKUP, SOME_CARD, SOME_TIME})
"""Statements that concern every place: what is drawn may be anywhere."""

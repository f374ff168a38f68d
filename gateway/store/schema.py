"""
The tables as SQLAlchemy metadata: what migrations are compared with. Nothing at run time reads it.

House 11 (Distribution): each primary and unique key contains its table's distribution column, so
that the schema can be spread over servers; there are no sequences and no triggers. Instants are
microseconds since 1970, days are ISO text, keys are 16 bytes and compared as bytes.
"""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import BigInteger, Column, Index, Integer, LargeBinary, MetaData, Table, Text, text
from sqlalchemy.dialects import postgresql

METADATA: Final = MetaData()
"""The tables of either engine."""

SERVER_METADATA: Final = MetaData()
"""The tables a server has besides; SQLite's own counterparts are files beside the database."""

DISTRIBUTED_BY: Final = {
    "enrollees": "enrollee_key",
    "cover_versions": "enrollee_key",
    "enrollee_people": "enrollee_key",
    "links": "person_key",
    "people": "person_key",
    "lookups": "lookup_key",
    "number_checks": "enrollee_key",
    "cards": "card_key",
    "person_cards": "person_key",
    "uploads": "upload_key",
    "refused_lines": "upload_key",
    "changes": "insurer_number",
    "filings": "enrollee_key",
    "overlaps": "insurer_number",
    "inquiries": "inquiry_id",
    "collections": "insurer_number",
    "disposals": "disposal_no",
}
"""Every table's distribution column."""

SERVER_DISTRIBUTED_BY: Final = {"vault.numbers": "mac", "spool_chunks": "upload_key"}
"""Of the tables a server has besides."""

UNDISTRIBUTED: Final = frozenset({"meta", "key_names"})
"""Tables of a few rows, which are not distributed."""


TEXT: Final = Text().with_variant(postgresql.TEXT(collation="C"), "postgresql")
"""Compared by its bytes on either engine, whatever language a server speaks."""


def _where(condition: str) -> dict[str, Any]:
    """Tell which rows an index holds."""
    return {"sqlite_where": text(condition), "postgresql_where": text(condition)}


def _key(name: str, *, is_primary: bool = True) -> Column[bytes]:
    return Column(name, LargeBinary, primary_key=is_primary, nullable=False)


def _text(name: str, *, is_primary: bool = False, is_optional: bool = False) -> Column[str]:
    return Column(name, TEXT, primary_key=is_primary, nullable=is_optional)


def _count(name: str, *, is_primary: bool = False) -> Column[int]:
    return Column(name, Integer, primary_key=is_primary, nullable=False, autoincrement=False)


def _large(name: str, *, is_primary: bool = False, is_optional: bool = False) -> Column[int]:
    return Column(
        name, BigInteger, primary_key=is_primary, nullable=is_optional, autoincrement=False
    )


_time = _large


ENROLLEES: Final = Table(
    "enrollees",
    METADATA,
    _key("enrollee_key"),
    _text("insurer_number"),
    sqlite_with_rowid=False,
)

COVER_VERSIONS: Final = Table(
    "cover_versions",
    METADATA,
    _key("enrollee_key"),
    _count("cover_no", is_primary=True),
    _count("version_no", is_primary=True),
    _time("recorded_time"),
    _time("superseded_time", is_optional=True),
    _text("acquisition_date"),
    _text("loss_date", is_optional=True),
    _count("state"),
    _key("upload_key", is_primary=False),
    _large("line_number"),
    Column("body", LargeBinary, nullable=False),
)

LINKS: Final = Table(
    "links",
    METADATA,
    _key("person_key"),
    _key("enrollee_key"),
    _time("recorded_time", is_primary=True),
    _time("superseded_time", is_optional=True),
    _count("is_numbered"),
    sqlite_with_rowid=False,
)

ENROLLEE_PEOPLE: Final = Table(
    "enrollee_people",
    METADATA,
    _key("enrollee_key"),
    _key("person_key"),
    sqlite_with_rowid=False,
)

LOOKUPS: Final = Table(
    "lookups",
    METADATA,
    _key("lookup_key"),
    _text("birth_date", is_primary=True),
    _key("enrollee_key"),
    _key("person_key", is_primary=False),
    sqlite_with_rowid=False,
)

PEOPLE: Final = Table(
    "people",
    METADATA,
    _key("person_key"),
    _count("version"),
    Column("compact", LargeBinary, nullable=False),
    Column("history", LargeBinary, nullable=False),
)
"""
With rowids, because its rows may be long: without them SQLite puts what a row has over about 1,000
bytes into pages of its own (decision 0031).
"""

NUMBER_CHECKS: Final = Table(
    "number_checks",
    METADATA,
    _key("enrollee_key"),
    _time("received_time", is_primary=True),
    _text("insurer_number"),
    _key("person_key", is_primary=False),
    _key("upload_key", is_primary=False),
    _large("line_number"),
    _count("state"),
    _time("checked_time", is_optional=True),
    _time("linked_time", is_optional=True),
    _time("projected_time", is_optional=True),
    _time("visible_time", is_optional=True),
    _text("mismatches"),
    Column("is_found", Integer, nullable=False, server_default=text("0")),
    Index("number_checks_received", "line_number", "received_time", **_where("state = 1")),
    Index(
        "number_checks_unstamped",
        "received_time",
        **_where("state = 2 AND projected_time IS NULL"),
    ),
    Index("number_checks_wanted", "received_time", **_where("state = 5")),
    Index(
        "number_checks_disagreeing",
        "insurer_number",
        "checked_time",
        **_where("state IN (2, 3) AND mismatches <> ''"),
    ),
    sqlite_with_rowid=False,
)

CARDS: Final = Table(
    "cards",
    METADATA,
    _key("card_key"),
    _key("person_key", is_primary=False),
    _time("recorded_time"),
    sqlite_with_rowid=False,
)

PERSON_CARDS: Final = Table(
    "person_cards",
    METADATA,
    _key("person_key"),
    _key("card_key"),
    _time("recorded_time"),
    sqlite_with_rowid=False,
)

UPLOADS: Final = Table(
    "uploads",
    METADATA,
    _key("upload_key"),
    _text("insurer_number"),
    _text("request_id"),
    _count("state"),
    _large("size_bytes"),
    Column("digest", LargeBinary, nullable=False),
    _time("received_time"),
    _time("applied_time", is_optional=True),
    _text("encoding"),
    _large("bytes_done"),
    _large("lines_read"),
    _large("lines_applied"),
    _large("lines_unchanged"),
    _large("lines_refused"),
    Column("number_person", LargeBinary),
    Column("line_order", Integer, nullable=False, server_default=text("0")),
    _large("lines_total", is_optional=True),
    Column("is_dry_run", Integer, nullable=False, server_default=text("0")),
    Index("uploads_received", "received_time", **_where("state = 2")),
)

REFUSED_LINES: Final = Table(
    "refused_lines",
    METADATA,
    _key("upload_key"),
    _large("line_number", is_primary=True),
    _text("column_name", is_primary=True),
    _text("reason", is_primary=True),
    sqlite_with_rowid=False,
)

CHANGES: Final = Table(
    "changes",
    METADATA,
    _text("insurer_number", is_primary=True),
    Column("sequence", BigInteger, primary_key=True, nullable=False, autoincrement=False),
    _time("recorded_time"),
    _count("kinds"),
    _key("enrollee_key", is_primary=False),
    _key("person_key", is_primary=False),
    _count("cover_no"),
    _count("version_no"),
    Index("changes_by_time", "recorded_time"),
    sqlite_with_rowid=False,
)

FILINGS: Final = Table(
    "filings",
    METADATA,
    _key("enrollee_key"),
    _count("cover_no", is_primary=True),
    _count("kind", is_primary=True),
    _text("insurer_number"),
    _text("employer_code"),
    _text("fact_date"),
    _text("filed_date", is_optional=True),
    _text("received_date", is_optional=True),
    _time("registered_time"),
    _time("linked_time", is_optional=True),
    _time("card_visible_time", is_optional=True),
    Index("filings_registered", "insurer_number", "registered_time"),
)

OVERLAPS: Final = Table(
    "overlaps",
    METADATA,
    _text("insurer_number", is_primary=True),
    _key("person_key"),
    _time("recorded_time"),
    sqlite_with_rowid=False,
)

INQUIRIES: Final = Table(
    "inquiries",
    METADATA,
    _key("inquiry_id"),
    _text("asking_insurer"),
    _text("asked_insurer"),
    _time("asked_time"),
    _time("answered_time", is_optional=True),
    Column("question", LargeBinary, nullable=False),
    Column("answer", LargeBinary),
    Index("inquiries_asked", "asked_insurer", "asked_time"),
    Index("inquiries_asking", "asking_insurer", "asked_time"),
)

COLLECTIONS: Final = Table(
    "collections",
    METADATA,
    _text("insurer_number", is_primary=True),
    _key("enrollee_key"),
    _count("cover_no", is_primary=True),
    _count("state"),
    _text("loss_date"),
    Index(
        "collections_by_state",
        "insurer_number",
        "state",
        "loss_date",
        "enrollee_key",
        "cover_no",
    ),
    sqlite_with_rowid=False,
)

DISPOSALS: Final = Table(
    "disposals",
    METADATA,
    _large("disposal_no", is_primary=True),
    Column("body", LargeBinary, nullable=False),
)

META: Final = Table(
    "meta",
    METADATA,
    _count("meta_id", is_primary=True),
    _count("projection_format"),
    _time("last_recorded_time"),
    Column("writer_life", TEXT, nullable=False, server_default=""),
    Column("disposed_before", BigInteger, nullable=False, server_default=text("0")),
    Column("lines_disposed_before", BigInteger, nullable=False, server_default=text("0")),
    Column("announced_time", BigInteger, nullable=False, server_default=text("0")),
)

NUMBERS: Final = Table(
    "numbers",
    SERVER_METADATA,
    _key("mac"),
    _text("key_id"),
    Column("nonce", LargeBinary, nullable=False),
    Column("ciphertext", LargeBinary, nullable=False),
    _key("person_key", is_primary=False),
    Index("numbers_person", "person_key"),
    schema="vault",
)

SPOOL_CHUNKS: Final = Table(
    "spool_chunks",
    SERVER_METADATA,
    _key("upload_key"),
    _large("first_byte", is_primary=True),
    _count("plain_bytes"),
    _text("key_id"),
    Column("nonce", LargeBinary, nullable=False),
    Column("ciphertext", LargeBinary, nullable=False),
)

KEY_NAMES: Final = Table(
    "key_names",
    SERVER_METADATA,
    _text("memory", is_primary=True),
    _text("key_id", is_primary=True),
    Column("fingerprint", LargeBinary, nullable=False),
)
"""Which keys vault and spool were written with; see `gateway.store.key_names`."""


def metadata_of(dialect: str) -> MetaData:
    """Give all tables of an engine, by its name in SQLAlchemy."""
    if dialect != "postgresql":
        return METADATA
    whole = MetaData()
    for table in (*METADATA.sorted_tables, *SERVER_METADATA.sorted_tables):
        table.to_metadata(whole)
    return whole

"""The first form of the database."""

import sqlalchemy as sa
from alembic import op

from gateway.store.migrations.kinds import TEXT, column, where

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Create every table, and the one row of `meta`."""
    _create_facts()
    _create_projections()
    _create_uploads()
    op.create_table(
        "meta",
        column("meta_id", sa.Integer, is_primary=True),
        column("projection_format", sa.Integer),
        column("last_recorded_time", sa.BigInteger),
    )
    op.execute("INSERT INTO meta (meta_id, projection_format, last_recorded_time) VALUES (1, 1, 0)")


def _create_facts() -> None:
    op.create_table(
        "enrollees",
        column("enrollee_key", sa.LargeBinary, is_primary=True),
        column("insurer_number", TEXT),
    )
    op.create_table(
        "cover_versions",
        column("enrollee_key", sa.LargeBinary, is_primary=True),
        column("cover_no", sa.Integer, is_primary=True),
        column("version_no", sa.Integer, is_primary=True),
        column("recorded_time", sa.BigInteger),
        column("superseded_time", sa.BigInteger, is_optional=True),
        column("acquisition_date", TEXT),
        column("loss_date", TEXT, is_optional=True),
        column("state", sa.Integer),
        column("upload_key", sa.LargeBinary),
        column("line_number", sa.BigInteger),
        column("body", sa.LargeBinary),
    )
    op.create_table(
        "links",
        column("person_key", sa.LargeBinary, is_primary=True),
        column("enrollee_key", sa.LargeBinary, is_primary=True),
        column("recorded_time", sa.BigInteger, is_primary=True),
        column("superseded_time", sa.BigInteger, is_optional=True),
        column("is_numbered", sa.Integer),
    )
    op.create_table(
        "enrollee_people",
        column("enrollee_key", sa.LargeBinary, is_primary=True),
        column("person_key", sa.LargeBinary, is_primary=True),
        sqlite_with_rowid=False,
    )


def _create_projections() -> None:
    op.create_table(
        "lookups",
        column("lookup_key", sa.LargeBinary, is_primary=True),
        column("birth_date", TEXT, is_primary=True),
        column("enrollee_key", sa.LargeBinary, is_primary=True),
        column("person_key", sa.LargeBinary),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "people",
        column("person_key", sa.LargeBinary, is_primary=True),
        column("version", sa.Integer),
        column("compact", sa.LargeBinary),
        column("history", sa.LargeBinary),
        sqlite_with_rowid=False,
    )


def _create_uploads() -> None:
    op.create_table(
        "uploads",
        column("upload_key", sa.LargeBinary, is_primary=True),
        column("insurer_number", TEXT),
        column("request_id", TEXT),
        column("state", sa.Integer),
        column("size_bytes", sa.BigInteger),
        column("digest", sa.LargeBinary),
        column("received_time", sa.BigInteger),
        column("applied_time", sa.BigInteger, is_optional=True),
        column("encoding", TEXT),
        column("bytes_done", sa.BigInteger),
        column("lines_read", sa.BigInteger),
        column("lines_applied", sa.BigInteger),
        column("lines_unchanged", sa.BigInteger),
        column("lines_refused", sa.BigInteger),
    )
    op.create_index("uploads_received", "uploads", ["received_time"], **where("state = 2"))
    op.create_table(
        "refused_lines",
        column("upload_key", sa.LargeBinary, is_primary=True),
        column("line_number", sa.BigInteger, is_primary=True),
        column("column_name", TEXT, is_primary=True),
        column("reason", TEXT, is_primary=True),
        sqlite_with_rowid=False,
    )

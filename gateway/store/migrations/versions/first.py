"""The first form of the database."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Create every table, and the one row of `meta`."""
    _create_facts()
    _create_projections()
    _create_uploads()
    op.create_table(
        "meta",
        _column("meta_id", sa.Integer, is_primary=True),
        _column("projection_format", sa.Integer),
        _column("last_recorded_time", sa.BigInteger),
    )
    op.execute("INSERT INTO meta (meta_id, projection_format, last_recorded_time) VALUES (1, 1, 0)")


def _column(
    name: str, kind: Any, *, is_primary: bool = False, is_optional: bool = False
) -> sa.Column[Any]:
    return sa.Column(name, kind, primary_key=is_primary, nullable=is_optional, autoincrement=False)


def _create_facts() -> None:
    op.create_table(
        "enrollees",
        _column("enrollee_key", sa.LargeBinary, is_primary=True),
        _column("insurer_number", sa.Text),
    )
    op.create_table(
        "cover_versions",
        _column("enrollee_key", sa.LargeBinary, is_primary=True),
        _column("cover_no", sa.Integer, is_primary=True),
        _column("version_no", sa.Integer, is_primary=True),
        _column("recorded_time", sa.BigInteger),
        _column("superseded_time", sa.BigInteger, is_optional=True),
        _column("acquisition_date", sa.Text),
        _column("loss_date", sa.Text, is_optional=True),
        _column("state", sa.Integer),
        _column("upload_key", sa.LargeBinary),
        _column("line_number", sa.Integer),
        _column("body", sa.LargeBinary),
    )
    op.create_table(
        "links",
        _column("person_key", sa.LargeBinary, is_primary=True),
        _column("enrollee_key", sa.LargeBinary, is_primary=True),
        _column("recorded_time", sa.BigInteger, is_primary=True),
        _column("superseded_time", sa.BigInteger, is_optional=True),
        _column("is_numbered", sa.Integer),
    )
    op.create_table(
        "enrollee_people",
        _column("enrollee_key", sa.LargeBinary, is_primary=True),
        _column("person_key", sa.LargeBinary, is_primary=True),
        sqlite_with_rowid=False,
    )


def _create_projections() -> None:
    op.create_table(
        "lookups",
        _column("lookup_key", sa.LargeBinary, is_primary=True),
        _column("birth_date", sa.Text, is_primary=True),
        _column("enrollee_key", sa.LargeBinary, is_primary=True),
        _column("person_key", sa.LargeBinary),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "people",
        _column("person_key", sa.LargeBinary, is_primary=True),
        _column("version", sa.Integer),
        _column("compact", sa.LargeBinary),
        _column("history", sa.LargeBinary),
        sqlite_with_rowid=False,
    )


def _create_uploads() -> None:
    op.create_table(
        "uploads",
        _column("upload_key", sa.LargeBinary, is_primary=True),
        _column("insurer_number", sa.Text),
        _column("request_id", sa.Text),
        _column("state", sa.Integer),
        _column("size_bytes", sa.BigInteger),
        _column("digest", sa.LargeBinary),
        _column("received_time", sa.BigInteger),
        _column("applied_time", sa.BigInteger, is_optional=True),
        _column("encoding", sa.Text),
        _column("bytes_done", sa.BigInteger),
        _column("lines_read", sa.Integer),
        _column("lines_applied", sa.Integer),
        _column("lines_unchanged", sa.Integer),
        _column("lines_refused", sa.Integer),
    )
    op.create_index(
        "uploads_received", "uploads", ["received_time"], sqlite_where=sa.text("state = 2")
    )
    op.create_table(
        "refused_lines",
        _column("upload_key", sa.LargeBinary, is_primary=True),
        _column("line_number", sa.Integer, is_primary=True),
        _column("column_name", sa.Text, is_primary=True),
        _column("reason", sa.Text, is_primary=True),
        sqlite_with_rowid=False,
    )

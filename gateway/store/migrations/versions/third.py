"""The insurer's side: changes in order, filings and their lag, overlaps, inquiries, collections."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Create five tables; searches for numbers, dry runs and counts of lines get their places."""
    _changes_and_filings()
    _lists()
    op.create_index(
        "number_checks_wanted",
        "number_checks",
        ["received_time"],
        sqlite_where=sa.text("state = 5"),
    )
    op.create_index(
        "number_checks_disagreeing",
        "number_checks",
        ["insurer_number", "checked_time"],
        sqlite_where=sa.text("state IN (2, 3) AND mismatches <> ''"),
    )
    op.add_column(
        "number_checks",
        sa.Column("is_found", sa.Integer, nullable=False, server_default=sa.text("0")),
    )
    op.add_column(
        "uploads", sa.Column("line_order", sa.Integer, nullable=False, server_default=sa.text("0"))
    )
    op.add_column("uploads", sa.Column("lines_total", sa.Integer, nullable=True))
    op.add_column(
        "uploads", sa.Column("is_dry_run", sa.Integer, nullable=False, server_default=sa.text("0"))
    )


def _changes_and_filings() -> None:
    op.create_table(
        "changes",
        _column("insurer_number", sa.Text, is_primary=True),
        _column("sequence", sa.BigInteger, is_primary=True),
        _column("recorded_time", sa.BigInteger),
        _column("kinds", sa.Integer),
        _column("enrollee_key", sa.LargeBinary),
        _column("person_key", sa.LargeBinary),
        _column("cover_no", sa.Integer),
        _column("version_no", sa.Integer),
        sqlite_with_rowid=False,
    )
    op.create_index("changes_by_time", "changes", ["recorded_time"])
    op.create_table(
        "filings",
        _column("enrollee_key", sa.LargeBinary, is_primary=True),
        _column("cover_no", sa.Integer, is_primary=True),
        _column("kind", sa.Integer, is_primary=True),
        _column("insurer_number", sa.Text),
        _column("employer_code", sa.Text),
        _column("fact_date", sa.Text),
        _column("filed_date", sa.Text, is_optional=True),
        _column("received_date", sa.Text, is_optional=True),
        _column("registered_time", sa.BigInteger),
        _column("linked_time", sa.BigInteger, is_optional=True),
        _column("card_visible_time", sa.BigInteger, is_optional=True),
    )
    op.create_index("filings_registered", "filings", ["insurer_number", "registered_time"])


def _lists() -> None:
    op.create_table(
        "overlaps",
        _column("insurer_number", sa.Text, is_primary=True),
        _column("person_key", sa.LargeBinary, is_primary=True),
        _column("recorded_time", sa.BigInteger),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "inquiries",
        _column("inquiry_id", sa.LargeBinary, is_primary=True),
        _column("asking_insurer", sa.Text),
        _column("asked_insurer", sa.Text),
        _column("asked_time", sa.BigInteger),
        _column("answered_time", sa.BigInteger, is_optional=True),
        _column("question", sa.LargeBinary),
        sa.Column("answer", sa.LargeBinary, nullable=True),
    )
    op.create_index("inquiries_asked", "inquiries", ["asked_insurer", "asked_time"])
    op.create_index("inquiries_asking", "inquiries", ["asking_insurer", "asked_time"])
    op.create_table(
        "collections",
        _column("insurer_number", sa.Text, is_primary=True),
        _column("enrollee_key", sa.LargeBinary, is_primary=True),
        _column("cover_no", sa.Integer, is_primary=True),
        _column("state", sa.Integer),
        _column("loss_date", sa.Text),
        sqlite_with_rowid=False,
    )
    op.create_index(
        "collections_by_state",
        "collections",
        ["insurer_number", "state", "loss_date", "enrollee_key", "cover_no"],
    )


def _column(
    name: str, kind: Any, *, is_primary: bool = False, is_optional: bool = False
) -> sa.Column[Any]:
    return sa.Column(name, kind, primary_key=is_primary, nullable=is_optional, autoincrement=False)

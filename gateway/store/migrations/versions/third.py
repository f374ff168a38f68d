"""The insurer's side: changes in order, filings and their lag, overlaps, inquiries, collections."""

import sqlalchemy as sa
from alembic import op

from gateway.store.migrations.kinds import TEXT, column, where

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
        **where("state = 5"),
    )
    op.create_index(
        "number_checks_disagreeing",
        "number_checks",
        ["insurer_number", "checked_time"],
        **where("state IN (2, 3) AND mismatches <> ''"),
    )
    op.add_column(
        "number_checks",
        sa.Column("is_found", sa.Integer, nullable=False, server_default=sa.text("0")),
    )
    op.add_column(
        "uploads", sa.Column("line_order", sa.Integer, nullable=False, server_default=sa.text("0"))
    )
    op.add_column("uploads", sa.Column("lines_total", sa.BigInteger, nullable=True))
    op.add_column(
        "uploads", sa.Column("is_dry_run", sa.Integer, nullable=False, server_default=sa.text("0"))
    )


def _changes_and_filings() -> None:
    op.create_table(
        "changes",
        column("insurer_number", TEXT, is_primary=True),
        column("sequence", sa.BigInteger, is_primary=True),
        column("recorded_time", sa.BigInteger),
        column("kinds", sa.Integer),
        column("enrollee_key", sa.LargeBinary),
        column("person_key", sa.LargeBinary),
        column("cover_no", sa.Integer),
        column("version_no", sa.Integer),
        sqlite_with_rowid=False,
    )
    op.create_index("changes_by_time", "changes", ["recorded_time"])
    op.create_table(
        "filings",
        column("enrollee_key", sa.LargeBinary, is_primary=True),
        column("cover_no", sa.Integer, is_primary=True),
        column("kind", sa.Integer, is_primary=True),
        column("insurer_number", TEXT),
        column("employer_code", TEXT),
        column("fact_date", TEXT),
        column("filed_date", TEXT, is_optional=True),
        column("received_date", TEXT, is_optional=True),
        column("registered_time", sa.BigInteger),
        column("linked_time", sa.BigInteger, is_optional=True),
        column("card_visible_time", sa.BigInteger, is_optional=True),
    )
    op.create_index("filings_registered", "filings", ["insurer_number", "registered_time"])


def _lists() -> None:
    op.create_table(
        "overlaps",
        column("insurer_number", TEXT, is_primary=True),
        column("person_key", sa.LargeBinary, is_primary=True),
        column("recorded_time", sa.BigInteger),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "inquiries",
        column("inquiry_id", sa.LargeBinary, is_primary=True),
        column("asking_insurer", TEXT),
        column("asked_insurer", TEXT),
        column("asked_time", sa.BigInteger),
        column("answered_time", sa.BigInteger, is_optional=True),
        column("question", sa.LargeBinary),
        sa.Column("answer", sa.LargeBinary, nullable=True),
    )
    op.create_index("inquiries_asked", "inquiries", ["asked_insurer", "asked_time"])
    op.create_index("inquiries_asking", "inquiries", ["asking_insurer", "asked_time"])
    op.create_table(
        "collections",
        column("insurer_number", TEXT, is_primary=True),
        column("enrollee_key", sa.LargeBinary, is_primary=True),
        column("cover_no", sa.Integer, is_primary=True),
        column("state", sa.Integer),
        column("loss_date", TEXT),
        sqlite_with_rowid=False,
    )
    op.create_index(
        "collections_by_state",
        "collections",
        ["insurer_number", "state", "loss_date", "enrollee_key", "cover_no"],
    )

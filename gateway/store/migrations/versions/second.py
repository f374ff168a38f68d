"""Numbers on their way to a link, and cards registered on the portal."""

import sqlalchemy as sa
from alembic import op

from gateway.store.migrations.kinds import TEXT, column, where

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Create three tables, and note whose number a single change brought."""
    op.create_table(
        "number_checks",
        column("enrollee_key", sa.LargeBinary, is_primary=True),
        column("received_time", sa.BigInteger, is_primary=True),
        column("insurer_number", TEXT),
        column("person_key", sa.LargeBinary),
        column("upload_key", sa.LargeBinary),
        column("line_number", sa.BigInteger),
        column("state", sa.Integer),
        column("checked_time", sa.BigInteger, is_optional=True),
        column("linked_time", sa.BigInteger, is_optional=True),
        column("projected_time", sa.BigInteger, is_optional=True),
        column("visible_time", sa.BigInteger, is_optional=True),
        column("mismatches", TEXT),
    )
    op.create_index(
        "number_checks_received",
        "number_checks",
        ["line_number", "received_time"],
        **where("state = 1"),
    )
    op.create_index(
        "number_checks_unstamped",
        "number_checks",
        ["received_time"],
        **where("state = 2 AND projected_time IS NULL"),
    )
    op.add_column("uploads", sa.Column("number_person", sa.LargeBinary, nullable=True))
    op.create_table(
        "cards",
        column("card_key", sa.LargeBinary, is_primary=True),
        column("person_key", sa.LargeBinary),
        column("recorded_time", sa.BigInteger),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "person_cards",
        column("person_key", sa.LargeBinary, is_primary=True),
        column("card_key", sa.LargeBinary, is_primary=True),
        column("recorded_time", sa.BigInteger),
        sqlite_with_rowid=False,
    )

"""Numbers on their way to a link, and cards registered on the portal."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Create three tables, and note whose number a single change brought."""
    op.create_table(
        "number_checks",
        _column("enrollee_key", sa.LargeBinary, is_primary=True),
        _column("received_time", sa.BigInteger, is_primary=True),
        _column("insurer_number", sa.Text),
        _column("person_key", sa.LargeBinary),
        _column("upload_key", sa.LargeBinary),
        _column("line_number", sa.Integer),
        _column("state", sa.Integer),
        _column("checked_time", sa.BigInteger, is_optional=True),
        _column("linked_time", sa.BigInteger, is_optional=True),
        _column("projected_time", sa.BigInteger, is_optional=True),
        _column("visible_time", sa.BigInteger, is_optional=True),
        _column("mismatches", sa.Text),
    )
    op.create_index(
        "number_checks_received",
        "number_checks",
        ["line_number", "received_time"],
        sqlite_where=sa.text("state = 1"),
    )
    op.create_index(
        "number_checks_unstamped",
        "number_checks",
        ["received_time"],
        sqlite_where=sa.text("state = 2 AND projected_time IS NULL"),
    )
    op.add_column("uploads", sa.Column("number_person", sa.LargeBinary, nullable=True))
    op.create_table(
        "cards",
        _column("card_key", sa.LargeBinary, is_primary=True),
        _column("person_key", sa.LargeBinary),
        _column("recorded_time", sa.BigInteger),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "person_cards",
        _column("person_key", sa.LargeBinary, is_primary=True),
        _column("card_key", sa.LargeBinary, is_primary=True),
        _column("recorded_time", sa.BigInteger),
        sqlite_with_rowid=False,
    )


def _column(
    name: str, kind: Any, *, is_primary: bool = False, is_optional: bool = False
) -> sa.Column[Any]:
    return sa.Column(name, kind, primary_key=is_primary, nullable=is_optional, autoincrement=False)

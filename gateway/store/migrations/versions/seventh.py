"""On SQLite: rowids for people, whose rows are long, and none where rows are short."""

from typing import Any

import sqlalchemy as sa
from alembic import op

from gateway.store.migrations.kinds import TEXT, column, where

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Write four tables anew (decision 0031); a server's tables are all of one kind."""
    if op.get_bind().dialect.name != "sqlite":
        return
    _anew(
        "people",
        column("person_key", sa.LargeBinary, is_primary=True),
        column("version", sa.Integer),
        column("compact", sa.LargeBinary),
        column("history", sa.LargeBinary),
    )
    _anew(
        "enrollees",
        column("enrollee_key", sa.LargeBinary, is_primary=True),
        column("insurer_number", TEXT),
        sqlite_with_rowid=False,
    )
    _anew(
        "links",
        column("person_key", sa.LargeBinary, is_primary=True),
        column("enrollee_key", sa.LargeBinary, is_primary=True),
        column("recorded_time", sa.BigInteger, is_primary=True),
        column("superseded_time", sa.BigInteger, is_optional=True),
        column("is_numbered", sa.Integer),
        sqlite_with_rowid=False,
    )
    _number_checks()


def _number_checks() -> None:
    _anew(
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
        sa.Column("is_found", sa.Integer, nullable=False, server_default=sa.text("0")),
        sqlite_with_rowid=False,
    )
    for name, columns, condition in (
        ("received", ["line_number", "received_time"], "state = 1"),
        ("unstamped", ["received_time"], "state = 2 AND projected_time IS NULL"),
        ("wanted", ["received_time"], "state = 5"),
        ("disagreeing", ["insurer_number", "checked_time"], "state IN (2, 3) AND mismatches <> ''"),
    ):
        op.create_index(f"number_checks_{name}", "number_checks", columns, **where(condition))


def _anew(name: str, *columns: sa.Column[Any], **kind: bool) -> None:
    """Make a table again in another form; its rows stay, its indexes must be made again."""
    op.rename_table(name, f"{name}_before")
    made = op.create_table(name, *columns, **kind)
    names = ", ".join(one.name for one in made.columns)
    key = ", ".join(one.name for one in made.primary_key.columns)
    op.execute(
        f"INSERT INTO {name} ({names}) SELECT {names} FROM {name}_before ORDER BY {key}"  # noqa: S608  our own names
    )
    op.drop_table(f"{name}_before")

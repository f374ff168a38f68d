"""What was disposed of."""

import sqlalchemy as sa
from alembic import op

from gateway.store.migrations.kinds import column

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Give `meta` the instants before which things may be gone, and disposals their table."""
    for name in ("disposed_before", "lines_disposed_before"):
        op.add_column(
            "meta", sa.Column(name, sa.BigInteger, nullable=False, server_default=sa.text("0"))
        )
    op.create_table(
        "disposals",
        column("disposal_no", sa.BigInteger, is_primary=True),
        column("body", sa.LargeBinary),
    )

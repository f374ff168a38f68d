"""What a writer on a cluster is about to commit."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Give `meta` the recorded time of the commit that was announced last."""
    op.add_column(
        "meta",
        sa.Column("announced_time", sa.BigInteger, nullable=False, server_default=sa.text("0")),
    )

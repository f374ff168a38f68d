"""Who writes."""

import sqlalchemy as sa
from alembic import op

from gateway.store.migrations.kinds import TEXT

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Give `meta` its place for who writes."""
    op.add_column("meta", sa.Column("writer_life", TEXT, nullable=False, server_default=""))

"""The vault, the spool and the keys they were written with, on a server; who writes."""

import sqlalchemy as sa
from alembic import op

from gateway.store.migrations.kinds import TEXT, column

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Give `meta` its place for who writes; on a server create what one disk must not hold."""
    op.add_column("meta", sa.Column("writer_life", TEXT, nullable=False, server_default=""))
    connection = op.get_bind()
    if connection.dialect.name != "postgresql":
        return
    # Whoever may not create schemas may still have been given this one.
    if connection.scalar(sa.text("SELECT to_regnamespace('vault')")) is None:
        op.execute("CREATE SCHEMA vault")
    _vault()
    _spool()


def _vault() -> None:
    op.create_table(
        "numbers",
        column("mac", sa.LargeBinary, is_primary=True),
        column("key_id", TEXT),
        column("nonce", sa.LargeBinary),
        column("ciphertext", sa.LargeBinary),
        column("person_key", sa.LargeBinary),
        schema="vault",
    )
    op.create_index("numbers_person", "numbers", ["person_key"], schema="vault")


def _spool() -> None:
    op.create_table(
        "spool_chunks",
        column("upload_key", sa.LargeBinary, is_primary=True),
        column("first_byte", sa.BigInteger, is_primary=True),
        column("plain_bytes", sa.Integer),
        column("key_id", TEXT),
        column("nonce", sa.LargeBinary),
        column("ciphertext", sa.LargeBinary),
    )
    # What is encrypted cannot be compressed: the server need not try.
    op.execute("ALTER TABLE spool_chunks ALTER COLUMN ciphertext SET STORAGE EXTERNAL")
    op.create_table(
        "key_names",
        column("memory", TEXT, is_primary=True),
        column("key_id", TEXT, is_primary=True),
        column("fingerprint", sa.LargeBinary),
    )

"""Runs the migrations on the connection that `gateway.store.migrate` hands in."""

from alembic import context

from gateway.store.schema import metadata_of

connection = context.config.attributes["connection"]
context.configure(
    connection=connection,
    target_metadata=metadata_of(connection.dialect.name),
    transactional_ddl=True,
)
with context.begin_transaction():
    context.run_migrations()

"""
How the main database's tables are spread over the servers of a Citus cluster.

Made from the schema's lists alone and pure: it says what to run and runs nothing. Tables that are
distributed by one column lie together (a colocation group), so what is known of one enrollee, or of
one person, is in one place. `meta` is not distributed: see docs/scale.md. Imports the schema, so
serving never imports this module.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from gateway.store.schema import DISTRIBUTED_BY, SERVER_DISTRIBUTED_BY

SHARD_COUNT: Final = 64
"""Shards of each table: at most so many workers can share the work. It is dear to change later."""

TABLES: Final = DISTRIBUTED_BY | SERVER_DISTRIBUTED_BY
"""Every distributed table's column."""


class OtherwiseDistributedError(Exception):
    """A table is distributed already, but by another column; the names are in the message."""


def colocation_groups() -> dict[str, tuple[str, ...]]:
    """The tables of each distribution column, in the order they are distributed in."""
    groups: dict[str, tuple[str, ...]] = {}
    for table, column in TABLES.items():
        groups[column] = (*groups.get(column, ()), table)
    return groups


def distribution_statements(
    shard_count: int = SHARD_COUNT, done: Mapping[str, str] | None = None
) -> list[str]:
    """
    Give the statements that spread the tables, to be run in this order on the coordinator.

    The first table of a group starts it and the others join it. Left to itself, Citus puts all
    tables whose columns have one type into one group, and a group's shards move together. To be run
    after the migration that makes the tables and before there is data: the rows of a table that has
    some are copied, and nobody writes it meanwhile.

    Args:
        shard_count: Shards of each table, at least one.

        done: Which tables are distributed already, and by which column; they are left out.

    Raises:
        OtherwiseDistributedError: A table is distributed by another column than it should be.
    """
    if shard_count < 1:
        raise ValueError("a table has at least one shard")
    before = {} if done is None else done
    wrong = [name for name, column in TABLES.items() if before.get(name, column) != column]
    if wrong:
        raise OtherwiseDistributedError(f"by another column: {', '.join(wrong)}")
    statements = []
    for column, tables in colocation_groups().items():
        first = next((table for table in tables if table in before), tables[0])
        for table in tables:
            start = f"'none', shard_count => {shard_count}"
            group = start if table == first else f"'{first}'"
            call = f"create_distributed_table('{table}', '{column}', colocate_with => {group})"
            if table not in before:
                statements.append(f"SELECT {call}")
    return statements

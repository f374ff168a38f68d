"""
One round of a move: every row of every table is compared, and the filled side made the same.

The first round over an empty database is the copy; a round after a kill goes on with it; the last
one, while nobody writes, is the proof. It needs no time, no trigger and no log of the database,
so it holds for every table alike. Source: decision 0026.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from msgspec import Struct

from gateway.store.move import Side
from gateway.store.sql_move import TABLES, MovedTable
from gateway.store.steps import Row

PAGE_ROWS: Final = 2_000
"""Rows of a table held in memory of each side at a time."""


class NotKeptError(Exception):
    """A table does not give back what was just written into it; its argument is the table."""


class Round(Struct):
    """What a round did: rows looked at on the side that is read, rows written and removed."""

    compared: int = 0
    written: int = 0
    removed: int = 0


async def round_of(
    source: Side, target: Side, went: Callable[[int], None], *, is_reread: bool = False
) -> Round:
    """
    Make the target's tables those of the source, as far as nobody writes meanwhile.

    Args:
        went: Told how many more rows are done.

        is_reread: Whether what is written is read back and compared.

    Raises:
        NotKeptError: What was read back differs.
    """
    done = Round()
    for table in TABLES:
        await _table(source, target, table, done, went, is_reread=is_reread)
    return done


async def _table(
    source: Side,
    target: Side,
    table: MovedTable,
    done: Round,
    went: Callable[[int], None],
    *,
    is_reread: bool,
) -> None:
    after: Row | None = None
    while True:
        ours = await source.page(table, after, PAGE_ROWS)
        theirs = await target.page(table, after, PAGE_ROWS)
        until = _end(table, ours, theirs)
        ours, theirs = _up_to(table, ours, until), _up_to(table, theirs, until)
        if ours != theirs:
            await _made_same(target, table, ours, theirs, done)
            if is_reread:
                kept = _up_to(table, await target.page(table, after, PAGE_ROWS + 1), until)
                if kept != ours:
                    raise NotKeptError(table.name)
        done.compared += len(ours)
        went(len(ours))
        if until is None:
            return
        after = until


def _key(table: MovedTable, row: Row) -> Row:
    return tuple(row[at] for at in table.key_at)


def _end(table: MovedTable, *pages: Sequence[Row]) -> Row | None:
    """Up to which key all pages are complete; None if that is the end of the table."""
    ends = [_key(table, page[-1]) for page in pages if len(page) == PAGE_ROWS]
    return min(ends) if ends else None


def _up_to(table: MovedTable, page: list[Row], until: Row | None) -> list[Row]:
    if until is None or (page and _key(table, page[-1]) <= until):
        return page
    return [row for row in page if _key(table, row) <= until]


async def _made_same(
    target: Side, table: MovedTable, ours: list[Row], theirs: list[Row], done: Round
) -> None:
    kept = {_key(table, row): row for row in theirs}
    wanted = {_key(table, row): row for row in ours}
    gone = [key for key, row in kept.items() if wanted.get(key) != row]
    rows = [row for key, row in wanted.items() if kept.get(key) != row]
    await target.replace(table, gone, rows)
    done.written += len(rows)
    done.removed += sum(1 for key in gone if key not in wanted)

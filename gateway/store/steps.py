"""
Work on a database as steps that either engine takes: one algorithm, spelled once.

A piece of work is a generator. It yields what it asks of the database, is sent the rows, and
returns what it found out; it neither knows the engine nor waits. An engine takes all steps of a
piece of work in one transaction. Source: decision 0021.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Sequence
from typing import Any, NamedTuple, TypeVar

Row = tuple[Any, ...]
"""Values to a statement, or a row from one."""

Result = TypeVar("Result")


class Fetch(NamedTuple):
    """Take a statement once, and give its rows."""

    statement: str
    values: Row = ()


class FetchEach(NamedTuple):
    """
    Take a statement once for each of several values, and give all rows; none at all for no values.

    The rows of one stay in their order; whose a row is, the row itself must tell.
    """

    statement: str
    values: Sequence[Row]


class Write(NamedTuple):
    """
    Take a statement for each row, in order; nothing is given.

    Of rows that meet in one conflict the last one counts.
    """

    statement: str
    rows: Sequence[Row]


Step = Fetch | FetchEach | Write
Steps = Generator[Step, Sequence[Row], Result]


def singly(keys: Iterable[Any]) -> list[Row]:
    """Spell values of one column each, for `FetchEach`."""
    return [(key,) for key in keys]

"""
Whether a coordinator sends each statement where `loadtests.statement_guard` says it goes.

Every statement of the store is planned, not run, with a value of each parameter's type. A routed
one must be one task. A join of several steps must be refused or ask every place, for that is why it
is on the list: on one server it is a join, here an adapter goes step by step. One that concerns
every place must be more than one task, or it need not be on a list.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Any, Final, TypeAlias

import asyncpg

from loadtests import statement_guard
from loadtests.statement_rules import Known, Way, judged

Ask: TypeAlias = Callable[[str], Awaitable[Sequence[Sequence[Any]]]]
"""Runs a statement and gives its rows."""

VALUES: Final = {
    "bytea": r"'\x01'",
    "text": "'1'",
    "smallint": "1",
    "integer": "1",
    "bigint": "1",
    "boolean": "true",
}
TYPES: Final = (
    "SELECT unnest(parameter_types)::text FROM pg_prepared_statements WHERE name = 'seen'"
)
FORGET: Final = "DEALLOCATE ALL"

_PARAMETER: Final = re.compile(r"\?(\d*)|(?<!:):([a-z_]+)")
_TASKS: Final = re.compile(r"Task Count: (\d+)")


def numbered(text: str) -> str:
    """Spell a statement's parameters as PostgreSQL does: `?`, `?1` and `:name` become `$1`."""
    names: dict[str, int] = {}
    count = 0

    def spelled(match: re.Match[str]) -> str:
        nonlocal count
        number, name = match.groups()
        if number:
            return f"${number}"
        if name:
            return f"${names.setdefault(name, len(names) + 1)}"
        count += 1
        return f"${count}"

    return _PARAMETER.sub(spelled, text)


def value_of(kind: str) -> str:
    """A value of a type, as SQL."""
    element = kind.removesuffix("[]")
    value = VALUES.get(element, "NULL")
    return value if element == kind else f"ARRAY[{value}]::{kind}"


def is_as_said(way: Way, plan: str | None) -> bool:
    """
    Whether a plan is what is said of a statement.

    Args:
        plan: As EXPLAIN prints it; None if there is none.
    """
    if plan is None:
        return way is Way.STEPS
    tasks = [int(count) for count in _TASKS.findall(plan)]
    match way:
        case Way.ROUTED:
            return set(tasks) == {1} or (not tasks and "INSERT ... SELECT" in plan)
        case Way.EVERYWHERE | Way.STEPS:
            return any(count > 1 for count in tasks)
        case _:
            return False


async def told(ask: Ask) -> tuple[list[str], int]:
    """What the coordinator plans otherwise than it should, and how many statements it was asked."""
    texts, unrouted = statement_guard.statements()
    otherwise, count = [], 0
    for name, way, text in _asked(texts, Known(unrouted)):
        plan, error = await _planned(ask, text)
        count += 1
        if not is_as_said(way, plan):
            otherwise.append(
                f"{name}, {way.value}: {error or ' '.join(_TASKS.findall(plan or ''))}"
            )
    return otherwise, count


def _asked(texts: dict[str, str], known: Known) -> Iterator[tuple[str, Way, str]]:
    for name, text in texts.items():
        found = judged(name, text, known)
        if len(found) == 1 and found[0].way in {Way.ROUTED, Way.STEPS, Way.EVERYWHERE}:
            yield name, found[0].way, text


async def _planned(ask: Ask, text: str) -> tuple[str | None, str]:
    """A statement's plan, or why there is none."""
    try:
        await ask(f"PREPARE seen AS {numbered(text)}")
        values = ", ".join([value_of(row[0]) for row in await ask(TYPES)])
        rows = await ask(f"EXPLAIN (COSTS OFF) EXECUTE seen{f'({values})' if values else ''}")
    except asyncpg.PostgresError as error:
        return None, str(error).splitlines()[0]
    finally:
        await ask(FORGET)
    return "\n".join(row[0] for row in rows), ""

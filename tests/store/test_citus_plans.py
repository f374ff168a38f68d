"""A coordinator's plans are held against what the guard says of each statement."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from gateway.store.schema import DISTRIBUTED_BY
from loadtests import citus_plans, scale_bytes, statement_guard
from loadtests.citus_plans import is_as_said, numbered, told, value_of
from loadtests.statement_rules import Way


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a = ? AND b > ?", "a = $1 AND b > $2"),
        ("a = ?2 AND b = ?1 AND c = ?2", "a = $2 AND b = $1 AND c = $2"),
        ("a = :after AND b = :until AND c = :after", "a = $1 AND b = $2 AND c = $1"),
        ("a = ANY($1::bytea[])", "a = ANY($1::bytea[])"),
    ],
)
def test_parameters_are_numbered(text: str, expected: str) -> None:
    """Every way the store spells a parameter becomes PostgreSQL's; casts are left alone."""
    assert expected == numbered(text)


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("bytea", r"'\x01'"),
        ("bigint", "1"),
        ("text[]", "ARRAY['1']::text[]"),
        ("circle", "NULL"),
    ],
)
def test_each_type_has_a_value(kind: str, expected: str) -> None:
    """A planner prunes by values, so a parameter of each type gets one; arrays hold one."""
    assert expected == value_of(kind)


@pytest.mark.parametrize(
    ("way", "plan", "expected"),
    [
        (Way.ROUTED, "Task Count: 1", True),
        (Way.ROUTED, "Task Count: 64", False),
        (Way.ROUTED, "Task Count: 1\nTask Count: 64", False),
        (Way.ROUTED, "Seq Scan", False),
        (Way.ROUTED, "Custom Scan (Citus INSERT ... SELECT)", True),
        (Way.ROUTED, None, False),
        (Way.STEPS, None, True),
        (Way.STEPS, "Task Count: 1", False),
        (Way.EVERYWHERE, "Task Count: 64", True),
        (Way.EVERYWHERE, "Task Count: 1", False),
        (Way.STEPS, "Task Count: 1\nTask Count: 64", True),
        (Way.EVERYWHERE, None, False),
    ],
)
def test_a_plan_is_held_against_what_is_said(way: Way, plan: str | None, *, expected: bool) -> None:
    """One task for a routed statement, more for every place, more or none for a join of steps."""
    assert expected == is_as_said(way, plan)


class Planner:
    """A coordinator that plans by table: it gives each statement the tasks it is told to."""

    def __init__(self, tasks: int) -> None:
        self.tasks = tasks
        self.is_open = False

    async def ask(self, statement: str) -> Sequence[Sequence[Any]]:
        """Answer as PostgreSQL does to what is prepared, explained and forgotten."""
        if statement.startswith("PREPARE"):
            self.is_open = True
            if re.search(r"\bJOIN people\b", statement):
                raise asyncpg.FeatureNotSupportedError("complex joins")
        elif statement == citus_plans.TYPES:
            return [("bytea",), ("integer",)]
        elif statement == citus_plans.FORGET:
            self.is_open = False
        else:
            assert statement == r"EXPLAIN (COSTS OFF) EXECUTE seen('\x01', 1)"
            return [("Custom Scan (Citus Adaptive)",), (f"  Task Count: {self.tasks}",)]
        return []


async def test_every_statement_is_planned_and_what_differs_is_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A statement that a coordinator sends elsewhere is named with its tasks."""
    texts = {
        "sql.ONE": "SELECT version FROM people WHERE person_key = ? AND version = ?",
        "sql_answers.MATCHING_LAST": (
            "SELECT 1 FROM lookups JOIN people ON people.person_key = lookups.person_key"
            " WHERE lookup_key = ? AND birth_date = ?"
        ),
        "sql.META": "SELECT last_recorded_time FROM meta",
    }
    monkeypatch.setattr(statement_guard, "statements", lambda: (texts, frozenset()))
    good, many = Planner(1), Planner(64)
    assert await told(good.ask) == ([], 2)
    assert await told(many.ask) == (["sql.ONE, routed: 64"], 2)
    assert not good.is_open


def test_bytes_of_a_person_are_measured(tmp_path: Path) -> None:
    """Each distributed table is counted once, and the page says what is multiplied only."""
    found = scale_bytes.measured(60, 3, tmp_path)
    assert found.refused == 0
    assert found.rows["cover_versions"] == found.lines
    assert sum(found.tables[name] for name in DISTRIBUTED_BY) == sum(
        found.bytes_by_column().values()
    )
    page = scale_bytes.told(found)
    assert "extrapolated, not measured" in page
    assert not [name for name in DISTRIBUTED_BY if name not in page]

"""Modules and functions stay small enough to be read in one sitting (house 9)."""

from __future__ import annotations

import ast

import pytest

from tests.house.sources import modules, name_of

MODULE_LINES_MAX = 400
FUNCTION_LINES_MAX = 50


def too_long(name: str, source: str) -> list[str]:
    """What in a module goes over a limit; a function is counted without its decorators."""
    found = []
    if (lines := source.count("\n")) > MODULE_LINES_MAX:
        found.append(f"{name}: {lines} lines")
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = (node.end_lineno or 0) - node.lineno + 1
            if lines > FUNCTION_LINES_MAX:
                found.append(f"{name}: {node.name} has {lines} lines")
    return found


def test_modules_and_functions_are_short() -> None:
    """No module of gateway or simulators is over 400 lines, no function over 50."""
    found = [
        sentence
        for path in modules("gateway", "simulators")
        for sentence in too_long(name_of(path), path.read_text(encoding="utf-8"))
    ]
    assert not found


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("x = 1\n" * 400, []),
        ("x = 1\n" * 401, ["m: 401 lines"]),
        ("def f():\n" + "    x = 1\n" * 49, []),
        ("def f():\n" + "    x = 1\n" * 50, ["m: f has 51 lines"]),
        ("class C:\n    async def g(self):\n" + "        x = 1\n" * 50, ["m: g has 51 lines"]),
    ],
)
def test_planted_length_is_caught(source: str, found: list[str]) -> None:
    """The limits are inclusive, and methods count."""
    assert found == too_long("m", source)

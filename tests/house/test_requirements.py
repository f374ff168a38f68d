"""docs/requirements.md names tests that exist, and leaves no requirement out."""

from __future__ import annotations

import ast
import re
from functools import cache

from tests.house.sources import ROOT

PAGE = (ROOT / "docs" / "requirements.md").read_text("utf-8")
LIFECYCLE = "scenarios/test_lifecycle.py"
REQUIRED = (
    *(f"{number} " for number in (*range(1, 10), 14, 15, 16, 18, 20, 28, 29)),
    *("KP1-I-01 ", "KP1-I-02 ", "KP1-D-08 ", "KP7-OR-01 "),
    *(f"R003-{number:02} " for number in range(1, 28)),
    *(f"R002-18-{number} " for number in (1, 2, 3)),
)
REASONS = ("later", "not built")


def rows(page: str) -> list[tuple[str, str]]:
    """The two cells of each row of the page's tables."""
    found = re.findall(r"^\| (.+?) \| (.+?) \|$", page, re.MULTILINE)
    return [(left, right) for left, right in found if not left.startswith("-")]


def named(cell: str) -> list[str]:
    """The tests a cell names, as `file::test` under tests/."""
    names = re.findall(r"`([\w/.]+::\w+)`", cell)
    return [re.sub(r"^L::", f"{LIFECYCLE}::", name) for name in names]


@cache
def names_in(file: str) -> frozenset[str]:
    """The tests of a file; none if there is no such file."""
    path = ROOT / "tests" / file
    if not path.exists():
        return frozenset()
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    body = ast.parse(path.read_text("utf-8")).body
    return frozenset(node.name for node in body if isinstance(node, functions))


def missing_tests(page: str) -> list[str]:
    """Tests a page names that do not exist."""
    names = [name for _, cell in rows(page) for name in named(cell)]
    return [name for name in names if name.split("::")[1] not in names_in(name.split("::")[0])]


def unheld(page: str) -> list[str]:
    """Requirements without a row, or whose row names neither a test nor a reason."""
    told = {
        required
        for required in REQUIRED
        for left, right in rows(page)
        if left.startswith(required) and (named(right) or any(word in right for word in REASONS))
    }
    return [required for required in REQUIRED if required not in told]


def test_each_requirement_names_a_test_or_says_why_not() -> None:
    """No scenario, purpose or requirement that is asked for is left out of the page."""
    assert unheld(PAGE) == []


def test_named_tests_exist() -> None:
    """Each test the page names is there, under the name it says."""
    assert missing_tests(PAGE) == []


def test_each_scenario_test_is_on_the_page() -> None:
    """A scenario, purpose or requirement that is played is told of."""
    played = {
        name
        for name in names_in(LIFECYCLE)
        if re.match(r"test_(scenario|purpose|requirement)_", name)
    }
    assert played
    assert {name for name in played if f"L::{name}`" not in PAGE} == set()


def test_planted_gaps_are_caught() -> None:
    """A test nobody wrote and a row with nothing in it are found."""
    page = PAGE.replace("test_scenario_01_insured_and_family", "test_planted")
    assert missing_tests(page)[0] == f"{LIFECYCLE}::test_planted"
    page = re.sub(r"\| R003-15 .*\|", "| R003-15 members | - |", PAGE)
    assert unheld(page) == ["R003-15 "]

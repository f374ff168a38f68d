"""The checker of scenarios notices what is wrong, and plays what the tests play."""

from __future__ import annotations

import ast
from pathlib import Path

from loadtests.scenario_tales import Noted
from loadtests.scenarios import ALL_TALES, planted, show, wrong_among

RIGHT = Noted("what", "number", (1, {"branch": "01"}), (1, {"branch": "01"}))
WRONG = Noted("what", "number", (1, {"branch": "01"}), (1, {"branch": "02"}))


def test_planted_expectation_is_noticed() -> None:
    """An answer that is not the one expected is found, in its validity or in an item."""
    assert wrong_among([RIGHT, planted(RIGHT), WRONG]) == [planted(RIGHT), WRONG]


def test_a_mismatch_ends_the_command_with_1() -> None:
    """The exit code is 0 only if there were answers and all of them were right."""
    assert show({"01": [RIGHT]}) == 0
    assert show({"01": [RIGHT, WRONG]}) == 1
    assert show({}) == 1


def test_every_scenario_has_its_test() -> None:
    """What the command plays is what is tested, each by name."""
    source = (Path(__file__).parent / "test_lifecycle.py").read_text(encoding="utf-8")
    used = {node.attr for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Attribute)}
    assert {tell.__name__ for tell in ALL_TALES.values()} <= used

"""The files the house tests read."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
GENERATED = ROOT / "gateway" / "v1"
TEXT_SUFFIXES = {".py", ".pyi", ".md", ".toml", ".proto", ".txt", ".yaml", ".yml", ".mako", ""}
PLACES = (
    "gateway", "simulators", "loadtests", "tests", "docs", "protos", "third_party", "certs", ".ci",
)  # fmt: skip


def modules(*packages: str) -> list[Path]:
    """Every module of our own packages, without generated code."""
    found = [path for package in packages for path in sorted((ROOT / package).rglob("*.py"))]
    assert found, packages
    return [path for path in found if GENERATED not in path.parents]


def name_of(path: Path) -> str:
    """A path as people write it: from the root of the repository."""
    return path.relative_to(ROOT).as_posix()


def texts() -> Iterator[tuple[str, str]]:
    """Every text file of the repository, with its name."""
    places = [*ROOT.glob("*"), *(path for place in PLACES for path in (ROOT / place).rglob("*"))]
    for path in sorted(set(places)):
        name = name_of(path)
        if not path.is_file() or path.suffix not in TEXT_SUFFIXES or "issued" in path.parts:
            continue
        if "golden" in path.parts or "__pycache__" in path.parts:
            continue
        yield name, path.read_text(encoding="utf-8")


def strings(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Every string constant that is not a docstring, with its line."""
    docstrings = {
        id(node.value)
        for parent in ast.walk(tree)
        for node in ast.iter_child_nodes(parent)
        if isinstance(node, ast.Expr)
    }
    for node in ast.walk(tree):
        if not isinstance(node, ast.Constant) or id(node) in docstrings:
            continue
        if isinstance(node.value, str):
            yield node.lineno, node.value

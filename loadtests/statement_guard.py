"""
Every statement on the main database names the place it goes to, or is known to go to every place.

House 11 (Distribution): each statement finds each of its tables by equality of the distribution
column. The statements are the constants of `gateway.store.sql*` and `gateway.store.postgres*`,
found by looking into the modules; the few that concern every place stand in their module's
`UNROUTED`. It first plants statements and keys that would cross places and must find each.

    python -m loadtests.statement_guard
"""

from __future__ import annotations

import ast
import re
import sys
from collections import Counter
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from typing import Final

import gateway.store
from gateway.store import distribution
from loadtests.statement_plants import missed
from loadtests.statement_rules import (
    METADATA,
    TABLES,
    Finding,
    Known,
    Way,
    judged,
    key_faults,
    list_faults,
)

PREFIXES: Final = ("sql", "postgres")
ON_COPIES: Final = "sql_backup"
"""Its statements run on copied files of SQLite alone."""
VERBS: Final = re.compile(
    r"\s*(SELECT|WITH|INSERT|UPDATE|DELETE|REPLACE|MERGE|TRUNCATE)\s", re.IGNORECASE
)
NAMED: Final = re.compile(
    rf"\b(?:FROM|JOIN|INTO|UPDATE)\s+(?:\w+\.)?(?:{'|'.join(TABLES.distributed_by)})\b",
    re.IGNORECASE,
)


def statements() -> tuple[dict[str, str], frozenset[str]]:
    """Every statement of the store by `module.NAME`, and the texts of those said to be unrouted."""
    found: dict[str, str] = {}
    unrouted: set[str] = set()
    for module in iter_modules(gateway.store.__path__):
        if not module.name.startswith(PREFIXES) or module.name == ON_COPIES:
            continue
        names = vars(import_module(f"gateway.store.{module.name}"))
        for name, value in names.items():
            if name.endswith("UNROUTED"):
                unrouted |= set(value)
            elif not name.startswith("__"):
                found |= dict(_texts(f"{module.name}.{name}", value))
    # A constant that another module imports is one statement.
    once: dict[tuple[str, str], str] = {}
    for name, text in found.items():
        once.setdefault((name.partition(".")[2], text), name)
    return {name: text for (_, text), name in once.items()}, frozenset(unrouted)


def _texts(name: str, value: object) -> Iterator[tuple[str, str]]:
    if isinstance(value, str) and VERBS.match(value):
        yield name, value
    elif isinstance(value, tuple | list):
        for place, one in enumerate(value):
            yield from _texts(f"{name}[{place}]", one)
    elif isinstance(value, dict):
        for key, one in value.items():
            yield from _texts(f"{name}[{key}]", one)


def hidden(folder: Path) -> list[Finding]:
    """Statements on distributed tables that stand where no constant of a statement module is."""
    found = []
    for path in sorted(folder.glob("*.py")):
        if path.name.startswith("sql_") or path.name == "sql.py":
            continue
        for line, text in _strings(path.read_text(encoding="utf-8")):
            if VERBS.match(text) and NAMED.search(text):
                found.append(Finding(f"{path.name}:{line}", Way.FAULT, "a hidden statement"))
    return found


def _strings(source: str) -> Iterator[tuple[int, str]]:
    tree = ast.parse(source)
    docstrings = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if not isinstance(node, ast.Constant) or id(node) in docstrings:
            continue
        if isinstance(node.value, str):
            yield node.lineno, node.value


def everything() -> list[Finding]:
    """What is told of every statement, key and list of the store."""
    texts, unrouted = statements()
    known = Known(unrouted)
    findings = [one for name, text in texts.items() for one in judged(name, text, known)]
    return [
        *findings,
        *list_faults(texts, findings, known),
        *key_faults(METADATA, distribution.TABLES),
        *hidden(Path(gateway.store.__path__[0])),
    ]


def main() -> int:
    """Plant, then tell of every statement; 0 only if everything planted is found and no other."""
    silent = missed()
    for name in silent:
        print(f"NOT NOTICED  planted: {name}")
    findings = everything()
    order = list(Way)
    for one in sorted(findings, key=lambda one: (order.index(one.way), one.name)):
        print(f"{one.way.value:<20} {one.name:<40} {one.told}")
    counts = Counter(one.way for one in findings)
    print(", ".join(f"{way.value}: {counts[way]}" for way in Way))
    return 1 if silent or counts[Way.FAULT] else 0


if __name__ == "__main__":
    sys.exit(main())

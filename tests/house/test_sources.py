"""What source files may not do: read the clock, make ids, speak SQL, name a machine's paths."""

from __future__ import annotations

import ast
import re
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.house.sources import ROOT, modules, name_of, strings, texts

IMPURE = {
    "datetime.now", "datetime.utcnow", "datetime.today", "date.today",
    "time.time", "time.time_ns", "uuid.uuid1", "uuid.uuid4", "os.urandom", "os.getrandom",
}  # fmt: skip
IMPURE_MODULES = {"secrets", "random", "uuid"}
MAY_BE_IMPURE = {
    "gateway/store/keyring.py",  # Makes the secrets of vault and spool.
    "gateway/store/vault.py",  # A nonce for each number.
    "gateway/store/spool_frames.py",  # A nonce for each frame.
    "gateway/pki.py",  # Keys and serial numbers of certificates.
}

SQL = re.compile(
    r"\b(SELECT\s.+\sFROM|INSERT\s+(OR\s+\w+\s+)?INTO|UPDATE\s+\w+\s+SET|DELETE\s+FROM"
    r"|(CREATE|ALTER|DROP)\s+(TABLE|INDEX)|PRAGMA\s+\w+)\b",
    re.DOTALL | re.IGNORECASE,
)

MACHINE_PATHS = {
    f"{path.rstrip('/')}/"
    for path in (str(ROOT), str(Path.home()), tempfile.gettempdir())
    if path != "/"
}
HOME_LIKE = re.compile("(?<![\\w.])/" + "(home|Users|root)/\\w|[A-Z]:\\\\" + "Users")


def impurities(source: str) -> list[str]:
    """Where a module reads the clock, makes an id or draws a random value."""
    return sorted(set(_impurities(ast.parse(source))))


def _impurities(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        match node:
            case ast.Attribute(value=ast.Name(id=owner) | ast.Attribute(attr=owner), attr=name):
                if f"{owner}.{name}" in IMPURE:
                    yield f"{node.lineno}: {owner}.{name}"
            case ast.ImportFrom(module=module, names=names):
                for alias in names:
                    if module in IMPURE_MODULES or f"{module}.{alias.name}" in IMPURE:
                        yield f"{node.lineno}: {module}.{alias.name}"
            case ast.Import(names=names):
                for alias in names:
                    if alias.name in IMPURE_MODULES:
                        yield f"{node.lineno}: {alias.name}"


def statements(source: str) -> list[str]:
    """Where a module holds SQL in a string."""
    return [str(line) for line, text in strings(ast.parse(source)) if SQL.search(text)]


def machine_paths(source: str) -> list[str]:
    """Where a text names the paths of the machine it was written on."""
    return [
        str(number)
        for number, line in enumerate(source.splitlines(), start=1)
        if HOME_LIKE.search(line) or any(path in line for path in MACHINE_PATHS)
    ]


def test_only_the_composition_root_is_impure() -> None:
    """Outside gateway.app, time and randomness are handed in, but for keys and nonces."""
    found = {
        name: places
        for path in modules("gateway")
        if not (name := name_of(path)).startswith("gateway/app/") and name not in MAY_BE_IMPURE
        if (places := impurities(path.read_text(encoding="utf-8")))
    }
    assert not found


def test_only_the_store_speaks_sql() -> None:
    """No statement stands outside gateway.store."""
    found = {
        name: places
        for path in modules("gateway", "simulators")
        if not (name := name_of(path)).startswith("gateway/store/")
        if (places := statements(path.read_text(encoding="utf-8")))
    }
    assert not found


def test_no_file_names_a_machine() -> None:
    """The repository reads the same wherever it is cloned."""
    found = {name: places for name, text in texts() if (places := machine_paths(text))}
    assert not found


@pytest.mark.parametrize(
    ("check", "source", "found"),
    [
        (impurities, "import time\nx = time.time()\n", ["2: time.time"]),
        (impurities, "from time import time\n", ["1: time.time"]),
        (impurities, "import datetime\ndatetime.datetime.now()\n", ["2: datetime.now"]),
        (impurities, "from datetime import date\ndate.today()\n", ["2: date.today"]),
        (impurities, "import secrets\n", ["1: secrets"]),
        (impurities, "from uuid import uuid4\n", ["1: uuid.uuid4"]),
        (impurities, "import os\nkey = os.urandom(16)\n", ["2: os.urandom"]),
        (impurities, "import time\ntime.monotonic()\nsecrets = ()\n", []),
        (statements, 'x = "SELECT name FROM people"\n', ["1"]),
        (statements, 'x = """\nselect a\nfrom b\n"""\n', ["1"]),
        (statements, 'x = f"DELETE FROM {table}"\n', ["1"]),
        (statements, 'x = "PRAGMA journal_mode=WAL"\n', ["1"]),
        (statements, '"""Select one from the list."""\nx = "choose from these"\n', []),
        (machine_paths, f"# see {ROOT}/README.md\n", ["1"]),
        (machine_paths, "x\npath = '/ho" + "me/someone/x'\n", ["2"]),
        (machine_paths, "a URL such as https://example.org/home/page\n", []),
    ],
)
def test_planted_violation_is_caught(
    check: Callable[[str], list[str]], source: str, found: list[str]
) -> None:
    """Each check finds what is planted, and nothing in what is allowed."""
    assert found == check(source)


@pytest.mark.parametrize("name", sorted(MAY_BE_IMPURE))
def test_every_exemption_is_needed(name: str) -> None:
    """A module that draws no randomness any more leaves the list."""
    source = (ROOT / name).read_text(encoding="utf-8")
    assert impurities(source) or "generate_private_key" in source

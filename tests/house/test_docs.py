"""The documents say what the code does: reasons, terms, settings, commands, links."""

from __future__ import annotations

import io
import re
import tokenize
from dataclasses import fields
from pathlib import Path

import pytest
import typer

from gateway import cli
from gateway.config import Rules
from gateway.domain import eligibility
from gateway.domain.reasons import REASONS, Advice
from tests.house.sources import ROOT, modules

DOCS = ROOT / "docs"
READABLE = [
    *sorted(ROOT.glob("*.md")),
    *sorted(DOCS.rglob("*.md")),
    *sorted((ROOT / "certs").glob("*.md")),
]

ERRORS_HEAD = """\
# Reasons

Every reason the gateway refuses or denies with. A reason stands in `ErrorInfo.reason` of a gRPC
status, in `reason` of a refused line, and in `.err` files. Each has an advice for the desk and one
for the technician. A person who is not covered is no error but an answer.

This page is made from `gateway/domain/reasons.py`; a test keeps the two equal.
"""

READ = "utf-8"


def errors_page(reasons: dict[str, Advice]) -> str:
    """The page docs/errors.md as it must be for these reasons."""
    sections = [
        f"## {reason}\n\n"
        f"- 窓口: {advice.ja}\n"
        f"- Desk: {advice.en}\n"
        f"- 技術者: {advice.technician_ja}\n"
        f"- Technician: {advice.technician_en}\n"
        for reason, advice in reasons.items()
    ]
    return "\n".join([ERRORS_HEAD, *sections])


def test_errors_page_is_the_table_of_reasons() -> None:
    """docs/errors.md holds every reason with its advices, and no other."""
    assert errors_page(REASONS) == (DOCS / "errors.md").read_text(READ)


def test_errors_page_changes_with_any_reason() -> None:
    """A reason that is added, dropped or reworded makes another page."""
    page = errors_page(REASONS)
    fewer = dict(list(REASONS.items())[1:])
    reworded = REASONS | {"DATE_WRONG": REASONS["DATE_WRONG"]._replace(technician_ja="?")}
    assert page not in (errors_page(fewer), errors_page(reworded))


@pytest.mark.parametrize("reason", REASONS)
def test_reason_speaks_to_both_readers(reason: str) -> None:
    """Both advices stand in both languages, and the name is one a program can match."""
    advice = REASONS[reason]
    assert re.fullmatch("[A-Z][A-Z_]+[A-Z]", reason)
    assert all(advice)
    assert advice.en.isascii()
    assert advice.technician_en.isascii()


def names_in(source: str) -> set[str]:
    """Every name a Python source uses."""
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    return {token.string for token in tokens if token.type == tokenize.NAME}


def unknown_names(text: str, known: set[str]) -> list[str]:
    """The code names of a glossary's third column that do not stand in the code."""
    cells = [line.split("|")[3] for line in text.splitlines() if line.startswith("| ")]
    said = [name for cell in cells for name in re.findall(r"`([^`]+)`", cell)]
    return [name for name in said if not set(name.split(".")) <= known]


def test_glossary_names_exist_in_the_code() -> None:
    """Each identifier the glossary gives for a term is used in the code."""
    known = set().union(
        *(names_in(path.read_text(READ)) for path in modules("gateway", "simulators"))
    )
    text = (DOCS / "glossary.md").read_text(READ)
    assert text.count("`") > len("a glossary with code names in it")
    assert not unknown_names(text, known)


def test_planted_glossary_name_is_caught() -> None:
    """A term whose class was renamed is found, also behind a dot."""
    table = "| 資格 | shikaku | `Coverage`, `Coverage.old`, `Gone` | note |\n"
    expected = ["Coverage.old", "Gone"]
    assert expected == unknown_names(table, {"Coverage"})


def missing(names: list[str], text: str) -> list[str]:
    """Which of these names a text does not give in code quotes."""
    return [name for name in names if f"`{name}`" not in text]


def test_open_points_are_all_decided() -> None:
    """Decision 0011 lists each setting for what the references leave open."""
    page = next(DOCS.glob("decisions/0011-*.md")).read_text(READ)
    assert not missing(list(Rules.__struct_fields__), page)
    assert missing(["planted"], page)


def test_settings_and_rules_name_the_same_open_points() -> None:
    """The settings file and the decision function agree, name by name and default by default."""
    rules = eligibility.Rules()
    names = {field.name for field in fields(rules)} - {"version"}
    assert {name: getattr(rules, name) for name in names} == {
        name: getattr(Rules(), name) for name in Rules.__struct_fields__
    }


def unknown_commands(text: str, commands: set[str], verbs: set[str]) -> list[str]:
    """The `onshi …` commands and `make …` verbs of a text that do not exist."""
    said = re.findall(r"\bonshi ([a-z]+)\b", text)
    made = re.findall(r"`make ([a-z]+)`|^make ([a-z]+)", text, re.MULTILINE)
    return [f"onshi {name}" for name in said if name not in commands] + [
        f"make {verb}" for pair in made for verb in pair if verb and verb not in verbs
    ]


def _commands() -> set[str]:
    return set(typer.main.get_group(cli.app).commands)


def _verbs() -> set[str]:
    return set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(READ), re.MULTILINE))


@pytest.mark.parametrize("page", READABLE, ids=lambda path: path.name)
def test_documented_commands_exist(page: Path) -> None:
    """Whoever types what a page says gets what the page says."""
    assert not unknown_commands(page.read_text(READ), _commands(), _verbs())


def test_planted_command_is_caught() -> None:
    """A command or a verb nobody wrote is found, and the real ones are not."""
    text = "`onshi demo`, `onshi planted`, `make check`\nmake planted\n"
    expected = ["onshi planted", "make planted"]
    assert expected == unknown_commands(text, _commands(), _verbs())


def broken_links(page: Path, text: str) -> list[str]:
    """Relative links of a page that lead nowhere."""
    targets = re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", text)
    return [
        target for target in targets if "://" not in target and not (page.parent / target).exists()
    ]


@pytest.mark.parametrize("page", READABLE, ids=lambda path: path.name)
def test_links_lead_somewhere(page: Path) -> None:
    """Every relative link of every page ends at a file."""
    assert not broken_links(page, page.read_text(READ))


def test_planted_link_is_caught() -> None:
    """A link to nothing is found; one to a file, or to the web, is not."""
    text = "[a](README.md) [b](docs/planted.md#x) [c](https://example.org/x)"
    expected = ["docs/planted.md"]
    assert expected == broken_links(ROOT / "README.md", text)


def unnamed_files(page: str, names: list[str]) -> list[str]:
    """Files a page speaks of in code quotes that do not exist."""
    said = re.findall(r"`((?:gateway|simulators|loadtests|tests|protos|docs)/[\w./-]+)`", page)
    return [name for name in said if name.rstrip("/") not in names]


@pytest.mark.parametrize("page", READABLE, ids=lambda path: path.name)
def test_files_a_page_speaks_of_exist(page: Path) -> None:
    """A page that names a file or a folder names one that is there."""
    names = [
        path.relative_to(ROOT).as_posix()
        for place in ("gateway", "simulators", "loadtests", "tests", "protos", "docs")
        for path in [ROOT / place, *(ROOT / place).rglob("*")]
    ]
    assert not unnamed_files(page.read_text(READ), names)


def test_planted_file_name_is_caught() -> None:
    """A file that was moved away is found."""
    expected = ["gateway/planted.py"]
    assert expected == unnamed_files("see `gateway/planted.py`, `gateway/app/`", ["gateway/app"])

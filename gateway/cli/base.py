"""
What the commands share: options, languages, and how they end.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from datetime import date
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, NoReturn, TypeVar

import typer

Settings = TypeVar("Settings")

DirOption = Annotated[Path, typer.Option("--dir", help="The sandbox's directory.")]
ConfigOption = Annotated[Path, typer.Option("--config", help="The settings file (TOML).")]


class Language(StrEnum):
    """In which language a command speaks."""

    JA = "ja"
    EN = "en"


def print_json(value: Any) -> None:
    """Write a value as JSON; days are spelled YYYY-MM-DD."""
    json.dump(value, sys.stdout, ensure_ascii=False, indent=2, default=_plain)
    sys.stdout.write("\n")


def _plain(value: object) -> str:
    assert isinstance(value, date)
    return value.isoformat()


def settings(load: Callable[[Path], Settings], path: Path) -> Settings:
    """Read settings; say what is wrong with them rather than call it a bug."""
    import msgspec

    try:
        return load(path)
    except (OSError, ValueError, msgspec.MsgspecError) as error:
        fail(f"{path}: {error}")


def day(text: str) -> date | None:
    """Read a day of the command line; empty is None."""
    from gateway.domain.errors import InvalidInput
    from gateway.domain.period import parse_day

    try:
        return parse_day(text) if text else None
    except InvalidInput as refusal:
        fail(f"{text}: {refusal.advice.en}")


def fail(sentence: str) -> NoReturn:
    """End with one sentence and exit code 1."""
    sys.stderr.write(f"onshi: {sentence}\n")
    raise typer.Exit(1)

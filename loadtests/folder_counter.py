"""
What became of every request, counted from outside: by what clients asked, read and deleted.

An answer is double if a second file appears for a request whose answer was read; half if a client
met it not well formed; wrong if it tells another validity than expected, or repeats another
identifier.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from xml.etree import ElementTree as ET

from simulators.clinic import read_result
from simulators.folder_client import Taken


@dataclass(slots=True)
class Counter:
    """Counts of one run; `waits_s` are seconds from the request to the answer."""

    expected: dict[str, int] = field(default_factory=dict)
    taken: dict[str, Taken] = field(default_factory=dict)
    waits_s: list[float] = field(default_factory=list)
    half: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    doubles: set[str] = field(default_factory=set)

    def ask(self, suffix: str, validity: int) -> None:
        """Note a request that is about to be dropped, and the answer it must get."""
        self.expected[suffix] = validity

    def take(self, suffix: str, taken: Taken, wait_s: float) -> None:
        """Judge what a client read."""
        if suffix in self.taken:
            self.doubles.add(suffix)
        self.taken[suffix] = taken
        self.waits_s.append(wait_s)
        if taken.is_rejection:
            self.wrong.append(f"{suffix}: rejected")
            return
        try:
            answer = read_result(taken.data)
        except (ET.ParseError, UnicodeDecodeError):
            self.half.append(suffix)
            return
        validity = self.expected[suffix]
        if answer.validity != validity:
            self.wrong.append(f"{suffix}: validity {answer.validity}, expected {validity}")
        if answer.header.get("ArbitraryFileIdentifier") != suffix:
            self.wrong.append(f"{suffix}: another identifier")

    def look(self, res: Path, forgetful: Iterable[str]) -> None:
        """Find answers that lie there after theirs was read; those of forgetful clients may."""
        may_stay = set(forgetful)
        for path in res.glob("OQSsiquc01res_*.xml"):
            suffix = path.stem.removeprefix("OQSsiquc01res_")
            taken = self.taken.get(suffix)
            if taken is None:
                continue
            is_same = path.stat().st_ino == taken.file_number
            if not (is_same and suffix in may_stay):
                self.doubles.add(suffix)

    @property
    def unanswered(self) -> list[str]:
        """Requests no client read an answer to."""
        return [suffix for suffix in self.expected if suffix not in self.taken]

    @property
    def is_good(self) -> bool:
        """Whether every request was answered once, whole and right."""
        return not (self.unanswered or self.doubles or self.half or self.wrong)

    def row(self, name: str) -> str:
        """One line of the table."""
        bad = {*self.doubles, *self.half, *self.unanswered}
        once = len(self.expected) - len(bad)
        return (
            f"{name:<28}{len(self.expected):>8}{once:>10}{len(self.unanswered):>12}"
            f"{len(self.doubles):>8}{len(self.half):>6}{len(self.wrong):>7}"
        )


HEAD = f"{'':<28}{'asked':>8}{'once':>10}{'unanswered':>12}{'double':>8}{'half':>6}{'wrong':>7}"

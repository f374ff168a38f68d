"""
What the order of effects needs of a line: few of its cells, before the line is read as a whole.

A line whose cells cannot be read here has no place; it comes last and is refused there.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Final

from gateway.domain.errors import Refusal
from gateway.domain.identifiers import InsuredId
from gateway.domain.line_order import Named, OnDay, Place, Rank, digest_of
from gateway.domain.period import parse_day
from gateway.formats.coverage_columns import CLEAR, Action

_RANKS: Final = {
    Action.NEW.value: Rank.SPAN,
    Action.LOSS.value: Rank.SPAN,
    Action.CANCEL.value: Rank.CANCEL,
    Action.CORRECT.value: Rank.CORRECT,
    Action.CHANGE.value: Rank.CHANGE,
    Action.NUMBER.value: Rank.NUMBER,
}
_DAYS: Final = {
    Action.LOSS.value: "loss_date",
    Action.CHANGE.value: "effective_date",
}
_NEEDED: Final = (
    "action",
    "insurer_number",
    "symbol",
    "number",
    "branch",
    "birth_date",
    "acquisition_date",
    "loss_date",
    "effective_date",
    "new_symbol",
    "new_number",
    "new_branch",
    "new_birth_date",
)


class Places:
    """
    Tells the places of lines with the same columns.

    Args:
        columns: Of the file, in its order.
    """

    def __init__(self, columns: Sequence[str]) -> None:
        found = {name: index for index, name in enumerate(columns)}
        self._where: list[tuple[str, int]] = [
            (name, found[name]) for name in _NEEDED if name in found
        ]
        self._columns = len(columns)
        self._may_move = any(name.startswith("new_") for name, _ in self._where)

    def of(self, cells: Sequence[str]) -> Place | None:
        """Give the place of a line; None if its cells do not say it."""
        if len(cells) != self._columns:
            return None
        said = {name: cell for name, index in self._where if (cell := cells[index].strip())}
        rank = _RANKS.get(said.get("action", ""))
        if rank is None:
            return None
        try:
            return self._place(said, rank, digest_of(cells))
        except Refusal:
            return None

    def _place(self, said: dict[str, str], rank: Rank, digest: bytes) -> Place:
        get = said.get
        insured_id = InsuredId.parse(
            get("insurer_number", ""), get("symbol", ""), get("number", ""), get("branch", "")
        )
        born = parse_day(get("birth_date", ""))
        named = Named(insured_id.lookup_key, born, insured_id.branch)
        began = _day(get("acquisition_date"))
        action = said["action"]
        day = _day(get(_DAYS[action])) if action in _DAYS else began
        on_day = OnDay.LOSS
        if action == Action.NEW.value:
            on_day = OnDay.NEW
        elif action == Action.LOSS.value and day == began:
            on_day = OnDay.LOSS_AT_ONCE
        moved = None
        if self._may_move and rank in (Rank.CORRECT, Rank.CHANGE):
            moved = _moved(said, insured_id, named)
        return Place(rank, named, moved, day, on_day, digest)


def _day(cell: str | None) -> date | None:
    return parse_day(cell) if cell else None


def _moved(said: dict[str, str], old: InsuredId, named: Named) -> Named | None:
    """The identifiers a line gives; None if they are those it names."""

    def after(name: str, before: str) -> str:
        cell = said.get(f"new_{name}", "")
        return "" if cell == CLEAR else cell or before

    new = InsuredId.parse(
        old.insurer_number.zero_padded,
        after("symbol", old.symbol),
        after("number", old.number),
        after("branch", old.branch or ""),
    )
    born = _day(said.get("new_birth_date")) or named.birth_date
    moved = Named(new.lookup_key, born, new.branch)
    return None if moved == named else moved

"""Whom a change is about and whom it makes of them: the identifiers before and after."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, Final

from gateway.domain.changes import Change, ChangeItems, CorrectCover, Target
from gateway.domain.coverage import Coverage, CoverState
from gateway.domain.identifiers import InsuredId, LookupKey


def lookup_keys(change: Change) -> set[LookupKey]:
    """Everything a change may concern: the identifiers it names and those it moves to."""
    moved = moved_target(change)
    named = change.target.insured_id.lookup_key
    return {named} if moved is None else {named, moved.insured_id.lookup_key}


_MOVING: Final = (ChangeItems, CorrectCover)


def _items_of(change: Change) -> Mapping[str, Any]:
    return change.items if isinstance(change, _MOVING) else {}


def moved_target(change: Change) -> Target | None:
    """The identifiers a change gives an enrollee; None if it leaves them."""
    if not isinstance(change, _MOVING):
        return None
    items = change.items
    if "insured_id" not in items and "birth_date" not in items:
        return None
    insured_id: InsuredId = items.get("insured_id", change.target.insured_id)
    return Target(insured_id, items.get("birth_date", change.target.birth_date))


def with_known_branch(change: Change, covers: Iterable[Coverage]) -> Change:
    """Keep the branch of the cover a change is about, if the change does not speak of branches."""
    items = _items_of(change)
    moved: InsuredId | None = items.get("insured_id")
    target = change.target
    if moved is None or moved.branch is not None or target.insured_id.branch is not None:
        return change
    starts = {target.acquisition_date}
    if isinstance(change, CorrectCover):
        starts.add(change.acquisition_date)
    branches = [
        cover.insured_id.branch
        for cover in covers
        if cover.state is not CoverState.CANCELLED
        and (target.acquisition_date is None or cover.period.start in starts)
    ]
    kept = InsuredId(
        moved.insurer_number, moved.symbol, moved.number, branches[-1] if branches else None
    )
    assert isinstance(change, ChangeItems | CorrectCover)
    return replace(change, items={**items, "insured_id": kept})

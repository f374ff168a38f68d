"""A cover as its versions would have it without one of them."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from msgspec import structs

from gateway.domain.coverage import Coverage
from gateway.domain.errors import InvalidInput
from gateway.domain.period import Period


def replayed(said: Sequence[Coverage], left_out: int) -> Coverage | None:
    """The cover with what each version but one changed; None where its days contradict."""
    items = _items(said[0])
    for place, (before, after) in enumerate(pairwise(said), start=1):
        if place != left_out:
            old = _items(before)
            items |= {name: new for name, new in _items(after).items() if new != old[name]}
    try:
        period = Period(items.pop("start"), items.pop("end"))
    except InvalidInput:
        return None
    return Coverage(**items, period=period)


def _items(cover: Coverage) -> dict[str, Any]:
    """The items of a cover by name, the two days of its period apart."""
    items = structs.asdict(cover)
    period: Period = items.pop("period")
    return items | {"start": period.start, "end": period.end}

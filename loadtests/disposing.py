"""A disposal of a store that no gateway runs on: with turns, a door, and nothing to be kept."""

from __future__ import annotations

import asyncio
from datetime import date
from typing import Any, Final

from gateway.domain.period import Instant
from gateway.domain.retention import DISPOSABLE, Disposal, Order, RetentionClass, Schedule
from gateway.policy import published_policy
from gateway.store.memory import MemoryAccesses, MemoryVault
from gateway.usecases.desk import Desk
from gateway.usecases.dispose import Disposer, Pace
from gateway.usecases.door import Door

AT_ONCE: Final = Schedule(
    "at-once",
    tuple(
        RetentionClass(
            code=code,
            title_ja="試験",
            title_en="test",
            basis="test",
            is_open=True,
            tables=(),
            days_kept=0,
            effective_from=date(1970, 1, 1),
        )
        for code in DISPOSABLE
    ),
)
"""What may go may go at once."""
LATER: Final = Instant(1_800_000_000_000_000)
"""Some moment in 2027, when the purpose of a disposal is in force."""


SMALL: Final = Pace(3, 2, 0.0)
"""Slices so small that there are several."""


def order_of(number: int, before: int) -> Order:
    """An order nobody else gives."""
    return Order(f"{number:032x}", "tester", LATER, before)


def disposer_of(
    store: Any, accesses: MemoryAccesses, pace: Pace, horizon: Instant = LATER
) -> Disposer:
    """Somebody who disposes, with a desk of their own."""
    desk = Desk(store, MemoryVault(), lambda: b"k" * 16, lambda: LATER)

    async def needed_from() -> Instant:
        return horizon

    door = Door(published_policy(), accesses)
    return Disposer(store, desk, door, AT_ONCE, lambda: LATER, needed_from, pace)


async def disposed(
    store: Any, order: Order, accesses: MemoryAccesses, pace: Pace = SMALL
) -> Disposal:
    """Carry out an order to its end; give the certificate."""
    done = await disposer_of(store, accesses, pace).dispose(order, asyncio.Event())
    assert done is not None
    return done

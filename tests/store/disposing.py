"""A disposal of a test's store: with turns, a door and a schedule that keeps nothing."""

from __future__ import annotations

import asyncio
from datetime import date
from typing import Any

from gateway.domain.period import Instant
from gateway.domain.retention import DISPOSABLE, Disposal, Order, RetentionClass, Schedule
from gateway.policy import published_policy
from gateway.store.by_steps import StepStore
from gateway.store.memory import MemoryAccesses, MemoryVault
from gateway.usecases.desk import Desk
from gateway.usecases.dispose import Disposer, Pace
from gateway.usecases.door import Door

AT_ONCE = Schedule(
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
LATER = Instant(1_800_000_000_000_000)
"""Some moment in 2027, when the purpose of a disposal is in force."""


SMALL = Pace(3, 2, 0.0)
"""Slices so small that there are several."""


class KilledError(Exception):
    """The process ended here."""


class Mortal:
    """A store whose process dies at its so-manieth write, before or after it was kept."""

    def __init__(self, store: StepStore, writes: int, *, is_kept: bool) -> None:
        self._store = store
        self._writes = writes
        self._is_kept = is_kept

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._store, name)
        if name not in {"begin_disposal", "keep_disposal", "remove", "forget_changes"}:
            return found

        async def dying(*values: Any) -> Any:
            self._writes -= 1
            if self._writes == 0 and not self._is_kept:
                raise KilledError
            done = await found(*values)
            if self._writes == 0:
                raise KilledError
            return done

        return dying


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

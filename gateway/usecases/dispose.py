"""
Disposes of what retention says is due, in slices beside everybody else, and leaves a certificate.

A disposal first moves the instant before which nothing is answered, and records itself at the
door; only then does anything go. How far it is stands in the same transaction as what went, so it
goes on after a crash where it was. Source: R000-G5; decision 0028.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from msgspec import Struct, structs

from gateway.domain.period import Instant
from gateway.domain.purpose import DataCategory, Operation, Role
from gateway.domain.retention import (
    SUPERSEDED,
    Disposal,
    Order,
    Progress,
    Schedule,
    begun,
)
from gateway.store.port_dispose import SWEEPS, Counted, Disposals, DuePage, Key, Sweep
from gateway.usecases.context import Caller, Clock, Context
from gateway.usecases.desk import Desk
from gateway.usecases.door import Door, Errand, Looked

ERRAND: Final = Errand("OQS-GOV-01", Operation.USE, frozenset({DataCategory.QUALIFICATION}))
METHOD: Final = "onshi dispose"

FORGET_EVENTS_MAX: Final = 1_000
BUSY_S_MAX: Final = 1.0
"""The longest rest while the desk is busy."""

Horizon = Callable[[], Awaitable[Instant]]
"""Tells up to when facts that were replaced are needed by nobody."""


class Pace(Struct, frozen=True):
    """
    How a disposal takes turns with others.

    `page_rows_max` rows are looked at in one read, outside of any turn; `slice_keys_max` records
    are taken out in one turn; then it rests for `rest_s` seconds, longer while the desk is busy.
    """

    page_rows_max: int = 2_000
    slice_keys_max: int = 200
    rest_s: float = 0.01

    def slices(self, page: DuePage) -> list[Sequence[Key]]:
        """Cut what is due into what one turn takes."""
        size = self.slice_keys_max
        return [page.keys[at : at + size] for at in range(0, len(page.keys), size)]


PACE: Final = Pace()


class Disposer:
    """There is one in the writer."""

    def __init__(
        self,
        store: Disposals,
        desk: Desk,
        door: Door,
        schedule: Schedule,
        clock: Clock,
        horizon: Horizon,
        pace: Pace = PACE,
    ) -> None:
        self._store = store
        self._desk = desk
        self._door = door
        self._schedule = schedule
        self._clock = clock
        self._horizon = horizon
        self._pace = pace

    async def unfinished(self) -> Progress | None:
        """Give the disposal that was begun and did not end."""
        kept = await self._store.disposals()
        return kept[-1] if kept and kept[-1].disposal.ended_time is None else None

    async def dispose(self, order: Order, stop: asyncio.Event) -> Disposal | None:
        """
        Carry out an order, and before it what was left of another; the same order only once.

        Returns:
            The certificate; None if told to stop before the end.

        Raises:
            NotPermitted: As the door; nothing was disposed of.
            Unavailable: `STORE_UNAVAILABLE`; call again and it goes on.
        """
        kept = await self._store.disposals()
        if kept and kept[-1].disposal.ended_time is None:
            finished = await self.go_on(kept[-1], stop)
            if finished is None:
                return None
            kept = [*kept[:-1], Progress(finished)]
        for one in kept:
            if one.disposal.order.order_id == order.order_id:
                return one.disposal
        last = kept[-1].disposal if kept else None
        return await self.go_on(await self._begun(order, last), stop)

    async def go_on(self, progress: Progress, stop: asyncio.Event) -> Disposal | None:
        """Go on with a disposal until it ends, as `dispose`."""
        if not progress.disposal.access_record_id:
            progress = await self._recorded(progress)
        before = progress.disposal.before(SUPERSEDED)
        while await self._store.forget_changes(before, FORGET_EVENTS_MAX):
            if await self._rest(stop):
                return None
        for number in range(progress.sweep, len(SWEEPS)):
            if number != progress.sweep:
                progress = structs.replace(progress, sweep=number, place=())
            swept = await self._swept(progress, SWEEPS[number], stop)
            if swept is None:
                return None
            progress = swept
        disposal = structs.replace(progress.disposal, ended_time=self._clock())
        await self._store.keep_disposal(Progress(disposal, len(SWEEPS)))
        return disposal

    async def _begun(self, order: Order, last: Disposal | None) -> Progress:
        """Begin, at the door: a denied order moves nothing."""
        made: list[Progress] = []

        async def look() -> Looked[None]:
            async with self._desk.turn() as now:
                horizon = min(await self._horizon(), await self._store.last_recorded_time())
                made.append(begun(order, last, self._schedule, now, horizon))
                await self._store.begin_disposal(made[0])
            return Looked(None, "DISPOSED", str(made[0].disposal.number))

        return await self._at_the_door(order, look, made)

    async def _recorded(self, progress: Progress) -> Progress:
        """Record a disposal whose begin is kept and whose record may have been lost in a crash."""

        async def look() -> Looked[None]:
            return Looked(None, "DISPOSED", str(progress.disposal.number))

        return await self._at_the_door(progress.disposal.order, look, [progress])

    async def _at_the_door(
        self, order: Order, look: Callable[[], Awaitable[Looked[None]]], made: list[Progress]
    ) -> Progress:
        context = Context(Caller(Role.OPERATOR, order.ordered_by), self._clock(), METHOD)
        _, record_id = await self._door.opened(context, ERRAND, look)
        disposal = structs.replace(made[0].disposal, access_record_id=record_id)
        progress = structs.replace(made[0], disposal=disposal)
        await self._store.keep_disposal(progress)
        return progress

    async def _swept(
        self, progress: Progress, sweep: Sweep, stop: asyncio.Event
    ) -> Progress | None:
        """Go through one table from where the disposal is; None if told to stop."""
        before = progress.disposal.before(sweep.code)
        if not before:
            return progress
        after: Key = progress.place
        while True:
            page = await self._store.due(sweep, before, after, self._pace.page_rows_max)
            for keys in self._pace.slices(page):
                async with self._desk.turn():
                    progress = await self._store.remove(progress, sweep, keys, keys[-1])
                if await self._rest(stop):
                    return None
            if page.last is None:
                return progress
            after = page.last
            if stop.is_set():
                return None

    async def _rest(self, stop: asyncio.Event) -> bool:
        """Leave the desk to others while it is busy; whether to stop."""
        rested_s = 0.0
        while not stop.is_set() and (
            not rested_s or (self._desk.is_busy and rested_s < BUSY_S_MAX)
        ):
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), self._pace.rest_s)
            rested_s += self._pace.rest_s or BUSY_S_MAX
        return stop.is_set()


async def count_due(store: Counted, schedule: Schedule, order: Order, now: Instant) -> Disposal:
    """
    Count what a disposal would take from its tables, and change nothing; a dry run.

    What goes with it, as lookup rows do, is not counted.
    """
    kept = await store.disposals()
    last = kept[-1].disposal if kept else None
    wanted = begun(order, last, schedule, now, await store.last_known_time()).disposal
    counts: dict[str, dict[str, int]] = {one.code: {} for one in wanted.removed}
    for sweep in SWEEPS:
        before, after, found = wanted.before(sweep.code), (), 0
        while before:
            page = await store.due(sweep, before, after, PACE.page_rows_max)
            found += len(page.keys)
            if page.last is None:
                break
            after = page.last
        counts[sweep.code][sweep.table] = found
    removed = tuple(structs.replace(one, rows=counts[one.code]) for one in wanted.removed)
    return structs.replace(wanted, removed=removed)

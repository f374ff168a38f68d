"""What the writer has for the feed: the service, the news of institutions, and forgetting."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Final

from gateway.app.layout import DataDir
from gateway.app.trailing import LiveTrail
from gateway.config import Limits, Settings
from gateway.domain.errors import Unavailable
from gateway.domain.feed import Event
from gateway.domain.period import Instant
from gateway.domain.purpose import Role
from gateway.edges.rpc.feed import FeedService
from gateway.edges.rpc.server import Method
from gateway.store.by_steps import StepStore
from gateway.store.by_steps_beside import StepChanges
from gateway.store.news import NewsBook, NewsRules
from gateway.store.port import Batch
from gateway.store.port_feed import Stream
from gateway.usecases.context import Clock, first_of
from gateway.usecases.door import Door
from gateway.usecases.watch_changes import ChangeWatch
from gateway.usecases.watchers import Watchers, WatchLimits

STEP_CHANGES: Final = 500
"""Changes looked at in one step when institutions are told."""
FORGET_EVERY_S: Final = 600.0
FORGET_EVENTS: Final = 1_000
"""Events forgotten in one transaction."""
FORGET_REST_S: Final = 0.05
"""Between two such transactions, for those who wait for the store."""
RETRY_S: Final = 1.0
DAY_US: Final = 86_400_000_000


class Feed:
    """Serves watchers, over connections of its own, and keeps what they are told."""

    def __init__(
        self,
        settings: Settings,
        store: StepStore,
        changes: StepChanges,
        door: Door,
        trail: LiveTrail,
        clock: Clock,
        stop: asyncio.Event,
    ) -> None:
        data, self._limits = DataDir(settings.data_dir), settings.limits
        self._settle_ms = settle_ms_of(settings)
        rules = NewsRules(self._settle_ms * 1000, self._limits.feed_asked_days_max * DAY_US)
        self._store, self._trail, self._clock, self._stop = store, trail, clock, stop
        self._changes = changes
        self._news = NewsBook(data.news, changes, data.trail, rules)
        self._watchers = Watchers(_watch_limits(self._limits), stop)
        streams: dict[Role, Stream[Event]] = {
            Role.INSURER: self._changes,
            Role.INSTITUTION: self._news,
        }
        self._service = FeedService(ChangeWatch(streams, door, self._watchers, clock))
        self._has_changed = asyncio.Event()
        store.on_changed = self._committed

    def methods(self) -> tuple[Method, ...]:
        """The method and who may call it."""
        return self._service.methods()

    async def run(self) -> None:
        """Tell institutions, and forget what is old, until told to stop."""
        await asyncio.gather(self._tell_all(), self._forget_all())

    async def needed_from(self) -> Instant:
        """Give up to when facts that were replaced are needed for nothing that is still to tell."""
        told = await self._news.told_until()
        return self._clock() if await self._news.untold() is None else told

    async def close(self) -> None:
        """Close the connections."""
        await self._news.close()
        await self._changes.close()

    def _committed(self, batch: Batch) -> None:
        self._has_changed.set()
        self._watchers.wake(
            Role.INSURER, {change.insurer_number.zero_padded for change in batch.changes}
        )

    async def _tell_all(self) -> None:
        while not self._stop.is_set():
            self._has_changed.clear()
            try:
                newest = await self._news.untold()
                if newest is None:
                    await first_of(self._has_changed, self._stop)
                elif not await self._pause(self._settle_ms / 1000):
                    await self._tell(newest)
            except Unavailable:
                await self._pause(RETRY_S)

    async def _tell(self, newest: Instant) -> None:
        """Tell of changes up to an instant, once every look before it is indexed."""
        if not await self._trail.catch_up():
            await self._stop.wait()
        while not self._stop.is_set():
            codes = await self._news.tell(newest, STEP_CHANGES)
            if codes is None:
                return
            self._watchers.wake(Role.INSTITUTION, codes)

    async def _forget_all(self) -> None:
        while not self._stop.is_set():
            now = self._clock()
            kept = Instant(now - self._limits.feed_days_kept * DAY_US)
            asked = Instant(now - self._limits.feed_asked_days_max * DAY_US)
            for forget, before in (
                (self._store.forget_changes, kept),
                (self._news.forget, kept),
                (self._trail.forget_asked, asked),
            ):
                with suppress(Unavailable):
                    while await forget(before, FORGET_EVENTS):
                        if await self._pause(FORGET_REST_S):
                            break
            await self._pause(FORGET_EVERY_S)

    async def _pause(self, seconds: float) -> bool:
        """Wait unless told to stop; whether that was told."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._stop.wait(), seconds)
        return self._stop.is_set()


def settle_ms_of(settings: Settings) -> int:
    """For how long after a change was recorded a look may still have missed it."""
    limits = settings.limits
    lag_ms = 0 if settings.replica is None else limits.replica_staleness_ms_max
    return limits.feed_settle_ms + lag_ms


def _watch_limits(limits: Limits) -> WatchLimits:
    return WatchLimits(
        page_events_max=limits.feed_page_events_max,
        poll_s=limits.feed_poll_ms / 1000,
        heartbeat_s=float(limits.feed_heartbeat_s),
        watchers_max=limits.feed_watchers_max,
        watchers_a_caller_max=limits.feed_watchers_a_caller_max,
    )

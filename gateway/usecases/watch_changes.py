"""
Tell a watcher what changed, from a cursor on: at least once, in order, over any restart.

An insurer is told of its own enrollees, an institution of the confirmations it got that are out of
date. Each page goes through the door and is one access record, durable before the page leaves; a
page that is not taken holds back the next, so a slow consumer costs one page. Source: decision
0019.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Final

from gateway.domain.errors import Conflict, InvalidInput, Unavailable
from gateway.domain.feed import Cursor, Event
from gateway.domain.period import Instant
from gateway.domain.purpose import DataCategory, Operation, Role
from gateway.store.port_feed import Ends, Stream
from gateway.usecases.context import Clock, Context, first_of
from gateway.usecases.door import Door, Errand, Looked
from gateway.usecases.watchers import Watchers

ERRANDS: Final = {
    Role.INSURER: Errand(
        purpose="OQS-INS-02",
        operation=Operation.DISCLOSE,
        data=frozenset({DataCategory.QUALIFICATION}),
        recipient=Role.INSURER,
    ),
    Role.INSTITUTION: Errand(
        purpose="OQS-MED-02",
        operation=Operation.DISCLOSE,
        data=frozenset({DataCategory.QUALIFICATION}),
        recipient=Role.INSTITUTION,
    ),
}
"""Why a watcher is told, by its role."""

Pages = AsyncGenerator["Page", None]


@dataclass(frozen=True, slots=True)
class Page:
    """
    Some events of a stream in order, none in a heartbeat, and the place after them.

    `previous_sequence` is of the last event before these.
    """

    events: Sequence[Event]
    previous_sequence: int
    cursor: Cursor


@dataclass(frozen=True, slots=True)
class ChangeWatch:
    """What watching needs; there is one, in the writer."""

    streams: Mapping[Role, Stream[Event]]
    door: Door
    watchers: Watchers
    clock: Clock

    async def watch(self, cursor: Cursor | None, context: Context, *, is_from_now: bool) -> Pages:
        """
        Tell what comes after a cursor, and go on until the caller leaves or the process ends.

        The first page is a heartbeat; more come while nothing happens.

        Args:
            cursor: Where the caller was; None begins with the oldest event kept.

            is_from_now: Begin with what comes from now on; not together with a cursor.

        Raises:
            InvalidInput: `CURSOR_WRONG` for another watcher's cursor, or one besides
                `is_from_now`.
            Conflict: `CURSOR_EXPIRED` if events after it were forgotten; `CURSOR_UNKNOWN` if
                there never was such a place in this stream.
            NotPermitted: As the door.
            TooMuch: `TOO_MANY_WATCHERS`.
            Unavailable: `WRITER_UNAVAILABLE` when the process ends; `STORE_UNAVAILABLE`.
        """
        stream = self.streams[context.caller.role]
        watchers = self.watchers
        with watchers.watching(context.caller) as woken:
            place = await self._begin(stream, cursor, context, is_from_now=is_from_now)
            yield Page((), place.sequence, place)
            while not watchers.stop.is_set():
                woken.clear()
                page = await self._next(stream, place, context)
                if page is None:
                    if not await self._rest(woken):
                        yield Page((), place.sequence, place)
                    continue
                place = page.cursor
                yield page
                if len(page.events) < watchers.limits.page_events_max:
                    await self._pause(watchers.limits.poll_s)
        raise Unavailable("WRITER_UNAVAILABLE")

    async def _begin(
        self,
        stream: Stream[Event],
        cursor: Cursor | None,
        context: Context,
        *,
        is_from_now: bool,
    ) -> Cursor:
        role, code = context.caller.role.value, context.caller.code
        if cursor is None:
            ends = await stream.ends(code, 0)
            if not is_from_now:
                return Cursor(role, code, max(0, ends.first - 1))
            ends = await stream.ends(code, ends.last)
            return Cursor(role, code, ends.last, ends.time_at)
        if is_from_now or (cursor.role, cursor.code) != (role, code):
            raise InvalidInput("CURSOR_WRONG", "cursor")
        require_kept(cursor, await stream.ends(code, cursor.sequence))
        return cursor

    async def _next(self, stream: Stream[Event], place: Cursor, context: Context) -> Page | None:
        """Read the next page through the door; None if there is none, which nobody records."""
        code = context.caller.code
        ends = await stream.ends(code, place.sequence)
        if ends.last <= place.sequence:
            return None
        require_kept(place, ends)
        loop = asyncio.get_running_loop()
        events_max = self.watchers.limits.page_events_max

        async def look() -> Looked[Sequence[Event]]:
            events = await stream.after(code, place.sequence, events_max)
            people = tuple(sorted({event.person_key for event in events}))
            return Looked(events, "ANSWERED", str(len(events)), people)

        async with self.watchers.turn:
            began = loop.time()
            now = replace(context, now=self.clock())
            events, _ = await self.door.opened(now, ERRANDS[context.caller.role], look)
            if len(events) == events_max:
                # Whoever catches up takes at most half of the time, whatever else there is to do.
                await asyncio.sleep(loop.time() - began)
        if not events or events[0].sequence != place.sequence + 1:
            raise Conflict("CURSOR_EXPIRED", "cursor")
        last = events[-1]
        after = Cursor(place.role, place.code, last.sequence, last.recorded_time)
        return Page(events, place.sequence, after)

    async def _rest(self, woken: asyncio.Event) -> bool:
        """Wait until there may be something to tell; False when a heartbeat is due first."""
        stop = self.watchers.stop
        with suppress(TimeoutError):
            async with asyncio.timeout(self.watchers.limits.heartbeat_s):
                await first_of(woken, stop)
                return True
        return False

    async def _pause(self, seconds: float) -> None:
        with suppress(TimeoutError):
            await asyncio.wait_for(self.watchers.stop.wait(), seconds)


def require_kept(cursor: Cursor, ends: Ends) -> None:
    """
    Refuse a place from which a stream cannot be told whole.

    Raises:
        Conflict: `CURSOR_EXPIRED`, `CURSOR_UNKNOWN`.
    """
    is_other = ends.time_at not in (Instant(0), cursor.recorded_time) and cursor.recorded_time > 0
    if cursor.sequence > ends.last or is_other:
        raise Conflict("CURSOR_UNKNOWN", "cursor")
    if cursor.sequence + 1 < ends.first:
        raise Conflict("CURSOR_EXPIRED", "cursor")

"""The access trail in the writer: kept up to date, and asked who looked."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterable, Sequence
from typing import Final

from gateway.app.clock import new_key
from gateway.domain.identifiers import PersonKey
from gateway.domain.period import Instant
from gateway.observe import log_bug
from gateway.store.port_beside import Look
from gateway.store.trail import Trail
from gateway.usecases.context import Clock

INDEX_S: Final = 1.0
"""How often new access records are indexed and the heads of their chains anchored."""
INDEXED_AT_ONCE_MAX: Final = 5_000
CATCH_UP_ROUNDS_MAX: Final = 20
"""Rounds of indexing before a question is answered with what is indexed by then."""


class LiveTrail:
    """A trail that is fed while it is asked; one thread at a time has it."""

    def __init__(self, trail: Trail, clock: Clock) -> None:
        self._trail = trail
        self._clock = clock
        self._lock = asyncio.Lock()
        self._is_broken = False

    async def who_looked(self, people: Sequence[PersonKey], looks_max: int) -> Sequence[Look]:
        """See `Looks`; indexes what is new first, unless a chain is broken."""
        async with self._lock:
            return await asyncio.to_thread(self._caught_up, people, looks_max)

    async def looks_within(
        self,
        spans: Sequence[tuple[PersonKey, Instant, Instant]],
        before: tuple[Instant, str],
        but_of: tuple[str, str],
        looks_max: int,
    ) -> Sequence[Look]:
        """See `LooksThrough`; indexes what is new first, as `who_looked`."""

        def looked() -> Sequence[Look]:
            self._catch_up()
            return _newest(
                (
                    look
                    for span in spans
                    for look in self._trail.looked_within(span, before, but_of, looks_max)
                ),
                looks_max,
            )

        async with self._lock:
            return await asyncio.to_thread(looked)

    async def catch_up(self) -> bool:
        """
        Index every record that is durable when this begins.

        Returns:
            Whether that was done; a broken chain prevents it for good.
        """
        async with self._lock:
            while not self._is_broken and await asyncio.to_thread(self._index):
                pass
        return not self._is_broken

    async def forget_asked(self, before: Instant, asked_max: int) -> int:
        """See `Trail`."""
        async with self._lock:
            return await asyncio.to_thread(self._trail.forget_asked, before, asked_max)

    def _caught_up(self, people: Sequence[PersonKey], looks_max: int) -> Sequence[Look]:
        self._catch_up()
        return _newest(
            (
                look
                for person_key in people
                for look in self._trail.who_looked(person_key, looks_max)
            ),
            looks_max,
        )

    def _catch_up(self) -> None:
        for _ in range(CATCH_UP_ROUNDS_MAX):
            if self._is_broken or not self._index():
                break

    def _index(self) -> bool:
        """
        Index some; whether there may be more.

        A broken chain is a bug or tampering: it is logged, indexing ends, and `onshi trail
        verify` names the place.
        """
        try:
            return self._trail.index_new(INDEXED_AT_ONCE_MAX, self._clock()) == INDEXED_AT_ONCE_MAX
        except Exception as exc:  # noqa: BLE001  the trail can be rebuilt; writing must go on
            self._is_broken = True
            log_bug(exc, new_key().hex())
            return False

    async def run(self, stop: asyncio.Event) -> None:
        """Feed the trail until told to stop, or until it breaks."""
        while not stop.is_set() and not self._is_broken:
            async with self._lock:
                is_behind = await asyncio.to_thread(self._index)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), 0.01 if is_behind else INDEX_S)
        await stop.wait()

    async def close(self) -> None:
        """Close the index, once nobody reads it."""
        async with self._lock:
            await asyncio.to_thread(self._trail.close)


def _newest(looks: Iterable[Look], looks_max: int) -> Sequence[Look]:
    """Each look once, newest first."""
    found = {look.record_id: look for look in looks}
    newest = sorted(found.values(), key=lambda look: (look.at, look.record_id), reverse=True)
    return newest[:looks_max]

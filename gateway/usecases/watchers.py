"""Who is watching: how many, and what wakes them when there is something to tell."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from gateway.domain.errors import TooMuch
from gateway.domain.purpose import Role
from gateway.usecases.context import Caller


@dataclass(frozen=True, slots=True)
class WatchLimits:
    """How much one watcher is told at once and how often, and how many there may be."""

    page_events_max: int
    poll_s: float
    heartbeat_s: float
    watchers_max: int
    watchers_a_caller_max: int


class Watchers:
    """
    The watchers of one process, each with an event that says that its stream may have grown.

    Args:
        stop: Ends every watching when it is set.
    """

    def __init__(self, limits: WatchLimits, stop: asyncio.Event) -> None:
        self.limits = limits
        self.stop = stop
        self.turn = asyncio.Lock()
        """Held while a page is read, so that watchers who catch up share one reader's time."""
        self._woken: dict[Caller, list[asyncio.Event]] = {}
        self._count = 0

    @contextmanager
    def watching(self, caller: Caller) -> Iterator[asyncio.Event]:
        """
        Count a watcher while the block runs, and give what wakes it.

        Raises:
            TooMuch: `TOO_MANY_WATCHERS`.
        """
        own = self._woken.get(caller, [])
        if self._count >= self.limits.watchers_max or len(own) >= self.limits.watchers_a_caller_max:
            raise TooMuch("TOO_MANY_WATCHERS")
        woken = asyncio.Event()
        self._woken[caller] = [*own, woken]
        self._count += 1
        try:
            yield woken
        finally:
            self._count -= 1
            left = [one for one in self._woken[caller] if one is not woken]
            if left:
                self._woken[caller] = left
            else:
                del self._woken[caller]

    def wake(self, role: Role, codes: Iterable[str]) -> None:
        """Say that the streams of some watchers may have grown."""
        if self._woken:
            for code in codes:
                for woken in self._woken.get(Caller(role, code), ()):
                    woken.set()

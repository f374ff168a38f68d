"""
What the writer has for disposals: it finds an order in the data directory and carries it out.

An order stays until its certificate is written, so a writer that is killed leaves it to the next.
"""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path
from typing import Final

import msgspec

from gateway.app.disposal_files import drop_order, publish, refuse_order, waiting_order
from gateway.domain.errors import NotPermitted, Unavailable
from gateway.domain.retention import Order
from gateway.observe import get_logger
from gateway.store.port_dispose import Disposals, ended
from gateway.usecases.dispose import Disposer, Horizon

WATCH_S: Final = 1.0
"""How often an order is looked for."""
TOLD_S_MAX: Final = 30.0
TOLD_POLL_S: Final = 0.2


class Disposing:
    """There is one in the writer."""

    def __init__(
        self, folder: Path, disposer: Disposer, store: Disposals, needed_from: Horizon
    ) -> None:
        self._folder = folder
        self._needed_from = needed_from
        self._disposer = disposer
        self._store = store
        self._is_left_done = False

    async def run(self, stop: asyncio.Event) -> None:
        """Carry out orders until told to stop; first what another life left."""
        while not stop.is_set():
            with contextlib.suppress(Unavailable):
                await self._finish_left(stop)
                await self._carry_out(stop)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), WATCH_S)

    async def _finish_left(self, stop: asyncio.Event) -> None:
        """Finish a disposal whose writer was killed, and write certificates that are missing."""
        if self._is_left_done:
            return
        left = await self._disposer.unfinished()
        if left is not None and await self._disposer.go_on(left, stop) is None:
            return
        await asyncio.to_thread(publish, self._folder, ended(await self._store.disposals()))
        self._is_left_done = True

    async def _carry_out(self, stop: asyncio.Event) -> None:
        order = self._order()
        if order is None:
            return
        await self._until_told(order, stop)
        try:
            done = await self._disposer.dispose(order, stop)
        except NotPermitted as refusal:
            self._refused(refusal.reason)
            return
        if done is not None:
            await asyncio.to_thread(publish, self._folder, ended(await self._store.disposals()))
            drop_order(self._folder)

    async def _until_told(self, order: Order, stop: asyncio.Event) -> None:
        """
        Wait until what an order is about is needed for nothing that is still to be told.

        If that does not come, the disposal goes as far as it may, and its certificate says how far.
        """
        wanted = min(order.ordered_time, order.before or order.ordered_time)
        until = asyncio.get_running_loop().time() + TOLD_S_MAX
        while not stop.is_set() and asyncio.get_running_loop().time() < until:
            if await self._needed_from() >= wanted:
                return
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), TOLD_POLL_S)

    def _order(self) -> Order | None:
        try:
            return waiting_order(self._folder)
        except (OSError, msgspec.MsgspecError) as error:
            self._refused(type(error).__name__)
            return None

    def _refused(self, reason: str) -> None:
        get_logger().warning("disposal_order_refused", kind=reason)
        with contextlib.suppress(OSError):
            refuse_order(self._folder)

"""
What every process under the supervisor shares: how it says it is ready and learns to stop.

A child says `ready` on its standard output. It stops on SIGTERM, on SIGINT, and when its
standard input ends, which is how it learns that the supervisor is gone, even by `kill -9`.
"""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from typing import Final

YOUNG_OBJECTS_MAX: Final = 20_000
"""Calls leave next to no cycles behind, so looking for them every 700 objects is wasted."""


def say_ready() -> None:
    """Tell the supervisor; freeze what start-up made, so that collections stay short."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG_OBJECTS_MAX, 20, 50)
    sys.stdout.write("ready\n")
    sys.stdout.flush()


def run(serve: Callable[[asyncio.Event], Awaitable[None]]) -> None:
    """Run a child's main coroutine; the event it gets is set when it should stop."""

    async def main() -> None:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
        loop.add_reader(sys.stdin.fileno(), _on_input, loop, stop)
        await serve(stop)

    asyncio.run(main())


def _on_input(loop: asyncio.AbstractEventLoop, stop: asyncio.Event) -> None:
    if not os.read(sys.stdin.fileno(), 64):
        loop.remove_reader(sys.stdin.fileno())
        stop.set()

"""Defects of a running sandbox that a load run must notice: workers that stall, a slow register."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from gateway.app.sandbox import Sandbox, read_description
from gateway.app.supervisor import Gateway
from gateway.v1.resident_register_pb2 import SetConditionsRequest
from loadtests.load_people import in_town

STALL_S, STALL_EVERY_S = 0.3, 1.2


@asynccontextmanager
async def register_takes(sandbox: Sandbox, ms: int) -> AsyncIterator[None]:
    """Have the resident register keep back each answer so long while the block runs."""
    async with in_town(read_description(sandbox.root), sandbox.root) as town:
        await town.register.SetConditions(SetConditionsRequest(delay_ms=ms))
        yield
        await town.register.SetConditions(SetConditionsRequest())


async def stalling(gateway: Gateway) -> None:
    """Stop every worker for a while, again and again, until cancelled."""
    pids = [worker.pid for worker in gateway.workers if worker.pid is not None]
    try:
        while True:
            await asyncio.sleep(STALL_EVERY_S)
            _signal(pids, signal.SIGSTOP)
            await asyncio.sleep(STALL_S)
            _signal(pids, signal.SIGCONT)
    finally:
        _signal(pids, signal.SIGCONT)


def _signal(pids: list[int], number: signal.Signals) -> None:
    for pid in pids:
        os.kill(pid, number)

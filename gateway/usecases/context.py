"""All that is impure or configured, handed in: who calls, what time it is, how keys are made."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from msgspec import Struct

from gateway.domain.period import Instant
from gateway.domain.purpose import Role


class Caller(Struct, frozen=True):
    """
    Who a certificate says is calling: a role, and the code that role is known by.

    The code is an institution code, a zero-padded insurer number, or a name for the others.
    """

    role: Role
    code: str


@dataclass(frozen=True, slots=True)
class Context:
    """
    One call: its caller, its moment, its method (`gateway.v1.Service/Method`).

    `connection` names the connection it came by, for methods that ask for that; else empty.
    """

    caller: Caller
    now: Instant
    method: str
    connection: str = ""


NewKey = Callable[[], bytes]
"""Makes a random 16-byte key."""

Clock = Callable[[], Instant]
"""Tells the time: the real one, or a sandbox's, which only moves forward."""


async def first_of(*events: asyncio.Event) -> None:
    """Wait until one of the events is set."""
    waits = [asyncio.ensure_future(event.wait()) for event in events]
    try:
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()

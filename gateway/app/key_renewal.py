"""
New keys of vault and spool, taken by the running writer and given to what older keys wrote.

A key file that was replaced is noticed within a second; what is written from then on has the new
key. Rows and frames of older keys are written anew in small pages, beside the insurers' calls.
"""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path
from typing import Final

import msgspec

from gateway.app.engine import KEPT_IN, SPOOL, VAULT
from gateway.domain.errors import Unavailable
from gateway.observe import get_logger
from gateway.store.keyring import WrongKeys, say_in_use
from gateway.store.spool_frames import KeptSpool
from gateway.store.vault import StepVault
from gateway.usecases.desk import Desk

WATCH_S: Final = 1.0
"""How often the key files are looked at."""
ROWS_AT_ONCE_MAX: Final = 100
"""Rows of the vault written anew in one transaction."""
FRAMES_AT_ONCE_MAX: Final = 4
PAUSE_S: Final = 0.02
"""Between two pages; at most `BUSY_S_MAX` while the desk is busy."""
BUSY_S_MAX: Final = 1.0


class KeyRenewal:
    """There is one in the writer."""

    def __init__(
        self, vault: StepVault, spool: KeptSpool, desk: Desk, in_use: Path, kept_in: str
    ) -> None:
        self._vault = vault
        self._spool = spool
        self._desk = desk
        self._in_use = in_use
        self._kept_in = kept_in
        self._said: dict[str, str] = {}

    async def run(self, stop: asyncio.Event) -> None:
        """Take new keys and renew what is old until told to stop."""
        while not stop.is_set():
            await self.take_new()
            while not stop.is_set() and await self.renew_some():
                await self._rest(stop)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), WATCH_S)

    async def take_new(self) -> None:
        """Take new keys, and say which are in use; a file that cannot be read is told of."""
        try:
            said = {
                VAULT: await self._vault.refresh(),
                SPOOL: await self._spool.refresh(),
                KEPT_IN: self._kept_in,
            }
            if said != self._said:
                await asyncio.to_thread(say_in_use, self._in_use, said)
                self._said = said
        except (OSError, msgspec.MsgspecError, Unavailable, WrongKeys) as error:
            get_logger().warning("key_file_refused", kind=type(error).__name__)

    async def renew_some(self) -> bool:
        """Write one page of each anew; whether there may be more."""
        try:
            rows = await self._vault.renew(ROWS_AT_ONCE_MAX)
            return bool(rows + await self._spool.renew(FRAMES_AT_ONCE_MAX))
        except Unavailable:
            return False

    async def _rest(self, stop: asyncio.Event) -> None:
        """Leave the desk to others while it is busy."""
        rested_s = 0.0
        while not rested_s or (self._desk.is_busy and rested_s < BUSY_S_MAX):
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), PAUSE_S)
            rested_s += PAUSE_S

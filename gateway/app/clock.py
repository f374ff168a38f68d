"""
The time, and what makes keys: the two impurities every process needs.

The sandbox's clock is the real one plus an offset that only grows, kept in eight bytes that all
processes of one data directory share.
"""

from __future__ import annotations

import mmap
import os
import secrets
import struct
import time
from datetime import timedelta
from pathlib import Path
from typing import Final

from gateway.domain.period import Instant

_OFFSET: Final = struct.Struct("<q")
KEY_TICK_BITS: Final = 16
"""A key's time counts in 65,536 ns; six bytes of that last until the year 2554."""
ADVANCE_MAX: Final = timedelta(days=366 * 20)


def real_clock() -> Instant:
    """The time."""
    return Instant(time.time_ns() // 1000)


def elapsed_s() -> float:
    """Seconds since some moment: they never go back, and go on while the machine sleeps."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def new_key() -> bytes:
    """
    A 16-byte key nobody can guess: six bytes of the time, ten random ones.

    Keys made one after the other are neighbours in every index, so that a large file writes few
    pages of the database again and again and not one page a row.
    """
    return (time.time_ns() >> KEY_TICK_BITS).to_bytes(6, "big") + secrets.token_bytes(10)


class SandboxClock:
    """
    The time plus a shared offset in microseconds.

    Reading costs no system call beside the clock's own. `advance` writes all eight bytes at once
    and syncs, so every process sees it with its next call and a crash does not turn it back.
    """

    def __init__(self, path: Path) -> None:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            if os.fstat(descriptor).st_size < _OFFSET.size:
                os.pwrite(descriptor, bytes(_OFFSET.size), 0)
            self._shared = mmap.mmap(descriptor, _OFFSET.size)
        finally:
            os.close(descriptor)

    def __call__(self) -> Instant:
        """Tell the sandbox's time."""
        return Instant(time.time_ns() // 1000 + _OFFSET.unpack_from(self._shared)[0])

    def advance(self, by: timedelta) -> Instant:
        """
        Move the clock forward and give the new time.

        Raises:
            ValueError: For a step back, or beyond `ADVANCE_MAX` in all.
        """
        if by < timedelta(0):
            raise ValueError("the sandbox clock moves forward only")
        offset = _OFFSET.unpack_from(self._shared)[0] + by // timedelta(microseconds=1)
        if offset > ADVANCE_MAX // timedelta(microseconds=1):
            raise ValueError("the sandbox clock cannot go that far")
        self._shared[:] = _OFFSET.pack(offset)
        self._shared.flush()
        return self()

    def close(self) -> None:
        """Let go of the shared bytes."""
        self._shared.close()

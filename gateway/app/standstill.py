"""
Who may write to a data directory's store: one writer, and none while its facts are moved.

A move asks the writer to end by holding `pause.lock`, and itself holds `writer.lock` from then
on; if it is killed, both are free again. Once all is moved a mark keeps the old store closed, so
that nothing is acknowledged there that the new one does not have. Source: decision 0026.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

from gateway.app.child import say_ready
from gateway.app.layout import DataDir

LOCK_S_MAX: Final = 20.0
"""How long a writer waits for its forerunner to go."""

PAUSE_S_MAX: Final = 60.0
"""How long a move waits for the writer to end: it first drains the calls under way."""

LOCK_POLL_S: Final = 0.02
CLOSED_POLL_S: Final = 0.2


class BusyError(Exception):
    """Somebody else holds a lock and does not let go."""


class Mark(Struct, frozen=True):
    """That the facts have left the store of an engine, and whether they changed there since."""

    closed: str
    is_left: bool = False
    """Whether the new store was written to: then the old one is out of date."""


def mark_of(data: DataDir) -> Mark | None:
    """Read the mark of a data directory, if there is one."""
    try:
        return msgspec.json.decode(data.moved.read_bytes(), type=Mark)
    except FileNotFoundError:
        return None


def put_mark(data: DataDir, mark: Mark) -> None:
    """Write the mark durably."""
    staged = data.moved.with_suffix(".part")
    with staged.open("wb") as file:
        file.write(msgspec.json.encode(mark))
        file.flush()
        os.fsync(file.fileno())
    staged.replace(data.moved)
    folder = os.open(data.root, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def is_closed(data: DataDir, engine: str) -> bool:
    """Whether nobody may write to an engine's store: it is being moved, or was."""
    mark = mark_of(data)
    return (mark is not None and mark.closed == engine) or _is_held(data.pause)


def is_out_of_date(data: DataDir, engine: str) -> bool:
    """Whether the facts have left an engine's store and changed since."""
    mark = mark_of(data)
    return mark is not None and mark.closed == engine and mark.is_left


async def may_write(data: DataDir, engine: str, stop: asyncio.Event) -> bool:
    """
    Wait until this process is the one writer, which it then is as long as it lives.

    A forerunner whose supervisor was killed may need a moment to go. The lock is never given back
    before the process ends, because a server that ends removes its socket's name last of all,
    and it must not be the successor's.

    Returns:
        False if it was told to stop, or the store was closed and may be open again: the next
        process reads the settings anew, which may name another store now.

    Raises:
        BusyError: Another writer stays.
    """
    if is_closed(data, engine):
        say_ready()
        while is_closed(data, engine) and not stop.is_set():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), CLOSED_POLL_S)
        return False
    await _taken(data.writer_lock, LOCK_S_MAX)
    if is_closed(data, engine):
        return False
    mark = mark_of(data)
    if mark is not None and not mark.is_left:
        put_mark(data, Mark(mark.closed, is_left=True))
    return True


@contextmanager
def moving(data: DataDir) -> Iterator[None]:
    """Be the one move of a data directory; raises `BusyError` if there is another one."""
    descriptor = _opened(data.move)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise BusyError from None
        yield
    finally:
        os.close(descriptor)


@asynccontextmanager
async def standstill(data: DataDir) -> AsyncIterator[None]:
    """
    Have nobody write while the block runs; lookups go on.

    Raises:
        BusyError: The writer does not end.
    """
    pause = await _taken(data.pause, PAUSE_S_MAX)
    try:
        writing = await _taken(data.writer_lock, PAUSE_S_MAX)
        try:
            yield
        finally:
            os.close(writing)
    finally:
        os.close(pause)


async def _taken(path: Path, seconds_max: float) -> int:
    """Wait for a lock; give its descriptor, whose end is the lock's."""
    descriptor = _opened(path)
    until = asyncio.get_running_loop().time() + seconds_max
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            if asyncio.get_running_loop().time() > until:
                os.close(descriptor)
                raise BusyError from None
            await asyncio.sleep(LOCK_POLL_S)
        else:
            return descriptor


def _is_held(path: Path) -> bool:
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(descriptor)
    return False


def _opened(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT, 0o600)

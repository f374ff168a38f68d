"""
A consumer of the change feed: handles each event, and only then remembers how far it came.

What it remembers is durable before it takes the next message, so a consumer killed at any moment
goes on where it was; what it had handled and not remembered comes again. The events of a stream
are numbered without a gap: a message that begins later than the last one ended is a gap, and the
consumer stops there rather than lose something unnoticed.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import grpc

from gateway.v1 import feed_pb2 as pb
from gateway.v1.feed_pb2_grpc import FeedServiceStub

if TYPE_CHECKING:
    from gateway.v1.feed_pb2_grpc import FeedServiceAsyncStub

RETRY_FIRST_S: Final = 0.05
RETRY_S_MAX: Final = 2.0
SILENT_S_MAX: Final = 60.0
"""A stream silent for so long, heartbeats too, is opened again."""

_WORTH_RETRYING: Final = frozenset(
    {
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.CANCELLED,
        grpc.StatusCode.DEADLINE_EXCEEDED,
    }
)


class GapError(Exception):
    """Events between two that came did not."""


@dataclass(frozen=True, slots=True)
class Place:
    """How far a consumer came: the cursor and the sequence of the last event it handled."""

    cursor: str = ""
    sequence: int = 0


class Bookmark:
    """A consumer's place in a file, replaced at once and durably."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self) -> Place:
        """Give the place; that of a consumer that never handled anything if there is no file."""
        try:
            said = json.loads(self._path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return Place()
        return Place(said["cursor"], said["sequence"])

    def write(self, place: Place) -> None:
        """Remember a place; when this returns, a power cut does not lose it."""
        half = self._path.with_name(f".{self._path.name}.new")
        with half.open("w", encoding="utf-8") as file:
            json.dump({"cursor": place.cursor, "sequence": place.sequence}, file)
            file.flush()
            os.fsync(file.fileno())
        half.replace(self._path)
        folder = os.open(self._path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def require_next(place: Place, message: pb.WatchChangesResponse) -> None:
    """
    Check that a message goes on where a consumer is, and holds all it says it holds.

    Raises:
        GapError: If anything is missing, or out of order.
    """
    sequences = [one.sequence for one in message.changes]
    sequences += [one.sequence for one in message.outdated_confirmations]
    if place.sequence and message.previous_sequence > place.sequence:
        raise GapError(f"nothing between {place.sequence} and {message.previous_sequence + 1}")
    expected = list(range(message.previous_sequence + 1, message.last_sequence + 1))
    if sequences != expected:
        raise GapError(f"a message up to {message.last_sequence} is not whole")


async def watch(
    channel: grpc.aio.Channel, cursor: str = "", *, is_from_now: bool = False
) -> AsyncGenerator[pb.WatchChangesResponse, None]:
    """
    Give messages as they come, heartbeats too, until the stream breaks.

    Raises:
        grpc.aio.AioRpcError: When it breaks, or is refused.
    """
    stub: FeedServiceAsyncStub = FeedServiceStub(channel)
    call = stub.WatchChanges(pb.WatchChangesRequest(cursor=cursor, is_from_now=is_from_now))
    try:
        while True:
            async with asyncio.timeout(SILENT_S_MAX):
                message = await call.read()
            if not isinstance(message, pb.WatchChangesResponse):
                return
            yield message
    finally:
        call.cancel()


async def consume(
    channel: grpc.aio.Channel,
    bookmark: Bookmark,
    handle: Callable[[pb.WatchChangesResponse], None],
) -> None:
    """
    Handle every message from the bookmark on, over any number of broken streams; never ends.

    Args:
        handle: Must be done with the message, durably, when it returns. It sees events again
            after a crash, and must not mind.

    Raises:
        GapError: As `require_next`.
        grpc.aio.AioRpcError: For a refusal, such as of a cursor that expired.
    """
    wait_s = RETRY_FIRST_S
    while True:
        place = bookmark.read()
        try:
            async for message in watch(channel, place.cursor):
                require_next(place, message)
                if message.last_sequence != message.previous_sequence:
                    handle(message)
                if message.cursor != place.cursor:
                    place = Place(message.cursor, message.last_sequence)
                    bookmark.write(place)
                wait_s = RETRY_FIRST_S
        except TimeoutError:
            pass
        except grpc.aio.AioRpcError as error:
            if error.code() not in _WORTH_RETRYING:
                raise
        await asyncio.sleep(wait_s)
        wait_s = min(2 * wait_s, RETRY_S_MAX)

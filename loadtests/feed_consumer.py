"""
A consumer to be killed: writes each event it handles into a file, a line each, and goes on.

    python -m loadtests.feed_consumer ROOT PORT PARTY

A line is on disk before the bookmark moves past it. What a kill leaves is whole lines, because
each message is one write.
"""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

from gateway.v1 import feed_pb2 as pb
from loadtests.places import channel_to
from simulators.feed import Bookmark, GapError, consume

EXIT_GAP = 3


def seen_path(root: Path, party: str) -> Path:
    """Where a consumer writes what it handles."""
    return root / f"{party}.seen"


def bookmark_path(root: Path, party: str) -> Path:
    """Where a consumer remembers how far it came."""
    return root / f"{party}.bookmark"


def lines_of(message: pb.WatchChangesResponse) -> bytes:
    """Spell what is checked of each event: its sequence, whose, and what it came with."""
    lines = [
        f"{one.sequence} {one.insured_id.number} {one.request_id}\n" for one in message.changes
    ]
    lines += [
        f"{one.sequence} {one.access_record_id} -\n" for one in message.outdated_confirmations
    ]
    return "".join(lines).encode()


async def run(root: Path, port: int, party: str) -> None:
    """Consume until killed."""
    seen = os.open(seen_path(root, party), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def handle(message: pb.WatchChangesResponse) -> None:
        os.write(seen, lines_of(message))
        os.fdatasync(seen)

    async with channel_to(root, port, party) as channel:
        await consume(channel, Bookmark(bookmark_path(root, party)), handle)


def main() -> None:
    """Run; a gap ends with exit code 3."""
    root, port, party = sys.argv[1:]
    try:
        asyncio.run(run(Path(root), int(port), party))
    except GapError as gap:
        sys.stderr.write(f"gap: {gap}\n")
        sys.exit(EXIT_GAP)


if __name__ == "__main__":
    main()

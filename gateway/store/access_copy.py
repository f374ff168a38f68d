"""
Access records beside the processes that write them: what is copied of a life is a whole beginning.

A segment is complete once there is a later one, so a life is listed first and then copied in
order; of its last segment the line that is being written is left out.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from gateway.store.access_log import SEGMENT_SUFFIX, lives_in
from gateway.store.copying import Step, Written, copy_bytes

TAIL_BYTES: Final = 64 * 1024
"""How much is read at a time to find where the last whole line ends."""


def copy_lives(source: Path, target: Path, step: Step) -> Iterator[tuple[str, Written]]:
    """
    Copy every life there is now.

    Args:
        source: The directory of all lives.

        target: The same of the copy; exists.

    Yields:
        Each segment's name under `target`, and what was written.
    """
    for life in lives_in(source):
        segments = sorted((source / life).glob(f"*{SEGMENT_SUFFIX}"))
        (target / life).mkdir(mode=0o700)
        for segment in segments:
            handle = os.open(segment, os.O_RDONLY)
            try:
                size = os.fstat(handle).st_size
                if segment == segments[-1]:
                    size = _lines_end(handle, size)
                done = copy_bytes(handle, target / life / segment.name, size, step)
            finally:
                os.close(handle)
            yield f"{life}/{segment.name}", done


def bytes_of_lives(source: Path) -> int:
    """How large all segments are by now."""
    return sum(path.stat().st_size for path in source.glob(f"*/*{SEGMENT_SUFFIX}"))


def _lines_end(handle: int, size: int) -> int:
    """Where the last whole line within the first bytes ends; 0 if there is none."""
    end = size
    while end:
        begin = max(0, end - TAIL_BYTES)
        found = os.pread(handle, end - begin, begin).rfind(b"\n")
        if found >= 0:
            return begin + found + 1
        end = begin
    return 0

"""
Which request files in `req` are written to their end. Everything here blocks.

Sources: oqs-interface.md 1.6 (clients write into the folder directly, and in pieces).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from typing import Final

from gateway.config import BridgeSettings
from gateway.edges.folder_names import is_request
from gateway.formats.oqs_xml import is_complete

FILES_PER_SWEEP_MAX: Final = 4_096
HOLD_S: Final = 1.0
"""How long a file that could not be claimed is left alone, so that it keeps no other waiting."""

Signature = tuple[int, int, int]
"""Size, time of the last write in nanoseconds, file number."""


@dataclass(frozen=True, slots=True)
class Found:
    """A request file in `req`, as a sweep met it."""

    name: str
    signature: Signature


def signature_of(stat: os.stat_result) -> Signature:
    """What changes when a file is written to or replaced."""
    return stat.st_size, stat.st_mtime_ns, stat.st_ino


class Watch:
    """
    Tells which files in `req` are written to their end; used by one thread at a time.

    A file counts once it is well formed and unchanged for `settle_ms`, or else unchanged for
    `half_written_wait_ms`.
    """

    def __init__(self, settings: BridgeSettings) -> None:
        self._settings = settings
        self._since: dict[str, tuple[Signature, float]] = {}
        self._held: dict[str, float] = {}

    def ready(self, now_s: float, count_max: int, is_busy: Callable[[str], bool]) -> list[Found]:
        """
        List the files to claim, no more than `count_max`.

        Args:
            now_s: Any clock that runs evenly.

            count_max: How many are wanted now; the others are only watched.

            is_busy: Whether a request of that name is being answered, and this one must wait.

        Raises:
            OSError: If the folder cannot be read.
        """
        since: dict[str, tuple[Signature, float]] = {}
        self._held = {name: until for name, until in self._held.items() if until > now_s}
        ready: list[Found] = []
        for found in islice(self._listed(), FILES_PER_SWEEP_MAX):
            signature, first_s = self._since.get(found.name, (None, now_s))
            if signature != found.signature:
                first_s = now_s
            since[found.name] = (found.signature, first_s)
            if len(ready) == count_max or found.name in self._held or is_busy(found.name):
                continue
            if self._is_ready(found, 1000 * (now_s - first_s)):
                ready.append(found)
        self._since = since
        return ready

    def hold(self, name: str, now_s: float) -> None:
        """Leave a file alone for a while."""
        if len(self._held) < FILES_PER_SWEEP_MAX:
            self._held[name] = now_s + HOLD_S

    def _listed(self) -> Iterator[Found]:
        with os.scandir(self._settings.req) as entries:
            for entry in entries:
                if not is_request(entry.name):
                    continue
                with suppress(OSError):
                    if entry.is_file(follow_symlinks=False):
                        yield Found(entry.name, signature_of(entry.stat(follow_symlinks=False)))

    def _is_ready(self, found: Found, unchanged_ms: float) -> bool:
        settings = self._settings
        bytes_max = settings.request_bytes_max
        if found.signature[0] > bytes_max:
            return True
        if unchanged_ms < settings.settle_ms:
            return False
        if unchanged_ms >= settings.half_written_wait_ms:
            return True
        try:
            with (settings.req / found.name).open("rb") as file:
                return is_complete(file.read(bytes_max + 1))
        except OSError:
            return False

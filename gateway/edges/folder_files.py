"""
The files of the folder bridge: which are written to their end, and how answers appear.

Everything here blocks and runs in a thread. Nothing logs a file's name, which holds the client's
own words. Sources: oqs-interface.md 1.2, 1.6, 5.19 and 5.20.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Final

import structlog

from gateway.config import BridgeSettings
from gateway.formats.oqs_xml import is_complete

FILES_PER_SWEEP_MAX: Final = 4_096

_REQUEST: Final = re.compile(
    r"OQSsiquc01req_(?P<suffix>[A-Za-z0-9_-]{1,200})\.xml", re.IGNORECASE | re.ASCII
)
_TEMPORARY: Final = ".onshi-tmp"

_log = structlog.get_logger()

Signature = tuple[int, int, int]
"""Size, time of the last write in nanoseconds, file number."""


@dataclass(frozen=True, slots=True)
class Found:
    """A request file in `req`, as a sweep met it."""

    name: str
    signature: Signature


def _suffix(name: str) -> str | None:
    """What a request's name ends in, or None for a name that is no request's."""
    found = _REQUEST.fullmatch(name)
    return found["suffix"] if found else None


def key_of(name: str) -> str:
    """Names that differ by case only are one file to most clients."""
    return name.lower()


def _signature(stat: os.stat_result) -> Signature:
    return stat.st_size, stat.st_mtime_ns, stat.st_ino


class Watch:
    """
    Tells which files in `req` are written to their end; used by one sweep at a time.

    Clients write into the folder directly (oqs-interface.md 1.6), so a file counts once it is
    well formed and unchanged for `settle_ms`, or else unchanged for `half_written_wait_ms`.
    """

    def __init__(self, settings: BridgeSettings) -> None:
        self._settings = settings
        self._since: dict[str, tuple[Signature, float]] = {}

    def ready(self, now_s: float) -> list[Found]:
        """
        List the files to claim; `now_s` is any clock that runs evenly.

        Raises:
            OSError: If the folder cannot be read.
        """
        since: dict[str, tuple[Signature, float]] = {}
        ready = []
        for found in islice(self._listed(), FILES_PER_SWEEP_MAX):
            signature, first_s = self._since.get(found.name, (None, now_s))
            if signature != found.signature:
                first_s = now_s
            since[found.name] = (found.signature, first_s)
            if self._is_ready(found, 1000 * (now_s - first_s)):
                ready.append(found)
        self._since = since
        return ready

    def _listed(self) -> Iterator[Found]:
        with os.scandir(self._settings.req) as entries:
            for entry in entries:
                if _suffix(entry.name) is None:
                    continue
                with suppress(OSError):
                    if entry.is_file(follow_symlinks=False):
                        yield Found(entry.name, _signature(entry.stat(follow_symlinks=False)))

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


class Files:
    """What the bridge does to files; everything here blocks and runs in a thread."""

    def __init__(self, settings: BridgeSettings) -> None:
        self._settings = settings

    def prepare(self) -> list[str]:
        """Clear what a crash left half done, and list the requests in `work` still to answer."""
        for folder in (self._settings.req, self._settings.res, self._settings.work):
            folder.mkdir(parents=True, exist_ok=True)
        for path in self._settings.res.glob(f".*{_TEMPORARY}"):
            path.unlink(missing_ok=True)
        leftovers = [path for path in self._settings.work.iterdir() if _suffix(path.name)]
        for path in leftovers:
            if self._result(path.name).exists():
                path.unlink(missing_ok=True)
        return sorted(path.name for path in leftovers if path.exists())

    def claim(self, found: Found) -> bool:
        """Take a request out of `req`, unless it changed since the sweep met it."""
        path = self._settings.req / found.name
        try:
            if _signature(path.stat(follow_symlinks=False)) != found.signature:
                return False
            path.replace(self._settings.work / found.name)
        except FileNotFoundError:
            return False
        except OSError as error:
            _log.warning("folder_claim_failed", errno=error.errno)
            return False
        return True

    def read(self, name: str) -> bytes | None:
        """Give a claimed request, cut off just over the limit; None if an operator took it."""
        try:
            with (self._settings.work / name).open("rb") as file:
                return file.read(self._settings.request_bytes_max + 1)
        except FileNotFoundError:
            return None

    def deliver(self, name: str, answer: bytes) -> None:
        """Make the answer durable in `res`, then let go of the request."""
        self._put(self._result(name), lambda temporary: _write(temporary, answer))
        self._done(name)

    def reject(self, name: str, text: bytes) -> None:
        """Put the request into `res` under its own name and a same-named `.err` beside it."""
        claimed = self._settings.work / name
        target = self._settings.res / name
        self._put(target, lambda temporary: _copy(claimed, temporary))
        self._put(target.with_suffix(".err"), lambda temporary: _write(temporary, text))
        self._done(name)

    def _result(self, name: str) -> Path:
        return self._settings.res / f"OQSsiquc01res_{_suffix(name)}.xml"

    def _done(self, name: str) -> None:
        (self._settings.work / name).unlink(missing_ok=True)

    def _put(self, target: Path, fill: Callable[[Path], None]) -> None:
        """
        Let a file appear whole under its name, and touch it.

        The touch is for clients that wait for a change of an existing file (5.19); one that was
        quick may have taken the file already.
        """
        temporary = target.with_name(f".{target.name}{_TEMPORARY}")
        fill(temporary)
        temporary.replace(target)
        _sync_folder(target.parent)
        with suppress(FileNotFoundError):
            os.utime(target)


def _write(path: Path, data: bytes) -> None:
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _copy(source: Path, path: Path) -> None:
    """Copy a file of any size: by a second link where the file systems allow it."""
    path.unlink(missing_ok=True)
    try:
        path.hardlink_to(source)
    except OSError:
        shutil.copyfile(source, path)


def _sync_folder(folder: Path) -> None:
    """Make a rename durable, where the system can."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

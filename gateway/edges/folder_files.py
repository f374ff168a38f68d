"""
What the folder bridge does to files, in steps of which each may be the last before a crash.

A request lies in `req`, then in `work`. Its answer is made durable in `work` (staged) before the
request goes, and one rename puts it into `res`: as long as it lies in `work` nobody has seen it,
and once it does not, it is never put again. So `req`, `res` and `work` must be on one file system.
Everything here blocks and runs in a thread. Nothing logs a file's name, which holds the client's
own words. Sources: oqs-interface.md 1.2, 1.6, 5.19 and 5.20.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Final

from gateway.config import BridgeSettings
from gateway.domain.period import Instant
from gateway.edges.folder_left import Answer, Left
from gateway.edges.folder_names import (
    ANSWER,
    REJECTION,
    is_temporary,
    key_of,
    request_of,
    result_name,
)
from gateway.edges.folder_put import put, sync_folder, touch
from gateway.edges.folder_watch import Found, read_request, signature_of

LEFTOVERS_PER_LOOK_MAX: Final = 4_096
"""Requests that one look at `work` may find."""
NAMES_PER_LOOK_MAX: Final = 200_000
"""Names of any kind that one look at a folder goes through, here and at the start."""
LOCK: Final = "lock"
"""In `work`: who holds it works here. A folder itself cannot be locked on every network disk."""


@dataclass(frozen=True, slots=True)
class Claims:
    """
    What came of claiming: names taken, names that could not be, and one error among them.

    `changed` are those of the taken that somebody wrote to, or replaced, in that very moment.
    """

    taken: Sequence[str]
    changed: Sequence[str]
    refused: Sequence[str]
    errno: int | None


class Files:
    """What the bridge does to files; `now` is the time answers are put."""

    def __init__(self, settings: BridgeSettings, now: Callable[[], Instant]) -> None:
        self._settings = settings
        self._now = now
        self._lock: int | None = None
        self.left = Left(settings)

    def prepare(self) -> None:
        """
        Take hold of the folders, alone, and clear what a crash left half written.

        Folders are made only where `work` is not there yet, and not their parent: one that is
        missing later is away and comes back, and answers must not go to another in its place.

        Raises:
            OSError: If a folder is away, or another bridge works here; try again.
            ValueError: If the folders are on more than one file system.
        """
        self.release()
        settings = self._settings
        if not settings.work.exists():
            for folder in (settings.req, settings.res, settings.face, settings.work):
                folder.mkdir(exist_ok=True)
        folders = (settings.req, settings.res, settings.work)
        if len({folder.stat().st_dev for folder in folders}) != 1:
            raise ValueError("req, res and work must be on one file system")
        lock = os.open(settings.work / LOCK, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o666)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(lock)
            raise
        self._lock = lock
        for folder in (settings.work, settings.res):
            _clear(folder)

    def release(self) -> None:
        """Let another bridge work here."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def leftovers(self, is_busy: Callable[[str], bool]) -> list[str]:
        """
        List requests in `work` that nobody is about to answer.

        Raises:
            OSError: If the folder cannot be read.
        """
        found: dict[str, str] = {}
        with os.scandir(self._settings.work) as entries:
            for entry in islice(entries, NAMES_PER_LOOK_MAX):
                request = request_of(entry.name)
                if request is not None and not is_busy(request):
                    found.setdefault(key_of(request), request)
                if len(found) == LEFTOVERS_PER_LOOK_MAX:
                    break
        return sorted(found.values())

    def claim(self, wanted: Sequence[Found]) -> Claims:
        """
        Take requests out of `req`, but those that changed since the sweep met them.

        One that would take the place of another in `work` is refused for now. An error keeps
        its own name in `req` and no other.
        """
        taken: list[str] = []
        changed: list[str] = []
        refused: list[str] = []
        errno = None
        for found in wanted:
            path, claimed = self._settings.req / found.name, self._settings.work / found.name
            try:
                if claimed.exists() or self._is_staged(found.name):
                    refused.append(found.name)
                    continue
                if signature_of(path.lstat()) != found.signature:
                    continue
                path.rename(claimed)
            except FileNotFoundError:
                continue
            except OSError as error:
                refused.append(found.name)
                errno = error.errno
            else:
                taken.append(found.name)
                if not _is_as_found(claimed, found):
                    changed.append(found.name)
        return Claims(taken, changed, refused, errno)

    def unanswered(self, name: str) -> bytes | None:
        """
        Give a claimed request to be answered, cut off just over the limit.

        None if there is nothing to ask: its answer is staged already, or an operator took it.
        What became a link, a pipe or a folder in the moment it was claimed reads as empty.

        Raises:
            OSError: If it cannot be read now.
        """
        if self._is_staged(name):
            return None
        try:
            data = read_request(self._settings.work / name, self._settings.request_bytes_max)
        except FileNotFoundError:
            os.stat(self._settings.work)  # noqa: PTH116  raises if the folder is away
            return None
        return b"" if data is None else data

    def settle(self, name: str, kind: str, data: bytes) -> Answer | None:
        """
        Stage an answer (`ANSWER`) or the text of an `.err` (`REJECTION`), and `publish` it.

        From the staging on nothing but this is given to the request.

        Raises:
            OSError: If there is no room, for one: the request is as it was, or staged.
        """
        put(self._work(name, kind), data)
        return self.publish(name)

    def publish(self, name: str) -> Answer | None:
        """
        Let what is staged for a request appear in `res`; None if that is no answer, or nothing.

        Raises:
            OSError: If its place in `res` is locked or away; it stays staged.
        """
        staged = self._work(name, ANSWER)
        if staged.exists():
            target = self._settings.res / result_name(name)
            claimed = self._settings.work / name
            answer = self.left.note(staged, target.name, self._now(), claimed)
            self._move(staged, target)
            return answer
        rejection = self._work(name, REJECTION)
        if rejection.exists():
            self._publish_rejection(name, rejection)
        return None

    def _publish_rejection(self, name: str, rejection: Path) -> None:
        """Put the request into `res` under its own name, then a same-named `.err` beside it."""
        claimed, target = self._settings.work / name, self._settings.res / name
        if claimed.is_symlink() or claimed.exists():
            self._move(claimed, target)
        self._move(rejection, target.with_suffix(".err"))

    def _is_staged(self, name: str) -> bool:
        return any(self._work(name, kind).exists() for kind in (ANSWER, REJECTION))

    def _move(self, source: Path, target: Path) -> None:
        source.replace(target)
        sync_folder(target.parent)
        with suppress(OSError):
            touch(target)

    def _work(self, name: str, kind: str) -> Path:
        return self._settings.work / (name + kind)


def _clear(folder: Path) -> None:
    """Remove what was half written; what cannot be removed is in nobody's way."""
    with os.scandir(folder) as entries:
        for entry in islice(entries, NAMES_PER_LOOK_MAX):
            if is_temporary(entry.name):
                with suppress(OSError):
                    os.unlink(entry.path)  # noqa: PTH108  the entry has no other


def _is_as_found(path: Path, found: Found) -> bool:
    """Whether a file is still what the sweep met; if that cannot be told, it is not."""
    with suppress(OSError):
        return signature_of(path.lstat()) == found.signature
    return False

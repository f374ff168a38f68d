"""
Which files in `res` are answers of ours, and what becomes of those nobody takes.

For each answer an empty mark lies in `work/put`, from before the answer appears until after it is
gone. Its name holds the answer's file number, size and name, so that a file of the same name by
anybody else is never touched; its time is when the answer was put. Everything here blocks.

The real application keeps a setting `ResponseFileStayTime` and leaves `del*.txt` files; whether it
removes the answer, and what those files hold, is not public and ours. Source: oqs-interface.md 1.6.
"""

from __future__ import annotations

import heapq
import os
import re
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from stat import S_ISREG
from typing import Final

from gateway.config import BridgeSettings
from gateway.domain.period import Instant, tokyo_time
from gateway.edges.folder_put import put, touch
from gateway.formats.text import moment_digits

MARKS_PER_WALK_MAX: Final = 200_000
FORGOTTEN_PER_WALK_MAX: Final = 1_000
"""Answers removed, and told of in one file, by one walk."""
DEL_FILES_MAX: Final = 1_000
"""Files that tell of removed answers; beyond that the oldest go."""
MARK_STAYS_US: Final = 60_000_000
"""A mark is not dropped before it is so old, because its answer may be about to be put."""
CLOCK_STEP_US: Final = 60_000_000
"""A wall clock that ran so much ahead or behind between two walks was set."""

_US_PER_MINUTE: Final = 60_000_000
_MARK: Final = re.compile(r"(?P<number>[0-9]+)-(?P<size>[0-9]+)-(?P<name>OQSsiquc01res_[^/]+)")
_GONE: Final = "gone-"
_DEL_FILE: Final = re.compile(r"del-onshi-[0-9]{14}\.txt")


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer of ours as it was put: its name in `res`, its file number and its size."""

    name: str
    number: int
    size: int

    @property
    def mark(self) -> str:
        """The name of its mark."""
        return f"{self.number}-{self.size}-{self.name}"

    def is_at(self, path: Path) -> bool:
        """Whether it lies there, and no other file."""
        try:
            stat = path.stat(follow_symlinks=False)
        except FileNotFoundError:
            return False
        return (self.number, self.size) == (stat.st_ino, stat.st_size)


class Left:
    """The answers left in `res`; safe to use from several threads but for `walk`."""

    def __init__(self, settings: BridgeSettings) -> None:
        self._res = settings.res
        self._marks = settings.work / "put"
        self._stay_us = settings.response_file_stay_minutes * _US_PER_MINUTE
        self._clock: tuple[Instant, float] | None = None
        self._marking = threading.Lock()

    def note(self, staged: Path, name: str, at: Instant, request: Path) -> Answer:
        """
        Mark a file that is about to become an answer in `res`, by a rename.

        The request, which is not needed any more, is emptied and becomes the mark: on some disks
        a new file costs as much as the rest of an answer. A request that is not ours alone
        (it has a second name somewhere, or another owner) is only let go.

        Raises:
            OSError: If the file is not there, or the mark cannot be made.
        """
        stat = staged.lstat()
        answer = Answer(name, stat.st_ino, stat.st_size)
        self._marks.mkdir(exist_ok=True)
        mark = self._marks / answer.mark
        with self._marking:
            if _is_emptied(request):
                request.rename(mark)
            else:
                request.unlink(missing_ok=True)
            mark.touch()
            _date(mark, at)
        return answer

    def touch(self, answer: Answer) -> bool:
        """Touch an answer, unless it was taken; tell whether it is still there."""
        path = self._res / answer.name
        with suppress(OSError):
            if answer.is_at(path):
                touch(path)
                return True
        return False

    def young(self, now: Instant, age_s: float) -> list[Answer]:
        """List answers put no longer than `age_s` ago, of which some may have been taken."""
        return [
            answer
            for answer, _, put_at in islice(self._marked(), MARKS_PER_WALK_MAX)
            if now - put_at <= age_s * 1_000_000
        ]

    def follow(self, now: Instant, now_s: float) -> int:
        """
        Notice that the clock was set since the last call, and date the marks by the new time.

        So no answer goes before its time, nor stays for years. A clock that was set while no
        bridge ran is not noticed; time in which the machine slept does not count.

        Args:
            now: The wall clock.

            now_s: Any clock that runs evenly.

        Returns:
            By how many seconds the clock was set, 0 if it was not.

        Raises:
            OSError: If the marks are away; the next call notices it again.
        """
        at, at_s = self._clock or (now, now_s)
        step_us = now - at - round(1_000_000 * (now_s - at_s))
        if abs(step_us) <= CLOCK_STEP_US:
            self._clock = now, now_s
            return 0
        self._marks.parent.stat()
        for _, mark, put_at in islice(self._marked(), MARKS_PER_WALK_MAX):
            is_by_the_old_time = put_at > now or 0 < step_us <= now - put_at
            if is_by_the_old_time:
                with suppress(OSError):
                    _date(mark, Instant(put_at + step_us))
        self._clock = now, now_s
        return round(step_us / 1_000_000)

    def walk(self, now: Instant) -> int:
        """
        Drop the marks of answers that were taken; remove forgotten answers and tell of them.

        Whatever stops it in between, an answer removed is told of, if need be twice.

        Returns:
            How many forgotten answers were removed.

        Raises:
            OSError: If a folder cannot be read or written; the next walk goes on.
        """
        if not self._res.is_dir():
            return 0
        forgotten = 0
        for answer, mark, put_at in islice(self._marked(), MARKS_PER_WALK_MAX):
            if not answer.is_at(self._res / answer.name):
                self._drop(answer, mark, now)
            elif (
                self._stay_us
                and now - put_at >= self._stay_us
                and forgotten < FORGOTTEN_PER_WALK_MAX
            ):
                forgotten += self._take_back(answer)
        self._tell(now)
        return forgotten

    def _drop(self, answer: Answer, mark: Path, now: Instant) -> None:
        """Drop the mark of an answer that was taken: not of one about to be put or told of."""
        with self._marking, suppress(FileNotFoundError):
            age_us = now - mark.stat().st_mtime_ns // 1000
            if (
                abs(age_us) > MARK_STAYS_US
                and not (self._marks / (_GONE + answer.mark)).exists()
                and not answer.is_at(self._res / answer.name)
                and self._res.is_dir()
            ):
                mark.unlink()

    def _marked(self) -> Iterator[tuple[Answer, Path, Instant]]:
        with suppress(FileNotFoundError), os.scandir(self._marks) as entries:
            for entry in entries:
                found = _MARK.fullmatch(entry.name)
                if found is None:
                    continue
                with suppress(FileNotFoundError):
                    put_at = Instant(entry.stat().st_mtime_ns // 1000)
                    answer = Answer(found["name"], int(found["number"]), int(found["size"]))
                    yield answer, Path(entry.path), put_at

    def _take_back(self, answer: Answer) -> bool:
        """Move an answer out of `res`; another file that was met instead goes back."""
        path, gone = self._res / answer.name, self._marks / (_GONE + answer.mark)
        try:
            path.rename(gone)
        except OSError:
            return False
        if answer.is_at(gone):
            return True
        if path.exists():
            gone.unlink()
        else:
            gone.rename(path)
        return False

    def _tell(self, now: Instant) -> None:
        """Write one file about what was taken back, and only then let go of it."""
        gone = sorted(islice(self._marks.glob(f"{_GONE}*"), FORGOTTEN_PER_WALK_MAX))
        if not gone:
            return
        told = self._res / f"del-onshi-{moment_digits(tokyo_time(now))}.txt"
        if told.exists():
            return
        marks = [path.with_name(path.name.removeprefix(_GONE)) for path in gone]
        put(told, _del_text(now, self._stay_us // _US_PER_MINUTE, marks))
        for path, mark in zip(gone, marks, strict=True):
            path.unlink(missing_ok=True)
            mark.unlink(missing_ok=True)
        names = (path.name for path in self._res.glob("del-onshi-*"))
        ours = [name for name in names if _DEL_FILE.fullmatch(name)]
        for name in heapq.nsmallest(max(0, len(ours) - DEL_FILES_MAX), ours):
            (self._res / name).unlink(missing_ok=True)


def _is_emptied(request: Path) -> bool:
    """Empty a request if it is a plain file and ours alone; tell whether it was."""
    try:
        descriptor = os.open(request, os.O_WRONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return False
    try:
        stat = os.fstat(descriptor)
        is_ours = stat.st_nlink == 1 and os.geteuid() in {0, stat.st_uid}
        if S_ISREG(stat.st_mode) and is_ours:
            os.ftruncate(descriptor, 0)
            return True
    finally:
        os.close(descriptor)
    return False


def _date(mark: Path, at: Instant) -> None:
    os.utime(mark, ns=(at * 1000, at * 1000))


def _del_text(now: Instant, stay_minutes: int, marks: list[Path]) -> bytes:
    """Spell what was removed; an answer's name holds the client's words and is left out."""
    lines = [
        "# Onshi Gateway (simulator). The layout of this file is not the official one.",
        f"removed_time: {moment_digits(tokyo_time(now))}",
        f"stay_minutes: {stay_minutes}",
        f"count: {len(marks)}",
    ]
    for mark in marks:
        with suppress(FileNotFoundError):
            put_at = Instant(mark.stat().st_mtime_ns // 1000)
            lines.append(f"put_time: {moment_digits(tokyo_time(put_at))}")
    return "".join(f"{line}\n" for line in lines).encode()

"""The screen of `onshi backup` and `onshi restore`: bars while they go on, and what came of it."""

from __future__ import annotations

import signal
import sqlite3
import sys
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Final, NoReturn, Self

from rich.console import Console
from rich.filesize import decimal
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TaskProgressColumn,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

from gateway.app.backup_manifest import Manifest
from gateway.app.backup_place import be_nice
from gateway.app.backup_words import SAY, BackupRefusedError, refused, say
from gateway.domain.period import Instant, tokyo_time

EXIT_DONE: Final = 0
EXIT_REFUSED: Final = 1
EXIT_PROBLEMS: Final = 3
EXIT_INTERRUPTED: Final = 130


class BackupScreen:
    """Bars on standard error; `Watching`."""

    def __init__(self, language: str) -> None:
        self._language = language
        console = Console(stderr=True)
        shared = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn())
        self._bytes = Progress(
            *shared, DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn(), console=console
        )
        self._checks = Progress(*shared, MofNCompleteColumn(), console=console)
        self._copying: TaskID | None = None
        self._checking: TaskID | None = None

    def __enter__(self) -> Self:
        self._bytes.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bytes.stop()
        self._checks.stop()

    def copied(self, bytes_done: int, bytes_total: int) -> None:
        """See `Watching`."""
        if self._copying is None:
            self._copying = self._bytes.add_task(SAY["copying"][self._language], total=None)
        self._bytes.update(self._copying, completed=bytes_done, total=bytes_total)

    def checked(self, checks_done: int, checks_total: int) -> None:
        """See `Watching`."""
        if self._checking is None:
            self._bytes.stop()
            self._checks.start()
            self._checking = self._checks.add_task(SAY["checking"][self._language], total=None)
        self._checks.update(self._checking, completed=checks_done, total=checks_total)


def run(work: Callable[[BackupScreen], Manifest], language: str) -> Manifest | int:
    """
    Do a piece of work with bars; give its manifest, or the exit code if there is none.

    SIGTERM ends it as Ctrl-C does, so that nothing half done is left.
    """
    be_nice()
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        with BackupScreen(language) as screen:
            return work(screen)
    except BackupRefusedError as refusal:
        print_refusal(refusal)
    except (OSError, sqlite3.Error) as error:
        print_refusal(refused("COPY_FAILED", what=str(error)))
    except KeyboardInterrupt:
        sys.stderr.write(f"{SAY['interrupted'][language]}\n")
        return EXIT_INTERRUPTED
    return EXIT_REFUSED


def _interrupt(_number: int, _frame: Any) -> NoReturn:
    raise KeyboardInterrupt


def print_refusal(refusal: BackupRefusedError) -> None:
    """Say in both languages why there is nothing."""
    sys.stderr.write(f"onshi: {refusal.reason}\n{refusal.ja}\n{refusal.en}\n")


def print_done(name: str, path: Path, manifest: Manifest, language: str) -> int:
    """Say what a backup is of, and what was wrong with the original; give the exit code."""
    console = Console(soft_wrap=True, highlight=False, markup=False)
    size = decimal(sum(entry.size_bytes for entry in manifest.files))
    console.print(say(name, language, path=path, files=len(manifest.files), size=size))
    last = tokyo_time(Instant(manifest.last_recorded_time)).isoformat()
    begun, ended = manifest.begun_time, manifest.ended_time
    console.print(say("moment", language, begun=begun, last=last, ended=ended))
    if manifest.is_feed_behind:
        console.print(say("feed_behind", language))
    for problem in manifest.problems:
        console.print(say("problem", language, what=problem))
    return EXIT_PROBLEMS if manifest.problems else EXIT_DONE


def print_cautions(manifest: Manifest, keys: Path, language: str) -> None:
    """Say what a backup opens, what it does not hold, and how to keep it."""
    console = Console(soft_wrap=True, highlight=False, markup=False)
    console.print(say("with_keys" if manifest.has_keys else "without_keys", language, keys=keys))
    for name in ("personal", "not_part"):
        console.print(say(name, language))

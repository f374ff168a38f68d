"""The screen of `onshi migrate`: a bar for each stage, and what came of it."""

from __future__ import annotations

import sys
from typing import Final

from rich.progress import TaskID

from gateway.app.move import Moved, MoveRefusedError, told
from gateway.app.move_words import SAY, say
from gateway.app.upload_screen import Bars

DIFFERENCES_SHOWN: Final = 20
"""Differences told one by one."""


class MoveScreen(Bars):
    """Bars while a move goes on; `Watching`."""

    def __init__(self, language: str) -> None:
        super().__init__(language)
        self._stage: TaskID | None = None

    def began(self, stage: str, total: int) -> None:
        """See `Watching`."""
        unit = SAY["questions" if stage.startswith("asking") else "rows"][self._language]
        self._stage = self._progress.add_task(
            SAY[stage][self._language], total=total, is_bytes=False, unit=unit
        )

    def went(self, count: int) -> None:
        """See `Watching`."""
        assert self._stage is not None
        self._progress.advance(self._stage, count)

    def paused(self, seconds: float | None) -> None:
        """See `Watching`."""
        if seconds is None:
            sentence = say("paused", self._language)
            self._progress.console.print(sentence, markup=False, highlight=False)


def print_moved(moved: Moved, language: str, *, is_to_server: bool) -> None:
    """Say what came of a move, and what to do next."""
    if moved.is_done:
        how = SAY["next_to_server" if is_to_server else "next_to_file"][language]
        lines = [
            say(
                "moved",
                language,
                rows=moved.rows,
                asked=moved.checked.asked,
                pause_s=moved.pause_s,
            ),
            say("next", language, how=how),
        ]
    else:
        differences = moved.checked.differences
        lines = [say("differs", language, count=len(differences))]
        lines += told(differences[:DIFFERENCES_SHOWN])
        if len(differences) > DIFFERENCES_SHOWN:
            lines.append(say("more", language, count=len(differences) - DIFFERENCES_SHOWN))
    sys.stdout.write("\n".join([*lines, ""]))


def print_refused(refused: MoveRefusedError, language: str) -> None:
    """Say on standard error why nothing was moved."""
    sys.stderr.write(f"onshi: {say(refused.name, language, **refused.values)}\n")

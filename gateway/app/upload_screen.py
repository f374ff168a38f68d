"""The screen of `onshi upload`: two bars while it goes on, and what came of it."""

from __future__ import annotations

import shlex
import sys
from types import TracebackType
from typing import Final, Self

from rich.console import Console
from rich.filesize import decimal
from rich.progress import (
    BarColumn,
    Progress,
    ProgressColumn,
    Task,
    TaskID,
    TaskProgressColumn,
    TextColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from rich.text import Text

from gateway.app.upload_file import Uploaded, time_text
from gateway.app.upload_words import SAY, say
from gateway.v1.coverage_pb2 import UploadReport

SPEED_S: Final = 10.0
"""The rate shown is that of the last so many seconds."""


class Amount(ProgressColumn):
    """How much is done of how much, and how much a second, in bytes or lines."""

    def render(self, task: Task) -> Text:
        """See `ProgressColumn`."""
        spelled = decimal if task.fields["is_bytes"] else "{:,}".format
        unit = "" if task.fields["is_bytes"] else task.fields["unit"]
        total = "?" if task.total is None else spelled(int(task.total))
        speed = task.finished_speed or task.speed
        rate = "" if speed is None else f"  {spelled(int(speed))}/s"
        return Text(f"{spelled(int(task.completed))}/{total}{unit}{rate}")


class Bars:
    """Bars on standard error while the block runs."""

    def __init__(self, language: str) -> None:
        self._language = language
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TaskProgressColumn(),
            Amount(),
            TimeRemainingColumn(),
            console=Console(stderr=True),
            speed_estimate_period=SPEED_S,
        )

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._progress.stop()


class UploadScreen(Bars):
    """Bars while an upload goes on; `Watching`."""

    def __init__(self, language: str, *, is_dry_run: bool) -> None:
        super().__init__(language)
        self._unit = "行" if language == "ja" else " lines"
        self._second = "rehearsing" if is_dry_run else "applying"
        self._receiving: TaskID | None = None
        self._applying: TaskID | None = None

    def received(self, bytes_done: int, bytes_total: int) -> None:
        """See `Watching`."""
        if self._receiving is None:
            self._receiving = self._task("receiving", is_bytes=True)
        self._progress.update(self._receiving, completed=bytes_done, total=bytes_total)

    def applying(self, lines_done: int, lines_total: int) -> None:
        """See `Watching`."""
        if self._applying is None:
            self._applying = self._task(self._second, is_bytes=False)
        self._progress.update(self._applying, completed=lines_done, total=lines_total or None)

    def waiting(self, seconds: float, tries: int, tries_max: int) -> None:
        """See `Watching`."""
        sentence = say("waiting", self._language, seconds=seconds, tries=tries, tries_max=tries_max)
        self._progress.console.print(sentence, markup=False, highlight=False)

    def _task(self, name: str, *, is_bytes: bool) -> TaskID:
        return self._progress.add_task(
            SAY[name][self._language], total=None, is_bytes=is_bytes, unit=self._unit
        )


def print_upload(done: Uploaded, language: str) -> None:
    """Say what came of an upload: counts, refused lines by reason, where the result file is."""
    assert done.report is not None
    report, console = done.report, Console(soft_wrap=True, highlight=False)
    if done.is_repeated:
        console.print(say("repeated", language, time=time_text(report.applied_time)))
    else:
        console.print(SAY[_what_came(report)][language], style="bold")
    counts = say(
        "counts_rehearsed" if report.is_dry_run else "counts",
        language,
        read=report.lines_read,
        applied=report.lines_applied,
        unchanged=report.lines_unchanged,
        refused=report.lines_refused,
    )
    console.print(counts)
    if done.refused_by_reason:
        table = Table(*SAY["headings"][language].split("|"))
        for reason, count in done.refused_by_reason.most_common():
            advice = done.advice[reason]
            table.add_row(f"{count:,}", reason, advice.ja if language == "ja" else advice.en)
        console.print(table)
    if report.refused_lines_kept < report.lines_refused:
        console.print(say("not_kept", language, kept=report.refused_lines_kept))
    console.print(say("result", language, path=done.wish.result_path), markup=False)


def _what_came(report: UploadReport) -> str:
    if report.is_dry_run:
        return "rehearsed"
    is_all_refused = report.lines_refused and not (report.lines_applied or report.lines_unchanged)
    return "nothing_applied" if is_all_refused else "applied"


def print_failure(done: Uploaded, language: str) -> None:
    """Say on standard error why there is no report, and how to go on."""
    if done.refusal is not None:
        said = done.refusal
        advice = said.advice_ja if language == "ja" and said.advice_ja else said.advice_en
        sys.stderr.write(f"onshi: {said.reason or said.status}: {advice}\n")
        return
    command = shlex.join(("onshi", *sys.argv[1:]))
    sentence = (
        say("gave_up", language, tries=done.tries)
        if done.tries
        else say("interrupted", language, command=command)
    )
    sys.stderr.write(f"{sentence}\n")

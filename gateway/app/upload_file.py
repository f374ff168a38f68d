"""`onshi upload` from the file to its result file: who sends it, what came of it, for the clerk."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import tempfile
from collections import Counter
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Final

from google.protobuf.timestamp_pb2 import Timestamp

from gateway.app.ask import Outcome, described, insurer_unknown, not_running
from gateway.app.upload import (
    GaveUpError,
    Patience,
    RefusedError,
    Sending,
    Source,
    Watching,
    refusal,
)
from gateway.domain.advice import Advice
from gateway.domain.coverage_lines import LineError
from gateway.domain.errors import InvalidInput
from gateway.domain.identifiers import InsurerNumber
from gateway.domain.period import Instant, tokyo_time
from gateway.formats.coverage_file import CoverageReader
from gateway.formats.result_file import ResultHead, ResultLine, ResultWriter, sender_encoding
from gateway.v1 import coverage_pb2 as pb

LINES_LOOKED_AT_MAX: Final = 100
"""Lines looked at to tell whose file it is."""

LINE_BYTES_MAX: Final = 16 * 1024

EXIT_APPLIED, EXIT_FAILED, EXIT_REFUSED, EXIT_INTERRUPTED = 0, 1, 3, 130


@dataclass(frozen=True, slots=True)
class Wish:
    """What the command line was given; what is empty is found out."""

    file: Path
    root: Path
    insurer: str = ""
    request_id: str = ""
    result: Path | None = None
    is_dry_run: bool = False

    @property
    def result_path(self) -> Path:
        """Where the result file goes: beside the file unless told."""
        kind = "dry-run" if self.is_dry_run else "result"
        return self.result or self.file.with_name(f"{self.file.stem}.{kind}.csv")


@dataclass(slots=True)
class Uploaded:
    """What came of it: a report, or what refused it; neither if it was interrupted."""

    wish: Wish
    insurer: str = ""
    report: pb.UploadReport | None = None
    refusal: Outcome | None = None
    tries: int = 0
    is_repeated: bool = False
    refused_by_reason: Counter[str] = field(default_factory=Counter)
    advice: dict[str, Advice] = field(default_factory=dict)

    @property
    def exit_code(self) -> int:
        """0 if every line was applied, 3 if some were refused, 1 for a failure, 130 for Ctrl-C."""
        if self.report is not None:
            return EXIT_REFUSED if self.report.lines_refused else EXIT_APPLIED
        return EXIT_FAILED if self.refusal is not None or self.tries else EXIT_INTERRUPTED

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        if self.report is None:
            if self.refusal is not None:
                return {"outcome": "FAILED", **self.refusal.as_dict()}
            return {"outcome": "GAVE_UP" if self.tries else "INTERRUPTED"}
        head = _head(self.report, self.insurer)
        return {
            "outcome": "REFUSED_LINES" if self.report.lines_refused else "APPLIED",
            **head._asdict(),
            "is_repeated": self.is_repeated,
            "refused_by_reason": dict(sorted(self.refused_by_reason.items())),
            "encoding": self.report.encoding,
            "result_file": str(self.wish.result_path),
        }


async def upload_file(wish: Wish, watching: Watching, patience: Patience | None = None) -> Uploaded:
    """Send a file, wait until it is applied, write its result file."""
    done = Uploaded(wish)
    try:
        description = described(wish.root)
        if description is None:
            done.refusal = not_running(wish.root)
            return done
        require_usable(wish)
        source = await asyncio.to_thread(Source.of, wish.file)
        done.insurer = insurer_of(wish, source, description)
        sending = Sending(
            wish.root,
            done.insurer,
            source,
            watching,
            wish.request_id,
            wish.is_dry_run,
            patience or Patience(),
        )
        report = await sending.report()
        await _write_result(done, sending, report)
        done.is_repeated, done.report = sending.is_repeated, report
    except RefusedError as error:
        done.refusal = error.outcome
    except GaveUpError as error:
        (done.tries,) = error.args
    except OSError as error:
        done.refusal = Outcome(
            None,
            "FAILED_PRECONDITION",
            "FILE_UNUSABLE",
            f"{error.filename} を読み書きできません。",
            f"{error.filename} cannot be read or written: {error.strerror}",
        )
    return done


def run(work: Coroutine[Any, Any, Uploaded], wish: Wish) -> Uploaded:
    """Run to the end or until Ctrl-C or SIGTERM, which leave an upload that can go on."""

    async def guarded() -> Uploaded:
        task = asyncio.ensure_future(work)
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, task.cancel)
        try:
            return await task
        except asyncio.CancelledError:
            return Uploaded(wish)

    return asyncio.run(guarded())


def require_usable(wish: Wish) -> None:
    """
    Refuse early what would fail at the end.

    Raises:
        RefusedError: `FILE_UNUSABLE`.
    """
    if not wish.file.is_file():
        raise refusal(
            "FILE_UNUSABLE",
            f"{wish.file} というファイルはありません。",
            f"{wish.file} is not a file.",
        )
    path = wish.result_path
    is_same = path.exists() and path.samefile(wish.file)
    if is_same or path.is_dir() or not os.access(path.parent, os.W_OK):
        raise refusal(
            "FILE_UNUSABLE",
            f"結果ファイル {path} を書けません。--result で別の場所を指定してください。",
            f"The result file {path} cannot be written. Name another with --result.",
        )


def insurer_of(wish: Wish, source: Source, description: dict[str, Any]) -> str:
    """
    Whose certificate to send a file with: as told, else whom its first lines name.

    Raises:
        RefusedError: `INSURER_UNKNOWN` if the sandbox has no such insurer.
    """
    insurers: dict[str, Any] = description["insurers"]
    named = _padded(wish.insurer) if wish.insurer else _first_insurer(source.beginning)
    if named in insurers:
        return named
    if not named:
        return str(description["certificates"]["insurer"]["insurer_number"])
    raise RefusedError(insurer_unknown(named, insurers))


def _padded(text: str) -> str:
    try:
        return InsurerNumber.parse(text).zero_padded
    except InvalidInput:
        return text


def _first_insurer(beginning: bytes) -> str:
    reader = CoverageReader(LINE_BYTES_MAX)
    reader.feed(beginning)
    if reader.header_error is not None or not reader.is_header_read:
        return ""
    for line in reader.take(LINES_LOOKED_AT_MAX):
        if line.said is not None and not isinstance(line.said, LineError):
            return line.said.target.insured_id.insurer_number.zero_padded
    return ""


async def _write_result(done: Uploaded, sending: Sending, report: pb.UploadReport) -> None:
    said = report.encoding if report.lines_read else ""
    spelled = ResultWriter(sender_encoding(sending.source.beginning, said))
    with _replacing(done.wish.result_path, done.wish.file) as file:
        file.write(spelled.head(_head(report, done.insurer)))
        async for line in sending.refused_lines(report):
            said_of = line.advice
            advice = Advice(said_of.ja, said_of.en, said_of.technician_ja, said_of.technician_en)
            done.refused_by_reason[line.reason] += 1
            done.advice[line.reason] = advice
            row = ResultLine(line.line_number, line.column, line.reason, advice)
            file.write(spelled.line(row))


@contextmanager
def _replacing(path: Path, like: Path) -> Iterator[IO[bytes]]:
    """Write a file beside its place and rename it at the end: nobody meets half of it."""
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    half = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        shutil.copymode(like, half)
        half.replace(path)
    except BaseException:
        half.unlink(missing_ok=True)
        raise


def _head(report: pb.UploadReport, insurer: str) -> ResultHead:
    return ResultHead(
        request_id=report.request_id,
        insurer_number=insurer,
        is_dry_run=report.is_dry_run,
        received_time=time_text(report.received_time),
        applied_time=time_text(report.applied_time),
        lines_read=report.lines_read,
        lines_applied=report.lines_applied,
        lines_unchanged=report.lines_unchanged,
        lines_refused=report.lines_refused,
        lines_listed=report.refused_lines_kept,
    )


def time_text(at: Timestamp) -> str:
    """A moment as clerks in Japan read it."""
    instant = Instant(at.seconds * 1_000_000 + at.nanos // 1000)
    return f"{tokyo_time(instant):%Y-%m-%d %H:%M:%S}"

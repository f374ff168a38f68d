"""
Have a claim file checked by a running sandbox, as its review body would, and sort what comes back.

Outcomes are written as they come, so a file of any size needs the memory of one claim. Everything
is written to a folder of another name that is renamed at the end: whoever sees the folder asked
for sees all of it. docs/claims.md describes what stands in it.
"""

from __future__ import annotations

import asyncio
import csv
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, Final

import grpc

from gateway.app.sandbox import read_description
from gateway.edges.rpc.status import DETAILS_KEY
from gateway.formats.uke import UkeHeader, UkeReader
from gateway.formats.uke_edit import file_of
from gateway.v1 import claims_pb2 as pb
from gateway.v1.claims_pb2_grpc import ClaimServiceStub

CHUNK_BYTES: Final = 256 * 1024
SILENCE_S_MAX: Final = 60.0
"""A gateway that tells of no claim for so long is given up; one may hang without closing."""

FILE_NAME: Final = "RECEIPTC.UKE"

PUBLIC_EXPENSE: Final = "public-expense"
"""The folder of claims that name no insurer."""

SUMMARY_COLUMNS: Final = (
    "line_number",
    "claim_number",
    "check_code",
    "reason",
    "written_insurer_number",
    "insurer_number",
    "explanation_ja",
)
ERROR_COLUMNS: Final = (
    "line_number",
    "claim_number",
    "record",
    "field",
    "reason",
    "advice_ja",
    "technician_ja",
)


@dataclass(frozen=True, slots=True)
class ClaimsChecked:
    """
    How a check went: claims by check code (確認区分), or one sentence why there was none.

    `file_errors` counts what is wrong outside the claims. A refused check leaves nothing behind.
    """

    counts: dict[str, int] = field(default_factory=dict)
    claims_with_errors: int = 0
    file_errors: int = 0
    refusal: str = ""


_MEANINGS: Final = {
    "02": "unchanged (変更なし)",
    "03": "not identified (確認不能)",
    "04": "moved (振替)",
    "06": "billed as written, the cover does not hold (資格喪失)",
    "09": "branch found (枝番特定)",
}


def table_of(checked: ClaimsChecked) -> str:
    """The counts of a check as lines for a screen: code, claims, meaning."""
    rows = [
        *((code, count, _MEANINGS.get(code, "")) for code, count in checked.counts.items()),
        ("-", checked.claims_with_errors, "claims with errors, see errors.csv"),
        ("-", checked.file_errors, "errors of the file, see errors.csv"),
    ]
    return "".join(f"{code:>2} {count:>9,}  {meaning}\n" for code, count, meaning in rows)


class _RefusedError(Exception):
    """Ends a check with a sentence for the user."""


async def check_file(source: Path, out: Path, directory: Path) -> ClaimsChecked:
    """
    Check a claim file with the sandbox in `directory` and write what becomes of it to `out`.

    Args:
        source: A medical claim file (RECEIPTC.UKE).

        out: The folder to write; it must not exist, or be empty.

        directory: Where the sandbox runs.
    """
    try:
        _require_usable(source, out)
        async with _channel(directory) as channel:
            with _folder_for(out) as folder:
                return await _sorted_into(folder, source, channel)
    except _RefusedError as refused:
        return ClaimsChecked(refusal=str(refused))
    except grpc.aio.AioRpcError as error:
        return ClaimsChecked(refusal=_sentence_of(error))
    except OSError as error:
        return ClaimsChecked(refusal=f"{out} cannot be written: {error.strerror}.")


def _channel(directory: Path) -> grpc.aio.Channel:
    try:
        description = read_description(directory)
    except FileNotFoundError:
        raise _RefusedError(
            f"No sandbox is running in {directory}. Start one: onshi sandbox --dir {directory}"
        ) from None
    except (ValueError, OSError):
        raise _RefusedError(f"{directory}/sandbox.json cannot be read.") from None
    try:
        address = str(description["address"])
        party = description["certificates"]["review-body"]
        ca, key, certificate = (
            Path(party[name]).read_bytes() for name in ("ca", "key", "certificate")
        )
    except (KeyError, TypeError, OSError):
        raise _RefusedError(f"{directory}/sandbox.json cannot be read.") from None
    credentials = grpc.ssl_channel_credentials(ca, key, certificate)
    return grpc.aio.secure_channel(address, credentials)


_GONE_AWAY: Final = (
    "The gateway went away before it had checked the whole file; nothing was written."
)
_GONE_CODES: Final = (
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.CANCELLED,
    grpc.StatusCode.UNKNOWN,
    grpc.StatusCode.INTERNAL,
)


def _sentence_of(error: grpc.aio.AioRpcError) -> str:
    """The gateway's own sentence; one of ours if it did not come from a gateway."""
    is_told = any(key == DETAILS_KEY for key, _ in error.trailing_metadata() or ())
    if error.code() in _GONE_CODES and not is_told:
        return _GONE_AWAY
    return error.details() or error.code().name


def _require_usable(source: Path, out: Path) -> None:
    if not source.is_file():
        raise _RefusedError(f"{source} is not a file.")
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise _RefusedError(f"{out} is there already and holds something.")


@contextmanager
def _folder_for(out: Path) -> Iterator[Path]:
    """Give a folder that becomes `out` when the block ends well; else nothing new is left."""
    absent = [parent for parent in out.parents if not parent.exists()]
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(prefix=f".{out.name}.", dir=out.parent))
        try:
            yield folder
            folder.rename(out)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
    except BaseException:
        for parent in absent:
            with suppress(OSError):
                parent.rmdir()
        raise


async def _sorted_into(folder: Path, source: Path, channel: grpc.aio.Channel) -> ClaimsChecked:
    with ExitStack() as files:
        try:
            file = files.enter_context(source.open("rb"))
        except OSError as error:
            raise _unreadable(source, error) from None
        sorter = _Sorter(folder, files)
        failed: list[OSError] = []
        try:
            call = ClaimServiceStub(channel).CheckClaims(_requests(file, failed))
            while (answer := await _next_of(call)) is not None:
                match answer.WhichOneof("step"):
                    case "header":
                        sorter.begin(answer.header)
                    case "outcome":
                        sorter.put(answer.outcome)
                    case "summary":
                        return sorter.end(answer.summary)
        except grpc.aio.AioRpcError:
            if not failed:
                raise
        if failed:
            raise _unreadable(source, failed[0])
    raise _RefusedError("The gateway ended before it had checked the whole file.")


async def _next_of(
    call: grpc.aio.StreamStreamCall[pb.CheckClaimsRequest, pb.CheckClaimsResponse],
) -> pb.CheckClaimsResponse | None:
    """What the gateway says next; None at the end."""
    try:
        answer = await asyncio.wait_for(call.read(), SILENCE_S_MAX)
    except TimeoutError:
        raise _RefusedError(_GONE_AWAY) from None
    return answer if isinstance(answer, pb.CheckClaimsResponse) else None


def _unreadable(source: Path, error: OSError) -> _RefusedError:
    return _RefusedError(f"{source} cannot be read: {error.strerror}.")


async def _requests(file: BinaryIO, failed: list[OSError]) -> AsyncIterator[pb.CheckClaimsRequest]:
    """
    Send the file; without a finish where reading it fails.

    grpc takes these in a task of its own and tells nobody what is raised here, so `failed` does.
    """
    try:
        while data := file.read(CHUNK_BYTES):
            yield pb.CheckClaimsRequest(chunk=pb.ClaimFileChunk(data=data))
    except OSError as error:
        failed.append(error)
        return
    yield pb.CheckClaimsRequest(finish=pb.ClaimFileFinish())


class _Sorter:
    """Writes outcomes to the file of the insurer to bill, and to the two lists."""

    def __init__(self, folder: Path, files: ExitStack) -> None:
        self._folder = folder
        self._header: UkeHeader | None = None
        self._totals: dict[Path, tuple[int, int]] = {}
        self._summary = _table(folder / "summary.csv", SUMMARY_COLUMNS, files)
        self._errors = _table(folder / "errors.csv", ERROR_COLUMNS, files)

    def begin(self, header: pb.ClaimFileHeader) -> None:
        """Every file written begins with the header of the one read."""
        (read,) = UkeReader().feed(header.record)
        assert isinstance(read, UkeHeader)
        self._header = read

    def put(self, outcome: pb.ClaimOutcome) -> None:
        """Write one claim where it goes; one with errors goes nowhere."""
        self._tell_errors(outcome.errors, str(outcome.claim_number or ""))
        if not outcome.check_code:
            return
        if self._header is None:
            raise _RefusedError("The file has no header (IR) that can be read.")
        self._summary.writerow(
            (
                outcome.line_number,
                outcome.claim_number,
                outcome.check_code,
                outcome.reason,
                outcome.written_insurer_number,
                outcome.insurer_number,
                outcome.explanation_ja,
            )
        )
        insurer = outcome.insurer_number or PUBLIC_EXPENSE
        path = self._folder / ("moved" if outcome.is_moved else "billed") / insurer / FILE_NAME
        if path not in self._totals:
            path.parent.mkdir(parents=True)
            head, *_ = file_of(self._header, (), claim_count=0, points=0)
            path.write_bytes(head)
        with path.open("ab") as file:
            file.write(outcome.records)
        claims, points = self._totals.get(path, (0, 0))
        # Files of moved claims say 0 and 0 (claims-furikae.md 0 fact 9).
        is_counted = not outcome.is_moved
        self._totals[path] = (
            claims + outcome.claim_count * is_counted,
            points + outcome.points * is_counted,
        )

    def end(self, summary: pb.ClaimFileSummary) -> ClaimsChecked:
        """Put the totals behind the claims, and count."""
        self._tell_errors(summary.file_errors, "")
        for path, (claims, points) in self._totals.items():
            assert self._header is not None
            _, *tail = file_of(self._header, (), claim_count=claims, points=points)
            with path.open("ab") as file:
                file.writelines(tail)
        return ClaimsChecked(
            {count.check_code: count.claims for count in summary.counts},
            summary.claims_with_errors,
            len(summary.file_errors),
        )

    def _tell_errors(self, errors: Iterable[pb.ClaimFileError], claim_number: str) -> None:
        for error in errors:
            self._errors.writerow(
                (
                    error.line_number,
                    claim_number,
                    error.record,
                    error.field,
                    error.reason,
                    error.advice.ja,
                    error.advice.technician_ja,
                )
            )


def _table(path: Path, columns: tuple[str, ...], files: ExitStack) -> Any:
    """Open a CSV file that spreadsheets read as UTF-8."""
    file = files.enter_context(path.open("w", encoding="utf-8-sig", newline=""))
    writer = csv.writer(file)
    writer.writerow(columns)
    return writer

"""
A medical claim file (医科, RECEIPTC.UKE) read as a stream: header, claims, total.

Bytes come in any pieces and are held only as long as the claim they belong to. No bytes make it
raise: what is wrong is an error with its line, and a claim with errors does not stop the file.
docs/uke.md describes what is read. Sources: claims-furikae.md 1.1, 1.2, 1.11.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import astuple, dataclass
from itertools import islice
from typing import Final

from gateway.domain.coverage_lines import RawLine
from gateway.domain.errors import Refusal
from gateway.domain.identifiers import InstitutionCode
from gateway.formats.lines import LineSplitter
from gateway.formats.uke_claim import (
    INSURANCE,
    SN_CODE,
    claim_of,
    errors_among,
    first,
    payment_of,
)
from gateway.formats.uke_records import (
    LINE_END,
    Record,
    UkeClaim,
    UkeError,
    UkeHeader,
    UkeItem,
    UkeTotal,
    read_record,
)
from gateway.formats.uke_tables import place_of

__all__ = [
    "Record",
    "UkeClaim",
    "UkeError",
    "UkeHeader",
    "UkeItem",
    "UkeLimits",
    "UkeReader",
    "UkeTotal",
]

END_MARK: Final = b"\x1a"

MOVED_CODES: Final = frozenset({"04", "05", "11", "12"})
"""確認区分 of claims the review body moved or split; their files have 0 and 0 in GO."""

_MOVED_CELLS: Final = frozenset((code,) for code in MOVED_CODES)
_IR_CODE: Final = slice(place_of("IR", "都道府県"), place_of("IR", "医療機関コード") + 1)
_IR_MONTH: Final = place_of("IR", "請求年月")
_GO_CLAIMS: Final = place_of("GO", "総件数")
_GO_POINTS: Final = place_of("GO", "総合計点数")


@dataclass(frozen=True)
class UkeLimits:
    """
    How much of a file is kept at a time, and how much is told.

    Beyond `records_per_claim_max` records or `claim_bytes_max` bytes, line ends included, a
    claim's records are dropped, beyond `claims_max` claims the rest of the claims; each is an
    error. Errors beyond theirs are not told. Reading takes up to some 25 times a claim's bytes.
    """

    record_bytes_max: int = 4_096
    records_per_claim_max: int = 5_000
    claim_bytes_max: int = 2 * 1024**2
    claims_max: int = 999_999
    errors_per_claim_max: int = 100
    file_errors_max: int = 1_000

    def __post_init__(self) -> None:
        assert min(astuple(self)) > 0


DEFAULT_LIMITS: Final = UkeLimits()


class _OpenClaim:
    """A claim whose records are still coming."""

    def __init__(self, limits: UkeLimits) -> None:
        self._limits = limits
        self._bytes = 0
        self.records: list[Record] = []
        self.errors: list[UkeError] = []
        self.is_whole = True

    def add(self, record: Record, errors: list[UkeError]) -> None:
        self._bytes += len(record.raw) + len(LINE_END)
        is_too_large = self._bytes > self._limits.claim_bytes_max
        if len(self.records) < self._limits.records_per_claim_max and not is_too_large:
            self.records.append(record)
            self.wrong(errors)
        else:
            self.lose(record.line_number, record.kind, "RECORDS_TOO_MANY")

    def lose(self, line_number: int, kind: str, reason: str) -> None:
        """Say once that a record could not be kept; the claim is not judged as a whole then."""
        if self.is_whole:
            self.is_whole = False
            self.wrong([UkeError(line_number, kind, "", reason)])

    def wrong(self, errors: Iterable[UkeError]) -> None:
        room = self._limits.errors_per_claim_max - len(self.errors)
        self.errors.extend(islice(errors, room))

    def closed(self, previous_number: int) -> UkeClaim:
        """Read the claim; unless it was moved, its number is larger than the previous one."""
        claim = UkeClaim(tuple(self.records), None, ())
        if self.is_whole:
            self.wrong(errors_among(self.records))
        if claim.number is not None and claim.number <= previous_number and not _is_moved(claim):
            line_number = self.records[0].line_number
            self.wrong([UkeError(line_number, "RE", "レセプト番号", "RECORD_ORDER_WRONG")])
        said = None
        if not self.errors:
            said, errors = claim_of(self.records)
            self.wrong(errors)
        return UkeClaim(claim.records, said, tuple(self.errors))


class _Tally:
    """What GO must say after the claims seen."""

    def __init__(self) -> None:
        self.payers = 0
        self.points = 0
        self.is_known = True
        self.is_all_moved = True

    def add(self, claim: UkeClaim, *, is_whole: bool) -> None:
        payment = payment_of(claim.records)
        self.payers += payment.payers
        self.points += payment.points or 0
        self.is_known &= is_whole and payment.points is not None
        self.is_all_moved &= _is_moved(claim)


def _is_moved(claim: UkeClaim) -> bool:
    check = first(claim.records, "SN", INSURANCE)
    return check is not None and check.fields[SN_CODE : SN_CODE + 1] in _MOVED_CELLS


class UkeReader:
    """
    Reads a file piece by piece; the items are the same however it is cut.

    Each item is given as soon as it is complete: a claim when the record after it is seen.
    """

    def __init__(self, limits: UkeLimits = DEFAULT_LIMITS) -> None:
        self._limits = limits
        self._lines = LineSplitter(limits.record_bytes_max)
        self._items: list[UkeItem] = []
        self._line_number = 1
        self._is_header_due = True
        self._is_total_seen = False
        self._is_ended = False
        self._is_over = False
        self._open: _OpenClaim | None = None
        self._tally = _Tally()
        self._claims = 0
        self._number = 0
        self._file_errors = 0

    def feed(self, data: bytes) -> list[UkeItem]:
        """Take the next bytes and give what they complete."""
        for line in self._lines.feed(data):
            self._take(line)
        return self._given()

    def finish(self) -> list[UkeItem]:
        """Say that the file ends here, and give what is left."""
        for line in self._lines.finish():
            self._take(line)
        self._close_claim()
        if self._is_header_due:
            self._wrong("IR", "RECORD_MISSING")
        if not self._is_total_seen:
            self._wrong("GO", "RECORD_MISSING")
        if not self._is_ended:
            self._wrong("", "END_MARK_MISSING")
        return self._given()

    def _given(self) -> list[UkeItem]:
        items, self._items = self._items, []
        return items

    def _wrong(self, record: str, reason: str, field: str = "") -> None:
        """Note what is wrong with the file, at the line read last."""
        self._tell([UkeError(self._line_number, record, field, reason)])

    def _tell(self, errors: list[UkeError]) -> None:
        room = max(self._limits.file_errors_max - self._file_errors, 0)
        self._items.extend(errors[:room])
        self._file_errors += len(errors)

    def _take(self, line: RawLine) -> None:
        """Take a line; after the end mark, which is told with it, there is nothing to read."""
        if self._is_ended:
            return
        self._line_number = line.line_number
        if line.body is None:
            self._lose()
            return
        line_end_bytes = line.next_offset - line.offset - len(line.body)
        if line.body.startswith(END_MARK):
            self._end(line.body, line_end_bytes)
            return
        raw = line.body if line_end_bytes else line.body.rstrip(END_MARK)
        record, errors = read_record(line.line_number, raw)
        if line_end_bytes != len(LINE_END):
            errors.append(UkeError(line.line_number, record.kind, "", "LINE_END_WRONG"))
        self._put(record, errors)
        if raw != line.body:
            self._end(line.body.removeprefix(raw), line_end_bytes)

    def _lose(self) -> None:
        """A line was too long to keep, so nobody knows what it was."""
        self._is_header_due = False
        self._tally.is_known = False
        if self._open is not None:
            self._open.lose(self._line_number, "", "RECORD_TOO_LONG")
        else:
            self._wrong("", "RECORD_TOO_LONG")

    def _end(self, body: bytes, line_end_bytes: int) -> None:
        self._close_claim()
        self._is_ended = True
        if line_end_bytes or body.strip(END_MARK):
            self._wrong("", "TEXT_AFTER_END")
        elif body != END_MARK:
            self._wrong("", "END_MARK_REPEATED")

    def _put(self, record: Record, errors: list[UkeError]) -> None:
        """Put a record where it belongs: the header, a claim, or the total."""
        if self._is_header_due:
            self._is_header_due = False
            if record.kind == "IR":
                self._header(record, errors)
                return
            self._wrong("IR", "RECORD_MISSING")
        if self._is_total_seen or record.kind == "IR":
            self._close_claim()
            self._wrong(record.kind, "RECORD_ORDER_WRONG")
        elif record.kind == "GO":
            self._close_claim()
            self._total(record, errors)
        elif record.kind == "RE":
            self._close_claim()
            self._begin(record, errors)
        elif self._open is not None:
            self._open.add(record, errors)
        elif not self._is_over:
            self._wrong(record.kind, "RECORD_ORDER_WRONG" if record.kind else "RECORD_UNKNOWN")

    def _header(self, record: Record, errors: list[UkeError]) -> None:
        if errors:
            self._tell(errors)
            return
        fields = record.fields
        try:
            code = InstitutionCode.parse("".join(fields[_IR_CODE])).digits
        except Refusal as refusal:
            self._wrong("IR", refusal.reason, "医療機関コード")
            return
        self._items.append(UkeHeader(record, code, fields[_IR_MONTH]))

    def _begin(self, record: Record, errors: list[UkeError]) -> None:
        if self._is_over:
            return
        if self._claims == self._limits.claims_max:
            self._is_over = True
            self._tally.is_known = False
            self._wrong("RE", "CLAIMS_TOO_MANY")
            return
        self._claims += 1
        self._open = _OpenClaim(self._limits)
        self._open.add(record, errors)

    def _close_claim(self) -> None:
        if self._open is None:
            return
        claim = self._open.closed(self._number)
        self._number = claim.number or self._number
        self._tally.add(claim, is_whole=self._open.is_whole)
        self._items.append(claim)
        self._open = None

    def _total(self, record: Record, errors: list[UkeError]) -> None:
        self._is_total_seen = True
        if errors:
            self._tell(errors)
            return
        claims, points = int(record.fields[_GO_CLAIMS]), int(record.fields[_GO_POINTS])
        self._items.append(UkeTotal(record, claims, points))
        tally = self._tally
        if not tally.is_known or (tally.is_all_moved and claims == points == 0):
            return
        if claims != tally.payers:
            self._wrong("GO", "TOTALS_WRONG", "総件数")
        if points != tally.points:
            self._wrong("GO", "TOTALS_WRONG", "総合計点数")

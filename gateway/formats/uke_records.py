"""
One line of a claim file as a record, what is wrong with it, and what a file is read as.

A record keeps its bytes; nothing here knows what stands before or after it. Errors name the
official column and never repeat a value. Sources: claims-furikae.md 1.1 and 3.5.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, NamedTuple

from gateway.domain.claims import Claim
from gateway.domain.errors import Refusal
from gateway.domain.period import parse_day
from gateway.formats.uke_tables import (
    CHARACTERS,
    KINDS,
    LAYOUTS,
    LEGIBLE,
    Content,
    Field,
    Mode,
    pattern_of,
)

CODE_PAGE: Final = "cp932"
LINE_END: Final = b"\r\n"
FIELDS_KEPT_MAX: Final = 64
"""Fields of a record that are kept apart; more than any layout has, so that none gets by."""
NUMBER: Final = 1
"""Where RE has its レセプト番号."""


class Record(NamedTuple):
    """
    A line of a file: number from 1, kind, bytes without CRLF, fields; `fields[0]` is the kind.

    `kind` is empty for one we do not know. `fields` is the kind alone if the line is not cp932,
    and stops at 64; no layout has more.
    """

    line_number: int
    kind: str
    raw: bytes
    fields: tuple[str, ...]


class UkeError(NamedTuple):
    """
    What is wrong in a file; a value, because reading goes on.

    `record` is a record id and `field` an official column name; empty where the whole file or
    the whole record is meant. `reason` is a key of `gateway.domain.reasons`.
    """

    line_number: int
    record: str
    field: str
    reason: str


@dataclass(frozen=True)
class UkeHeader:
    """Who sends the file (IR): ten digits of the institution, and the month billed, YYYYMM."""

    record: Record
    institution_code: str
    billing_month: str


@dataclass(frozen=True)
class UkeClaim:
    """One claim: its records as they came, what it says; None exactly if something is wrong."""

    records: tuple[Record, ...]
    claim: Claim | None
    errors: tuple[UkeError, ...]

    @property
    def encoded(self) -> bytes:
        """The bytes of all records, each with CRLF, as they came."""
        return b"".join(record.raw + LINE_END for record in self.records)

    @property
    def number(self) -> int | None:
        """レセプト番号, or None if it cannot be read."""
        fields = self.records[0].fields
        if len(fields) <= NUMBER or re.fullmatch("0|[1-9][0-9]{0,5}", fields[NUMBER]) is None:
            return None
        return int(fields[NUMBER])


@dataclass(frozen=True)
class UkeTotal:
    """The last record (GO): how many payers' claims the file says it has, and their points."""

    record: Record
    claims: int
    points: int


UkeItem = UkeHeader | UkeClaim | UkeTotal | UkeError


def kind_of(raw: bytes) -> str:
    """The record id a line begins with; empty if it is none of ours."""
    kind = raw[:3].partition(b",")[0].decode("ascii", "replace")
    return kind if kind in KINDS else ""


def read_record(line_number: int, raw: bytes) -> tuple[Record, list[UkeError]]:
    """Take a line apart and check every field against its table."""
    kind = kind_of(raw)
    try:
        text = raw.decode(CODE_PAGE)
    except UnicodeDecodeError:
        record = Record(line_number, kind, raw, (kind,))
        return record, [UkeError(line_number, kind, "", "ENCODING_WRONG")]
    record = Record(line_number, kind, raw, tuple(text.split(",")[:FIELDS_KEPT_MAX]))
    layout = LAYOUTS.get(kind)
    if layout is None:
        return record, list(_wrong_without_table(record, text))
    if layout.pattern.fullmatch(text) is None:
        return record, list(_wrong_fields(record))
    return record, [error for place in layout.days for error in _wrong_day(record, place)]


def _wrong_without_table(record: Record, text: str) -> Iterator[UkeError]:
    if not record.kind:
        yield UkeError(record.line_number, "", "", "RECORD_UNKNOWN")
    elif '"' in text:
        yield UkeError(record.line_number, record.kind, "", "QUOTE_FORBIDDEN")
    elif LEGIBLE.fullmatch(text) is None:
        yield UkeError(record.line_number, record.kind, "", "FORMAT_WRONG")


def _wrong_fields(record: Record) -> Iterator[UkeError]:
    """Find which fields keep a line from matching its layout."""
    layout = LAYOUTS[record.kind]
    if b'"' in record.raw:
        yield UkeError(record.line_number, record.kind, "", "QUOTE_FORBIDDEN")
        return
    if len(record.fields) != len(layout.fields):
        yield UkeError(record.line_number, record.kind, "", "FIELD_COUNT_WRONG")
        return
    for place, (field, text) in enumerate(zip(layout.fields, record.fields, strict=True)):
        if re.fullmatch(pattern_of(field), text) is None:
            reason = _reason(field, text)
            yield UkeError(record.line_number, record.kind, field.label, reason)
        elif place in layout.days:
            yield from _wrong_day(record, place)


def _reason(field: Field, text: str) -> str:
    """Why a text does not fit its field, the plainest reason first."""
    if not text:
        return "FIELD_REQUIRED"
    modes = (Mode.ALPHANUMERIC, Mode.KANJI) if field.mode is Mode.EITHER else (field.mode,)
    bare = text.replace(".", "") if field.content is Content.DECIMAL else text
    of_mode = [mode for mode in modes if re.fullmatch(f"{CHARACTERS[mode]}*", bare)]
    if not of_mode:
        return "FORMAT_WRONG"
    size = len(text) * (2 if Mode.KANJI in of_mode else 1)
    if field.is_fixed and size != field.bytes_max:
        return "LENGTH_WRONG"
    if size > field.bytes_max:
        return "TOO_LONG"
    return "CODE_UNKNOWN" if field.codes else "FORMAT_WRONG"


def _wrong_day(record: Record, place: int) -> Iterator[UkeError]:
    text = record.fields[place]
    if not text:
        return
    field = LAYOUTS[record.kind].fields[place]
    try:
        parse_day(f"{text}01" if field.content is Content.MONTH else text)
    except Refusal:
        yield UkeError(record.line_number, record.kind, field.label, "DATE_WRONG")

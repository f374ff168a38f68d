"""
The result file of an upload (結果ファイル): counts at its top, then a row for each refused line.

It is CSV with CRLF in the encoding of the file it is about, so that it opens where that one was
written. It repeats no cell, because cells are somebody's data. docs/upload.md describes it.
"""

from __future__ import annotations

import codecs
from typing import Final, NamedTuple

from gateway.domain.advice import Advice
from gateway.formats.coverage_columns import COLUMNS
from gateway.formats.coverage_csv import csv_row
from gateway.formats.coverage_file import CP932, UTF_8, encoding_of

UTF_8_SIGNED: Final = "utf-8-sig"
"""UTF-8 with a byte order mark."""

HEAD_COLUMNS: Final = ("item", "value", "item_ja")
LINE_COLUMNS: Final = (
    "line_number",
    "column",
    "column_ja",
    "reason",
    "clerk_ja",
    "clerk_en",
    "engineer_ja",
    "engineer_en",
)


class ResultHead(NamedTuple):
    """What stands at the top; times are spelled already, `lines_listed` counts the rows below."""

    request_id: str
    insurer_number: str
    is_dry_run: bool
    received_time: str
    applied_time: str
    lines_read: int
    lines_applied: int
    lines_unchanged: int
    lines_refused: int
    lines_listed: int


_LABELS_JA: Final = {
    "request_id": "受付番号",
    "insurer_number": "保険者番号",
    "is_dry_run": "予行 (登録しない)",
    "received_time": "受信完了日時",
    "applied_time": "処理完了日時",
    "lines_read": "読み取った行数",
    "lines_applied": "登録した行数",
    "lines_unchanged": "変更のなかった行数",
    "lines_refused": "拒否した行数",
    "lines_listed": "下に記載した行数",
}


class ResultLine(NamedTuple):
    """A refused line; `column` is empty if the line as a whole is meant."""

    line_number: int
    column: str
    reason: str
    advice: Advice


class ResultWriter:
    """
    Spells a result file piece by piece; what its encoding cannot spell becomes a question mark.

    Args:
        encoding: As `sender_encoding` gives it.
    """

    def __init__(self, encoding: str) -> None:
        self._encoder = codecs.getincrementalencoder(encoding)(errors="replace")

    def head(self, head: ResultHead) -> bytes:
        """The counts, an empty line, and the names of the columns below; must come first."""
        rows = [csv_row(HEAD_COLUMNS)]
        for item, value in head._asdict().items():
            spelled = str(int(value) if isinstance(value, bool) else value)
            rows.append(csv_row((item, spelled, _LABELS_JA[item])))
        return self._encoder.encode("".join((*rows, "\r\n", csv_row(LINE_COLUMNS))))

    def line(self, line: ResultLine) -> bytes:
        """The row of a refused line."""
        column = COLUMNS.get(line.column)
        advice = line.advice
        return self._encoder.encode(
            csv_row(
                (
                    str(line.line_number),
                    line.column,
                    column.label_ja if column else "",
                    line.reason,
                    advice.ja,
                    advice.en,
                    advice.technician_ja,
                    advice.technician_en,
                )
            )
        )


def sender_encoding(beginning: bytes, said: str) -> str:
    """
    Tell the encoding to answer a file in; UTF-16, which no line is read in, is answered in UTF-8.

    Args:
        beginning: The first bytes of the file.

        said: The encoding the gateway read it in; empty if it read no line.
    """
    if beginning.startswith((codecs.BOM_UTF8, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return UTF_8_SIGNED
    if said in (UTF_8, CP932):
        return said
    for line in beginning.split(b"\n"):
        if not line.isascii():
            return encoding_of(line) or UTF_8
    return UTF_8

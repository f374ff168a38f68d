"""The result file: its bytes in each encoding, and every reason spelled in all of them."""

from __future__ import annotations

import codecs
import csv
import io
from pathlib import Path

import pytest

from gateway.domain.advice import Advice
from gateway.domain.reasons import REASONS
from gateway.formats.result_file import (
    HEAD_COLUMNS,
    LINE_COLUMNS,
    ResultHead,
    ResultLine,
    ResultWriter,
    sender_encoding,
)

GOLDEN = Path(__file__).parent / "golden" / "result"
ENCODINGS = ["utf-8", "utf-8-sig", "cp932"]
HEAD = ResultHead(
    request_id="file-0123456789abcdef",
    insurer_number="06990014",
    is_dry_run=False,
    received_time="2026-04-15 09:00:00",
    applied_time="2026-04-15 09:00:02",
    lines_read=5,
    lines_applied=2,
    lines_unchanged=1,
    lines_refused=2,
    lines_listed=2,
)
UNSPELLABLE = Advice("髙﨑は書けるが𠮟は書けません。", "No 𠮟.", "コード、表", 'A, "quoted" word.')
LINES = [
    ResultLine(3, "sex", "CODE_UNKNOWN", REASONS["CODE_UNKNOWN"]),
    ResultLine(6, "", "COLUMN_COUNT_WRONG", UNSPELLABLE),
]


def spelled(encoding: str, lines: list[ResultLine]) -> bytes:
    """A whole result file."""
    writer = ResultWriter(encoding)
    return writer.head(HEAD) + b"".join(map(writer.line, lines))


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_result_file_is_as_its_golden_file(encoding: str) -> None:
    """Counts, an empty line, the refused lines; what cp932 cannot spell is a question mark."""
    assert spelled(encoding, LINES) == (GOLDEN / f"{encoding}.csv").read_bytes()


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_every_reason_can_be_spelled(encoding: str) -> None:
    """Nothing is lost of any advice, in either language, for the clerk and for the engineer."""
    lines = [ResultLine(n, "name", reason, REASONS[reason]) for n, reason in enumerate(REASONS, 2)]
    text = spelled(encoding, lines).decode(encoding)
    counts, _, table = text.partition("\r\n\r\n")
    head = {row["item"]: row["value"] for row in csv.DictReader(io.StringIO(counts))}
    assert counts.splitlines()[0] == ",".join(HEAD_COLUMNS)
    assert head == {name: str(int(v) if v is False else v) for name, v in HEAD._asdict().items()}
    rows = list(csv.reader(io.StringIO(table)))
    header, *found = rows
    assert header == list(LINE_COLUMNS)
    for one, row in zip(lines, found, strict=True):
        ja, en, technician_ja, technician_en = one.advice
        expected = ["name", "氏名", one.reason, ja, en, technician_ja, technician_en]
        # cp932 has one wave dash where Unicode has two.
        expected = [text.encode(encoding).decode(encoding) for text in expected]
        assert row == [str(one.line_number), *expected]


@pytest.mark.parametrize(
    ("beginning", "said", "encoding"),
    [
        (codecs.BOM_UTF8 + b"action", "utf-8", "utf-8-sig"),
        (b"action", "cp932", "cp932"),
        (b"action", "utf-8", "utf-8"),
        ("処理区分".encode("cp932"), "", "cp932"),
        ("action\n処理区分".encode(), "", "utf-8"),
        (codecs.BOM_UTF16_LE + b"a\0", "", "utf-8-sig"),
        (b"", "", "utf-8"),
    ],
)
def test_the_senders_encoding_is_kept(beginning: bytes, said: str, encoding: str) -> None:
    """By the byte order mark, by what was read, or by a look at a file nobody could read."""
    assert sender_encoding(beginning, said) == encoding

"""
The coverage file as bytes: its lines read from any place on.

It is read line by line, in UTF-8 or cp932, and no bytes make it raise: a bad line is a
`LineError`. docs/coverage-file.md describes it.
"""

from __future__ import annotations

import codecs
from collections import deque
from typing import Final

from gateway.domain.changes import Change
from gateway.domain.coverage_lines import DecodedLine, LineError, RawLine
from gateway.domain.errors import Refusal
from gateway.domain.line_order import Place
from gateway.formats.coverage_csv import Header, cells_of, decode_header, decode_line
from gateway.formats.coverage_place import Places
from gateway.formats.lines import LineSplitter

UTF_8: Final = "utf-8"
CP932: Final = "cp932"
"""Shift_JIS as Windows writes it."""

_SURELY_JAPANESE: Final = "\u0800"
"""Every Japanese character of UTF-8 has three bytes; pairs of half-width kana in cp932 have two."""


class CoverageReader:
    """
    Reads a coverage file piece by piece, from its beginning or from any line on.

    The encoding is that of the byte order mark or else of the first line that is not ASCII; it
    is part of what a reader must be given to go on (`encoding`, empty while open), so that a
    file is read the same however often reading is interrupted. Lines are decoded when taken.
    """

    def __init__(self, line_bytes_max: int) -> None:
        self._line_bytes_max = line_bytes_max
        self._splitter = LineSplitter(line_bytes_max)
        self._lines: deque[RawLine] = deque()
        self._header: Header | None = None
        self._places: Places | None = None
        self.encoding = ""
        self.header_error: LineError | None = None
        self.is_ended = False

    @property
    def offset(self) -> int:
        """Where in the file the bytes to feed next begin."""
        return self._splitter.offset

    @property
    def waiting(self) -> int:
        """How many lines can be taken."""
        return len(self._lines)

    @property
    def is_header_read(self) -> bool:
        """Whether the header row is known, good or bad."""
        return self._header is not None or self.header_error is not None

    def feed(self, data: bytes) -> None:
        """Take the next bytes of the file."""
        self._add(self._splitter.feed(data))

    def finish(self) -> None:
        """Say that the file ends here."""
        self._add(self._splitter.finish())
        self.is_ended = True
        if not self.is_header_read:
            self.header_error = LineError(1, "", "HEADER_WRONG")

    def take(self, lines_max: int) -> list[DecodedLine]:
        """Give up to so many lines."""
        return [self.decoded(line) for line in self.take_raw(lines_max)]

    def take_raw(self, lines_max: int) -> list[RawLine]:
        """Give up to so many lines as they came; `decoded` reads them, in any order."""
        count = min(lines_max, len(self._lines))
        return [self._lines.popleft() for _ in range(count)]

    def place(self, line: RawLine) -> Place | None:
        """
        Give what the order of effects needs of a line; None if it cannot be read or is empty.

        Asked of every line in turn, this also settles the encoding.
        """
        assert self._places is not None
        text = self._text(line)
        cells = cells_of(text) if text else None
        return None if cells is None else self._places.of(cells)

    def _add(self, lines: list[RawLine]) -> None:
        if lines and not self.is_header_read:
            self._read_header(lines.pop(0))
        self._lines.extend(lines)

    def _read_header(self, line: RawLine) -> None:
        body = line.body or b""
        if body.startswith(codecs.BOM_UTF8):
            self.encoding = UTF_8
            body = body.removeprefix(codecs.BOM_UTF8)
        try:
            self._header = decode_header(body.decode("ascii"))
            self._places = Places(self._header.columns)
        except UnicodeDecodeError:
            self.header_error = LineError(1, "", "HEADER_WRONG")
        except Refusal as refusal:
            self.header_error = LineError(1, refusal.field, refusal.reason)

    def decoded(self, line: RawLine) -> DecodedLine:
        """Read a line of this file."""
        return DecodedLine(line.line_number, line.next_offset, self._said(line))

    def _said(self, line: RawLine) -> Change | LineError | None:
        assert self._header is not None
        if line.body is None:
            return LineError(line.line_number, "", "LINE_TOO_LONG")
        if not line.body:
            return None
        text = self._text(line)
        if text is None:
            return LineError(line.line_number, "", "ENCODING_WRONG")
        return decode_line(self._header, line.line_number, text)

    def _text(self, line: RawLine) -> str | None:
        """The text of a line; None if it has none in the file's encoding."""
        body = line.body or b""
        if not self.encoding and not body.isascii():
            self.encoding = encoding_of(body)
        try:
            return body.decode(self.encoding or "ascii")
        except UnicodeDecodeError:
            return None


def encoding_of(body: bytes) -> str:
    """Tell the encoding of a line that is not ASCII; empty if it is neither."""
    texts = {}
    for encoding in (UTF_8, CP932):
        try:
            texts[encoding] = body.decode(encoding)
        except UnicodeDecodeError:
            continue
    if UTF_8 in texts and max(texts[UTF_8]) >= _SURELY_JAPANESE:
        return UTF_8
    return CP932 if CP932 in texts else UTF_8 if UTF_8 in texts else ""

"""The coverage file's reader as the fuzzer drives it: pieces in, everything decoded out."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from gateway.domain.coverage_lines import DecodedLine, LineError
from gateway.formats.coverage_file import CoverageReader

LINE_BYTES_MAX: Final = 512
LINES_AT_ONCE: Final = 7


def decode_all(pieces: Iterable[bytes]) -> tuple[str, LineError | None, list[DecodedLine]]:
    """Give the encoding, what is wrong with the header, and every line."""
    reader = CoverageReader(LINE_BYTES_MAX)
    lines: list[DecodedLine] = []
    for piece in pieces:
        reader.feed(piece)
    reader.finish()
    while reader.header_error is None and reader.waiting:
        lines.extend(reader.take(LINES_AT_ONCE))
    return reader.encoding, reader.header_error, lines

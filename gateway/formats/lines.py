"""
Cutting a stream of bytes into lines, whatever pieces it comes in.

A line ends at LF or CRLF, always, inside quotes too: no cell of our layouts may hold a line
break, and so a quote that somebody forgot harms its own line and not the rest of the file. In
UTF-8 and cp932 the byte LF is never part of another character.
"""

from __future__ import annotations

from gateway.domain.coverage_lines import RawLine


class LineSplitter:
    """
    Cuts bytes into lines and never holds more than one line that is not complete.

    Args:
        line_bytes_max: Longest line kept, line end not counted.

        offset: Where in the file the first byte fed belongs.

        line_number: The number of the line that begins there.
    """

    def __init__(self, line_bytes_max: int, offset: int = 0, line_number: int = 1) -> None:
        self._line_bytes_max = line_bytes_max
        self._start = offset
        self._line_number = line_number
        self._held = bytearray()
        self._size = 0

    @property
    def offset(self) -> int:
        """Where the next byte to feed belongs."""
        return self._start + self._size

    def feed(self, data: bytes) -> list[RawLine]:
        """Take the next bytes and give the lines they complete."""
        *ends, rest = data.split(b"\n")
        lines = []
        for end in ends:
            self._hold(end)
            lines.append(self._line(line_end_bytes=1))
        self._hold(rest)
        return lines

    def finish(self) -> list[RawLine]:
        """Give the last line if the file does not end in a line end; else nothing."""
        return [self._line(line_end_bytes=0)] if self._size else []

    def _hold(self, piece: bytes) -> None:
        """Keep a piece of a line; one byte over the bound is kept, it may be a CR."""
        room = self._line_bytes_max + 1 - len(self._held)
        self._held += piece[:room]
        self._size += len(piece)

    def _line(self, *, line_end_bytes: int) -> RawLine:
        kept = len(self._held) == self._size
        body = bytes(self._held).removesuffix(b"\r") if line_end_bytes else bytes(self._held)
        next_offset = self._start + self._size + line_end_bytes
        line = RawLine(
            self._line_number,
            self._start,
            next_offset,
            body if kept and len(body) <= self._line_bytes_max else None,
        )
        self._held.clear()
        self._size = 0
        self._start = next_offset
        self._line_number += 1
        return line

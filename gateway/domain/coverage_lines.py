"""
A line of an insurer's file, once read: what it says, or why it cannot be understood.

The format gives these and the use case takes them, so that neither knows the other.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from msgspec import Struct

from gateway.domain.changes import Change


class RawLine(NamedTuple):
    """
    A line as it came, without its line end; `body` None is one that was too long to keep.

    `line_number` counts from 1, `offset` and `next_offset` are places in the file in bytes.
    """

    line_number: int
    offset: int
    next_offset: int
    body: bytes | None


@dataclass(frozen=True, slots=True)
class LineError:
    """
    Why a line is refused; a value, because a batch reads on.

    `line_number` counts the header as 1. `column` is empty if the line as a whole is meant.
    `reason` is a key of `gateway.domain.reasons`.
    """

    line_number: int
    column: str
    reason: str


class DecodedLine(Struct, frozen=True):
    """
    One line of a coverage file.

    `next_offset` is where the line after it begins, in bytes of the file. An empty line says
    nothing: its `said` is None.
    """

    line_number: int
    next_offset: int
    said: Change | LineError | None

"""
Receipt computers as they are found beside the drop folders, each with habits of its own.

They differ in how they write a request (in pieces, or elsewhere and then moved), in what they
write (encoding, form of the name), and in how they notice and treat the answer. What they have in
common is patience: a folder that is away or full is tried again.
Habits: oqs-interface.md 1.2, 1.4, 1.6, 5.19 and 5.20.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from itertools import cycle, product
from pathlib import Path
from typing import Final, Literal

from simulators.clinic import FileEncoding, encoded_xml, request_xml
from simulators.people import Card

Way = Literal["whole", "pieces", "moved"]
"""How a request is written: at once in place, in place bit by bit, or elsewhere and moved in."""

Habit = Literal["change", "settled", "sharing", "forgetful"]
"""
How an answer is noticed and treated.

`change` reacts only to a change of a file it met before; `settled` needs two equal reads 300 ms
apart; `sharing` reads at first sight; all delete what they read, but for `forgetful`.
"""

SETTLED_S: Final = 0.3
PIECES: Final = 4
PIECE_PAUSE_S: Final = 0.05
WRITE_AGAIN_S: Final = 0.2


@dataclass(frozen=True, slots=True)
class Style:
    """The habits of one client; `poll_s` is how often it looks for its answer."""

    way: Way
    habit: Habit
    encoding: FileEncoding
    suffix: Callable[[int], str]
    poll_s: float


def dated_counter(number: int) -> str:
    """Twelve digits: a day and a daily counter, after day 9999 of the counter the next day."""
    return f"2026{4 + number // 270_000 % 8:02}{1 + number // 10_000 % 27:02}{number % 10_000:04}"


def thirteen_digits(number: int) -> str:
    """Thirteen digits, as one writer has."""
    return f"9{number:012}"


def twenty_characters(number: int) -> str:
    """Twenty letters and digits."""
    return f"Ab{number:018x}"


def with_patient(number: int) -> str:
    """Kind, day, time and the clinic's own patient number, which is as long as it is."""
    return f"012604150930p{number}"


SUFFIXES: Final = (dated_counter, thirteen_digits, twenty_characters, with_patient)
WAYS: Final[tuple[Way, ...]] = ("whole", "pieces", "moved")
HABITS: Final[tuple[Habit, ...]] = ("change", "settled", "sharing", "forgetful")
ENCODINGS: Final[tuple[FileEncoding, ...]] = ("utf-8", "shift_jis")


def all_styles() -> list[Style]:
    """Every way with every habit and encoding; names and looks go round."""
    suffixes, looks = cycle(SUFFIXES), cycle((0.05, 0.1, 0.3))
    return [
        Style(way, habit, encoding, next(suffixes), next(looks))
        for way, habit, encoding in product(WAYS, HABITS, ENCODINGS)
    ]


@dataclass(frozen=True, slots=True)
class Taken:
    """What a client read: an answer, or the text of an error file; `file_number` of the file."""

    data: bytes
    is_rejection: bool
    file_number: int


class FolderClient:
    """
    One receipt computer at a pair of folders.

    Args:
        req: Where requests go; `res` is where answers come from.

        outbox: A folder on the same file system, for those that move requests in.

        institution_code: Ten digits.

        style: Its habits.
    """

    def __init__(
        self, req: Path, res: Path, outbox: Path, institution_code: str, style: Style
    ) -> None:
        self._req = req
        self._res = res
        self._outbox = outbox
        self._institution_code = institution_code
        self._style = style

    def request(
        self, suffix: str, card: Card, birth_date: date, on: date, *, is_consented: bool
    ) -> bytes:
        """
        Spell a request whose file identifier is the suffix.

        Raises:
            UnicodeEncodeError: If the card has a character the encoding lacks.
        """
        text = request_xml(self._institution_code, suffix, card, birth_date, on, is_consented)
        return encoded_xml(text, self._style.encoding)

    async def drop(self, suffix: str, data: bytes) -> None:
        """Write a request, as often as it takes."""
        name = f"OQSsiquc01req_{suffix}.xml"
        while True:
            try:
                await self._write(name, data)
            except OSError:
                for folder in (self._req, self._outbox):
                    with suppress(OSError):
                        (folder / name).unlink()
                await asyncio.sleep(WRITE_AGAIN_S)
            else:
                return

    async def _write(self, name: str, data: bytes) -> None:
        match self._style.way:
            case "whole":
                (self._req / name).write_bytes(data)
            case "pieces":
                with (self._req / name).open("wb", buffering=0) as file:
                    for piece in _pieces(data):
                        file.write(piece)
                        await asyncio.sleep(PIECE_PAUSE_S)
            case "moved":
                written = self._outbox / name
                written.write_bytes(data)
                written.rename(self._req / name)

    async def take(self, suffix: str) -> Taken:
        """Wait for a request's answer or error file, for ever; read it as is the habit."""
        result = self._res / f"OQSsiquc01res_{suffix}.xml"
        error = self._res / f"OQSsiquc01req_{suffix}.err"
        met: int | None = None
        while True:
            with suppress(OSError):
                if error.exists():
                    return Taken(_read(error)[0], True, 0)
                written_ns = result.stat().st_mtime_ns
                if self._style.habit != "change" or met not in (None, written_ns):
                    taken = await self._read_result(result)
                    if taken is not None:
                        return taken
                met = written_ns if met is None else met
            await asyncio.sleep(self._style.poll_s)

    async def _read_result(self, result: Path) -> Taken | None:
        data, number = _read(result)
        if self._style.habit == "settled":
            await asyncio.sleep(SETTLED_S)
            if _read(result) != (data, number):
                return None
        if self._style.habit != "forgetful":
            os.unlink(result)  # noqa: PTH108  a client that blocks
        return Taken(data, False, number)


def _pieces(data: bytes) -> Iterator[bytes]:
    size = len(data) // PIECES + 1
    for start in range(0, len(data), size):
        yield data[start : start + size]


def _read(path: Path) -> tuple[bytes, int]:
    with path.open("rb") as file:
        return file.read(), os.fstat(file.fileno()).st_ino

"""
A coverage file of any size, one line in a hundred bad in a known way, and the truth about it.

Everything follows from a line's place, so that a file of a million lines is never held.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from typing import Final, NamedTuple

from google.type.date_pb2 import Date

from gateway.v1.eligibility_pb2 import ConfirmEligibilityRequest
from gateway.v1.types_pb2 import InsuredId

INSURER: Final = "06139992"
INSTITUTION: Final = "1319999999"
BAD_EVERY: Final = 100
CHUNK_BYTES: Final = 512 * 1024
COLUMNS: Final = (
    "action", "insurer_number", "symbol", "number", "branch", "birth_date", "acquisition_date",
    "name", "name_kana", "sex", "relationship", "insurer_name", "post_number", "address",
    "copayment_ratio", "loss_date", "loss_reason", "individual_number",
)  # fmt: skip

_FAMILY: Final = "佐藤鈴木高橋田中渡辺伊藤山本中村小林加藤"
_GIVEN: Final = "翔太美咲健一陽菜大輔結衣直樹葵誠由美"
_MIX: Final = 0x9E3779B97F4A7C15
FIRST_BIRTH: Final = date(1935, 1, 1).toordinal()
BIRTH_DAYS: Final = 30_000


class Refused(NamedTuple):
    """A line that must be refused, as a report spells it."""

    line_number: int
    column: str
    reason: str


def _cells(place: int, *, is_numbered: bool) -> dict[str, str]:
    mixed = (place * _MIX) & 0xFFFFFFFFFFFFFFFF
    family, given = mixed % 10 * 2, (mixed >> 8) % 9 * 2
    born = birth_date(place)
    cells = {
        "action": "NEW",
        "insurer_number": INSURER,
        "symbol": f"記{mixed % 997}",
        "number": f"{place}",
        "branch": "01",
        "birth_date": f"{born:%Y%m%d}",
        "acquisition_date": "20260401",
        "name": f"{_FAMILY[family : family + 2]}　{_GIVEN[given : given + 2]}",
        "name_kana": "ﾃｽﾄ ﾊﾅｺ",
        "sex": "12"[mixed >> 20 & 1],
        "relationship": "1",
        "insurer_name": "模擬健康保険組合",
        "post_number": "100-0001",
        "address": f"東京都千代田区試験町{mixed % 99 + 1}丁目{mixed % 31 + 1}番",
        "copayment_ratio": "30",
    }
    if is_numbered:
        cells["individual_number"] = numbered(place)
    return cells


def _with(column: str, cell: str) -> Callable[[dict[str, str]], dict[str, str]]:
    return lambda cells: cells | {column: cell}


def _loss(cells: dict[str, str]) -> dict[str, str]:
    kept = ("insurer_number", "symbol", "number", "branch", "birth_date")
    return {name: cells[name] for name in kept} | {
        "action": "LOSS",
        "loss_date": "20260501",
        "loss_reason": "03",
    }


_BAD: Final[tuple[tuple[str, str, Callable[[dict[str, str]], dict[str, str]]], ...]] = (
    ("sex", "CODE_UNKNOWN", _with("sex", "9")),
    ("acquisition_date", "DATE_WRONG", _with("acquisition_date", "20260431")),
    ("birth_date", "FORMAT_WRONG", _with("birth_date", "1980/1/1")),
    ("name", "FIELD_REQUIRED", _with("name", "")),
    ("number", "FIELD_REQUIRED", _with("number", " ")),
    ("action", "ACTION_UNKNOWN", _with("action", "新規")),
    ("insurer_number", "CHECK_DIGIT_WRONG", _with("insurer_number", "06139993")),
    ("insurer_number", "INSURER_NOT_CALLER", _with("insurer_number", "01130012")),
    ("birth_date", "BIRTH_DATE_IN_FUTURE", _with("birth_date", "21000101")),
    ("loss_date", "CELL_NOT_TAKEN", _with("loss_date", "20260501")),
    ("address", "TOO_LONG", _with("address", "長" * 201)),
    ("", "COLUMN_COUNT_WRONG", lambda cells: {"action": cells["action"]}),
    ("", "LINE_TOO_LONG", _with("address", "長" * 6_000)),
    ("", "COVERAGE_UNKNOWN", _loss),
    ("individual_number", "CHECK_DIGIT_WRONG", _with("individual_number", "123456789012")),
)  # fmt: skip
"""Column, reason, and what makes a good line bad so."""


def is_bad(place: int) -> bool:
    """Whether the line at a place, from 0, is one of the bad ones."""
    return place % BAD_EVERY == BAD_EVERY // 2


def good_places(lines: int) -> Iterator[int]:
    """The places of the good lines."""
    return (place for place in range(lines) if not is_bad(place))


def refused_lines(lines: int) -> Iterator[Refused]:
    """What a report must list, in order."""
    for place in range(BAD_EVERY // 2, lines, BAD_EVERY):
        column, reason, _ = _BAD[place // BAD_EVERY % len(_BAD)]
        yield Refused(place + 2, column, reason)


def birth_date(place: int) -> date:
    """When the person of a line was born."""
    return date.fromordinal(FIRST_BIRTH + (place * _MIX >> 16) % BIRTH_DAYS)


def numbered(place: int) -> str:
    """Give a My Number nobody has, with its check digit."""
    body = f"{place + 10_000_000_000:011}"
    total = sum(
        int(digit) * (n + 1 if n <= 6 else n - 5) for n, digit in enumerate(reversed(body), start=1)
    )
    return body + str(0 if total % 11 <= 1 else 11 - total % 11)


def line(place: int, *, is_numbered: bool = False) -> str:
    """The line at a place."""
    cells = _cells(place, is_numbered=is_numbered)
    if not is_bad(place):
        return ",".join([cells.get(name, "") for name in COLUMNS]) + "\r\n"
    _, reason, spoilt = _BAD[place // BAD_EVERY % len(_BAD)]
    cells = spoilt(cells)
    if reason == "COLUMN_COUNT_WRONG":
        return f"{cells['action']},1\r\n"
    return ",".join([cells.get(name, "") for name in COLUMNS]) + "\r\n"


def pieces(lines: int, *, is_numbered: bool = False, first: int = 0) -> Iterator[bytes]:
    """The file in pieces of about a chunk; its lines are those at the places from `first` on."""
    held = [",".join(COLUMNS) + "\r\n"]
    size = 0
    for place in range(first, first + lines):
        held.append(line(place, is_numbered=is_numbered))
        size += len(held[-1]) * 2
        if size >= CHUNK_BYTES:
            yield "".join(held).encode()
            held.clear()
            size = 0
    if held:
        yield "".join(held).encode()


def written(path: Path, lines: int, *, is_numbered: bool = False, first: int = 0) -> Path:
    """Write the file to a path, so that making it takes no time of what is measured."""
    with path.open("wb") as file:
        for piece in pieces(lines, is_numbered=is_numbered, first=first):
            file.write(piece)
    return path


def chunks(path: Path) -> Iterator[bytes]:
    """A written file in chunks."""
    with path.open("rb") as file:
        while piece := file.read(CHUNK_BYTES):
            yield piece


def question(place: int) -> ConfirmEligibilityRequest:
    """Ask about the person of a line."""
    mixed = (place * _MIX) & 0xFFFFFFFFFFFFFFFF
    born = birth_date(place)
    return ConfirmEligibilityRequest(
        insured_id=InsuredId(
            insurer_number=INSURER, symbol=f"記{mixed % 997}", number=f"{place}", branch="01"
        ),
        birth_date=Date(year=born.year, month=born.month, day=born.day),
        confirmation_date=Date(year=2026, month=4, day=15),
    )

"""
How a clinic writes claims: the records of an outpatient 医科 file (RECEIPTC.UKE), spelled.

A writer of its own, from the tables of claims-furikae.md 1.1-1.11 and 3, so that the gateway's
reader is never tested against the gateway's writer. The codes of diagnoses, treatments, drugs and
materials are well formed and made up; nothing here is medicine. Who is treated, under which
cover and what must become of the claim is `simulators/claims.py`.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final

import jaconv

from simulators.people import Card
from simulators.population import Person

DAYS: Final = 31
SUBSIDIES_MAX: Final = 2
UNIDENTIFIED: Final = "77777777"
"""The insurer number of claims whose cover nobody knows (不詳, claims-furikae.md 2.7)."""

_END_OF_FILE: Final = b"\x1a"
_COUNTS: Final = {"RE": 38, "HO": 15, "KO": 12, "SN": 9, "SY": 8, "SI": 44, "IY": 44, "TO": 48}

_ALL_PAYERS: Final = ("1", "2", "4")
"""負担区分 of a detail that insurer and subsidies pay together, by the number of subsidies."""

_OTHER_BYTES: Final = {
    "髙": b"\xee\xe0",
    "﨑": b"\xed\x95",
    "彅": b"\xed\x4b",
    "≒": b"\x87\x90",
    "∵": b"\x87\x9a",
    "Ⅲ": b"\xfa\x4c",
}
"""Second spellings cp932 has for a character: they read the same and encode otherwise."""

_REMARKS: Final = (
    "経過は良好",
    "前回より改善、再診を予定",
    "氏名の●は外字",
    "髙﨑医院より紹介、①②の順に実施",
    "Ⅲ度≒前回、∵経過観察",
    "～と説明、㈱見本薬品の資料を交付",
)


@dataclass(frozen=True, slots=True)
class Line:
    """
    One detail record: SI, IY, TO or CO.

    `kind` is the 診療識別, `payers` the 負担区分, `counts` how often on which day of the month.
    `points` is None where the unit goes on with the next record.
    """

    record: str
    kind: str
    payers: str
    code: str
    amount: str = ""
    points: int | None = None
    counts: tuple[tuple[int, int], ...] = ()
    remark: str = ""

    @property
    def times(self) -> int:
        """The 回数."""
        return sum(count for _, count in self.counts)

    @property
    def total(self) -> int:
        """Points of all times."""
        return (self.points or 0) * self.times


UNIDENTIFIED_REMARK: Final = Line(
    "CO", "", "1", "899990090", remark="不詳、本人の申告は見本商事、連絡先は架空市青空町"
)
"""What a clinic adds to a claim of an unknown cover."""


@dataclass(frozen=True, slots=True)
class Bill:
    """
    One claim as the clinic knows it.

    `card` is what it bills with; `days` are the visits, days of the month in order, and those in
    `uncounted` belong to a series (JD 2). `special` is the レセプト特記事項. The flags say which
    optional records and spellings the clinic uses.
    """

    person: Person = field(repr=False)
    card: Card = field(repr=False)
    claim_type: str
    benefit: str
    special: str
    days: tuple[int, ...]
    uncounted: tuple[int, ...]
    lines: tuple[Line, ...]
    subsidies: int
    has_kana: bool
    has_confirmation: bool
    has_days: bool
    has_burden: bool
    is_wide: bool
    has_other_bytes: bool

    @property
    def points(self) -> int:
        """The 合計点数 the insurer sees."""
        return sum(line.total for line in self.lines)


def check_digit(body: str) -> str:
    """The digit after `body` (weights 2, 1, 2 … from the right, digit sums; 3.1)."""
    total = 0
    for place, character in enumerate(reversed(body)):
        tens, ones = divmod(int(character) * (1 if place % 2 else 2), 10)
        total += tens + ones
    return str(-total % 10)


def details(
    days: tuple[int, ...], subsidies: int, points: int | None, rng: random.Random
) -> tuple[Line, ...]:
    """
    Make up what was done on the visits, 初診 first.

    Args:
        points: What the claim must come to, well above a few ordinary visits; None leaves it.

    Raises:
        ValueError: If the visits alone come to more than `points`.
    """
    shared = _ALL_PAYERS[subsidies]
    lines = [Line("SI", "11", shared, "199990010", points=291, counts=((days[0], 1),))]
    if days[1:]:
        again = tuple((day, 1) for day in days[1:])
        lines.append(Line("SI", "12", shared, "199990020", points=75, counts=again))
    if rng.random() < 0.5:  # noqa: PLR2004
        lines += _drugs(days, rng.choice((shared, "1")), rng)
    if rng.random() < 0.3:  # noqa: PLR2004
        worth = rng.randrange(20, 160)
        counts = ((rng.choice(days), 1),)
        lines.append(Line("TO", "40", "1", "799990010", "1.5", worth, counts))
    if rng.random() < 0.6:  # noqa: PLR2004
        remark = rng.choice(_REMARKS)
        worth = rng.randrange(50, 700)
        counts = ((rng.choice(days), 1),)
        lines.append(Line("SI", "60", "1", "199990030", "", worth, counts, remark))
    if points is not None:
        rest = points - sum(line.total for line in lines)
        if rest <= 0:
            raise ValueError(f"{points} points leave nothing to add")
        lines.append(Line("SI", "50", shared, "199990040", "", rest, ((days[-1], 1),)))
    if rng.random() < 0.4:  # noqa: PLR2004
        lines.append(Line("CO", "", "1", "899990010", remark=rng.choice(_REMARKS)))
    return tuple(lines)


def _drugs(days: tuple[int, ...], payers: str, rng: random.Random) -> list[Line]:
    """Two drugs of one unit: the points stand on the last record, times and days on both."""
    chosen = sorted(rng.sample(days, rng.randint(1, len(days))))
    counts = tuple((day, rng.choice((3, 7, 14))) for day in chosen)
    return [
        Line("IY", "21", payers, "699990010", "0.5", None, counts),
        Line("IY", "", payers, "699990020", "3", rng.randrange(2, 30), counts),
    ]


def file_of(bills: Iterable[Bill], month: str, institution_code: str) -> bytes:
    """
    Spell a whole file; claims are numbered 1, 2, 3 … in order.

    Args:
        month: The month of care, YYYYMM; it is billed in the month after.
        institution_code: Prefecture 2, points table 1 and number 7, ten digits.
    """
    prefecture, table, code = institution_code[:2], institution_code[2], institution_code[3:]
    head = ("1", prefecture, table, code, "", "見本医院", _after(month), "00", "00-0000-0000")
    out = bytearray(_encoded(("IR", *head), has_other_bytes=False))
    units = points = 0
    for number, bill in enumerate(bills, start=1):
        for record in _records(number, month, bill):
            out += _encoded(record, has_other_bytes=bill.has_other_bytes)
        units += 1 + bill.subsidies
        points += bill.points
    out += _encoded(("GO", str(units), str(points), "99"), has_other_bytes=False)
    return bytes(out) + _END_OF_FILE


def _after(month: str) -> str:
    year, number = int(month[:4]), int(month[4:])
    return f"{year + number // 12}{number % 12 + 1:02d}"


def _encoded(record: tuple[str, ...], *, has_other_bytes: bool) -> bytes:
    text = ",".join(record) + "\r\n"
    if not has_other_bytes:
        return text.encode("cp932")
    return b"".join(_OTHER_BYTES.get(c) or c.encode("cp932") for c in text)


def _filled(record: str, fields: dict[int, str]) -> tuple[str, ...]:
    """A record with these fields, counted from 1, and all commas of the others."""
    return (record, *(fields.get(place, "") for place in range(2, _COUNTS[record] + 1)))


def _records(number: int, month: str, bill: Bill) -> Iterator[tuple[str, ...]]:
    yield _re(number, month, bill)
    yield _ho(bill)
    yield from _ko(bill)
    if bill.has_confirmation:
        yield _filled("SN", {2: "1", 3: "01", 7: bill.card.branch})
    if bill.has_days:
        yield from _jd(bill)
    if bill.has_burden:
        yield ("MF", "00", *[""] * DAYS)
    began = f"{month}{bill.days[0]:02d}"
    yield _filled("SY", {2: "0000999", 3: began, 4: "1", 6: "架空性の不調", 7: "01"})
    if number % 3 == 0:
        yield _filled("SY", {2: "9999001", 3: began, 4: "2", 5: "99918002"})
    yield from (_detail(line) for line in bill.lines)
    if number % 7 == 0:
        yield ("SJ", "01", "受診の経緯を記す。特記すべきことなし")


def _re(number: int, month: str, bill: Bill) -> tuple[str, ...]:
    person = bill.person
    kana = jaconv.h2z(person.name_kana).replace("　", "").replace(" ", "")
    fields = {
        2: str(number),
        3: bill.claim_type,
        4: month,
        5: person.name,
        6: person.sex,
        7: f"{person.birth_date:%Y%m%d}",
        8: bill.benefit,
        12: bill.special,
        14: f"K{number:07d}",
        21: f"OWN-{number:06d}",
        37: kana if bill.has_kana else "",
    }
    return _filled("RE", fields)


def _ho(bill: Bill) -> tuple[str, ...]:
    card = bill.card
    fields = {
        2: card.insurer_number.removeprefix("00").rjust(8),
        3: spelled(card.symbol, is_wide=bill.is_wide),
        4: spelled(card.number, is_wide=bill.is_wide and bool(card.symbol)),
        5: str(len(bill.days) - len(bill.uncounted)),
        6: str(bill.points),
    }
    return _filled("HO", fields)


def spelled(text: str, *, is_wide: bool) -> str:
    """Spell a symbol or number in one width, as the field allows; kanji make all of it wide."""
    if is_wide or not text.isascii():
        return jaconv.h2z(text, ascii=True, digit=True)
    return text


def _of_payer(bill: Bill, payer: int) -> list[Line]:
    """The details that count for a payer: 1 is the insurer, 2 and 3 the subsidies."""
    return [line for line in bill.lines if payer == 1 or line.payers != "1"]


def _visits(bill: Bill, payer: int) -> tuple[int, ...]:
    """The days on which a payer paid for something."""
    if payer == 1:
        return bill.days
    return tuple(sorted({day for line in _of_payer(bill, payer) for day, _ in line.counts}))


def _ko(bill: Bill) -> Iterator[tuple[str, ...]]:
    for place, law in zip(range(bill.subsidies), ("54", "51"), strict=False):
        body = f"{law}99{place + 1:03d}"
        counted = [day for day in _visits(bill, place + 2) if day not in bill.uncounted]
        fields = {
            2: body + check_digit(body),
            3: "123456" + check_digit("123456"),
            5: str(len(counted)),
            6: str(sum(line.total for line in _of_payer(bill, place + 2))),
        }
        yield _filled("KO", fields)


def _jd(bill: Bill) -> Iterator[tuple[str, ...]]:
    for payer in range(1, bill.subsidies + 2):
        visits = dict.fromkeys(_visits(bill, payer), "1")
        visits |= dict.fromkeys(set(visits) & set(bill.uncounted), "2")
        yield ("JD", str(payer), *(visits.get(day, "") for day in range(1, DAYS + 1)))


def _detail(line: Line) -> tuple[str, ...]:
    if line.record == "CO":
        return ("CO", "80" if not line.kind else line.kind, line.payers, line.code, line.remark)
    points = "" if line.points is None else str(line.points)
    fields = {2: line.kind, 3: line.payers, 4: line.code, 5: line.amount, 6: points}
    fields[7] = str(line.times)
    comments = 8
    if line.record == "TO":
        fields |= {8: "016", 9: "120.5", 11: "見本材料"}
        comments = 12
    if line.remark:
        fields |= {comments: "899990020", comments + 1: line.remark}
    first_day = comments + 6
    fields |= {first_day + day - 1: str(count) for day, count in line.counts}
    return _filled(line.record, fields)

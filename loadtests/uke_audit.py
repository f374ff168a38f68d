"""
An auditor's own reading of a 医科 claim file (RECEIPTC.UKE): it trusts the bytes, nobody's code.

Written from claims-furikae.md 1.1-1.11, 3 and 6 alone. It says what is wrong with a file, where,
and gives each claim as the bytes it came in with the few fields a check needs. Sentences name
lines and fields, never what stands in them.
"""

from __future__ import annotations

import calendar
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

PROBLEMS_MAX: Final = 200
"""Sentences at most; a file that is wrong everywhere needs no more."""

DAYS: Final = 31
DETAILS_WITHOUT_KIND_MAX: Final = 98
UNIDENTIFIED: Final = ("77777777", "77777779")
CHECK_CODES: Final = frozenset(f"{n:02d}" for n in range(1, 15)) - {"10"}

_DETAIL_DAYS: Final = "3n " * DAYS
_COMMENTS: Final = "9c 100k " * 3
_DEPARTMENT: Final = "2c 3c 3c 3c 3c "
_FIELDS: Final = {
    "IR": "1=c 2=c 1=c 7=c 2c 40k 6=c 2=c 15a",
    "RE": "6n 4=c 6=c 40x 1=c 8=c 3n 8c 8a 1c 10a 4n 20a 2n 1c 1c 2c 30c 5c 40x "
    + _DEPARTMENT * 3
    + "80k 60c",
    "HO": "8=p 38x 38x 2n 8n 5c 2n 8n 1c 3c 9n 1c 3n 6n",
    "KO": "8=p 7c 1c 2n 8n 8n 6n 6n 5c 2n 8n",
    "SN": "1=c 2=c 8p 38x 38x 2a 7c 1c",
    "JD": "1=c " + "1c " * DAYS,
    "MF": "2=c " + "9c " * DAYS,
    "SY": "7=c 8=c 1=c 80c 40k 2c 40k",
    "SI": "2a 1=a 9=c 8d 7n 3n " + _COMMENTS + _DETAIL_DAYS,
    "IY": "2a 1=a 9=c 11d 7n 3n " + _COMMENTS + _DETAIL_DAYS,
    "TO": "2a 1=a 9=c 9d 7n 3n 3c 11d 40k 300k " + _COMMENTS + _DETAIL_DAYS,
    "CO": "2a 1=a 9=c 76k",
    "SJ": "2c 2400k",
    "GO": "6n 10n 2=c",
}
"""
The fields after the record id: most bytes, `=` where exactly so many, and the mode.

Modes: n number without leading zeros, d the same with decimals, c digits of a code, a half
width, k full width, x one width or the other, p half width with blanks on the left.
"""

_FORMS: Final = {
    "n": re.compile("0|[1-9][0-9]*"),
    "d": re.compile(r"(0|[1-9][0-9]*)(\.[0-9]*[1-9])?"),
    "c": re.compile("[0-9]+"),
    "p": re.compile(" *[0-9]+"),
}

_ORDER: Final = {"RE": 0, "HO": 1, "KO": 2, "SN": 3, "JD": 4, "MF": 5, "SY": 6}
_DETAILS: Final = ("SI", "IY", "TO", "CO")
_DETAILS_PLACE: Final = 7
_LAST_PLACE: Final = 8

_PAYERS_OF_CODES: Final = (
    "1:1 5:2 6:3 B:4 C:5 2:12 3:13 E:14 G:15 4:123 7:23 H:24 I:25 J:34 K:35 L:45 9:12345"
)
_PAYERS: Final = {
    code: tuple(map(int, payers))
    for code, payers in (pair.split(":") for pair in _PAYERS_OF_CODES.split())
}
"""Who pays a detail by its 負担区分: 1 the insurer, 2 to 5 the 公費 in order."""


@dataclass(frozen=True, slots=True)
class AuditedClaim:
    """
    One claim as it stands in a file.

    `raw` is all of its lines; symbol and number are as spelled, insurer numbers without blanks.
    The `confirmed_` fields are those of the SN record, all empty, and `check_code` with them, if
    there is none. `branch` is the SN record's.
    """

    number: int
    raw: bytes = field(repr=False)
    check_code: str
    insurer_number: str
    symbol: str = field(repr=False)
    card_number: str = field(repr=False)
    branch: str
    claim_type: str
    confirmed_insurer: str
    confirmed_symbol: str = field(repr=False)
    confirmed_number: str = field(repr=False)

    @property
    def lines(self) -> list[bytes]:
        """The records, without their line ends."""
        return self.raw.split(b"\r\n")[:-1]


@dataclass(frozen=True, slots=True)
class AuditReport:
    """What is wrong with a file, and its claims by number."""

    problems: tuple[str, ...]
    claims: dict[int, AuditedClaim]


class _Record(NamedTuple):
    """One line: where it stands, its bytes, and its fields, the id first."""

    line: int
    raw: bytes
    fields: tuple[str, ...]

    @property
    def id(self) -> str:
        return self.fields[0]

    def int_of(self, place: int) -> int:
        """A number, 0 if empty or none; `place` counts from 1, the id's."""
        text = self.fields[place - 1]
        return int(text) if text.isascii() and text.isdigit() else 0


def audit(data: bytes, *, is_moved: bool) -> AuditReport:
    """
    Read a file and say all that is wrong with it, `PROBLEMS_MAX` sentences at most.

    Args:
        is_moved: Whether the file holds claims the review body moved, whose GO says 0 and 0.
    """
    problems: list[str] = list(_problems_of_file(data))
    records = _records(data, problems)
    if not records or (records[0].id, records[-1].id) != ("IR", "GO"):
        problems.append("IR does not begin the file, or GO does not end it")
        return AuditReport(tuple(problems[:PROBLEMS_MAX]), {})
    head, *body, end = records
    problems += _problems_of_head(head)
    claims: dict[int, AuditedClaim] = {}
    units = points = last_number = 0
    for group in _claims(body, problems):
        claim = _claim(group)
        if claim.number <= last_number:
            problems.append(f"line {group[0].line}: claim numbers do not rise")
        last_number = max(claim.number, last_number)
        claims[claim.number] = claim
        problems += _problems_of_claim(group, head.fields[7])
        payers = [record for record in group if record.id in {"HO", "KO"}]
        units += len(payers)
        points += payers[0].int_of(6) if payers else 0
    totals = (end.int_of(2), end.int_of(3))
    if totals != ((0, 0) if is_moved else (units, points)):
        problems.append(f"line {end.line}: GO totals")
    if not claims:
        problems.append("no claim")
    return AuditReport(tuple(problems[:PROBLEMS_MAX]), claims)


def _problems_of_file(data: bytes) -> Iterator[str]:
    if data.count(b"\x1a") != 1 or not data.endswith(b"\r\n\x1a"):
        yield "not exactly one 0x1A after the last CRLF"
    if b"\x22" in data:
        yield "a quote (0x22)"
    if data.count(b"\r\n") != data.count(b"\r") or data.count(b"\r\n") != data.count(b"\n"):
        yield "line ends other than CRLF"


def _records(data: bytes, problems: list[str]) -> list[_Record]:
    """Every line as a record; those that cannot be read are told and left out."""
    records = []
    for line, raw in enumerate(data.removesuffix(b"\x1a").split(b"\r\n")[:-1], start=1):
        try:
            fields = tuple(part.decode("cp932") for part in raw.split(b","))
        except UnicodeDecodeError:
            problems.append(f"line {line}: not cp932")
            continue
        spec = _FIELDS.get(fields[0])
        if spec is None:
            problems.append(f"line {line}: unknown record")
            continue
        rules = spec.split()
        if len(fields) != len(rules) + 1:
            problems.append(f"line {line}: {fields[0]} has {len(fields)} fields")
            continue
        record = _Record(line, raw, fields)
        problems += _problems_of_fields(record, rules)
        records.append(record)
    return records


def _problems_of_fields(record: _Record, rules: Sequence[str]) -> Iterator[str]:
    raw_fields = record.raw.split(b",")[1:]
    for place, (text, raw, rule) in enumerate(
        zip(record.fields[1:], raw_fields, rules, strict=True), start=2
    ):
        where = f"line {record.line}: {record.id} field {place}"
        most, mode = int(rule[:-1].rstrip("=")), rule[-1]
        if len(raw) > most or ("=" in rule and len(raw) != most):
            yield f"{where}: length"
        if text and not _is_in_mode(text, raw, mode):
            yield f"{where}: form"


def _is_in_mode(text: str, raw: bytes, mode: str) -> bool:
    if mode in _FORMS:
        return _FORMS[mode].fullmatch(text) is not None
    is_half = text.isascii() and text.isprintable()
    is_full = len(raw) == 2 * len(text)
    is_trimmed = text == text.rstrip(" \u3000")
    return is_trimmed and {"a": is_half, "k": is_full, "x": is_half or is_full}[mode]


def _problems_of_head(head: _Record) -> Iterator[str]:
    if not check_digit_holds("".join(head.fields[2:5])):
        yield f"line {head.line}: check digit of the institution code"
    if head.fields[8] != "00":
        yield f"line {head.line}: more volumes than one"


def _claims(body: Sequence[_Record], problems: list[str]) -> Iterator[list[_Record]]:
    """The records of each claim, RE first; what stands before the first RE is told."""
    group: list[_Record] = []
    for record in body:
        if record.id in {"IR", "GO"}:
            problems.append(f"line {record.line}: {record.id} inside the file")
        elif record.id == "RE":
            if group:
                yield group
            group = [record]
        elif group:
            group.append(record)
        else:
            problems.append(f"line {record.line}: {record.id} before any RE")
    if group:
        yield group


def _claim(group: Sequence[_Record]) -> AuditedClaim:
    first = {record.id: record.fields for record in reversed(group)}
    insurer = first.get("HO", ("",) * 15)
    sn = next((r.fields for r in group if r.id == "SN" and r.fields[1] == "1"), ("",) * 9)
    return AuditedClaim(
        number=group[0].int_of(2),
        raw=b"".join(record.raw + b"\r\n" for record in group),
        check_code=sn[2],
        insurer_number=insurer[1].strip(),
        symbol=insurer[2],
        card_number=insurer[3],
        branch=sn[6],
        claim_type=group[0].fields[2],
        confirmed_insurer=sn[3].strip(),
        confirmed_symbol=sn[4],
        confirmed_number=sn[5],
    )


def _problems_of_claim(group: Sequence[_Record], billed_in: str) -> Iterator[str]:
    yield from _problems_of_order(group)
    yield from _problems_of_identity(group, billed_in)
    yield from _problems_of_days(group)
    yield from _problems_of_points(group)


def _problems_of_order(group: Sequence[_Record]) -> Iterator[str]:
    place = without_kind = 0
    for record in group:
        here = _ORDER.get(record.id, _DETAILS_PLACE if record.id in _DETAILS else _LAST_PLACE)
        if here < place:
            yield f"line {record.line}: {record.id} out of order"
        place = max(place, here)
        if record.id in _DETAILS:
            without_kind = 0 if record.fields[1] else without_kind + 1
            if without_kind > DETAILS_WITHOUT_KIND_MAX:
                yield f"line {record.line}: too many details without 診療識別"
    ids = [record.id for record in group]
    start = group[0].line
    if ids.count("HO") > 1 or ids.count("KO") > len("1234") or ids.count("MF") > 1:
        yield f"line {start}: too many HO, KO or MF"
    if not {"HO", "KO"} & set(ids):
        yield f"line {start}: nobody pays"
    if "SY" not in ids or not {"SI", "IY", "TO"} & set(ids):
        yield f"line {start}: no SY, or no SI, IY or TO"


def _problems_of_identity(group: Sequence[_Record], billed_in: str) -> Iterator[str]:
    common = group[0]
    claim_type = common.fields[2]
    if common.fields[3] >= billed_in:
        yield f"line {common.line}: care not before the month it is billed in"
    subsidies = sum(record.id == "KO" for record in group)
    insurer = next((record for record in group if record.id == "HO"), None)
    if insurer is not None and claim_type[2:3] != str(subsidies + 1):
        yield f"line {common.line}: claim type and number of KO"
    confirmed = [r for r in group if r.id == "SN"]
    if any(record.fields[2] not in CHECK_CODES for record in confirmed):
        yield f"line {confirmed[0].line}: 確認区分"
    payers = [record.fields[1] for record in confirmed]
    if len(set(payers)) != len(payers):
        yield f"line {confirmed[0].line}: two SN for a payer"
    numbers = [(record, record.fields[1]) for record in group if record.id in {"HO", "KO"}]
    numbers += [(record, record.fields[3]) for record in confirmed if record.fields[3]]
    for record, text in numbers:
        if text.strip() not in UNIDENTIFIED and not check_digit_holds(text.strip()):
            yield f"line {record.line}: {record.id}: check digit"
    if insurer is not None:
        yield from _problems_of_insurer(common, insurer)


def _problems_of_insurer(common: _Record, insurer: _Record) -> Iterator[str]:
    padded, symbol, number = insurer.fields[1:4]
    is_elder = padded.startswith("39")
    if not number:
        yield f"line {insurer.line}: no number"
    if len(symbol) + len(number) > 19:
        yield f"line {insurer.line}: symbol and number too long"
    if is_elder and (symbol or len(number) != 8 or not check_digit_holds(number)):
        yield f"line {insurer.line}: symbol or number of 後期高齢者"
    if is_elder != (common.fields[2][1:2] == "3"):
        yield f"line {common.line}: claim type and insurer"
    if len(padded.strip()) not in {6, 8}:
        yield f"line {insurer.line}: length of the insurer number"
    if common.fields[7] not in {"", "30"} and padded[:2] not in {"  ", "67"}:
        yield f"line {common.line}: 給付割合 without national health insurance"


def _problems_of_days(group: Sequence[_Record]) -> Iterator[str]:
    month = group[0].fields[3]
    year, number = int(month[:4] or 0), int(month[4:] or 0)
    if not (year and 1 <= number <= 12):
        yield f"line {group[0].line}: no month"
        return
    last = calendar.monthrange(year, number)[1]
    payers = _payers(group)
    visits: dict[int, set[int]] = {}
    for record in group:
        if record.id != "JD":
            continue
        marks = record.fields[2:]
        payer = record.int_of(2)
        if payer in visits or payer not in payers:
            yield f"line {record.line}: JD of a payer twice, or of none"
        visits[payer] = {day for day, mark in enumerate(marks, start=1) if mark}
        if not set(marks) <= {"", "1", "2", "9"} or any(day > last for day in visits[payer]):
            yield f"line {record.line}: JD marks or days"
        if payer in payers and marks.count("1") != payers[payer].int_of(5):
            yield f"line {record.line}: JD and 診療実日数"
    if visits and set(visits) != set(payers):
        yield f"line {group[0].line}: JD not for every payer"
    for record in group:
        if record.id in {"SI", "IY", "TO"}:
            yield from _problems_of_detail(record, visits, last)


def _problems_of_detail(record: _Record, visits: dict[int, set[int]], last: int) -> Iterator[str]:
    counts = [int(c) if c.isascii() and c.isdigit() else 0 for c in record.fields[-DAYS:]]
    days = {day for day, count in enumerate(counts, start=1) if count}
    if any(day > last for day in days):
        yield f"line {record.line}: {record.id}: a day after the month"
    if days and sum(counts) != record.int_of(7):
        yield f"line {record.line}: {record.id}: 回数 and days"
    for payer in _PAYERS.get(record.fields[2], ()):
        if payer in visits and not days <= visits[payer]:
            yield f"line {record.line}: {record.id}: a day without JD"


def _problems_of_points(group: Sequence[_Record]) -> Iterator[str]:
    sums = dict.fromkeys(_payers(group), 0)
    for record in group:
        if record.id not in _DETAILS:
            continue
        payers = _PAYERS.get(record.fields[2])
        if payers is None or not set(payers) <= set(sums):
            yield f"line {record.line}: {record.id}: 負担区分"
            continue
        if record.id != "CO":
            for payer in payers:
                sums[payer] += record.int_of(6) * record.int_of(7)
    for payer, record in _payers(group).items():
        if sums[payer] != record.int_of(6):
            yield f"line {record.line}: {record.id}: points"


def _payers(group: Sequence[_Record]) -> dict[int, _Record]:
    """HO as payer 1 and each KO from 2 on."""
    insurers = [(1, record) for record in group if record.id == "HO"]
    subsidies = (record for record in group if record.id == "KO")
    return dict(insurers) | dict(enumerate(subsidies, start=2))


def check_digit_holds(digits: str) -> bool:
    """Whether the last digit checks those before it: doubled from the right, digits summed."""
    if not (digits.isascii() and digits.isdigit()):
        return False
    values = [int(digit) for digit in reversed(digits)]
    doubled = sum(sum(divmod(2 * value, 10)) for value in values[1::2])
    return (sum(values[::2]) + doubled) % 10 == 0

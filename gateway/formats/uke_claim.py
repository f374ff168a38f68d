"""
The records of one claim as the claim a decision reads, or what is wrong with them together.

Order and number of records, days that exist, the identity. It does not judge points, copayments
or whether the treatment may be billed. Sources: claims-furikae.md 1.1, 1.3-1.11, 2.4 step 1, 2.7.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from datetime import date
from typing import Final, NamedTuple

from gateway.domain.claims import Claim, CopayClass, PatientClass, is_month_checked
from gateway.domain.coverage import Sex
from gateway.domain.errors import Refusal
from gateway.domain.identifiers import InsuredId
from gateway.domain.patient_class import class_on_claim
from gateway.domain.period import month_end, parse_day
from gateway.formats.uke_records import Record, UkeError
from gateway.formats.uke_tables import (
    DAYS_IN_ROW,
    DETAILS,
    RANKS,
    TIMES_MAX,
    TREATMENTS,
    UNMARKED_DETAILS_MAX,
    place_of,
)

INSURANCE: Final = "1"
"""負担者種別 of the insurer; 2 to 5 are the public payers in their order."""

UNIDENTIFIED: Final = frozenset({"77777777", "77777779"})
"""Insurer numbers that say 不詳; the second one for software that wants a check digit."""

IDENTITY_CHARACTERS_MAX: Final = 19
"""Symbol and number together, in either width."""

PUBLIC_ONLY: Final = "2"
LATTER_STAGE: Final = "3"
"""Second digits of the claim type."""

_CLAIM_TYPE: Final = re.compile("1(?:2[1-4][12]|[14][1-5][0-9]|3[1-5][7890])")

RE_TYPE: Final = place_of("RE", "レセプト種別")
RE_MONTH: Final = place_of("RE", "診療年月")
RE_SEX: Final = place_of("RE", "男女区分")
RE_BIRTH: Final = place_of("RE", "生年月日")
RE_BENEFIT: Final = place_of("RE", "給付割合")
RE_NOTES: Final = place_of("RE", "レセプト特記事項")
RE_KANA: Final = place_of("RE", "カタカナ（氏名）")
HO_INSURER: Final = place_of("HO", "保険者番号")
HO_SYMBOL: Final = place_of("HO", "記号")
HO_NUMBER: Final = place_of("HO", "番号")
SN_CODE: Final = place_of("SN", "確認区分")
SN_BRANCH: Final = place_of("SN", "枝番")
PAYER: Final = 1
"""Where SN and JD have 負担者種別, and MF its class."""

_DETAIL_MARK: Final = 1
_POINTS: Final = {kind: place_of(kind, "合計点数") for kind in ("HO", "KO")}
_IDENTITY_FIELDS: Final = {
    "insurer_number": ("HO", "保険者番号"),
    "symbol": ("HO", "記号"),
    "number": ("HO", "番号"),
    "branch": ("SN", "枝番"),
}


class Payment(NamedTuple):
    """What a claim adds to GO: its HO and KO records, and points; None if they are unreadable."""

    payers: int
    points: int | None


def patient_class_of(claim_type: str) -> PatientClass | None:
    """The patient's class a claim type (レセプト種別) tells; None if there is no such type."""
    return class_on_claim(claim_type) if _CLAIM_TYPE.fullmatch(claim_type) else None


def first(records: Iterable[Record], kind: str, payer: str = "") -> Record | None:
    """The first record of a kind, of one payer if one is given."""
    for record in records:
        if record.kind == kind and (not payer or record.fields[PAYER : PAYER + 1] == (payer,)):
            return record
    return None


def payment_of(records: Sequence[Record]) -> Payment:
    """Count a claim as GO does: the points are HO's or, without HO, the first KO's."""
    payers = [record for record in records if record.kind in _POINTS]
    if not payers:
        return Payment(0, 0)
    fields = (first(payers, "HO") or payers[0]).fields
    place = _POINTS[fields[0]]
    text = fields[place] if len(fields) > place else "?"
    points = int(text or 0) if re.fullmatch("[0-9]{0,8}", text) else None
    return Payment(len(payers), points)


def errors_among(records: Sequence[Record]) -> Iterator[UkeError]:
    """What is wrong with the order and number of a claim's records."""
    head = records[0]
    yield from _wrong_order(records)
    yield from _wrong_times(records)
    yield from _wrong_marks(records)
    kinds = {record.kind for record in records}
    is_public_only = head.fields[RE_TYPE : RE_TYPE + 1] and head.fields[RE_TYPE][1:2] == PUBLIC_ONLY
    needed = (("KO",) if is_public_only else ("HO",), ("SY",), TREATMENTS)
    for one_of in needed:
        if kinds.isdisjoint(one_of):
            yield UkeError(head.line_number, one_of[0], "", "RECORD_MISSING")


def _wrong_order(records: Sequence[Record]) -> Iterator[UkeError]:
    reached = 0
    for record in records:
        if record.kind not in RANKS:
            continue
        if (rank := RANKS[record.kind]) < reached:
            yield UkeError(record.line_number, record.kind, "", "RECORD_ORDER_WRONG")
        reached = max(reached, rank)


def _wrong_times(records: Sequence[Record]) -> Iterator[UkeError]:
    times: Counter[str] = Counter()
    payers: set[tuple[str, ...]] = set()
    for record in records:
        times[record.kind] += 1
        if times[record.kind] > TIMES_MAX.get(record.kind, len(records)):
            yield UkeError(record.line_number, record.kind, "", "RECORD_REPEATED")
        elif record.kind in ("SN", "JD"):
            payer = (record.kind, *record.fields[PAYER : PAYER + 1])
            if payer in payers:
                yield UkeError(record.line_number, record.kind, "負担者種別", "RECORD_REPEATED")
            payers.add(payer)


def _wrong_marks(records: Sequence[Record]) -> Iterator[UkeError]:
    unmarked = 0
    for record in records:
        if record.kind not in DETAILS or record.fields[_DETAIL_MARK : _DETAIL_MARK + 1] != ("",):
            unmarked = 0
            continue
        unmarked += 1
        if unmarked == UNMARKED_DETAILS_MAX + 1:
            yield UkeError(record.line_number, record.kind, "診療識別", "FIELD_REQUIRED")


def claim_of(records: Sequence[Record]) -> tuple[Claim | None, list[UkeError]]:
    """
    Read a claim whose records are each in their form and in their order.

    Returns:
        The claim and no errors, or None and what is wrong.
    """
    head = records[0]
    patient = patient_class_of(head.fields[RE_TYPE])
    errors = [] if patient else [UkeError(head.line_number, "RE", "レセプト種別", "CODE_UNKNOWN")]
    month = parse_day(f"{head.fields[RE_MONTH]}01")
    is_checked = is_month_checked(month)
    said = [record for record in records if is_checked or record.kind not in ("SN", "JD", "MF")]
    insured_id, is_unidentified = _insured(said, errors)
    treated = _treated(said, month, errors)
    recorded = _recorded(said, month, errors)
    if errors:
        return None, errors
    copay = first(said, "MF")
    payer = first(said, "HO") or first(said, "KO")
    assert payer is not None
    fields = head.fields
    notes = fields[RE_NOTES]
    claim = Claim(
        number=int(fields[1]),
        claim_type=fields[RE_TYPE],
        month=fields[RE_MONTH],
        sex=Sex(int(fields[RE_SEX])),
        birth_date=parse_day(fields[RE_BIRTH]),
        insured_id=insured_id,
        points=int(payer.fields[_POINTS[payer.kind]] or 0),
        name_kana=fields[RE_KANA],
        is_unidentified=is_unidentified,
        benefit_percent=int(fields[RE_BENEFIT]) if fields[RE_BENEFIT] else None,
        special_notes=tuple(notes[at : at + 2] for at in range(0, len(notes), 2)),
        recorded_days=recorded,
        detail_days=treated,
        copay=None if copay is None else CopayClass(copay.fields[PAYER]),
        has_public_expense=first(said, "KO") is not None,
    )
    return claim, []


def _insured(said: Sequence[Record], errors: list[UkeError]) -> tuple[InsuredId | None, bool]:
    """Who HO and SN say is insured, and whether the insurer is given as not identified."""
    insurer = first(said, "HO")
    if insurer is None:
        return None, False
    if insurer.fields[HO_INSURER] in UNIDENTIFIED:
        return None, True
    symbol, number = insurer.fields[HO_SYMBOL], insurer.fields[HO_NUMBER]
    check = first(said, "SN", INSURANCE)
    branch = "" if check is None else check.fields[SN_BRANCH]
    if len(symbol) + len(number) > IDENTITY_CHARACTERS_MAX:
        errors.append(UkeError(insurer.line_number, "HO", "番号", "TOO_LONG"))
        return None, False
    try:
        return InsuredId.parse(insurer.fields[HO_INSURER], symbol, number, branch), False
    except Refusal as refusal:
        kind, label = _IDENTITY_FIELDS[refusal.field]
        record = check if kind == "SN" and check is not None else insurer
        errors.append(UkeError(record.line_number, kind, label, refusal.reason))
        return None, False


def _treated(said: Sequence[Record], month: date, errors: list[UkeError]) -> tuple[date, ...]:
    """The days with at least one treatment (算定日), in order."""
    days: set[int] = set()
    for record in said:
        if record.kind in TREATMENTS:
            row = record.fields[-DAYS_IN_ROW:]
            marked = [day for day, times in enumerate(row, start=1) if times not in ("", "0")]
            _check_last(record, marked, month, errors)
            days.update(marked)
    return () if errors else tuple(month.replace(day=day) for day in sorted(days))


def _recorded(
    said: Sequence[Record], month: date, errors: list[UkeError]
) -> tuple[date, ...] | None:
    """The insurer's days of visit (JD), in order; None if there is no such record."""
    days = None
    for record in said:
        if record.kind == "JD":
            row = record.fields[-DAYS_IN_ROW:]
            _check_last(record, [day for day, mark in enumerate(row, 1) if mark], month, errors)
            if record.fields[PAYER] == INSURANCE:
                days = [day for day, mark in enumerate(row, start=1) if mark in ("1", "2")]
    if days is None or errors:
        return None
    return tuple(month.replace(day=day) for day in days)


def _check_last(record: Record, days: Sequence[int], month: date, errors: list[UkeError]) -> None:
    """No day lies beyond the end of the month."""
    if days and days[-1] > month_end(month).day:
        label = f"{days[-1]}日の情報"
        errors.append(UkeError(record.line_number, record.kind, label, "DATE_WRONG"))

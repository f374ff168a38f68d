"""
Claims as the review body writes them: a check code, a branch, another insurer, whole files.

Only the cells a function names change; every other byte leaves as it came. A claim must have
been read without errors. Splitting a claim is not done here. Sources: claims-furikae.md 1.3,
1.4, 1.6, 1.10, 1.11 and 2.4 step 7.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from gateway.domain.claims import PatientClass
from gateway.domain.errors import InvalidInput
from gateway.domain.identifiers import InsuredId, InsurerKind, match_text
from gateway.formats.text import UNMAPPABLE, is_in_code_page, legible
from gateway.formats.uke_claim import (
    HO_INSURER,
    HO_NUMBER,
    HO_SYMBOL,
    IDENTITY_CHARACTERS_MAX,
    INSURANCE,
    LATTER_STAGE,
    PUBLIC_ONLY,
    RE_BENEFIT,
    RE_TYPE,
    SN_BRANCH,
    SN_CODE,
    first,
    patient_class_of,
    payment_of,
)
from gateway.formats.uke_records import CODE_PAGE, LINE_END, Record, UkeClaim, UkeHeader
from gateway.formats.uke_tables import CHARACTERS, LAYOUTS, Mode, place_of

MOVED: Final = "04"
BRANCH_FOUND: Final = "09"

_FIRST_PUBLIC: Final = "2"
_LAST_VOLUME: Final = "99"
_ONLY_VOLUME: Final = "00"
_IR_VOLUME: Final = place_of("IR", "マルチボリューム識別情報")
_ORDINARY: Final = "1"
_RETIREES: Final = "4"
_SN_INSURER: Final = place_of("SN", "保険者番号等（資格確認）")
_SN_SYMBOL: Final = place_of("SN", "記号（資格確認）")
_SN_NUMBER: Final = place_of("SN", "番号（資格確認）")
_HALF: Final = re.compile(f"{CHARACTERS[Mode.ALPHANUMERIC]}*")
_FULL: Final = re.compile(f"{CHARACTERS[Mode.KANJI]}*")
_PRINTABLE: Final = range(0x21, 0x7F)
_WIDEN: Final = {code: code + 0xFEE0 for code in _PRINTABLE} | {0x20: 0x3000}
_NARROW: Final = {wide: narrow for narrow, wide in _WIDEN.items()}
_HALF_KANA: Final = re.compile("[｡-ﾟ]+")

_INPATIENT: Final = {
    PatientClass.SELF: 1,
    PatientClass.PRESCHOOL: 3,
    PatientClass.FAMILY: 5,
    PatientClass.ELDERLY: 7,
    PatientClass.ELDERLY_30_PERCENT: 9,
    PatientClass.LATTER_STAGE: 7,
    PatientClass.LATTER_STAGE_30_PERCENT: 9,
    PatientClass.PUBLIC_EXPENSE_ONLY: 1,
}
_LATTER: Final = (PatientClass.LATTER_STAGE, PatientClass.LATTER_STAGE_30_PERCENT)


@dataclass(frozen=True)
class CheckedIdentity:
    """
    What a claim says once it is moved: who is insured, the claim type, the benefit.

    `benefit_percent` is 給付割合: of national health insurance only, else None.
    """

    insured_id: InsuredId
    claim_type: str
    benefit_percent: int | None


def with_check_code(claim: UkeClaim, code: str) -> bytes:
    """
    Spell a claim with another 確認区分 and everything else as it came.

    The code goes to the insurer's SN; a claim without insurer (公費 only) has it in that of the
    first public payer. Where there is none, one is put behind the payers.
    """
    return _spelled(claim, {SN_CODE: code})


def with_branch(claim: UkeClaim, branch: str) -> bytes:
    """Spell a claim whose branch number (枝番) was found: code 09 and the branch, two digits."""
    assert re.fullmatch("[0-9]{2}", branch), "a branch has two digits"
    assert first(claim.records, "HO") is not None, "only an insurer gives branches"
    return _spelled(claim, {SN_CODE: BRANCH_FOUND, SN_BRANCH: branch})


def moved(claim: UkeClaim, to: CheckedIdentity) -> bytes:
    """
    Spell a claim for the insurer it is moved to (振替), code 04.

    HO, the claim type, the benefit and the insurer's SN say the new identity. Symbol and number
    that already stand on the claim keep its spelling; others are as wide as the claim's were, and
    both become full width if one cannot be written in half.

    Raises:
        InvalidInput: `TOO_LONG` or `FORMAT_WRONG` with the column, for a symbol or number a claim
            has no room or no characters for.
    """
    insurer = first(claim.records, "HO")
    assert insurer is not None, "only an insurer's claim is moved"
    assert patient_class_of(to.claim_type) is not None, "a claim type that exists"
    number = to.insured_id.insurer_number
    symbol, insured_number = _written(to.insured_id, insurer)
    branch = "" if number.kind is InsurerKind.LATTER_STAGE_ELDERLY else to.insured_id.branch
    benefit = "" if to.benefit_percent is None else str(to.benefit_percent)
    check = {
        SN_CODE: MOVED,
        _SN_INSURER: number.space_padded,
        _SN_SYMBOL: symbol,
        _SN_NUMBER: insured_number,
        SN_BRANCH: branch or "",
    }
    head = {RE_TYPE: to.claim_type, RE_BENEFIT: benefit}
    payer = {HO_INSURER: number.space_padded, HO_SYMBOL: symbol, HO_NUMBER: insured_number}
    return _spelled(claim, check, {"RE": head, "HO": payer})


def _spelled(
    claim: UkeClaim, check: Mapping[int, str], others: Mapping[str, Mapping[int, str]] | None = None
) -> bytes:
    """Write a claim, cells of its SN changed or the SN put in, and cells of other records."""
    assert not claim.errors, "a claim with errors is not written anew"
    assert re.fullmatch("0[1-9]|1[1-4]", check[SN_CODE]), "a check code that exists"
    payer = INSURANCE if first(claim.records, "HO") else _FIRST_PUBLIC
    found = first(claim.records, "SN", payer)
    lines = []
    for record in claim.records:
        cells = check if record is found else (others or {}).get(record.kind, {})
        lines.append(_changed(record, cells))
    if found is None:
        before = sum(record.kind in ("RE", "HO", "KO") for record in claim.records)
        blank = ["SN", payer, *("" for _ in LAYOUTS["SN"].fields[SN_CODE:])]
        raw = ",".join(blank).encode(CODE_PAGE)
        lines.insert(before, _changed(Record(0, "SN", raw, tuple(blank)), check))
    return b"".join(line + LINE_END for line in lines)


def _changed(record: Record, cells: Mapping[int, str]) -> bytes:
    if not cells:
        return record.raw
    written = record.raw.split(b",")
    for place, text in cells.items():
        written[place] = text.encode(CODE_PAGE)
    return b",".join(written)


def _written(insured_id: InsuredId, insurer: Record) -> tuple[str, str]:
    """
    Symbol and number: as they stand on the claim, if they mean the same.

    Else in one width: that of the claim's own, or full if half cannot hold them.
    """
    texts = (insured_id.symbol, insured_id.number)
    said = (insurer.fields[HO_SYMBOL], insurer.fields[HO_NUMBER])
    if all(match_text(old) == match_text(new) for old, new in zip(said, texts, strict=True)):
        return said
    narrow = tuple(text.translate(_NARROW) for text in texts)
    was_half = all(map(_HALF.fullmatch, said))
    if not (was_half and all(map(_HALF.fullmatch, narrow))):
        narrow = tuple(map(_widened, texts))
    symbol, number = narrow
    for label, text in (("記号", symbol), ("番号", number)):
        if not (_HALF.fullmatch(text) or (_FULL.fullmatch(text) and is_in_code_page(text))):
            raise InvalidInput("FORMAT_WRONG", label)
    if len(symbol) + len(number) > IDENTITY_CHARACTERS_MAX:
        raise InvalidInput("TOO_LONG", "番号")
    return symbol, number


def _widened(text: str) -> str:
    """
    Spell a text in full width, best fits of the code page included.

    What it lacks stays as it is and so is refused, for a mark in its place would name another.
    """
    kana = _HALF_KANA.sub(lambda found: unicodedata.normalize("NFKC", found[0]), text)
    wide = kana.translate(_WIDEN)
    fitted = legible(wide, "shift_jis").translate(_WIDEN)
    return text if fitted.count(UNMAPPABLE) > text.count(UNMAPPABLE) else fitted


def file_of(
    header: UkeHeader, claims: Iterable[bytes], *, claim_count: int, points: int
) -> Iterator[bytes]:
    """
    Write a file: IR as it came but for its volume, the claims, GO and the end mark.

    The file is whole in itself, whichever volume (マルチボリューム) it was made of.
    `claim_count` and `points` are those of `totals_of`; both 0 for claims that were moved.
    """
    yield _changed(header.record, {_IR_VOLUME: _ONLY_VOLUME}) + LINE_END
    yield from claims
    yield f"GO,{claim_count},{points},{_LAST_VOLUME}".encode("ascii") + LINE_END
    yield b"\x1a"


def totals_of(claims: Iterable[UkeClaim]) -> tuple[int, int]:
    """
    Count claims as GO does (claims-furikae.md 1.11).

    Returns:
        How many HO and KO records they have, and their points: HO's or else the first KO's.
    """
    count = points = 0
    for claim in claims:
        payment = payment_of(claim.records)
        count += payment.payers
        points += payment.points or 0
    return count, points


def claim_type_for(claim_type: str, to: PatientClass, kind: InsurerKind) -> str:
    """
    The claim type (レセプト種別) for another class of patient, at an insurer of a kind.

    In or out of hospital stays, and so does how many public payers there are. Only national
    insurance for retirees (67) has the retirees' types (14xx).
    """
    assert patient_class_of(claim_type) is not None, "a claim type that exists"
    place, scheme, payers, last = tuple(claim_type)
    digit = (_INPATIENT[to] + (int(last) + 1) % 2) % 10
    public = int(payers) - (0 if scheme == PUBLIC_ONLY else 1)
    if to is PatientClass.PUBLIC_EXPENSE_ONLY:
        return f"{place}{PUBLIC_ONLY}{max(public, 1)}{digit}"
    if to in _LATTER:
        return f"{place}{LATTER_STAGE}{public + 1}{digit}"
    scheme = _RETIREES if kind is InsurerKind.NATIONAL_RETIREE else _ORDINARY
    return f"{place}{scheme}{public + 1}{digit}"

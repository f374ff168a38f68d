"""Reading claim files: each error with its line, record and field, limits, what is let pass."""

from __future__ import annotations

import inspect
import re

import pytest

from gateway.domain.claims import PatientClass
from gateway.domain.reasons import REASONS
from gateway.formats import uke, uke_claim, uke_records
from gateway.formats.uke import UkeClaim, UkeError, UkeHeader, UkeItem, UkeLimits, UkeTotal
from gateway.formats.uke_claim import patient_class_of
from tests.formats.uke_samples import (
    END,
    FIRST_VISIT,
    HEADER,
    a_file,
    claim,
    only_claim,
    read,
    record,
    total,
)

Wrong = tuple[int, str, str, str]
GOOD = a_file(claim())
SECOND = {"レセプト番号": "2"}
CHECK_AGAIN = record("SN", {"負担者種別": "1", "確認区分": "01"})
COPAY_AGAIN = record("MF", {"窓口負担額区分": "00"})
NOTE = record("CO", {"負担区分": "1", "コメントコード": "810000001"})
DISEASE_NAME = "架空病".encode("cp932")
LONG_TEXTS = {"傷病名称": "架" * 20, "補足コメント": "架" * 20}
FEBRUARY = {"診療年月": "202602"}
OTHER_INSTITUTION = HEADER | {"医療機関コード": "0123459"}


def errors_of(items: list[UkeItem]) -> list[Wrong]:
    """Every error of a file, those of its claims included, in their order."""
    found: list[UkeError] = []
    for item in items:
        if isinstance(item, UkeError):
            found.append(item)
        elif isinstance(item, UkeClaim):
            found.extend(item.errors)
    return [tuple(error) for error in found]


def swapped(data: bytes, first: int, second: int) -> bytes:
    """A claim with two of its records exchanged."""
    lines = data.splitlines(keepends=True)
    lines[first], lines[second] = lines[second], lines[first]
    return b"".join(lines)


# Fields: the claim's RE is line 2 of the file, HO 3, SN 4, JD 5, MF 6, SY 7, SI 8 and 9.
FIELDS = [
    (claim(RE={"氏名": ""}), (2, "RE", "氏名", "FIELD_REQUIRED")),
    (claim(RE={"男女区分": "3"}), (2, "RE", "男女区分", "CODE_UNKNOWN")),
    (claim(RE={"氏名": "架空 太郎"}), (2, "RE", "氏名", "FORMAT_WRONG")),
    (claim(RE={"氏名": "架" * 21}), (2, "RE", "氏名", "TOO_LONG")),
    (claim(RE={"氏名": "a" * 41}), (2, "RE", "氏名", "TOO_LONG")),
    (claim(RE={"生年月日": "19840230"}), (2, "RE", "生年月日", "DATE_WRONG")),
    (claim(RE={"生年月日": "198402"}), (2, "RE", "生年月日", "LENGTH_WRONG")),
    (claim(RE={"診療年月": "202613"}), (2, "RE", "診療年月", "DATE_WRONG")),
    (claim(RE={"レセプト種別": "1119"[:3]}), (2, "RE", "レセプト種別", "LENGTH_WRONG")),
    (claim(RE={"レセプト種別": "3112"}), (2, "RE", "レセプト種別", "CODE_UNKNOWN")),
    (claim(RE={"レセプト番号": "01"}), (2, "RE", "レセプト番号", "FORMAT_WRONG")),
    (claim(RE={"レセプト特記事項": "262"}), (2, "RE", "レセプト特記事項", "FORMAT_WRONG")),
    (claim(RE={"カタカナ（氏名）": "ｶｸｳ"}), (2, "RE", "カタカナ（氏名）", "FORMAT_WRONG")),
    (claim(HO={"保険者番号": "01130013"}), (3, "HO", "保険者番号", "CHECK_DIGIT_WRONG")),
    (claim(HO={"保険者番号": "138016"}), (3, "HO", "保険者番号", "LENGTH_WRONG")),
    (claim(HO={"保険者番号": "138016  "}), (3, "HO", "保険者番号", "FORMAT_WRONG")),
    (claim(HO={"番号": ""}), (3, "HO", "番号", "FIELD_REQUIRED")),
    (claim(HO={"記号": "a" * 10, "番号": "1" * 10}), (3, "HO", "番号", "TOO_LONG")),
    (claim(HO={"記号": "千a"}), (3, "HO", "記号", "FORMAT_WRONG")),
    (claim(HO={"合計点数": ""}), (3, "HO", "合計点数", "FIELD_REQUIRED")),
    (claim(SN={"枝番": "x"}), (4, "SN", "枝番", "FORMAT_WRONG")),
    (claim(SN={"負担者種別": "6"}), (4, "SN", "負担者種別", "CODE_UNKNOWN")),
    (claim(JD={"4日の情報": "3"}), (5, "JD", "4日の情報", "CODE_UNKNOWN")),
    (claim(RE=FEBRUARY, JD={"29日の情報": "1"}), (5, "JD", "29日の情報", "DATE_WRONG")),
    (claim(MF={"窓口負担額区分": "05"}), (6, "MF", "窓口負担額区分", "CODE_UNKNOWN")),
    (claim(SY={"診療開始日": "20260399"}), (7, "SY", "診療開始日", "DATE_WRONG")),
    (claim(SI={"数量データ": "1.50"}), (8, "SI", "数量データ", "FORMAT_WRONG")),
    (claim(SI={"数量データ": "123456.25"}), (8, "SI", "数量データ", "TOO_LONG")),
    (
        claim(RE={"診療年月": "202604"}, SI={"31日の情報": "1"}),
        (8, "SI", "31日の情報", "DATE_WRONG"),
    ),
]  # fmt: skip

RECORDS = [
    (claim(SN=None) + CHECK_AGAIN, (9, "SN", "", "RECORD_ORDER_WRONG")),
    (swapped(claim(), 2, 3), (5, "SN", "", "RECORD_ORDER_WRONG")),
    (claim(HO=None), (2, "HO", "", "RECORD_MISSING")),
    (claim(RE={"レセプト種別": "1212"}, HO=None), (2, "KO", "", "RECORD_MISSING")),
    (claim(SY=None), (2, "SY", "", "RECORD_MISSING")),
    (claim(SI=None), (2, "SI", "", "RECORD_MISSING")),
    (claim().replace(b"SY,", b"XX,"), (7, "", "", "RECORD_UNKNOWN")),
    (claim().replace(b"\r\nSY,", b"\r\n\r\nSY,"), (7, "", "", "RECORD_UNKNOWN")),
    (claim().replace(b"\r\nSY,", b",\r\nSY,"), (6, "MF", "", "FIELD_COUNT_WRONG")),
    (claim().replace(b",\r\nSY,", b"\r\nSY,"), (6, "MF", "", "FIELD_COUNT_WRONG")),
    (claim().replace(b"MF,00", b'MF,"00"'), (6, "MF", "", "QUOTE_FORBIDDEN")),
    (claim().replace(b"\r\nSY,", b"\nSY,"), (6, "MF", "", "LINE_END_WRONG")),
    (claim().replace(DISEASE_NAME, b"\x81\x20"), (7, "SY", "", "ENCODING_WRONG")),
    (claim().replace(DISEASE_NAME, b"\xf0\x40"), (7, "SY", "傷病名称", "FORMAT_WRONG")),
    (claim() + b'GR,"1"\r\n', (10, "GR", "", "QUOTE_FORBIDDEN")),
    (claim() + b"TI,\x1a\r\n", (10, "TI", "", "FORMAT_WRONG")),
    (claim().replace(b"SY,", COPAY_AGAIN + b"SY,"), (7, "MF", "", "RECORD_REPEATED")),
    (claim().replace(b"JD,1", CHECK_AGAIN + b"JD,1"), (5, "SN", "負担者種別", "RECORD_REPEATED")),
    (claim() + NOTE * 99, (108, "CO", "診療識別", "FIELD_REQUIRED")),
]  # fmt: skip


@pytest.mark.parametrize(("data", "expected"), [*FIELDS, *RECORDS])
def test_claim_error_has_line_record_and_field(data: bytes, expected: Wrong) -> None:
    """A claim with an error is refused with the place, and the claim after it is read."""
    bad, good = [
        item for item in read(a_file(data, claim(RE=SECOND))) if isinstance(item, UkeClaim)
    ]
    assert expected in [tuple(error) for error in bad.errors]
    assert bad.claim is None
    assert good.claim is not None
    assert good.number == 2


@pytest.mark.parametrize(("data", "expected"), FIELDS)
def test_one_wrong_field_is_one_error(data: bytes, expected: Wrong) -> None:
    """A wrong field makes no other errors, in the claim or in the file."""
    points = 0 if expected[2] == "合計点数" else 364
    assert [expected] == errors_of(read(a_file(data, points=points)))


FILES = [
    (claim() + total() + END, (1, "IR", "", "RECORD_MISSING")),
    (b"", (1, "IR", "", "RECORD_MISSING")),
    (record("IR", OTHER_INSTITUTION) + END, (1, "IR", "医療機関コード", "CHECK_DIGIT_WRONG")),
    (record("IR", HEADER | {"請求年月": "202600"}) + END, (1, "IR", "請求年月", "DATE_WRONG")),
    (record("IR", HEADER | {"都道府県": "48"}) + END, (1, "IR", "都道府県", "CODE_UNKNOWN")),
    (record("IR", HEADER) + claim() + END, (10, "GO", "", "RECORD_MISSING")),
    (GOOD.removesuffix(END), (10, "", "", "END_MARK_MISSING")),
    (GOOD + END, (11, "", "", "END_MARK_REPEATED")),
    (GOOD + b"\r\n", (11, "", "", "TEXT_AFTER_END")),
    (GOOD + claim(), (11, "", "", "TEXT_AFTER_END")),
    (GOOD.removesuffix(b"\r\n" + END) + END, (10, "GO", "", "LINE_END_WRONG")),
    (a_file(claim(), count=2), (10, "GO", "総件数", "TOTALS_WRONG")),
    (a_file(claim(), points=1), (10, "GO", "総合計点数", "TOTALS_WRONG")),
    (a_file(claim(), count=0, points=0), (10, "GO", "総件数", "TOTALS_WRONG")),
    (GOOD.replace(b"GO,1", b"GO,x"), (10, "GO", "総件数", "FORMAT_WRONG")),
    (GOOD.replace(b"GO,", record("IR", HEADER) + b"GO,"), (10, "IR", "", "RECORD_ORDER_WRONG")),
    (GOOD.replace(b"RE,", b"SY,", 1), (2, "SY", "", "RECORD_ORDER_WRONG")),
    (GOOD.replace(b"RE,", b"ZZ,", 1), (2, "", "", "RECORD_UNKNOWN")),
    (GOOD.removesuffix(END) + claim() + END, (11, "RE", "", "RECORD_ORDER_WRONG")),
    (a_file(claim(RE={"レセプト番号": "0"})), (2, "RE", "レセプト番号", "RECORD_ORDER_WRONG")),
    (a_file(claim(), claim()), (10, "RE", "レセプト番号", "RECORD_ORDER_WRONG")),
]  # fmt: skip


@pytest.mark.parametrize(("data", "expected"), FILES)
def test_file_error_has_its_line(data: bytes, expected: Wrong) -> None:
    """What is wrong with the file as a whole is told with the line it is noticed at."""
    assert expected in errors_of(read(data))


def test_good_file_has_no_errors() -> None:
    """Header, claim and total come in their order, with the institution's ten digits."""
    header, item, end = read(GOOD)
    assert isinstance(header, UkeHeader)
    assert header.institution_code == "1310123458"
    assert header.billing_month == "202604"
    assert isinstance(item, UkeClaim)
    assert claim() == item.encoded
    assert isinstance(end, UkeTotal)
    assert end.claims == 1
    assert end.points == 364


def test_every_reason_is_tested() -> None:
    """Each reason the modules that read name has a case here; the limits have theirs below."""
    named = {
        reason
        for module in (uke, uke_claim, uke_records)
        for reason in re.findall(r'"([A-Z]+_[A-Z_]+)"', inspect.getsource(module))
    }
    told = {expected[3] for _, expected in (*FIELDS, *RECORDS, *FILES)}
    assert told >= named - {"RECORD_TOO_LONG", "RECORDS_TOO_MANY", "CLAIMS_TOO_MANY"}
    assert named <= set(REASONS)


@pytest.mark.parametrize("code", ["00", "02", "03", "09", "10", "99"])
def test_any_check_code_is_read(code: str) -> None:
    """A code we do not know is no error, since other writers use more of them."""
    assert only_claim(a_file(claim(SN={"確認区分": code}))).claim is not None


@pytest.mark.parametrize("number", ["77777777", "77777779"])
def test_unidentified_insurer_is_read(number: str) -> None:
    """Both numbers for 不詳 make a claim without identity."""
    found = only_claim(a_file(claim(HO={"保険者番号": number, "番号": ""}))).claim
    assert found is not None
    assert found.insured_id is None
    assert found.is_unidentified


def test_local_recipient_number_is_read() -> None:
    """Public payers' numbers are not checked, for local schemes break the rule."""
    data = claim(KO={"負担者番号": "83136019", "受給者番号": "1111111"})
    assert not only_claim(a_file(data, count=2)).errors


LONG = a_file(claim(SY=LONG_TEXTS))
TWO = a_file(claim(), claim(RE=SECOND))
SIZE_TO_MF = claim().index(b"MF,")


@pytest.mark.parametrize(
    ("limits", "data", "expected"),
    [
        (UkeLimits(record_bytes_max=100), LONG, (7, "", "", "RECORD_TOO_LONG")),
        (UkeLimits(records_per_claim_max=4), GOOD, (6, "MF", "", "RECORDS_TOO_MANY")),
        (UkeLimits(claim_bytes_max=SIZE_TO_MF), GOOD, (6, "MF", "", "RECORDS_TOO_MANY")),
        (UkeLimits(claims_max=1), TWO, (10, "RE", "", "CLAIMS_TOO_MANY")),
    ],
)
def test_limit_is_an_error(limits: UkeLimits, data: bytes, expected: Wrong) -> None:
    """Going over a limit is told once, and GO is not held against what was dropped."""
    assert [expected] == errors_of(read(data, limits=limits))


def test_dropped_records_are_not_kept() -> None:
    """A claim over its limit holds no more records than that."""
    items = read(GOOD, limits=UkeLimits(records_per_claim_max=4))
    (found,) = [item for item in items if isinstance(item, UkeClaim)]
    assert len(found.records) == 4


def test_claim_of_few_large_records_is_bounded() -> None:
    """A claim holds so many bytes, however few its records are."""
    large = record("SJ", {"症状詳記区分": "01", "症状詳記データ": "あ" * 1_000})
    limits = UkeLimits(claim_bytes_max=10_000)
    (found,) = [
        item
        for item in read(a_file(claim() + large * 50), limits=limits)
        if isinstance(item, UkeClaim)
    ]
    assert [error.reason for error in found.errors] == ["RECORDS_TOO_MANY"]
    assert len(found.encoded) <= 10_000


def test_usual_limits_keep_a_claim_within_what_clients_take() -> None:
    """A claim and what is told of it fit into the 4 MiB of a gRPC client."""
    assert UkeLimits().claim_bytes_max <= 3 * 1024**2


def test_errors_are_bounded() -> None:
    """A claim tells so many errors and no more, and so does a file."""
    limits = UkeLimits(errors_per_claim_max=2, file_errors_max=3)
    worst = claim(RE={"氏名": "", "男女区分": "9", "生年月日": "1"})
    items = read(a_file(worst) + END, limits=limits)
    (found,) = [item for item in items if isinstance(item, UkeClaim)]
    assert len(found.errors) == 2
    outside = read(b"ZZ\r\n" * 50, limits=limits)
    assert len(outside) == 3


@pytest.mark.parametrize(
    ("claim_type", "expected"),
    [
        ("1112", PatientClass.SELF),
        ("1121", PatientClass.SELF),
        ("1114", PatientClass.PRESCHOOL),
        ("1116", PatientClass.FAMILY),
        ("1158", PatientClass.ELDERLY),
        ("1110", PatientClass.ELDERLY_30_PERCENT),
        ("1119", PatientClass.ELDERLY_30_PERCENT),
        ("1318", PatientClass.LATTER_STAGE),
        ("1310", PatientClass.LATTER_STAGE_30_PERCENT),
        ("1212", PatientClass.PUBLIC_EXPENSE_ONLY),
        ("1412", PatientClass.SELF),
        *((other, None) for other in ("3112", "1512", "1162", "1252", "1218", "1312", "112", "")),
    ],
)
def test_claim_type_tells_the_class(claim_type: str, expected: PatientClass | None) -> None:
    """The table of claims-furikae.md 1.10, and nothing for a type it does not have."""
    assert expected == patient_class_of(claim_type)


def test_details_marked_again_are_not_too_many() -> None:
    """98 details without 診療識別 may follow each that has one."""
    unmarked = NOTE * 98
    data = claim() + unmarked + record("SI", FIRST_VISIT) + unmarked
    assert not only_claim(a_file(data)).errors

"""Writing claims anew: a code, a branch, another insurer; every other byte as it came."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.domain.claims import PatientClass
from gateway.domain.errors import InvalidInput
from gateway.domain.identifiers import InsuredId, InsurerKind, InsurerNumber, match_text
from gateway.formats.uke import UkeClaim, UkeHeader
from gateway.formats.uke_claim import patient_class_of
from gateway.formats.uke_edit import (
    CheckedIdentity,
    claim_type_for,
    file_of,
    moved,
    totals_of,
    with_branch,
    with_check_code,
)
from tests.formats.uke_samples import HEADER, a_file, claim, only_claim, read, record

NATIONAL = InsuredId(InsurerNumber("00138016"), "千代", "0012", "01")
SOCIETY = InsuredId(InsurerNumber("06139992"), "5678", "9", "02")
SOCIETIES, RETIREES = InsurerKind.SOCIETY, InsurerKind.NATIONAL_RETIREE
FULL = {"記号": "１２３４５６７８", "番号": "１２"}
PUBLIC_ONLY = claim(
    RE={"レセプト種別": "1212"}, HO=None, KO={}, SN=None, JD={"負担者種別": "2"}, MF=None
)

Cells = dict[tuple[str, int], tuple[str, str]]


def changes(before: bytes, after: bytes) -> Cells:
    """The cells two spellings of a claim differ in; records and fields must be as many."""
    found: Cells = {}
    lines = zip(before.split(b"\r\n"), after.split(b"\r\n"), strict=True)
    for old, new in lines:
        cells = zip(old.decode("cp932").split(","), new.decode("cp932").split(","), strict=True)
        for place, (was, now) in enumerate(cells):
            if was != now:
                found[now_kind(new), place] = (was, now)
    return found


def now_kind(line: bytes) -> str:
    """The record id of a line."""
    return line[:2].decode("ascii")


def sample(data: bytes) -> UkeClaim:
    """A claim as it is read out of a file."""
    found = only_claim(a_file(data))
    assert not found.errors
    return found


def to(
    insured_id: InsuredId, claim_type: str = "1112", benefit: int | None = None
) -> CheckedIdentity:
    """An identity to move a claim to."""
    return CheckedIdentity(insured_id, claim_type, benefit)


@pytest.mark.parametrize("code", ["02", "03", "05", "06", "07", "08", "11", "14"])
def test_code_changes_one_cell(code: str) -> None:
    """Only 確認区分 differs from what came."""
    data = claim()
    assert changes(data, with_check_code(sample(data), code)) == {("SN", 2): ("01", code)}


def test_code_of_another_payer_stays() -> None:
    """A public payer's SN, even the first one of the claim, is left alone."""
    public = record("SN", {"負担者種別": "2", "確認区分": "01", "受給者番号": "1234566"})
    insurer = record("SN", {"負担者種別": "1", "確認区分": "01"})
    data = claim(KO={}, SN=None).replace(b"JD,1", public + insurer + b"JD,1")
    written = with_check_code(sample(data), "02")
    assert data.replace(b"SN,1,01", b"SN,1,02") == written


@pytest.mark.parametrize("public", [{}, {"KO": {}}])
def test_missing_check_record_is_put_behind_the_payers(public: dict[str, dict[str, str]]) -> None:
    """A claim without SN gets one with nine fields, in its place in the order."""
    data = claim(SN=None, **public)
    written = with_check_code(sample(data), "06")
    assert data.replace(b"JD,1", b"SN,1,06,,,,,,\r\nJD,1") == written
    assert not only_claim(a_file(written)).errors


def test_public_claim_gets_the_code_of_its_first_payer() -> None:
    """A claim without insurer has no payer 1; the code goes to 負担者種別 2."""
    written = with_check_code(sample(PUBLIC_ONLY), "02")
    assert PUBLIC_ONLY.replace(b"JD,2", b"SN,2,02,,,,,,\r\nJD,2") == written


def test_branch_is_filled_with_code_09() -> None:
    """The code and the branch change, and nothing else."""
    data = claim(SN={"枝番": ""})
    written = with_branch(sample(data), "03")
    assert changes(data, written) == {("SN", 2): ("01", "09"), ("SN", 6): ("", "03")}


def test_branch_is_filled_without_check_record() -> None:
    """A claim without SN gets one that says the branch."""
    written = with_branch(sample(claim(SN=None)), "03")
    assert b"\r\nSN,1,09,,,,03,,\r\nJD,1" in written


def test_moved_claim_says_the_new_identity() -> None:
    """HO, type, benefit and SN change; the number has blanks, a kanji symbol widens both."""
    data = claim()
    written = moved(sample(data), to(NATIONAL, "1116", 70))
    assert changes(data, written) == {
        ("RE", 2): ("1112", "1116"),
        ("RE", 7): ("", "70"),
        ("HO", 1): ("01130012", "  138016"),
        ("HO", 2): ("12345678", "千代"),
        ("HO", 3): ("12", "００１２"),
        ("SN", 2): ("01", "04"),
        ("SN", 3): ("", "  138016"),
        ("SN", 4): ("", "千代"),
        ("SN", 5): ("", "００１２"),
        ("SN", 6): ("00", "01"),
    }


def test_moved_claim_loses_the_benefit_of_national_insurance() -> None:
    """給付割合 is empty where the new insurer has none."""
    data = claim(RE={"給付割合": "70"}, HO={"保険者番号": "  138016"})
    assert changes(data, moved(sample(data), to(SOCIETY)))["RE", 7] == ("70", "")


@pytest.mark.parametrize(
    ("was", "symbol", "number", "expected"),
    [
        ({}, "５６", "９", ("56", "9")),
        (FULL, "56-7", "9", ("５６－７", "９")),
        ({"記号": ""}, "ｱｶﾞ", "9", ("ｱｶﾞ", "9")),
        (FULL, "ｱｶﾞ", "9", ("アガ", "９")),
        ({"記号": "", "番号": "１２"}, "5", "9", ("５", "９")),
        ({}, "千代〜", "1 2", ("千代～", "１　２")),
        ({}, "a,b", "9", ("ａ，ｂ", "９")),
        ({}, "", "12345674", ("", "12345674")),
    ],
)
def test_width_is_the_claims_own(
    was: dict[str, str], symbol: str, number: str, expected: tuple[str, str]
) -> None:
    """Half stays half and full stays full; what half cannot hold makes both full."""
    identity = InsuredId(SOCIETY.insurer_number, symbol, number)
    written = only_claim(a_file(moved(sample(claim(HO=was)), to(identity))))
    assert not written.errors
    assert expected == written.records[1].fields[2:4]
    assert expected == written.records[2].fields[4:6]


@pytest.mark.parametrize(
    ("symbol", "number", "field", "reason"),
    [
        ("1234567890", "1234567890", "番号", "TOO_LONG"),
        ("𠮷", "1", "記号", "FORMAT_WRONG"),
        ("●𠮷", "1", "記号", "FORMAT_WRONG"),
        ("1", "😀", "番号", "FORMAT_WRONG"),
    ],
)
def test_identity_a_claim_cannot_hold_is_refused(
    symbol: str, number: str, field: str, reason: str
) -> None:
    """Nothing is cut off and no mark stands for a character, for it would name another."""
    identity = InsuredId(SOCIETY.insurer_number, symbol, number)
    with pytest.raises(InvalidInput) as refused:
        moved(sample(claim()), to(identity))
    assert (field, reason) == (refused.value.field, refused.value.reason)


def test_latter_stage_has_no_branch() -> None:
    """枝番 is left out for 後期高齢者, whatever the identity says."""
    identity = InsuredId(InsurerNumber("39131016"), "", "12345674", "01")
    written = sample(moved(sample(claim()), to(identity, "1318")))
    assert written.records[2].fields[6] == ""
    assert written.claim is not None
    assert written.claim.insured_id == InsuredId(identity.insurer_number, "", "12345674")


@settings(deadline=None)
@given(
    st.text("09aｱあ千－-（ ", max_size=9).map(str.strip),
    st.text("09aｱあ千－-", min_size=1, max_size=9),
    st.sampled_from([{}, FULL, {"記号": "千代", "番号": "１"}]),
)
def test_moved_claim_reads_back(symbol: str, number: str, was: dict[str, str]) -> None:
    """The insurer that gets the claim reads who was meant, and everything else as it was."""
    data = claim(HO=was)
    identity = InsuredId(SOCIETY.insurer_number, symbol, number, "02")
    before = sample(data)
    after = sample(moved(before, to(identity)))
    assert before.claim is not None
    assert after.claim is not None
    assert after.claim.insured_id is not None
    assert match_text(symbol) == match_text(after.claim.insured_id.symbol)
    assert identity.names(after.claim.insured_id)
    assert before.claim.recorded_days == after.claim.recorded_days
    assert before.encoded.split(b"JD,")[1] == after.encoded.split(b"JD,")[1]


@pytest.mark.parametrize(
    ("said", "registered"),
    [("12-3", "12⁃3"), ("１２－３", "12−3"), ("123", "１２３"), ("12 3", "123"), ("㈱", "(株)")],
)
def test_same_symbol_keeps_the_spelling_of_the_claim(said: str, registered: str) -> None:
    """A class is corrected though the registered spelling has no cp932 form."""
    data = claim(HO={"記号": said, "番号": "１２" if ord(said[0]) > 0x7F else "12"})
    identity = InsuredId(InsurerNumber("01130012"), registered, "12", "00")

    written = moved(sample(data), to(identity, "1116"))

    assert {("RE", 2), ("SN", 2)} <= changes(data, written).keys()
    assert not {("HO", 2), ("HO", 3)} & changes(data, written).keys()


def test_one_of_several_volumes_becomes_a_file_of_its_own() -> None:
    """IR says 00 (one volume) where GO says 99, whatever volume was read."""
    numbered = record("IR", HEADER | {"マルチボリューム識別情報": "01"})
    header, *_ = read(a_file(claim()).replace(record("IR", HEADER), numbered))
    assert isinstance(header, UkeHeader)
    assert next(file_of(header, (), claim_count=0, points=0)) == record("IR", HEADER)


def test_file_is_header_claims_total_and_end() -> None:
    """The header leaves as it came, GO says what it is told, one 0x1A ends the file."""
    header, item, *_ = read(a_file(claim()))
    assert isinstance(header, UkeHeader)
    assert isinstance(item, UkeClaim)
    written = b"".join(file_of(header, [moved(item, to(SOCIETY))], claim_count=0, points=0))
    assert written.startswith(record("IR", HEADER))
    assert written.endswith(b"\r\nGO,0,0,99\r\n\x1a")
    assert not any(
        getattr(found, "reason", getattr(found, "errors", "")) for found in read(written)
    )


def test_totals_count_payers_and_take_the_first_points() -> None:
    """HO and KO records count; points are HO's, or the first KO's where there is no HO."""
    with_public = claim(KO={"合計点数": "100"})
    two_publics = PUBLIC_ONLY.replace(
        b"JD,2", record("KO", {"負担者番号": "54136015", "合計点数": "9"}) + b"JD,2"
    )
    claims = [only_claim(a_file(data)) for data in (with_public, two_publics)]
    assert totals_of(claims) == (4, 364 + 364)


@pytest.mark.parametrize(
    ("claim_type", "to_class", "kind", "expected"),
    [
        ("1112", PatientClass.FAMILY, SOCIETIES, "1116"),
        ("1115", PatientClass.SELF, SOCIETIES, "1111"),
        ("1116", PatientClass.LATTER_STAGE, SOCIETIES, "1318"),
        ("1129", PatientClass.LATTER_STAGE_30_PERCENT, SOCIETIES, "1329"),
        ("1310", PatientClass.SELF, SOCIETIES, "1112"),
        ("1320", PatientClass.ELDERLY_30_PERCENT, SOCIETIES, "1120"),
        ("1222", PatientClass.FAMILY, SOCIETIES, "1136"),
        ("1135", PatientClass.PUBLIC_EXPENSE_ONLY, SOCIETIES, "1221"),
        # The retirees' types are those of the insurer it goes to.
        ("1412", PatientClass.PRESCHOOL, SOCIETIES, "1114"),
        ("1112", PatientClass.PRESCHOOL, RETIREES, "1414"),
        ("1436", PatientClass.SELF, RETIREES, "1432"),
    ],
)
def test_claim_type_changes_with_the_class(
    claim_type: str, to_class: PatientClass, kind: InsurerKind, expected: str
) -> None:
    """In or out of hospital and the number of public payers stay."""
    assert expected == claim_type_for(claim_type, to_class, kind)


@settings(deadline=None)
@given(
    st.from_regex("1[1234][1-5][0-9]", fullmatch=True),
    st.sampled_from(PatientClass),
    st.sampled_from(InsurerKind),
)
def test_claim_type_tells_the_class_it_was_made_for(
    claim_type: str, to_class: PatientClass, kind: InsurerKind
) -> None:
    """Every type there is can become one of every class."""
    if patient_class_of(claim_type) is not None:
        assert to_class == patient_class_of(claim_type_for(claim_type, to_class, kind))

"""Numbers on cards and certificates: what is read, what is refused, what counts as the same."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.changes import LinkNumber, NewCover, Target
from gateway.domain.errors import InvalidInput, Refusal
from gateway.domain.identifiers import (
    InstitutionCode,
    InsuredId,
    InsurerKind,
    InsurerNumber,
    UnidentifiedInsurer,
    check_digit_holds,
    match_text,
    parse_branch,
    parse_insurer,
    with_check_digit,
)
from gateway.domain.individual_number import IndividualNumber, individual_check_digit
from tests.strategies import individual_numbers, insured_ids, insurer_numbers, nasty_texts, symbols

PARSERS: dict[str, Callable[[str], object]] = {
    "insurer": InsurerNumber.parse,
    "insurer-or-unidentified": parse_insurer,
    "institution": InstitutionCode.parse,
    "branch": parse_branch,
    "individual-number": IndividualNumber.parse,
    "symbol": lambda text: InsuredId.parse("06139992", text, "1", "").lookup_key,
    "number": lambda text: InsuredId.parse("06139992", "", text, "").lookup_key,
}

MY_NUMBER = "12345678901" + individual_check_digit("12345678901")


@dataclass(frozen=True)
class Holder:
    """Something else that happens to hold a My Number."""

    number: IndividualNumber


def refused(parse: Callable[[str], object], text: str) -> str:
    """Give the reason a text is refused with."""
    with pytest.raises(InvalidInput) as caught:
        parse(text)
    return caught.value.reason


@pytest.mark.parametrize("digits", ["33120015", "010108", "06139992", "1319999999", "00010108"])
def test_check_digit_holds_for_known_numbers(digits: str) -> None:
    """The published examples of insurer numbers and the made-up institution pass."""
    assert check_digit_holds(digits)


@pytest.mark.parametrize("digits", ["33120015", "010108", "06139992", "1319999999"])
def test_check_digit_catches_every_single_wrong_digit(digits: str) -> None:
    """No one digit can be mistyped without being noticed."""
    mistyped = [
        digits[:place] + other + digits[place + 1 :]
        for place in range(len(digits))
        for other in "0123456789"
        if other != digits[place]
    ]
    assert not any(check_digit_holds(text) for text in mistyped)


@given(st.text("0123456789", min_size=1, max_size=12), st.integers(0, 4))
def test_leading_zeros_do_not_change_the_check_digit(body: str, zeros: int) -> None:
    """Six and eight digits of one insurer agree."""
    assert check_digit_holds("0" * zeros + with_check_digit(body))


@pytest.mark.parametrize(
    "text", ["010108", "00010108", "  010108", "010108  ", "０１０１０８", "　０１０１０８"]
)
def test_insurer_number_has_one_value_in_every_spelling(text: str) -> None:
    """Padding with blanks, with zeros or not at all, in either width, is one number."""
    assert InsurerNumber("00010108") == InsurerNumber.parse(text)


@pytest.mark.parametrize(
    ("text", "zero_padded", "space_padded", "bare"),
    [
        ("010108", "00010108", "  010108", "010108"),
        ("06139992", "06139992", "06139992", "06139992"),
        ("33120015", "33120015", "33120015", "33120015"),
    ],
)
def test_insurer_number_has_three_surface_forms(
    text: str, zero_padded: str, space_padded: str, bare: str
) -> None:
    """Results pad with blanks, certificates with zeros, cards not at all."""
    number = InsurerNumber.parse(text)
    assert (zero_padded, space_padded, bare) == (
        number.zero_padded,
        number.space_padded,
        number.bare,
    )


@given(insurer_numbers)
def test_every_surface_form_reads_back(number: InsurerNumber) -> None:
    """Whatever we write, we read as the same insurer."""
    assert {number} == {
        InsurerNumber.parse(text)
        for text in (number.zero_padded, number.space_padded, number.bare.rjust(6, "0"))
    }


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "FIELD_REQUIRED"),
        (" 　 ", "FIELD_REQUIRED"),
        ("06-39992", "FORMAT_WRONG"),
        ("0613 992", "FORMAT_WRONG"),
        ("O6139992", "FORMAT_WRONG"),
        ("-6139992", "FORMAT_WRONG"),
        ("٠٦١٣٩٩٩٢", "FORMAT_WRONG"),
        ("6139992", "LENGTH_WRONG"),
        ("006139992", "LENGTH_WRONG"),
        ("06139993", "CHECK_DIGIT_WRONG"),
        ("77777777", "INSURER_UNIDENTIFIED"),
        ("７７７７７７７７", "INSURER_UNIDENTIFIED"),
    ],
)
def test_insurer_number_is_refused_with_its_reason(text: str, reason: str) -> None:
    """A number that cannot be an insurer's says what is wrong with it."""
    assert reason == refused(InsurerNumber.parse, text)


def test_not_identified_is_a_value_of_its_own() -> None:
    """77777777 fails the check digit and is still read, as no insurer's number."""
    assert UnidentifiedInsurer() == parse_insurer(" 77777777 ")
    assert not check_digit_holds("77777777")


@pytest.mark.parametrize(
    ("text", "kind", "is_medical_assistance"),
    [
        ("010108", InsurerKind.NATIONAL, False),
        ("06139992", InsurerKind.SOCIETY, False),
        ("33120015", InsurerKind.MUTUAL_AID, False),
        (with_check_digit("3913000"), InsurerKind.LATTER_STAGE_ELDERLY, False),
        (with_check_digit("1213001"), InsurerKind.MEDICAL_ASSISTANCE, True),
        (with_check_digit("9913001"), InsurerKind.OTHER, False),
    ],
)
def test_insurer_kind_is_read_from_the_first_two_digits(
    text: str, kind: InsurerKind, *, is_medical_assistance: bool
) -> None:
    """The law number tells the sort of insurer, and payers of medical assistance from insurers."""
    number = InsurerNumber.parse(text)
    assert (kind, is_medical_assistance) == (number.kind, number.is_medical_assistance)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "FIELD_REQUIRED"),
        ("131999999", "LENGTH_WRONG"),
        ("13-9999999", "FORMAT_WRONG"),
        ("1319999998", "CHECK_DIGIT_WRONG"),
    ],
)
def test_institution_code_is_refused_with_its_reason(text: str, reason: str) -> None:
    """Ten digits whose last checks the others, or a reason."""
    assert reason == refused(InstitutionCode.parse, text)


def test_institution_code_is_read_in_either_width() -> None:
    """Full-width digits and blanks around them are the same code."""
    assert InstitutionCode("1319999999") == InstitutionCode.parse(" １３１９９９９９９９ ")


@pytest.mark.parametrize(
    ("text", "branch"),
    [("01", "01"), ("1", "01"), ("００", "00"), ("", None), (" 　", None), (" 12 ", "12")],
)
def test_branch_is_two_digits_or_nothing(text: str, branch: str | None) -> None:
    """One digit is read as zero-padded, and no branch is no error (R003-03)."""
    assert branch == parse_branch(text)


@pytest.mark.parametrize(
    ("text", "reason"), [("001", "LENGTH_WRONG"), ("a1", "FORMAT_WRONG"), ("-1", "FORMAT_WRONG")]
)
def test_branch_is_refused_with_its_reason(text: str, reason: str) -> None:
    """Three digits are no branch, even if the first is zero."""
    assert reason == refused(parse_branch, text)


@pytest.mark.parametrize(
    ("one", "other", "is_same"),
    [
        ("12-34", "１２－３４", True),
        ("12-34", "12‐34", True),
        ("12-34", "12‑34", True),
        ("12-34", "12–34", True),
        ("12-34", "12—34", True),
        ("12-34", "12―34", True),
        ("12-34", "12−34", True),
        ("12-34", "12─34", True),
        ("12-34", "12ー34", True),
        ("12-34", "12ｰ34", True),
        ("1--2", "１ーー２", True),
        ("12-34", "1234", False),
        ("ケーエス", "ｹｰｴｽ", True),
        ("ケーエス", "ケ-エス", False),
        ("けー1", "けー１", True),
        ("パピ", "ﾊﾟﾋﾟ", True),
        ("東京　12", "東京12", True),
        ("東 京12", "東京１２", True),
        ("0123", "123", False),
        ("０１２３", "0123", True),
        ("AbC", "ＡｂＣ", True),
        ("AbC", "abc", False),
        ("カ", "か", False),
        ("髙", "高", False),
    ],
)
def test_symbols_are_the_same_up_to_width_blanks_and_strokes(
    one: str, other: str, *, is_same: bool
) -> None:
    """Width, blanks and the kind of stroke do not count; zeros, case and characters do."""
    assert is_same == (match_text(one) == match_text(other))


@given(symbols)
def test_spelling_for_comparison_is_stable(text: str) -> None:
    """What is spelt for comparison once stays as it is."""
    assert match_text(text) == match_text(match_text(text))


@given(insured_ids)
def test_same_lookup_key_as_found_and_as_asked(insured_id: InsuredId) -> None:
    """An id whose text is spelt for comparison is found under the key of the original."""
    respelt = InsuredId(
        insured_id.insurer_number, match_text(insured_id.symbol), match_text(insured_id.number)
    )
    assert insured_id.lookup_key == respelt.lookup_key
    assert respelt.names(insured_id)


def test_lookup_key_keeps_symbol_and_number_apart() -> None:
    """Moving a character from the symbol to the number is another id."""
    one = InsuredId.parse("06139992", "12", "345", "")
    other = InsuredId.parse("06139992", "123", "45", "")
    assert one.lookup_key != other.lookup_key
    assert not one.names(other)


@pytest.mark.parametrize(
    ("asked", "registered", "is_named"),
    [("01", "01", True), ("01", "02", False), ("", "02", True), ("01", "", True), ("", "", True)],
)
def test_a_missing_branch_matches_any(asked: str, registered: str, *, is_named: bool) -> None:
    """Asked without a branch, or registered without one, the rest decides (R003-02, R003-03)."""
    question = InsuredId.parse("06139992", "12", "345", asked)
    assert is_named == question.names(InsuredId.parse("06139992", "12", "345", registered))


@pytest.mark.parametrize(
    ("part", "text", "reason"),
    [
        ("symbol", "あ" * 21, "TOO_LONG"),
        ("symbol", "1\x002", "FORMAT_WRONG"),
        ("symbol", "1\u200b2", "FORMAT_WRONG"),
        ("number", "", "FIELD_REQUIRED"),
        ("number", " 　", "FIELD_REQUIRED"),
        ("number", "1" * 21, "TOO_LONG"),
        ("number", "1\n2", "FORMAT_WRONG"),
        ("branch", "123", "LENGTH_WRONG"),
        ("insurer_number", "06139993", "CHECK_DIGIT_WRONG"),
    ],
)
def test_insured_id_names_the_part_that_is_wrong(part: str, text: str, reason: str) -> None:
    """A refusal says which of the four parts it is about, and never repeats it."""
    parts = {"insurer_number": "06139992", "symbol": "", "number": "1", "branch": ""} | {part: text}
    with pytest.raises(InvalidInput) as caught:
        InsuredId.parse(**parts)
    assert (reason, part) == (caught.value.reason, caught.value.field)
    assert f"{part}: {reason}" == str(caught.value)


def test_insured_id_keeps_the_text_as_it_came() -> None:
    """Blanks around are dropped, blanks within and width stay, so that results can show them."""
    expected = InsuredId(InsurerNumber("06139992"), "東京　１２", "００１")
    assert expected == InsuredId.parse("06139992", " 東京　１２ ", "００１", "")


@pytest.mark.parametrize("name", PARSERS)
@given(text=nasty_texts | st.text(st.characters(exclude_categories=()), max_size=30))
def test_parsers_raise_nothing_but_refusals(name: str, text: str) -> None:
    """Any text at all is read or refused with a reason; nothing else happens."""
    try:
        PARSERS[name](text)
    except Refusal as refusal:
        assert refusal.advice.ja  # noqa: PT017  the refusal is one of two good outcomes


def test_my_number_check_digit_of_a_known_example() -> None:
    """The ordinance's sum gives 8 for the well-known 1234 5678 901."""
    expected = "8"
    assert expected == individual_check_digit("12345678901")


@pytest.mark.parametrize("text", ["1234-5678-9018", "１２３４　５６７８　９０１８", MY_NUMBER])
def test_my_number_is_read_in_every_spelling(text: str) -> None:
    """Hyphens, blanks and width do not count."""
    expected = MY_NUMBER
    assert expected == IndividualNumber.parse(text).reveal()


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (" ", "FIELD_REQUIRED"),
        ("12345678901", "LENGTH_WRONG"),
        ("12345678901x", "FORMAT_WRONG"),
        ("123456789010", "CHECK_DIGIT_WRONG"),
    ],
)
def test_my_number_is_refused_without_being_repeated(text: str, reason: str) -> None:
    """A refusal names the reason and no digit of the number."""
    with pytest.raises(InvalidInput) as caught:
        IndividualNumber.parse(text)
    assert (reason, f"individual_number: {reason}") == (caught.value.reason, str(caught.value))


SHOWING: dict[str, Callable[[IndividualNumber], str]] = {
    "str": str,
    "repr": repr,
    "ascii": ascii,
    "format": lambda number: f"{number}",
    "format-repr": lambda number: f"{number!r}",
    "percent": lambda number: "%s" % number,  # noqa: UP031  the old way must hide it too
    "in-a-list": lambda number: str([number]),
    "in-a-dataclass": lambda number: repr(Holder(number)),
    "in-a-new-cover": lambda number: repr(NewCover(TARGET, {}, number)),
    "in-a-link": lambda number: repr(LinkNumber(TARGET, number)),
}
TARGET = Target(InsuredId.parse("06139992", "1", "2", ""), date(1990, 1, 1))


@pytest.mark.parametrize("way", SHOWING)
@given(number=individual_numbers)
def test_my_number_never_shows_its_digits(way: str, number: IndividualNumber) -> None:
    """However it is turned into text, every number gives the same text."""
    assert SHOWING[way](IndividualNumber(MY_NUMBER)) == SHOWING[way](number)
    assert number.reveal() not in SHOWING[way](number)


@pytest.mark.parametrize(
    "serialise",
    [pickle.dumps, copy.copy, copy.deepcopy, msgspec.json.encode, msgspec.msgpack.encode],
)
def test_my_number_cannot_be_serialised(serialise: Callable[[object], object]) -> None:
    """Pickling, copying and encoding refuse it, and their error does not tell the number."""
    with pytest.raises(TypeError) as caught:
        serialise(IndividualNumber(MY_NUMBER))
    assert MY_NUMBER not in str(caught.value)


def test_my_numbers_are_compared_by_value() -> None:
    """Two readings of one number are equal and hash alike; another number is not equal."""
    other = IndividualNumber("98765432109" + individual_check_digit("98765432109"))
    assert {IndividualNumber(MY_NUMBER), other} == {
        IndividualNumber.parse("1234 5678 9018"),
        other,
    }
    assert IndividualNumber(MY_NUMBER) != other
    assert IndividualNumber(MY_NUMBER) != MY_NUMBER

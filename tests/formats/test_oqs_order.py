"""The order of elements: as a Java hash map gives them, by what such maps are known to do."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest

from gateway.formats.oqs_elements import Element
from gateway.formats.oqs_order import arrange_by, in_hash_map_order, string_hash, table_size
from gateway.formats.oqs_xml import decode_query, encode_confirmation
from tests.formats.oqs_answers import ANSWERS
from tests.formats.test_oqs_xml import GOLDEN, tree_of

HEADER: Final = (
    "ProcessExecutionTime QualificationConfirmationDate MedicalInstitutionCode "
    "ArbitraryFileIdentifier ReferenceClassification SegmentOfResult CharacterCodeIdentifier"
)
HEADER_IN_JAVA: Final = (
    "ProcessExecutionTime CharacterCodeIdentifier SegmentOfResult QualificationConfirmationDate "
    "ReferenceClassification ArbitraryFileIdentifier MedicalInstitutionCode"
)
BODY: Final = "ProcessingResultStatus QualificationValidity ResultList"
BODY_IN_JAVA: Final = "ResultList ProcessingResultStatus QualificationValidity"
RECORD_IN_JAVA: Final = (
    "Address InsuredName QualificationDate PersonalFamilyClassification Sex2 Sex1 Name "
    "InsurerNumber InsuredCardSymbol NameKana InsuredCardValidDate "
    "LimitApplicationCertificateRelatedConsFlg InsuredCardClassification "
    "LimitApplicationCertificateRelatedConsTime NameOfOther InsuredBranchNumber Birthdate "
    "InsuredCertificateIssuanceDate InsuredIdentificationNumber ElderlyRecipientCertificateInfo "
    "NameOfOtherKana InsurerName PostNumber LimitApplicationCertificateRelatedInfo"
)
"""What java.util.HashMap of Java 17 or later gives; the record's 24 names in a table of 64."""


def ordered(names: str, names_count: int = 0) -> str:
    """Names as a hash map gives them."""
    children = [Element(name, "") for name in names.split()]
    return " ".join(child.name for child in in_hash_map_order(children, names_count))


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ("England Germany Norway USA", "USA Norway England Germany"),
        (HEADER, HEADER_IN_JAVA),
        (BODY, BODY_IN_JAVA),
        ("AaAa BBBB AaBB BBAa C D", "C D AaAa BBBB AaBB BBAa"),
        ("BBAa AaBB C", "C BBAa AaBB"),
    ],
)
def test_names_stand_as_in_a_java_hash_map(names: str, expected: str) -> None:
    """Small groups have a table of 16; names of one hash stay as they came."""
    assert expected == ordered(names)


def test_a_record_stands_as_in_a_table_of_64() -> None:
    """A record of 24 elements is ordered as the map of all the layout's names orders it."""
    data = (GOLDEN / "made-valid-with-consent.in.xml").read_bytes()
    answer = ANSWERS["valid-with-consent"]
    assert answer is not None
    arrange = arrange_by("hashmap")
    tree = tree_of(encode_confirmation(decode_query(data), answer, "utf-8", arrange))
    record = tree.find("MessageBody/ResultList/ResultOfQualificationConfirmation")
    header = tree.find("MessageHeader")
    assert record is not None
    assert header is not None
    expected = (RECORD_IN_JAVA, HEADER_IN_JAVA)
    assert expected == (
        " ".join(child.tag for child in record),
        " ".join(child.tag for child in header),
    )


def test_the_hash_is_that_of_java_strings() -> None:
    """Values anyone can look up, one of which overflows."""
    expected = [0, 97, 99_162_322, 2_112, 2_112, 0x8000_0000]
    texts = ("", "a", "hello", "Aa", "BB", "polygenelubricants")
    assert expected == [string_hash(text) for text in texts]


@pytest.mark.parametrize(
    ("names_count", "size"), [(0, 16), (12, 16), (13, 32), (24, 32), (25, 64), (48, 64), (49, 128)]
)
def test_a_table_doubles_over_three_quarters(names_count: int, size: int) -> None:
    """The number of names that still fits is included."""
    assert size == table_size(names_count)


def test_children_of_one_name_stay_together_in_their_order() -> None:
    """A list is one key of the map."""
    children = [Element("England", "1"), Element("USA", "2"), Element("England", "3")]
    expected = ["2", "1", "3"]
    assert expected == [child.content for child in in_hash_map_order(children, 0)]


def test_another_order_is_unknown() -> None:
    """A misspelt word does not pass in silence."""
    with pytest.raises(KeyError):
        arrange_by("alphabet")


def test_golden_cases_hold_the_same_elements_in_either_order() -> None:
    """Nothing is lost or doubled by the order."""
    for name, answer in ANSWERS.items():
        if answer is None:
            continue
        request = decode_query(Path(GOLDEN / f"made-{name}.in.xml").read_bytes())
        plain, mixed = (
            sorted(
                (element.tag, (element.text or "").strip())
                for element in tree_of(
                    encode_confirmation(request, answer, "utf-8", arrange_by(order))
                ).iter()
            )
            for order in ("layout", "hashmap")
        )
        assert plain == mixed

"""The face file: the answer a card reader's confirmation gives, and certificates with consent."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Final

import pytest

from gateway.formats.oqs_xml import (
    EligibilityResult,
    decode_query,
    encode_confirmation,
    encode_face,
)
from gateway.formats.text import Encoding
from tests.formats.oqs_answers import ANSWERS, DIALYSIS, NOBODY, PLAIN
from tests.formats.test_oqs_xml import GOLDEN, tree_of

FACES: Final = Path(__file__).parent / "golden" / "oqs-face"
CODE: Final = "1319999999"
CASES: Final[tuple[tuple[str, Encoding, str], ...]] = (
    ("valid-with-consent", "utf-8", "layout"),
    ("valid-with-consent", "shift_jis", "hashmap"),
    ("specific-diseases", "utf-8", "hashmap"),
    ("no-such-cover", "shift_jis", "layout"),
)


def result_of(name: str) -> EligibilityResult:
    """A made-up answer by name."""
    answer = ANSWERS[name]
    assert answer is not None
    return answer


@pytest.mark.parametrize(("name", "encoding", "order"), CASES)
def test_a_golden_answer_gets_its_golden_face(name: str, encoding: Encoding, order: str) -> None:
    """Each made-up answer spells exactly the stored file, in either encoding and order."""
    expected = (FACES / f"made-{name}-{encoding}-{order}.xml").read_bytes()
    assert expected == encode_face(result_of(name), CODE, encoding, order)


def test_every_golden_face_is_a_case() -> None:
    """No golden file lies there untested."""
    expected = {f"made-{name}-{encoding}-{order}.xml" for name, encoding, order in CASES}
    assert expected == {path.name for path in FACES.glob("*.xml")}


def test_a_face_says_by_card_and_echoes_nothing() -> None:
    """ReferenceClassification 1; there was no request (oqs-interface.md 2.2)."""
    tree = tree_of(encode_face(NOBODY, CODE, "utf-8"))
    expected = ("1", CODE, None, None, "4")
    assert expected == (
        tree.findtext("MessageHeader/ReferenceClassification"),
        tree.findtext("MessageHeader/MedicalInstitutionCode"),
        tree.find("MessageHeader/ArbitraryFileIdentifier"),
        tree.find("MessageBody/QualificationConfirmSearchInfo"),
        tree.findtext("MessageBody/QualificationValidity"),
    )


def test_a_face_speaks_of_consent_only_with_a_certificate() -> None:
    """A certificate comes with consent 1 at the time of the answer; without one nothing is said."""
    bare = replace(NOBODY, coverages=(PLAIN,))
    assert b"ConsFlg" not in encode_face(bare, CODE, "utf-8")
    tree = tree_of(encode_face(result_of("valid-with-consent"), CODE, "utf-8"))
    expected = ("1", "20260415093005", "B05")
    assert expected == tuple(
        tree.findtext(f".//LimitApplicationCertificate{name}")
        for name in (
            "RelatedConsFlg",
            "RelatedConsTime",
            "RelatedInfo/" + "LimitApplicationCertificateClassificationFlag",
        )
    )


def test_specific_diseases_stand_in_a_list_with_their_consent() -> None:
    """Items 30 to 32 stand between the limit certificate and the tickets, in layout order."""
    request = decode_query((GOLDEN / "made-specific-diseases.in.xml").read_bytes())
    written = encode_confirmation(request, result_of("specific-diseases"), "utf-8")
    record = tree_of(written).find(".//ResultOfQualificationConfirmation")
    assert record is not None
    expected = [
        "LimitApplicationCertificateRelatedConsFlg",
        "SpecificDiseasesCertificateRelatedConsFlg",
        "SpecificDiseasesCertificateRelatedConsTime",
        "SpecificDiseasesCertificateList",
    ]
    assert expected == [child.tag for child in record][-4:]
    items = record.findall("SpecificDiseasesCertificateList/SpecificDiseasesCertificateInfo")
    prefix = "SpecificDiseases"
    dialysis = [
        (f"{prefix}DiseaseCategory", "1"),
        (f"{prefix}CertificateDate", "20240520"),
        (f"{prefix}ValidStartDate", "20240601"),
        (f"{prefix}SelfPay", "10000"),
    ]
    haemophilia = [
        (f"{prefix}DiseaseCategory", "2"),
        (f"{prefix}ValidStartDate", "20230101"),
        (f"{prefix}ValidEndDate", "20261231"),
        (f"{prefix}SelfPay", "0"),
    ]
    assert [dialysis, haemophilia] == [[(leaf.tag, leaf.text) for leaf in item] for item in items]


def test_without_certificates_no_word_of_specific_diseases() -> None:
    """Neither list nor consent is made up."""
    face = encode_face(replace(NOBODY, coverages=(PLAIN,)), CODE, "utf-8")
    assert b"SpecificDiseases" not in face
    shown = replace(PLAIN, specific_diseases=(DIALYSIS,))
    face = encode_face(replace(NOBODY, coverages=(shown,)), CODE, "utf-8")
    expected = 1
    assert expected == face.count(b"<SpecificDiseasesCertificateInfo>")

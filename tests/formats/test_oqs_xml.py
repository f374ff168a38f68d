"""The official XML: what is read, what is refused, and what an answer looks like."""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Final
from xml.etree import ElementTree as ET

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.domain.errors import InvalidInput, NotPermitted, Refusal, TooMuch
from gateway.formats.oqs_elements import Element
from gateway.formats.oqs_xml import (
    EligibilityRequest,
    Failure,
    decode_envelope,
    decode_query,
    encode_confirmation,
    encode_failure,
    encode_rejection,
    is_complete,
    read_query,
)
from gateway.formats.text import Encoding, codec
from tests.formats.oqs_answers import ANSWERS, NOBODY, NOW

GOLDEN: Final = Path(__file__).parent / "golden" / "oqs"
ORDINARY: Final = (GOLDEN / "made-newer-cover.in.xml").read_bytes()
CONSENTED: Final = (GOLDEN / "made-valid-with-consent.in.xml").read_bytes()
SHIFT_JIS: Final = (GOLDEN / "made-valid-shift-jis.in.xml").read_bytes()
ENCODINGS: Final[tuple[Encoding, ...]] = ("utf-8", "shift_jis")


def spelt(name: str) -> bytes:
    """Answer a golden request as the bridge does."""
    envelope = decode_envelope((GOLDEN / f"made-{name}.in.xml").read_bytes())
    try:
        request = read_query(envelope)
    except InvalidInput as refusal:
        return encode_failure(envelope, Failure.of(refusal), NOW, envelope.encoding)
    answer = ANSWERS[name]
    assert answer is not None
    return encode_confirmation(request, answer, envelope.encoding)


def asked(data: bytes) -> tuple[object, ...]:
    """What a request asks, without how it is written."""
    request = decode_query(data)
    return (
        request.envelope.institution_code,
        request.confirmation_date,
        request.insured_id,
        request.birth_date,
        request.is_limit_consented,
    )


def tree_of(answer: bytes) -> ET.Element:
    """Read an answer with a parser that is not ours; expat must not see Shift_JIS."""
    declaration, _, rest = answer.partition(b"\n")
    text = rest.decode("cp932" if b"Shift_JIS" in declaration else "utf-8")
    return ET.fromstring(text)  # noqa: S314  our own output


@pytest.mark.parametrize("name", sorted(ANSWERS))
def test_a_golden_request_gets_its_golden_answer(name: str) -> None:
    """Each made-up request and answer spells exactly the stored file."""
    expected = (GOLDEN / f"made-{name}.out.xml").read_bytes()
    assert expected == spelt(name)


def test_every_golden_file_is_a_case() -> None:
    """No golden file lies there untested."""
    expected = {f"made-{name}.{way}.xml" for name in ANSWERS for way in ("in", "out")}
    assert expected == {path.name for path in GOLDEN.glob("*.xml")}


@pytest.mark.parametrize(
    "data",
    [
        b"\xef\xbb\xbf" + ORDINARY,
        ORDINARY.partition(b"\n")[2],
        ORDINARY.replace(b"\n", b"\r\n"),
        re.sub(rb"\n *", b"", ORDINARY),
        ORDINARY.replace(b' standalone="no"', b""),
        ORDINARY.replace(b'"UTF-8"', b"'utf-8'"),
        ORDINARY.decode().replace("UTF-8", "Windows-31J").encode("cp932"),
        re.sub(rb"<(Birthdate)>(.*?)</Birthdate>", rb"<\1 ><![CDATA[\2]]></\1 >", ORDINARY),
        ORDINARY.replace(b"</MessageHeader>", b"<New><Deep>1</Deep></New></MessageHeader>"),
        ORDINARY.replace(b"06130017", b"<!-- padded --> 6130017".replace(b" 6", b"06")),
        ORDINARY.replace(b"<XmlMsg>", b'<XmlMsg version="1>0">'),
    ],
)
def test_every_usual_spelling_of_a_request_asks_the_same(data: bytes) -> None:
    """Byte order mark, declaration, white space, CDATA and unknown elements make no difference."""
    assert is_complete(data)
    assert asked(ORDINARY) == asked(data)


def test_children_may_come_in_any_order() -> None:
    """The search items and the two halves of the message may be turned around."""
    lines = CONSENTED.decode().splitlines()
    start, end = (
        next(place for place, line in enumerate(lines) if tag in line)
        for tag in ("<QualificationConfirmSearchInfo>", "</QualificationConfirmSearchInfo>")
    )
    lines[start + 1 : end] = reversed(lines[start + 1 : end])
    header = lines[2:7]
    turned = "\n".join([*lines[:2], *lines[7:-1], *header, lines[-1]]).encode()
    assert asked(CONSENTED) == asked(turned)


@pytest.mark.parametrize(
    "tag", ["<InsuredBranchNumber/>", "<InsuredBranchNumber ></InsuredBranchNumber>"]
)
def test_a_blank_branch_is_no_branch(tag: str) -> None:
    """An empty element means that the card has no branch."""
    data = ORDINARY.replace(b"<InsuredBranchNumber>02</InsuredBranchNumber>", tag.encode())
    assert decode_query(data).insured_id.branch is None


@pytest.mark.parametrize(
    ("old", "new", "reason", "field"),
    [
        ("06130017", "06130018", "CHECK_DIGIT_WRONG", "InsurerNumber"),
        ("06130017", "77777777", "INSURER_UNIDENTIFIED", "InsurerNumber"),
        (">06130017<", "> <", "FIELD_REQUIRED", "InsurerNumber"),
        (">100<", f">{'1' * 21}<", "TOO_LONG", "InsuredCardSymbol"),
        (">42<", "><", "FIELD_REQUIRED", "InsuredIdentificationNumber"),
        (">02<", ">002<", "LENGTH_WRONG", "InsuredBranchNumber"),
        ("20200229", "20210229", "DATE_WRONG", "Birthdate"),
        ("20200229", "9" * 9, "FORMAT_WRONG", "Birthdate"),
        ("20260415", "", "FIELD_REQUIRED", "QualificationConfirmationDate"),
        ("20260415", "R080415", "FORMAT_WRONG", "QualificationConfirmationDate"),
        ("1319999999", "1319999998", "CHECK_DIGIT_WRONG", "MedicalInstitutionCode"),
        (">0</Limit", ">2</Limit", "CODE_UNKNOWN", "LimitApplicationCertificateRelatedConsFlg"),
        (">0</Limit", "></Limit", "FIELD_REQUIRED", "LimitApplicationCertificateRelatedConsFlg"),
    ],
)
def test_a_bad_item_is_refused_by_its_element(old: str, new: str, reason: str, field: str) -> None:
    """A refusal names the reason and the element, never the value."""
    data = ORDINARY.decode().replace(old, new).encode()
    assert data != ORDINARY
    with pytest.raises(InvalidInput) as caught:
        decode_query(data)
    assert (reason, field) == (caught.value.reason, caught.value.field)
    assert (f"{field}: {reason}") == str(caught.value)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x00" * 64,
        ORDINARY[:-2],
        ORDINARY + b"\x00",
        ORDINARY + ORDINARY,
        ORDINARY.replace(b"<XmlMsg>", b"<Other>").replace(b"</XmlMsg>", b"</Other>"),
        ORDINARY.replace(b"MessageHeader>", b"Header>"),
        ORDINARY.replace(b"QualificationConfirmSearchInfo>", b"SearchInfo>"),
        ORDINARY.replace(b"<XmlMsg>", b'<!DOCTYPE XmlMsg [<!ENTITY a "b">]><XmlMsg>'),
        ORDINARY.replace(b">42<", b">&a;<"),
        ORDINARY.replace(b">42<", b">&#xD800;<"),
        ORDINARY.replace(b">42<", b"><b>42</b><"),
        ORDINARY.replace(b"<Birthdate>", b"<Birthdate>20200229</Birthdate><Birthdate>"),
        ORDINARY.replace(b"</XmlMsg>", b"<a>" * 40 + b"</a>" * 40 + b"</XmlMsg>"),
        ORDINARY.replace(b"<XmlMsg>", b"<?xml version='1.0'?><XmlMsg>"),
        b" " + ORDINARY,
        b"<a>" * 20_000,
    ],
)
def test_what_is_no_request_is_malformed(data: bytes) -> None:
    """Cut off, doubled, nested too deep, with a DTD or with unknown roots: all one refusal."""
    with pytest.raises(InvalidInput) as caught:
        decode_query(data)
    expected = "MESSAGE_MALFORMED"
    assert expected == caught.value.reason


@pytest.mark.parametrize(
    "data",
    [
        SHIFT_JIS.replace(b"Shift_JIS", b"UTF-8"),
        SHIFT_JIS.decode("cp932").encode("utf-8"),
        SHIFT_JIS.replace(b"Shift_JIS", b"EUC-JP"),
        SHIFT_JIS.partition(b"\n")[2],
        b"\xef\xbb\xbf" + SHIFT_JIS,
        ORDINARY.decode().encode("utf-16"),
        ORDINARY.replace(b">42<", b">\xed\xa0\x80<"),
    ],
)
def test_bytes_that_are_not_in_the_declared_encoding_are_refused(data: bytes) -> None:
    """A wrong or foreign declaration is told apart from a malformed message."""
    with pytest.raises(InvalidInput) as caught:
        decode_query(data)
    expected = "ENCODING_WRONG"
    assert expected == caught.value.reason


def test_half_width_kana_in_shift_jis_are_not_taken_for_utf8() -> None:
    """Half-width kana whose bytes happen to be valid UTF-8 are read as declared."""
    data = ORDINARY.decode().replace("UTF-8", "Shift_JIS").replace(">100<", ">ﾃｨ<").encode("cp932")
    expected = "ﾃｨ"
    assert expected == decode_query(data).insured_id.symbol


def test_a_message_over_the_limit_is_too_large() -> None:
    """The limit counts bytes and includes its last one."""
    decode_query(ORDINARY, len(ORDINARY))
    with pytest.raises(TooMuch):
        decode_query(ORDINARY, len(ORDINARY) - 1)


@pytest.mark.parametrize("whole", [ORDINARY.rstrip(), SHIFT_JIS.rstrip()])
def test_a_message_is_complete_only_with_its_last_byte(whole: bytes) -> None:
    """No beginning of a request looks whole."""
    assert is_complete(whole)
    assert not any(is_complete(whole[:length]) for length in range(len(whole)))


def test_a_wrong_but_whole_document_is_complete() -> None:
    """Waiting would not make it right."""
    assert is_complete(b"<Other/>")
    assert is_complete(ORDINARY.decode().encode("utf-16"))


@given(st.binary(max_size=300))
@example(b"\xff\xfe<\x00")
def test_no_bytes_raise_anything_but_a_refusal(data: bytes) -> None:
    """Whatever lies in the folder, reading it ends in a request or a refusal."""
    is_complete(data)
    with pytest.raises(Refusal):
        decode_query(data)


@given(
    st.sampled_from([ORDINARY, CONSENTED, SHIFT_JIS]),
    st.lists(
        st.tuples(
            st.integers(0, 900),
            st.integers(0, 40),
            st.binary(max_size=12)
            | st.sampled_from(
                [b"<", b">", b"&#x41;", b"<![CDATA[", b"]]>", b"<!--", b"\x00", b"/"]
            ),
        ),
        max_size=4,
    ),
)
def test_no_damaged_request_raises_anything_but_a_refusal(
    data: bytes, damages: list[tuple[int, int, bytes]]
) -> None:
    """A request with bytes cut out and put in is refused, or read and answered."""
    for place, length, inserted in damages:
        data = data[:place] + inserted + data[place + length :]
    is_complete(data)
    with suppress(Refusal):
        assert_answerable(decode_query(data))


def assert_answerable(request: EligibilityRequest) -> None:
    """Whatever could be read gets a well-formed answer in either encoding."""
    for encoding in ENCODINGS:
        tree = tree_of(encode_confirmation(request, NOBODY, encoding))
        expected = request.envelope.document.search_values.get("InsuredIdentificationNumber", "")
        assert expected == (tree.findtext(".//InsuredIdentificationNumber") or "")


IDENTIFIERS: Final = [
    "",
    "  two  blanks  ",
    "a&amp;b&lt;c&gt;&quot;&apos;",
    "&#65;&#x3042;",
    "<![CDATA[<x>&]]>",
    "日本語㈱～",
    "line\r\nbreak\tand tab",
    "<!-- remark -->x",
]


@pytest.mark.parametrize("identifier", IDENTIFIERS)
@pytest.mark.parametrize("declared", ["UTF-8", "Shift_JIS"])
def test_identifiers_come_back_byte_for_byte(identifier: str, declared: str) -> None:
    """Clients find their answer by the element's exact bytes (oqs-interface.md 5.14)."""
    name = codec("shift_jis" if declared == "Shift_JIS" else "utf-8")
    element = f"<ArbitraryFileIdentifier>{identifier}</ArbitraryFileIdentifier>".encode(name)
    person = f"<ArbitraryIdentifier>{identifier}</ArbitraryIdentifier>".encode(name)
    data = CONSENTED.decode().replace("UTF-8", declared).encode(name)
    data = re.sub(rb"<ArbitraryFileId.*?</ArbitraryFileIdentifier>", lambda _: element, data)
    data = re.sub(rb"<ArbitraryId.*?</ArbitraryIdentifier>", lambda _: person, data)
    written = spelt_answer(data)
    expected = (1, 1)
    assert expected == (written.count(element), written.count(person))


def test_both_spellings_of_a_character_in_shift_jis_come_back_as_they_came() -> None:
    """Code page 932 has two codes for some kanji; the echo keeps the one that came."""
    for code in (b"\xed\x40", b"\xfa\x5c"):
        data = SHIFT_JIS.replace(b" a&amp;b", code)
        assert code + b" &#x41;" in spelt_answer(data)


def spelt_answer(data: bytes) -> bytes:
    """Answer "no such cover" in the request's encoding."""
    request = decode_query(data)
    return encode_confirmation(request, NOBODY, request.envelope.encoding)


def test_an_absent_identifier_stays_absent() -> None:
    """No empty element is made up."""
    data = re.sub(rb"<ArbitraryFileId.*?</ArbitraryFileIdentifier>", b"", ORDINARY)
    assert b"ArbitraryFileIdentifier" not in spelt_answer(data)


def test_an_echo_in_another_encoding_uses_numeric_references() -> None:
    """What Shift_JIS lacks in an echo becomes a reference that reads as the same character."""
    identifier = "𠮷<![CDATA[𠮷<&]]><!-- 𠮷 -->&amp;"
    data = ORDINARY.replace(b">0001<", f">{identifier}<".encode())
    written = encode_confirmation(decode_query(data), NOBODY, "shift_jis")
    expected = "𠮷𠮷<&&"
    assert expected == tree_of(written).findtext("MessageHeader/ArbitraryFileIdentifier")


def test_elements_stand_in_layout_order_without_attributes() -> None:
    """The fullest answer keeps the order of the layout (oqs-interface.md 2.2)."""
    tree = tree_of(spelt("valid-with-consent"))
    record = tree.find("MessageBody/ResultList/ResultOfQualificationConfirmation")
    assert record is not None
    names = " ".join(child.tag for child in record)
    expected = (
        "InsuredCardClassification InsurerNumber InsuredCardSymbol InsuredIdentificationNumber "
        "InsuredBranchNumber PersonalFamilyClassification InsuredName Name NameOfOther NameKana "
        "NameOfOtherKana Sex1 Sex2 Birthdate Address PostNumber QualificationDate "
        "InsuredCertificateIssuanceDate InsuredCardValidDate InsurerName "
        "ElderlyRecipientCertificateInfo LimitApplicationCertificateRelatedConsFlg "
        "LimitApplicationCertificateRelatedConsTime LimitApplicationCertificateRelatedInfo"
    )
    assert expected == names
    assert all(not element.attrib for element in tree.iter())


def test_a_limit_certificate_needs_consent() -> None:
    """R003-07: without consent neither the certificate nor a consent time is written."""
    answer = ANSWERS["valid-with-consent"]
    assert answer is not None
    request = replace(decode_query(CONSENTED), is_limit_consented=False)
    tree = tree_of(encode_confirmation(request, answer, "utf-8"))
    expected = ("0", None, None)
    assert expected == (
        tree.findtext(".//ResultList//LimitApplicationCertificateRelatedConsFlg"),
        tree.find(".//LimitApplicationCertificateRelatedConsTime"),
        tree.find(".//LimitApplicationCertificateRelatedInfo"),
    )


def test_the_order_of_children_can_be_changed() -> None:
    """A client that depends on order can be shown another one."""

    def backwards(children: Sequence[Element], _names_count: int) -> Sequence[Element]:
        return children[::-1]

    tree = tree_of(encode_confirmation(decode_query(ORDINARY), NOBODY, "utf-8", backwards))
    expected = ["MessageBody", "MessageHeader"]
    assert expected == [child.tag for child in tree]


def test_a_failure_as_a_whole_says_so_in_the_header() -> None:
    """SegmentOfResult 9 comes with ErrorCode and ErrorMessage, and the codes are marked ours."""
    envelope = decode_envelope(ORDINARY)
    written = encode_failure(envelope, Failure("INTERNAL", "内部エラー𠮷", True), NOW, "shift_jis")
    tree = tree_of(written)
    expected = ("9", "SIM-INTERNAL", "内部エラー●", "1", "2", "SIM-INTERNAL", None)
    assert expected == (
        tree.findtext("MessageHeader/SegmentOfResult"),
        tree.findtext("MessageHeader/ErrorCode"),
        tree.findtext("MessageHeader/ErrorMessage"),
        tree.findtext("MessageHeader/CharacterCodeIdentifier"),
        tree.findtext("MessageBody/ProcessingResultStatus"),
        tree.findtext("MessageBody/ProcessingResultCode"),
        tree.find("MessageBody/QualificationValidity"),
    )


def test_a_rejection_gives_both_advices_in_two_languages() -> None:
    """The text of the `.err` file names reason, field and what to do."""
    refusal = NotPermitted("INSTITUTION_NOT_CALLER", "MedicalInstitutionCode")
    text = encode_rejection(refusal).decode()
    named = dict(line.split(": ", 1) for line in text.splitlines() if not line.startswith("#"))
    expected = {
        "reason": "INSTITUTION_NOT_CALLER",
        "field": "MedicalInstitutionCode",
        **refusal.advice._asdict(),
    }
    assert expected == named

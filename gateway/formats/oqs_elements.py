"""
The elements of an eligibility result, in layout order, and how they become XML.

The official interface specification is not public; names and order are those that independent
clients expect. Items the gateway does not hold are left out, as the layout allows.
Sources: oqs-interface.md 2.2 (items 1-33), 2.3, 1.5 and 5.2.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Final
from xml.sax.saxutils import escape

from gateway.domain.identifiers import InsurerNumber
from gateway.formats.oqs_document import Source
from gateway.formats.text import (
    Encoding,
    codec,
    day_digits,
    half_width_kana,
    is_in_code_page,
    legible,
    moment_digits,
    postal_code,
    ratio_digits,
)


@dataclass(frozen=True, slots=True)
class ShownCertificate:
    """Days of a certificate; the last valid day is included, None is open."""

    first_valid_date: date
    last_valid_date: date | None
    issue_date: date | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownElderly(ShownCertificate):
    """An elderly recipient certificate (高齢受給者証); the ratio in percent."""

    copayment_ratio: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownLimit(ShownCertificate):
    """A limit certificate (限度額適用認定証); codes of OQSCD011 and OQSCD012."""

    kind: str
    limit_class: str
    long_term_date: date | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownTicket(ShownCertificate):
    """A ticket of medical assistance (医療券・調剤券); `month` is YYYYMM."""

    ticket_type: str
    month: str
    issue_number: str
    institution_code: str
    institution_name: str
    is_other_institution: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownSpecificDisease:
    """
    A certificate of a specific disease (特定疾病療養受療証).

    The last valid day is included, None is open. The category is a code of OQSCD013, "1" to "3";
    `self_pay_yen` is the most the person pays a month.
    """

    first_valid_date: date
    last_valid_date: date | None
    issue_date: date | None = None
    disease_category: str
    self_pay_yen: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownCoverage:
    """One cover as a clinic may see it; an empty text, None or 0 percent is not registered."""

    card_classification: str
    insurer_number: InsurerNumber
    symbol: str
    number: str
    branch: str
    relationship: int | None
    insured_name: str
    name: str
    name_of_other: str
    name_kana: str
    name_of_other_kana: str
    sex: int
    sex_on_reverse: int | None
    birth_date: date
    address: str
    post_number: str
    acquisition_date: date
    loss_date: date | None
    card_issue_date: date | None
    card_first_valid_date: date | None
    card_last_valid_date: date | None
    copayment_ratio: int
    is_preschool: bool
    loss_reason: str
    insurer_name: str
    elderly: ShownElderly | None
    limit: ShownLimit | None
    tickets: tuple[ShownTicket, ...]
    specific_diseases: tuple[ShownSpecificDisease, ...] = ()


@dataclass(frozen=True, slots=True)
class Element:
    """
    One element: a text, an item's source as it came, or a group. None leaves it out.

    `names_count` is how many names the layout has for the children of a group, where those are
    many more than are ever written here; 0 says nothing.
    """

    name: str
    content: str | Source | Sequence[Element] | None
    names_count: int = 0


Children = Sequence[Element]
Arrange = Callable[[Children, int], Children]
"""Gives the children of a group in the order they are written; see `Element.names_count`."""

_RECORD_NAMES: Final = 48
_TICKET_NAMES: Final = 26
"""Names the layout has for a record (2.2) and for a ticket (2.3)."""


def in_layout_order(children: Children, _names_count: int) -> Children:
    """Leave children as the layout has them."""
    return children


@dataclass(frozen=True, slots=True)
class Consent:
    """
    Whether the person agreed to show the limit certificate.

    `asked` is the answer given with the question, or None where the certificate itself tells,
    because it comes only with consent. `time` is when, and that of every consent.
    """

    asked: bool | None
    time: datetime


def coverage_element(cover: ShownCoverage, consent: Consent, encoding: Encoding) -> Element:
    """
    Spell one cover.

    Args:
        cover: What to show. Its limit certificate is written only with consent; certificates of
            specific diseases are there only with consent.

        consent: What the person agreed to.

        encoding: Decides which characters can be written.
    """
    return Element(
        "ResultOfQualificationConfirmation",
        (
            *_card(cover, encoding),
            *_person(cover, encoding),
            *_validity(cover, encoding),
            _elderly(cover.elderly),
            *_limit_with_consent(cover.limit, consent),
            *_diseases_with_consent(cover.specific_diseases, consent.time),
            Element(
                "PublicExpenseResultList",
                [_ticket(ticket, encoding) for ticket in cover.tickets] or None,
            ),
        ),
        _RECORD_NAMES,
    )


def _limit_with_consent(limit: ShownLimit | None, consent: Consent) -> Iterator[Element]:
    prefix = "LimitApplicationCertificateRelated"
    is_shown = limit is not None if consent.asked is None else consent.asked
    refused = None if consent.asked is None else "0"
    yield Element(f"{prefix}ConsFlg", "1" if is_shown else refused)
    yield Element(f"{prefix}ConsTime", moment_digits(consent.time) if is_shown else None)
    yield _limit(limit if is_shown else None)


def _diseases_with_consent(
    certificates: Sequence[ShownSpecificDisease], time: datetime
) -> Iterator[Element]:
    """Items 30 to 32, all or none of them."""
    prefix = "SpecificDiseasesCertificate"
    if certificates:
        yield Element(f"{prefix}RelatedConsFlg", "1")
        yield Element(f"{prefix}RelatedConsTime", moment_digits(time))
        yield Element(f"{prefix}List", [_disease(certificate) for certificate in certificates])


def _text(name: str, text: str, encoding: Encoding) -> Element:
    return Element(name, legible(text, encoding) or None)


def _day(name: str, day: date | None) -> Element:
    return Element(name, None if day is None else day_digits(day))


def _code(name: str, code: str | int | None) -> Element:
    return Element(name, str(code) if code else None)


def _ratio(name: str, percent: int) -> Element:
    return Element(name, ratio_digits(percent) if percent else None)


def _card(cover: ShownCoverage, encoding: Encoding) -> Iterator[Element]:
    yield _code("InsuredCardClassification", cover.card_classification)
    yield _code("InsurerNumber", cover.insurer_number.space_padded)
    yield _text("InsuredCardSymbol", cover.symbol, encoding)
    yield _text("InsuredIdentificationNumber", cover.number, encoding)
    yield _code("InsuredBranchNumber", cover.branch)
    yield _code("PersonalFamilyClassification", cover.relationship)


def _person(cover: ShownCoverage, encoding: Encoding) -> Iterator[Element]:
    yield _text("InsuredName", cover.insured_name, encoding)
    yield _text("Name", cover.name, encoding)
    yield _text("NameOfOther", cover.name_of_other, encoding)
    yield _text("NameKana", half_width_kana(cover.name_kana), encoding)
    yield _text("NameOfOtherKana", half_width_kana(cover.name_of_other_kana), encoding)
    yield _code("Sex1", cover.sex)
    yield _code("Sex2", cover.sex_on_reverse)
    yield _day("Birthdate", cover.birth_date)
    yield _text("Address", cover.address, encoding)
    yield _text("PostNumber", postal_code(cover.post_number), encoding)


def _validity(cover: ShownCoverage, encoding: Encoding) -> Iterator[Element]:
    yield _day("QualificationDate", cover.acquisition_date)
    yield _day("DisqualificationDate", cover.loss_date)
    yield _day("InsuredCertificateIssuanceDate", cover.card_issue_date)
    yield _day("InsuredCardValidDate", cover.card_first_valid_date)
    yield _day("InsuredCardExpirationDate", cover.card_last_valid_date)
    yield _ratio("InsuredPartialContributionRatio", cover.copayment_ratio)
    yield _code("PreschoolClassification", int(cover.is_preschool))
    yield _code("ReasonOfLoss", cover.loss_reason)
    yield _text("InsurerName", cover.insurer_name, encoding)


def _elderly(certificate: ShownElderly | None) -> Element:
    return Element(
        "ElderlyRecipientCertificateInfo",
        None
        if certificate is None
        else (
            _day("ElderlyRecipientCertificateDate", certificate.issue_date),
            _day("ElderlyRecipientValidStartDate", certificate.first_valid_date),
            _day("ElderlyRecipientValidEndDate", certificate.last_valid_date),
            _ratio("ElderlyRecipientContributionRatio", certificate.copayment_ratio),
        ),
    )


def _limit(certificate: ShownLimit | None) -> Element:
    prefix = "LimitApplicationCertificate"
    return Element(
        "LimitApplicationCertificateRelatedInfo",
        None
        if certificate is None
        else (
            _code(f"{prefix}Classification", certificate.kind),
            _code(f"{prefix}ClassificationFlag", certificate.limit_class),
            _day(f"{prefix}Date", certificate.issue_date),
            _day(f"{prefix}ValidStartDate", certificate.first_valid_date),
            _day(f"{prefix}ValidEndDate", certificate.last_valid_date),
            _day(f"{prefix}LongTermDate", certificate.long_term_date),
        ),
    )


def _disease(certificate: ShownSpecificDisease) -> Element:
    prefix = "SpecificDiseases"
    return Element(
        f"{prefix}CertificateInfo",
        (
            _code(f"{prefix}DiseaseCategory", certificate.disease_category),
            _day(f"{prefix}CertificateDate", certificate.issue_date),
            _day(f"{prefix}ValidStartDate", certificate.first_valid_date),
            _day(f"{prefix}ValidEndDate", certificate.last_valid_date),
            Element(f"{prefix}SelfPay", str(certificate.self_pay_yen)),
        ),
    )


def _ticket(ticket: ShownTicket, encoding: Encoding) -> Element:
    other = "1" if ticket.is_other_institution else "0"
    return Element(
        "MedicalTicketInfo",
        (
            _code("TicketType", ticket.ticket_type),
            _day("MedicalTicketValidDate", ticket.first_valid_date),
            _day("MedicalTicketExpirationDate", ticket.last_valid_date),
            _text("IssueNumber", ticket.issue_number, encoding),
            _code("MedicalTreatmentMonth", ticket.month),
            _code("DesignatedMedicalInstitutionCode", ticket.institution_code),
            Element("DesignatedMedicalInstitutionFlag", other if ticket.institution_code else None),
            _text("DesignatedMedicalInstitutionName", ticket.institution_name, encoding),
        ),
        _TICKET_NAMES,
    )


def write(root: Element, encoding: Encoding, source_encoding: Encoding, arrange: Arrange) -> bytes:
    """
    Spell a message as bytes: the declaration, then the elements, indented, without attributes.

    Args:
        root: The message. Its texts are legible in the encoding already.

        encoding: What to write.

        source_encoding: What the `Source` items were read from. They leave byte for byte in the
            same encoding; in another one, what it lacks becomes a numeric character reference.

        arrange: The order of children.
    """
    declared = "Shift_JIS" if encoding == "shift_jis" else "UTF-8"
    head = f'<?xml version="1.0" encoding="{declared}" standalone="no"?>\n'
    writer = _Writer(encoding, source_encoding, arrange)
    return b"".join((head.encode("ascii"), *writer.lines(root, "")))


@dataclass(frozen=True, slots=True)
class _Writer:
    encoding: Encoding
    source_encoding: Encoding
    arrange: Arrange

    def lines(self, element: Element, indent: str) -> Iterator[bytes]:
        content = element.content
        start, end = f"{indent}<{element.name}>".encode(), f"</{element.name}>\n".encode()
        match content:
            case None:
                return
            case str():
                yield b"".join((start, escape(content).encode(codec(self.encoding)), end))
            case Source():
                yield b"".join((start, self._source(content), end))
            case _:
                yield start + b"\n"
                for child in self.arrange(content, element.names_count):
                    yield from self.lines(child, indent + "    ")
                yield indent.encode() + end

    def _source(self, source: Source) -> bytes:
        if self.encoding == self.source_encoding:
            return source.raw
        return _recoded(source.text, self.encoding)


_CDATA: Final = re.compile(r"<!\[CDATA\[(.*?)\]\]>", re.DOTALL)
_REMARK: Final = re.compile(r"<!--.*?-->|<\?.*?\?>", re.DOTALL)


def _recoded(source: str, encoding: Encoding) -> bytes:
    if encoding == "utf-8" or is_in_code_page(source):
        return source.encode(codec(encoding))
    plain = "".join(
        escape(part) if place % 2 else _REMARK.sub("", part)
        for place, part in enumerate(_CDATA.split(source))
    )
    return "".join(
        character if is_in_code_page(character) else f"&#{ord(character)};" for character in plain
    ).encode("cp932")

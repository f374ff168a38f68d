"""
The eligibility request and its result (OQSsiquc01req, OQSsiquc01res): bytes to values and back.

The official interface specification is not public; this follows what independent clients write
and expect. Result codes that begin with `SIM-` and the `.err` text are inventions of this
simulator (oqs-interface.md 8, item 1). No limit on names or messages is known, none is applied.
Sources: oqs-interface.md 1.5, 1.6, 2.1, 2.2, 4 and 5.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Final

from gateway.domain.eligibility import Validity
from gateway.domain.errors import InvalidInput, Refusal
from gateway.domain.identifiers import InstitutionCode, InsuredId
from gateway.domain.period import parse_day
from gateway.formats.oqs_document import (
    REQUEST_BYTES_MAX,
    Document,
    Source,
    is_complete,
    read_document,
)
from gateway.formats.oqs_elements import (
    Arrange,
    Consent,
    Element,
    ShownCoverage,
    coverage_element,
    in_layout_order,
    write,
)
from gateway.formats.oqs_order import arrange_by
from gateway.formats.text import Encoding, day_digits, legible, moment_digits

__all__ = [
    "EligibilityRequest",
    "EligibilityResult",
    "Envelope",
    "Failure",
    "decode_envelope",
    "decode_query",
    "encode_confirmation",
    "encode_face",
    "encode_failure",
    "encode_rejection",
    "is_complete",
    "read_query",
]

CODE_PREFIX: Final = "SIM-"
"""Marks a result code as ours; the official list is not public."""

_PARTS: Final = (
    "InsurerNumber",
    "InsuredCardSymbol",
    "InsuredIdentificationNumber",
    "InsuredBranchNumber",
)
_ELEMENTS: Final = {
    "institution_code": "MedicalInstitutionCode",
    **dict(zip(("insurer_number", "symbol", "number", "branch"), _PARTS, strict=True)),
}
_CONSENTS: Final = {"0": False, "1": True}
_BY_CARD: Final = "1"
_BY_NUMBER: Final = "2"


@dataclass(frozen=True, slots=True)
class Envelope:
    """
    A request that can be answered, before anyone looked whether its question makes sense.

    `institution_code` is as written, without blanks around it.
    """

    institution_code: str
    document: Document = field(repr=False)

    @property
    def encoding(self) -> Encoding:
        """What the request is written in."""
        return self.document.encoding

    @property
    def file_identifier(self) -> Source | None:
        """The ArbitraryFileIdentifier as written, or None if there is no such element."""
        return self.document.header_sources.get("ArbitraryFileIdentifier")

    @property
    def arbitrary_identifier(self) -> Source | None:
        """The person-level ArbitraryIdentifier as written, or None."""
        return self.document.search_sources.get("ArbitraryIdentifier")


@dataclass(frozen=True, slots=True)
class EligibilityRequest:
    """A question by number, as an institution wrote it."""

    envelope: Envelope
    confirmation_date: date
    insured_id: InsuredId = field(repr=False)
    birth_date: date = field(repr=False)
    is_limit_consented: bool


@dataclass(frozen=True, slots=True)
class EligibilityResult:
    """The answer; `process_time` is wall-clock time in Japan."""

    process_time: datetime
    confirmation_date: date
    validity: Validity
    coverages: Sequence[ShownCoverage] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Failure:
    """
    Why a readable question got no answer; never holds a value from it.

    `is_whole` tells that the failure is not about this person's data: the processing as a whole
    failed (SegmentOfResult 9).
    """

    reason: str
    message: str
    is_whole: bool = False

    @classmethod
    def of(cls, refusal: Refusal) -> Failure:
        """A refusal as the clinic's screen shows it: what to do, and at which element."""
        place = f"（{refusal.field}）" if refusal.field else ""
        return cls(refusal.reason, f"{refusal.advice.ja}{place}")


def decode_query(data: bytes, bytes_max: int = REQUEST_BYTES_MAX) -> EligibilityRequest:
    """
    Read a request whole; no bytes raise anything but these refusals.

    Raises:
        TooMuch: As `decode_envelope`.
        InvalidInput: As `decode_envelope` and `read_query`.
    """
    return read_query(decode_envelope(data, bytes_max))


def decode_envelope(data: bytes, bytes_max: int = REQUEST_BYTES_MAX) -> Envelope:
    """
    Read who asks and everything an answer must echo.

    Raises:
        TooMuch: `MESSAGE_TOO_LARGE`.
        InvalidInput: `ENCODING_WRONG`, `MESSAGE_MALFORMED`, or `FIELD_REQUIRED` if
            MedicalInstitutionCode is blank.
    """
    document = read_document(data, bytes_max)
    return Envelope(_required(document.header_values, "MedicalInstitutionCode"), document)


def read_query(envelope: Envelope) -> EligibilityRequest:
    """
    Read the question; the field of a refusal is the element's name.

    Raises:
        InvalidInput: `FIELD_REQUIRED`, `FORMAT_WRONG`, `LENGTH_WRONG`, `TOO_LONG`,
            `CHECK_DIGIT_WRONG`, `INSURER_UNIDENTIFIED`, `DATE_WRONG`, `CODE_UNKNOWN`.
    """
    values = envelope.document.search_values
    try:
        InstitutionCode.parse(envelope.institution_code)
        insured_id = InsuredId.parse(*(values.get(name, "") for name in _PARTS))
    except InvalidInput as refusal:
        raise refusal.within(_ELEMENTS[refusal.field]) from None
    confirmation_date = _day(envelope.document.header_values, "QualificationConfirmationDate")
    return EligibilityRequest(
        envelope, confirmation_date, insured_id, _day(values, "Birthdate"), _consent(values)
    )


def _required(values: dict[str, str], name: str) -> str:
    value = values.get(name, "").strip()
    if not value:
        raise InvalidInput("FIELD_REQUIRED", name)
    return value


def _day(values: dict[str, str], name: str) -> date:
    text = _required(values, name)
    try:
        return parse_day(text)
    except InvalidInput as refusal:
        raise refusal.within(name) from None


def _consent(values: dict[str, str]) -> bool:
    name = "LimitApplicationCertificateRelatedConsFlg"
    code = _required(values, name)
    if code not in _CONSENTS:
        raise InvalidInput("CODE_UNKNOWN", name)
    return _CONSENTS[code]


def encode_confirmation(
    request: EligibilityRequest,
    result: EligibilityResult,
    encoding: Encoding,
    arrange: Arrange = in_layout_order,
) -> bytes:
    """
    Spell an answer as OQSsiquc01res.

    The limit certificate is written only if the request consented; the consent's time is the
    answer's, because a request by number carries none.
    """
    consent = Consent(request.is_limit_consented, result.process_time)
    header = _header(
        result.process_time,
        day_digits(result.confirmation_date),
        encoding,
        _Echo.of(request.envelope),
    )
    body = (_search_info(request.envelope), *_answer(result, consent, encoding))
    return write(_message(header, body), encoding, request.envelope.encoding, arrange)


def encode_face(
    result: EligibilityResult, institution_code: str, encoding: Encoding, order: str = "layout"
) -> bytes:
    """
    Spell an answer that a card reader's confirmation gives, as OQSsiquc01res_face.

    ReferenceClassification is 1, and there is nothing to echo: no search info, no file identifier.
    A limit certificate or certificates of specific diseases, where the answer has them, come with
    consent 1 at the answer's time; where it has none, nothing is said of consent (ours).

    Args:
        result: The answer.

        institution_code: Ten digits, of the institution whose reader it was.

        encoding: What to write.

        order: `layout` or `hashmap`, the order of elements.
    """
    header = _header(
        result.process_time,
        day_digits(result.confirmation_date),
        encoding,
        _Echo(institution_code, None, _BY_CARD),
    )
    body = _answer(result, Consent(None, result.process_time), encoding)
    return write(_message(header, body), encoding, encoding, arrange_by(order))


def _answer(result: EligibilityResult, consent: Consent, encoding: Encoding) -> tuple[Element, ...]:
    covers = [coverage_element(cover, consent, encoding) for cover in result.coverages]
    return (
        Element("ProcessingResultStatus", "1"),
        Element("QualificationValidity", str(result.validity.value)),
        Element("ResultList", covers or None),
    )


def encode_failure(
    envelope: Envelope,
    failure: Failure,
    process_time: datetime,
    encoding: Encoding,
    arrange: Arrange = in_layout_order,
) -> bytes:
    """
    Spell why a readable question got no answer, as a result with ProcessingResultStatus 2.

    The code is the reason with `SIM-` before it. If the processing as a whole failed, the header
    says so as well (SegmentOfResult 9, ErrorCode, ErrorMessage).
    """
    header = _header(
        process_time,
        envelope.document.header_sources.get("QualificationConfirmationDate"),
        encoding,
        _Echo.of(envelope),
        failure if failure.is_whole else None,
    )
    body = (
        _search_info(envelope),
        Element("ProcessingResultStatus", "2"),
        Element("ProcessingResultCode", CODE_PREFIX + failure.reason),
        Element("ProcessingResultMessage", legible(failure.message, encoding)),
    )
    return write(_message(header, body), encoding, envelope.encoding, arrange)


@dataclass(frozen=True, slots=True)
class _Echo:
    """What a header says of who asked, and how (ReferenceClassification, OQSCD002)."""

    institution_code: str | Source
    file_identifier: Source | None
    classification: str

    @classmethod
    def of(cls, envelope: Envelope) -> _Echo:
        code = envelope.document.header_sources["MedicalInstitutionCode"]
        return cls(code, envelope.file_identifier, _BY_NUMBER)


def _header(
    process_time: datetime,
    confirmation_date: str | Source | None,
    encoding: Encoding,
    echo: _Echo,
    failure: Failure | None = None,
) -> tuple[Element, ...]:
    return (
        Element("ProcessExecutionTime", moment_digits(process_time)),
        Element("QualificationConfirmationDate", confirmation_date),
        Element("MedicalInstitutionCode", echo.institution_code),
        Element("ArbitraryFileIdentifier", echo.file_identifier),
        Element("ReferenceClassification", echo.classification),
        Element("SegmentOfResult", "9" if failure else "1"),
        Element("ErrorCode", CODE_PREFIX + failure.reason if failure else None),
        Element("ErrorMessage", legible(failure.message, encoding) if failure else None),
        Element("CharacterCodeIdentifier", "1" if encoding == "shift_jis" else "0"),
    )


def _search_info(envelope: Envelope) -> Element:
    sources = envelope.document.search_sources
    return Element(
        "QualificationConfirmSearchInfo",
        [Element(name, source) for name, source in sources.items()],
    )


def _message(header: Sequence[Element], body: Sequence[Element]) -> Element:
    return Element("XmlMsg", (Element("MessageHeader", header), Element("MessageBody", body)))


def encode_rejection(refusal: Refusal) -> bytes:
    """
    Spell why a request file could not be taken at all, as the UTF-8 text of its `.err` file.

    The official content is not public; the lines `name: text` are our own.
    """
    advice = refusal.advice
    lines = (
        "# Onshi Gateway (simulator). The layout of this file is not the official one.",
        f"reason: {refusal.reason}",
        f"field: {refusal.field}",
        f"ja: {advice.ja}",
        f"en: {advice.en}",
        f"technician_ja: {advice.technician_ja}",
        f"technician_en: {advice.technician_en}",
    )
    return "".join(f"{line}\n" for line in lines).encode()

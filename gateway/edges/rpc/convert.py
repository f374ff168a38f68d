"""
Proto to domain and back, and nothing else: no proto type passes this module downward.

Field names in refusals are the message's own paths, such as `insured_id.insurer_number`.
"""

from __future__ import annotations

from datetime import date
from enum import IntEnum
from functools import lru_cache
from typing import Any, Final

from google.protobuf.timestamp_pb2 import Timestamp
from google.type.date_pb2 import Date

from gateway.domain.advice import Advice
from gateway.domain.coverage import (
    Coverage,
    DiseaseCertificate,
    ElderlyCertificate,
    LimitCertificate,
    MedicalTicket,
    VersionRef,
)
from gateway.domain.eligibility import ByCard, ByNumber, Confirmation, Query, Shown, Validity, Why
from gateway.domain.errors import InvalidInput
from gateway.domain.identifiers import InsuredId
from gateway.domain.individual_number import IndividualNumber
from gateway.domain.period import FIRST_DAY, Instant, Period, is_later, tokyo_day
from gateway.store.port import RefusedLine
from gateway.usecases.answer_tokens import AsOf, Tokens
from gateway.usecases.context import Context
from gateway.usecases.upload_coverage import UploadReport
from gateway.v1 import coverage_pb2, eligibility_pb2, types_pb2

_SEVEN_BITS: Final = 0x7F
_COVERAGES_TAG: Final = bytes(
    (eligibility_pb2.ConfirmEligibilityResponse.COVERAGES_FIELD_NUMBER << 3 | 2,)
)
"""How the wire says that a length and a `Coverage` follow."""


def query(
    request: eligibility_pb2.ConfirmEligibilityRequest, context: Context, tokens: Tokens
) -> tuple[ByNumber, AsOf]:
    """
    Read a question, and as of when it is asked.

    Without a day it is about today in Japan or, with a token, about the token's day.

    Raises:
        InvalidInput: For a missing or bad field, naming its path.
    """
    known = instant(request.known_time) if request.HasField("known_time") else None
    as_of = tokens.as_of(request.answer_token, known)
    on = (
        day(request.confirmation_date, "confirmation_date")
        if request.HasField("confirmation_date")
        else day_asked(as_of, context)
    )
    asked = ByNumber.of(
        insured_id(request.insured_id),
        day(request.birth_date, "birth_date"),
        on,
        is_limit_consented=request.is_limit_certificate_consented,
        institution_code=context.caller.code,
    )
    return asked, as_of


def day_asked(as_of: AsOf, context: Context) -> date:
    """The day a question without one is about."""
    return tokyo_day(context.now) if as_of.stamp is None else as_of.stamp.on


def insured_id(message: types_pb2.InsuredId) -> InsuredId:
    """Read a card's numbers; a refusal names the field as `insured_id.<part>`."""
    try:
        return InsuredId.parse(
            message.insurer_number, message.symbol, message.number, message.branch
        )
    except InvalidInput as refusal:
        raise refusal.within(f"insured_id.{refusal.field}") from None


def individual_number(text: str) -> IndividualNumber:
    """Read a My Number on its road into the vault."""
    return IndividualNumber.parse(text)


def day(message: Date, field: str) -> date:
    """
    Read a day.

    Raises:
        InvalidInput: `FIELD_REQUIRED` for an absent one, `DATE_WRONG` for one that does not exist.
    """
    if not (message.year or message.month or message.day):
        raise InvalidInput("FIELD_REQUIRED", field)
    try:
        read = date(message.year, message.month, message.day)
    except (ValueError, OverflowError):
        raise InvalidInput("DATE_WRONG", field) from None
    if is_later(FIRST_DAY, read):
        raise InvalidInput("DATE_WRONG", field)
    return read


def instant(message: Timestamp) -> Instant:
    """Read an instant; what is finer than a microsecond is cut off."""
    return Instant(message.seconds * 1_000_000 + message.nanos // 1000)


def timestamp(at: Instant) -> Timestamp:
    """Spell an instant."""
    return Timestamp(seconds=at // 1_000_000, nanos=at % 1_000_000 * 1000)


def date_message(on: date | None) -> Date | None:
    """Spell a day; None stays absent."""
    return None if on is None else Date(year=on.year, month=on.month, day=on.day)


def confirmation(
    answer: Confirmation, asked: Query, now: Instant, access_record_id: str, token: str
) -> bytes:
    """
    Spell an answer as the bytes of a `ConfirmEligibilityResponse`.

    Parts of a message may be put one after the other, so what is the same for every answer of a
    kind, and the sheet of each cover, are spelled once and not at every look.
    """
    own = eligibility_pb2.ConfirmEligibilityResponse(
        confirmation_date=date_message(asked.on),
        process_time=timestamp(now),
        access_record_id=access_record_id,
        decided_by=[_version(ref) for ref in answer.decided_by],
        answer_token=token,
    ).SerializeToString()
    covers = b"".join(nested(_COVERAGES_TAG, _shown(shown, asked)) for shown in answer.shown)
    words = _words(answer.validity, answer.why, is_by_card=isinstance(asked, ByCard))
    return words + own + covers


@lru_cache(maxsize=2 * len(Validity) * len(Why))
def _words(validity: Validity, why: Why, *, is_by_card: bool) -> bytes:
    return eligibility_pb2.ConfirmEligibilityResponse(
        validity=_code(validity),
        reason=why.name,
        explanation_ja=why.value.ja,
        explanation_en=why.value.en,
        route=types_pb2.ROUTE_CARD if is_by_card else types_pb2.ROUTE_NUMBER,
    ).SerializeToString()


def nested(tag: bytes, message: bytes) -> bytes:
    """Spell a message within a message: tag, length as a varint of 7 bits a byte, bytes."""
    length, rest = b"", len(message)
    while rest > _SEVEN_BITS:
        length += bytes((rest & _SEVEN_BITS | 0x80,))
        rest >>= 7
    return b"%b%b%c%b" % (tag, length, rest, message)


def _shown(shown: Shown, asked: Query) -> bytes:
    hiding = shown.cover.hiding
    face = hiding.card_sheet if hiding and isinstance(asked, ByCard) else shown.cover.sheet
    if not (shown.elderly or shown.limit or shown.tickets or shown.diseases):
        return face
    certificates = types_pb2.Coverage(
        elderly_certificate=_elderly(shown.elderly) if shown.elderly else None,
        limit_certificate=_limit(shown.limit) if shown.limit else None,
        medical_tickets=[_ticket(ticket, asked) for ticket in shown.tickets],
        specific_disease_certificates=[_disease(one) for one in shown.diseases],
    )
    return face + certificates.SerializeToString()


def _code(value: IntEnum | None) -> Any:
    """Our codes are the wire's numbers; 0 is the wire's word for nothing."""
    return 0 if value is None else value.value


def _version(ref: VersionRef) -> eligibility_pb2.DecidingVersion:
    return eligibility_pb2.DecidingVersion(
        enrollee_key=ref.enrollee_key.hex(),
        cover_number=ref.cover_no,
        version_number=ref.version_no,
        recorded_time=timestamp(ref.recorded_time),
    )


def sheet(cover: Coverage) -> bytes:
    """Spell what an answer shows of a cover whatever the day: a `Coverage` without certificates."""
    card = cover.card_validity
    return types_pb2.Coverage(
        insured_id=_insured_id_message(cover),
        name=cover.name,
        name_kana=cover.name_kana,
        name_of_other=cover.name_of_other,
        name_of_other_kana=cover.name_of_other_kana,
        insured_name=cover.insured_name,
        sex=_code(cover.sex),
        sex_on_reverse=_code(cover.sex_on_reverse),
        birth_date=date_message(cover.birth_date),
        post_number=cover.post_number,
        address=cover.address,
        relationship=_code(cover.relationship),
        card_classification=cover.card_classification.value,
        insurer_name=cover.insurer_name,
        acquisition_date=date_message(cover.period.start),
        loss_date=date_message(cover.period.end),
        loss_reason=cover.loss_reason.value if cover.loss_reason else "",
        card_issue_date=date_message(cover.card_issue_date),
        card_first_valid_date=date_message(card.start) if card else None,
        card_last_valid_date=date_message(card.last_day) if card else None,
        copayment_ratio_percent=cover.copayment_ratio or 0,
        is_preschool=cover.is_preschool,
        is_medical_information_stopped=cover.is_medical_stopped,
    ).SerializeToString()


def _insured_id_message(cover: Coverage) -> types_pb2.InsuredId:
    return types_pb2.InsuredId(
        insurer_number=cover.insured_id.insurer_number.zero_padded,
        symbol=cover.insured_id.symbol,
        number=cover.insured_id.number,
        branch=cover.insured_id.branch or "",
    )


def _days(validity: Period) -> dict[str, Date | None]:
    return {
        "first_valid_date": date_message(validity.start),
        "last_valid_date": date_message(validity.last_day),
    }


def _elderly(certificate: ElderlyCertificate) -> types_pb2.ElderlyCertificate:
    return types_pb2.ElderlyCertificate(
        issue_date=date_message(certificate.issue_date),
        copayment_ratio_percent=certificate.copayment_ratio,
        **_days(certificate.validity),
    )


def _limit(certificate: LimitCertificate) -> types_pb2.LimitCertificate:
    return types_pb2.LimitCertificate(
        kind=certificate.kind.value,
        limit_class=certificate.limit_class.value,
        issue_date=date_message(certificate.issue_date),
        long_term_date=date_message(certificate.long_term_date),
        **_days(certificate.validity),
    )


def _disease(certificate: DiseaseCertificate) -> types_pb2.SpecificDiseaseCertificate:
    return types_pb2.SpecificDiseaseCertificate(
        disease_category=certificate.category.value,
        issue_date=date_message(certificate.issue_date),
        self_pay_yen=certificate.self_pay,
        **_days(certificate.validity),
    )


def _ticket(ticket: MedicalTicket, asked: Query) -> types_pb2.MedicalTicket:
    return types_pb2.MedicalTicket(
        ticket_type=ticket.ticket_type,
        month=ticket.month,
        issue_number=ticket.issue_number,
        institution_code=ticket.institution_code,
        institution_name=ticket.institution_name,
        is_other_institution=ticket.institution_code not in ("", asked.institution_code),
        **_days(ticket.validity),
    )


def report(done: UploadReport) -> coverage_pb2.UploadReport:
    """Spell what became of an upload."""
    upload = done.upload
    return coverage_pb2.UploadReport(
        request_id=upload.request_id,
        lines_read=upload.lines_read,
        lines_applied=upload.lines_applied,
        lines_unchanged=upload.lines_unchanged,
        lines_refused=upload.lines_refused,
        refused_lines=[refused_line(line, advice) for line, advice in done.refused],
        encoding=upload.encoding,
        received_time=timestamp(upload.received_time),
        applied_time=None if upload.applied_time is None else timestamp(upload.applied_time),
        is_dry_run=upload.is_dry_run,
        refused_lines_kept=done.lines_kept,
    )


def refused_line(line: RefusedLine, advice: Advice) -> coverage_pb2.RefusedLine:
    """Spell a refused line."""
    return coverage_pb2.RefusedLine(
        line_number=line.line_number,
        column=line.column,
        reason=line.reason,
        advice=types_pb2.Advice(**advice._asdict()),
    )

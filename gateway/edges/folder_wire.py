"""
What the folder bridge says to the gateway and hears from it: gRPC messages to format values.

No proto type passes this module; a failure never holds a value from the question.
Sources: oqs-interface.md 2.1, 2.2 and 4.
"""

from __future__ import annotations

from datetime import date
from typing import Final

import grpc
from google.protobuf.message import DecodeError, Message
from google.rpc import error_details_pb2
from google.type.date_pb2 import Date
from grpc_status import rpc_status

from gateway.domain.eligibility import Validity
from gateway.domain.identifiers import InsurerNumber
from gateway.domain.period import Instant, tokyo_time
from gateway.formats.oqs_elements import (
    ShownCoverage,
    ShownElderly,
    ShownLimit,
    ShownSpecificDisease,
    ShownTicket,
)
from gateway.formats.oqs_xml import EligibilityRequest, EligibilityResult, Failure
from gateway.v1 import eligibility_pb2, types_pb2

INTERNAL: Final = Failure(
    "INTERNAL",
    "システムの内部エラーです。しばらくしてやり直し、続く場合は管理者に連絡してください。",
    is_whole=True,
)

_ELEMENTS: Final = {
    "insured_id": "QualificationConfirmSearchInfo",
    "insured_id.insurer_number": "InsurerNumber",
    "insured_id.symbol": "InsuredCardSymbol",
    "insured_id.number": "InsuredIdentificationNumber",
    "insured_id.branch": "InsuredBranchNumber",
    "birth_date": "Birthdate",
    "confirmation_date": "QualificationConfirmationDate",
}
_ABOUT_THE_PERSON: Final = frozenset(
    {grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.RESOURCE_EXHAUSTED}
)


def question(request: EligibilityRequest) -> eligibility_pb2.ConfirmEligibilityRequest:
    """Spell a question for the gateway."""
    insured_id = request.insured_id
    return eligibility_pb2.ConfirmEligibilityRequest(
        insured_id=types_pb2.InsuredId(
            insurer_number=insured_id.insurer_number.zero_padded,
            symbol=insured_id.symbol,
            number=insured_id.number,
            branch=insured_id.branch or "",
        ),
        birth_date=_date_message(request.birth_date),
        confirmation_date=_date_message(request.confirmation_date),
        is_limit_certificate_consented=request.is_limit_consented,
    )


def result(response: eligibility_pb2.ConfirmEligibilityResponse) -> EligibilityResult:
    """
    Read the gateway's answer, to a question by number or by card.

    Raises:
        ValueError: If it has no validity or a day that does not exist; the gateway never sends it.
    """
    at = response.process_time
    return EligibilityResult(
        tokyo_time(Instant(at.seconds * 1_000_000 + at.nanos // 1000)),
        _required_day(response.confirmation_date),
        Validity(response.validity),
        tuple(_coverage(cover) for cover in response.coverages),
    )


def failure(error: grpc.aio.AioRpcError) -> Failure:
    """
    Read the gateway's refusal: its reason, its Japanese advice, the element it is about.

    What carries no reason is our own fault and reads as `INTERNAL`.
    """
    try:
        status = rpc_status.from_call(error)
    except (ValueError, DecodeError):
        status = None
    if status is None:
        return INTERNAL
    info = error_details_pb2.ErrorInfo()
    words = error_details_pb2.LocalizedMessage()
    bad = error_details_pb2.BadRequest()
    message = field = ""
    for detail in status.details:
        if detail.Unpack(info):
            continue
        if detail.Unpack(words) and words.locale == "ja":
            message = words.message
        elif detail.Unpack(bad) and bad.field_violations:
            field = bad.field_violations[0].field
    if info.reason in ("", INTERNAL.reason):
        return INTERNAL
    place = f"（{_ELEMENTS[field]}）" if field in _ELEMENTS else ""
    return Failure(info.reason, message + place, error.code() not in _ABOUT_THE_PERSON)


def _date_message(day: date) -> Date:
    return Date(year=day.year, month=day.month, day=day.day)


def _required_day(message: Date) -> date:
    return date(message.year, message.month, message.day)


def _day(message: Message, name: str) -> date | None:
    return _required_day(getattr(message, name)) if message.HasField(name) else None


def _coverage(cover: types_pb2.Coverage) -> ShownCoverage:
    insured_id = cover.insured_id
    return ShownCoverage(
        card_classification=cover.card_classification,
        insurer_number=InsurerNumber.parse(insured_id.insurer_number),
        symbol=insured_id.symbol,
        number=insured_id.number,
        branch=insured_id.branch,
        relationship=cover.relationship or None,
        insured_name=cover.insured_name,
        name=cover.name,
        name_of_other=cover.name_of_other,
        name_kana=cover.name_kana,
        name_of_other_kana=cover.name_of_other_kana,
        sex=cover.sex,
        sex_on_reverse=cover.sex_on_reverse or None,
        birth_date=_required_day(cover.birth_date),
        address=cover.address,
        post_number=cover.post_number,
        acquisition_date=_required_day(cover.acquisition_date),
        loss_date=_day(cover, "loss_date"),
        card_issue_date=_day(cover, "card_issue_date"),
        card_first_valid_date=_day(cover, "card_first_valid_date"),
        card_last_valid_date=_day(cover, "card_last_valid_date"),
        copayment_ratio=cover.copayment_ratio_percent,
        is_preschool=cover.is_preschool,
        loss_reason=cover.loss_reason,
        insurer_name=cover.insurer_name,
        elderly=_elderly(cover.elderly_certificate)
        if cover.HasField("elderly_certificate")
        else None,
        limit=_limit(cover.limit_certificate) if cover.HasField("limit_certificate") else None,
        tickets=tuple(_ticket(ticket) for ticket in cover.medical_tickets),
        specific_diseases=tuple(
            _disease(certificate) for certificate in cover.specific_disease_certificates
        ),
    )


def _elderly(certificate: types_pb2.ElderlyCertificate) -> ShownElderly:
    return ShownElderly(
        first_valid_date=_required_day(certificate.first_valid_date),
        last_valid_date=_day(certificate, "last_valid_date"),
        issue_date=_day(certificate, "issue_date"),
        copayment_ratio=certificate.copayment_ratio_percent,
    )


def _limit(certificate: types_pb2.LimitCertificate) -> ShownLimit:
    return ShownLimit(
        first_valid_date=_required_day(certificate.first_valid_date),
        last_valid_date=_day(certificate, "last_valid_date"),
        issue_date=_day(certificate, "issue_date"),
        kind=certificate.kind,
        limit_class=certificate.limit_class,
        long_term_date=_day(certificate, "long_term_date"),
    )


def _ticket(ticket: types_pb2.MedicalTicket) -> ShownTicket:
    return ShownTicket(
        first_valid_date=_required_day(ticket.first_valid_date),
        last_valid_date=_day(ticket, "last_valid_date"),
        ticket_type=ticket.ticket_type,
        month=ticket.month,
        issue_number=ticket.issue_number,
        institution_code=ticket.institution_code,
        institution_name=ticket.institution_name,
        is_other_institution=ticket.is_other_institution,
    )


def _disease(certificate: types_pb2.SpecificDiseaseCertificate) -> ShownSpecificDisease:
    return ShownSpecificDisease(
        first_valid_date=_required_day(certificate.first_valid_date),
        last_valid_date=_day(certificate, "last_valid_date"),
        issue_date=_day(certificate, "issue_date"),
        disease_category=certificate.disease_category,
        self_pay_yen=certificate.self_pay_yen,
    )

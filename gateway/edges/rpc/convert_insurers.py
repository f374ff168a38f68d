"""Proto to domain and back for explanations, overlaps and inquiries; see `convert`."""

from __future__ import annotations

from datetime import date
from enum import IntEnum
from typing import Any, Final

from google.type.date_pb2 import Date

from gateway.domain.eligibility import Query
from gateway.domain.errors import InvalidInput
from gateway.domain.explanation import CounterFact, ExplainedAnswer, LearnedLink, LearnedVersion
from gateway.domain.identifiers import InsuredId, PersonKey
from gateway.domain.inquiry import (
    Inquiry,
    InquiryId,
    InquiryKind,
    InquiryVerdict,
    Question,
    Reply,
)
from gateway.domain.period import Instant
from gateway.edges.rpc.convert import date_message, day, insured_id, timestamp
from gateway.usecases.inquiries import NEWEST, InquiryPage, Place
from gateway.usecases.list_overlaps import KnownOverlap, OverlapPage
from gateway.v1 import coverage_pb2, eligibility_pb2, inquiry_pb2, types_pb2

PAGE_IF_NOT_SAID: Final = 100
PAGE_MAX: Final = 500
KEY_BYTES: Final = 16
INSTANT_BYTES: Final = 8


def _code(value: IntEnum) -> Any:
    """Our codes are the wire's numbers."""
    return value.value


# How an answer came about


def explained(said: ExplainedAnswer, asked: Query, now: Instant, record_id: str) -> bytes:
    """Spell an explained answer as the bytes of an `ExplainEligibilityResponse`."""
    answer = said.answer
    versions = {one.fact: _version(one) for one in said.versions}
    links = {one.fact: _link(one) for one in said.links}
    return eligibility_pb2.ExplainEligibilityResponse(
        validity=_code(answer.validity),
        reason=answer.why.name,
        explanation_ja=answer.why.value.ja,
        explanation_en=answer.why.value.en,
        confirmation_date=date_message(asked.on),
        process_time=timestamp(now),
        access_record_id=record_id,
        versions=versions.values(),
        links=links.values(),
        counter_facts=[
            _counter_fact(
                one,
                None if one.version is None else versions[one.version],
                None if one.link is None else links[one.link],
            )
            for one in said.counter_facts
        ],
        is_cut=said.is_cut,
    ).SerializeToString()


def _version(one: LearnedVersion) -> eligibility_pb2.LearnedVersion:
    fact, cover = one.fact, one.fact.coverage
    return eligibility_pb2.LearnedVersion(
        enrollee_key=fact.enrollee_key.hex(),
        insurer_number=fact.insurer_number.zero_padded,
        cover_number=cover.cover_no,
        version_number=cover.version_no,
        kind=_code(one.kind),
        acquisition_date=date_message(cover.period.start),
        loss_date=date_message(cover.period.end),
        loss_reason=cover.loss_reason.value if cover.loss_reason else "",
        recorded_time=timestamp(cover.recorded_time),
        superseded_time=None if fact.superseded_time is None else timestamp(fact.superseded_time),
        request_id=fact.request_id,
        line_number=fact.line_number,
        is_deciding=one.is_deciding,
    )


def _link(one: LearnedLink) -> eligibility_pb2.LearnedLink:
    fact = one.fact
    return eligibility_pb2.LearnedLink(
        enrollee_key=fact.enrollee_key.hex(),
        insurer_number=one.insurer_number.zero_padded,
        person_ordinal=one.person_number,
        is_numbered=fact.is_numbered,
        recorded_time=timestamp(fact.recorded_time),
        superseded_time=None if fact.superseded_time is None else timestamp(fact.superseded_time),
    )


def _counter_fact(
    one: CounterFact,
    version: eligibility_pb2.LearnedVersion | None,
    link: eligibility_pb2.LearnedLink | None,
) -> eligibility_pb2.CounterFact:
    return eligibility_pb2.CounterFact(
        validity=_code(one.answer.validity),
        reason=one.answer.why.name,
        sentence_ja=one.sentence.ja,
        sentence_en=one.sentence.en,
        version=version,
        link=link,
    )


# Pages


def page_size(said: int) -> int:
    """Read the size of a page; zero is what is given if none is said. Raises `InvalidInput`."""
    size = said or PAGE_IF_NOT_SAID
    if not 1 <= size <= PAGE_MAX:
        raise InvalidInput("FORMAT_WRONG", "page_size")
    return size


def _hex(text: str, size: int, field: str) -> bytes:
    try:
        read = bytes.fromhex(text)
    except ValueError:
        raise InvalidInput("FORMAT_WRONG", field) from None
    if len(read) != size:
        raise InvalidInput("FORMAT_WRONG", field)
    return read


# Overlaps


def overlap_page(said: coverage_pb2.ListOverlapsRequest) -> tuple[PersonKey, int]:
    """
    Read which page of overlaps is asked for: the person before it, and its size.

    Raises:
        InvalidInput: `FORMAT_WRONG`.
    """
    after = _hex(said.page_token, KEY_BYTES, "page_token") if said.page_token else b""
    return PersonKey(after), page_size(said.page_size)


def overlaps(page: OverlapPage) -> coverage_pb2.ListOverlapsResponse:
    """Spell a page of overlaps."""
    return coverage_pb2.ListOverlapsResponse(
        overlaps=[_overlap(one) for one in page.overlaps],
        next_page_token="" if page.last is None else page.last.hex(),
    )


def _overlap(one: KnownOverlap) -> coverage_pb2.Overlap:
    own, other, shared = one.overlap.own, one.overlap.other, one.overlap.shared
    return coverage_pb2.Overlap(
        insured_id=insured_id_message(own.insured_id),
        birth_date=date_message(own.birth_date),
        acquisition_date=date_message(own.period.start),
        loss_date=date_message(own.period.end),
        other_insurer_number=other.insured_id.insurer_number.zero_padded,
        other_acquisition_date=date_message(other.period.start),
        other_loss_date=date_message(other.period.end),
        overlap_first_date=date_message(shared.start),
        overlap_end_date=date_message(shared.end),
        known_since_time=timestamp(one.known_since),
        days_known=one.days_known,
    )


def insured_id_message(said: InsuredId) -> types_pb2.InsuredId:
    """Spell an enrollee's identifiers."""
    return types_pb2.InsuredId(
        insurer_number=said.insurer_number.zero_padded,
        symbol=said.symbol,
        number=said.number,
        branch=said.branch or "",
    )


# Inquiries


def question(said: inquiry_pb2.InquiryQuestion) -> Question:
    """
    Read a question; a refusal names the field as `question.<field>`.

    Raises:
        InvalidInput: For a missing or bad field.
    """
    try:
        return Question(
            insured_id(said.insured_id),
            day(said.birth_date, "birth_date"),
            _kind(said.kind),
            _day_if_said(said.on_date, "on_date"),
            _day_if_said(said.acquisition_date, "acquisition_date"),
            _day_if_said(said.loss_date, "loss_date"),
        )
    except InvalidInput as refusal:
        raise refusal.within(f"question.{refusal.field}") from None


def reply(said: inquiry_pb2.InquiryReply) -> Reply:
    """
    Read an answer; a refusal names the field as `reply.<field>`.

    Raises:
        InvalidInput: For a missing or bad field.
    """
    try:
        return Reply(
            _verdict(said.verdict),
            _day_if_said(said.acquisition_date, "acquisition_date"),
            _day_if_said(said.loss_date, "loss_date"),
        )
    except InvalidInput as refusal:
        raise refusal.within(f"reply.{refusal.field}") from None


def inquiry_id(text: str) -> InquiryId:
    """Read an inquiry's id. Raises `InvalidInput`."""
    return InquiryId(_hex(text, KEY_BYTES, "inquiry_id"))


def inquiry_page(said: inquiry_pb2.ListInquiriesRequest) -> tuple[Place, int, bool]:
    """
    Read which page of inquiries is asked for: the place before it, its size, and its direction.

    Raises:
        InvalidInput: `CODE_UNKNOWN`, `FORMAT_WRONG`.
    """
    directions = {
        inquiry_pb2.INQUIRY_DIRECTION_RECEIVED: True,
        inquiry_pb2.INQUIRY_DIRECTION_SENT: False,
    }
    if said.direction not in directions:
        raise InvalidInput("CODE_UNKNOWN", "direction")
    place = NEWEST
    if said.page_token:
        read = _hex(said.page_token, INSTANT_BYTES + KEY_BYTES, "page_token")
        at = Instant(int.from_bytes(read[:INSTANT_BYTES]) & NEWEST[0])
        place = (at, InquiryId(read[INSTANT_BYTES:]))
    return place, page_size(said.page_size), directions[said.direction]


def inquiries(page: InquiryPage) -> inquiry_pb2.ListInquiriesResponse:
    """Spell a page of inquiries."""
    token = ""
    if page.last is not None:
        at, last = page.last
        token = at.to_bytes(INSTANT_BYTES).hex() + last.hex()
    return inquiry_pb2.ListInquiriesResponse(
        inquiries=[_inquiry(one) for one in page.inquiries], next_page_token=token
    )


def _inquiry(one: Inquiry) -> inquiry_pb2.Inquiry:
    return inquiry_pb2.Inquiry(
        inquiry_id=one.inquiry_id.hex(),
        asking_insurer_number=one.asking.zero_padded,
        question=inquiry_pb2.InquiryQuestion(
            insured_id=insured_id_message(one.question.insured_id),
            birth_date=date_message(one.question.birth_date),
            kind=_code(one.question.kind),
            on_date=date_message(one.question.on),
            acquisition_date=date_message(one.question.acquisition_date),
            loss_date=date_message(one.question.loss_date),
        ),
        asked_time=timestamp(one.asked_time),
        reply=_reply(one.reply),
        answered_time=None if one.answered_time is None else timestamp(one.answered_time),
    )


def _reply(said: Reply | None) -> inquiry_pb2.InquiryReply | None:
    if said is None:
        return None
    return inquiry_pb2.InquiryReply(
        verdict=_code(said.verdict),
        acquisition_date=date_message(said.acquisition_date),
        loss_date=date_message(said.loss_date),
    )


def _kind(code: int) -> InquiryKind:
    try:
        return InquiryKind(code)
    except ValueError:
        raise InvalidInput("CODE_UNKNOWN", "kind") from None


def _verdict(code: int) -> InquiryVerdict:
    try:
        return InquiryVerdict(code)
    except ValueError:
        raise InvalidInput("CODE_UNKNOWN", "verdict") from None


def _day_if_said(message: Date, field: str) -> date | None:
    is_absent = not (message.year or message.month or message.day)
    return None if is_absent else day(message, field)

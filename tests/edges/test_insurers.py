"""Explanations, overlaps and inquiries as messages: what is read, spelled and refused."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import date

import pytest
from google.protobuf.message import Message
from google.type.date_pb2 import Date

from gateway.domain.errors import InvalidInput
from gateway.domain.identifiers import InsurerNumber
from gateway.domain.purpose import Role
from gateway.edges.rpc.convert import sheet
from gateway.edges.rpc.coverage import CoverageService
from gateway.edges.rpc.eligibility import EligibilityService
from gateway.edges.rpc.explanation import ExplanationService
from gateway.edges.rpc.inquiry import InquiryService
from gateway.usecases.confirm_eligibility import LookupLimits
from gateway.usecases.context import Caller, Context
from gateway.usecases.explain_eligibility import ExplainLimits
from gateway.usecases.inquiries import InquiryDesk
from gateway.v1 import coverage_pb2, eligibility_pb2, inquiry_pb2, types_pb2
from tests.usecases.registration import (
    INSURER,
    NOW,
    NUMBERS,
    OTHER_INSURER,
    Stand,
    a_file,
    caller,
    new,
    said,
)
from tests.usecases.tokens import tokens

LIMITS = LookupLimits(3_650, 366, 9, 0)
CLINIC = Context(
    Caller(Role.INSTITUTION, "1319999999"), NOW, "EligibilityService/ExplainEligibility"
)
BORN = Date(year=1984, month=2, day=29)
Handle = Callable[[bytes, Context], Awaitable[bytes]]


@pytest.fixture
def stand() -> Stand:
    """A writer in memory."""
    made = Stand()
    made.store._render = sheet
    return made


def card(insurer: InsurerNumber = INSURER, number: str = "1") -> types_pb2.InsuredId:
    """The usual card."""
    return types_pb2.InsuredId(
        insurer_number=insurer.zero_padded, symbol="記号", number=number, branch="01"
    )


def why(stand: Stand) -> Handle:
    """The service that explains."""
    limits = ExplainLimits(LIMITS, 9)
    return ExplanationService(stand.store, stand.door, tokens(), limits).explain_eligibility


def asked(on: date = date(2025, 9, 1)) -> eligibility_pb2.ConfirmEligibilityRequest:
    """The question about the usual card."""
    return eligibility_pb2.ConfirmEligibilityRequest(
        insured_id=card(),
        birth_date=BORN,
        confirmation_date=Date(year=on.year, month=on.month, day=on.day),
    )


def spelled(message: Message) -> bytes:
    """The bytes of a message."""
    return message.SerializeToString()


async def test_an_explanation_says_what_a_confirmation_says(stand: Stand) -> None:
    """Validity, reason and words are the same, and each fact is spelled with its origin."""
    await stand.upload(a_file(new(individual_number=NUMBERS[0])))
    loss = said("LOSS", loss_date="20250801", loss_reason="03")
    await stand.upload(a_file(loss), "file-2")
    request = eligibility_pb2.ExplainEligibilityRequest(question=asked())
    explained = eligibility_pb2.ExplainEligibilityResponse.FromString(
        await why(stand)(spelled(request), CLINIC)
    )
    service = EligibilityService(stand.store, stand.door, tokens(), LIMITS)
    confirmed = eligibility_pb2.ConfirmEligibilityResponse.FromString(
        await service.confirm_eligibility(spelled(asked()), CLINIC)
    )
    same = ("validity", "reason", "explanation_ja", "explanation_en", "confirmation_date")
    assert [getattr(explained, name) for name in same] == [
        getattr(confirmed, name) for name in same
    ]
    first, last = explained.versions
    assert (first.kind, last.kind) == (
        eligibility_pb2.VERSION_KIND_ACQUIRED,
        eligibility_pb2.VERSION_KIND_LOST,
    )
    assert (last.request_id, last.line_number, last.loss_reason) == ("file-2", 2, "03")
    assert last.loss_date == Date(year=2025, month=8, day=1)
    assert first.superseded_time == last.recorded_time
    assert (first.is_deciding, last.is_deciding) == (False, True)
    assert [link.is_numbered for link in explained.links] == [True]
    (without,) = explained.counter_facts
    assert without.version == last
    assert without.validity == types_pb2.VALIDITY_VALID
    assert without.sentence_en.startswith("valid, had the loss recorded on ")
    assert not explained.is_cut


async def test_an_explanation_holds_no_personal_item_of_a_cover(stand: Stand) -> None:
    """Names, addresses and the insurer's own numbers stay out of it."""
    await stand.upload(a_file(new(address="見本県架空市")))
    request = eligibility_pb2.ExplainEligibilityRequest(question=asked())
    answer = await why(stand)(spelled(request), CLINIC)
    for text in ("架空", "太郎", "見本県", "記号"):
        assert text.encode() not in answer


async def test_a_bad_question_is_named_within_the_question(stand: Stand) -> None:
    """The field of a refusal is the message's own path."""
    bad = asked()
    bad.insured_id.insurer_number = "01130013"
    request = eligibility_pb2.ExplainEligibilityRequest(question=bad)
    with pytest.raises(InvalidInput, match=r"question.insured_id.insurer_number: CHECK_DIGIT"):
        await why(stand)(spelled(request), CLINIC)
    request = eligibility_pb2.ExplainEligibilityRequest(question=asked(date(1999, 1, 1)))
    with pytest.raises(InvalidInput, match=r"question.confirmation_date: DATE_OUT_OF_RANGE"):
        await why(stand)(spelled(request), CLINIC)


def listing(stand: Stand) -> Handle:
    """The service that lists overlaps."""
    return CoverageService(
        stand.store, stand.vault, stand.desk, stand.door, stand.receiver, stand.applier, 1.0
    ).list_overlaps


async def test_overlaps_tell_the_days_and_nothing_else_of_the_other(stand: Stand) -> None:
    """Own card, both insurers' dates, the shared days, and how long it is known."""
    await stand.upload(a_file(new(individual_number=NUMBERS[0])))
    other = new(
        "77",
        insurer_number=OTHER_INSURER.zero_padded,
        acquisition_date="20250801",
        individual_number=NUMBERS[0],
    )
    await stand.upload(a_file(other), "file-1", OTHER_INSURER)
    answer = await listing(stand)(spelled(coverage_pb2.ListOverlapsRequest()), caller())
    page = coverage_pb2.ListOverlapsResponse.FromString(answer)
    (one,) = page.overlaps
    assert (one.insured_id, one.birth_date) == (card(), BORN)
    assert one.other_insurer_number == OTHER_INSURER.zero_padded
    assert one.overlap_first_date == one.other_acquisition_date == Date(year=2025, month=8, day=1)
    for absent in ("loss_date", "other_loss_date", "overlap_end_date"):
        assert not one.HasField(absent)
    assert (one.days_known, page.next_page_token) == (0, "")
    assert b"77" not in answer


@pytest.mark.parametrize(
    ("request_", "field"),
    [
        (coverage_pb2.ListOverlapsRequest(page_size=501), "page_size"),
        (coverage_pb2.ListOverlapsRequest(page_size=-1), "page_size"),
        (coverage_pb2.ListOverlapsRequest(page_token="zz"), "page_token"),
        (coverage_pb2.ListOverlapsRequest(page_token="00"), "page_token"),
    ],
)
async def test_a_bad_page_is_refused(
    stand: Stand, request_: coverage_pb2.ListOverlapsRequest, field: str
) -> None:
    """A page has a bounded size and begins where one ended."""
    with pytest.raises(InvalidInput, match=f"{field}: FORMAT_WRONG"):
        await listing(stand)(spelled(request_), caller())


def inquiries(stand: Stand) -> InquiryService:
    """The service of inquiries."""
    return InquiryService(InquiryDesk(stand.store, stand.desk, stand.door))


def question(**items: object) -> inquiry_pb2.InquiryQuestion:
    """Whether the first insurer's dates are right."""
    wanted = {
        "insured_id": card(),
        "birth_date": BORN,
        "kind": inquiry_pb2.INQUIRY_KIND_DATES,
        "acquisition_date": Date(year=2025, month=4, day=1),
    } | items
    return inquiry_pb2.InquiryQuestion(**{k: v for k, v in wanted.items() if v is not None})


async def test_an_inquiry_goes_there_and_back(stand: Stand) -> None:
    """Question and reply come out as they went in, in both lists."""
    service = inquiries(stand)
    send = inquiry_pb2.SendInquiryRequest(request_id="inquiry-1", question=question())
    sent = inquiry_pb2.SendInquiryResponse.FromString(
        await service.send_inquiry(spelled(send), caller(OTHER_INSURER))
    )
    reply = inquiry_pb2.InquiryReply(
        verdict=inquiry_pb2.INQUIRY_VERDICT_NO, acquisition_date=Date(year=2025, month=4, day=2)
    )
    answer = inquiry_pb2.AnswerInquiryRequest(inquiry_id=sent.inquiry_id, reply=reply)
    answered = inquiry_pb2.AnswerInquiryResponse.FromString(
        await service.answer_inquiry(spelled(answer), caller(INSURER))
    )
    for direction, insurer in (
        (inquiry_pb2.INQUIRY_DIRECTION_RECEIVED, INSURER),
        (inquiry_pb2.INQUIRY_DIRECTION_SENT, OTHER_INSURER),
    ):
        wanted = inquiry_pb2.ListInquiriesRequest(direction=direction)
        page = inquiry_pb2.ListInquiriesResponse.FromString(
            await service.list_inquiries(spelled(wanted), caller(insurer))
        )
        (one,) = page.inquiries
        assert (one.inquiry_id, one.asking_insurer_number) == (
            answered.inquiry_id,
            OTHER_INSURER.zero_padded,
        )
        assert (one.question, one.reply) == (question(), reply)
        assert (one.asked_time, one.answered_time) == (sent.asked_time, answered.answered_time)


async def test_inquiries_come_in_pages(stand: Stand) -> None:
    """The token of a page gives the next one, until there is none."""
    service = inquiries(stand)
    for place in range(3):
        send = inquiry_pb2.SendInquiryRequest(request_id=f"i-{place}", question=question())
        await service.send_inquiry(spelled(send), caller(OTHER_INSURER))
    found, token = [], ""
    while True:
        wanted = inquiry_pb2.ListInquiriesRequest(
            direction=inquiry_pb2.INQUIRY_DIRECTION_SENT, page_size=2, page_token=token
        )
        page = inquiry_pb2.ListInquiriesResponse.FromString(
            await service.list_inquiries(spelled(wanted), caller(OTHER_INSURER))
        )
        found += [one.inquiry_id for one in page.inquiries]
        token = page.next_page_token
        if not token:
            break
    assert len(set(found)) == len(found) == 3


@pytest.mark.parametrize(
    ("items", "reason"),
    [
        ({"kind": None}, "question.kind: CODE_UNKNOWN"),
        ({"kind": 9}, "question.kind: CODE_UNKNOWN"),
        ({"birth_date": None}, "question.birth_date: FIELD_REQUIRED"),
        ({"acquisition_date": None}, "question.acquisition_date: FIELD_REQUIRED"),
        ({"kind": inquiry_pb2.INQUIRY_KIND_BENEFITS}, "question.on_date: FIELD_REQUIRED"),
        ({"insured_id": card(number="")}, "question.insured_id.number: FIELD_REQUIRED"),
        ({"loss_date": Date(year=2025, month=2, day=30)}, "question.loss_date: DATE_WRONG"),
        ({"loss_date": Date(year=2024)}, "question.loss_date: DATE_WRONG"),
        (
            {"loss_date": Date(year=2025, month=3, day=1)},
            "question.loss_date: LOSS_BEFORE_ACQUISITION",
        ),
    ],
)
async def test_a_bad_inquiry_names_its_field(
    stand: Stand, items: dict[str, object], reason: str
) -> None:
    """What cannot be is refused with the path of the field, and nothing is kept."""
    send = inquiry_pb2.SendInquiryRequest(request_id="i", question=question(**items))
    with pytest.raises(InvalidInput, match=reason):
        await inquiries(stand).send_inquiry(spelled(send), caller(OTHER_INSURER))
    assert stand.store.batches == []


async def test_a_bad_answer_or_list_names_its_field(stand: Stand) -> None:
    """An answer needs a verdict and an id, a list a direction."""
    service = inquiries(stand)
    context = replace(caller(INSURER))
    good = inquiry_pb2.InquiryReply(verdict=inquiry_pb2.INQUIRY_VERDICT_YES)
    for message, reason in (
        (inquiry_pb2.AnswerInquiryRequest(inquiry_id="00" * 16), "reply.verdict: CODE_UNKNOWN"),
        (inquiry_pb2.AnswerInquiryRequest(inquiry_id="00", reply=good), "inquiry_id: FORMAT"),
    ):
        with pytest.raises(InvalidInput, match=reason):
            await service.answer_inquiry(spelled(message), context)
    for listed, reason in (
        (inquiry_pb2.ListInquiriesRequest(), "direction: CODE_UNKNOWN"),
        (inquiry_pb2.ListInquiriesRequest(direction=1, page_token="ff"), "page_token: FORMAT"),
        (inquiry_pb2.ListInquiriesRequest(direction=1, page_size=999), "page_size: FORMAT"),
    ):
        with pytest.raises(InvalidInput, match=reason):
            await service.list_inquiries(spelled(listed), context)

"""What insurers' changes make of explanations and overlaps, and how insurers ask each other."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest

from gateway.domain.eligibility import ByNumber, Validity
from gateway.domain.errors import Conflict, InvalidInput, NotFound, NotPermitted
from gateway.domain.identifiers import InsuredId, InsurerNumber, PersonKey
from gateway.domain.inquiry import InquiryId, InquiryKind, InquiryVerdict, Question, Reply
from gateway.domain.period import Instant, Period, parse_day
from gateway.domain.purpose import Role
from gateway.usecases.answer_tokens import NOW as NOT_THEN
from gateway.usecases.answer_tokens import AsOf
from gateway.usecases.confirm_eligibility import LookupLimits, confirm_eligibility
from gateway.usecases.context import Caller, Context
from gateway.usecases.explain_eligibility import ExplainLimits, explain_eligibility
from gateway.usecases.inquiries import NEWEST, InquiryDesk
from gateway.usecases.list_overlaps import KnownOverlap, OverlapPage, list_overlaps
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
    who,
)
from tests.usecases.tokens import tokens

BORN = parse_day(who()["birth_date"])
THIRD = InsurerNumber("06139992")
LIMITS = LookupLimits(3_650, 366, 9, 0)
CLINIC = Context(
    Caller(Role.INSTITUTION, "1319999999"), NOW, "EligibilityService/ExplainEligibility"
)
FIRST_PAGE = PersonKey(b"")


@pytest.fixture
def stand() -> Stand:
    """A writer in memory, whose numbers link at once."""
    return Stand()


def asked(insurer: InsurerNumber = INSURER, on: date = date(2025, 9, 1)) -> ByNumber:
    """The question about the usual card."""
    return ByNumber.of(InsuredId(insurer, "記号", "1", "01"), BORN, on)


async def other_says(stand: Stand, request_id: str, *lines: str) -> None:
    """A file of the other insurer."""
    await stand.upload(a_file(*lines), request_id, OTHER_INSURER)


def of_other(**cells: str) -> str:
    """A new cover by the other insurer of the person with the first number."""
    cells = {"acquisition_date": "20250801", "individual_number": NUMBERS[0]} | cells
    return new(insurer_number=OTHER_INSURER.zero_padded, **cells)


async def overlaps(
    stand: Stand, insurer: InsurerNumber, after: PersonKey = FIRST_PAGE, people_max: int = 9
) -> OverlapPage:
    """The list an insurer gets a day later."""
    context = replace(caller(insurer), now=Instant(NOW + 86_400_000_000))
    return await list_overlaps(after, people_max, context, stand.store, stand.door)


async def listed(stand: Stand, insurer: InsurerNumber) -> tuple[KnownOverlap, ...]:
    """All overlaps of an insurer."""
    return (await overlaps(stand, insurer)).overlaps


# How an answer came about


async def test_an_explanation_is_the_answer_with_its_facts(stand: Stand) -> None:
    """The same answer as a confirmation, recorded alike, and what it would be without the loss."""
    await stand.upload(a_file(new()))
    loss = said("LOSS", loss_date="20250801", loss_reason="99")
    await stand.upload(a_file(loss), "file-2")
    explained, record_id = await explain_eligibility(
        asked(), NOT_THEN, CLINIC, stand.store, stand.door, tokens(), ExplainLimits(LIMITS, 9)
    )
    answered, _ = await confirm_eligibility(
        asked(), NOT_THEN, CLINIC, stand.store, stand.door, tokens(), LIMITS
    )
    answer = answered.confirmation
    assert (answer.validity, answer.why, answer.decided_by, answer.people) == (
        explained.answer.validity,
        explained.answer.why,
        explained.answer.decided_by,
        explained.answer.people,
    )
    origins = [(one.fact.request_id, one.fact.line_number) for one in explained.versions]
    assert origins == [("file-1", 2), ("file-2", 2)]
    (without,) = explained.counter_facts
    assert without.answer.validity is Validity.VALID
    explanation, confirmation = stand.accesses.records[-2:]
    assert (explanation.outcome, explanation.detail, explanation.people) == (
        confirmation.outcome,
        confirmation.detail,
        confirmation.people,
    )
    assert record_id


async def test_an_explanation_can_be_of_an_earlier_moment(stand: Stand) -> None:
    """Before the loss was learned, the answer rested on the acquisition alone."""
    await stand.upload(a_file(new()))
    known = await stand.store.last_recorded_time()
    loss = said("LOSS", loss_date="20250801", loss_reason="99")
    await stand.upload(a_file(loss), "file-2")
    explained, _ = await explain_eligibility(
        asked(),
        AsOf(known),
        replace(CLINIC, now=Instant(NOW + 1_000_000)),
        stand.store,
        stand.door,
        tokens(),
        ExplainLimits(LIMITS, 9),
    )
    assert explained.answer.validity is Validity.VALID
    assert [one.fact.superseded_time for one in explained.versions] == [None]
    assert explained.counter_facts == ()


async def test_only_who_may_confirm_may_ask_why(stand: Stand) -> None:
    """Another role is denied and recorded, and a bad question is refused as a confirmation is."""
    context = replace(CLINIC, caller=Caller(Role.REVIEW_BODY, "review-1"))
    with pytest.raises(NotPermitted, match="ACTOR_NOT_ALLOWED"):
        await explain_eligibility(
            asked(), NOT_THEN, context, stand.store, stand.door, tokens(), ExplainLimits(LIMITS, 9)
        )
    assert stand.accesses.records[-1].outcome == "DENIED"
    with pytest.raises(InvalidInput, match="DATE_OUT_OF_RANGE"):
        await explain_eligibility(
            asked(on=date(1990, 1, 1)),
            NOT_THEN,
            CLINIC,
            stand.store,
            stand.door,
            tokens(),
            ExplainLimits(LIMITS, 9),
        )


# Enrolled twice


async def test_both_insurers_are_told_until_the_loss_arrives(stand: Stand) -> None:
    """A new cover before the old loss is accepted and listed to both; the late loss ends it."""
    await stand.upload(a_file(new(individual_number=NUMBERS[0])))
    assert await listed(stand, INSURER) == ()
    await other_says(stand, "file-1", of_other())
    (mine,) = await listed(stand, INSURER)
    (other,) = await listed(stand, OTHER_INSURER)
    assert mine.overlap.other.insured_id.insurer_number == OTHER_INSURER
    assert mine.overlap.shared == Period(date(2025, 8, 1))
    assert mine.days_known == 1
    assert other.overlap.own == mine.overlap.other
    record = stand.accesses.records[-1]
    assert (record.purpose, record.outcome, record.detail) == ("OQS-INS-01", "ANSWERED", "1")
    assert len(record.people) == 1

    loss = said("LOSS", loss_date="20250801", loss_reason="03")
    await stand.upload(a_file(loss), "file-2")
    assert await listed(stand, INSURER) == ()
    assert await listed(stand, OTHER_INSURER) == ()


async def test_an_overlap_does_not_depend_on_the_order_of_files(stand: Stand) -> None:
    """The number may come after both covers, and either insurer may be first."""
    await other_says(stand, "file-1", of_other(individual_number=""))
    await stand.upload(a_file(new(individual_number=NUMBERS[0])))
    assert await listed(stand, INSURER) == ()
    await other_says(
        stand,
        "file-2",
        said("NUMBER", insurer_number=OTHER_INSURER.zero_padded, individual_number=NUMBERS[0]),
    )
    assert len(await listed(stand, INSURER)) == 1
    since = [row.recorded_time for row in await stand.store.overlapping(INSURER, FIRST_PAGE, 9)]
    change = said("CHANGE", insurer_number=OTHER_INSURER.zero_padded, address="見本町")
    await other_says(stand, "file-3", change)
    again = [row.recorded_time for row in await stand.store.overlapping(INSURER, FIRST_PAGE, 9)]
    assert since == again


async def test_a_cancelled_cover_overlaps_no_more(stand: Stand) -> None:
    """A cover that never existed is no duplicate."""
    await stand.upload(a_file(new(individual_number=NUMBERS[0])))
    await other_says(stand, "file-1", of_other())
    cancel = said("CANCEL", insurer_number=OTHER_INSURER.zero_padded)
    await other_says(stand, "file-2", cancel)
    assert await listed(stand, INSURER) == ()
    assert await listed(stand, OTHER_INSURER) == ()


async def test_overlaps_come_in_pages(stand: Stand) -> None:
    """A page ends with a person and the next one begins after them; nobody is lost."""
    people = [new(f"{place}", individual_number=NUMBERS[place]) for place in range(3)]
    await stand.upload(a_file(*people))
    mirrored = [
        new(
            f"{place}",
            insurer_number=OTHER_INSURER.zero_padded,
            acquisition_date="20250801",
            individual_number=NUMBERS[place],
        )
        for place in range(3)
    ]
    await other_says(stand, "file-1", *mirrored)
    first = await overlaps(stand, INSURER, people_max=2)
    assert first.last is not None
    second = await overlaps(stand, INSURER, first.last, people_max=2)
    numbers = [one.overlap.own.insured_id.number for one in (*first.overlaps, *second.overlaps)]
    assert (sorted(numbers), second.last) == (["0", "1", "2"], None)


# Inquiries


def desk_of(stand: Stand) -> InquiryDesk:
    """The inquiries of a stand."""
    return InquiryDesk(stand.store, stand.desk, stand.door)


def question(kind: InquiryKind = InquiryKind.COVERED_ON, number: str = "1") -> Question:
    """A question to the first insurer."""
    return Question(InsuredId(INSURER, "記号", number, "01"), BORN, kind, date(2025, 9, 1))


YES = Reply(InquiryVerdict.YES, date(2025, 4, 1))


async def test_an_inquiry_goes_both_ways_under_one_id(stand: Stand) -> None:
    """Asked and answered it has one id, in the lists of both and in the records of both looks."""
    await stand.upload(a_file(new()))
    desk = desk_of(stand)
    inquiry = await desk.ask(question(), "inquiry-1", caller(OTHER_INSURER))
    (seen,) = (await desk.list(NEWEST, 9, caller(INSURER), is_received=True)).inquiries
    assert seen == inquiry
    done = await desk.reply(seen.inquiry_id, YES, caller(INSURER))
    (back,) = (await desk.list(NEWEST, 9, caller(OTHER_INSURER), is_received=False)).inquiries
    assert (back.inquiry_id, back.reply, back) == (inquiry.inquiry_id, YES, done)
    name = inquiry.inquiry_id.hex()
    asked_record, _, answer_record, _ = stand.accesses.records[-4:]
    assert [one.detail for one in (asked_record, answer_record)] == [
        f"ASKED {name}",
        f"ANSWERED {name}",
    ]
    assert {one.purpose for one in stand.accesses.records[-4:]} == {"KP1-D-08"}
    assert len(asked_record.people) == 1
    assert asked_record.people == answer_record.people


async def test_asking_again_is_the_same_inquiry(stand: Stand) -> None:
    """The same request id gives the same inquiry; with another question it is refused."""
    desk = desk_of(stand)
    first = await desk.ask(question(), "inquiry-1", caller(OTHER_INSURER))
    assert await desk.ask(question(), "inquiry-1", caller(OTHER_INSURER)) == first
    with pytest.raises(Conflict, match="INQUIRY_DIFFERS"):
        await desk.ask(question(number="2"), "inquiry-1", caller(OTHER_INSURER))
    assert stand.accesses.records[-1].detail == "INQUIRY_DIFFERS"
    other = await desk.ask(question(), "inquiry-1", caller(THIRD))
    assert other.inquiry_id != first.inquiry_id


async def test_an_inquiry_is_answered_once(stand: Stand) -> None:
    """The same answer again changes nothing, another one is refused and recorded."""
    desk = desk_of(stand)
    inquiry = await desk.ask(question(), "inquiry-1", caller(OTHER_INSURER))
    done = await desk.reply(inquiry.inquiry_id, YES, caller(INSURER))
    assert await desk.reply(inquiry.inquiry_id, YES, caller(INSURER)) == done
    with pytest.raises(Conflict, match="INQUIRY_ANSWERED"):
        await desk.reply(inquiry.inquiry_id, Reply(InquiryVerdict.NO), caller(INSURER))
    assert stand.accesses.records[-1].detail == "INQUIRY_ANSWERED"
    assert await stand.store.inquiry(inquiry.inquiry_id) == done


async def test_only_who_was_asked_may_answer(stand: Stand) -> None:
    """The asking insurer may not answer itself, and others learn of no inquiry at all."""
    desk = desk_of(stand)
    inquiry = await desk.ask(question(), "inquiry-1", caller(OTHER_INSURER))
    with pytest.raises(NotPermitted, match="INSURER_NOT_ASKED"):
        await desk.reply(inquiry.inquiry_id, YES, caller(OTHER_INSURER))
    with pytest.raises(NotFound, match="INQUIRY_UNKNOWN"):
        await desk.reply(inquiry.inquiry_id, YES, caller(THIRD))
    with pytest.raises(NotFound, match="INQUIRY_UNKNOWN"):
        await desk.reply(InquiryId(b"-" * 16), YES, caller(INSURER))
    assert [one.outcome for one in stand.accesses.records[-3:]] == ["DENIED"] * 3
    for is_received in (True, False):
        page = await desk.list(NEWEST, 9, caller(THIRD), is_received=is_received)
        assert page.inquiries == ()


async def test_what_cannot_be_asked_is_refused(stand: Stand) -> None:
    """An insurer cannot ask itself, under no bad request id, nor without the day it asks about."""
    desk = desk_of(stand)
    with pytest.raises(InvalidInput, match="INQUIRY_TO_SELF"):
        await desk.ask(question(), "inquiry-1", caller(INSURER))
    with pytest.raises(InvalidInput, match="REQUEST_ID_WRONG"):
        await desk.ask(question(), "no good", caller(OTHER_INSURER))
    with pytest.raises(InvalidInput, match="on_date: FIELD_REQUIRED"):
        Question(question().insured_id, BORN, InquiryKind.BENEFITS)
    with pytest.raises(InvalidInput, match="acquisition_date: FIELD_REQUIRED"):
        Question(question().insured_id, BORN, InquiryKind.DATES)
    with pytest.raises(InvalidInput, match="loss_date: LOSS_BEFORE_ACQUISITION"):
        Reply(InquiryVerdict.NO, date(2025, 4, 1), date(2025, 3, 1))
    with pytest.raises(NotPermitted, match="ACTOR_NOT_ALLOWED"):
        await desk.ask(question(), "inquiry-1", caller(OTHER_INSURER, Role.INSTITUTION))


async def test_a_question_about_benefits_says_so_in_its_record(stand: Stand) -> None:
    """Which data was looked at stands in the record: benefits only where they are asked about."""
    desk = desk_of(stand)
    await desk.ask(question(), "inquiry-1", caller(OTHER_INSURER))
    await desk.ask(question(InquiryKind.BENEFITS), "inquiry-2", caller(OTHER_INSURER))
    plain, benefits = stand.accesses.records[-2:]
    assert plain.data == ("D-QUAL",)
    assert benefits.data == ("D-BENEFIT", "D-QUAL")


async def test_inquiries_are_listed_in_pages(stand: Stand) -> None:
    """A page tells where the next begins, newest first."""
    desk = desk_of(stand)
    sent = [
        await desk.ask(question(number=f"{place}"), f"inquiry-{place}", caller(OTHER_INSURER))
        for place in range(3)
    ]
    first = await desk.list(NEWEST, 2, caller(INSURER), is_received=True)
    assert first.last is not None
    second = await desk.list(first.last, 2, caller(INSURER), is_received=True)
    assert [*first.inquiries, *second.inquiries] == sent[::-1]
    assert second.last is None

"""The wire and the domain say the same: questions in, answers out."""

from __future__ import annotations

from datetime import date

import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from google.type.date_pb2 import Date
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from gateway.domain.compact import compact
from gateway.domain.coverage import (
    Coverage,
    CoverState,
    ElderlyCertificate,
    Enrolment,
    History,
    LimitCertificate,
    LimitClass,
    LimitKind,
    LossReason,
    MedicalTicket,
    Relationship,
    Sex,
)
from gateway.domain.eligibility import ByNumber, Rules, confirm
from gateway.domain.errors import InvalidInput, Refusal
from gateway.domain.identifiers import EnrolleeKey, InsuredId, InsurerNumber, PersonKey
from gateway.domain.period import Instant, Period
from gateway.domain.purpose import Role
from gateway.edges.rpc import convert
from gateway.usecases.context import Caller, Context
from gateway.v1.eligibility_pb2 import ConfirmEligibilityRequest, ConfirmEligibilityResponse
from gateway.v1.types_pb2 import InsuredId as InsuredIdMessage
from tests.usecases.tokens import tokens

NOW = Instant(1_776_211_200_123_456)
ON = date(2026, 4, 15)
CARD = InsuredId(InsurerNumber("06139992"), "１２３４", "0567", "01")
INSTITUTION = "1319999999"
COVER = Coverage(
    cover_no=1,
    version_no=2,
    recorded_time=NOW,
    state=CoverState.REGISTERED,
    insured_id=CARD,
    birth_date=date(1985, 4, 1),
    period=Period(date(2020, 4, 1), date(2026, 5, 1)),
    name="見本　太郎",
    insurer_name="模擬健康保険組合",
    sex=Sex.MALE,
    name_kana="ﾐﾎﾝ ﾀﾛｳ",
    relationship=Relationship.SELF,
    card_validity=Period.through(date(2020, 4, 1), date(2027, 3, 31)),
    copayment_ratio=30,
    loss_reason=LossReason.OTHER_INSURANCE,
    elderly=(ElderlyCertificate(Period.through(date(2026, 4, 1), date(2026, 7, 31)), 20),),
    limits=(LimitCertificate(Period(date(2026, 1, 1)), LimitKind.LIMIT, LimitClass.A03, ON, None),),
    tickets=(MedicalTicket("202604", "01", "7", Period(ON), "1310000001", "他院"),),
)


def at(now: Instant) -> Context:
    """A call of the institution at an instant."""
    return Context(
        Caller(Role.INSTITUTION, INSTITUTION), now, "EligibilityService/ConfirmEligibility"
    )


def answered(*, is_limit_consented: bool) -> ConfirmEligibilityResponse:
    """The answer about the one person, over the wire and back."""
    history = History(PersonKey(b"p"), 3, (Enrolment(EnrolleeKey(b"e"), True, (COVER,)),))
    asked = ByNumber.of(
        CARD,
        COVER.birth_date,
        ON,
        is_limit_consented=is_limit_consented,
        institution_code=INSTITUTION,
    )
    answer = confirm([compact(history, convert.sheet)], asked, Rules())
    return ConfirmEligibilityResponse.FromString(
        convert.confirmation(answer, asked, NOW, "life-1", "token-1")
    )


def test_an_answer_put_together_of_parts_reads_as_one_message() -> None:
    """What is spelled once and what belongs to the day meet in one `Coverage`."""
    answer = answered(is_limit_consented=True)
    (cover,) = answer.coverages

    assert (
        answer.validity,
        answer.reason,
        answer.access_record_id,
    ) == (1, "COVER_HOLDS", "life-1")
    assert (
        cover.insured_id.insurer_number,
        cover.insured_id.symbol,
        cover.insured_id.number,
        cover.insured_id.branch,
        cover.name,
    ) == ("06139992", "１２３４", "0567", "01", "見本　太郎")
    assert Date(year=2026, month=5, day=1) == cover.loss_date
    assert Date(year=2027, month=3, day=31) == cover.card_last_valid_date
    assert (
        cover.elderly_certificate.copayment_ratio_percent,
        cover.limit_certificate.limit_class,
    ) == (20, "A03")
    assert cover.medical_tickets[0].is_other_institution
    assert (1, 2, Timestamp(seconds=1_776_211_200, nanos=123_456_000)) == (
        answer.decided_by[0].cover_number,
        answer.decided_by[0].version_number,
        answer.decided_by[0].recorded_time,
    )


def test_a_limit_certificate_stays_away_without_consent() -> None:
    """R003-07: what was not consented to is not on the wire."""
    assert not answered(is_limit_consented=False).coverages[0].HasField("limit_certificate")


@given(length=st.integers(0, 70_000))
def test_a_sheet_of_any_length_is_framed_right(length: int) -> None:
    """The hand-made frame around a sheet is the wire's own, for every length of its varint."""
    history = History(PersonKey(b"p"), 1, (Enrolment(EnrolleeKey(b"e"), True, (COVER,)),))
    bare = structs.replace(COVER, elderly=(), limits=(), tickets=(), address="a" * length)
    history = structs.replace(
        history, enrolments=(structs.replace(history.enrolments[0], covers=(bare,)),)
    )
    asked = ByNumber.of(CARD, COVER.birth_date, ON)
    answer = confirm([compact(history, convert.sheet)], asked, Rules())
    read = ConfirmEligibilityResponse.FromString(
        convert.confirmation(answer, asked, NOW, "x-1", "")
    )

    assert length == len(read.coverages[0].address)


def question(**changed: object) -> ConfirmEligibilityRequest:
    """A good question, but for what is changed."""
    said: dict[str, object] = {
        "insured_id": InsuredIdMessage(insurer_number="06139992", symbol="1", number="2"),
        "birth_date": Date(year=1985, month=4, day=1),
    }
    return ConfirmEligibilityRequest(**{**said, **changed})


def test_without_a_day_the_question_is_about_today_in_japan() -> None:
    """15 UTC on the 14th is already the 15th in Tokyo."""
    late_evening = Instant(1_776_178_800_000_000)
    asked, as_of = convert.query(question(), at(late_evening), tokens())

    assert (date(2026, 4, 15), None) == (asked.on, as_of.known)


@pytest.mark.parametrize(
    ("changed", "field", "reason"),
    [
        (
            {"insured_id": InsuredIdMessage(insurer_number="06139991", number="2")},
            "insured_id.insurer_number",
            "CHECK_DIGIT_WRONG",
        ),
        (
            {"insured_id": InsuredIdMessage(insurer_number="77777777", number="2")},
            "insured_id.insurer_number",
            "INSURER_UNIDENTIFIED",
        ),
        (
            {"insured_id": InsuredIdMessage(insurer_number="06139992")},
            "insured_id.number",
            "FIELD_REQUIRED",
        ),
        ({"birth_date": Date()}, "birth_date", "FIELD_REQUIRED"),
        ({"birth_date": Date(year=2023, month=2, day=29)}, "birth_date", "DATE_WRONG"),
        ({"birth_date": Date(year=1800, month=1, day=1)}, "birth_date", "DATE_WRONG"),
        (
            {"confirmation_date": Date(year=2026, month=13, day=1)},
            "confirmation_date",
            "DATE_WRONG",
        ),
    ],
)
def test_a_bad_field_is_named_by_its_path(
    changed: dict[str, object], field: str, reason: str
) -> None:
    """Every refusal of a question says which field and why."""
    with pytest.raises(InvalidInput) as refused:
        convert.query(question(**changed), at(NOW), tokens())

    assert (field, reason) == (refused.value.field, refused.value.reason)


@given(
    text=st.text(max_size=30),
    number=st.text(max_size=30),
    branch=st.text(max_size=4),
    year=st.integers(-(2**31), 2**31 - 1),
    month=st.integers(-3, 15),
)
def test_no_question_raises_anything_but_a_refusal(
    text: str, number: str, branch: str, year: int, month: int
) -> None:
    """Whatever stands in the fields, the answer is a question or a reason."""
    request = ConfirmEligibilityRequest(
        insured_id=InsuredIdMessage(
            insurer_number="06139992", symbol=text, number=number, branch=branch
        ),
        birth_date=Date(year=year, month=month, day=1),
    )
    try:
        asked, _ = convert.query(request, at(NOW), tokens())
    except Refusal:
        return
    assert asked.birth_date.day == 1

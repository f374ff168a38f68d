"""Tokens and histories as messages: what is read, spelled and refused."""

from __future__ import annotations

from dataclasses import replace

import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from google.type.date_pb2 import Date

from gateway.domain.errors import Conflict, InvalidInput
from gateway.domain.period import Instant
from gateway.domain.purpose import Role
from gateway.edges.rpc.convert import sheet
from gateway.edges.rpc.eligibility import EligibilityService
from gateway.edges.rpc.explanation import ExplanationService
from gateway.edges.rpc.history import HistoryMethods
from gateway.usecases.confirm_eligibility import LookupLimits
from gateway.usecases.context import Caller, Context
from gateway.usecases.explain_eligibility import ExplainLimits
from gateway.v1 import coverage_pb2, eligibility_pb2, types_pb2
from tests.usecases.registration import INSURER, NOW, NUMBERS, Stand, a_file, caller, new, said
from tests.usecases.tokens import tokens

LIMITS = LookupLimits(3_650, 366, 9, 2_000)
CLINIC = Context(
    Caller(Role.INSTITUTION, "1319999999"),
    Instant(NOW + 60_000_000),
    "EligibilityService/ConfirmEligibility",
)
TOMORROW = replace(CLINIC, now=Instant(CLINIC.now + 86_400_000_000))
BORN = Date(year=1984, month=2, day=29)
LOST = said("LOSS", loss_date="20250801", loss_reason="99")


@pytest.fixture
def stand() -> Stand:
    """A writer in memory."""
    made = Stand()
    made.store._render = sheet
    return made


def card(number: str = "1") -> types_pb2.InsuredId:
    """The usual card."""
    return types_pb2.InsuredId(
        insurer_number=INSURER.zero_padded, symbol="記号", number=number, branch="01"
    )


def question(**more: object) -> eligibility_pb2.ConfirmEligibilityRequest:
    """The question about the usual card, of today if no day is said."""
    wanted: dict[str, object] = {"insured_id": card(), "birth_date": BORN} | more
    return eligibility_pb2.ConfirmEligibilityRequest(**wanted)


async def confirm(
    stand: Stand, context: Context = CLINIC, **more: object
) -> eligibility_pb2.ConfirmEligibilityResponse:
    """Ask over the wire."""
    service = EligibilityService(stand.store, stand.door, tokens(), LIMITS)
    answer = await service.confirm_eligibility(question(**more).SerializeToString(), context)
    return eligibility_pb2.ConfirmEligibilityResponse.FromString(answer)


async def explain(stand: Stand, **more: object) -> eligibility_pb2.ExplainEligibilityResponse:
    """Ask why over the wire, a day later."""
    limits = ExplainLimits(LIMITS, 9)
    service = ExplanationService(stand.store, stand.door, tokens(), limits)
    request = eligibility_pb2.ExplainEligibilityRequest(question=question(**more))
    answer = await service.explain_eligibility(request.SerializeToString(), TOMORROW)
    return eligibility_pb2.ExplainEligibilityResponse.FromString(answer)


def lasting(answer: eligibility_pb2.ConfirmEligibilityResponse) -> bytes:
    """All but when it was made and its record."""
    kept = eligibility_pb2.ConfirmEligibilityResponse()
    kept.CopyFrom(answer)
    kept.ClearField("process_time")
    kept.ClearField("access_record_id")
    return kept.SerializeToString(deterministic=True)


async def test_a_token_gets_the_answer_of_its_day_byte_for_byte(stand: Stand) -> None:
    """Tomorrow and after the loss, without a day said: all but the time and the record."""
    await stand.upload(a_file(new()))
    then = await confirm(stand)
    await stand.upload(a_file(LOST), "file-2")
    again = await confirm(stand, TOMORROW, answer_token=then.answer_token)
    assert lasting(then) == lasting(again)
    assert then.process_time != again.process_time
    assert then.access_record_id != again.access_record_id
    explained = await explain(stand, answer_token=then.answer_token)
    assert (then.validity, then.reason, then.confirmation_date) == (
        explained.validity,
        explained.reason,
        explained.confirmation_date,
    )
    now = await confirm(stand, TOMORROW)
    assert then.validity != now.validity


async def test_an_answer_as_of_a_moment_has_a_token_of_that_moment(stand: Stand) -> None:
    """The moment may stand beside the token as long as it is the same."""
    await stand.upload(a_file(new()))
    known = Timestamp()
    known.FromMicroseconds(await stand.store.last_recorded_time())
    await stand.upload(a_file(LOST), "file-2")
    then = await confirm(stand, known_time=known)
    for more in ({}, {"known_time": known}):
        again = await confirm(stand, TOMORROW, answer_token=then.answer_token, **more)
        assert lasting(then) == lasting(again)
    known.FromMicroseconds(known.ToMicroseconds() + 1)
    with pytest.raises(InvalidInput, match="TOKEN_OF_ANOTHER_QUESTION"):
        await confirm(stand, TOMORROW, answer_token=then.answer_token, known_time=known)


async def test_refusals_of_tokens_name_the_field(stand: Stand) -> None:
    """Within the question where it is explained."""
    await stand.upload(a_file(new()))
    then = await confirm(stand)
    with pytest.raises(InvalidInput, match="TOKEN_WRONG") as wrong:
        await confirm(stand, TOMORROW, answer_token="planted")
    assert wrong.value.field == "answer_token"
    with pytest.raises(InvalidInput, match="TOKEN_WRONG") as wrong:
        await explain(stand, answer_token="planted")
    assert wrong.value.field == "question.answer_token"
    with pytest.raises(InvalidInput, match="TOKEN_OF_ANOTHER_QUESTION"):
        await confirm(stand, TOMORROW, answer_token=then.answer_token, insured_id=card("2"))
    stand.store.disposed = Instant(TOMORROW.now)
    with pytest.raises(Conflict, match="FACTS_DISPOSED"):
        await confirm(stand, TOMORROW, answer_token=then.answer_token)


async def test_a_members_history_is_spelled_with_its_origins(stand: Stand) -> None:
    """Days, kind, upload and line of each version; of its items names alone."""
    await stand.upload(a_file(new(individual_number=NUMBERS[0], address="見本県架空市1")))
    await stand.upload(a_file(LOST), "file-2")
    (method,) = HistoryMethods(stand.store, stand.door, 9).methods()
    assert (frozenset({Role.INSURER}), "CoverageService/GetEnrolleeHistory") == (
        method.roles,
        method.name,
    )
    assert method.unary is not None
    request = coverage_pb2.GetEnrolleeHistoryRequest(insured_id=card(), birth_date=BORN)
    answer = await method.unary(request.SerializeToString(), caller(INSURER))
    told = coverage_pb2.GetEnrolleeHistoryResponse.FromString(answer)
    first, last = told.versions
    assert (last.learned.request_id, last.learned.line_number) == ("file-2", 2)
    assert Date(year=2025, month=8, day=1) == last.learned.loss_date
    assert first.learned.superseded_time == last.learned.recorded_time
    assert list(last.changed_items) == ["loss_date", "loss_reason"]
    assert (card(), BORN) == (last.insured_id, last.birth_date)
    assert [one.is_numbered for one in told.links] == [True]
    assert not told.is_cut
    assert "架空".encode() not in answer

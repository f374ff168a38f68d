"""Notices become cases, and an insurer learns its own lag and nobody else's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date

import pytest

from gateway.domain.errors import InvalidInput, NotPermitted, Refusal, TooMuch
from gateway.domain.lag import Case, CaseKind, LagReport, LagRules
from gateway.domain.period import Instant, tokyo_day
from gateway.domain.purpose import Role
from gateway.edges.rpc.lag import LagService
from gateway.store.memory_lag import MemoryFilings
from gateway.store.port import Batch, CheckState
from gateway.store.port_lag import CasesWanted
from gateway.usecases import lag_report
from gateway.usecases.context import Context
from gateway.usecases.lag_report import LagLimits, LagQuestion, LagReporter
from gateway.v1 import lag_pb2 as pb
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
from tests.usecases.test_check_numbers import OTHER_BIRTH_DATE, Checked

TODAY = tokyo_day(NOW)
LIMITS = LagLimits(cases_max=1_000, days_max=366, employers_max=10)
NOTICE = {"employer_code": "A-1", "filed_date": "20250403", "received_date": "20250404"}
LOST = {"loss_date": "20250901", "loss_reason": "99", "employer_code": "A-2"}


@pytest.fixture
def stand() -> Stand:
    """A writer whose numbers link at once."""
    return Stand()


@pytest.fixture
def checked() -> Checked:
    """A writer whose numbers are checked."""
    return Checked()


def nobody_rests(_: int) -> frozenset[date]:
    """Offices close on weekends alone."""
    return frozenset()


def reporter(stand: Stand, limits: LagLimits = LIMITS) -> LagReporter:
    """What makes reports over a stand's store."""
    return LagReporter(stand.store.filings, stand.door, LagRules(), nobody_rests, limits)


async def report(
    stand: Stand,
    question: LagQuestion | None = None,
    context: Context | None = None,
    limits: LagLimits = LIMITS,
) -> LagReport:
    """Ask as an insurer."""
    _, found = await reporter(stand, limits).report(question or LagQuestion(), context or caller())
    return found


async def cases(stand: Stand) -> Sequence[Case]:
    """Every case of the insurer."""
    wanted = CasesWanted(INSURER, TODAY, TODAY)
    return await stand.store.filings.cases(wanted, None, 100)


async def test_a_line_with_a_notice_opens_a_case(stand: Stand) -> None:
    """It says what the notice said, and is registered with its version."""
    await stand.upload(a_file(new(**NOTICE)))
    (case,) = await cases(stand)
    (version,) = stand.store.batches[-1].versions
    assert case.registered_time == version.coverage.recorded_time
    assert (case.kind, case.employer_code, case.cover_no) == (CaseKind.ACQUISITION, "A-1", 1)
    assert (case.fact_date, case.filed_date) == (date(2025, 4, 1), date(2025, 4, 3))
    assert case.received_date == date(2025, 4, 4)
    assert case.linked_time is None


async def test_a_line_without_a_notice_opens_none(stand: Stand) -> None:
    """Whoever says nothing of filings pays nothing for them."""
    await stand.upload(a_file(new(), said("LOSS", loss_date="20250901", loss_reason="99")))
    assert not await cases(stand)


async def test_a_refused_line_and_one_said_twice_open_none(stand: Stand) -> None:
    """A case comes with the version it brought, so it comes once."""
    await stand.upload(a_file(new(**NOTICE)), "one")
    again = new(**NOTICE) + new(**NOTICE | {"employer_code": "B"})
    await stand.upload(a_file(again, new("2", **NOTICE | {"name": ""})))
    assert [case.employer_code for case in await cases(stand)] == ["A-1"]


async def test_a_loss_is_a_case_of_its_own(stand: Stand) -> None:
    """Linked at once, since its enrollee is."""
    await stand.upload(a_file(new(individual_number=NUMBERS[0], **NOTICE), said("LOSS", **LOST)))
    acquired, lost = await cases(stand)
    assert (lost.kind, lost.fact_date) == (CaseKind.LOSS, date(2025, 9, 1))
    assert acquired.linked_time == lost.linked_time == acquired.registered_time


async def test_a_number_told_later_links_the_cases_then(stand: Stand) -> None:
    """The stamp is the recorded time of the link."""
    await stand.upload(a_file(new(**NOTICE)))
    await stand.upload(a_file(said("NUMBER", individual_number=NUMBERS[0])), "file-2")
    (case,) = await cases(stand)
    assert case.linked_time == stand.store.batches[-1].recorded_time
    assert case.linked_time > case.registered_time


async def test_a_checked_number_links_when_the_register_agrees(checked: Checked) -> None:
    """A mismatch leaves the case open until it is corrected."""
    checked.register.say = lambda _: OTHER_BIRTH_DATE
    await checked.say(new(individual_number=NUMBERS[0], **NOTICE))
    await checked.check_all()
    (suspended,) = await cases(checked)
    told = await checked.told_of()
    assert told is not None
    assert (told.state, suspended.linked_time) == (CheckState.SUSPENDED, None)


async def test_what_a_card_showed_already_is_seen_at_once(checked: Checked) -> None:
    """The loss of a cover that a card sees is seen when it is registered."""
    await checked.say(new(individual_number=NUMBERS[0], **NOTICE))
    await checked.check_all()
    told = await checked.told_of()
    assert told is not None
    async with checked.desk.turn() as at:
        pass
    seen = replace(told, visible_time=Instant(NOW + 6))
    await checked.store.commit(Batch(at, checks=[seen]))
    await checked.say(said("LOSS", **LOST))
    acquired, lost = await cases(checked)
    assert acquired.card_visible_time == NOW + 6
    assert lost.card_visible_time == lost.registered_time


async def test_a_notice_without_an_employer_is_a_case_too(stand: Stand) -> None:
    """Householders file for themselves; their cases come under no employer."""
    await stand.upload(a_file(new(filed_date="20250403")))
    (case,) = await cases(stand)
    assert (case.employer_code, case.filed_date) == ("", date(2025, 4, 3))


async def test_an_insurer_sees_its_own_cases_and_the_look_is_recorded(stand: Stand) -> None:
    """Another insurer's report is empty; the record names nobody."""
    await stand.upload(a_file(new(**NOTICE)))
    assert (await report(stand)).cases == 1
    record = stand.accesses.records[-1]
    assert (record.purpose, record.outcome, record.detail) == ("KP7-OR-01", "ANSWERED", "1")
    assert record.people == ()
    assert (await report(stand, context=caller(OTHER_INSURER))).cases == 0


async def test_a_clinic_is_denied(stand: Stand) -> None:
    """By the purpose, and on record."""
    with pytest.raises(NotPermitted):
        await report(stand, context=caller(role=Role.INSTITUTION))
    assert stand.accesses.records[-1].outcome == "DENIED"


@pytest.mark.parametrize(("first", "last"), [(TODAY, date(2025, 1, 1)), (date(2024, 1, 1), TODAY)])
async def test_a_period_that_cannot_be_is_refused(stand: Stand, first: date, last: date) -> None:
    """Ending before it begins, or too long."""
    with pytest.raises(InvalidInput, match="LAG_PERIOD_WRONG"):
        await report(stand, LagQuestion(first, last))


async def test_too_many_cases_are_refused(stand: Stand, monkeypatch: pytest.MonkeyPatch) -> None:
    """The limit is inclusive, over pages too."""
    monkeypatch.setattr(lag_report, "PAGE_CASES", 2)
    await stand.upload(a_file(*(new(str(number), **NOTICE) for number in range(1, 6))))
    assert (await report(stand, limits=replace(LIMITS, cases_max=5))).cases == 5
    with pytest.raises(TooMuch, match="TOO_MANY_CASES"):
        await report(stand, limits=replace(LIMITS, cases_max=4))


async def test_the_service_spells_the_report(stand: Stand) -> None:
    """Absent days are this month; stages, classes of age and employers come as they are."""
    lines = a_file(new(individual_number=NUMBERS[0], **NOTICE), new("2", employer_code="B"))
    await stand.upload(lines)
    service = LagService(reporter(stand))
    answer = pb.GetLagReportResponse.FromString(
        await service.get_lag_report(pb.GetLagReportRequest().SerializeToString(), caller())
    )
    assert (answer.first_day.day, answer.last_day.day) == (1, TODAY.day)
    assert (answer.cases, answer.acquisitions, answer.late_registrations) == (2, 2, 1)
    stages = {lag.stage: lag for lag in answer.stages}
    filing = stages[pb.LAG_STAGE_FILING]
    assert (filing.unit, filing.count, filing.p50) == (pb.LAG_UNIT_DAYS, 1, 2)
    assert [(one.days, one.cases) for one in filing.days] == [(2, 1)]
    (link,) = [one for one in answer.open_cases if one.wait == pb.LAG_WAIT_LINK]
    ages = [(age.first_days, age.last_days, age.cases) for age in link.ages]
    assert ages == [(0, 1, 1), (2, 5, 0), (6, 10, 0), (11, 30, 0), (31, 0, 0)]
    assert [one.employer_code for one in answer.employers] == ["A-1", "B"]


@pytest.mark.parametrize(
    ("request_", "reason"),
    [
        (pb.GetLagReportRequest(employer_code="x" * 21), "TOO_LONG"),
        (pb.GetLagReportRequest(kind=7), "CODE_UNKNOWN"),  # type: ignore[arg-type]  no such kind
        (pb.GetLagReportRequest(last_day={"year": 2025}), "DATE_WRONG"),  # type: ignore[arg-type]
    ],
)
async def test_the_service_refuses_what_cannot_be(
    stand: Stand, request_: pb.GetLagReportRequest, reason: str
) -> None:
    """With the field it is about."""
    with pytest.raises(Refusal) as refused:
        await LagService(reporter(stand)).get_lag_report(request_.SerializeToString(), caller())
    assert refused.value.reason == reason
    assert refused.value.field


async def test_an_empty_store_gives_an_empty_report() -> None:
    """No case, no stage, nobody to name."""
    stand = Stand()
    stand.store.filings = MemoryFilings()
    found = await report(stand)
    assert (found.cases, found.stages, found.employers) == (0, (), ())

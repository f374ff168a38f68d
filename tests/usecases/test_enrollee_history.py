"""What an insurer is told of its own member, and a person of themselves: each version and link."""

from __future__ import annotations

import pytest

from gateway.domain.changes import Target
from gateway.domain.enrollee_history import ToldHistory
from gateway.domain.errors import Conflict, NotPermitted
from gateway.domain.explanation import VersionKind
from gateway.domain.identifiers import InsuredId, InsurerNumber
from gateway.domain.period import parse_day
from gateway.domain.purpose import Role
from gateway.edges.rpc import convert_history
from gateway.usecases.context import Caller, Context
from gateway.usecases.enrollee_history import enrollee_history
from gateway.v1 import eligibility_pb2
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

BORN = parse_day(who()["birth_date"])


@pytest.fixture
def stand() -> Stand:
    """A writer in memory, whose numbers link at once."""
    return Stand()


async def history(
    stand: Stand,
    number: str = "1",
    insurer: InsurerNumber = INSURER,
    context: Context | None = None,
    versions_max: int = 99,
) -> ToldHistory:
    """What an insurer is told of a member."""
    target = Target(InsuredId(insurer, "記号", number, "01"), BORN)
    asking = context or caller(insurer)
    return await enrollee_history(target, asking, stand.store, stand.door, versions_max)


async def test_each_version_comes_with_what_it_changed_and_from_where(stand: Stand) -> None:
    """In the order they were learned, each with its upload, its line, and names of items alone."""
    await stand.upload(a_file(new()))
    await stand.upload(a_file(said("CHANGE", address="見本県架空市1")), "file-2")
    loss = said("LOSS", loss_date="20250801", loss_reason="99")
    await stand.upload(a_file(loss), "file-3")
    told = await history(stand)
    assert [
        (one.kind, one.changed, one.fact.request_id, one.fact.line_number) for one in told.versions
    ] == [
        (VersionKind.ACQUIRED, (), "file-1", 2),
        (VersionKind.CHANGED, ("address",), "file-2", 2),
        (VersionKind.LOST, ("loss_date", "loss_reason"), "file-3", 2),
    ]
    times = [one.fact.coverage.recorded_time for one in told.versions]
    assert sorted(times) == times
    assert [*times[1:], None] == [one.fact.superseded_time for one in told.versions]
    record = stand.accesses.records[-1]
    assert (
        record.purpose,
        record.operation,
        record.outcome,
        record.detail,
    ) == ("KP1-I-01", "USE", "ANSWERED", "3")


async def test_a_corrected_number_is_told_by_the_one_of_now(stand: Stand) -> None:
    """Asked by the number of now, the versions under the old number are there too."""
    await stand.upload(a_file(new()))
    await stand.upload(a_file(said("CORRECT", new_number="2")), "file-2")
    told = await history(stand, "2")
    spelled = convert_history.enrollee_history(told)
    assert [one.insured_id.number for one in spelled.versions] == ["1", "2"]
    assert list(spelled.versions[1].changed_items) == ["number"]
    kinds = (eligibility_pb2.VERSION_KIND_ACQUIRED, eligibility_pb2.VERSION_KIND_CORRECTED)
    assert list(kinds) == [one.learned.kind for one in spelled.versions]
    with pytest.raises(Conflict, match="COVERAGE_UNKNOWN"):
        await history(stand, "1")


async def test_nothing_of_another_insurer_is_told(stand: Stand) -> None:
    """The other's cover of the same person shows in no version; of links only one's own."""
    await stand.upload(a_file(new(individual_number=NUMBERS[0])))
    other = new(
        insurer_number=OTHER_INSURER.zero_padded,
        acquisition_date="20250801",
        individual_number=NUMBERS[0],
    )
    await stand.upload(a_file(other), "file-of-other", OTHER_INSURER)
    for insurer, request_id in ((INSURER, "file-1"), (OTHER_INSURER, "file-of-other")):
        told = await history(stand, insurer=insurer)
        spelled = convert_history.enrollee_history(told)
        assert [request_id] == [one.learned.request_id for one in spelled.versions]
        assert {insurer.zero_padded} == {one.insurer_number for one in spelled.links}
        assert [one.person_ordinal for one in spelled.links] == [1]
        keys = {one.enrollee_key for one in spelled.links}
        assert keys == {one.learned.enrollee_key for one in spelled.versions}


async def test_a_link_that_was_wrong_and_repaired_is_told(stand: Stand) -> None:
    """Alone, then one person, then another: people are told apart by a number within the answer."""
    await stand.upload(a_file(new()))
    await stand.upload(a_file(said("NUMBER", individual_number=NUMBERS[0])), "file-2")
    await stand.upload(a_file(said("CORRECT", individual_number=NUMBERS[1])), "file-3")
    told = await history(stand)
    assert [(one.person_number, one.fact.is_numbered) for one in told.links] == [
        (1, False),
        (2, True),
        (3, True),
    ]
    assert told.links[-1].fact.superseded_time is None


async def test_only_the_newest_versions_are_told_if_there_are_many(stand: Stand) -> None:
    """The last one always is; of the first one left it is not said what it changed."""
    await stand.upload(a_file(new()))
    for number in range(4):
        row = said("CHANGE", address=f"見本県架空市{number}")
        await stand.upload(a_file(row), f"file-{number + 2}")
    told = await history(stand, versions_max=2)
    assert told.is_cut
    assert [(one.changed, one.fact.coverage.version_no) for one in told.versions] == [
        ((), 4),
        (("address",), 5),
    ]


async def test_a_history_is_the_insurers_own_alone(stand: Stand) -> None:
    """Another's number is refused, a member nobody knows too, and other roles at the door."""
    await stand.upload(a_file(new()))
    with pytest.raises(NotPermitted, match="INSURER_NOT_CALLER"):
        await history(stand, context=caller(OTHER_INSURER))
    with pytest.raises(Conflict, match="COVERAGE_UNKNOWN"):
        await history(stand, "404")
    clinic = Context(Caller(Role.INSTITUTION, "1319999999"), NOW, "CoverageService/History")
    with pytest.raises(NotPermitted, match="ACTOR_NOT_ALLOWED"):
        await history(stand, context=clinic)
    assert [one.outcome for one in stand.accesses.records[-3:]] == ["DENIED"] * 3

"""How far a My Number has come, for the insurer who told it and nobody else."""

from __future__ import annotations

from datetime import date

import pytest

from gateway.domain.changes import Target
from gateway.domain.errors import Conflict, NotFound, NotPermitted
from gateway.domain.identifiers import InsuredId, InsurerNumber
from gateway.domain.individual_number import IndividualNumber
from gateway.domain.period import parse_day
from gateway.domain.purpose import Role
from gateway.store.port import CheckState, NumberCheck
from gateway.usecases.number_stages import number_stages
from tests.usecases.checking import OTHER_BIRTH_DATE, Checked
from tests.usecases.registration import (
    INSURER,
    NUMBERS,
    OTHER_INSURER,
    Stand,
    a_file,
    caller,
    new,
    who,
)

BORN = parse_day(who()["birth_date"])


@pytest.fixture
def stand() -> Checked:
    """A writer whose numbers are checked."""
    return Checked()


async def stages(
    stand: Stand,
    number: str = "1",
    branch: str = "01",
    insurer: InsurerNumber = INSURER,
    role: Role = Role.INSURER,
    born: date = BORN,
) -> NumberCheck | None:
    """Ask as an insurer about an enrollee of the first one."""
    target = Target(InsuredId.parse(INSURER.zero_padded, "記号", number, branch), born)
    return await number_stages(target, caller(insurer, role), stand.store, stand.door)


async def told_stages(stand: Checked, branch: str = "01", born: date = BORN) -> NumberCheck:
    """The stages of a number that was told and had to be checked."""
    check = await stages(stand, branch=branch, born=born)
    assert check is not None
    return check


def last(stand: Stand) -> tuple[str, str, str, tuple[bytes, ...]]:
    """Purpose, outcome, detail and people of the last record."""
    record = stand.accesses.records[-1]
    return record.purpose, record.outcome, record.detail, record.people


async def test_stages_come_one_after_the_other(stand: Checked) -> None:
    """Before the register answers there is the receipt alone; after it, every stage but sight."""
    await stand.say(new(individual_number=NUMBERS[0]))
    received = await told_stages(stand)
    await stand.check_all()
    linked = await told_stages(stand)
    later = (
        received.checked_time,
        received.linked_time,
        received.projected_time,
        received.visible_time,
    )
    assert (received.state, later) == (CheckState.RECEIVED, (None,) * 4)
    assert (linked.state, linked.received_time) == (CheckState.LINKED, received.received_time)
    assert None not in (linked.checked_time, linked.linked_time, linked.projected_time)
    assert linked.visible_time is None


async def test_a_suspended_number_says_which_items_differ(stand: Checked) -> None:
    """The insurer learns what to correct."""
    stand.register.say = lambda _: OTHER_BIRTH_DATE
    await stand.say(new(individual_number=NUMBERS[0]))
    await stand.check_all()
    told = await told_stages(stand)
    assert (told.state, told.mismatches) == (CheckState.SUSPENDED, ("BIRTH_DATE",))
    assert told.linked_time is None


async def test_the_record_names_the_person_asked_about(stand: Checked) -> None:
    """Before and after the link, whoever the enrollee is then; the number's person in the end."""
    await stand.say(new(individual_number=NUMBERS[0]))
    await stages(stand)
    (before,) = await stand.enrollees()
    assert last(stand) == ("KP7-OR-01", "ANSWERED", "RECEIVED", (before.person_key,))
    await stand.check_all()
    await stages(stand)
    _, outcome, detail, (person_key,) = last(stand)
    assert (outcome, detail) == ("ANSWERED", "LINKED")
    assert await stand.vault.holds(person_key, IndividualNumber.parse(NUMBERS[0]))


async def test_another_insurer_learns_nothing(stand: Checked) -> None:
    """The refusal is recorded and is the same whether the enrollee is there or not."""
    await stand.say(new(individual_number=NUMBERS[0]))
    for number in ("1", "9"):
        with pytest.raises(NotPermitted, match="INSURER_NOT_CALLER"):
            await stages(stand, number, insurer=OTHER_INSURER)
        assert last(stand) == ("KP7-OR-01", "DENIED", "INSURER_NOT_CALLER", ())


async def test_an_enrollee_without_a_told_number_has_no_stages(stand: Checked) -> None:
    """There is a cover, and no number."""
    await stand.say(new())
    (enrollee,) = await stand.enrollees()
    with pytest.raises(NotFound, match="NUMBER_NOT_TOLD"):
        await stages(stand)
    assert last(stand) == ("KP7-OR-01", "DENIED", "NUMBER_NOT_TOLD", (enrollee.person_key,))


async def test_a_number_that_linked_unchecked_has_no_stages_and_is_linked() -> None:
    """Where no register was named when it was told, there is nothing to stamp."""
    stand = Stand()
    await stand.upload(a_file(new(individual_number=NUMBERS[0])))
    assert await stages(stand) is None
    _, outcome, detail, (person_key,) = last(stand)
    assert (outcome, detail) == ("ANSWERED", "LINKED")
    assert await stand.vault.holds(person_key, IndividualNumber.parse(NUMBERS[0]))


async def test_an_unknown_enrollee_is_told_from_several(stand: Checked) -> None:
    """Nobody, or two without the branch that would tell them apart."""
    await stand.say(new(individual_number=NUMBERS[0]), new(branch="02"))
    with pytest.raises(Conflict, match="COVERAGE_UNKNOWN"):
        await stages(stand, "2")
    assert last(stand) == ("KP7-OR-01", "DENIED", "COVERAGE_UNKNOWN", ())
    with pytest.raises(Conflict, match="COVERAGE_AMBIGUOUS"):
        await stages(stand, branch="")
    _, outcome, detail, people = last(stand)
    assert (outcome, detail, len(people)) == ("DENIED", "COVERAGE_AMBIGUOUS", 2)
    assert (await told_stages(stand)).state is CheckState.RECEIVED


async def test_the_birth_date_is_part_of_whom_is_asked_about(stand: Checked) -> None:
    """Two who share a number are told apart by it, and a wrong one finds nobody."""
    twin = new(branch="02", birth_date="19860301", individual_number=NUMBERS[1])
    await stand.say(new(), twin)
    told = await told_stages(stand, branch="", born=date(1986, 3, 1))
    assert told.state is CheckState.RECEIVED
    with pytest.raises(Conflict, match="COVERAGE_UNKNOWN"):
        await stages(stand, branch="02")


async def test_a_clinic_cannot_ask_even_inside_the_house(stand: Checked) -> None:
    """The purpose is not for institutions; the door says so before anything is loaded."""
    await stand.say(new(individual_number=NUMBERS[0]))
    with pytest.raises(NotPermitted) as refused:
        await stages(stand, role=Role.INSTITUTION)
    assert last(stand) == ("KP7-OR-01", "DENIED", refused.value.reason, ())

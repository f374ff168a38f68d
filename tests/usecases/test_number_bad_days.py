"""Bad days of a My Number: rows lost, corrections taken back, swaps half mended."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from gateway.domain.coverage import CoverState
from gateway.domain.identifiers import EnrolleeKey, PersonKey
from gateway.domain.individual_number import IndividualNumber
from gateway.domain.residents import Finding
from gateway.store.port import CheckState
from gateway.usecases.number_oversight import NumberOversight
from gateway.usecases.residents import Asked
from tests.usecases.checking import OTHER_BIRTH_DATE, SAME, Checked
from tests.usecases.registration import NUMBERS, CrashError, a_file, caller, new, said
from tests.usecases.trails import NoTrail

BOTH_NAMES = Finding(is_known=True, is_name_different=True, is_name_kana_different=True)
A, B = (IndividualNumber.parse(digits) for digits in NUMBERS[:2])


@pytest.fixture
def stand() -> Checked:
    """A writer whose numbers are checked."""
    return Checked()


async def recheck(stand: Checked) -> None:
    """Have every number of the insurer checked again and answered."""
    oversight = NumberOversight(stand.store, stand.desk, stand.door, NoTrail())
    await oversight.recheck("again", EnrolleeKey(b""), 100, caller())
    await stand.check_all()


async def mismatches(stand: Checked, number: str = "1") -> tuple[str, ...]:
    """What the last check of an enrollee says differs."""
    told = await stand.told_of(number)
    assert told is not None
    return told.mismatches


def forget(stand: Checked, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the vault know whose a number is and not be able to give it, until told again."""
    vault, lost = stand.vault, set(stand.vault._people.values())
    numbers_of, people_of = vault.numbers_of, vault.people_of

    async def given(people: Sequence[PersonKey]) -> Sequence[IndividualNumber | None]:
        found = await numbers_of(people)
        return [None if one in lost else number for one, number in zip(people, found, strict=True)]

    async def told(asked: Sequence[tuple[IndividualNumber, PersonKey]]) -> Sequence[PersonKey]:
        people = await people_of(asked)
        lost.difference_update(people)
        return people

    monkeypatch.setattr(vault, "numbers_of", given)
    monkeypatch.setattr(vault, "people_of", told)


@pytest.mark.parametrize("was_linked", [True, False])
@pytest.mark.parametrize("action", ["NUMBER", "CORRECT"])
async def test_a_number_the_vault_lost_is_told_again(
    stand: Checked,
    monkeypatch: pytest.MonkeyPatch,
    action: str,
    was_linked: bool,  # noqa: FBT001  both ways
) -> None:
    """The same number told again brings the cover back, whether it was linked before or not."""
    await stand.say(new(individual_number=NUMBERS[0]))
    if was_linked:
        await stand.check_all()
    forget(stand, monkeypatch)
    await (recheck(stand) if was_linked else stand.check_all())
    assert await mismatches(stand) == ("NUMBER_UNREADABLE",)
    assert (await stand.state())[:2] == (was_linked, CoverState.SUSPENDED)
    await stand.say(said(action, individual_number=NUMBERS[0]))
    await stand.check_all()
    assert (await stand.state())[:2] == (True, CoverState.REGISTERED)
    assert await mismatches(stand) == ()


def twins(asked: Asked) -> Finding:
    """A register that knows 'A' by the first number and 'B' by the second; twins."""
    right = {NUMBERS[0]: "架空　甲", NUMBERS[1]: "架空　乙"}
    is_other = right.get(asked.number.reveal()) != asked.items.name
    return Finding(is_known=True, is_name_different=is_other, is_name_kana_different=is_other)


async def swapped(stand: Checked) -> None:
    """Twins have each other's numbers, and the gateway noticed."""
    stand.register.say = twins
    await stand.say(
        new("1", name="架空　甲", individual_number=NUMBERS[1]),
        new("2", name="架空　乙", individual_number=NUMBERS[0]),
    )
    await stand.check_all()


@pytest.mark.parametrize(
    "line",
    [
        said("LOSS", loss_date="20250901", loss_reason="99"),
        said("CHANGE", address="見本県架空市2番地"),
        said("NUMBER", individual_number=NUMBERS[1]),
    ],
    ids=["loss", "address", "the wrong number again"],
)
async def test_swapped_twins_stay_hidden_whatever_else_is_said(stand: Checked, line: str) -> None:
    """A twin's loss, its address, the wrong number again: the name alone would show the cover."""
    await swapped(stand)
    await stand.say(line)
    await stand.check_all()
    assert (await stand.state("1"))[1] is CoverState.SUSPENDED
    assert await mismatches(stand, "1") == ("NAME", "SWAPPED")


async def test_one_twin_corrected_leaves_the_other_hidden(stand: Checked) -> None:
    """The corrected one is seen by its own number; the other until it is corrected is not."""
    await swapped(stand)
    await stand.say(said("CORRECT", "1", individual_number=NUMBERS[0]))
    await stand.check_all()
    assert (await stand.state("1"))[:2] == (True, CoverState.REGISTERED)
    assert (await stand.state("2"))[1] is CoverState.SUSPENDED
    await recheck(stand)
    assert (await stand.state("2"))[1] is CoverState.SUSPENDED
    await stand.say(said("CORRECT", "2", individual_number=NUMBERS[1]))
    await stand.check_all()
    assert (await stand.state("2"))[:2] == (True, CoverState.REGISTERED)


async def test_a_third_number_is_not_called_swapped(stand: Checked) -> None:
    """Another wrong number is judged by itself: a name alone stops medical information."""
    await swapped(stand)
    await stand.say(said("CORRECT", "1", individual_number=NUMBERS[2]))
    await stand.check_all()
    assert await mismatches(stand, "1") == ("NAME",)
    assert (await stand.state("1"))[:2] == (True, CoverState.REGISTERED)


async def test_a_swap_that_was_a_misspelt_name_ends_with_the_name(stand: Checked) -> None:
    """Once the names are corrected the register agrees, and neither is swapped."""
    await swapped(stand)
    await stand.say(said("CORRECT", "1", name="架空　乙"), said("CORRECT", "2", name="架空　甲"))
    await stand.check_all()
    for number in ("1", "2"):
        assert (await stand.state(number))[:2] == (True, CoverState.REGISTERED)
        assert await mismatches(stand, number) == ()


async def test_a_found_number_the_insurer_tells_is_a_told_one(stand: Checked) -> None:
    """Suspended by a name for want of anything that speaks for it, it is believed once told."""
    stand.register.find = lambda _: A
    stand.register.say = lambda _: BOTH_NAMES
    await stand.say(new(name_kana="カクウ　タロウ", address="見本県架空市1番地"))
    await stand.check_all()
    assert (await stand.state())[1] is CoverState.SUSPENDED
    await stand.say(said("NUMBER", individual_number=NUMBERS[0]))
    await stand.check_all()
    told = await stand.told_of()
    assert told is not None
    assert (told.state, told.is_found) == (CheckState.LINKED, False)


@pytest.mark.parametrize("is_one_file", [True, False])
async def test_the_last_of_two_numbers_counts_in_one_file_or_two(
    stand: Checked,
    is_one_file: bool,  # noqa: FBT001  both ways
) -> None:
    """Before any check the second number takes the first one's place, wherever a slice ends."""
    lines = [new(individual_number=NUMBERS[0]), said("NUMBER", individual_number=NUMBERS[1])]
    for some in [lines] if is_one_file else [[line] for line in lines]:
        await stand.say(*some)
    await stand.check_all()
    _, _, person_key = await stand.state()
    assert await stand.vault.holds(person_key, B)
    assert [one.number for one in stand.register.asked] == [B]


async def test_a_correction_taken_back_before_the_answer(stand: Checked) -> None:
    """Corrected and corrected back while the register thinks: the first number links again."""
    await stand.say(new(individual_number=NUMBERS[0]))
    await stand.check_all()
    _, _, person_key = await stand.state()

    async def take_back() -> None:
        await stand.say(said("CORRECT", individual_number=NUMBERS[0]))

    await stand.say(said("CORRECT", individual_number=NUMBERS[1]))
    stand.register.meanwhile = take_back
    await stand.check_all()
    assert await stand.state() == (True, CoverState.REGISTERED, person_key)


async def test_a_correction_of_a_suspended_birth_date_taken_back(stand: Checked) -> None:
    """Corrected to the right day and back to the wrong one in flight, it stays suspended."""
    stand.register.say = lambda one: (
        SAME if one.items.birth_date.isoformat() == "1984-02-28" else OTHER_BIRTH_DATE
    )
    await stand.say(new(individual_number=NUMBERS[0]))
    await stand.check_all()
    back = said("CORRECT", new_birth_date="19840229").replace("19840229", "19840228", 1)

    async def take_back() -> None:
        await stand.say(back)

    await stand.say(said("CORRECT", new_birth_date="19840228"))
    stand.register.meanwhile = take_back
    await stand.check_all()
    (found,) = await stand.enrollees()
    assert found.enrolment.covers[-1].birth_date.isoformat() == "1984-02-29"
    assert found.enrolment.covers[-1].state is CoverState.SUSPENDED


@pytest.mark.parametrize("finding", [SAME, OTHER_BIRTH_DATE])
async def test_a_suspended_cover_cancelled_while_its_correction_waits(
    stand: Checked, finding: Finding
) -> None:
    """Cancelled, it answers to nobody whatever the register says; registered anew it is judged."""
    stand.register.say = lambda _: OTHER_BIRTH_DATE
    await stand.say(new(individual_number=NUMBERS[0]))
    await stand.check_all()
    stand.register.say = lambda _: finding

    async def cancel() -> None:
        await stand.say(said("CANCEL"))

    await stand.say(said("CORRECT", sex="2"))
    stand.register.meanwhile = cancel
    await stand.check_all()
    assert (await stand.state())[1] is CoverState.CANCELLED
    await stand.say(new(acquisition_date="20250501"))
    await stand.check_all()
    expected = CoverState.REGISTERED if finding is SAME else CoverState.SUSPENDED
    assert (await stand.state())[1] is expected


async def test_a_correction_while_a_recheck_is_in_flight(stand: Checked) -> None:
    """The register's answer about the old number does not link the enrollee back to it."""
    await stand.say(new(individual_number=NUMBERS[0]))
    await stand.check_all()
    _, _, wrong = await stand.state()

    async def correct() -> None:
        await stand.say(said("CORRECT", individual_number=NUMBERS[1]))
        assert not (await stand.state())[0]

    stand.register.meanwhile = correct
    await recheck(stand)
    is_linked, state, right = await stand.state()
    assert (is_linked, state) == (True, CoverState.REGISTERED)
    assert right != wrong
    assert [one.number for one in stand.register.asked] == [A, A, B]


@pytest.mark.parametrize("is_written", [True, False])
async def test_a_crash_between_vault_and_store_gives_one_person(
    stand: Checked,
    is_written: bool,  # noqa: FBT001  both ways
) -> None:
    """Cut off after the vault took the number, the file comes again and finds the same person."""
    stand.store.crash_at = len(stand.store.batches) + 2
    stand.store.is_written_at_crash = is_written
    lines = a_file(new("1", individual_number=NUMBERS[0]), new("2", individual_number=NUMBERS[0]))
    await stand.receive(lines, "file-1")
    with pytest.raises(CrashError):
        await stand.apply_all()
    await stand.apply_all()
    await stand.check_all()
    one, two = await stand.state("1"), await stand.state("2")
    assert one == two
    assert one[0]
    assert await stand.vault.holds(one[2], A)
    assert len(stand.vault._people) == 1

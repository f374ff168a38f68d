"""A told My Number: safe, checked against the register, then linked or suspended."""

from __future__ import annotations

import asyncio

import pytest

from gateway.domain.coverage import CoverState
from gateway.domain.errors import Conflict, Unavailable
from gateway.domain.individual_number import IndividualNumber
from gateway.domain.period import Instant
from gateway.domain.residents import Finding, ResidentRules
from gateway.store.port import CheckState
from gateway.usecases.apply_uploads import Applier
from gateway.usecases.check_numbers import NumberChecker
from gateway.usecases.desk import Desk
from gateway.usecases.residents import Asked, NoRegister
from tests.usecases.checking import OTHER_BIRTH_DATE, SAME, Checked
from tests.usecases.registration import (
    LIMITS,
    NOW,
    NUMBERS,
    CoverageReader,
    a_file,
    new,
    said,
)


@pytest.fixture
def stand() -> Checked:
    """A writer whose numbers are checked."""
    return Checked()


async def test_a_told_number_links_nobody_before_the_register_answers(stand: Checked) -> None:
    """Between receipt and answer the cover is there and not linked."""
    await stand.say(new(individual_number=NUMBERS[0]))
    is_numbered, state, _ = await stand.state()
    told = await stand.told_of()
    assert (is_numbered, state) == (False, CoverState.REGISTERED)
    assert told is not None
    assert told.state is CheckState.RECEIVED


async def test_a_number_the_register_agrees_with_links(stand: Checked) -> None:
    """After the check two enrollees with one number are one person."""
    await stand.say(new("1", individual_number=NUMBERS[0]), new("2", individual_number=NUMBERS[0]))
    await stand.check_all()
    one, two = await stand.state("1"), await stand.state("2")
    assert one == two
    assert one[0]


async def test_every_stage_is_stamped(stand: Checked) -> None:
    """A linked number has a stamp of each stage but visibility, for want of a card."""
    await stand.say(new(), said("NUMBER", individual_number=NUMBERS[0]))
    await stand.check_all()
    told = await stand.told_of()
    assert told is not None
    stamps = [told.received_time, told.checked_time, told.linked_time, told.projected_time]
    assert all(stamp is not None for stamp in stamps)
    assert told.received_time < (told.linked_time or Instant(0))
    assert told.visible_time is None


async def test_a_mismatch_suspends(stand: Checked) -> None:
    """A birth date that differs puts the cover out of sight and links nobody."""
    stand.register.say = lambda _: OTHER_BIRTH_DATE
    await stand.say(new(individual_number=NUMBERS[0]))
    await stand.check_all()
    is_numbered, state, _ = await stand.state()
    told = await stand.told_of()
    assert (is_numbered, state) == (False, CoverState.SUSPENDED)
    assert told is not None
    assert told.mismatches == ("BIRTH_DATE",)


async def test_a_correction_is_checked_again_and_restores(stand: Checked) -> None:
    """Once the insurer has corrected the birth date, the cover is seen again and linked."""
    stand.register.say = lambda one: (
        SAME if one.items.birth_date.isoformat() == "1984-02-28" else OTHER_BIRTH_DATE
    )
    await stand.say(new(individual_number=NUMBERS[0]))
    await stand.check_all()
    await stand.say(said("CORRECT", new_birth_date="19840228"))
    await stand.check_all()
    (found,) = await stand.enrollees()
    assert found.enrolment.is_numbered
    assert found.enrolment.covers[-1].state is CoverState.REGISTERED


async def test_the_right_number_restores(stand: Checked) -> None:
    """Telling another number for a suspended enrollee takes the place of the wrong one."""
    stand.register.say = lambda one: SAME if one.number.reveal() == NUMBERS[1] else OTHER_BIRTH_DATE
    await stand.say(new(individual_number=NUMBERS[0]))
    await stand.check_all()
    await stand.say(said("NUMBER", individual_number=NUMBERS[1]))
    await stand.check_all()
    is_numbered, state, _ = await stand.state()
    assert (is_numbered, state) == (True, CoverState.REGISTERED)


async def test_a_new_cover_of_a_suspended_enrollee_is_suspended(stand: Checked) -> None:
    """Nothing of a suspended enrollee is shown, what is said of it later included."""
    stand.register.say = lambda _: OTHER_BIRTH_DATE
    await stand.say(new(individual_number=NUMBERS[0]))
    await stand.check_all()
    await stand.say(
        said("LOSS", loss_date="20251001", loss_reason="99", acquisition_date="20250401"),
        new(acquisition_date="20260101"),
    )
    (found,) = await stand.enrollees()
    assert {CoverState.SUSPENDED} == {cover.state for cover in found.enrolment.covers}


async def test_a_register_that_is_away_loses_nothing(stand: Checked) -> None:
    """A number waits until the register answers."""
    await stand.say(new(individual_number=NUMBERS[0]))
    stand.register.is_away = True
    with pytest.raises(Unavailable, match="RESIDENT_REGISTER_UNAVAILABLE"):
        await stand.checker.check_some()
    stand.register.is_away = False
    await stand.check_all()
    assert (await stand.state())[0]


async def test_an_answer_about_an_older_number_has_no_effect(stand: Checked) -> None:
    """A number told anew while the register thinks is the one that links."""

    async def tell_another() -> None:
        await stand.say(said("NUMBER", individual_number=NUMBERS[1]))

    await stand.say(new(individual_number=NUMBERS[0]))
    stand.register.meanwhile = tell_another
    await stand.check_all()
    (found,) = await stand.enrollees()
    assert NUMBERS[1] == stand.register.asked[-1].number.reveal()
    assert await stand.vault.holds(found.person_key, IndividualNumber.parse(NUMBERS[1]))


async def test_an_answer_about_items_changed_since_has_no_effect(stand: Checked) -> None:
    """Items the insurer changes while the register thinks are asked about again."""

    async def change_name() -> None:
        await stand.say(said("CHANGE", name="架空　次郎"))

    await stand.say(new(individual_number=NUMBERS[0]))
    stand.register.meanwhile = change_name
    await stand.check_all()
    assert [one.items.name for one in stand.register.asked] == ["架空　太郎", "架空　次郎"]
    assert (await stand.state())[0]


async def test_a_number_that_waits_is_not_told_twice(stand: Checked) -> None:
    """The same number again changes nothing, before the answer and after it."""
    await stand.say(new(individual_number=NUMBERS[0]))
    for _ in range(2):
        done = await stand.upload(
            a_file(said("NUMBER", individual_number=NUMBERS[0])), f"again-{_}"
        )
        assert (done.lines_applied, done.lines_unchanged) == (0, 1)
        await stand.check_all()
    assert len(stand.register.asked) == 1


async def test_a_linked_number_is_not_replaced(stand: Checked) -> None:
    """Another number than the linked one is refused."""
    await stand.say(new(individual_number=NUMBERS[0]))
    await stand.check_all()
    await stand.upload(a_file(said("NUMBER", individual_number=NUMBERS[1])), "other")
    (refused,) = await stand.refused("other")
    assert Conflict("NUMBER_DIFFERS").reason == refused.reason


async def test_checking_begins_by_itself(stand: Checked) -> None:
    """The checker's task is woken when a number was told."""
    stop = asyncio.Event()
    task = asyncio.create_task(stand.checker.run(stop))
    await stand.say(new(individual_number=NUMBERS[0]))
    for _ in range(200):
        if (await stand.state())[0]:
            break
        await asyncio.sleep(0)
    stop.set()
    await task
    assert (await stand.state())[0]


async def test_a_suspended_enrollee_hides_what_is_said_anew(stand: Checked) -> None:
    """Cancelled and registered again while the register is away, a cover stays out of sight."""
    stand.register.say = lambda _: OTHER_BIRTH_DATE
    await stand.say(new(individual_number=NUMBERS[0]))
    await stand.check_all()
    stand.register.is_away = True
    await stand.say(said("CANCEL"), new(acquisition_date="20250501"))
    (found,) = await stand.enrollees()
    assert CoverState.SUSPENDED is found.enrolment.covers[-1].state


async def test_what_is_compared_is_the_cover_that_began_last(stand: Checked) -> None:
    """The name an enrollee had in an earlier cover does not suspend the present one."""
    stand.register.say = lambda one: (
        SAME
        if one.items.name == "架空　太郎"
        else Finding(is_known=True, is_name_different=True, is_name_kana_different=True)
    )
    await stand.say(
        new(acquisition_date="20100401", name="旧姓　太郎"),
        said("LOSS", loss_date="20200401", loss_reason="03"),
        new(individual_number=NUMBERS[0]),
    )
    await stand.check_all()
    assert (await stand.state())[0]


async def test_a_linked_enrollee_whose_items_are_corrected_is_checked_again(
    stand: Checked,
) -> None:
    """A correction to somebody else's birth date suspends what was linked before."""
    stand.register.say = lambda one: (
        SAME if one.items.birth_date.isoformat() == "1984-02-29" else OTHER_BIRTH_DATE
    )
    await stand.say(new(individual_number=NUMBERS[0]))
    await stand.check_all()
    await stand.say(said("CORRECT", new_birth_date="19850301"))
    await stand.check_all()
    (found,) = await stand.enrollees()
    assert CoverState.SUSPENDED is found.enrolment.covers[-1].state
    assert found.enrolment.is_numbered


async def test_a_change_of_other_items_asks_nobody(stand: Checked) -> None:
    """A loss of a linked cover changes none of the five items, so it is not checked."""
    await stand.say(new(individual_number=NUMBERS[0]))
    await stand.check_all()
    await stand.say(said("LOSS", loss_date="20251001", loss_reason="99"))
    await stand.check_all()
    assert len(stand.register.asked) == 1


async def test_a_number_the_vault_cannot_give_suspends_and_stops_nothing(
    stand: Checked,
) -> None:
    """A spoiled row of the vault is a mismatch of its own; the others are checked."""
    await stand.say(new("1", individual_number=NUMBERS[0]), new("2", individual_number=NUMBERS[1]))
    told = await stand.told_of("1")
    assert told is not None
    del stand.vault._people[IndividualNumber.parse(NUMBERS[0])]
    await stand.check_all()
    spoiled = await stand.told_of("1")
    assert spoiled is not None
    assert spoiled.mismatches == ("NUMBER_UNREADABLE",)
    assert (await stand.state("2"))[0]


async def test_stamps_a_crash_left_out_are_made_good(stand: Checked) -> None:
    """A link without its stamp of projection gets one with the next look."""
    await stand.say(new(individual_number=NUMBERS[0]))
    stand.store.crash_at = len(stand.store.batches) + 2
    stand.store.crash = Unavailable("STORE_UNAVAILABLE")
    with pytest.raises(Unavailable):
        await stand.checker.check_some()
    before = await stand.told_of()
    await stand.check_all()
    after = await stand.told_of()
    assert before is not None
    assert after is not None
    assert (before.state, before.projected_time) == (CheckState.LINKED, None)
    assert after.projected_time is not None


async def test_a_stop_does_not_wait_for_a_slow_register(stand: Checked) -> None:
    """Told to stop while the register thinks, the checker ends; the number waits."""
    asked, stop = asyncio.Event(), asyncio.Event()

    async def think() -> None:
        asked.set()
        await asyncio.Event().wait()

    stand.register.meanwhile = think
    await stand.say(new(individual_number=NUMBERS[0]))
    task = asyncio.create_task(stand.checker.run(stop))
    await asked.wait()
    stop.set()
    await asyncio.wait_for(task, 5)
    told = await stand.told_of()
    assert told is not None
    assert told.state is CheckState.RECEIVED


async def test_a_bug_ends_checking_and_is_told(stand: Checked) -> None:
    """What nobody foresaw is handed on; the checker does not take the writer with it."""

    def fail(_: Asked) -> Finding:
        raise ZeroDivisionError

    stand.register.say = fail
    stop = asyncio.Event()
    await stand.say(new(individual_number=NUMBERS[0]))
    task = asyncio.create_task(stand.checker.run(stop))
    while not stand.bugs:  # noqa: ASYNC110  the checker has no event for it
        await asyncio.sleep(0)
    assert not task.done()
    stop.set()
    await task


async def test_without_a_register_what_waits_is_linked(stand: Checked) -> None:
    """Where the settings name no register any more, waiting numbers link, suspended ones too."""
    stand.register.say = lambda _: OTHER_BIRTH_DATE
    await stand.say(new("1", individual_number=NUMBERS[0]))
    await stand.check_all()
    await stand.say(new("2", individual_number=NUMBERS[1]))
    unchecked = Desk(stand.store, stand.vault, stand.new_key, lambda: NOW)
    trusting = NumberChecker(
        stand.store,
        stand.vault,
        unchecked,
        NoRegister(),
        ResidentRules(),
        lambda: NOW,
        asyncio.Event(),
        stand.bugs.append,
        new_key=stand.new_key,
    )
    while await trusting.check_some():
        pass
    assert (await stand.state("2"))[0]
    stand.applier = Applier(
        stand.store, stand.spool, unchecked, CoverageReader, LIMITS, stand.rehearsal(unchecked)
    )
    stand.receiver.desk = unchecked
    stand.receiver.on_received = stand.applier.wake
    await stand.say(said("NUMBER", "1", individual_number=NUMBERS[2]))
    await stand.say(said("LOSS", "1", loss_date="20251001", loss_reason="99"))
    is_numbered, state, _ = await stand.state("1")
    assert (is_numbered, state) == (True, CoverState.REGISTERED)

"""Missing, wrong and swapped My Numbers: found, corrected, hidden, and who saw what meanwhile."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gateway.domain.changes import Target
from gateway.domain.coverage import CoverState
from gateway.domain.errors import Conflict, InvalidInput
from gateway.domain.identifiers import EnrolleeKey, InsuredId
from gateway.domain.individual_number import IndividualNumber
from gateway.domain.period import Instant, parse_day
from gateway.domain.residents import Finding, ResidentRules
from gateway.store.port import CheckState
from gateway.store.port_beside import Look
from gateway.usecases.number_oversight import FROM_THE_NEWEST, LooksPage, NumberOversight
from gateway.usecases.residents import Asked
from tests.usecases.checking import OTHER_BIRTH_DATE, SAME, Checked
from tests.usecases.registration import (
    INSURER,
    NOW,
    NUMBERS,
    OTHER_INSURER,
    caller,
    new,
    said,
    who,
)
from tests.usecases.trails import NoTrail

WHOLE = {"name_kana": "カクウ　タロウ", "address": "見本県架空市1番地"}
BOTH_NAMES = Finding(is_known=True, is_name_different=True, is_name_kana_different=True)
NAME_AND_ADDRESS = Finding(is_known=True, is_name_different=True, is_address_different=True)
ONLY_ADDRESS = Finding(is_known=True, is_address_different=True)


@pytest.fixture
def stand() -> Checked:
    """A writer whose numbers are checked."""
    return Checked()


def oversight(stand: Checked, trail: NoTrail | None = None) -> NumberOversight:
    """The insurers' oversight over a stand."""
    return NumberOversight(stand.store, stand.desk, stand.door, trail or NoTrail())


async def recheck(stand: Checked) -> int:
    """Have everything of the insurer checked again, one enrollee a page."""
    waiting, after = 0, EnrolleeKey(b"")
    while True:
        page = await oversight(stand).recheck("again", after, 1, caller())
        waiting += page.waiting
        if page.last is None:
            return waiting
        after = page.last


async def medical_stopped(stand: Checked, number: str = "1") -> bool:
    """Whether an enrollee's last cover has its medical information stopped."""
    (found,) = await stand.enrollees(number)
    return found.enrolment.covers[-1].is_medical_stopped


@pytest.mark.parametrize(
    ("finding", "is_suspended", "is_medical_stopped", "mismatches"),
    [
        (OTHER_BIRTH_DATE, True, False, ("BIRTH_DATE",)),
        (Finding(is_known=True, is_sex_different=True), True, False, ("SEX",)),
        (Finding(is_known=False), True, False, ("NUMBER_UNKNOWN",)),
        (BOTH_NAMES, False, True, ("NAME",)),
        (NAME_AND_ADDRESS, False, True, ("NAME_AND_ADDRESS",)),
        (ONLY_ADDRESS, False, True, ("ADDRESS",)),
        (Finding(is_known=True, is_name_different=True), False, False, ()),
    ],
)
async def test_each_class_of_mismatch_has_its_effect(
    stand: Checked,
    finding: Finding,
    is_suspended: bool,  # noqa: FBT001  a column of the table
    is_medical_stopped: bool,  # noqa: FBT001  same
    mismatches: tuple[str, ...],
) -> None:
    """Scenario 8: class 1 hides the cover, classes 2 and 3 stop medical information alone."""
    stand.register.say = lambda _: finding
    await stand.say(new(individual_number=NUMBERS[0]))
    await stand.check_all()
    is_linked, state, _ = await stand.state()
    told = await stand.told_of()
    assert told is not None
    assert (state is CoverState.SUSPENDED, is_linked) == (is_suspended, not is_suspended)
    assert await medical_stopped(stand) is is_medical_stopped
    assert mismatches == told.mismatches


async def test_todays_rule_suspends_any_mismatch(stand: Checked) -> None:
    """With the classes switched off another address is enough to hide the cover."""
    stand.checker._rules = ResidentRules(are_mismatches_classed=False)
    stand.register.say = lambda _: ONLY_ADDRESS
    await stand.say(new(individual_number=NUMBERS[0]))
    await stand.check_all()
    assert (await stand.state())[:2] == (False, CoverState.SUSPENDED)


async def test_medical_information_is_back_after_a_correction(stand: Checked) -> None:
    """A cover begun meanwhile is stopped too; once the register agrees nothing is."""
    stand.register.say = lambda _: BOTH_NAMES
    await stand.say(new(individual_number=NUMBERS[0]))
    await stand.check_all()
    await stand.say(said("LOSS", loss_date="20250601", loss_reason="99"))
    await stand.say(new(acquisition_date="20250601"))
    assert await medical_stopped(stand)
    stand.register.say = lambda _: SAME
    await stand.check_all()
    (found,) = await stand.enrollees()
    assert [cover.is_medical_stopped for cover in found.enrolment.covers] == [False, False]
    assert (await stand.state())[:2] == (True, CoverState.REGISTERED)


async def test_a_missing_number_is_found_checked_and_linked(stand: Checked) -> None:
    """Five items find the one resident; the number found is checked like a told one."""
    stand.register.find = lambda _: IndividualNumber.parse(NUMBERS[0])
    await stand.say(new("1", **WHOLE), new("2"))
    await stand.check_all()
    told = await stand.told_of()
    assert told is not None
    assert (told.state, told.is_found) == (CheckState.LINKED, True)
    assert (await stand.state())[0]
    assert len(stand.register.searched) == len(stand.register.asked) == 1
    assert await stand.told_of("2") is None


async def test_a_number_not_found_is_looked_for_again_once_items_change(stand: Checked) -> None:
    """The cover stays without number; a change of no item asks nobody, one of an item does."""
    await stand.say(new(**WHOLE))
    await stand.check_all()
    told = await stand.told_of()
    assert told is not None
    assert told.state is CheckState.NOT_FOUND
    await stand.say(said("CHANGE", card_issue_date="20250501"))
    await stand.check_all()
    assert len(stand.register.searched) == 1
    stand.register.find = lambda _: IndividualNumber.parse(NUMBERS[0])
    await stand.say(said("CHANGE", address="見本県架空市2番地"))
    await stand.check_all()
    assert len(stand.register.searched) == 2
    assert (await stand.state())[0]


async def test_a_told_number_goes_before_a_search(stand: Checked) -> None:
    """An insurer that tells the number while it is wanted is believed, and nobody is searched."""
    await stand.say(new(**WHOLE))
    await stand.say(said("NUMBER", individual_number=NUMBERS[0]))
    await stand.check_all()
    told = await stand.told_of()
    assert told is not None
    assert (told.state, told.is_found) == (CheckState.LINKED, False)
    assert not stand.register.searched


async def test_a_found_number_is_suspended_by_another_name(stand: Checked) -> None:
    """Nothing but the five items speaks for a found number, so a name that differs hides it."""
    stand.register.find = lambda _: IndividualNumber.parse(NUMBERS[0])
    await stand.say(new(**WHOLE))
    await stand.check_all()
    stand.register.say = lambda _: NAME_AND_ADDRESS
    assert await recheck(stand) == 1
    await stand.check_all()
    assert (await stand.state())[1] is CoverState.SUSPENDED


@pytest.mark.parametrize("is_by_line", [True, False])
async def test_a_corrected_number_links_the_right_person(
    stand: Checked,
    is_by_line: bool,  # noqa: FBT001  both ways
) -> None:
    """The wrong link is closed at once, the cover hidden, then linked to the right person."""
    await stand.say(new(individual_number=NUMBERS[0]))
    await stand.check_all()
    _, _, wrong = await stand.state()
    if is_by_line:
        await stand.say(said("CORRECT", individual_number=NUMBERS[1]))
    else:
        with pytest.raises(Conflict, match="NUMBER_DIFFERS"):
            await stand.register_number(NUMBERS[1])
        await stand.register_number(NUMBERS[1], is_correction=True)
    is_linked, state, nobody = await stand.state()
    assert (is_linked, state) == (False, CoverState.SUSPENDED)
    await stand.check_all()
    is_linked, state, right = await stand.state()
    assert (is_linked, state) == (True, CoverState.REGISTERED)
    assert len({wrong, nobody, right}) == 3
    (enrollee,) = await stand.enrollees()
    spans = await stand.store.links_of(enrollee.enrolment.enrollee_key)
    assert [span.person_key for span in spans if span.is_numbered] == [wrong, right]
    assert nobody not in {span.person_key for span in spans}


async def test_a_correction_said_twice_changes_nothing(stand: Checked) -> None:
    """The same line again, waiting or linked, is unchanged; nobody is asked twice."""
    await stand.say(new(individual_number=NUMBERS[0]))
    await stand.check_all()
    await stand.say(said("CORRECT", individual_number=NUMBERS[1]))
    await stand.say(said("CORRECT", individual_number=NUMBERS[1]))
    await stand.check_all()
    before = await stand.state()
    await stand.say(said("CORRECT", individual_number=NUMBERS[1]))
    await stand.check_all()
    assert before == await stand.state()
    assert len(stand.register.asked) == 2


async def test_a_correction_the_register_denies_stays_hidden(stand: Checked) -> None:
    """A second wrong number leaves the cover out of sight and linked to nobody."""
    await stand.say(new(individual_number=NUMBERS[0]))
    await stand.check_all()
    stand.register.say = lambda _: OTHER_BIRTH_DATE
    await stand.say(said("CORRECT", individual_number=NUMBERS[1]))
    await stand.check_all()
    assert (await stand.state())[:2] == (False, CoverState.SUSPENDED)


async def test_recheck_asks_about_each_linked_number_once(stand: Checked) -> None:
    """Page by page all wait, asked again no more do; who has no number is left out."""
    await stand.say(
        new("1", individual_number=NUMBERS[0]), new("2", individual_number=NUMBERS[1]), new("3")
    )
    await stand.check_all()
    assert await recheck(stand) == 2
    batches = len(stand.store.batches)
    assert await recheck(stand) == 2
    assert len(await stand.store.checks_received(9)) == 2
    assert len(stand.store.batches) <= batches + 2
    assert (await stand.state("1"))[:2] == (True, CoverState.REGISTERED)
    await stand.check_all()
    assert len(stand.register.asked) == 4


async def test_recheck_needs_a_register(stand: Checked) -> None:
    """Without one nothing would ever answer, which is a refusal."""
    unchecked = replace(oversight(stand), desk=stand.unchecked_desk())
    with pytest.raises(Conflict, match="NUMBERS_NOT_CHECKED"):
        await unchecked.recheck("again", EnrolleeKey(b""), 10, caller())
    with pytest.raises(InvalidInput, match="REQUEST_ID_WRONG"):
        await oversight(stand).recheck("", EnrolleeKey(b""), 10, caller())


def twins(asked: Asked) -> Finding:
    """A register that knows 'A' by the first number and 'B' by the second; twins."""
    right = {NUMBERS[0]: "架空　甲", NUMBERS[1]: "架空　乙"}
    is_other = right.get(asked.number.reveal()) != asked.items.name
    return Finding(is_known=True, is_name_different=is_other, is_name_kana_different=is_other)


async def test_swapped_numbers_of_twins_are_noticed(stand: Checked) -> None:
    """Both are suspended and told to be swapped; corrected, both link to themselves."""
    stand.register.say = twins
    await stand.say(
        new("1", name="架空　甲", individual_number=NUMBERS[1]),
        new("2", name="架空　乙", individual_number=NUMBERS[0]),
    )
    await stand.check_all()
    for number in ("1", "2"):
        told = await stand.told_of(number)
        assert told is not None
        assert told.mismatches == ("NAME", "SWAPPED")
        assert (await stand.state(number))[1] is CoverState.SUSPENDED
    await stand.say(
        said("CORRECT", "1", individual_number=NUMBERS[0]),
        said("CORRECT", "2", individual_number=NUMBERS[1]),
    )
    await stand.check_all()
    for number in ("1", "2"):
        assert (await stand.state(number))[:2] == (True, CoverState.REGISTERED)
        assert not await medical_stopped(stand, number)


async def test_swapped_numbers_of_unrelated_people_are_noticed(stand: Checked) -> None:
    """Other birth dates make both of class 1; crosswise the register agrees."""
    born = {NUMBERS[0]: "19840229", NUMBERS[1]: "20200401"}

    def say(asked: Asked) -> Finding:
        is_right = parse_day(born[asked.number.reveal()]) == asked.items.birth_date
        return Finding(is_known=True, is_birth_date_different=not is_right)

    stand.register.say = say
    await stand.say(new("1", individual_number=NUMBERS[1]))
    await stand.check_all()
    await stand.say(new("2", birth_date="20200401", individual_number=NUMBERS[0]))
    await stand.check_all()
    for number in ("1", "2"):
        told = await stand.told_of(number)
        assert told is not None
        assert told.mismatches == ("BIRTH_DATE", "SWAPPED")


async def test_two_wrong_numbers_are_not_taken_for_swapped(stand: Checked) -> None:
    """Mismatches that do not fit crosswise stay what they are."""
    stand.register.say = lambda _: BOTH_NAMES
    await stand.say(new("1", individual_number=NUMBERS[1]), new("2", individual_number=NUMBERS[0]))
    await stand.check_all()
    told = [await stand.told_of(number) for number in ("1", "2")]
    assert [one.mismatches for one in told if one] == [("NAME",), ("NAME",)]


async def looked_through(stand: Checked, trail: NoTrail, looks_max: int = 10) -> LooksPage:
    """Ask who looked through the first enrollee's links."""
    target = Target(
        InsuredId.parse(INSURER.zero_padded, "記号", "1", "01"), parse_day(who()["birth_date"])
    )
    return await oversight(stand, trail).looks_through(target, FROM_THE_NEWEST, looks_max, caller())


async def test_looks_are_asked_for_while_a_link_held_and_could_be_seen(stand: Checked) -> None:
    """The wrong person is asked about up to the correction, the right one from the link on."""
    await stand.say(new(individual_number=NUMBERS[0]))
    await stand.check_all()
    _, _, wrong = await stand.state()
    await stand.say(said("CORRECT", individual_number=NUMBERS[1]))
    corrected = await stand.store.last_recorded_time()
    await stand.check_all()
    _, _, right = await stand.state()
    trail = NoTrail()
    await looked_through(stand, trail)
    spans, before, but_of, _ = trail.asked[0]
    assert isinstance(spans, list)
    ends = {person: end for person, _, end in spans}
    assert ends[wrong] == corrected
    assert ends[right] > corrected
    assert (before, but_of) == (FROM_THE_NEWEST, ("insurer", INSURER.zero_padded))
    record = stand.accesses.records[-1]
    assert (record.purpose, record.outcome, record.detail) == ("OQS-LNK-01", "ANSWERED", "0")
    assert {wrong, right} <= set(record.people)


async def test_looks_come_in_pages(stand: Checked) -> None:
    """A full page names its end; the last does not. Each look says whether a link held then."""
    await stand.say(new(individual_number=NUMBERS[0]))
    await stand.check_all()
    looks = [
        Look(f"life-{place}", Instant(NOW + 10 - place), "institution", "1", "", "", "", "", "1")
        for place in (1, 2, 3)
    ]
    page = await looked_through(stand, NoTrail(looks), 2)
    assert [look.record_id for look, _ in page.looks] == ["life-1", "life-2"]
    assert page.last == (Instant(NOW + 8), "life-2")
    assert all(is_linked for _, is_linked in page.looks)
    assert (await looked_through(stand, NoTrail(looks), 3)).last is None


async def test_another_insurers_enrollee_is_nobodys_business(stand: Checked) -> None:
    """An insurer may ask about its own enrollees alone."""
    await stand.say(new(individual_number=NUMBERS[0]))
    target = Target(
        InsuredId.parse(INSURER.zero_padded, "記号", "1", "01"), parse_day(who()["birth_date"])
    )
    trail = NoTrail()
    with pytest.raises(Exception, match="INSURER_NOT_CALLER"):
        await oversight(stand, trail).looks_through(
            target, FROM_THE_NEWEST, 10, caller(OTHER_INSURER)
        )
    assert not trail.asked
    assert stand.accesses.records[-1].outcome == "DENIED"

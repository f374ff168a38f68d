"""Each row of the table of docs/numbers.md, reached by the road itself, then asked both ways."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from datetime import date
from pathlib import Path

import pytest

from gateway.domain.card import CardKey
from gateway.domain.eligibility import ByCard, ByNumber, Rules, confirm
from gateway.domain.identifiers import EnrolleeKey, InsuredId, PersonKey
from gateway.domain.individual_number import IndividualNumber
from gateway.domain.period import parse_day
from gateway.domain.registration import RegistrationState, registration_state
from gateway.domain.residents import Finding
from gateway.store.port import Batch, CheckState, NewCard
from gateway.usecases.number_oversight import NumberOversight
from tests.usecases.checking import OTHER_BIRTH_DATE, SAME, Checked
from tests.usecases.registration import INSURER, NUMBERS, caller, new, said, who
from tests.usecases.trails import NoTrail

ON = date(2025, 9, 1)
PAGE = Path(__file__).parents[2] / "docs" / "numbers.md"
ROW = re.compile(r"^\| `([A-Z_]+)` \| ([^|]+) \| (\d) \| (\d) \|$", re.MULTILINE)
CARD = CardKey(b"card------------")
WHOLE = {"name_kana": "カクウ　タロウ", "address": "見本県架空市1番地"}
TOLD = new(individual_number=NUMBERS[0])
LOSS = said("LOSS", loss_date="20250801", loss_reason="99")


async def untold(stand: Checked) -> None:
    """A cover and no more."""
    await stand.say(new())


async def searched(stand: Checked) -> None:
    """The register was asked by the five items and knows nobody."""
    await stand.say(new(**WHOLE))
    assert await told_state(stand) is CheckState.WANTED
    await asked_both_ways(stand, (1, 4))
    await stand.check_all()
    assert await told_state(stand) is CheckState.NOT_FOUND


async def checking(stand: Checked) -> None:
    """Told, and the register has not answered."""
    await stand.say(TOLD)


async def disagreeing(stand: Checked) -> None:
    """Told, and another person's."""
    stand.register.say = lambda _: OTHER_BIRTH_DATE
    await stand.say(TOLD)
    await stand.check_all()


async def linked(stand: Checked) -> None:
    """Told, and right."""
    await stand.say(TOLD)
    await stand.check_all()


async def rechecked(stand: Checked) -> None:
    """Linked, and asked about again."""
    await linked(stand)
    oversight = NumberOversight(stand.store, stand.desk, stand.door, NoTrail())
    await oversight.recheck("again", EnrolleeKey(b""), 10, caller())
    assert await told_state(stand) is CheckState.RECEIVED


async def found_wrong(stand: Checked) -> None:
    """Linked, and found to be another person's."""
    await rechecked(stand)
    stand.register.say = lambda _: OTHER_BIRTH_DATE
    await stand.check_all()


async def being_corrected(stand: Checked) -> None:
    """Linked to another person's number, and told that it was wrong."""
    await stand.say(new(individual_number=NUMBERS[1]))
    await stand.check_all()
    await stand.say(said("CORRECT", individual_number=NUMBERS[0]))


async def medical_stopped(stand: Checked) -> None:
    """Linked under another name."""
    other = Finding(is_known=True, is_name_different=True, is_name_kana_different=True)
    stand.register.say = lambda _: other
    await linked(stand)


async def lost(stand: Checked) -> None:
    """Linked, then lost."""
    await linked(stand)
    await stand.say(LOSS)


async def lost_untold(stand: Checked) -> None:
    """Lost before anybody told the number."""
    await stand.say(new(), LOSS)


async def cancelled(stand: Checked) -> None:
    """Linked, then taken back."""
    await linked(stand)
    await stand.say(said("CANCEL"))


ROWS: dict[tuple[str, str], tuple[Callable[[Checked], Awaitable[None]], int, int]] = {
    ("REGISTERED_NO_NUMBER", "no number was told"): (untold, 1, 4),
    ("REGISTERED_NO_NUMBER", "the register is asked for it, or does not know it"): (
        searched,
        1,
        4,
    ),
    ("CHECKING", "a number is safe and not checked"): (checking, 1, 4),
    ("SUSPENDED", "the register disagrees with the number (class 1, 閲覧停止)"): (
        disagreeing,
        4,
        4,
    ),
    ("SUSPENDED", "linked, and the register disagrees since a later check"): (found_wrong, 4, 4),
    ("SUSPENDED", "a wrong number is being corrected"): (being_corrected, 4, 4),
    ("MEDICAL_STOPPED", "linked; the register disagrees about a name or an address"): (
        medical_stopped,
        1,
        1,
    ),
    ("ACTIVE", "linked"): (linked, 1, 1),
    ("ACTIVE", "linked, and being checked again"): (rechecked, 1, 1),
    ("LOST", "linked; the loss date has come"): (lost, 2, 2),
    ("LOST", "not linked; the loss date has come"): (lost_untold, 2, 4),
    ("CANCELLED", "taken back: it never existed"): (cancelled, 4, 4),
}


async def told_state(stand: Checked) -> CheckState | None:
    """How far the enrollee's number is."""
    told = await stand.told_of()
    return None if told is None else told.state


async def asked_both_ways(stand: Checked, expected: tuple[int, int]) -> None:
    """By the card's numbers, and by the registered card of whom the first number is."""
    person_key = await stand.vault.person_of(
        IndividualNumber.parse(NUMBERS[0]), PersonKey(b"nobody----------")
    )
    async with stand.desk.turn() as now:
        await stand.store.commit(Batch(now, cards=[NewCard(CARD, person_key)]))
    insured, born = InsuredId.parse(INSURER.zero_padded, "記号", "1", "01"), who()["birth_date"]
    by_number = ByNumber.of(insured, parse_day(born), ON)
    matching = await stand.store.matching(insured.lookup_key, parse_day(born), 9)
    holder = await stand.store.by_card(CARD)
    assert holder is not None
    held = [] if holder.history is None else [holder.history]
    answers = (
        confirm(matching, by_number, Rules()),
        confirm(held, ByCard(holder.person_key, ON), Rules()),
    )
    assert tuple(answer.validity.value for answer in answers) == expected


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row[0]}, {row[1]}")
async def test_each_row_of_the_page(row: tuple[str, str]) -> None:
    """What the insurer and the register said gives the state, and the two answers."""
    stand = Checked()
    stand.register.say = lambda _: SAME
    reach, *expected = ROWS[row]
    await reach(stand)
    (found,) = await stand.enrollees()
    is_waiting = await told_state(stand) is CheckState.RECEIVED
    state = registration_state(found.enrolment, ON, is_number_waiting=is_waiting)
    assert state is RegistrationState[row[0]]
    await asked_both_ways(stand, (expected[0], expected[1]))


def test_the_page_has_these_rows_and_no_others() -> None:
    """Every row of docs/numbers.md is played here, with the answers it tells."""
    told = [
        (state, text, int(number), int(card))
        for state, text, number, card in ROW.findall(PAGE.read_text("utf-8"))
    ]
    played = [(*row, number, card) for row, (_, number, card) in ROWS.items()]
    assert told == played

"""Birthdays, deaths, continued cover: what is answered once registered, and while not."""

from __future__ import annotations

from datetime import date

import pytest

from gateway.domain.compact import compact
from gateway.domain.eligibility import ByCard, ByNumber, Confirmation, Rules, Validity, confirm
from gateway.domain.identifiers import InsuredId, InsurerNumber
from gateway.domain.overlap import overlapping_insurers
from gateway.edges.rpc.convert import sheet
from tests.usecases.registration import INSURER, NUMBERS, Stand, a_file, new, said

ELDERLY = InsurerNumber("39130000")
BORN = "19500715"
BIRTHDAY = date(2025, 7, 15)
EVE = date(2025, 7, 14)
VALID, INVALID, NEWER = Validity.VALID, Validity.INVALID, Validity.INVALID_NEWER_COVER


@pytest.fixture
def stand() -> Stand:
    """A writer in memory that spells answers."""
    made = Stand()
    made.store._render = sheet
    return made


async def by_number(
    stand: Stand, on: date, number: str = "1", insurer: InsurerNumber = INSURER
) -> Confirmation:
    """Ask with what a card of the insurer shows."""
    symbol = "" if insurer == ELDERLY else "記号"
    query = ByNumber.of(InsuredId(insurer, symbol, number, None), date(1950, 7, 15), on)
    return confirm(
        await stand.store.matching(query.lookup_key, query.birth_date, 9), query, Rules()
    )


async def by_card(stand: Stand, on: date) -> Confirmation:
    """Ask with the My Number card of the person of insurer and number 1."""
    person = (await by_number(stand, on)).people[0]
    history = await stand.store.history_of(person)
    assert history is not None
    return confirm([compact(history, sheet)], ByCard(person, on), Rules())


def turned_75() -> list[str]:
    """The line of the insurer of the latter-stage elderly."""
    return [
        new(
            "88",
            insurer_number=ELDERLY.zero_padded,
            symbol="",
            branch="",
            birth_date=BORN,
            acquisition_date="20250715",
            individual_number=NUMBERS[0],
        )
    ]


async def test_cover_changes_hands_on_the_75th_birthday(stand: Stand) -> None:
    """Scenario 14: the earlier cover holds to the eve, the other from the birthday on."""
    await stand.upload(a_file(new(birth_date=BORN, individual_number=NUMBERS[0])))
    await stand.upload(a_file(*turned_75()), "elderly", ELDERLY)
    loss = said("LOSS", birth_date=BORN, loss_date="20250715", loss_reason="03")
    await stand.upload(a_file(loss), "loss")
    assert (await by_number(stand, EVE)).validity is VALID
    assert (await by_number(stand, BIRTHDAY)).validity is NEWER
    assert (await by_number(stand, BIRTHDAY, "88", ELDERLY)).validity is VALID
    cards = [(await by_card(stand, on)).shown[0].cover.lookup_key for on in (EVE, BIRTHDAY)]
    assert cards == [
        InsuredId(INSURER, "記号", "1", None).lookup_key,
        InsuredId(ELDERLY, "", "88", None).lookup_key,
    ]


async def test_a_75th_birthday_nobody_registered_ends_nothing(stand: Stand) -> None:
    """The earlier number stays valid until its insurer says so; the card shows the newer cover."""
    await stand.upload(a_file(new(birth_date=BORN, individual_number=NUMBERS[0])))
    assert (await by_number(stand, BIRTHDAY)).validity is VALID
    await stand.upload(a_file(*turned_75()), "elderly", ELDERLY)
    assert (await by_number(stand, BIRTHDAY)).validity is VALID
    (shown,) = (await by_card(stand, BIRTHDAY)).shown
    assert shown.cover.lookup_key == InsuredId(ELDERLY, "", "88", None).lookup_key
    person = shown.person_key
    enrolled = [
        (stand.store._insurers[one.enrollee_key], one)
        for one in stand.store.projections[person].enrolments
    ]
    assert overlapping_insurers(enrolled) == {INSURER, ELDERLY}


async def test_a_death_is_a_loss_with_its_reason(stand: Stand) -> None:
    """Invalid from the loss date, by number and by card, and valid the day before."""
    await stand.upload(a_file(new(birth_date=BORN, individual_number=NUMBERS[0])))
    loss = said("LOSS", birth_date=BORN, loss_date="20250715", loss_reason="01")
    await stand.upload(a_file(loss), "death")
    assert (await by_number(stand, EVE)).validity is VALID
    for answer in (await by_number(stand, BIRTHDAY), await by_card(stand, BIRTHDAY)):
        assert answer.validity is INVALID
        assert b"01" in answer.shown[0].cover.sheet


async def test_continued_cover_is_a_cover_of_its_own_and_ends_when_said(stand: Stand) -> None:
    """任意継続: the earlier number reads 3, nobody sees the flag, two years end nothing."""
    continued = new(
        "901",
        birth_date=BORN,
        acquisition_date="20250715",
        is_voluntary_continuation="1",
        individual_number=NUMBERS[0],
    )
    loss = said("LOSS", birth_date=BORN, loss_date="20250715", loss_reason="99")
    first = new(birth_date=BORN, individual_number=NUMBERS[0])
    await stand.upload(a_file(first, loss, continued))
    assert (await by_number(stand, EVE)).validity is VALID
    assert (await by_number(stand, BIRTHDAY)).validity is NEWER
    flagged = await by_number(stand, BIRTHDAY, "901")
    plain = said("CHANGE", "901", birth_date=BORN, is_voluntary_continuation="0")
    await stand.upload(a_file(plain), "plain")
    unflagged = await by_number(stand, BIRTHDAY, "901")
    assert flagged.shown[0].cover.sheet == unflagged.shown[0].cover.sheet
    assert (await by_number(stand, date(2027, 7, 15), "901")).validity is VALID
    ended = said("LOSS", "901", birth_date=BORN, loss_date="20270715", loss_reason="99")
    await stand.upload(a_file(ended), "ended")
    assert (await by_number(stand, date(2027, 7, 14), "901")).validity is VALID
    assert (await by_number(stand, date(2027, 7, 15), "901")).validity is INVALID


async def test_an_elderly_certificate_answers_by_its_days(stand: Stand) -> None:
    """Scenarios 14 and 15: from 70, and from each 1 August, the ratio of that day's certificate."""
    await stand.upload(a_file(new(birth_date=BORN)))
    for first, last, ratio in (("20250501", "20250731", "20"), ("20250801", "", "30")):
        line = said(
            "CHANGE",
            birth_date=BORN,
            elderly_first_valid_date=first,
            elderly_last_valid_date=last,
            elderly_copayment_ratio=ratio,
        )
        await stand.upload(a_file(line), first)
    ratios = []
    for on in (date(2025, 4, 30), date(2025, 5, 1), date(2025, 7, 31), date(2025, 8, 1)):
        elderly = (await by_number(stand, on)).shown[0].elderly
        ratios.append(None if elderly is None else elderly.copayment_ratio)
    assert ratios == [None, 20, 20, 30]


async def test_preschool_ends_by_a_change_whatever_day_is_asked(stand: Stand) -> None:
    """The class and the ratio are not dated: a later answer about May has them too."""
    await stand.upload(a_file(new(birth_date=BORN, is_preschool="1", copayment_ratio="20")))
    before = (await by_number(stand, date(2025, 5, 1))).shown[0].cover.sheet
    line = said("CHANGE", birth_date=BORN, is_preschool="0", copayment_ratio="30")
    await stand.upload(a_file(line), "school")
    may = (await by_number(stand, date(2025, 5, 1))).shown[0].cover.sheet
    june = (await by_number(stand, date(2025, 6, 1))).shown[0].cover.sheet
    assert before != may == june

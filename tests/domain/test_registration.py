"""The states of a registration, and what a clinic is told in each: the table of docs/numbers.md."""

from __future__ import annotations

import re
from datetime import date
from pathlib import Path

import pytest
from msgspec import structs

from gateway.domain.compact import compact
from gateway.domain.coverage import Coverage, CoverState, Enrolment, History
from gateway.domain.eligibility import ByCard, ByNumber, Rules, confirm
from gateway.domain.period import Period
from gateway.domain.registration import RegistrationState, registration_state
from gateway.store.records import encode_coverage
from tests.store.batches import cover, enrollee, person

ON = date(2026, 4, 15)
HOLDING = structs.replace(cover(), period=Period(date(2025, 4, 1)))
LOST = structs.replace(cover(), period=Period(date(2025, 4, 1), date(2026, 4, 1)))
PAGE = Path(__file__).parents[2] / "docs" / "numbers.md"

CASES = [
    (RegistrationState.REGISTERED_NO_NUMBER, HOLDING, False, False, 1, 4),
    (RegistrationState.CHECKING, HOLDING, False, True, 1, 4),
    (
        RegistrationState.SUSPENDED,
        structs.replace(HOLDING, state=CoverState.SUSPENDED),
        True,
        False,
        4,
        4,
    ),
    (
        RegistrationState.MEDICAL_STOPPED,
        structs.replace(HOLDING, is_medical_stopped=True),
        True,
        False,
        1,
        1,
    ),
    (RegistrationState.ACTIVE, HOLDING, True, False, 1, 1),
    (RegistrationState.LOST, LOST, True, False, 2, 2),
    (RegistrationState.LOST, LOST, False, False, 2, 4),
    (
        RegistrationState.CANCELLED,
        structs.replace(HOLDING, state=CoverState.CANCELLED),
        True,
        False,
        4,
        4,
    ),
]
"""State, cover, whether it is linked, whether a number waits, the answers by number and card."""


@pytest.mark.parametrize(
    ("state", "only", "is_numbered", "is_waiting", "by_number", "by_card"),
    CASES,
    ids=[f"{case[0].value}{'' if case[2] else ', not linked'}" for case in CASES],
)
def test_each_state_and_what_a_clinic_sees(
    state: RegistrationState,
    only: Coverage,
    is_numbered: bool,  # noqa: FBT001  columns of the table
    is_waiting: bool,  # noqa: FBT001  same
    by_number: int,
    by_card: int,
) -> None:
    """The facts give the state, and the one decision function the two answers."""
    enrolment = Enrolment(enrollee(1), is_numbered, (only,))
    assert state is registration_state(enrolment, ON, is_number_waiting=is_waiting)
    known = compact(History(person(1), 1, (enrolment,)), encode_coverage)
    asked = ByNumber.of(only.insured_id, only.birth_date, ON)
    answers = [confirm([known], query, Rules()) for query in (asked, ByCard(person(1), ON))]
    assert [by_number, by_card] == [answer.validity.value for answer in answers]
    assert all(
        shown.cover.is_medical_stopped is only.is_medical_stopped
        for answer in answers
        for shown in answer.shown
    )


def test_every_state_is_in_the_table_and_the_page() -> None:
    """docs/numbers.md gives the same answers for the same states."""
    assert {case[0] for case in CASES} == set(RegistrationState)
    rows = re.findall(
        r"^\| `([A-Z_]+)` \|[^|]*\| (\d)[^|]*\| (\d)", PAGE.read_text("utf-8"), re.MULTILINE
    )
    expected = {(state.value, str(number), str(card)) for state, *_, number, card in CASES}
    assert expected == set(rows)


def test_a_correction_hides_a_lost_cover_too() -> None:
    """A suspended cover is suspended whether it was lost or not."""
    hidden = structs.replace(LOST, state=CoverState.SUSPENDED)
    enrolment = Enrolment(enrollee(1), is_numbered=True, covers=(hidden,))
    state = registration_state(enrolment, ON, is_number_waiting=True)
    assert state is RegistrationState.SUSPENDED

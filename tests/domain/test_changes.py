"""What an insurer's changes do to the covers of one enrollee, and what they can never do."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from itertools import combinations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.changes import (
    CancelCover,
    Change,
    ChangeItems,
    CorrectCover,
    LinkNumber,
    LoseCover,
    NewCover,
    Target,
    apply,
)
from gateway.domain.coverage import (
    Coverage,
    CoverState,
    ElderlyCertificate,
    LossReason,
    MedicalTicket,
    Sex,
)
from gateway.domain.errors import Conflict, InvalidInput, Refusal
from gateway.domain.individual_number import IndividualNumber, individual_check_digit
from gateway.domain.period import Instant, Period, days_after
from loadtests.store_draws import changes_of, new_items, small_days, small_insured_ids
from tests.domain.covers import BORN, NOW, cover, insured

LATER = Instant(NOW + 1)
APRIL, JULY, OCTOBER = date(2025, 4, 1), date(2025, 7, 1), date(2025, 10, 1)
ITEMS: dict[str, Any] = {"name": "見本　甲", "insurer_name": "見本保険者", "sex": Sex.FEMALE}
NUMBER = IndividualNumber("12345678901" + individual_check_digit("12345678901"))


def at(acquisition_date: date | None = None) -> Target:
    """The enrollee's cover of that day; without one, its only cover."""
    return Target(insured(), BORN, acquisition_date)


def elderly(start: date, ratio: int) -> ElderlyCertificate:
    """An open elderly certificate."""
    return ElderlyCertificate(Period(start), ratio)


def ticket(number: str) -> MedicalTicket:
    """A ticket of April."""
    return MedicalTicket("202504", "01", number, Period(APRIL))


def told(*changes: Change, at_first: Sequence[Coverage] = ()) -> tuple[Coverage, ...]:
    """Apply changes in turn, each a microsecond after the one before."""
    covers = tuple(at_first)
    for place, change in enumerate(changes):
        covers = apply(covers, change, Instant(NOW + place))
    return covers


OPEN = told(NewCover(at(APRIL), ITEMS))
LOST = told(LoseCover(at(), JULY, LossReason.OTHER_INSURANCE), at_first=OPEN)
TWICE = told(NewCover(at(OCTOBER), ITEMS), at_first=LOST)
CANCELLED = told(CancelCover(at()), at_first=OPEN)


def test_new_cover_begins_open_and_registered() -> None:
    """NEW gives cover number 1 in version 1, from its acquisition date on."""
    assert (cover(APRIL),) == OPEN


def test_new_cover_after_a_loss_is_counted_on() -> None:
    """An enrollee who comes back under the same numbers has a second cover."""
    assert [(1, Period(APRIL, JULY)), (2, Period(OCTOBER))] == [
        (one.cover_no, one.period) for one in TWICE
    ]


def test_new_cover_may_begin_on_the_loss_date() -> None:
    """Half-open periods meet without overlapping."""
    assert Period(JULY) == told(NewCover(at(JULY), ITEMS), at_first=LOST)[1].period


def test_new_cover_again_with_the_same_items_changes_nothing() -> None:
    """A line sent twice is one cover, even after its loss is known."""
    expected = LOST
    assert expected == told(NewCover(at(APRIL), ITEMS), at_first=LOST)


def test_new_cover_after_a_cancelled_one_is_another() -> None:
    """What was taken back stays so; the day is free again."""
    expected = (*CANCELLED, cover(APRIL, cover_no=2))
    assert expected == told(NewCover(at(APRIL), ITEMS), at_first=CANCELLED)


def test_change_gives_items_a_new_version() -> None:
    """CHANGE keeps the period and says when the new name was learned."""
    expected = cover(APRIL, name="見本　乙", version_no=2, recorded_time=LATER)
    assert (expected,) == apply(OPEN, ChangeItems(at(), {"name": "見本　乙"}), LATER)


def test_change_merges_certificates_by_their_first_day() -> None:
    """A certificate replaces the one that began on its day and joins the others."""
    given_before = told(
        ChangeItems(at(), {"elderly": (elderly(JULY, 20), elderly(APRIL, 20))}), at_first=OPEN
    )
    after = told(ChangeItems(at(), {"elderly": (elderly(JULY, 30),)}), at_first=given_before)
    assert (elderly(APRIL, 20), elderly(JULY, 30)) == after[0].elderly


def test_tickets_of_one_day_are_told_apart_by_their_number() -> None:
    """Two institutions may have tickets that begin on one day."""
    after = told(
        ChangeItems(at(), {"tickets": (ticket("2"),)}),
        ChangeItems(at(), {"tickets": (ticket("1"),)}),
        at_first=OPEN,
    )
    assert (ticket("1"), ticket("2")) == after[0].tickets


def test_loss_ends_the_cover() -> None:
    """LOSS sets the first day without cover, and why."""
    assert (Period(APRIL, JULY), LossReason.OTHER_INSURANCE, 2) == (
        LOST[0].period,
        LOST[0].loss_reason,
        LOST[0].version_no,
    )


def test_loss_on_the_acquisition_date_leaves_no_day() -> None:
    """Acquired and lost on one day is a cover, and holds on no day."""
    assert told(LoseCover(at(), APRIL, LossReason.OTHER), at_first=OPEN)[0].period.is_empty


def test_correction_moves_both_days() -> None:
    """CORRECT may change acquisition and loss, which nothing else may."""
    change = CorrectCover(at(APRIL), {}, days_after(APRIL, 1), days_after(JULY, 1))
    assert (
        Period(days_after(APRIL, 1), days_after(JULY, 1)) == told(change, at_first=LOST)[0].period
    )


def test_correction_withdraws_a_loss() -> None:
    """A loss that never happened goes, with its reason."""
    after = told(CorrectCover(at(APRIL), {}, is_loss_withdrawn=True), at_first=LOST)[0]
    assert (Period(APRIL), None) == (after.period, after.loss_reason)


def test_correction_changes_identifiers() -> None:
    """A branch that was wrong is put right."""
    right = insured(branch="02")
    assert right == told(CorrectCover(at(), {"insured_id": right}), at_first=OPEN)[0].insured_id


def test_cancellation_keeps_the_facts_and_hides_them() -> None:
    """CANCEL changes the state and nothing else."""
    assert (cover(APRIL, state=CoverState.CANCELLED, version_no=2),) == CANCELLED


def test_cancellation_means_the_living_cover() -> None:
    """With a cancelled cover of the same day before it, CANCEL takes back the one that lives."""
    again = told(NewCover(at(APRIL), ITEMS), at_first=CANCELLED)
    for target in (at(APRIL), at()):
        after = told(CancelCover(target), at_first=again)
        assert all(one.state is CoverState.CANCELLED for one in after)


def test_cancellation_finds_a_living_cover_that_was_moved_onto_a_cancelled_day() -> None:
    """The cover corrected to the day of a later, cancelled one is still the one that is meant."""
    moved = told(
        CancelCover(at(OCTOBER)), CorrectCover(at(APRIL), {}, OCTOBER, None, True), at_first=TWICE
    )
    after = told(CancelCover(at(OCTOBER)), at_first=moved)
    assert all(one.state is CoverState.CANCELLED for one in after)


def test_link_leaves_the_covers() -> None:
    """NUMBER concerns the person, not the covers."""
    expected = OPEN
    assert expected == told(LinkNumber(at(APRIL), NUMBER), at_first=OPEN)


def test_link_is_possible_after_every_cover_was_cancelled() -> None:
    """The enrollee is known even if nothing is visible."""
    expected = CANCELLED
    assert expected == told(LinkNumber(at(), NUMBER), at_first=CANCELLED)


NAME = {"name": "見本　乙"}
MARCH, AUGUST = date(2025, 3, 1), date(2025, 8, 1)
OTHER, DEATH = LossReason.OTHER, LossReason.DEATH
WITH_EMPTY = told(LoseCover(at(OCTOBER), OCTOBER, OTHER), at_first=TWICE)


@pytest.mark.parametrize(
    ("before", "change", "reason"),
    [
        # A cover begins
        ((), NewCover(at(), ITEMS), "FIELD_REQUIRED"),
        (OPEN, NewCover(at(APRIL), ITEMS | NAME), "COVERAGE_EXISTS"),
        (OPEN, NewCover(at(JULY), ITEMS), "COVERAGE_OVERLAPS"),
        (OPEN, NewCover(at(MARCH), ITEMS), "COVERAGE_OVERLAPS"),
        # Items change
        ((), ChangeItems(at(), NAME), "COVERAGE_UNKNOWN"),
        (OPEN, ChangeItems(at(JULY), NAME), "COVERAGE_UNKNOWN"),
        (CANCELLED, ChangeItems(at(), NAME), "COVERAGE_UNKNOWN"),
        (TWICE, ChangeItems(at(), NAME), "COVERAGE_AMBIGUOUS"),
        (OPEN, ChangeItems(at(), {}), "NOTHING_TO_CHANGE"),
        # A cover ends
        (OPEN, LoseCover(at(), MARCH, OTHER), "LOSS_BEFORE_ACQUISITION"),
        (LOST, LoseCover(at(), OCTOBER, LossReason.OTHER_INSURANCE), "ALREADY_LOST"),
        (LOST, LoseCover(at(), JULY, DEATH), "ALREADY_LOST"),
        (CANCELLED, LoseCover(at(), JULY, OTHER), "COVERAGE_UNKNOWN"),
        # What was registered was wrong
        (OPEN, CorrectCover(at(), {}), "NOTHING_TO_CHANGE"),
        (OPEN, CorrectCover(at(), {}, None, MARCH), "LOSS_BEFORE_ACQUISITION"),
        (CANCELLED, CorrectCover(at(APRIL), NAME), "COVERAGE_UNKNOWN"),
        (TWICE, CorrectCover(at(APRIL), {}, None, date(2025, 10, 2)), "COVERAGE_OVERLAPS"),
        (TWICE, CorrectCover(at(APRIL), {}, is_loss_withdrawn=True), "COVERAGE_OVERLAPS"),
        (WITH_EMPTY, CorrectCover(at(APRIL), {}, OCTOBER, date(2025, 12, 1)), "COVERAGE_EXISTS"),
        (TWICE, CorrectCover(at(AUGUST), NAME, OCTOBER), "COVERAGE_UNKNOWN"),
        # The cover never existed; the number became known
        ((), CancelCover(at()), "COVERAGE_UNKNOWN"),
        (TWICE, CancelCover(at()), "COVERAGE_AMBIGUOUS"),
        ((), LinkNumber(at(), NUMBER), "COVERAGE_UNKNOWN"),
        (OPEN, LinkNumber(at(JULY), NUMBER), "COVERAGE_UNKNOWN"),
    ],
)
def test_change_is_refused_with_its_reason(
    before: Sequence[Coverage], change: Change, reason: str
) -> None:
    """A change that contradicts what is known says how."""
    with pytest.raises((Conflict, InvalidInput)) as caught:
        apply(before, change, LATER)
    assert reason == caught.value.reason


small_targets = st.builds(Target, st.just(insured()), st.just(BORN), st.none() | small_days)
moves = st.builds(
    CorrectCover,
    small_targets,
    st.builds(dict) | small_insured_ids.map(lambda insured_id: {"insured_id": insured_id}),
    st.none() | small_days,
    st.none() | small_days,
    st.booleans(),
)
changes = st.one_of(
    st.builds(
        NewCover,
        st.builds(Target, st.just(insured()), st.just(BORN), small_days),
        new_items,
    ),
    changes_of(small_targets),
    moves,
)
"""Changes of one enrollee on few days, so that they meet each other."""


Step = tuple[Change, tuple[Coverage, ...], tuple[Coverage, ...]]
"""A change that was applied, and the covers before and after it."""


def followed(
    said: Sequence[Change],
) -> list[Step]:
    """Apply changes in turn, passing over the refused; give each with the covers around it."""
    steps = []
    covers: tuple[Coverage, ...] = ()
    for place, change in enumerate(said):
        try:
            after = apply(covers, change, Instant(NOW + place))
        except Refusal:
            continue
        steps.append((change, covers, after))
        covers = after
    return steps


histories = st.lists(changes, min_size=1, max_size=12).map(followed)


@given(histories)
def test_the_same_change_again_changes_nothing(
    steps: list[Step],
) -> None:
    """Whatever came before, a change that was applied is unchanged when it comes again at once."""
    for change, _, after in steps:
        assert after == apply(after, change, Instant(NOW + 1_000))


@given(histories)
def test_covers_of_an_enrollee_never_overlap(
    steps: list[Step],
) -> None:
    """No day is covered twice, and no two living covers begin on one day."""
    for _, _, after in steps:
        living = [one for one in after if one.state is not CoverState.CANCELLED]
        assert not any(one.period.overlaps(other.period) for one, other in combinations(living, 2))
        assert len(living) == len({one.period.start for one in living})


@given(histories)
def test_versions_count_up_by_one(
    steps: list[Step],
) -> None:
    """A step changes one cover at most, whose version goes up by one; no cover is ever dropped."""
    for _, before, after in steps:
        versions = {one.cover_no: one.version_no for one in before}
        changed = [one for one in after if one not in before]
        assert list(range(1, len(after) + 1)) == [one.cover_no for one in after]
        assert len(changed) <= 1
        assert all(one.version_no == versions.get(one.cover_no, 0) + 1 for one in changed)


@given(histories)
def test_cancelled_covers_never_come_back(
    steps: list[Step],
) -> None:
    """What was taken back is never changed again."""
    for _, before, after in steps:
        assert all(one in after for one in before if one.state is CoverState.CANCELLED)

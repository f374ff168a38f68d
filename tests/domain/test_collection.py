"""Where cards and qualification certificates are, worked out from a cover (KP1-I-01, R003-24)."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from gateway.domain.changes import ChangeItems, CorrectCover, LoseCover, Target, apply
from gateway.domain.collection import CollectionState, collection_of, listed_state
from gateway.domain.coverage import Coverage, CoverState, LossReason, UncollectedReason
from gateway.domain.errors import InvalidInput
from gateway.domain.period import Instant, Period
from tests.domain.covers import cover

ISSUED, TO_COLLECT, COLLECTED, UNCOLLECTED = CollectionState
LOST = Period(date(2025, 4, 1), date(2025, 8, 1))
BACK, OUT = date(2025, 8, 5), date(2025, 4, 1)
LOSS = UncollectedReason.LOST


@pytest.mark.parametrize(
    ("facts", "card", "certificate", "whole"),
    [
        ({"card_issue_date": OUT}, ISSUED, None, ISSUED),
        ({"certificate_issue_date": OUT}, None, ISSUED, ISSUED),
        ({"card_issue_date": OUT, "period": LOST}, TO_COLLECT, None, TO_COLLECT),
        ({"card_validity": LOST, "period": LOST}, TO_COLLECT, None, TO_COLLECT),
        (
            {"card_issue_date": OUT, "period": LOST, "card_collected_date": BACK},
            COLLECTED,
            None,
            COLLECTED,
        ),
        (
            {
                "card_issue_date": OUT,
                "period": LOST,
                "card_collected_date": BACK,
                "certificate_issue_date": OUT,
            },
            COLLECTED,
            TO_COLLECT,
            TO_COLLECT,
        ),
        (
            {
                "card_issue_date": OUT,
                "period": LOST,
                "card_collected_date": BACK,
                "certificate_issue_date": OUT,
                "uncollected_reason": LOSS,
            },
            COLLECTED,
            UNCOLLECTED,
            UNCOLLECTED,
        ),
        (
            {
                "certificate_issue_date": OUT,
                "period": LOST,
                "uncollected_reason": LOSS,
                "certificate_collected_date": BACK,
            },
            None,
            COLLECTED,
            COLLECTED,
        ),
    ],
)
def test_state_of_the_papers(
    facts: dict[str, object],
    card: CollectionState | None,
    certificate: CollectionState | None,
    whole: CollectionState,
) -> None:
    """Each paper has its state; while one is out after a loss the cover is to collect."""
    collection = collection_of(structs.replace(cover(OUT), **facts))
    assert collection is not None
    assert (card, certificate) == (
        collection.card and collection.card.state,
        collection.certificate and collection.certificate.state,
    )
    assert whole == collection.state


@given(
    state=st.sampled_from(CoverState),
    is_lost=st.booleans(),
    has_card=st.booleans(),
    has_certificate=st.booleans(),
)
def test_only_what_was_lost_with_papers_is_listed(
    state: CoverState, *, is_lost: bool, has_card: bool, has_certificate: bool
) -> None:
    """A cancelled cover, one that holds and one without papers are on no list."""
    one = structs.replace(
        cover(OUT),
        state=state,
        period=LOST if is_lost else Period(LOST.start),
        card_issue_date=OUT if has_card else None,
        certificate_issue_date=OUT if has_certificate else None,
    )
    is_listed = state is not CoverState.CANCELLED and is_lost and (has_card or has_certificate)
    assert is_listed == (listed_state(one) is not None)


def changed(of: Coverage, **items: object) -> Coverage:
    """A cover after a change of items."""
    (after,) = apply([of], ChangeItems(target(of), items), Instant(2_000))
    return after


def target(of: Coverage) -> Target:
    """The enrollee of a cover."""
    return Target(of.insured_id, of.birth_date)


def test_a_reason_needs_a_loss_and_a_paper() -> None:
    """Why nothing comes back is said after a loss, of something that was issued."""
    holding = structs.replace(cover(OUT), card_issue_date=OUT, period=Period(LOST.start))
    with pytest.raises(InvalidInput, match="uncollected_reason: NOTHING_TO_COLLECT"):
        changed(holding, uncollected_reason=LOSS)
    (lost,) = apply(
        [holding],
        LoseCover(target(holding), date(2025, 8, 1), LossReason.OTHER_INSURANCE),
        Instant(1_500),
    )
    assert changed(lost, uncollected_reason=LOSS).uncollected_reason is LOSS
    bare = structs.replace(lost, card_issue_date=None)
    with pytest.raises(InvalidInput, match="uncollected_reason: NOTHING_TO_COLLECT"):
        changed(bare, uncollected_reason=LOSS)


def test_a_withdrawn_loss_takes_the_reason_along() -> None:
    """Cover holds again, the paper is out as before, and a later loss begins anew."""
    lost = structs.replace(
        cover(OUT),
        card_issue_date=OUT,
        period=LOST,
        loss_reason=LossReason.OTHER,
        uncollected_reason=LOSS,
    )
    withdrawn = CorrectCover(target(lost), {}, is_loss_withdrawn=True)
    (after,) = apply([lost], withdrawn, Instant(2_000))
    assert (after.uncollected_reason, listed_state(after)) == (None, None)

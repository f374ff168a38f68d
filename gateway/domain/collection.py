"""
Cards and qualification certificates after a loss: which are out, which came back, which never will.

Worked out from the cover alone. Until the loss is registered a paper is issued; then it is to be
collected until its collection day is known, or the reason why it will not come back. How long a
collected paper is kept is the insurer's own affair: the gateway never has the paper. Sources:
requirements KP1-I-01, R003-24, R003-25; seed-requirements.md 7.4.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from enum import IntEnum

from gateway.domain.coverage import Coverage, CoverState


class CollectionState(IntEnum):
    """Where a card or a certificate is; in the order in which one decides for several."""

    ISSUED = 1
    TO_COLLECT = 2
    COLLECTED = 3
    UNCOLLECTED = 4
    """It will not come back."""


@dataclass(frozen=True, slots=True)
class Paper:
    """A card or a certificate: where it is, since when it was out, and when it was back."""

    state: CollectionState
    issue_date: date | None
    collected_date: date | None


@dataclass(frozen=True, slots=True)
class Collection:
    """What was issued for one cover; None where nothing was."""

    card: Paper | None
    certificate: Paper | None

    @property
    def state(self) -> CollectionState:
        """
        Where the papers are, all in all.

        To collect while any is, uncollected if one of the others is, collected when all are.
        """
        states = {paper.state for paper in (self.card, self.certificate) if paper is not None}
        for state in (CollectionState.TO_COLLECT, CollectionState.UNCOLLECTED):
            if state in states:
                return state
        return CollectionState.ISSUED if CollectionState.ISSUED in states else max(states)


def collection_of(cover: Coverage) -> Collection | None:
    """Tell where the papers of a cover are; None if none was issued, or the cover never was."""
    if cover.state is CoverState.CANCELLED:
        return None
    card = certificate = None
    if cover.card_issue_date is not None or cover.card_validity is not None:
        card = _paper(cover, cover.card_issue_date, cover.card_collected_date)
    if cover.certificate_issue_date is not None:
        certificate = _paper(cover, cover.certificate_issue_date, cover.certificate_collected_date)
    return Collection(card, certificate) if card or certificate else None


def listed_state(cover: Coverage) -> CollectionState | None:
    """Give the state in which the insurer lists a cover that was lost; None if it does not."""
    collection = None if cover.period.end is None else collection_of(cover)
    return None if collection is None else collection.state


def _paper(cover: Coverage, issued: date | None, collected: date | None) -> Paper:
    if collected is not None:
        state = CollectionState.COLLECTED
    elif cover.period.end is None:
        state = CollectionState.ISSUED
    elif cover.uncollected_reason is not None:
        state = CollectionState.UNCOLLECTED
    else:
        state = CollectionState.TO_COLLECT
    return Paper(state, issued, collected)

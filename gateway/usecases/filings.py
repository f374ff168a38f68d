"""Which case a change that was applied opens: what its notice says, and how far it is already."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from gateway.domain.changes import Change, LoseCover, NewCover
from gateway.domain.coverage import CoverState
from gateway.domain.lag import Case, CaseKind
from gateway.domain.period import Instant
from gateway.usecases.enrollees import WorkedEnrollee

Opened = tuple[WorkedEnrollee, Case]
"""A case and its enrollee, whose link is known at the end of the slice only."""


def opened_case(change: Change, enrollee: WorkedEnrollee | None, now: Instant) -> Opened | None:
    """
    Give the case of a change that was just applied; None if it names no filing or changed no cover.

    A cover that was seen by card before is so at once, whatever is registered of it.
    """
    if not isinstance(change, NewCover | LoseCover) or change.filing is None or enrollee is None:
        return None
    if isinstance(change, LoseCover):
        kind, fact_date = CaseKind.LOSS, change.loss_date
        found = [cover for cover in enrollee.covers if cover.period.end == fact_date]
    else:
        assert change.target.acquisition_date is not None
        kind, fact_date = CaseKind.ACQUISITION, change.target.acquisition_date
        found = [
            cover
            for cover in enrollee.covers
            if cover.period.start == fact_date and cover.version_no == 1
        ]
    fresh = [
        cover
        for cover in found
        if cover.recorded_time == now and cover.state is not CoverState.CANCELLED
    ]
    if not fresh:
        return None
    told = enrollee.told
    is_seen = enrollee.is_numbered and not enrollee.is_suspended and told is not None
    return enrollee, Case(
        enrollee.key,
        fresh[-1].cover_no,
        kind,
        enrollee.insurer_number,
        change.filing.employer_code,
        fact_date,
        change.filing.filed_date,
        change.filing.received_date,
        now,
        card_visible_time=now if is_seen and told and told.visible_time is not None else None,
    )


def cases_of(opened: Iterable[Opened], now: Instant) -> list[Case]:
    """The cases of a slice, each once, linked at once where their enrollee is."""
    cases: dict[tuple[bytes, int, CaseKind], Case] = {}
    for enrollee, case in opened:
        linked = now if enrollee.is_numbered else None
        cases.setdefault(
            (case.enrollee_key, case.cover_no, case.kind), replace(case, linked_time=linked)
        )
    return list(cases.values())

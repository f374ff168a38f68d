"""
Hypothesis strategies for changes about few cards, birth dates and days, so that draws meet.
"""

from __future__ import annotations

from datetime import date
from typing import Final

from hypothesis import strategies as st

from gateway.domain.changes import (
    CancelCover,
    Change,
    ChangeItems,
    CorrectCover,
    LoseCover,
    NewCover,
    Target,
)
from gateway.domain.coverage import LossReason, Sex
from gateway.domain.identifiers import InsuredId, InsurerNumber

SMALL_INSURERS: Final = (InsurerNumber("00138057"), InsurerNumber("01130012"))

SMALL_DAYS: Final = [date(2025, month, 1) for month in (1, 4, 7, 10)]
small_days = st.sampled_from(SMALL_DAYS)
small_birth_dates = st.sampled_from([date(1950, 2, 28), date(1984, 2, 29)])
small_insured_ids = st.builds(
    InsuredId,
    st.sampled_from(SMALL_INSURERS),
    st.sampled_from(["", "記号", "ｷｺﾞｳ"]),
    st.sampled_from(["1", "01", "１"]),
    st.sampled_from([None, "01", "02"]),
)
small_items = st.fixed_dictionaries(
    {"name": st.sampled_from(["甲", "乙"])}, optional={"copayment_ratio": st.sampled_from([20, 30])}
)
new_items = st.fixed_dictionaries(
    {
        "name": st.sampled_from(["甲", "乙"]),
        "insurer_name": st.just("保険者"),
        "sex": st.sampled_from(Sex),
    }
)

small_new_covers = st.builds(
    NewCover, st.builds(Target, small_insured_ids, small_birth_dates, small_days), new_items
)


some_targets = st.builds(Target, small_insured_ids, small_birth_dates)

Targets = st.SearchStrategy[Target]
_optional_days = st.none() | small_days


def item_changes_of(targets: Targets) -> st.SearchStrategy[ChangeItems]:
    """Items that change in the world."""
    return st.builds(ChangeItems, targets, small_items)


def losses_of(targets: Targets) -> st.SearchStrategy[LoseCover]:
    """Covers that end."""
    return st.builds(LoseCover, targets, small_days, st.sampled_from(LossReason))


def corrections_of(targets: Targets) -> st.SearchStrategy[CorrectCover]:
    """What was registered and was wrong: items, the first day, the loss, that there was one."""
    return st.builds(
        CorrectCover, targets, small_items, _optional_days, _optional_days, st.booleans()
    )


def cancellations_of(targets: Targets) -> st.SearchStrategy[CancelCover]:
    """Covers that never existed."""
    return st.builds(CancelCover, targets)


def changes_of(targets: Targets) -> st.SearchStrategy[Change]:
    """Every kind of change but links, about covers of which many may exist."""
    return st.one_of(
        item_changes_of(targets),
        losses_of(targets),
        corrections_of(targets),
        cancellations_of(targets),
    )

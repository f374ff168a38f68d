"""
What the items of one cover must agree on: documents, certificates, cards and their days.

Checked where a change said something about them, so that what was registered before stays as it
is. Sources: insurer-lifecycle.md 2.6; requirements KP1-I-01, KP1-I-02, R003-24, R003-25.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any, Final

from gateway.domain.collection import collection_of
from gateway.domain.coverage import Coverage, Document, LimitKind
from gateway.domain.errors import InvalidInput
from gateway.domain.period import is_later, months_after

CERTIFICATE_MONTHS_MAX: Final = 60
"""A qualification certificate holds at most five years; its last valid day is included."""

_PAPERS: Final = frozenset(
    {
        "card_issue_date",
        "card_collected_date",
        "certificate_issue_date",
        "certificate_last_valid_date",
        "certificate_collected_date",
        "uncollected_reason",
    }
)
_REISSUED: Final = (
    ("card_issue_date", "card_collected_date"),
    ("certificate_issue_date", "certificate_collected_date"),
)
"""An issue date, and what a later one takes away: what is out now was not collected."""


def require_documents(items: Mapping[str, Any]) -> None:
    """
    Refuse a certificate whose documents were not seen.

    Raises:
        InvalidInput: `DOC_MISSING` for a reduction (区分 02, 03) without the proof that no
            residence tax is paid, or a specific disease without a doctor's opinion.
    """
    seen = items.get("documents_seen") or ()
    is_reduced = any(limit.kind is not LimitKind.LIMIT for limit in items.get("limits") or ())
    if (is_reduced and Document.TAX_EXEMPTION not in seen) or (
        items.get("diseases") and Document.MEDICAL_OPINION not in seen
    ):
        raise InvalidInput("DOC_MISSING", "documents_seen")


def require_sound(cover: Coverage, items: Mapping[str, Any]) -> None:
    """
    Refuse papers of a cover that contradict each other, where `items` speak of them.

    Raises:
        InvalidInput: `DATE_ORDER_WRONG`, `CERTIFICATE_TOO_LONG`, `FIELD_REQUIRED`;
            `NOTHING_TO_COLLECT` for a reason why nothing comes back before a loss, or where
            nothing was issued.
    """
    if _PAPERS.isdisjoint(items):
        return
    _require_order(cover.card_issue_date, cover.card_collected_date, "card_collected_date")
    issued, last = cover.certificate_issue_date, cover.certificate_last_valid_date
    collected = cover.certificate_collected_date
    if issued is None and (last is not None or collected is not None):
        raise InvalidInput("FIELD_REQUIRED", "certificate_issue_date")
    _require_order(issued, last, "certificate_last_valid_date")
    _require_order(issued, collected, "certificate_collected_date")
    if (
        issued is not None
        and last is not None
        and is_later(last, months_after(issued, CERTIFICATE_MONTHS_MAX))
    ):
        raise InvalidInput("CERTIFICATE_TOO_LONG", "certificate_last_valid_date")
    if cover.uncollected_reason is not None and (
        cover.period.end is None or collection_of(cover) is None
    ):
        raise InvalidInput("NOTHING_TO_COLLECT", "uncollected_reason")


def reissued(cover: Coverage, items: Mapping[str, Any]) -> dict[str, Any]:
    """
    Give the items of a change in the world, with what a reissue takes along.

    Raises:
        InvalidInput: `DATE_ORDER_WRONG` for an issue date before the registered one: what an
            answer shows is the newest. A wrong date is corrected, not changed.
    """
    whole = dict(items)
    for issue, collected in _REISSUED:
        before: date | None = getattr(cover, issue)
        after: date | None = items.get(issue)
        if before is None or after is None:
            continue
        _require_order(before, after, issue)
        if after != before:
            whole.setdefault(collected, None)
    return whole


def _require_order(first: date | None, second: date | None, field: str) -> None:
    if first is not None and second is not None and is_later(first, second):
        raise InvalidInput("DATE_ORDER_WRONG", field)

"""The model of filings: every case in a dictionary, stamped by looking through all of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from gateway.domain.identifiers import EnrolleeKey
from gateway.domain.lag import Case
from gateway.domain.period import is_within, tokyo_day
from gateway.store.port import Batch
from gateway.store.port_lag import CasesWanted


class MemoryFilings:
    """`Filings` of what a memory store committed."""

    def __init__(self) -> None:
        self._cases: dict[tuple[EnrolleeKey, int, int], Case] = {}

    async def cases(
        self, wanted: CasesWanted, after: Case | None, cases_max: int
    ) -> Sequence[Case]:
        """See `Filings`."""
        found = sorted(
            (case for case in self._cases.values() if _is_wanted(case, wanted)), key=_order
        )
        if after is not None:
            found = [case for case in found if _order(case) > _order(after)]
        return found[:cases_max]

    def take(self, batch: Batch) -> None:
        """Remember a batch's cases and stamp those it links or shows."""
        for case in batch.filings:
            self._cases[case.enrollee_key, case.cover_no, case.kind] = case
        for link in batch.links:
            for key, case in self._cases.items():
                if (
                    link.is_numbered
                    and case.enrollee_key == link.enrollee_key
                    and case.linked_time is None
                ):
                    self._cases[key] = replace(case, linked_time=batch.recorded_time)
        for check in batch.checks:
            for key, case in self._cases.items():
                if (
                    check.visible_time is not None
                    and case.enrollee_key == check.enrollee_key
                    and case.card_visible_time is None
                    and case.registered_time <= check.visible_time
                ):
                    self._cases[key] = replace(case, card_visible_time=check.visible_time)


def _order(case: Case) -> tuple[int, bytes, int, int]:
    return case.registered_time, case.enrollee_key, case.cover_no, case.kind.value


def _is_wanted(case: Case, wanted: CasesWanted) -> bool:
    return (
        case.insurer_number == wanted.insurer_number
        and is_within(tokyo_day(case.registered_time), wanted.first_day, wanted.last_day)
        and wanted.employer_code in ("", case.employer_code)
        and wanted.kind in (None, case.kind)
    )

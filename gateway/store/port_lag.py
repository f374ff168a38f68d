"""
What the lag's reports ask of a store: the contract, in docstrings.

Cases are written with the batch that registers them (`Batch.filings`) and stamped by the batches
that link their enrollee or show it by card; see `gateway.store.port`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Protocol

from gateway.domain.identifiers import InsurerNumber
from gateway.domain.lag import Case, CaseKind


@dataclass(frozen=True, slots=True)
class CasesWanted:
    """
    Which cases are asked for: of an insurer, registered from the first to the last day in Japan.

    An empty `employer_code` and no `kind` mean any.
    """

    insurer_number: InsurerNumber
    first_day: date
    last_day: date
    employer_code: str = ""
    kind: CaseKind | None = None


class Filings(Protocol):
    """Cases, to be read in the order they were registered."""

    async def cases(
        self, wanted: CasesWanted, after: Case | None, cases_max: int
    ) -> Sequence[Case]:
        """
        Give up to so many cases that come after one, as they stand now.

        Raises:
            Unavailable: `STORE_UNAVAILABLE`.
        """

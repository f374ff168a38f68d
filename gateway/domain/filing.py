"""
What an employer filed: the paper behind an acquisition or a loss, and when it came in.

It says nothing of the cover itself. How long the insurer then took is told from it
(insurer-lifecycle.md 2.1: five days to file, five days to register).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from gateway.domain.errors import InvalidInput
from gateway.domain.period import is_later


@dataclass(frozen=True, slots=True)
class Filing:
    """
    A filing (届出) of an employer, or of the person where there is none.

    `employer_code` is our own code of whoever filed, empty if not told. `filed_date` is the day
    on the filing, `received_date` the day the insurer had it.

    Raises:
        InvalidInput: `DATE_ORDER_WRONG` for one that was received before it was filed.
    """

    employer_code: str
    filed_date: date | None
    received_date: date | None

    def __post_init__(self) -> None:
        if (
            self.filed_date is not None
            and self.received_date is not None
            and is_later(self.filed_date, self.received_date)
        ):
            raise InvalidInput("DATE_ORDER_WRONG", "received_date")

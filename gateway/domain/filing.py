"""What an employer's notice (届出) says of itself: who filed it, when, and when it came in."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date


@dataclass(frozen=True, slots=True)
class Filing:
    """
    The notice a change came by.

    `filed_date` is the day the employer filed it, `received_date` the day the insurer had it;
    each None if not told. Either may lie before the fact, since notices are filed early too.
    """

    employer_code: str
    filed_date: date | None
    received_date: date | None

"""
A claim as the qualification check sees it: who it says was insured where, on which days.

The bytes of a claim stay with `gateway.formats.uke`; this is what a decision reads of them. It
does not judge whether the treatment may be billed. Sources: claims-furikae.md 1.3-1.8 and 1.10.
"""

from __future__ import annotations

from datetime import date
from enum import Enum, IntEnum
from typing import Final

from msgspec import Struct

from gateway.domain.coverage import Sex
from gateway.domain.identifiers import InsuredId
from gateway.domain.period import is_later, parse_day

FIRST_MONTH: Final = date(2021, 9, 1)
"""The first service month with a check; before it SN, JD and MF do not count (2.1, 2.4)."""


def is_month_checked(first_day: date) -> bool:
    """Whether claims of the service month with this first day are checked."""
    return not is_later(FIRST_MONTH, first_day)


class CopayClass(Enum):
    """High-cost benefit in kind on a claim (窓口負担額区分, record MF)."""

    ORDINARY = "00"
    HIGH_COST = "01"
    HIGH_COST_REPEATED = "02"
    MEALS = "03"
    SPECIAL_CHARGE = "04"


class PatientClass(IntEnum):
    """What the last digit of the claim type tells of the patient (claims-furikae.md 1.10)."""

    SELF = 1
    PRESCHOOL = 2
    FAMILY = 3
    ELDERLY = 4
    """70 to 74 years, ordinary or low income."""
    ELDERLY_30_PERCENT = 5
    LATTER_STAGE = 6
    LATTER_STAGE_30_PERCENT = 7
    PUBLIC_EXPENSE_ONLY = 8


class Claim(Struct, frozen=True, kw_only=True):
    """
    One claim (レセプト) of one patient, one month, one institution.

    `month` is YYYYMM of the service month (診療年月). `insured_id` is what HO and SN say, its
    branch from SN; None if the claim has no insurer (公費 only) or one that is not identified
    (不詳, 77777777: then `is_unidentified`). `points` are HO's (合計点数), or the first KO's
    without HO. `recorded_days` are the days of payer 1 that JD marks 1 or 2, in order; None
    without JD. `detail_days` is the union of the details' days (算定日), in order.
    """

    number: int
    claim_type: str
    """レセプト種別, four digits."""
    month: str
    sex: Sex
    birth_date: date
    insured_id: InsuredId | None
    points: int
    name_kana: str = ""
    is_unidentified: bool = False
    benefit_percent: int | None = None
    """給付割合; national health insurance only."""
    special_notes: tuple[str, ...] = ()
    """特記事項, two characters each; 26 to 30 tell the limit class."""
    recorded_days: tuple[date, ...] | None = None
    detail_days: tuple[date, ...] = ()
    copay: CopayClass | None = None
    """None without MF."""
    has_public_expense: bool = False
    """Whether a KO record is there (公費)."""

    @property
    def first_day(self) -> date:
        """The first day of the service month."""
        return parse_day(f"{self.month}01")

"""
What the resident register says about a told My Number, and what follows from it.

Today every registration is compared with the register, and one that disagrees cannot be viewed
until the insurer confirms or corrects it (insurer-lifecycle.md 1.3 #6-#8). Which differences
count is a setting; a different address alone tells little, because insurers need not hold one.
"""

from __future__ import annotations

from datetime import date
from enum import StrEnum

from msgspec import Struct

from gateway.domain.coverage import Sex


class FiveItems(Struct, frozen=True):
    """The five items compared (5情報); an empty address is not compared."""

    name: str
    name_kana: str
    birth_date: date
    sex: Sex
    address: str


class Finding(Struct, frozen=True, kw_only=True):
    """What the register says of one registration; the rest means nothing unless `is_known`."""

    is_known: bool
    is_name_different: bool = False
    is_name_kana_different: bool = False
    is_birth_date_different: bool = False
    is_sex_different: bool = False
    is_address_different: bool = False


class Mismatch(StrEnum):
    """Why a registration is suspended (閲覧停止)."""

    NUMBER_UNKNOWN = "NUMBER_UNKNOWN"
    BIRTH_DATE = "BIRTH_DATE"
    SEX = "SEX"
    NAME = "NAME"
    """Name and kana both differ."""
    ADDRESS = "ADDRESS"


class ResidentRules(Struct, frozen=True):
    """What the references leave open about a mismatch."""

    is_address_compared: bool = False


def mismatches_of(finding: Finding, rules: ResidentRules) -> tuple[Mismatch, ...]:
    """Give what speaks against a link, in a fixed order; empty if nothing does."""
    if not finding.is_known:
        return (Mismatch.NUMBER_UNKNOWN,)
    found = (
        (Mismatch.BIRTH_DATE, finding.is_birth_date_different),
        (Mismatch.SEX, finding.is_sex_different),
        (Mismatch.NAME, finding.is_name_different and finding.is_name_kana_different),
        (Mismatch.ADDRESS, finding.is_address_different and rules.is_address_compared),
    )
    return tuple(mismatch for mismatch, is_so in found if is_so)

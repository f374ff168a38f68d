"""
What the resident register says about a told My Number, and what follows from it.

Today every registration is compared with the register, and one that disagrees cannot be viewed
until the insurer confirms or corrects it (insurer-lifecycle.md 1.3 #6-#8). Which differences
count is a setting; a different address alone tells little, because insurers need not hold one.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from enum import StrEnum

from msgspec import Struct

from gateway.domain.coverage import Coverage, CoverState, Sex


class FiveItems(Struct, frozen=True):
    """The five items compared (5情報); an empty address and a sex not set are not compared."""

    name: str
    name_kana: str
    birth_date: date
    sex: Sex
    address: str


def compared_cover(covers: Sequence[Coverage]) -> Coverage:
    """
    The cover of an enrollee whose items are compared: the last to begin that was not cancelled.

    Names change over the years, so what an insurer says now is what the register can confirm.
    Where all are cancelled, the last of them.
    """
    alive = [cover for cover in covers if cover.state is not CoverState.CANCELLED]
    return max(alive or covers, key=lambda cover: (cover.period.start, cover.cover_no))


def five_items_of(covers: Sequence[Coverage]) -> FiveItems:
    """What is compared of an enrollee."""
    cover = compared_cover(covers)
    return FiveItems(cover.name, cover.name_kana, cover.birth_date, cover.sex, cover.address)


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
    NUMBER_UNREADABLE = "NUMBER_UNREADABLE"
    """The vault cannot give the number; the insurer must tell it again."""
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

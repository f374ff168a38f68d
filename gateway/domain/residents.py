"""
What the resident register says about a told My Number, and what follows from it.

Today every registration is compared with the register, and one that disagrees cannot be viewed
until the insurer confirms or corrects it (insurer-lifecycle.md 1.3 #6-#8). The full check of 2023
told three classes of difference apart (1.3 #9); which rule holds is a setting.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import date
from enum import IntEnum, StrEnum
from typing import Final

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
    """Why a registration is suspended (閲覧停止), or its medical information is."""

    NUMBER_UNKNOWN = "NUMBER_UNKNOWN"
    NUMBER_UNREADABLE = "NUMBER_UNREADABLE"
    """The vault cannot give the number; the insurer must tell it again."""
    BIRTH_DATE = "BIRTH_DATE"
    SEX = "SEX"
    NAME = "NAME"
    """Name and kana both differ."""
    NAME_AND_ADDRESS = "NAME_AND_ADDRESS"
    """Either name or kana differs, and the address does."""
    ADDRESS = "ADDRESS"
    SWAPPED = "SWAPPED"
    """The number of another enrollee of the insurer fits, and theirs has this one's."""


class Effect(IntEnum):
    """What follows from mismatches."""

    NONE = 0
    MEDICAL_STOPPED = 1
    """The cover answers; no medical information may be shown."""
    SUSPENDED = 2
    """The cover is out of sight."""


_SUSPENDING: Final = frozenset(
    {
        Mismatch.NUMBER_UNKNOWN,
        Mismatch.NUMBER_UNREADABLE,
        Mismatch.BIRTH_DATE,
        Mismatch.SEX,
        Mismatch.SWAPPED,
    }
)
_OF_NAME: Final = frozenset({Mismatch.NAME, Mismatch.NAME_AND_ADDRESS})


class ResidentRules(Struct, frozen=True):
    """
    What the references leave open about a mismatch and a missing number.

    With `are_mismatches_classed` the classes of the full check of 2023 hold (insurer-lifecycle.md
    1.3 #9); without, any mismatch suspends, as since 2024 (1.3 #8).
    """

    is_address_compared: bool = True
    are_mismatches_classed: bool = True
    is_number_searched: bool = False


def mismatches_of(
    finding: Finding, rules: ResidentRules, before: Collection[str] = ()
) -> tuple[Mismatch, ...]:
    """
    Give what the register and the insurer disagree about, in a fixed order; empty if nothing.

    Args:
        before: What the same number's last answer came to. A swapped number stays so until the
            register agrees with it.
    """
    if not finding.is_known:
        return (Mismatch.NUMBER_UNKNOWN,)
    is_address = finding.is_address_different and rules.is_address_compared
    is_either = finding.is_name_different or finding.is_name_kana_different
    is_name = finding.is_name_different and finding.is_name_kana_different
    found = (
        (Mismatch.BIRTH_DATE, finding.is_birth_date_different),
        (Mismatch.SEX, finding.is_sex_different),
        (Mismatch.NAME, is_name),
        (Mismatch.NAME_AND_ADDRESS, is_address and is_either and not is_name),
        (Mismatch.ADDRESS, is_address and (is_name or not is_either)),
    )
    said = tuple(mismatch for mismatch, is_so in found if is_so)
    return (*said, Mismatch.SWAPPED) if said and Mismatch.SWAPPED in before else said


def effect_of(
    mismatches: Collection[Mismatch], rules: ResidentRules, *, is_found: bool = False
) -> Effect:
    """
    Decide what mismatches do to the covers.

    Args:
        is_found: Whether the number was not told but found by the five items. Nothing else speaks
            for it then, so another name suspends.
    """
    if not mismatches:
        return Effect.NONE
    strict = _SUSPENDING | _OF_NAME if is_found else _SUSPENDING
    if not rules.are_mismatches_classed or not strict.isdisjoint(mismatches):
        return Effect.SUSPENDED
    return Effect.MEDICAL_STOPPED


def is_searchable(items: FiveItems) -> bool:
    """Whether all five items are there; with fewer nobody may be found (1.3 #2 and #3)."""
    return bool(items.name and items.name_kana and items.address) and items.sex is not Sex.UNSET


def can_be_searched(covers: Sequence[Coverage]) -> bool:
    """Whether an enrollee of these covers may be looked for: one holds, and all items are there."""
    is_alive = any(cover.state is not CoverState.CANCELLED for cover in covers)
    return is_alive and is_searchable(five_items_of(covers))


def may_be_swapped(one: FiveItems, other: FiveItems, mismatches: Collection[str]) -> bool:
    """
    Whether what a register said of one enrollee fits the other's items having its number.

    Birth dates differ exactly if the register said so, and so do sexes; names tell too little.
    """
    return (one.birth_date != other.birth_date) == (Mismatch.BIRTH_DATE in mismatches) and (
        one.sex != other.sex
    ) == (Mismatch.SEX in mismatches)

"""
The made-up nation as lines: of coverage files, and of the resident register's file.

A My Number stands in an insurer's line because insurers tell it, and in the register's because it
is where numbers come from; nowhere else.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from typing import Final

import msgspec

from gateway.domain.identifiers import InsurerKind
from simulators.nation.covers import LATTER_STAGE_AGE, birthday
from simulators.nation.households import Household, Person, Spell
from simulators.nation.names import large_kana
from simulators.people import Row
from simulators.resident_rows import resident_id_of

_COLUMN_NAMES: Final = """
    insurer_number action symbol number branch birth_date acquisition_date loss_date loss_reason
    name name_kana name_of_other name_of_other_kana insured_name sex post_number address
    relationship card_classification insurer_name card_issue_date card_first_valid_date
    copayment_ratio is_preschool elderly_issue_date elderly_first_valid_date
    elderly_last_valid_date elderly_copayment_ratio limit_kind limit_class limit_issue_date
    limit_first_valid_date limit_last_valid_date is_voluntary_continuation is_nondisclosed
    certificate_issue_date certificate_last_valid_date employer_code filed_date received_date
    individual_number
"""
COLUMNS: Final = tuple(_COLUMN_NAMES.split())
"""The columns the nation's files have; those of months to come have them all."""

ELDERLY_AGE: Final = 70
PRESCHOOL_AGE: Final = 6
RATIO_MONTH: Final = 8
"""Ratios change on the first of August."""
_CERTIFICATE_YEARS: Final = 4
_CERTIFICATE_IN: Final = 11
_LIMIT_IN: Final = 41
_HIDDEN_IN: Final = 1_009
"""One in so many has a qualification certificate, a limit certificate, an address to hide."""


def cell(day: date | None) -> str:
    """Spell a day as a cell; None is an empty one."""
    return "" if day is None else day.isoformat().replace("-", "")


def line(row: Row) -> str:
    """Spell a row as a line with the columns of `COLUMNS`; no cell of ours needs quotes."""
    get = row.get
    return ",".join([get(column, "") for column in COLUMNS]) + "\r\n"


HEADER: Final = ",".join(COLUMNS) + "\r\n"


def rows_of(household: Household, on: date) -> Iterator[Row]:
    """
    Spell what insurers have registered of a household up to a day: each `NEW` before its `LOSS`.

    The lines belong to several insurers; a sender sorts them by `insurer_number`.
    """
    for person in household.people:
        for spell in person.spells:
            row = new_row(household, person, spell, on)
            yield row
            if spell.lost is not None:
                yield loss_row(person, spell)


def target(person: Person, spell: Spell) -> Row:
    """Give the cells that say whom and which cover a line is about."""
    return {
        "insurer_number": spell.insurer.number,
        "symbol": spell.symbol,
        "number": spell.number,
        "branch": spell.branch,
        "birth_date": cell(person.birth_date),
        "acquisition_date": cell(spell.acquired),
    }


def loss_row(person: Person, spell: Spell) -> Row:
    """Give the line that ends a cover."""
    row = target(person, spell)
    row["action"] = "LOSS"
    row["loss_date"] = cell(spell.lost)
    row["loss_reason"] = spell.loss_reason
    return row


def new_row(household: Household, person: Person, spell: Spell, on: date) -> Row:
    """
    Give the line that begins a cover.

    Args:
        on: The day as of which ages and certificates are.
    """
    name = person.name
    insurer = spell.insurer
    acquired = cell(spell.acquired)
    row = target(person, spell)
    row["action"] = "NEW"
    row["name"] = name.name
    row["name_kana"] = large_kana(name.kana) if insurer.is_kana_large else name.kana
    if name.other:
        row["name_of_other"], row["name_of_other_kana"] = name.other, name.other_kana
    row["insured_name"] = name.name if spell.relationship == "1" else insured_name(household, spell)
    row["sex"] = person.sex
    row["post_number"], row["address"] = household.post_number, household.address
    row["relationship"] = spell.relationship
    row["card_classification"] = "01"
    row["insurer_name"] = insurer.name
    row["card_issue_date"] = row["card_first_valid_date"] = acquired
    if spell.is_voluntary:
        row["is_voluntary_continuation"] = "1"
    if spell.is_numbered:
        row["individual_number"] = person.individual_number
    if spell.lost is None:
        row.update(certificates(person, spell, on))
    return row


def insured_name(household: Household, spell: Spell) -> str:
    """The name of the insured person behind a dependant's cover."""
    for person in household.people:
        for other in person.spells:
            if other.number == spell.number and other.relationship == "1":
                return person.name.name
    return household.people[0].name.name


def certificates(person: Person, spell: Spell, on: date) -> Row:
    """The cells of the certificates somebody has on a day, and of what follows from the age."""
    row: Row = {}
    if spell.insurer.kind is InsurerKind.LATTER_STAGE_ELDERLY:
        row["copayment_ratio"] = person.copayment_ratio
    else:
        age = person.age(on)
        if age < PRESCHOOL_AGE:
            row["is_preschool"] = "1"
        elif age >= ELDERLY_AGE - 1:
            row.update(elderly(person, spell, on))
    index = person.index
    if index % _CERTIFICATE_IN == 0:
        issued = max(spell.acquired, date(on.year - 1, 12, 2))
        row["certificate_issue_date"] = cell(issued)
        row["certificate_last_valid_date"] = f"{issued.year + _CERTIFICATE_YEARS}0731"
    if index % _LIMIT_IN == 0:
        row.update(limit(person, max(spell.acquired, last_august(on)), on))
    if index % _HIDDEN_IN == 0:
        row["is_nondisclosed"] = "1"
    return row


def last_august(on: date) -> date:
    """The last first of August up to a day."""
    return date(on.year if on.month >= RATIO_MONTH else on.year - 1, RATIO_MONTH, 1)


def elderly_from(person: Person) -> date:
    """The first day of the elderly recipient certificate: the month after the 70th birthday."""
    seventy = birthday(person.birth_date, ELDERLY_AGE)
    if seventy.day == 1:
        return seventy
    return date(seventy.year + seventy.month // 12, seventy.month % 12 + 1, 1)


def elderly(person: Person, spell: Spell, on: date, ratio: str = "") -> Row:
    """The cells of the elderly recipient certificate (高齢受給者証) of a day, if there is one."""
    begins = elderly_from(person)
    if begins > on or person.age(on) >= LATTER_STAGE_AGE:
        return {}
    first = max(begins, last_august(on), spell.acquired)
    august = last_august(first)
    return {
        "elderly_issue_date": cell(first),
        "elderly_first_valid_date": cell(first),
        "elderly_last_valid_date": f"{august.year + 1}0731",
        "elderly_copayment_ratio": ratio or elderly_ratio(person),
    }


def elderly_ratio(person: Person) -> str:
    """From 70 to 74 two tenths are paid, or three."""
    return "030" if person.copayment_ratio == "030" else "020"


def limit(person: Person, first: date, on: date) -> Row:
    """The cells of a limit certificate (限度額適用認定証) from a day to the end of July."""
    low = "B04" if person.age(on) >= ELDERLY_AGE else ("A03", "A04", "A02")[person.index % 3]
    return {
        "limit_kind": "01",
        "limit_class": low,
        "limit_issue_date": cell(first),
        "limit_first_valid_date": cell(first),
        "limit_last_valid_date": f"{last_august(first).year + 1}0731",
    }


_encode = msgspec.json.Encoder().encode


def resident_line(household: Household, person: Person) -> bytes:
    """Spell somebody as a line of the resident register's file; empty for who has no number."""
    number = person.individual_number
    if not number:
        return b""
    resident = {
        "ids": (resident_id_of(number),),
        "individual_number": number,
        "name": person.name.resident,
        "name_kana": person.name.kana,
        "birth_date": cell(person.birth_date),
        "sex": int(person.sex),
        "address": household.address,
    }
    return _encode(resident) + b"\n"

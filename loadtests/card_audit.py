"""
An auditor's own idea of what a visit by card must be told: from true histories alone.

The logic is written anew and nothing of the gateway's own is used but the wire's messages; an
import contract keeps `gateway.domain` out. By card only covers whose My Number was filed are
seen. One that holds on the day is valid, the newest if there are several; else the last that
began, or the next to begin, is shown as invalid; without any, there is no such cover. Sources:
insurer-lifecycle.md 2.2 and 2.3; oqs-interface.md 2.2, 2.3 and 4 (OQSCD002, OQSCD006); R003-08,
R003-27.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, fields
from datetime import date
from typing import Final
from xml.etree import ElementTree as ET

from google.type.date_pb2 import Date

from gateway.v1.card_pb2 import ConfirmByCardResponse
from gateway.v1.types_pb2 import Coverage
from simulators.population import Person, Spell

VALID: Final = 1
INVALID: Final = 2
NO_SUCH_COVER: Final = 4
BY_CARD: Final = 1
"""OQSCD002; on the wire ROUTE_CARD has the same number."""


@dataclass(frozen=True, slots=True)
class Cover:
    """What is told of a cover; `lost` is the first day without it, None while it is open."""

    insurer_number: str
    insurer_name: str
    symbol: str
    number: str
    branch: str
    acquired: date
    lost: date | None
    relationship: int
    name: str
    sex: int
    birth_date: date


@dataclass(frozen=True, slots=True)
class Told:
    """What a clinic is told at a visit: the official validity, the route, the day, the covers."""

    validity: int
    route: int
    on: date
    covers: tuple[Cover, ...]


def truth_by_card(person: Person, on: date, *, is_registered: bool) -> Told:
    """Tell what a visit must be told of a person on a day; an unregistered card finds nothing."""
    seen = [spell for spell in person.spells if spell.is_numbered] if is_registered else []
    if not seen:
        return Told(NO_SUCH_COVER, BY_CARD, on, ())
    holding = [spell for spell in seen if _holds(spell, on)]
    begun = [spell for spell in seen if spell.acquired <= on]
    if holding or begun:
        shown = max(holding or begun, key=lambda spell: spell.acquired)
    else:
        shown = min(seen, key=lambda spell: spell.acquired)
    return Told(VALID if holding else INVALID, BY_CARD, on, (_cover_of(person, shown),))


def _holds(spell: Spell, on: date) -> bool:
    return spell.acquired <= on and (spell.lost is None or on < spell.lost)


def _cover_of(person: Person, spell: Spell) -> Cover:
    card = spell.card
    return Cover(
        insurer_number=card.insurer_number,
        insurer_name=spell.insurer.name,
        symbol=_folded(card.symbol),
        number=_folded(card.number),
        branch=card.branch,
        acquired=spell.acquired,
        lost=spell.lost,
        relationship=int(spell.relationship),
        name=_folded(person.name),
        sex=int(person.sex),
        birth_date=person.birth_date,
    )


def told_by_wire(answer: ConfirmByCardResponse) -> Told:
    """
    Read an answer of the card reader's service.

    Raises:
        ValueError: If a day that must be there is none.
    """
    said = answer.confirmation
    on = _day_of(said.confirmation_date)
    return Told(int(said.validity), int(said.route), on, tuple(map(_cover_by_wire, said.coverages)))


def _cover_by_wire(cover: Coverage) -> Cover:
    shown = cover.insured_id
    return Cover(
        insurer_number=shown.insurer_number,
        insurer_name=cover.insurer_name,
        symbol=_folded(shown.symbol),
        number=_folded(shown.number),
        branch=shown.branch,
        acquired=_day_of(cover.acquisition_date),
        lost=_day_of(cover.loss_date) if cover.HasField("loss_date") else None,
        relationship=int(cover.relationship),
        name=_folded(cover.name),
        sex=int(cover.sex),
        birth_date=_day_of(cover.birth_date),
    )


def _day_of(message: Date) -> date:
    return date(message.year, message.month, message.day)


def told_by_face(data: bytes) -> Told:
    """
    Read a file of the face folder with a parser of our own (oqs-interface.md 2.2 and 2.3).

    Raises:
        ValueError: If it says not what such a file must say.
    """
    try:
        root = ET.fromstring(data)  # noqa: S314  written by the program under test
    except ET.ParseError:
        raise ValueError("a face file is not well formed") from None
    header = {leaf.tag: leaf.text or "" for leaf in root.iterfind("MessageHeader/*")}
    body = {leaf.tag: leaf.text or "" for leaf in root.iterfind("MessageBody/*")}
    records = root.iterfind("MessageBody/ResultList/ResultOfQualificationConfirmation")
    try:
        return Told(
            int(body["QualificationValidity"]),
            int(header["ReferenceClassification"]),
            _day_in(header["QualificationConfirmationDate"]),
            tuple(map(_cover_by_face, records)),
        )
    except KeyError as missing:
        raise ValueError(f"a face file lacks {missing}") from None


def _cover_by_face(record: ET.Element) -> Cover:
    said = {leaf.tag: leaf.text or "" for leaf in record}
    lost = said.get("DisqualificationDate", "")
    return Cover(
        insurer_number=said["InsurerNumber"].strip().zfill(8),
        insurer_name=said["InsurerName"],
        symbol=_folded(said.get("InsuredCardSymbol", "")),
        number=_folded(said["InsuredIdentificationNumber"]),
        branch=said.get("InsuredBranchNumber", ""),
        acquired=_day_in(said["QualificationDate"]),
        lost=_day_in(lost) if lost else None,
        relationship=int(said["PersonalFamilyClassification"]),
        name=_folded(said["Name"]),
        sex=int(said["Sex1"]),
        birth_date=_day_in(said["Birthdate"]),
    )


def _day_in(digits: str) -> date:
    return date(int(digits[:4]), int(digits[4:6]), int(digits[6:]))


def _folded(text: str) -> str:
    """One spelling for full-width and half-width."""
    return unicodedata.normalize("NFKC", text)


def differences(expected: Told, seen: Told) -> list[str]:
    """Name what differs, never what it says."""
    named = [
        name
        for name in ("validity", "route", "on")
        if getattr(expected, name) != getattr(seen, name)
    ]
    if len(expected.covers) != len(seen.covers):
        return [*named, "covers"]
    for ours, theirs in zip(expected.covers, seen.covers, strict=True):
        named += [
            field.name
            for field in fields(Cover)
            if getattr(ours, field.name) != getattr(theirs, field.name)
        ]
    return named


def unrecorded(record_ids: Iterable[str], listed: Collection[str]) -> Sequence[str]:
    """Which access records are not among those listed."""
    return [record_id for record_id in record_ids if record_id not in listed]

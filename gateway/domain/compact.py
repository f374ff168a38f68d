"""
The compact history: what a decision needs of a person's covers, and no more.

A lookup decodes this and nothing else. What an answer shows of a cover is spelled once, when the
cover changes, and carried along as bytes the domain does not look into (`sheet`); certificates
stay values, because the day decides which of them are shown. The same form is made for a read as
of another time, so that both reads meet the same `confirm`. Source: house 11 (hot read);
performance.md 7.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date

from msgspec import Struct, structs

from gateway.domain.coverage import (
    Coverage,
    CoverState,
    DiseaseCertificate,
    ElderlyCertificate,
    History,
    LimitCertificate,
    MedicalTicket,
)
from gateway.domain.hiding import Flags, flags_of_cover, flags_of_person
from gateway.domain.identifiers import EnrolleeKey, LookupKey, PersonKey
from gateway.domain.period import Instant, Period

Render = Callable[[Coverage], bytes]
"""Spells what an answer shows of a cover, without certificates; given by the composition root."""


class Hiding(Struct, frozen=True, array_like=True):
    """
    What is different about a cover of somebody who must not be found.

    The cover's own sheet holds no address then. `card_sheet` takes its place in an answer by
    card; `is_withheld` tells that no card finds the cover.
    """

    card_sheet: bytes
    is_withheld: bool


class CompactCover(Struct, frozen=True, array_like=True):
    """One cover in the version known, reduced to what decides; see `Coverage` for the fields."""

    enrollee_key: EnrolleeKey
    cover_no: int
    version_no: int
    recorded_time: Instant
    state: CoverState
    is_numbered: bool
    is_medical_assistance: bool
    lookup_key: LookupKey
    branch: str | None
    birth_date: date
    period: Period
    elderly: tuple[ElderlyCertificate, ...]
    limits: tuple[LimitCertificate, ...]
    tickets: tuple[MedicalTicket, ...]
    sheet: bytes
    diseases: tuple[DiseaseCertificate, ...] = ()
    hiding: Hiding | None = None

    @property
    def is_found_by_card(self) -> bool:
        """Whether a card may find it: no medical assistance, and nothing that is withheld."""
        return not (self.is_medical_assistance or (self.hiding and self.hiding.is_withheld))

    is_medical_stopped: bool = False


class CompactHistory(Struct, frozen=True, array_like=True):
    """All covers of one person, by enrollee key and cover number; `version` as in `History`."""

    person_key: PersonKey
    version: int
    covers: tuple[CompactCover, ...]


def compact(history: History, render: Render) -> CompactHistory:
    """Reduce a history, keeping the order of its covers; flags count for the whole person."""
    flags = flags_of_person(history)
    return CompactHistory(
        history.person_key,
        history.version,
        tuple(
            _compact_cover(enrolment.enrollee_key, enrolment.is_numbered, cover, render, flags)
            for enrolment in history.enrolments
            for cover in enrolment.covers
        ),
    )


def _compact_cover(
    enrollee_key: EnrolleeKey,
    is_numbered: bool,  # noqa: FBT001  a field of the record
    cover: Coverage,
    render: Render,
    flags: Flags,
) -> CompactCover:
    sheet, hiding = _hidden(cover, render, flags_of_cover(cover, flags))
    return CompactCover(
        enrollee_key=enrollee_key,
        cover_no=cover.cover_no,
        version_no=cover.version_no,
        recorded_time=cover.recorded_time,
        state=cover.state,
        is_numbered=is_numbered,
        is_medical_assistance=cover.insured_id.insurer_number.is_medical_assistance,
        lookup_key=cover.insured_id.lookup_key,
        branch=cover.insured_id.branch,
        birth_date=cover.birth_date,
        period=cover.period,
        elderly=cover.elderly,
        limits=cover.limits,
        tickets=cover.tickets,
        sheet=sheet,
        diseases=cover.diseases,
        hiding=hiding,
        is_medical_stopped=cover.is_medical_stopped,
    )


def _hidden(cover: Coverage, render: Render, flags: Flags) -> tuple[bytes, Hiding | None]:
    """Spell a cover's sheet; with a flag only the card's, if any, holds the address."""
    if not flags.is_any:
        return render(cover), None
    sheet = render(structs.replace(cover, address="", post_number=""))
    is_withheld = flags.is_self_information_withheld
    return sheet, Hiding(b"" if is_withheld else render(cover), is_withheld)

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

from msgspec import Struct

from gateway.domain.coverage import (
    Coverage,
    CoverState,
    DiseaseCertificate,
    ElderlyCertificate,
    History,
    LimitCertificate,
    MedicalTicket,
)
from gateway.domain.identifiers import EnrolleeKey, LookupKey, PersonKey
from gateway.domain.period import Instant, Period

Render = Callable[[Coverage], bytes]
"""Spells what an answer shows of a cover, without certificates; given by the composition root."""


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


class CompactHistory(Struct, frozen=True, array_like=True):
    """All covers of one person, by enrollee key and cover number; `version` as in `History`."""

    person_key: PersonKey
    version: int
    covers: tuple[CompactCover, ...]


def compact(history: History, render: Render) -> CompactHistory:
    """Reduce a history, keeping the order of its covers."""
    return CompactHistory(
        history.person_key,
        history.version,
        tuple(
            _compact_cover(enrolment.enrollee_key, enrolment.is_numbered, cover, render)
            for enrolment in history.enrolments
            for cover in enrolment.covers
        ),
    )


def _compact_cover(
    enrollee_key: EnrolleeKey,
    is_numbered: bool,  # noqa: FBT001  a field of the record
    cover: Coverage,
    render: Render,
) -> CompactCover:
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
        sheet=render(cover),
        diseases=cover.diseases,
    )

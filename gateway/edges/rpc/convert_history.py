"""Proto to domain and back for the histories of enrollees and of persons; see `convert`."""

from __future__ import annotations

from enum import IntEnum
from typing import Any

from gateway.domain.enrollee_history import ToldHistory, ToldLink, ToldVersion
from gateway.domain.explanation import VersionFact
from gateway.edges.rpc.convert import date_message, timestamp
from gateway.edges.rpc.convert_insurers import insured_id_message
from gateway.v1 import coverage_pb2, eligibility_pb2, person_pb2


def _code(value: IntEnum) -> Any:
    """Our codes are the wire's numbers."""
    return value.value


def enrollee_history(told: ToldHistory) -> coverage_pb2.GetEnrolleeHistoryResponse:
    """Spell what was learned of an insurer's own enrollee."""
    insurers = {one.fact.insurer_number.zero_padded for one in told.versions}
    return coverage_pb2.GetEnrolleeHistoryResponse(
        versions=[_version(one) for one in told.versions],
        links=[_link(one, next(iter(insurers), "")) for one in told.links],
        is_cut=told.is_cut,
    )


def own_history(told: ToldHistory) -> person_pb2.GetOwnHistoryResponse:
    """Spell what was learned of a person's own covers."""
    return person_pb2.GetOwnHistoryResponse(
        versions=[learned_version(one.fact, one.kind) for one in told.versions],
        is_cut=told.is_cut,
    )


def _version(one: ToldVersion) -> coverage_pb2.EnrolleeVersion:
    cover = one.fact.coverage
    return coverage_pb2.EnrolleeVersion(
        learned=learned_version(one.fact, one.kind),
        insured_id=insured_id_message(cover.insured_id),
        birth_date=date_message(cover.birth_date),
        changed_items=one.changed,
    )


def learned_version(fact: VersionFact, kind: IntEnum) -> eligibility_pb2.LearnedVersion:
    """Spell a version without any item of its cover but days and why it ended."""
    cover = fact.coverage
    return eligibility_pb2.LearnedVersion(
        enrollee_key=fact.enrollee_key.hex(),
        insurer_number=fact.insurer_number.zero_padded,
        cover_number=cover.cover_no,
        version_number=cover.version_no,
        kind=_code(kind),
        acquisition_date=date_message(cover.period.start),
        loss_date=date_message(cover.period.end),
        loss_reason=cover.loss_reason.value if cover.loss_reason else "",
        recorded_time=timestamp(cover.recorded_time),
        superseded_time=None if fact.superseded_time is None else timestamp(fact.superseded_time),
        request_id=fact.request_id,
        line_number=fact.line_number,
    )


def _link(one: ToldLink, insurer_number: str) -> eligibility_pb2.LearnedLink:
    fact = one.fact
    return eligibility_pb2.LearnedLink(
        enrollee_key=fact.enrollee_key.hex(),
        insurer_number=insurer_number,
        person_ordinal=one.person_number,
        is_numbered=fact.is_numbered,
        recorded_time=timestamp(fact.recorded_time),
        superseded_time=None if fact.superseded_time is None else timestamp(fact.superseded_time),
    )

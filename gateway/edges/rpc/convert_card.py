"""Proto to domain and back for cards, visits and the portal; see `convert`."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Final

from google.protobuf.timestamp_pb2 import Timestamp

from gateway.domain.card import CardProof, CertificateState
from gateway.domain.period import Instant
from gateway.domain.purpose import Policy
from gateway.edges.rpc.convert import confirmation, day, nested, timestamp
from gateway.store.port import CheckState, NumberCheck
from gateway.store.port_beside import Look
from gateway.usecases.visit import Visited
from gateway.v1 import card_pb2, coverage_pb2, person_pb2

_CONFIRMATION_TAG: Final = bytes(
    (card_pb2.ConfirmByCardResponse.CONFIRMATION_FIELD_NUMBER << 3 | 2,)
)
_EXPLAINED_TAG: Final = bytes((card_pb2.ExplainByCardResponse.EXPLAINED_FIELD_NUMBER << 3 | 2,))
_STATES: Final = {
    CheckState.RECEIVED: coverage_pb2.NUMBER_STATE_RECEIVED,
    CheckState.LINKED: coverage_pb2.NUMBER_STATE_LINKED,
    CheckState.SUSPENDED: coverage_pb2.NUMBER_STATE_SUSPENDED,
    CheckState.WANTED: coverage_pb2.NUMBER_STATE_WANTED,
    CheckState.NOT_FOUND: coverage_pb2.NUMBER_STATE_NOT_FOUND,
}
_CERTIFICATE_STATES: Final = {
    CertificateState.GOOD: card_pb2.CERTIFICATE_STATE_GOOD,
    CertificateState.NEAR_EXPIRY: card_pb2.CERTIFICATE_STATE_NEAR_EXPIRY,
    CertificateState.IN_GRACE: card_pb2.CERTIFICATE_STATE_IN_GRACE,
}


def proof(message: card_pb2.CardProof) -> CardProof:
    """
    Read a card's proof.

    Raises:
        InvalidInput: As `CardProof.parse`, naming `proof.<field>`.
    """
    return CardProof.parse(
        challenge=message.challenge,
        certificate=message.certificate,
        holder_check=message.holder_check,
        result=message.result,
        face_score=message.face_score,
        pin_tries_left=message.pin_tries_left,
        signature=message.signature,
    )


def visited(answer: Visited, now: Instant, access_record_id: str) -> bytes:
    """Spell the answer of a visit as the bytes of a `ConfirmByCardResponse`."""
    said = confirmation(answer.confirmation, answer.query, now, access_record_id, answer.token)
    own = card_pb2.ConfirmByCardResponse(
        certificate_state=_CERTIFICATE_STATES[answer.certificate_state]
    )
    return nested(_CONFIRMATION_TAG, said) + own.SerializeToString()


def day_of(said: card_pb2.ConfirmByCardRequest, if_not_said: date) -> date:
    """
    Read the day of a visit.

    Raises:
        InvalidInput: For a day that is none.
    """
    if not said.HasField("confirmation_date"):
        return if_not_said
    return day(said.confirmation_date, "confirmation_date")


def explained_visit(explained: bytes, state: CertificateState) -> bytes:
    """Spell an explained visit as the bytes of an `ExplainByCardResponse`."""
    own = card_pb2.ExplainByCardResponse(certificate_state=_CERTIFICATE_STATES[state])
    return nested(_EXPLAINED_TAG, explained) + own.SerializeToString()


def own_accesses(looks: Sequence[Look], policy: Policy) -> person_pb2.ListOwnAccessesResponse:
    """Spell who looked, each purpose in words."""
    return person_pb2.ListOwnAccessesResponse(
        accesses=[_own_access(look, policy) for look in looks]
    )


def _own_access(look: Look, policy: Policy) -> person_pb2.OwnAccess:
    purpose = policy.purposes.get(look.purpose)
    return person_pb2.OwnAccess(
        access_time=timestamp(look.at),
        role=look.role,
        code=look.code,
        method=look.method,
        purpose=look.purpose,
        purpose_ja=purpose.title_ja if purpose else "",
        purpose_en=purpose.title_en if purpose else "",
        outcome=look.outcome,
        detail=look.detail,
        access_record_id=look.record_id,
    )


def look_through(look: Look, is_linked: bool) -> coverage_pb2.LookThrough:  # noqa: FBT001  a field
    """Spell a look at whom an enrollee was linked to."""
    return coverage_pb2.LookThrough(
        access_time=timestamp(look.at),
        role=look.role,
        code=look.code,
        method=look.method,
        purpose=look.purpose,
        outcome=look.outcome,
        detail=look.detail,
        access_record_id=look.record_id,
        is_linked=is_linked,
    )


def stages(check: NumberCheck | None) -> coverage_pb2.GetIndividualNumberStagesResponse:
    """Spell the stages of a number; None linked without a check, so it has no stamps."""
    if check is None:
        return coverage_pb2.GetIndividualNumberStagesResponse(
            state=coverage_pb2.NUMBER_STATE_LINKED
        )

    def stamp(at: Instant | None) -> Timestamp | None:
        return None if at is None else timestamp(at)

    return coverage_pb2.GetIndividualNumberStagesResponse(
        state=_STATES[check.state],
        mismatches=check.mismatches,
        received_time=timestamp(check.received_time),
        checked_time=stamp(check.checked_time),
        linked_time=stamp(check.linked_time),
        projected_time=stamp(check.projected_time),
        visible_by_card_time=stamp(check.visible_time),
    )

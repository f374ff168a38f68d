"""
A My Number card (個人番号カード) as it is at a reader: its proof, its holder, its last day.

A card signs a challenge together with how its holder was checked, so that neither can be changed
on the way. Who issued the certificate is judged in `gateway.card_pki`, whether a challenge is
fresh in `gateway.usecases.challenges`. The My Number has no place here. The real reader's
interface is not public: the proof is our own (house decision 0014, docs/cards.md). Sources:
health-info.md D; insurer-lifecycle.md 3.1-3.3.
"""

from __future__ import annotations

import hashlib
from datetime import date
from enum import IntEnum
from typing import Final, NewType, TypeVar

from msgspec import Struct

from gateway.domain.errors import InvalidInput, NotPermitted
from gateway.domain.period import is_later, month_end, months_after

CardKey = NewType("CardKey", bytes)
"""16 bytes by which the gateway knows a card; they say nothing about the person."""

USER_AUTHENTICATION_POLICY: Final = "1.3.6.1.4.1.32473.1.30"
"""
The certificate policy of a simulated card, made up under the arc that is reserved for examples.

The last two numbers look like the real policy's (health-info.md D.2); the arc cannot be mistaken
for it.
"""
CHALLENGE_BYTES: Final = 32
CERTIFICATE_BYTES_MAX: Final = 4_096
SIGNATURE_BYTES_MAX: Final = 512
FACE_SCORE_MAX: Final = 100
PIN_TRIES_MAX: Final = 3
"""Wrong PINs in a row that lock a card; a right one before that makes it three again (D.4)."""
NEAR_EXPIRY_MONTHS: Final = 3
GRACE_MONTHS: Final = 3

_LABEL: Final = b"onshi card proof 1\x00"
"""Begins what is signed, so that no signature made for something else passes as a proof."""


class HolderCheck(IntEnum):
    """How the holder was checked (本人確認の方法); numbered as on the wire."""

    FACE = 1
    PIN = 2
    VISUAL = 3


class HolderCheckResult(IntEnum):
    """What the check gave; numbered as on the wire."""

    PASSED = 1
    FAILED = 2
    LOCKED = 3


class CertificateState(IntEnum):
    """How long a certificate is still good; numbered as on the wire."""

    GOOD = 1
    NEAR_EXPIRY = 2
    IN_GRACE = 3


class CardRules(Struct, frozen=True):
    """What an operator decides about checks of holders."""

    face_score_min: int = 80
    """From this score on, included, two faces count as one person's."""
    is_visual_allowed: bool = True
    """Whether staff may compare the face by sight (目視確認)."""


class CardProof(Struct, frozen=True, kw_only=True):
    """
    What a card and its reader say at a visit, as it was sent; nothing of it is believed yet.

    `certificate` is DER. `face_score` is 0 without FACE, `pin_tries_left` is 0 without PIN.
    """

    challenge: bytes
    certificate: bytes
    holder_check: HolderCheck
    result: HolderCheckResult
    face_score: int
    pin_tries_left: int
    signature: bytes

    @classmethod
    def parse(
        cls,
        *,
        challenge: bytes,
        certificate: bytes,
        holder_check: int,
        result: int,
        face_score: int,
        pin_tries_left: int,
        signature: bytes,
    ) -> CardProof:
        """
        Read a proof from raw values; lengths and bounds only, no cryptography.

        A score beside another check than FACE, or tries left or LOCKED beside another than PIN,
        contradicts itself and is refused.

        Raises:
            InvalidInput: `FIELD_REQUIRED`, `FORMAT_WRONG`, naming `proof.<field>`.
        """
        _require_length("challenge", challenge, CHALLENGE_BYTES, CHALLENGE_BYTES)
        _require_length("certificate", certificate, 1, CERTIFICATE_BYTES_MAX)
        check = _known("holder_check", HolderCheck, holder_check)
        outcome = _known("result", HolderCheckResult, result)
        score_max = FACE_SCORE_MAX if check is HolderCheck.FACE else 0
        tries_max = PIN_TRIES_MAX if check is HolderCheck.PIN else 0
        _require("result", outcome is not HolderCheckResult.LOCKED or check is HolderCheck.PIN)
        _require("face_score", 0 <= face_score <= score_max)
        _require("pin_tries_left", 0 <= pin_tries_left <= tries_max)
        _require_length("signature", signature, 1, SIGNATURE_BYTES_MAX)
        return cls(
            challenge=challenge,
            certificate=certificate,
            holder_check=check,
            result=outcome,
            face_score=face_score,
            pin_tries_left=pin_tries_left,
            signature=signature,
        )

    def signed(self) -> bytes:
        """The bytes the card signs: a label, the challenge, the check, the certificate's digest."""
        said = bytes((self.holder_check, self.result, self.face_score, self.pin_tries_left))
        return _LABEL + self.challenge + said + hashlib.sha256(self.certificate).digest()


def card_key(issuer_key_id: bytes, serial: int) -> CardKey:
    """
    The key of the card with a certificate's serial number, which is unique for its issuer.

    The issuer's generations share one name, so its key id stands for it (health-info.md D.1).
    """
    spelled = len(issuer_key_id).to_bytes(2) + issuer_key_id + f"{serial:x}".encode()
    return CardKey(hashlib.blake2b(spelled, digest_size=16, person=b"onshi-card").digest())


def certificate_state(last_day: date, on: date) -> CertificateState:
    """
    Tell how long a certificate is still good on a day.

    It is near its expiry from the day three months before its last day, both included. After the
    last day it counts for eligibility alone until the end of the third month after that month:
    2025-07-15 gives 2025-10-31 (insurer-lifecycle.md 3.3 #2 and #3).

    Args:
        last_day: The last day on which the certificate is valid, included.

        on: The day of the visit in Japan.

    Raises:
        NotPermitted: `CARD_EXPIRED` after the grace.
    """
    if is_later(on, month_end(months_after(last_day, GRACE_MONTHS))):
        raise NotPermitted("CARD_EXPIRED")
    if is_later(on, last_day):
        return CertificateState.IN_GRACE
    if is_later(months_after(last_day, -NEAR_EXPIRY_MONTHS), on):
        return CertificateState.GOOD
    return CertificateState.NEAR_EXPIRY


def require_holder(proof: CardProof, rules: CardRules, *, is_pin_required: bool = False) -> None:
    """
    Require that the card was in its holder's hands.

    A locked PIN does not lock the card: face and sight still work (insurer-lifecycle.md 3.3 #9).

    Args:
        proof: A proof whose signature was verified.

        rules: From which score on a face counts, and whether sight does.

        is_pin_required: Whether nothing but the PIN will do, as at the portal.

    Raises:
        NotPermitted: `PIN_REQUIRED`, `PIN_WRONG` (`tries_left` in its metadata), `PIN_LOCKED`,
            `VISUAL_NOT_ALLOWED`, or `FACE_NOT_MATCHED`, by camera or by sight.
    """
    if is_pin_required and proof.holder_check is not HolderCheck.PIN:
        raise NotPermitted("PIN_REQUIRED")
    if proof.holder_check is HolderCheck.VISUAL and not rules.is_visual_allowed:
        raise NotPermitted("VISUAL_NOT_ALLOWED")
    if proof.result is HolderCheckResult.LOCKED:
        raise NotPermitted("PIN_LOCKED")
    is_passed = proof.result is HolderCheckResult.PASSED
    match proof.holder_check:
        case HolderCheck.PIN if not is_passed:
            raise NotPermitted("PIN_WRONG", tries_left=str(proof.pin_tries_left))
        case HolderCheck.FACE if not is_passed or proof.face_score < rules.face_score_min:
            raise NotPermitted("FACE_NOT_MATCHED")
        case HolderCheck.VISUAL if not is_passed:
            raise NotPermitted("FACE_NOT_MATCHED")


_Numbered = TypeVar("_Numbered", HolderCheck, HolderCheckResult)


def _known(field: str, numbers: type[_Numbered], number: int) -> _Numbered:
    """The value with a number of the wire; zero is never sent."""
    if number == 0:
        raise InvalidInput("FIELD_REQUIRED", f"proof.{field}")
    try:
        return numbers(number)
    except ValueError:
        raise InvalidInput("FORMAT_WRONG", f"proof.{field}") from None


def _require_length(field: str, value: bytes, least: int, most: int) -> None:
    if not value:
        raise InvalidInput("FIELD_REQUIRED", f"proof.{field}")
    _require(field, least <= len(value) <= most)


def _require(field: str, holds: bool) -> None:  # noqa: FBT001  the condition is the argument
    if not holds:
        raise InvalidInput("FORMAT_WRONG", f"proof.{field}")

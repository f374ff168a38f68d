"""A card's proof as the fuzzer drives it: a message, a certificate, and a good one with edits."""

from __future__ import annotations

import tempfile
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import load_der_x509_certificate
from google.protobuf.message import DecodeError

from gateway.card_pki import CardAuthorities
from gateway.domain.card import CERTIFICATE_BYTES_MAX, CHALLENGE_BYTES, CardProof
from gateway.domain.errors import Refusal
from gateway.domain.period import instant_of
from gateway.v1 import card_pb2
from simulators.cards import UserAuthenticationAuthority, new_key, write_anchors

TODAY: Final = datetime(2026, 4, 15, tzinfo=UTC)
EDIT_BYTES: Final = 3
"""Two for a place in a good certificate, one to change its byte by."""


@cache
def _stand() -> tuple[UserAuthenticationAuthority, CardAuthorities, bytes]:
    """An authority, who trusts it, and a good certificate; made once, because keys are slow."""
    authority = UserAuthenticationAuthority.make(TODAY)
    with tempfile.TemporaryDirectory() as folder:
        anchors = Path(folder) / "anchors.pem"
        write_anchors(anchors, [authority])
        trusting = CardAuthorities.load(anchors)
    good = authority.issue(new_key().public_key(), TODAY).public_bytes(Encoding.DER)
    return authority, trusting, good


def read_card(data: bytes) -> None:
    """Read bytes as a proof, as a certificate, and as edits of a good one; a refusal is fine."""
    try:
        message = card_pb2.CardProof.FromString(data)
    except DecodeError:
        pass
    else:
        _judge(message)
    _judge(_message(data[:CERTIFICATE_BYTES_MAX]))
    _judge(_message(edited(data)))


def edited(data: bytes) -> bytes:
    """
    A good certificate with some bytes changed, signed again by its authority.

    Without the new signature nothing behind the check of the signature would ever be reached.
    """
    authority, _, good = _stand()
    tbs = load_der_x509_certificate(good).tbs_certificate_bytes
    spoilt = bytearray(tbs)
    for place in range(0, len(data) - EDIT_BYTES + 1, EDIT_BYTES):
        spoilt[int.from_bytes(data[place : place + 2]) % len(spoilt)] ^= data[place + 2]
    signature = authority.key.sign(bytes(spoilt), PKCS1v15(), SHA256())
    return good.replace(tbs, bytes(spoilt))[: -len(signature)] + signature


def _message(certificate: bytes) -> card_pb2.CardProof:
    return card_pb2.CardProof(
        challenge=bytes(CHALLENGE_BYTES),
        certificate=certificate,
        holder_check=card_pb2.HOLDER_CHECK_VISUAL,
        result=card_pb2.HOLDER_CHECK_RESULT_PASSED,
        signature=b"\0",
    )


def _judge(message: card_pb2.CardProof) -> None:
    _, trusting, _ = _stand()
    try:
        proof = CardProof.parse(
            challenge=message.challenge,
            certificate=message.certificate,
            holder_check=message.holder_check,
            result=message.result,
            face_score=message.face_score,
            pin_tries_left=message.pin_tries_left,
            signature=message.signature,
        )
        trusting.genuine(proof, instant_of(TODAY))
    except Refusal:
        return
    raise AssertionError("nobody signed this proof")

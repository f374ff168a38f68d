"""
Whether a card is genuine: its certificate's issuer, its revocation, its signature.

Anchors are pinned in a file and chosen by key id and signature, never by name, because all
generations of the authority share one name; an authority read from a card is never trusted.
The expiry of a card's certificate is left to `gateway.domain.card.certificate_state`, because of
the grace. A revocation list that is past its next update still counts: registered cards do not
depend on a live authority (insurer-lifecycle.md 3.3 #6), new ones are asked about at the resident
register. Sources: health-info.md D.1, D.2, D.5-D.7; house decision 0014.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from datetime import date
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.x509.oid import ExtensionOID, SignatureAlgorithmOID
from msgspec import Struct

from gateway.domain.card import USER_AUTHENTICATION_POLICY, CardKey, CardProof, card_key
from gateway.domain.errors import InvalidInput, NotPermitted
from gateway.domain.period import Instant, instant_of, tokyo_day

CERTIFICATES_CACHED_MAX: Final = 4_096
KEY_BITS: Final = 2_048
KEY_EXPONENT: Final = 65_537

_UNDERSTOOD: Final = frozenset(
    {
        ExtensionOID.KEY_USAGE,
        ExtensionOID.BASIC_CONSTRAINTS,
        ExtensionOID.CERTIFICATE_POLICIES,
    }
)
"""Extensions that may be critical in a leaf; any other that is critical makes it unusable."""

_UNREADABLE: Final = (
    ValueError,
    TypeError,
    OverflowError,
    UnsupportedAlgorithm,
    x509.InvalidVersion,
    x509.ExtensionNotFound,
    x509.DuplicateExtension,
    x509.UnsupportedGeneralNameType,
    Warning,  # The library warns of what it will refuse one day; where warnings raise, so do we.
)
"""All the library raises for bytes that are no sound certificate."""

_LIST: Final = re.compile(b"-----BEGIN X509 CRL-----.+?-----END X509 CRL-----", re.DOTALL)


class GenuineCard(Struct, frozen=True):
    """
    A card that proved itself; `last_day` is the last valid day in Japan, included.

    A revoked one proves itself too, so that it is known whose card somebody used.
    """

    card_key: CardKey
    last_day: date
    is_revoked: bool = False


class _Anchor(Struct, frozen=True):
    key_id: bytes
    certificate: x509.Certificate
    first: Instant
    last: Instant


class _Certificate(Struct, frozen=True):
    """What never changes of a certificate that an anchor signed."""

    anchor: _Anchor
    serial: int
    first: Instant
    key: RSAPublicKey
    card: GenuineCard


class _List(Struct, frozen=True):
    """A revocation list; `number` never goes back."""

    number: int
    serials: frozenset[int]


class CardAuthorities:
    """
    The authorities whose cards are accepted, and the cards they took back.

    Certificates that an anchor signed are remembered, at most `CERTIFICATES_CACHED_MAX`, by
    their digest. Time and revocation are looked at with every proof, so what is remembered can
    not outlive a new list. Not for several threads at once.
    """

    def __init__(
        self, anchors: Mapping[bytes, _Anchor], revocation_list: Path | None = None
    ) -> None:
        self._anchors = anchors
        self._path = revocation_list
        self._stamp = 0
        self._lists: dict[bytes, _List] = {}
        self._known: dict[bytes, _Certificate] = {}

    @classmethod
    def load(cls, anchors: Path, revocation_list: Path | None = None) -> CardAuthorities:
        """
        Read the anchors and the lists.

        Args:
            anchors: Certificates of authorities in PEM form, one for each generation.

            revocation_list: Lists in PEM form, at most one for each anchor.

        Raises:
            OSError: If a file cannot be read.
            ValueError: If an anchor is no authority with an RSA key, or as `refresh`.
        """
        try:
            read = [_anchor(one) for one in x509.load_pem_x509_certificates(anchors.read_bytes())]
        except _UNREADABLE as exc:
            raise ValueError(f"no anchors of cards in {anchors.name}") from exc
        authorities = cls({anchor.key_id: anchor for anchor in read}, revocation_list)
        if len(authorities._anchors) != len(read):
            raise ValueError("two anchors of cards have the same key id")
        authorities.refresh()
        return authorities

    def refresh(self) -> None:
        """
        Read the revocation lists again if their file changed.

        If they are refused, those read before stay in force until the file changes again.

        Raises:
            OSError: If the file cannot be read.
            ValueError: If a list is unsound, signed by no anchor, or older than the one before.
        """
        if self._path is None:
            return
        stamp = self._path.stat().st_mtime_ns
        if stamp != self._stamp:
            self._stamp = stamp
            self._lists = self._newer(_LIST.findall(self._path.read_bytes()))

    def genuine(self, proof: CardProof, now: Instant) -> GenuineCard:
        """
        Tell which card gave a proof.

        The certificate may have expired or been revoked, which is told. Whether the challenge was
        ours and the holder was checked is not looked at.

        Raises:
            InvalidInput: `FORMAT_WRONG` if the certificate is not exactly one in DER.
            NotPermitted: `CHAIN_INVALID` if no anchor in force issued it, for such a key and
                use, or it is not valid yet; `WRONG_POLICY` if it is for another use;
                `PROOF_INVALID` if the card's key did not sign the proof.
        """
        certificate = self._certificate(proof.certificate)
        anchor = certificate.anchor
        if not (anchor.first <= now <= anchor.last and certificate.first <= now):
            raise NotPermitted("CHAIN_INVALID")
        try:
            certificate.key.verify(proof.signature, proof.signed(), PKCS1v15(), SHA256())
        except InvalidSignature:
            raise NotPermitted("PROOF_INVALID") from None
        revoked = self._lists.get(anchor.key_id)
        if revoked is not None and certificate.serial in revoked.serials:
            return GenuineCard(certificate.card.card_key, certificate.card.last_day, True)
        return certificate.card

    def _certificate(self, der: bytes) -> _Certificate:
        digest = hashlib.sha256(der).digest()
        known = self._known.get(digest)
        if known is None:
            known = self._read(der)
            if len(self._known) >= CERTIFICATES_CACHED_MAX:
                del self._known[next(iter(self._known))]
            self._known[digest] = known
        return known

    def _read(self, der: bytes) -> _Certificate:
        try:
            certificate = x509.load_der_x509_certificate(der)
        except _UNREADABLE:
            raise InvalidInput("FORMAT_WRONG", "proof.certificate") from None
        try:
            return self._read_leaf(certificate)
        except (*_UNREADABLE, InvalidSignature):
            raise NotPermitted("CHAIN_INVALID") from None

    def _read_leaf(self, certificate: x509.Certificate) -> _Certificate:
        """Nothing of a certificate but its issuer's key id counts before its signature does."""
        extensions = certificate.extensions
        anchor = self._anchor_of(extensions)
        if certificate.signature_algorithm_oid != SignatureAlgorithmOID.RSA_WITH_SHA256:
            raise NotPermitted("CHAIN_INVALID")
        certificate.verify_directly_issued_by(anchor.certificate)
        _require_policy(extensions)
        key = certificate.public_key()
        if not (
            isinstance(key, RSAPublicKey)
            and key.key_size == KEY_BITS
            and key.public_numbers().e == KEY_EXPONENT
            and certificate.serial_number > 0
            and _may_authenticate(extensions)
        ):
            raise NotPermitted("CHAIN_INVALID")
        last = instant_of(certificate.not_valid_after_utc)
        return _Certificate(
            anchor=anchor,
            serial=certificate.serial_number,
            first=instant_of(certificate.not_valid_before_utc),
            key=key,
            card=GenuineCard(card_key(anchor.key_id, certificate.serial_number), tokyo_day(last)),
        )

    def _anchor_of(self, extensions: x509.Extensions) -> _Anchor:
        said = extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value
        anchor = self._anchors.get(said.key_identifier or b"")
        if anchor is None:
            raise NotPermitted("CHAIN_INVALID")
        return anchor

    def _newer(self, lists: Iterable[bytes]) -> dict[bytes, _List]:
        read: dict[bytes, _List] = {}
        for pem in lists:
            try:
                key_id, revoked = self._read_list(pem)
            except (*_UNREADABLE, NotPermitted) as exc:
                raise ValueError("a revocation list of cards is unsound") from exc
            if key_id in read:
                raise ValueError("an authority has two revocation lists of cards")
            read[key_id] = revoked
        for key_id, before in self._lists.items():
            if key_id not in read or read[key_id].number < before.number:
                raise ValueError("a revocation list of cards is older than the one before")
        if not read:
            raise ValueError("no revocation list of cards in its file")
        return read

    def _read_list(self, pem: bytes) -> tuple[bytes, _List]:
        crl = x509.load_pem_x509_crl(pem)
        anchor = self._anchor_of(crl.extensions)
        key = anchor.certificate.public_key()
        assert isinstance(key, RSAPublicKey)
        if not crl.is_signature_valid(key):
            raise NotPermitted("CHAIN_INVALID")
        if any(one.critical for one in crl.extensions):
            raise ValueError("a list that is not whole")
        number = crl.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number
        return anchor.key_id, _List(number, frozenset(one.serial_number for one in crl))


def _anchor(certificate: x509.Certificate) -> _Anchor:
    extensions = certificate.extensions
    if not (
        extensions.get_extension_for_class(x509.BasicConstraints).value.ca
        and extensions.get_extension_for_class(x509.KeyUsage).value.key_cert_sign
        and isinstance(certificate.public_key(), RSAPublicKey)
    ):
        raise ValueError("an anchor of cards is no authority with an RSA key")
    return _Anchor(
        key_id=extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest,
        certificate=certificate,
        first=instant_of(certificate.not_valid_before_utc),
        last=instant_of(certificate.not_valid_after_utc),
    )


def _require_policy(extensions: x509.Extensions) -> None:
    try:
        policies = extensions.get_extension_for_class(x509.CertificatePolicies).value
    except x509.ExtensionNotFound:
        raise NotPermitted("WRONG_POLICY") from None
    if USER_AUTHENTICATION_POLICY not in {
        policy.policy_identifier.dotted_string for policy in policies
    }:
        raise NotPermitted("WRONG_POLICY")


def _may_authenticate(extensions: x509.Extensions) -> bool:
    """Whether a leaf may sign challenges, and nothing in it is critical and not understood."""
    usage = extensions.get_extension_for_class(x509.KeyUsage).value
    is_authority = any(
        isinstance(one.value, x509.BasicConstraints) and one.value.ca for one in extensions
    )
    return (
        usage.digital_signature
        and not usage.key_cert_sign
        and not is_authority
        and all(not one.critical or one.oid in _UNDERSTOOD for one in extensions)
    )

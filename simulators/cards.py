"""
Simulated My Number cards, and the authority that issues their certificates.

The authority's name and policy are made up and cannot be taken for the real ones; a leaf holds no
personal data (health-info.md D.2, D.7). A card is a file with what a real chip keeps inside: its
key, its PIN and the tries left. It is for one reader at a time. RSA keys take a tenth of a second
or more to make, so cards are issued on demand. Not simulated: card commands, the card without a
PIN (顔認証マイナンバーカード), phones.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
import string
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Final

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.x509.oid import NameOID
from msgspec import Struct

from gateway.domain.card import (
    PIN_TRIES_MAX,
    USER_AUTHENTICATION_POLICY,
    CardProof,
    HolderCheck,
    HolderCheckResult,
)
from gateway.domain.period import TOKYO, months_after
from gateway.v1 import card_pb2

KEY_BITS: Final = 2_048
KEY_EXPONENT: Final = 65_537
LEAF_MONTHS: Final = 60
AUTHORITY_DAYS: Final = 365 * 30
"""A real one has ten years; a sandbox's clock can go twenty years ahead."""
LIST_DAYS: Final = 30
COMMON_NAME_LENGTH: Final = 23
PIN_DIGITS: Final = 4
PRACTICE_URI: Final = "http://user-authentication.invalid/"
"""Where a real certificate names its operator's practice statement."""
BACKDATED: Final = timedelta(minutes=5)
"""Certificates are valid from a little before now, for machines whose clocks differ."""

CA_FILE, KEY_FILE = "ca.pem", "ca-key.pem"
ANCHORS_FILE: Final = "anchors.pem"
"""What a verifier pins."""
REVOKED_FILE: Final = "revoked.pem"
"""The revocation list."""

_ALPHABET: Final = string.digits + string.ascii_uppercase


class PinFormError(ValueError):
    """A PIN is not four ASCII digits; the card did not look at it, so it costs no try."""


@dataclass(frozen=True, slots=True)
class UserAuthenticationAuthority:
    """
    One generation of the authority for user authentication certificates (利用者証明用).

    All generations have the same name and differ in their keys (health-info.md D.1).
    """

    certificate: x509.Certificate
    key: rsa.RSAPrivateKey

    @classmethod
    def make(cls, now: datetime) -> UserAuthenticationAuthority:
        """Make a generation that is kept nowhere."""
        key = new_key()
        name = _name("User authentication of a simulation", "JPKI-SIM")
        builder = (
            _builder(name, name, key.public_key(), now, now + timedelta(days=AUTHORITY_DAYS))
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_usage(is_authority=True), critical=True)
            .add_extension(
                x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False
            )
        )
        return cls(builder.sign(key, SHA256()), key)

    @classmethod
    def open(cls, folder: Path, now: datetime) -> UserAuthenticationAuthority:
        """
        Give the generation of a folder, made if there is none.

        Beside certificate and key the folder has the anchors, which are this generation alone,
        and the revocation list, empty at first.
        """
        if (folder / CA_FILE).exists():
            key = serialization.load_pem_private_key((folder / KEY_FILE).read_bytes(), None)
            assert isinstance(key, rsa.RSAPrivateKey)
            return cls(x509.load_pem_x509_certificate((folder / CA_FILE).read_bytes()), key)
        made = cls.make(now)
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        replace_file(folder / KEY_FILE, _key_bytes(made.key, serialization.Encoding.PEM))
        replace_file(folder / REVOKED_FILE, made.revocation_list((), 0, now))
        write_anchors(folder / ANCHORS_FILE, [made])
        replace_file(folder / CA_FILE, _pem(made.certificate))
        return made

    def issue(
        self, key: rsa.RSAPublicKey, now: datetime, last_day: date | None = None
    ) -> x509.Certificate:
        """
        Issue a card's certificate with a random name.

        Args:
            last_day: The last valid day in Japan, included; five years from now if None. The
                card's own expiry is not simulated.

        Raises:
            ValueError: If it would end after the authority does.
        """
        today = now.astimezone(TOKYO).date()
        last = months_after(today, LEAF_MONTHS) if last_day is None else last_day
        end = datetime.combine(last, time(23, 59, 59), TOKYO)
        if end > self.certificate.not_valid_after_utc:
            raise ValueError("the certificate would outlive its authority")
        name = _name("".join(secrets.choice(_ALPHABET) for _ in range(COMMON_NAME_LENGTH)))
        begin = min(now, end - timedelta(days=1))
        policy = x509.PolicyInformation(
            x509.ObjectIdentifier(USER_AUTHENTICATION_POLICY), [PRACTICE_URI]
        )
        builder = (
            _builder(name, self.certificate.subject, key, begin, end)
            .add_extension(_usage(is_authority=False), critical=True)
            .add_extension(x509.CertificatePolicies([policy]), critical=True)
            .add_extension(_issuer_id(self.key.public_key()), critical=False)
        )
        return builder.sign(self.key, SHA256())

    def revocation_list(self, serials: Iterable[int], number: int, now: datetime) -> bytes:
        """Issue a list of revoked certificates in PEM form; `number` only ever grows."""
        builder = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(self.certificate.subject)
            .last_update(now)
            .next_update(now + timedelta(days=LIST_DAYS))
            .add_extension(x509.CRLNumber(number), critical=False)
            .add_extension(_issuer_id(self.key.public_key()), critical=False)
        )
        for serial in serials:
            revoked = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(now)
            builder = builder.add_revoked_certificate(revoked.build())
        return builder.sign(self.key, SHA256()).public_bytes(serialization.Encoding.PEM)


class _Chip(Struct, frozen=True, forbid_unknown_fields=True):
    """What a card's file holds; DER and digests in base64."""

    certificate: bytes
    private_key: bytes
    pin_salt: bytes
    pin_digest: bytes
    tries_left: int


class SimulatedCard:
    """A card in a file that only its owner may read; every change is durable before it is told."""

    def __init__(self, path: Path) -> None:
        """
        Take up a card.

        Raises:
            OSError: If the file cannot be read.
            msgspec.MsgspecError: If it is no card.
        """
        self._path = path
        self._chip = msgspec.json.decode(path.read_bytes(), type=_Chip)
        key = serialization.load_der_private_key(self._chip.private_key, None)
        assert isinstance(key, rsa.RSAPrivateKey)
        self._key = key

    @classmethod
    def create(cls, path: Path, certificate: bytes, private_key: bytes, pin: str) -> SimulatedCard:
        """
        Write a card's file: certificate in DER, key in PKCS #8 DER, a PIN of four digits.

        Raises:
            PinFormError: If the PIN is none.
        """
        _require_pin_form(pin)
        salt = secrets.token_bytes(16)
        chip = _Chip(certificate, private_key, salt, _digest(salt, pin), PIN_TRIES_MAX)
        replace_file(path, msgspec.json.encode(chip))
        return cls(path)

    @property
    def certificate(self) -> bytes:
        """The certificate in DER; a card gives it without a PIN."""
        return self._chip.certificate

    @property
    def tries_left(self) -> int:
        """How many wrong PINs the card still bears; 0 means locked."""
        return self._chip.tries_left

    def verify_pin(self, pin: str) -> HolderCheckResult:
        """
        Compare a PIN.

        The third wrong one in a row locks; then even the right one is LOCKED. A right one before
        that gives all tries back (health-info.md D.4, vectors D-4 and D-5).

        Raises:
            PinFormError: For anything but four ASCII digits; no try is lost (D-6).
        """
        _require_pin_form(pin)
        chip = self._chip
        if chip.tries_left == 0:
            return HolderCheckResult.LOCKED
        if hmac.compare_digest(_digest(chip.pin_salt, pin), chip.pin_digest):
            self._keep(tries_left=PIN_TRIES_MAX)
            return HolderCheckResult.PASSED
        self._keep(tries_left=chip.tries_left - 1)
        return HolderCheckResult.FAILED if self.tries_left else HolderCheckResult.LOCKED

    def unlock(self, new_pin: str) -> None:
        """
        Set a new PIN with all its tries, as the municipality does after looking at the holder.

        Raises:
            PinFormError: If the PIN is none.
        """
        _require_pin_form(new_pin)
        salt = secrets.token_bytes(16)
        self._keep(pin_salt=salt, pin_digest=_digest(salt, new_pin), tries_left=PIN_TRIES_MAX)

    def prove(
        self,
        challenge: bytes,
        check: HolderCheck,
        *,
        pin: str = "",
        face_score: int = 0,
        is_alike: bool = True,
    ) -> card_pb2.CardProof:
        """
        Check the holder and sign what came of it, also a failure, so that it can be recorded.

        Args:
            challenge: The gateway's, 32 bytes.

            check: How the holder is checked.

            pin: What was typed; with PIN only.

            face_score: How alike the faces are, 0 to 100; with FACE only.

            is_alike: What the reader makes of the faces, or the staff who compared by sight.

        Raises:
            PinFormError: As `verify_pin`; nothing is signed then.
        """
        result = HolderCheckResult.PASSED if is_alike else HolderCheckResult.FAILED
        tries_left = 0
        if check is HolderCheck.PIN:
            result = self.verify_pin(pin)
            tries_left = self.tries_left
        proof = CardProof(
            challenge=challenge,
            certificate=self.certificate,
            holder_check=check,
            result=result,
            face_score=face_score if check is HolderCheck.FACE else 0,
            pin_tries_left=tries_left,
            signature=b"",
        )
        return card_pb2.CardProof(
            challenge=proof.challenge,
            certificate=proof.certificate,
            holder_check=card_pb2.HolderCheck.ValueType(proof.holder_check),
            result=card_pb2.HolderCheckResult.ValueType(proof.result),
            face_score=proof.face_score,
            pin_tries_left=proof.pin_tries_left,
            signature=self._key.sign(proof.signed(), PKCS1v15(), SHA256()),
        )

    def _keep(self, **changes: int | bytes) -> None:
        chip = msgspec.structs.replace(self._chip, **changes)
        if chip != self._chip:
            replace_file(self._path, msgspec.json.encode(chip))
            self._chip = chip


def new_key() -> rsa.RSAPrivateKey:
    """Make a key for a card or an authority; slow."""
    return rsa.generate_private_key(KEY_EXPONENT, KEY_BITS)


def new_pin() -> str:
    """Draw a PIN."""
    return f"{secrets.randbelow(10**PIN_DIGITS):0{PIN_DIGITS}}"


def private_key_der(key: rsa.RSAPrivateKey) -> bytes:
    """A key as PKCS #8 DER, as a card is created with."""
    return _key_bytes(key, serialization.Encoding.DER)


def write_anchors(path: Path, authorities: Iterable[UserAuthenticationAuthority]) -> None:
    """Write the certificates of several generations into one file for a verifier to pin."""
    replace_file(path, b"".join(_pem(one.certificate) for one in authorities))


def replace_file(path: Path, content: bytes) -> None:
    """Replace a file at once and for good, readable by its owner only."""
    half = path.with_name(f".{path.name}.new")
    descriptor = os.open(half, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    half.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _require_pin_form(pin: str) -> None:
    if not (len(pin) == PIN_DIGITS and pin.isascii() and pin.isdigit()):
        raise PinFormError("a PIN is four digits")


def _digest(salt: bytes, pin: str) -> bytes:
    """Hide a PIN from a glance; the key beside it in the file is what is worth stealing."""
    return hashlib.blake2b(pin.encode(), salt=salt, digest_size=32).digest()


def _builder(
    subject: x509.Name, issuer: x509.Name, key: rsa.RSAPublicKey, begin: datetime, end: datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(begin - BACKDATED)
        .not_valid_after(end)
    )


def _name(common_name: str, organization: str = "") -> x509.Name:
    parts = [x509.NameAttribute(NameOID.COUNTRY_NAME, "JP")]
    if organization:
        parts.append(x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization))
    return x509.Name([*parts, x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _usage(*, is_authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not is_authority,
        key_cert_sign=is_authority,
        crl_sign=is_authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _issuer_id(key: rsa.RSAPublicKey) -> x509.AuthorityKeyIdentifier:
    return x509.AuthorityKeyIdentifier.from_issuer_public_key(key)


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _key_bytes(key: rsa.RSAPrivateKey, encoding: serialization.Encoding) -> bytes:
    return key.private_bytes(
        encoding, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )

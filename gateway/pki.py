"""
Certificates of the simulation: issuing them, and reading who a client certificate names.

A client's role and code stand in one SAN URI, `urn:onshi-gateway:<role>:<code>`; nothing else in
the certificate counts (house decision 0005). Keys are ECDSA P-256. No clock is read here. These
certificates mean nothing outside a simulation.
"""

from __future__ import annotations

import ipaddress
import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from gateway.domain.errors import NotPermitted, Refusal
from gateway.domain.identifiers import InstitutionCode, InsurerNumber
from gateway.domain.purpose import Role

URI_PREFIX: Final = "urn:onshi-gateway:"
AUTHORITY_DAYS: Final = 3_650
BACKDATED: Final = timedelta(minutes=5)
"""Certificates are valid from a little before now, for machines whose clocks differ."""
LIST_DAYS: Final = 30
_NAME: Final = re.compile("[a-z0-9-]{1,40}")


@dataclass(frozen=True, slots=True)
class Authority:
    """A certificate authority that can issue."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey


@dataclass(frozen=True, slots=True)
class Leaf:
    """A certificate with its key, as PEM."""

    certificate: bytes
    key: bytes

    def write(self, folder: Path) -> None:
        """Write `key.pem` (for its owner's eyes only), then `certificate.pem`."""
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        _write(folder / "key.pem", self.key)
        _write(folder / "certificate.pem", self.certificate)


@dataclass(frozen=True, slots=True)
class RevocationList:
    """The certificates that no longer count; `version` is the list's own number (CRL number)."""

    version: int
    serials: frozenset[int]

    @classmethod
    def load(cls, path: Path) -> RevocationList:
        """
        Read a list in PEM form.

        Raises:
            OSError: If it cannot be read.
            ValueError: If it is no revocation list, or has no number.
        """
        crl = x509.load_pem_x509_crl(path.read_bytes())
        try:
            number = crl.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number
        except x509.ExtensionNotFound:
            raise ValueError("the revocation list has no number") from None
        return cls(number, frozenset(revoked.serial_number for revoked in crl))


def open_authority(directory: Path, name: str, now: datetime) -> Authority:
    """Give the authority of a directory (`ca.pem`, `ca-key.pem`), made if there is none."""
    certificate, key = directory / "ca.pem", directory / "ca-key.pem"
    if certificate.exists():
        loaded = serialization.load_pem_private_key(key.read_bytes(), None)
        assert isinstance(loaded, ec.EllipticCurvePrivateKey)
        return Authority(x509.load_pem_x509_certificate(certificate.read_bytes()), loaded)
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    authority = issue_authority(name, now)
    _write(key, _pem_of(authority.key))
    _write(certificate, authority.certificate.public_bytes(serialization.Encoding.PEM))
    return authority


def issue_authority(name: str, now: datetime) -> Authority:
    """Issue a CA that signs itself and may sign leaves only."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = _subject(name)
    builder = (
        _builder(subject, subject, key.public_key(), key.public_key(), now, AUTHORITY_DAYS)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
    )
    return Authority(builder.sign(key, hashes.SHA256()), key)


def issue_leaf(authority: Authority, role: Role, code: str, now: datetime, days: int) -> Leaf:
    """
    Issue a client certificate for a role.

    Raises:
        NotPermitted: `CERTIFICATE_ROLE_UNKNOWN` if the code is not one of that role.
    """
    uri = f"{URI_PREFIX}{role.value}:{code}"
    parse_identity([uri])
    names = [x509.UniformResourceIdentifier(uri)]
    return _issue(
        authority, f"{role.value} {code}", names, ExtendedKeyUsageOID.CLIENT_AUTH, now, days
    )


def issue_server_leaf(authority: Authority, now: datetime, days: int, hosts: Iterable[str]) -> Leaf:
    """Issue the gateway's certificate for host names and IP addresses."""
    names = [_host(host) for host in hosts]
    return _issue(
        authority, "Onshi Gateway simulation", names, ExtendedKeyUsageOID.SERVER_AUTH, now, days
    )


def issue_revocation_list(
    authority: Authority, serials: Iterable[int], number: int, now: datetime
) -> bytes:
    """Issue a list of revoked certificates in PEM form."""
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(authority.certificate.subject)
        .last_update(now)
        .next_update(now + timedelta(days=LIST_DAYS))
        .add_extension(x509.CRLNumber(number), critical=False)
        .add_extension(_authority_id(authority.key.public_key()), critical=False)
    )
    for serial in serials:
        revoked = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(now)
        builder = builder.add_revoked_certificate(revoked.build())
    return builder.sign(authority.key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def serial_of(pem: bytes) -> int:
    """
    The serial number of a certificate.

    Raises:
        NotPermitted: `CERTIFICATE_ROLE_UNKNOWN` if it is no certificate.
    """
    return _certificate(pem).serial_number


def caller_of(pem: bytes) -> tuple[Role, str]:
    """
    Read role and code from a certificate, as `parse_identity`; only its URIs count.

    Raises:
        NotPermitted: As `parse_identity`, and if it is no certificate.
    """
    try:
        names = _certificate(pem).extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except (ValueError, x509.ExtensionNotFound):
        raise NotPermitted("CERTIFICATE_ROLE_UNKNOWN") from None
    return parse_identity(names.value.get_values_for_type(x509.UniformResourceIdentifier))


def parse_identity(names: Sequence[str]) -> tuple[Role, str]:
    """
    Read role and code from the subject alternative names of a certificate.

    An institution's code is an institution code, an insurer's its zero-padded number, any other's
    a short name.

    Raises:
        NotPermitted: `CERTIFICATE_ROLE_UNKNOWN` unless exactly one name is ours and is good.
    """
    ours = [name.removeprefix(URI_PREFIX) for name in names if name.startswith(URI_PREFIX)]
    if len(ours) == 1:
        role_text, _, code = ours[0].partition(":")
        try:
            role = Role(role_text)
            if _is_code_of(role, code):
                return role, code
        except (ValueError, Refusal):
            pass
    raise NotPermitted("CERTIFICATE_ROLE_UNKNOWN")


def _certificate(pem: bytes) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificate(pem)
    except ValueError:
        raise NotPermitted("CERTIFICATE_ROLE_UNKNOWN") from None


def _is_code_of(role: Role, code: str) -> bool:
    match role:
        case Role.INSTITUTION:
            return InstitutionCode(code).digits == code
        case Role.INSURER:
            return InsurerNumber(code).zero_padded == code
        case _:
            return _NAME.fullmatch(code) is not None


def _issue(
    authority: Authority,
    name: str,
    names: Sequence[x509.GeneralName],
    usage: x509.ObjectIdentifier,
    now: datetime,
    days: int,
) -> Leaf:
    key = ec.generate_private_key(ec.SECP256R1())
    issuer = authority.certificate.subject
    builder = (
        _builder(_subject(name), issuer, key.public_key(), authority.key.public_key(), now, days)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
    )
    certificate = builder.sign(authority.key, hashes.SHA256())
    return Leaf(certificate.public_bytes(serialization.Encoding.PEM), _pem_of(key))


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePublicKey,
    issuer_key: ec.EllipticCurvePublicKey,
    now: datetime,
    days: int,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - BACKDATED)
        .not_valid_after(now + timedelta(days=days))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
        .add_extension(_authority_id(issuer_key), critical=False)
    )


def _authority_id(key: ec.EllipticCurvePublicKey) -> x509.AuthorityKeyIdentifier:
    return x509.AuthorityKeyIdentifier.from_issuer_public_key(key)


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _subject(name: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Onshi Gateway simulation"),
            x509.NameAttribute(NameOID.COMMON_NAME, name),
        ]
    )


def _host(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _pem_of(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def _write(path: Path, content: bytes) -> None:
    """Replace a file at once, readable by its owner only."""
    half = path.with_name(f".{path.name}.new")
    descriptor = os.open(half, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    half.replace(path)

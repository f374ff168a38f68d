"""Certificates of the simulation: who they name, what TLS accepts, what a revocation list says."""

from __future__ import annotations

import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.x509.verification import (
    ClientVerifier,
    ExtensionPolicy,
    PolicyBuilder,
    Store,
    VerificationError,
)

from gateway.domain.errors import NotPermitted
from gateway.domain.purpose import Role
from gateway.pki import (
    Authority,
    Leaf,
    RevocationList,
    caller_of,
    issue_authority,
    issue_leaf,
    issue_revocation_list,
    issue_server_leaf,
    open_authority,
    parse_identity,
    serial_of,
)

NOW = datetime(2026, 11, 25, 9, tzinfo=UTC)
CALLERS = [
    (Role.INSTITUTION, "1319999999"),
    (Role.INSURER, "06139992"),
    (Role.REVIEW_BODY, "review-1"),
    (Role.PORTAL, "portal-1"),
    (Role.OPERATOR, "operator-1"),
]


@pytest.fixture(scope="module")
def authority() -> Authority:
    """A CA."""
    return issue_authority("test CA", NOW)


def verifier(authority: Authority, at: datetime) -> ClientVerifier:
    """What a careful server would check a client certificate with."""
    policy = ExtensionPolicy.permit_all()
    return (
        PolicyBuilder()
        .store(Store([authority.certificate]))
        .time(at)
        .extension_policies(
            ca_policy=ExtensionPolicy.webpki_defaults_ca(),
            ee_policy=policy,
        )
        .build_client_verifier()
    )


def verified(authority: Authority, leaf: Leaf, at: datetime) -> None:
    """Verify a chain; raises `VerificationError`."""
    verifier(authority, at).verify(x509.load_pem_x509_certificate(leaf.certificate), [])


@pytest.mark.parametrize(("role", "code"), CALLERS)
def test_a_leaf_names_its_role_and_code(authority: Authority, role: Role, code: str) -> None:
    """Each role's certificate is read back as who it was issued to."""
    leaf = issue_leaf(authority, role, code, NOW, 30)

    assert (role, code) == caller_of(leaf.certificate)


@pytest.mark.parametrize(
    "names",
    [
        [],
        ["urn:other:institution:1319999999"],
        ["urn:onshi-gateway:institution:1319999998"],
        ["urn:onshi-gateway:institution:131999999"],
        ["urn:onshi-gateway:insurer:6139992"],
        ["urn:onshi-gateway:insurer:06139991"],
        ["urn:onshi-gateway:nobody:1"],
        ["urn:onshi-gateway:portal:"],
        ["urn:onshi-gateway:portal:A B"],
        ["urn:onshi-gateway:portal:p", "urn:onshi-gateway:operator:o"],
    ],
)
def test_names_that_are_not_exactly_one_good_one_are_refused(names: list[str]) -> None:
    """A caller without one sound name is nobody."""
    with pytest.raises(NotPermitted) as refused:
        parse_identity(names)

    assert refused.value.reason == "CERTIFICATE_ROLE_UNKNOWN"


def test_names_of_others_beside_ours_do_not_count() -> None:
    """A certificate may carry further names."""
    names = ["localhost", "urn:onshi-gateway:portal:portal-1", "https://example.org"]

    assert parse_identity(names) == (Role.PORTAL, "portal-1")


@pytest.mark.parametrize(("role", "code"), [(Role.INSURER, "1"), (Role.PORTAL, "P")])
def test_a_leaf_with_a_bad_code_is_not_issued(authority: Authority, role: Role, code: str) -> None:
    """What could not be read back is not made."""
    with pytest.raises(NotPermitted):
        issue_leaf(authority, role, code, NOW, 30)


def test_a_leaf_verifies_within_its_days_and_not_after(authority: Authority) -> None:
    """The chain holds to the end of the days it was issued for."""
    leaf = issue_leaf(authority, Role.PORTAL, "portal-1", NOW, 30)
    verified(authority, leaf, NOW + timedelta(days=29))

    with pytest.raises(VerificationError):
        verified(authority, leaf, NOW + timedelta(days=31))


def test_a_leaf_of_another_authority_does_not_verify(authority: Authority) -> None:
    """A foreign CA of the same name is foreign."""
    foreign = issue_authority("test CA", NOW)
    leaf = issue_leaf(foreign, Role.PORTAL, "portal-1", NOW, 30)

    with pytest.raises(VerificationError):
        verified(authority, leaf, NOW)


def test_a_server_leaf_names_hosts_and_addresses(authority: Authority) -> None:
    """Clients may come by name or by address, and it is no client's certificate."""
    leaf = issue_server_leaf(authority, NOW, 30, ("localhost", "127.0.0.1", "::1"))
    names = (
        x509.load_pem_x509_certificate(leaf.certificate)
        .extensions.get_extension_for_class(x509.SubjectAlternativeName)
        .value
    )

    assert names.get_values_for_type(x509.DNSName) == ["localhost"]
    assert {"127.0.0.1", "::1"} == {
        str(address) for address in names.get_values_for_type(x509.IPAddress)
    }
    with pytest.raises(NotPermitted):
        caller_of(leaf.certificate)


def test_an_authority_is_made_once_and_its_key_is_closed(tmp_path: Path) -> None:
    """Opening a directory again gives the same CA; nobody else reads its key."""
    made = open_authority(tmp_path, "test CA", NOW)
    again = open_authority(tmp_path, "another name", NOW + timedelta(days=1))

    assert made.certificate == again.certificate
    assert stat.S_IMODE((tmp_path / "ca-key.pem").stat().st_mode) == 0o600


def test_a_revocation_list_names_serials_and_its_version(
    authority: Authority, tmp_path: Path
) -> None:
    """What is revoked is found by serial; the list's number tells a newer one."""
    leaf = issue_leaf(authority, Role.PORTAL, "portal-1", NOW, 30)
    path = tmp_path / "crl.pem"
    path.write_bytes(issue_revocation_list(authority, [serial_of(leaf.certificate)], 7, NOW))

    assert RevocationList(7, frozenset({serial_of(leaf.certificate)})) == RevocationList.load(path)


def test_what_is_no_certificate_names_nobody() -> None:
    """Bytes that are no certificate are refused, not a bug."""
    with pytest.raises(NotPermitted):
        caller_of(b"no certificate")
    with pytest.raises(NotPermitted):
        serial_of(b"no certificate")

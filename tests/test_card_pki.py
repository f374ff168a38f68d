"""Genuine cards: pinned anchors, what a certificate must be, revocation, the card's signature."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256, SHA384, HashAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.card_pki import CERTIFICATES_CACHED_MAX, CardAuthorities, GenuineCard
from gateway.domain.card import USER_AUTHENTICATION_POLICY, CardProof
from gateway.domain.errors import Refusal
from gateway.domain.period import Instant, instant_of
from loadtests.card_target import edited, read_card
from simulators.cards import UserAuthenticationAuthority, new_key, write_anchors

TODAY = datetime(2026, 4, 15, tzinfo=UTC)
NOW = instant_of(TODAY)
CHALLENGE = bytes(range(32))
SIGNING_POLICY = "1.3.6.1.4.1.32473.1.20"
CARD_SERIAL = 0x5EED


@dataclass
class World:
    """Three generations with one name, a card's key, and files to pin them in."""

    folder: Path
    generations: list[UserAuthenticationAuthority]
    key: rsa.RSAPrivateKey
    certificates: dict[str, bytes] = field(default_factory=dict)

    @property
    def anchors(self) -> Path:
        """The bundle of all generations."""
        return self.folder / "anchors.pem"

    @property
    def revoked(self) -> Path:
        """The revocation lists."""
        return self.folder / "revoked.pem"

    def proof(self, der: bytes, **changes: Any) -> CardProof:
        """A proof the card signed; changes come after the signature."""
        said: dict[str, Any] = {
            "challenge": CHALLENGE,
            "certificate": der,
            "holder_check": 2,
            "result": 1,
            "face_score": 0,
            "pin_tries_left": 3,
        }
        unsigned = CardProof.parse(**said, signature=b"\0")
        signature = self.key.sign(unsigned.signed(), PKCS1v15(), SHA256())
        return CardProof.parse(**{**said, "signature": signature, **changes})


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    """Three generations, pinned, without a list."""
    folder = tmp_path_factory.mktemp("cards")
    generations = [UserAuthenticationAuthority.make(TODAY) for _ in range(3)]
    world = World(folder, generations, new_key())
    write_anchors(world.anchors, generations)
    return world


@dataclass
class Form:
    """What a certificate says; the defaults are those of a good card."""

    issuer: UserAuthenticationAuthority
    key: Any
    policy: str | None = USER_AUTHENTICATION_POLICY
    may_sign: bool = True
    may_certify: bool = False
    begin: datetime = TODAY - timedelta(days=1)
    end: datetime = datetime(2026, 7, 15, 14, 59, 59, tzinfo=UTC)
    algorithm: HashAlgorithm = field(default_factory=SHA256)
    signer: rsa.RSAPrivateKey | None = None
    issuer_name: x509.Name | None = None
    names_issuer_key: bool = True
    extra: tuple[tuple[x509.ExtensionType, bool], ...] = ()
    serial: int = CARD_SERIAL

    def der(self) -> bytes:
        """Issue it."""
        usage = x509.KeyUsage(
            self.may_sign, not self.may_sign, False, False, False, self.may_certify, False, False,
            False,
        )  # fmt: skip
        key_id = x509.AuthorityKeyIdentifier.from_issuer_public_key(self.issuer.key.public_key())
        builder = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "0" * 23)]))
            .issuer_name(self.issuer_name or self.issuer.certificate.subject)
            .public_key(self.key)
            .serial_number(self.serial)
            .not_valid_before(self.begin)
            .not_valid_after(self.end)
            .add_extension(usage, critical=True)
        )
        if self.names_issuer_key:
            builder = builder.add_extension(key_id, critical=False)
        if self.policy is not None:
            policy = x509.PolicyInformation(x509.ObjectIdentifier(self.policy), None)
            builder = builder.add_extension(x509.CertificatePolicies([policy]), critical=True)
        for extension, critical in self.extra:
            builder = builder.add_extension(extension, critical=critical)
        return builder.sign(self.signer or self.issuer.key, self.algorithm).public_bytes(
            Encoding.DER
        )


def form(world: World, generation: int = 0, **changes: Any) -> Form:
    """A good card's certificate, but for what a test changes."""
    return Form(world.generations[generation], world.key.public_key(), **changes)


def outcome(
    authorities: CardAuthorities, proof: CardProof, now: Instant = NOW
) -> GenuineCard | str:
    """The card, or the reason it is refused for."""
    try:
        card = authorities.genuine(proof, now)
    except Refusal as refused:
        return refused.reason
    return "REVOKED" if card.is_revoked else card


def genuine(world: World, der: bytes, now: Instant = NOW) -> GenuineCard | str:
    """What a fresh gateway makes of a well signed proof with a certificate."""
    return outcome(CardAuthorities.load(world.anchors), world.proof(der), now)


@pytest.mark.parametrize("generation", [0, 1, 2])
def test_a_card_of_any_generation_is_genuine(world: World, generation: int) -> None:
    """One name, three keys: the anchor is found by key id; the last day is Japan's."""
    card = genuine(world, form(world, generation).der())

    assert isinstance(card, GenuineCard)
    assert date(2026, 7, 15) == card.last_day


def test_cards_with_one_serial_under_two_generations_are_two(world: World) -> None:
    """A serial number is unique for one issuer only."""
    one, other = (genuine(world, form(world, generation).der()) for generation in (0, 1))

    assert isinstance(one, GenuineCard)
    assert isinstance(other, GenuineCard)
    assert one.card_key != other.card_key


def test_an_issued_card_is_genuine(world: World) -> None:
    """What the simulated authority issues meets every rule of the gateway."""
    issued = world.generations[2].issue(world.key.public_key(), TODAY)
    card = genuine(world, issued.public_bytes(Encoding.DER))

    assert isinstance(card, GenuineCard)
    assert date(2031, 4, 15) == card.last_day


def _key_of(bits: int, exponent: int = 65_537) -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(exponent, bits)


FAULTS: dict[str, tuple[Callable[[World], Form], str]] = {
    "signed by another key under the right name and key id": (
        lambda w: form(w, signer=w.key),
        "CHAIN_INVALID",
    ),
    "an issuer of another name": (
        lambda w: form(w, issuer_name=x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "JPKI")])),
        "CHAIN_INVALID",
    ),
    "no key id of its issuer": (lambda w: form(w, names_issuer_key=False), "CHAIN_INVALID"),
    "another digest": (lambda w: form(w, algorithm=SHA384()), "CHAIN_INVALID"),
    "the policy for signatures": (lambda w: form(w, policy=SIGNING_POLICY), "WRONG_POLICY"),
    "no policy": (lambda w: form(w, policy=None), "WRONG_POLICY"),
    "a key that may not sign": (lambda w: form(w, may_sign=False), "CHAIN_INVALID"),
    "a key that may certify": (lambda w: form(w, may_certify=True), "CHAIN_INVALID"),
    "an authority": (
        lambda w: form(w, extra=((x509.BasicConstraints(ca=True, path_length=0), True),)),
        "CHAIN_INVALID",
    ),
    "something critical that nobody understands": (
        lambda w: form(w, extra=((x509.OCSPNoCheck(), True),)),
        "CHAIN_INVALID",
    ),
    "not valid yet": (lambda w: form(w, begin=TODAY + timedelta(seconds=1)), "CHAIN_INVALID"),
    "a short RSA key": (
        lambda w: Form(w.generations[0], _key_of(1_024).public_key()),
        "CHAIN_INVALID",
    ),
    "another exponent": (
        lambda w: Form(w.generations[0], _key_of(2_048, exponent=3).public_key()),
        "CHAIN_INVALID",
    ),
    "an elliptic key": (
        lambda w: Form(w.generations[0], ec.generate_private_key(ec.SECP256R1()).public_key()),
        "CHAIN_INVALID",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_certificate_with_one_fault_is_refused(world: World, fault: str) -> None:
    """Each rule is checked by itself (D-7, D-9)."""
    make, reason = FAULTS[fault]

    assert reason == genuine(world, make(world).der())


def test_what_may_be_is_not_refused(world: World) -> None:
    """Extensions that change nothing, and an expired certificate, whose grace is judged later."""
    harmless = (
        (x509.BasicConstraints(ca=False, path_length=None), True),
        (x509.OCSPNoCheck(), False),
    )
    before = TODAY - timedelta(hours=1)

    assert isinstance(genuine(world, form(world, extra=harmless).der()), GenuineCard)
    assert isinstance(genuine(world, form(world, end=before).der()), GenuineCard)


def test_an_authority_that_is_not_pinned_vouches_for_nobody(world: World) -> None:
    """A CA of the same name is foreign unless its key is pinned."""
    foreign = UserAuthenticationAuthority.make(TODAY)
    issued = foreign.issue(world.key.public_key(), TODAY)

    assert genuine(world, issued.public_bytes(Encoding.DER)) == "CHAIN_INVALID"


def test_an_authority_certificate_is_no_card(world: World) -> None:
    """An anchor presented as a card is refused."""
    assert genuine(world, world.generations[0].certificate.public_bytes(Encoding.DER)) in {
        "CHAIN_INVALID",
        "WRONG_POLICY",
    }


def test_an_anchor_vouches_while_it_is_in_force(world: World) -> None:
    """Before its first and after its last moment it vouches for nobody, cached or not."""
    anchor = world.generations[0].certificate
    first, last = instant_of(anchor.not_valid_before_utc), instant_of(anchor.not_valid_after_utc)
    begin = anchor.not_valid_before_utc - timedelta(days=1)
    shown = world.proof(form(world, begin=begin).der())
    authorities = CardAuthorities.load(world.anchors)

    for now, is_genuine in ((first, True), (Instant(first - 1), False), (last, True)):
        assert is_genuine is isinstance(outcome(authorities, shown, now), GenuineCard)
    assert outcome(authorities, shown, Instant(last + 1)) == "CHAIN_INVALID"


@pytest.mark.parametrize(
    "change",
    [
        {"challenge": bytes(32)},
        {"holder_check": 3, "pin_tries_left": 0},
        {"result": 2},
        {"pin_tries_left": 2},
        {"signature": bytes(256)},
        {"signature": b"\0"},
        {"signature": bytes(512)},
    ],
)
def test_a_proof_that_was_changed_is_invalid(world: World, change: dict[str, object]) -> None:
    """Whoever alters what the card said, or its signature, proves nothing."""
    authorities = CardAuthorities.load(world.anchors)
    der = form(world).der()

    assert isinstance(outcome(authorities, world.proof(der)), GenuineCard)
    assert outcome(authorities, world.proof(der, **change)) == "PROOF_INVALID"


def test_a_certificate_of_another_card_does_not_fit_the_signature(world: World) -> None:
    """A proof cannot be carried over to another certificate, even one with the same key."""
    one, other = form(world).der(), form(world, serial=7).der()
    authorities = CardAuthorities.load(world.anchors)

    assert outcome(authorities, world.proof(one, certificate=other)) == "PROOF_INVALID"


@pytest.mark.parametrize(
    "spoil",
    [
        lambda der: der + b"\0",
        lambda der: der[:-1],
        lambda der: der[1:],
        lambda der: der + der,
        lambda _: b"\x30\x00",
        lambda der: b"-----BEGIN CERTIFICATE-----" + der,
    ],
)
def test_anything_but_exactly_one_certificate_is_out_of_form(
    world: World, spoil: Callable[[bytes], bytes]
) -> None:
    """Trailing bytes and halves are refused, naming the field."""
    with pytest.raises(Refusal) as refused:
        CardAuthorities.load(world.anchors).genuine(world.proof(spoil(form(world).der())), NOW)

    assert (refused.value.reason, refused.value.field) == ("FORMAT_WRONG", "proof.certificate")


@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_no_spoilt_certificate_is_genuine_or_a_bug(world: World, data: st.DataObject) -> None:
    """Whatever few bytes are changed, the answer is a refusal and nothing else."""
    der = world.certificates.setdefault("good", form(world).der())
    spoilt = bytearray(der)
    places = st.integers(0, len(der) - 1)
    changed = data.draw(st.dictionaries(places, st.integers(1, 255), min_size=1, max_size=3))
    for place, by in changed.items():
        spoilt[place] ^= by

    assert isinstance(genuine(world, bytes(spoilt)), str)


@settings(max_examples=200, deadline=None)
@given(st.binary(min_size=1, max_size=64))
def test_arbitrary_bytes_are_refused(world: World, noise: bytes) -> None:
    """Bytes that are no certificate are out of form."""
    assert genuine(world, noise) == "FORMAT_WRONG"


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=12))
def test_no_bytes_reach_a_bug_or_pass(noise: bytes) -> None:
    """As a message, as a certificate, or as edits an authority signed: refused, never a bug."""
    assert read_card(noise) is None


def test_edits_are_signed_again() -> None:
    """The fuzzer's edits get past the issuer's signature: a certificate without edits is good."""
    assert edited(b"") != edited(b"\0\x05\x01")
    assert edited(b"") == edited(b"\0\x05\0")


def test_a_revoked_card_is_refused_as_soon_as_its_list_is_read(world: World) -> None:
    """A certificate seen before a new list is refused after it (D-8), under its issuer only."""
    first, second, _ = world.generations
    lists = [first.revocation_list([], 1, TODAY), second.revocation_list([CARD_SERIAL], 1, TODAY)]
    world.revoked.write_bytes(b"".join(lists))
    authorities = CardAuthorities.load(world.anchors, world.revoked)
    shown = world.proof(form(world).der())
    assert isinstance(outcome(authorities, shown), GenuineCard)

    _write_newer(world.revoked, first.revocation_list([CARD_SERIAL], 2, TODAY) + lists[1])
    authorities.refresh()
    assert outcome(authorities, shown) == "REVOKED"

    _write_newer(world.revoked, first.revocation_list([9], 3, TODAY) + lists[1])
    authorities.refresh()
    assert isinstance(outcome(authorities, shown), GenuineCard)


def test_a_list_past_its_next_update_still_counts(world: World) -> None:
    """Registered cards do not depend on a live authority, and revoked ones stay revoked."""
    world.revoked.write_bytes(world.generations[0].revocation_list([CARD_SERIAL], 1, TODAY))
    authorities = CardAuthorities.load(world.anchors, world.revoked)
    later = instant_of(TODAY + timedelta(days=400))

    good = world.proof(form(world, serial=7, end=TODAY + timedelta(days=900)).der())
    assert outcome(authorities, world.proof(form(world).der()), later) == "REVOKED"
    assert isinstance(outcome(authorities, good, later), GenuineCard)


def _write_newer(path: Path, content: bytes) -> None:
    stamp = path.stat().st_mtime_ns
    path.write_bytes(content)
    os.utime(path, ns=(stamp + 1_000, stamp + 1_000))


def _forged(pem: bytes) -> bytes:
    """A list whose signature, its last bytes, was changed."""
    der = bytearray(x509.load_pem_x509_crl(pem).public_bytes(Encoding.DER))
    der[-1] ^= 1
    return x509.load_der_x509_crl(bytes(der)).public_bytes(Encoding.PEM)


def test_a_list_that_is_not_sound_leaves_the_one_before_in_force(world: World) -> None:
    """Older, foreign, doubled, missing and garbled lists are refused as a whole."""
    first = world.generations[0]
    good = first.revocation_list([CARD_SERIAL], 5, TODAY)
    world.revoked.write_bytes(good)
    authorities = CardAuthorities.load(world.anchors, world.revoked)
    foreign = UserAuthenticationAuthority.make(TODAY).revocation_list([], 6, TODAY)
    unsound = [
        first.revocation_list([], 4, TODAY),
        foreign,
        good + foreign,
        first.revocation_list([], 6, TODAY) + first.revocation_list([], 7, TODAY),
        world.generations[1].revocation_list([], 6, TODAY),
        _forged(first.revocation_list([], 6, TODAY)),
        b"",
        good.replace(b"MII", b"MIJ", 1),
    ]
    for content in unsound:
        _write_newer(world.revoked, content)
        with pytest.raises(ValueError, match="revocation list"):
            authorities.refresh()
        assert outcome(authorities, world.proof(form(world).der())) == "REVOKED"


def test_unsound_anchors_are_not_loaded(world: World, tmp_path: Path) -> None:
    """A leaf, nothing, rubbish, or one anchor twice pins nothing."""
    path = tmp_path / "anchors.pem"
    leaf = world.generations[0].issue(world.key.public_key(), TODAY).public_bytes(Encoding.PEM)
    for content in (leaf, b"", b"rubbish", world.anchors.read_bytes() * 2):
        path.write_bytes(content)
        with pytest.raises(ValueError, match="anchors"):
            CardAuthorities.load(path)


def test_remembered_certificates_are_bounded(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The oldest goes when another comes, and is read again when it comes back."""
    assert CERTIFICATES_CACHED_MAX > 100
    monkeypatch.setattr("gateway.card_pki.CERTIFICATES_CACHED_MAX", 2)
    authorities = CardAuthorities.load(world.anchors)
    shown = [world.proof(form(world, serial=serial).der()) for serial in (1, 2, 3)]
    for proof in (*shown, *shown):
        assert isinstance(outcome(authorities, proof), GenuineCard)
        assert len(authorities._known) <= 2

"""Simulated cards: PIN counter, durability, what they sign; and what their authority issues."""

from __future__ import annotations

import re
import stat
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtensionOID, NameOID
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import MsgspecError

from gateway.card_pki import CardAuthorities
from gateway.domain.card import CardProof, CardRules, HolderCheck, HolderCheckResult, require_holder
from gateway.domain.errors import NotPermitted
from gateway.domain.period import instant_of
from gateway.v1 import card_pb2
from simulators.cards import (
    ANCHORS_FILE,
    REVOKED_FILE,
    PinFormError,
    SimulatedCard,
    UserAuthenticationAuthority,
    new_key,
    new_pin,
    private_key_der,
)

TODAY = datetime(2026, 4, 15, tzinfo=UTC)
PIN, WRONG = "0123", "9999"
CHALLENGE = bytes(range(32))
PASSED, FAILED, LOCKED = HolderCheckResult


@dataclass(frozen=True)
class Issued:
    """An authority, and a card's certificate and key."""

    folder: Path
    authority: UserAuthenticationAuthority
    certificate: bytes
    private_key: bytes


@pytest.fixture(scope="module")
def issued(tmp_path_factory: pytest.TempPathFactory) -> Issued:
    """One authority, one certificate: keys are slow to make."""
    folder = tmp_path_factory.mktemp("authority")
    authority = UserAuthenticationAuthority.open(folder, TODAY)
    key = new_key()
    certificate = authority.issue(key.public_key(), TODAY).public_bytes(Encoding.DER)
    return Issued(folder, authority, certificate, private_key_der(key))


@pytest.fixture
def card(issued: Issued, tmp_path: Path) -> SimulatedCard:
    """A fresh card."""
    return SimulatedCard.create(tmp_path / "card", issued.certificate, issued.private_key, PIN)


def parsed(message: card_pb2.CardProof) -> CardProof:
    """What the gateway reads of a proof."""
    return CardProof.parse(
        challenge=message.challenge,
        certificate=message.certificate,
        holder_check=message.holder_check,
        result=message.result,
        face_score=message.face_score,
        pin_tries_left=message.pin_tries_left,
        signature=message.signature,
    )


def test_three_wrong_pins_in_a_row_lock_for_good(card: SimulatedCard) -> None:
    """Two tries left, one, locked; then the right PIN does not help (D-4)."""
    said = [(card.verify_pin(pin), card.tries_left) for pin in (WRONG, WRONG, WRONG, PIN)]

    assert said == [(FAILED, 2), (FAILED, 1), (LOCKED, 0), (LOCKED, 0)]


def test_a_right_pin_gives_all_tries_back(card: SimulatedCard) -> None:
    """Two wrong, one right, two wrong: not locked (D-5)."""
    said = [card.verify_pin(pin) for pin in (WRONG, WRONG, PIN, WRONG, WRONG)]

    assert said == [FAILED, FAILED, PASSED, FAILED, FAILED]
    assert card.tries_left == 1


@pytest.mark.parametrize("pin", ["12a4", "12345", "123", "", "０１２３", "0123\n", "+123"])
def test_a_pin_out_of_form_costs_no_try(card: SimulatedCard, pin: str) -> None:
    """The card does not look at it, and signs nothing (D-6)."""
    with pytest.raises(PinFormError):
        card.verify_pin(pin)
    with pytest.raises(PinFormError):
        card.prove(CHALLENGE, HolderCheck.PIN, pin=pin)

    assert card.tries_left == 3


def test_tries_survive_taking_the_card_out(card: SimulatedCard) -> None:
    """Whoever takes the card up again finds the tries as they were left."""
    card.verify_pin(WRONG)
    again = SimulatedCard(card._path)
    assert again.tries_left == 2

    again.verify_pin(WRONG)
    again.verify_pin(WRONG)
    assert SimulatedCard(card._path).verify_pin(PIN) is LOCKED


def test_a_wrong_pin_is_not_told_before_it_is_counted(
    card: SimulatedCard, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a disk that fails, the try is neither lost nor answered."""

    def fail(_path: Path, _content: bytes) -> None:
        raise OSError("the disk is gone")

    monkeypatch.setattr("simulators.cards.replace_file", fail)
    with pytest.raises(OSError, match="gone"):
        card.verify_pin(WRONG)

    assert card.tries_left == SimulatedCard(card._path).tries_left == 3


def test_the_municipality_unlocks_with_a_new_pin(card: SimulatedCard) -> None:
    """The old PIN is then a wrong one."""
    for _ in range(3):
        card.verify_pin(WRONG)
    card.unlock("4321")

    assert SimulatedCard(card._path).tries_left == 3
    assert card.verify_pin(PIN) is FAILED
    assert card.verify_pin("4321") is PASSED


@settings(max_examples=50, deadline=None)
@given(pins=st.lists(st.sampled_from([PIN, WRONG, "12a4"]), max_size=8))
def test_the_counter_is_the_wrong_ones_since_the_last_right_one(
    issued: Issued, tmp_path_factory: pytest.TempPathFactory, pins: list[str]
) -> None:
    """In any order of PINs, the card bears three wrong ones in a row and no more."""
    path = tmp_path_factory.getbasetemp() / "counted"
    card = SimulatedCard.create(path, issued.certificate, issued.private_key, PIN)
    wrong = 0
    for pin in pins:
        try:
            result = card.verify_pin(pin)
        except PinFormError:
            continue
        if wrong < 3:
            wrong = 0 if pin == PIN else wrong + 1
            assert (result is PASSED) is (pin == PIN)
        assert card.tries_left == 3 - wrong


def test_a_card_is_for_its_owner_and_hides_its_pin(card: SimulatedCard, issued: Issued) -> None:
    """Nobody else may read the file, and the PIN does not stand in it."""
    content = card._path.read_bytes()

    assert stat.S_IMODE(card._path.stat().st_mode) == 0o600
    assert PIN.encode() not in content.replace(issued.certificate, b"")
    assert [path.name for path in card._path.parent.iterdir()] == ["card"]
    with pytest.raises(PinFormError):
        SimulatedCard.create(card._path, issued.certificate, issued.private_key, "123")
    assert content == card._path.read_bytes()


def test_what_is_no_card_is_not_taken_up(tmp_path: Path) -> None:
    """A file with something else is refused."""
    (tmp_path / "card").write_bytes(b"{}")
    with pytest.raises(MsgspecError):
        SimulatedCard(tmp_path / "card")


@pytest.mark.parametrize(
    ("check", "how", "reason"),
    [
        (HolderCheck.PIN, {"pin": PIN}, ""),
        (HolderCheck.PIN, {"pin": WRONG}, "PIN_WRONG"),
        (HolderCheck.FACE, {"face_score": 80}, ""),
        (HolderCheck.FACE, {"face_score": 79}, "FACE_NOT_MATCHED"),
        (HolderCheck.FACE, {"face_score": 99, "is_alike": False}, "FACE_NOT_MATCHED"),
        (HolderCheck.VISUAL, {}, ""),
        (HolderCheck.VISUAL, {"is_alike": False, "face_score": 50}, "FACE_NOT_MATCHED"),
    ],
)
def test_the_gateway_believes_what_a_card_signs(
    card: SimulatedCard, issued: Issued, check: HolderCheck, how: dict[str, object], reason: str
) -> None:
    """Whatever came of the check, the proof is genuine and says so."""
    proof = parsed(card.prove(CHALLENGE, check, **how))
    authorities = CardAuthorities.load(issued.folder / ANCHORS_FILE, issued.folder / REVOKED_FILE)
    assert authorities.genuine(proof, instant_of(TODAY)).last_day == date(2031, 4, 15)

    assert reason == _refusal(proof)


def _refusal(proof: CardProof) -> str:
    try:
        require_holder(proof, CardRules())
    except NotPermitted as refused:
        return refused.reason
    return ""


def test_a_locked_card_still_works_by_face_and_signs_that_it_is_locked(
    card: SimulatedCard,
) -> None:
    """Only the PIN is locked; the third wrong one and all after it say so."""
    said = [parsed(card.prove(CHALLENGE, HolderCheck.PIN, pin=WRONG)) for _ in range(4)]
    assert [proof.pin_tries_left for proof in said] == [2, 1, 0, 0]
    assert [proof.result for proof in said] == [FAILED, FAILED, LOCKED, LOCKED]

    face = parsed(card.prove(CHALLENGE, HolderCheck.FACE, face_score=90))
    assert face.result is PASSED


def test_a_client_in_any_language_can_check_a_proof(card: SimulatedCard) -> None:
    """The signature is RSASSA-PKCS1-v1_5 with SHA-256 over bytes put together from the message."""
    message = card.prove(CHALLENGE, HolderCheck.PIN, pin=WRONG)
    key = x509.load_der_x509_certificate(message.certificate).public_key()
    assert isinstance(key, RSAPublicKey)
    signed = b"onshi card proof 1\0" + CHALLENGE + bytes((2, 2, 0, 2))
    signed += x509.load_der_x509_certificate(message.certificate).fingerprint(SHA256())

    assert key.verify(message.signature, signed, PKCS1v15(), SHA256()) is None


def test_a_leaf_holds_no_personal_data(issued: Issued) -> None:
    """A country, 23 random characters, a made-up policy, and nothing beside (D-12)."""
    leaf = x509.load_der_x509_certificate(issued.certificate)
    policies = leaf.extensions.get_extension_for_class(x509.CertificatePolicies).value
    names = {attribute.oid: attribute.value for attribute in leaf.subject}

    assert {NameOID.COUNTRY_NAME, NameOID.COMMON_NAME} == set(names)
    assert re.fullmatch("[0-9A-Z]{23}", str(names[NameOID.COMMON_NAME]))
    assert {
        ExtensionOID.KEY_USAGE,
        ExtensionOID.CERTIFICATE_POLICIES,
        ExtensionOID.AUTHORITY_KEY_IDENTIFIER,
    } == {extension.oid for extension in leaf.extensions}
    assert [policy.policy_identifier.dotted_string for policy in policies] == [
        "1.3.6.1.4.1.32473.1.30"
    ]
    assert "O=JPKI-SIM" in leaf.issuer.rfc4514_string().split(",")


def test_a_leaf_is_good_to_the_end_of_its_last_day_in_japan(issued: Issued) -> None:
    """Five years from the day of issue in Japan, or to a day that was asked for."""
    key = x509.load_der_x509_certificate(issued.certificate).public_key()
    assert isinstance(key, RSAPublicKey)
    late = datetime(2028, 2, 28, 16, tzinfo=UTC)
    ends = [
        issued.authority.issue(key, late).not_valid_after_utc,
        issued.authority.issue(key, TODAY, date(2025, 7, 15)).not_valid_after_utc,
    ]

    assert ends == [
        datetime(2033, 2, 28, 14, 59, 59, tzinfo=UTC),
        datetime(2025, 7, 15, 14, 59, 59, tzinfo=UTC),
    ]


def test_a_leaf_does_not_outlive_its_authority(issued: Issued) -> None:
    """An authority that is about to end issues nothing that would be refused later."""
    key = x509.load_der_x509_certificate(issued.certificate).public_key()
    assert isinstance(key, RSAPublicKey)
    end = issued.authority.certificate.not_valid_after_utc
    with pytest.raises(ValueError, match="outlive"):
        issued.authority.issue(key, end - timedelta(days=900))


def test_an_authority_is_made_once_and_its_key_is_closed(issued: Issued) -> None:
    """Opening the folder again gives the same one; its files are there for a gateway to start."""
    again = UserAuthenticationAuthority.open(issued.folder, TODAY + timedelta(days=9))
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in issued.folder.iterdir()}

    assert issued.authority.certificate == again.certificate
    assert modes == dict.fromkeys(("anchors.pem", "ca-key.pem", "ca.pem", "revoked.pem"), 0o600)


def test_a_drawn_pin_is_four_digits(card: SimulatedCard) -> None:
    """Leading zeros stay."""
    for _ in range(50):
        card.unlock(new_pin())

"""A card's proof, its certificate's last days, and who counts as its holder."""

from __future__ import annotations

import hashlib
from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.card import (
    CardProof,
    CardRules,
    CertificateState,
    HolderCheck,
    HolderCheckResult,
    card_key,
    certificate_state,
    require_holder,
)
from gateway.domain.errors import InvalidInput, NotPermitted
from gateway.domain.period import days_after, is_within, month_end, months_after
from tests.strategies import days

RAW: dict[str, Any] = {
    "challenge": bytes(range(32)),
    "certificate": b"certificate",
    "holder_check": 2,
    "result": 2,
    "face_score": 0,
    "pin_tries_left": 1,
    "signature": b"signature",
}
DOCUMENTED = "6ab559f3b21bbda05d9570468cef57f2f5e99de6bb04253f9e3ec3590a793c26"
"""The example of docs/cards.md."""
FACE, PIN, VISUAL = HolderCheck.FACE, HolderCheck.PIN, HolderCheck.VISUAL
PASSED, FAILED, LOCKED = HolderCheckResult


def proof(**changes: object) -> CardProof:
    """A proof that parses, but for what a test changes."""
    return CardProof.parse(**(RAW | changes))


def test_what_is_signed_is_the_same_bytes_in_every_language() -> None:
    """Label, challenge, four bytes of the check, digest of the certificate: 87 bytes in all."""
    expected = (
        b"onshi card proof 1\x00"
        + bytes(range(32))
        + b"\x02\x02\x00\x01"
        + hashlib.sha256(b"certificate").digest()
    )
    assert expected == proof().signed()
    assert len(expected) == 87
    assert hashlib.sha256(expected).hexdigest() == DOCUMENTED


@pytest.mark.parametrize(
    "change",
    [
        {"challenge": bytes(32)},
        {"certificate": b"another"},
        {"holder_check": 3, "pin_tries_left": 0},
        {"result": 3},
        {"holder_check": 1, "face_score": 1, "pin_tries_left": 0},
        {"pin_tries_left": 2},
    ],
)
def test_everything_a_proof_says_is_signed(change: dict[str, object]) -> None:
    """No field but the signature can change without changing what is signed."""
    assert proof().signed() != proof(**change).signed()


@pytest.mark.parametrize(
    ("change", "reason", "field"),
    [
        ({"challenge": b""}, "FIELD_REQUIRED", "challenge"),
        ({"challenge": bytes(31)}, "FORMAT_WRONG", "challenge"),
        ({"challenge": bytes(33)}, "FORMAT_WRONG", "challenge"),
        ({"certificate": b""}, "FIELD_REQUIRED", "certificate"),
        ({"certificate": bytes(4_097)}, "FORMAT_WRONG", "certificate"),
        ({"signature": b""}, "FIELD_REQUIRED", "signature"),
        ({"signature": bytes(513)}, "FORMAT_WRONG", "signature"),
        ({"holder_check": 0}, "FIELD_REQUIRED", "holder_check"),
        ({"holder_check": 4}, "FORMAT_WRONG", "holder_check"),
        ({"result": 0}, "FIELD_REQUIRED", "result"),
        ({"result": -1}, "FORMAT_WRONG", "result"),
        ({"pin_tries_left": 4}, "FORMAT_WRONG", "pin_tries_left"),
        ({"pin_tries_left": -1}, "FORMAT_WRONG", "pin_tries_left"),
        ({"face_score": 1}, "FORMAT_WRONG", "face_score"),
        ({"holder_check": 1}, "FORMAT_WRONG", "pin_tries_left"),
        (
            {"holder_check": 1, "pin_tries_left": 0, "face_score": 101},
            "FORMAT_WRONG",
            "face_score",
        ),
        (
            {"holder_check": 1, "pin_tries_left": 0, "face_score": -1},
            "FORMAT_WRONG",
            "face_score",
        ),
        ({"holder_check": 3, "pin_tries_left": 0, "result": 3}, "FORMAT_WRONG", "result"),
    ],
)
def test_a_proof_out_of_form_names_its_field(
    change: dict[str, object], reason: str, field: str
) -> None:
    """What is missing, too long, unknown or contradicts the check is refused where it stands."""
    with pytest.raises(InvalidInput) as refused:
        proof(**change)
    assert (reason, f"proof.{field}") == (refused.value.reason, refused.value.field)


@pytest.mark.parametrize(
    "change",
    [
        {"certificate": bytes(4_096), "signature": bytes(512)},
        {"certificate": b"\0", "signature": b"\0"},
        {"pin_tries_left": 3},
        {"pin_tries_left": 0, "result": 3},
        {"holder_check": 1, "pin_tries_left": 0, "face_score": 100},
        {"holder_check": 3, "pin_tries_left": 0, "result": 1},
    ],
)
def test_the_bounds_of_a_proof_are_inclusive(change: dict[str, object]) -> None:
    """The longest and the shortest that may be are let through as they came."""
    read = proof(**change)
    assert RAW | change == {name: getattr(read, name) for name in RAW}


@given(
    st.fixed_dictionaries(
        {
            "challenge": st.binary(max_size=40),
            "certificate": st.binary(max_size=20),
            "holder_check": st.integers(-1, 5),
            "result": st.integers(-1, 5),
            "face_score": st.integers(-(2**31), 2**31 - 1),
            "pin_tries_left": st.integers(-(2**31), 2**31 - 1),
            "signature": st.binary(max_size=20),
        }
    )
)
def test_any_raw_values_parse_or_are_refused(raw: dict[str, Any]) -> None:
    """Whatever is sent, a proof that parses can be spelled for its signature."""
    try:
        read = CardProof.parse(**raw)
    except InvalidInput:
        return
    assert len(read.signed()) == 87


@pytest.mark.parametrize(
    ("on", "state"),
    [
        (date(2025, 4, 14), CertificateState.GOOD),
        (date(2025, 4, 15), CertificateState.NEAR_EXPIRY),
        (date(2025, 7, 15), CertificateState.NEAR_EXPIRY),
        (date(2025, 7, 16), CertificateState.IN_GRACE),
        (date(2025, 10, 31), CertificateState.IN_GRACE),
        (date(2025, 11, 1), None),
        (date(2030, 1, 1), None),
    ],
)
def test_certificate_of_15_july_counts_to_31_october(
    on: date, state: CertificateState | None
) -> None:
    """The published example: expiry 2025-07-15, usable to 2025-10-31 (D-10)."""
    if state is not None:
        assert state is certificate_state(date(2025, 7, 15), on)
        return
    with pytest.raises(NotPermitted) as refused:
        certificate_state(date(2025, 7, 15), on)
    assert refused.value.reason == "CARD_EXPIRED"


@pytest.mark.parametrize(
    ("last_day", "last_grace_day"),
    [
        (date(2025, 7, 1), date(2025, 10, 31)),
        (date(2025, 7, 31), date(2025, 10, 31)),
        (date(2025, 11, 30), date(2026, 2, 28)),
        (date(2027, 11, 30), date(2028, 2, 29)),
        (date(2025, 10, 5), date(2026, 1, 31)),
    ],
)
def test_grace_ends_with_the_third_month_after_the_expiry_month(
    last_day: date, last_grace_day: date
) -> None:
    """The day within the month does not matter, the year may turn, February may be short."""
    assert CertificateState.IN_GRACE is certificate_state(last_day, last_grace_day)
    with pytest.raises(NotPermitted):
        certificate_state(last_day, days_after(last_grace_day, 1))


@given(days, st.integers(-2_000, 2_000))
def test_states_follow_each_other_and_never_return(last_day: date, offset: int) -> None:
    """The day after is never better than the day before, and valid means up to the last day."""

    def rank(on: date) -> int:
        try:
            return certificate_state(last_day, on)
        except NotPermitted:
            return 4

    on = days_after(last_day, offset)
    assert rank(on) <= rank(days_after(on, 1))
    assert (rank(on) <= CertificateState.NEAR_EXPIRY) is (offset <= 0)


@pytest.mark.parametrize(
    ("day", "months", "expected"),
    [
        (date(2026, 5, 31), -3, date(2026, 2, 28)),
        (date(2028, 5, 31), -3, date(2028, 2, 29)),
        (date(2026, 1, 15), -1, date(2025, 12, 15)),
        (date(2026, 12, 15), 1, date(2027, 1, 15)),
        (date(2028, 2, 29), 60, date(2033, 2, 28)),
        (date(9999, 11, 30), 3, date(9999, 12, 30)),
        (date(1, 1, 31), -1, date(1, 1, 31)),
    ],
)
def test_months_later_is_the_same_day_or_the_last_of_its_month(
    day: date, months: int, expected: date
) -> None:
    """A day the other month lacks becomes its last; the calendar's ends hold."""
    assert expected == months_after(day, months)


@given(days)
def test_the_end_of_a_month_lies_in_it_and_the_next_day_does_not(day: date) -> None:
    """No day of a month is later than its end."""
    end = month_end(day)
    assert is_within(day, day.replace(day=1), end)
    assert days_after(end, 1).day == 1


@pytest.mark.parametrize(
    "change",
    [
        {"result": 1, "pin_tries_left": 3},
        {"holder_check": 1, "pin_tries_left": 0, "result": 1, "face_score": 80},
        {"holder_check": 3, "pin_tries_left": 0, "result": 1},
    ],
)
def test_each_check_that_passed_shows_the_holder(change: dict[str, object]) -> None:
    """Face, PIN and sight are equals at a reader."""
    assert require_holder(proof(**change), CardRules()) is None


@pytest.mark.parametrize(
    ("change", "rules", "reason"),
    [
        ({}, CardRules(), "PIN_WRONG"),
        ({"result": 3, "pin_tries_left": 0}, CardRules(), "PIN_LOCKED"),
        (
            {"holder_check": 1, "pin_tries_left": 0, "result": 1, "face_score": 79},
            CardRules(),
            "FACE_NOT_MATCHED",
        ),
        (
            {"holder_check": 1, "pin_tries_left": 0, "result": 1, "face_score": 89},
            CardRules(face_score_min=90),
            "FACE_NOT_MATCHED",
        ),
        (
            {"holder_check": 1, "pin_tries_left": 0, "result": 2, "face_score": 100},
            CardRules(),
            "FACE_NOT_MATCHED",
        ),
        ({"holder_check": 3, "pin_tries_left": 0}, CardRules(), "FACE_NOT_MATCHED"),
        (
            {"holder_check": 3, "pin_tries_left": 0, "result": 1},
            CardRules(is_visual_allowed=False),
            "VISUAL_NOT_ALLOWED",
        ),
    ],
)
def test_a_check_that_did_not_pass_is_refused(
    change: dict[str, object], rules: CardRules, reason: str
) -> None:
    """Each way to fail has its own reason, so that the desk knows what to try next."""
    with pytest.raises(NotPermitted) as refused:
        require_holder(proof(**change), rules)
    assert reason == refused.value.reason


def test_a_wrong_pin_tells_the_tries_left() -> None:
    """The desk can warn before the card locks."""
    with pytest.raises(NotPermitted) as refused:
        require_holder(proof(pin_tries_left=2), CardRules())
    assert refused.value.metadata == {"tries_left": "2"}


@pytest.mark.parametrize("check", [FACE, VISUAL])
def test_nothing_but_the_pin_will_do_where_it_is_required(check: HolderCheck) -> None:
    """A face that matches is not enough at the portal; a PIN is."""
    score = 100 if check is FACE else 0
    shown = proof(holder_check=check, result=PASSED, face_score=score, pin_tries_left=0)
    with pytest.raises(NotPermitted) as refused:
        require_holder(shown, CardRules(), is_pin_required=True)
    assert refused.value.reason == "PIN_REQUIRED"
    assert require_holder(proof(result=1), CardRules(), is_pin_required=True) is None


@given(st.sampled_from(HolderCheck), st.sampled_from(HolderCheckResult), st.integers(0, 100))
def test_no_check_that_failed_ever_shows_the_holder(
    check: HolderCheck, result: HolderCheckResult, score: int
) -> None:
    """Whatever the score, only PASSED passes."""
    if result is LOCKED and check is not PIN:
        return
    score = score if check is FACE else 0
    shown = proof(holder_check=check, result=result, face_score=score, pin_tries_left=0)
    try:
        require_holder(shown, CardRules(face_score_min=0))
    except NotPermitted:
        assert result is not PASSED
    else:
        assert result is PASSED


@given(st.binary(max_size=20), st.integers(1, 2**159), st.binary(max_size=20), st.integers(1))
def test_cards_have_the_same_key_only_for_the_same_issuer_and_serial(
    issuer: bytes, serial: int, other_issuer: bytes, other_serial: int
) -> None:
    """The key is 16 bytes, always the same, and tells generations apart."""
    key = card_key(issuer, serial)
    assert len(key) == 16
    is_same = (issuer, serial) == (other_issuer, other_serial)
    assert is_same is (key == card_key(other_issuer, other_serial))
    assert key == card_key(issuer, serial)

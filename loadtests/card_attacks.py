"""
What is tried with a card that must not work, or must: the status, the reason, the record of each.

Each case runs against a sandbox and says what it should see: also which record is in the access
log, and whether it names the cardholder, as it does once the card has proved itself. Planted
cases come first, which the same checker must fail. Sources: health-info.md D.7; docs/cards.md.

Another session's nonce of the same institution, on the same worker, is answered, and that is
right: a challenge shows that a proof is fresh and made for this caller, and the answer is about
the card that signed, so nobody learns what they might not ask anyway. It is used up all the same.

    python -m loadtests.card_attacks
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from gateway.app.sandbox import running_sandbox
from gateway.v1 import card_pb2
from loadtests.card_attack_cases import FACE, PIN, Attacks, Case
from loadtests.card_attack_stand import HOLDER, NOBODY, AttackStand, Seen, changed

FACE_SCORE_MIN: Final = 80
"""From this score on a face counts in a sandbox."""


@dataclass(frozen=True, slots=True)
class Row:
    """An attack, the case, and what it should see."""

    name: str
    case: Case
    expected: Seen
    about: bytes
    """Whose card it is."""


def denied(reason: str, *, is_named: bool = False) -> Seen:
    """A refusal by the door, recorded."""
    return Seen("PERMISSION_DENIED", reason, f"DENIED {reason}", HOLDER if is_named else NOBODY)


def answered(said: str, *, is_named: bool = True) -> Seen:
    """An answer: validity and the state of the certificate."""
    record = f"ANSWERED {said.partition(' ')[0]}"
    return Seen("OK", said, record, HOLDER if is_named else NOBODY)


def unreadable(reason: str) -> Seen:
    """A message that cannot be; nobody was looked at, so nothing is recorded."""
    return Seen("INVALID_ARGUMENT", reason)


def planted(at: Attacks) -> list[Row]:
    """Cases the checker must fail."""
    ann = at.people["ann"]

    return [
        Row("a replayed proof is answered", at.replayed(at.here), answered("1 GOOD"), ann),
        Row(
            "a changed score, but signed", at.score_changed_and_signed, denied("PROOF_INVALID"), ann
        ),
        Row("a good visit names somebody else", at.visit(), answered("1 GOOD"), b"nobody"),
        Row(
            "a refusal of nobody's names Ann",
            at.replayed(at.here),
            denied("CHALLENGE_REPLAYED", is_named=True),
            ann,
        ),
    ]


def rows(at: Attacks) -> list[Row]:
    """Every case in order; those that move the clock come last."""
    return [*_sessions(at), *_forgeries(at), *_holders(at), *_others(at)]


def _sessions(at: Attacks) -> list[Row]:
    table: list[tuple[str, Case, Seen]] = [
        ("replay, the same session", at.replayed(at.here), denied("CHALLENGE_REPLAYED")),
        ("replay, another session", at.replayed(at.beside), denied("CHALLENGE_AUDIENCE")),
        (
            "replay, a session on another worker",
            at.replayed(at.away),
            denied("CHALLENGE_UNKNOWN"),
        ),
        (
            "replay by another institution",
            at.replayed(at.stranger),
            denied("CHALLENGE_AUDIENCE"),
        ),
        (
            "a nonce of another institution",
            at.misplaced(at.stranger),
            denied("CHALLENGE_AUDIENCE"),
        ),
        (
            "another session's nonce, same institution",
            at.nonce_of_another_session,
            denied("CHALLENGE_AUDIENCE"),
        ),
        (
            "another session's nonce, another worker",
            at.misplaced(at.away),
            denied("CHALLENGE_UNKNOWN"),
        ),
        (
            "another visit's nonce put in after signing",
            at.nonce_put_into_a_proof,
            denied("PROOF_INVALID"),
        ),
        (
            "the portal's nonce at a reader",
            at.nonce_of_the_portal,
            denied("CHALLENGE_UNKNOWN"),
        ),
    ]
    return [Row(*row, at.people["ann"]) for row in table]


def _forgeries(at: Attacks) -> list[Row]:
    invalid = denied("PROOF_INVALID")
    wrong = {"check": PIN, "pin": at.ann.wrong_pin}
    far = {"check": FACE, "face_score": FACE_SCORE_MIN - 1}
    passed = card_pb2.HOLDER_CHECK_RESULT_PASSED
    certificate = at.ann.chip.certificate
    table: list[tuple[str, Case, Seen]] = [
        ("signed by another key", at.another_key, invalid),
        ("a wrong PIN told as right", at.spoilt(wrong, result=passed), invalid),
        ("a face score raised after signing", at.spoilt(far, face_score=99), invalid),
        ("a signature of zeros", at.spoilt(signature=bytes(256)), invalid),
        ("a foreign CA of the same name", at.foreign_authority, denied("CHAIN_INVALID")),
        ("a certificate signed anew by it", at.forged_certificate, denied("CHAIN_INVALID")),
        ("no signature", at.spoilt(signature=b""), unreadable("FIELD_REQUIRED")),
        ("half a challenge", at.spoilt(challenge=bytes(16)), unreadable("FORMAT_WRONG")),
        (
            "a certificate of zeros",
            at.spoilt(certificate=bytes(9)),
            unreadable("FORMAT_WRONG"),
        ),
        (
            "a certificate with bytes behind it",
            at.spoilt(certificate=certificate + b"\0"),
            unreadable("FORMAT_WRONG"),
        ),
        (
            "tries left beside a face",
            at.spoilt(far, pin_tries_left=3),
            unreadable("FORMAT_WRONG"),
        ),
    ]
    return [Row(*row, at.people["ann"]) for row in table]


def _holders(at: Attacks) -> list[Row]:
    def pin(typed: str) -> Case:
        return at.visit(at.cec, check=PIN, pin=typed)

    def face(score: int) -> Case:
        return at.visit(at.cec, check=FACE, face_score=score)

    wrong, locked = denied("PIN_WRONG", is_named=True), denied("PIN_LOCKED", is_named=True)
    far = denied("FACE_NOT_MATCHED", is_named=True)
    table: list[tuple[str, Case, Seen]] = [
        ("first wrong PIN", pin(at.cec.wrong_pin), wrong),
        ("second wrong PIN", pin(at.cec.wrong_pin), wrong),
        ("third wrong PIN", pin(at.cec.wrong_pin), locked),
        ("fourth wrong PIN", pin(at.cec.wrong_pin), locked),
        ("the right PIN after that", pin(at.cec.pin), locked),
        ("face, the PIN locked", face(FACE_SCORE_MIN), answered("1 GOOD")),
        ("a face below the threshold", face(FACE_SCORE_MIN - 1), far),
        ("sight, another person", at.visit(at.cec, is_alike=False), far),
    ]
    return [Row(*row, at.people["cec"]) for row in table]


def _others(at: Attacks) -> list[Row]:
    ann, bob = at.people["ann"], at.people["bob"]
    role = denied("ROLE_NOT_ALLOWED")
    unknown = answered("4 GOOD", is_named=False)
    table: list[tuple[str, Case, Seen, bytes]] = [
        ("a card nobody registered", at.visit(at.unregistered), unknown, ann),
        ("a portal at the reader", at.of_role(at.home, "ConfirmByCard"), role, ann),
        ("a clinic registers a card", at.of_role(at.here, "RegisterCard"), role, ann),
        ("a clinic asks who looked", at.of_role(at.here, "ListOwnAccesses"), role, ann),
        (
            "at the portal without PIN",
            at.portal_by_face,
            denied("PIN_REQUIRED", is_named=True),
            ann,
        ),
        ("a replaced card", at.replaced_card, denied("CARD_REVOKED", is_named=True), bob),
        ("a nonce of yesterday", at.stale, denied("CHALLENGE_EXPIRED"), ann),
        ("the day after the last valid day", at.in_grace, answered("1 IN_GRACE"), ann),
        (
            "the day after the grace",
            at.after_the_grace,
            denied("CARD_EXPIRED", is_named=True),
            ann,
        ),
    ]
    return [Row(*row) for row in table]


async def show_row(stand: AttackStand, row: Row) -> bool:
    """Run a case and print what was seen; whether it is as expected."""
    seen = await stand.seen(await row.case(), row.about)
    is_right = seen == row.expected
    record, mark = seen.record or "none", "as expected" if is_right else "FAIL"
    print(f"{row.name:46}{seen.status:19}{seen.reason:20}{record:28}{seen.named:8}{mark}")
    return is_right


def pins_on_the_wire(sent: Sequence[card_pb2.CardProof], pins: Collection[str]) -> int:
    """
    How many proofs hold the digits of a PIN, right or wrong, somewhere.

    The certificate is left out: it was issued before, and holds days in digits.
    """
    bare = [changed(proof, certificate=b"").SerializeToString() for proof in sent]
    return sum(any(pin.encode() in proof for pin in pins) for proof in bare)


async def attack(stand: AttackStand, folder: Path) -> bool:
    """Make every attack; whether all went as they must."""
    attacks = await Attacks.prepared(stand, folder)
    print(f"{'attack':46}{'status':19}{'reason':20}{'record':28}{'named':8}")
    noticed = [not await show_row(stand, row) for row in planted(attacks)]
    print(f"planted: {sum(noticed)} of {len(noticed)} noticed")
    right = [await show_row(stand, row) for row in rows(attacks)]
    cards = (attacks.ann, attacks.bob, attacks.cec)
    pins = {pin for card in cards for pin in (card.pin, card.wrong_pin)}
    leaky = changed(attacks.sent[0], signature=attacks.ann.pin.encode())
    is_leak_noticed = pins_on_the_wire([leaky], pins) == 1
    told = pins_on_the_wire(attacks.sent, pins)
    print(f"planted: a proof with a PIN in it is noticed: {is_leak_noticed}")
    print(f"proofs sent {len(attacks.sent)}, of them with a PIN in them {told}")
    print(f"attacks {len(right)}, not as expected {right.count(False)}")
    return all(noticed) and all(right) and is_leak_noticed and not told


async def show() -> int:
    """Run everything; 0 if all is as it must be."""
    with tempfile.TemporaryDirectory(prefix="onshi-attacks-") as scratch:
        root = Path(scratch)
        cards = root / "cards"
        cards.mkdir()
        async with running_sandbox(root / "box", port=0, people=0, seed=1) as (sandbox, gateway):
            stand = AttackStand(sandbox, gateway.address)
            try:
                return 0 if await attack(stand, cards) else 1
            finally:
                await stand.close()


def main() -> None:
    """Run."""
    sys.exit(asyncio.run(show()))


if __name__ == "__main__":
    main()

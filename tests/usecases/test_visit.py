"""A visit by card: who is answered, what is refused, and whom the record names."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from datetime import date
from itertools import count
from typing import Any

import pytest
from msgspec import structs

from gateway.domain.access import AccessRecord
from gateway.domain.card import (
    CardKey,
    CardProof,
    CardRules,
    CertificateState,
    HolderCheck,
    HolderCheckResult,
)
from gateway.domain.coverage import CoverState, Enrolment, History
from gateway.domain.eligibility import Validity, Why
from gateway.domain.errors import Conflict, InvalidInput, NotPermitted, Unavailable
from gateway.domain.period import Instant, days_after, tokyo_day
from gateway.domain.purpose import Role
from gateway.policy import published_policy
from gateway.store.memory import MemoryAccesses, MemoryStore
from gateway.store.port import Batch, NewCard, NewLink, NewVersion, UploadKey
from gateway.usecases.challenges import Challenges
from gateway.usecases.confirm_eligibility import LookupLimits
from gateway.usecases.context import Caller, Context
from gateway.usecases.door import Door
from gateway.usecases.visit import NOBODY, Cards, Visited, confirm_by_card, question_by_card
from tests.domain.covers import NOW, cover, enrolment, key, person
from tests.usecases.tokens import tokens

TODAY = tokyo_day(NOW)
LAST_DAY = days_after(TODAY, 1_000)
LIFETIME_MS = 60_000
LIMITS = LookupLimits(366, 31, 16, 2_000)
CLINIC, OTHER_CLINIC = "1319999999", "1319999981"
ANN, BOB, NEW = b"ann", b"bob", b"new"
"""Certificates: Ann is covered, nothing is linked to Bob, nobody registered the new one."""
GOOD: dict[str, Any] = {
    "certificate": ANN,
    "holder_check": HolderCheck.VISUAL,
    "result": HolderCheckResult.PASSED,
    "face_score": 0,
    "pin_tries_left": 0,
    "signature": b"genuine",
}
PIN_WRONG = {
    "holder_check": HolderCheck.PIN,
    "result": HolderCheckResult.FAILED,
    "pin_tries_left": 2,
}
PIN_LOCKED = {"holder_check": HolderCheck.PIN, "result": HolderCheckResult.LOCKED}
FACE_FAR = {"holder_check": HolderCheck.FACE, "face_score": 79}


@dataclass(frozen=True)
class Genuine:
    """What stands for a card that proved itself."""

    card_key: CardKey
    last_day: date
    is_revoked: bool


def card_key_of(certificate: bytes) -> CardKey:
    """The key of a made-up certificate."""
    return CardKey(certificate.ljust(16, b"."))


class FullAccesses(MemoryAccesses):
    """An access log on a full disk."""

    async def record(self, record: AccessRecord) -> str:
        """Fail."""
        raise Unavailable("STORE_UNAVAILABLE")


@dataclass
class Stand:
    """A counter with a reader, over a store in memory."""

    store: MemoryStore = field(default_factory=lambda: MemoryStore(lambda _: b""))
    accesses: MemoryAccesses = field(default_factory=MemoryAccesses)
    last_day: date = LAST_DAY
    is_revoked: bool = False
    is_visual_allowed: bool = True

    def __post_init__(self) -> None:
        numbers = count()
        challenges = Challenges(
            LIFETIME_MS, 100, a_caller_max=100, new_challenge=lambda: next(numbers).to_bytes(32)
        )
        self.tokens = tokens()
        rules = CardRules(is_visual_allowed=self.is_visual_allowed)
        self.cards = Cards(challenges, self.prove, rules)

    def prove(self, proof: CardProof, _now: Instant) -> Genuine:
        """Believe the signature `genuine`."""
        if proof.signature != b"genuine":
            raise NotPermitted("PROOF_INVALID")
        return Genuine(card_key_of(proof.certificate), self.last_day, self.is_revoked)

    def proof(self, clinic: str = CLINIC, **changes: Any) -> CardProof:
        """A proof for a challenge given to a clinic just now."""
        challenge, _ = self.cards.challenges.begin(f"institution:{clinic}", NOW)
        return CardProof(**{"challenge": challenge} | GOOD | changes)

    async def register(self, history: History, certificate: bytes) -> None:
        """Remember a person, and that a card is theirs."""
        batch = Batch(NOW, cards=[NewCard(card_key_of(certificate), history.person_key)])
        for one in history.enrolments:
            for made in one.covers:
                insurer = made.insured_id.insurer_number
                batch.versions.append(
                    NewVersion(one.enrollee_key, insurer, made, UploadKey(b"u" * 16), 1)
                )
            link = NewLink(one.enrollee_key, history.person_key, one.is_numbered, replaces=None)
            batch.links.append(link)
        if history.enrolments:
            batch.histories.append(history)
        await self.store.commit(batch)

    async def visit(
        self,
        proof: CardProof,
        on: date = TODAY,
        *,
        caller: Caller | None = None,
        now: Instant = NOW,
        is_limit_consented: bool = False,
        token: str = "",
    ) -> tuple[Visited, str]:
        """Visit."""
        context = Context(
            caller or Caller(Role.INSTITUTION, CLINIC),
            now,
            "gateway.v1.CardReaderService/ConfirmByCard",
        )
        return await confirm_by_card(
            proof,
            question_by_card(on, context, is_limit_consented=is_limit_consented),
            context,
            self.store,
            Door(published_policy(), self.accesses),
            self.cards,
            self.tokens,
            LIMITS,
            as_of=self.tokens.as_of(token, None),
        )

    async def refusal(self, proof: CardProof, **how: Any) -> str:
        """The reason a visit is refused for."""
        with pytest.raises(NotPermitted) as refused:
            await self.visit(proof, **how)
        return refused.value.reason

    def recorded(self) -> list[tuple[str, str, tuple[bytes, ...]]]:
        """Outcome, detail and people of each record."""
        return [(one.outcome, one.detail, one.people) for one in self.accesses.records]


def history(name: str, *, is_numbered: bool = True) -> History:
    """A person covered for a year, with My Number or without."""
    enrolled: Enrolment = enrolment(
        cover(days_after(TODAY, -365)), is_numbered=is_numbered, name=f"{name}-1"
    )
    return person(enrolled, name=name)


@pytest.fixture
async def stand() -> Stand:
    """Ann with cover and card, Bob with a card alone."""
    made = Stand()
    await made.register(history("ann"), ANN)
    await made.register(person(name="bob"), BOB)
    return made


async def test_a_registered_card_is_answered_for_its_holder(stand: Stand) -> None:
    """The answer is the holder's cover; its record says who looked at whom, and why."""
    visited, record_id = await stand.visit(stand.proof())
    confirmation = visited.confirmation
    assert (confirmation.validity, confirmation.why) == (Validity.VALID, Why.COVER_HOLDS)
    assert CertificateState.GOOD is visited.certificate_state
    (record,) = stand.accesses.records
    expected = ("institution", CLINIC, "OQS-MED-01", "ANSWERED", "1", (key("ann"),))
    assert expected == (
        record.role,
        record.code,
        record.purpose,
        record.outcome,
        record.detail,
        record.people,
    )
    assert record_id == "memory-1"


async def test_the_question_carries_day_consent_and_institution(stand: Stand) -> None:
    """What is asked is the holder on the day asked for, as this institution."""
    on = days_after(TODAY, -30)
    visited, _ = await stand.visit(stand.proof(), on, is_limit_consented=True)
    query = visited.query
    expected = (key("ann"), on, True, CLINIC)
    assert expected == (
        query.person_key,
        query.on,
        query.is_limit_consented,
        query.institution_code,
    )


async def test_a_card_nobody_registered_finds_nothing(stand: Stand) -> None:
    """That is an answer, about nobody."""
    visited, _ = await stand.visit(stand.proof(certificate=NEW))
    assert Validity.NO_SUCH_COVER is visited.confirmation.validity
    assert Why.CARD_NOT_REGISTERED is visited.confirmation.why
    assert visited.query.person_key == NOBODY
    assert stand.recorded() == [("ANSWERED", "4", ())]


async def test_a_holder_without_linked_cover_finds_nothing_and_is_named(stand: Stand) -> None:
    """The card is known, so the record says whose it is."""
    visited, _ = await stand.visit(stand.proof(certificate=BOB))
    assert Why.CARD_UNKNOWN is visited.confirmation.why
    assert [("ANSWERED", "4", (key("bob"),))] == stand.recorded()


async def test_a_cover_without_my_number_is_not_seen_by_card() -> None:
    """It answers by number only (R003-27)."""
    made = Stand()
    await made.register(history("ann", is_numbered=False), ANN)
    visited, _ = await made.visit(made.proof())
    assert Why.CARD_UNKNOWN is visited.confirmation.why
    assert visited.confirmation.shown == ()


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (PIN_WRONG, "PIN_WRONG"),
        (PIN_LOCKED, "PIN_LOCKED"),
        (FACE_FAR, "FACE_NOT_MATCHED"),
        ({"result": HolderCheckResult.FAILED}, "FACE_NOT_MATCHED"),
    ],
)
@pytest.mark.parametrize(("certificate", "people"), [(ANN, (key("ann"),)), (NEW, ())])
async def test_a_holder_who_was_not_checked_is_refused_and_named(
    stand: Stand,
    change: dict[str, Any],
    reason: str,
    certificate: bytes,
    people: tuple[bytes, ...],
) -> None:
    """The record names the cardholder where the card is registered, and nobody else."""
    proof = stand.proof(certificate=certificate, **change)
    assert reason == await stand.refusal(proof)
    assert [("DENIED", reason, people)] == stand.recorded()


async def test_sight_is_refused_where_it_is_not_allowed() -> None:
    """The operator decides whether staff may compare faces."""
    made = Stand(is_visual_allowed=False)
    await made.register(history("ann"), ANN)
    assert await made.refusal(made.proof()) == "VISUAL_NOT_ALLOWED"
    assert [("DENIED", "VISUAL_NOT_ALLOWED", (key("ann"),))] == made.recorded()


@pytest.mark.parametrize(
    ("days_left", "state"),
    [
        (1_000, CertificateState.GOOD),
        (0, CertificateState.NEAR_EXPIRY),
        (-1, CertificateState.IN_GRACE),
    ],
)
async def test_the_certificate_state_comes_with_the_answer(
    days_left: int, state: CertificateState
) -> None:
    """In grace the card still counts for eligibility."""
    made = Stand(last_day=days_after(TODAY, days_left))
    await made.register(history("ann"), ANN)
    visited, _ = await made.visit(made.proof())
    assert state is visited.certificate_state
    assert Validity.VALID is visited.confirmation.validity


async def test_an_expired_card_is_refused_and_its_holder_named() -> None:
    """It proved itself, so it is known whose it is; nothing is told beside."""
    made = Stand(last_day=days_after(TODAY, -200))
    await made.register(history("ann"), ANN)
    assert await made.refusal(made.proof(**PIN_WRONG)) == "CARD_EXPIRED"
    assert [("DENIED", "CARD_EXPIRED", (key("ann"),))] == made.recorded()


@pytest.mark.parametrize(("certificate", "people"), [(ANN, (key("ann"),)), (NEW, ())])
async def test_a_revoked_card_is_refused_and_its_holder_named(
    certificate: bytes, people: tuple[bytes, ...]
) -> None:
    """The person can see later that a lost card was used; the PIN is not spoken of."""
    made = Stand(is_revoked=True, last_day=days_after(TODAY, -200))
    await made.register(history("ann"), ANN)
    assert await made.refusal(made.proof(certificate=certificate, **PIN_WRONG)) == "CARD_REVOKED"
    assert made.recorded() == [("DENIED", "CARD_REVOKED", people)]


async def test_what_did_not_prove_itself_names_nobody(stand: Stand) -> None:
    """A forged proof cannot put somebody's name into the records."""
    assert await stand.refusal(stand.proof(signature=b"forged")) == "PROOF_INVALID"
    assert stand.recorded() == [("DENIED", "PROOF_INVALID", ())]


@pytest.mark.parametrize("change", [{}, PIN_WRONG, {"signature": b"forged"}])
async def test_a_challenge_is_good_once_whatever_came_of_it(
    stand: Stand, change: dict[str, Any]
) -> None:
    """After an answer, and after a refusal, the same challenge is a replay."""
    proof = stand.proof(**change)
    with suppress(NotPermitted):
        await stand.visit(proof)
    assert await stand.refusal(structs.replace(proof, **GOOD)) == "CHALLENGE_REPLAYED"
    assert stand.recorded()[-1] == ("DENIED", "CHALLENGE_REPLAYED", ())


async def test_another_institutions_challenge_is_refused_and_stays_good(stand: Stand) -> None:
    """Whoever it was given to can still use it."""
    proof = stand.proof()
    stranger = Caller(Role.INSTITUTION, OTHER_CLINIC)
    assert await stand.refusal(proof, caller=stranger) == "CHALLENGE_AUDIENCE"
    visited, _ = await stand.visit(proof)
    assert Validity.VALID is visited.confirmation.validity


async def test_a_late_proof_is_refused(stand: Stand) -> None:
    """From its expiry on a challenge is too old."""
    late = Instant(NOW + LIFETIME_MS * 1_000)
    assert await stand.refusal(stand.proof(), now=late) == "CHALLENGE_EXPIRED"


@pytest.mark.parametrize("days", [-367, 32])
async def test_a_day_too_far_is_refused_before_the_card_is_looked_at(
    stand: Stand, days: int
) -> None:
    """Nothing is recorded, and the challenge can still be used."""
    proof = stand.proof()
    with pytest.raises(InvalidInput, match="confirmation_date: DATE_OUT_OF_RANGE"):
        await stand.visit(proof, days_after(TODAY, days))
    assert stand.recorded() == []
    await stand.visit(proof)


async def test_a_role_the_purpose_is_not_for_never_gets_to_the_card(stand: Stand) -> None:
    """The door refuses a portal with this errand, records it and leaves the challenge alone."""
    proof = stand.proof()
    reason = await stand.refusal(proof, caller=Caller(Role.PORTAL, "portal-1"))
    assert [("DENIED", reason, ())] == stand.recorded()
    await stand.visit(proof)


@pytest.mark.parametrize("change", [{}, {"certificate": NEW}, PIN_WRONG, {"signature": b"forged"}])
async def test_nothing_is_answered_or_refused_without_a_record(change: dict[str, Any]) -> None:
    """Where no record can be written, the caller learns that and no more."""
    made = Stand(accesses=FullAccesses())
    await made.register(history("ann"), ANN)
    with pytest.raises(Unavailable, match="STORE_UNAVAILABLE"):
        await made.visit(made.proof(**change))


# Asked again with the answer's token


MUCH_LATER = Instant(NOW + 3_600_000_000)


async def change_of_ann(stand: Stand) -> None:
    """Ann's cover is suspended an hour later."""
    history = await stand.store.history_of(key("ann"))
    assert history is not None
    (held,) = history.enrolments
    (last,) = held.covers
    hidden = structs.replace(
        last, version_no=2, recorded_time=MUCH_LATER, state=CoverState.SUSPENDED
    )
    insurer = last.insured_id.insurer_number
    version = NewVersion(held.enrollee_key, insurer, hidden, UploadKey(b"u" * 16), 1)
    await stand.store.commit(Batch(MUCH_LATER, versions=[version]))


async def cover_of_bob(stand: Stand) -> None:
    """Bob is covered from an hour later on, and his card finds it."""
    (held,) = history("bob").enrolments
    (made,) = held.covers
    made = structs.replace(made, recorded_time=MUCH_LATER)
    insurer = made.insured_id.insurer_number
    version = NewVersion(held.enrollee_key, insurer, made, UploadKey(b"u" * 16), 1)
    link = NewLink(held.enrollee_key, key("bob"), is_numbered=True, replaces=None)
    known = person(structs.replace(held, covers=(made,)), name="bob")
    batch = Batch(MUCH_LATER, versions=[version], links=[link], histories=[known])
    await stand.store.commit(batch)
    visited, _ = await stand.visit(again(stand, MUCH_LATER, certificate=BOB), now=MUCH_LATER)
    assert Validity.VALID is visited.confirmation.validity


def told(visited: Visited) -> tuple[Any, ...]:
    """What an answer says, and its token."""
    said = visited.confirmation
    return said.validity, said.why, said.shown, said.decided_by, said.people, visited.token


async def test_the_same_card_gets_the_same_answer_again(stand: Stand) -> None:
    """Though by now the card finds nothing."""
    then, _ = await stand.visit(stand.proof())
    await change_of_ann(stand)
    now, _ = await stand.visit(again(stand, MUCH_LATER), now=MUCH_LATER)
    assert Validity.NO_SUCH_COVER is now.confirmation.validity
    later = Instant(MUCH_LATER + 10_000_000)
    repeated, _ = await stand.visit(again(stand, later), token=then.token, now=later)
    assert told(then) == told(repeated)
    assert stand.recorded()[-1] == ("ANSWERED", "1", (key("ann"),))


def again(stand: Stand, now: Instant, **changes: Any) -> CardProof:
    """A proof for a challenge given later."""
    challenge, _ = stand.cards.challenges.begin(f"institution:{CLINIC}", now)
    return CardProof(**{"challenge": challenge} | GOOD | changes)


async def test_a_card_that_was_not_registered_then_finds_nothing_again(stand: Stand) -> None:
    """It is registered and finds a cover by now; the answer of then was about nobody."""
    then, _ = await stand.visit(stand.proof(certificate=NEW))
    await stand.store.commit(Batch(MUCH_LATER, cards=[NewCard(card_key_of(NEW), key("ann"))]))
    later = Instant(MUCH_LATER + 10_000_000)
    proof = again(stand, later, certificate=NEW)
    repeated, _ = await stand.visit(proof, token=then.token, now=later)
    assert told(then) == told(repeated)
    assert stand.recorded()[-1] == ("ANSWERED", "4", ())


async def test_a_holder_without_cover_then_finds_nothing_again(stand: Stand) -> None:
    """Bob has a cover by now."""
    then, _ = await stand.visit(stand.proof(certificate=BOB))
    await cover_of_bob(stand)
    later = Instant(MUCH_LATER + 10_000_000)
    proof = again(stand, later, certificate=BOB)
    repeated, _ = await stand.visit(proof, token=then.token, now=later)
    assert told(then) == told(repeated)
    assert Why.CARD_UNKNOWN is repeated.confirmation.why


async def test_a_token_is_not_for_another_card_day_or_consent(stand: Stand) -> None:
    """The card proved itself, so the refusal is recorded with its holder."""
    then, _ = await stand.visit(stand.proof())
    later = Instant(NOW + 10_000_000)
    for certificate, how in (
        (BOB, {}),
        (NEW, {}),
        (ANN, {"on": days_after(TODAY, -1)}),
        (ANN, {"is_limit_consented": True}),
    ):
        proof = again(stand, later, certificate=certificate)
        with pytest.raises(InvalidInput, match="TOKEN_OF_ANOTHER_QUESTION"):
            await stand.visit(proof, token=then.token, now=later, **how)
        assert stand.recorded()[-1][:2] == ("DENIED", "TOKEN_OF_ANOTHER_QUESTION")


async def test_a_token_by_card_is_refused_while_new_and_after_a_disposal(stand: Stand) -> None:
    """Each with its reason."""
    then, _ = await stand.visit(stand.proof())
    with pytest.raises(InvalidInput, match="KNOWN_TIME_TOO_NEW"):
        await stand.visit(stand.proof(), token=then.token)
    stand.store.disposed = Instant(NOW + 1)
    later = Instant(NOW + 10_000_000)
    with pytest.raises(Conflict, match="FACTS_DISPOSED"):
        await stand.visit(again(stand, later), token=then.token, now=later)
    assert stand.recorded()[-1] == ("DENIED", "FACTS_DISPOSED", (key("ann"),))

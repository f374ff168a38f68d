"""What a person does at the portal: first registration, and who looked."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from itertools import count
from typing import Any

import pytest

from gateway.domain.card import CardKey, CardProof, CardRules, HolderCheck, HolderCheckResult
from gateway.domain.errors import NotFound, NotPermitted, Unavailable
from gateway.domain.identifiers import PersonKey
from gateway.domain.individual_number import IndividualNumber
from gateway.domain.period import Instant, days_after, tokyo_day
from gateway.domain.purpose import Role
from gateway.store.port import Batch, CheckState
from gateway.store.port_beside import Look
from gateway.usecases.challenges import Challenges
from gateway.usecases.context import Caller, Context
from gateway.usecases.portal import Portal
from gateway.usecases.visit import Cards
from tests.usecases.checking import OTHER_BIRTH_DATE, SAME, Checked, ScriptedRegister
from tests.usecases.registration import INSURER, NOW, NUMBERS, new, said

ANN, BOB = b"ann", b"bob"
"""Certificates, by whose they are."""
PORTAL = Caller(Role.PORTAL, "portal-1")
LATER = Instant(NOW + 1_000_000)
LOOK = Look("memory-9", NOW, "institution", "1319999999", "m", "OQS-MED-01", "o", "ANSWERED", "1")


@dataclass(frozen=True)
class Genuine:
    """What stands for a card that proved itself."""

    card_key: CardKey
    last_day: date
    is_revoked: bool = False


class KnowingRegister(ScriptedRegister):
    """A register that knows whose some cards are."""

    def __init__(self) -> None:
        super().__init__()
        self.holders = {ANN: NUMBERS[0], BOB: NUMBERS[1]}

    async def holder_of(self, certificate: bytes) -> IndividualNumber | None:
        """The number behind a certificate."""
        if self.is_away:
            raise Unavailable("RESIDENT_REGISTER_UNAVAILABLE")
        number = self.holders.get(certificate)
        return None if number is None else IndividualNumber.parse(number)


@dataclass
class Looking:
    """A trail that gives one look, and remembers what it was asked."""

    asked: list[tuple[tuple[PersonKey, ...], int]] = field(default_factory=list)

    async def who_looked(self, people: Sequence[PersonKey], looks_max: int) -> Sequence[Look]:
        """Give the look."""
        self.asked.append((tuple(people), looks_max))
        return [LOOK]


class AtPortal(Checked):
    """A writer with checked numbers and a portal."""

    def __init__(self) -> None:
        super().__init__()
        self.register = KnowingRegister()
        self.checker._register = self.register
        self.trail = Looking()
        self.now = LATER
        self.last_day = days_after(tokyo_day(NOW), 1_000)
        numbers = count()
        challenges = Challenges(
            60_000, 100, a_caller_max=100, new_challenge=lambda: next(numbers).to_bytes(32)
        )
        self.cards = Cards(challenges, self.prove, CardRules())
        self.portal = Portal(
            self.store,
            self.vault,
            self.register,
            self.desk,
            self.door,
            self.cards,
            self.trail,
            self.new_key,
            lambda: self.now,
        )

    def prove(self, proof: CardProof, _now: Instant) -> Genuine:
        """Believe everybody."""
        return Genuine(CardKey(proof.certificate.ljust(16, b".")), self.last_day)

    def proof(self, certificate: bytes = ANN, **changes: Any) -> CardProof:
        """A card with the right PIN, but for what a test changes."""
        challenge, _ = self.cards.challenges.begin("portal:portal-1", NOW)
        said: dict[str, Any] = {
            "holder_check": HolderCheck.PIN,
            "result": HolderCheckResult.PASSED,
            "face_score": 0,
            "pin_tries_left": 3,
        }
        return CardProof(
            challenge=challenge, certificate=certificate, signature=b"s", **said | changes
        )

    async def sign_up(self, certificate: bytes = ANN, **changes: Any) -> Instant | None:
        """Register a card."""
        proof = self.proof(certificate, **changes)
        return await self.portal.register_card(proof, context("RegisterCard"))

    async def own_accesses(self, certificate: bytes = ANN, **changes: Any) -> Sequence[Look]:
        """Ask who looked."""
        proof = self.proof(certificate, **changes)
        return await self.portal.own_accesses(proof, 7, context("ListOwnAccesses"))

    async def person(self, certificate: bytes = ANN) -> PersonKey:
        """Whose card it is, which must be known."""
        holder = await self.store.by_card(CardKey(certificate.ljust(16, b".")))
        assert holder is not None
        return holder.person_key

    def recorded(self) -> list[tuple[str, str, str, tuple[bytes, ...]]]:
        """Purpose, outcome, detail and people of what the portal's callers left."""
        return [
            (one.purpose, one.outcome, one.detail, one.people)
            for one in self.accesses.records
            if "PersonService" in one.method
        ]


def context(method: str, caller: Caller = PORTAL) -> Context:
    """A call of the portal's."""
    return Context(caller, NOW, f"gateway.v1.PersonService/{method}")


@pytest.fixture
def stand() -> AtPortal:
    """A portal nobody used yet."""
    return AtPortal()


async def test_registering_makes_the_card_the_key_to_its_holder(stand: AtPortal) -> None:
    """The holder is the person the vault knows by the register's number; the record names them."""
    at = await stand.sign_up()
    person_key = await stand.person()
    assert at is not None
    assert at >= NOW
    assert await stand.vault.holds(person_key, IndividualNumber.parse(NUMBERS[0]))
    assert stand.recorded() == [("OQS-PER-01", "REGISTERED", "", (person_key,))]


async def test_registering_again_changes_nothing(stand: AtPortal) -> None:
    """Nothing is written, and the record says so."""
    await stand.sign_up()
    written = len(stand.store.batches)
    assert await stand.sign_up() is None
    assert written == len(stand.store.batches)
    person_key = await stand.person()
    assert stand.recorded()[-1] == ("OQS-PER-01", "REGISTERED", "UNCHANGED", (person_key,))


async def test_a_card_shows_what_was_linked_before_and_after(stand: AtPortal) -> None:
    """Whether the number or the card comes first, both are one person in the end."""
    await stand.say(new(individual_number=NUMBERS[0]))
    await stand.check_all()
    await stand.sign_up(ANN)
    await stand.sign_up(BOB)
    await stand.say(new("2", individual_number=NUMBERS[1]))
    await stand.check_all()
    shown = [
        [cover.is_numbered for cover in holder.history.covers]
        for certificate in (ANN, BOB)
        if (holder := await stand.store.by_card(CardKey(certificate.ljust(16, b"."))))
        and holder.history
    ]
    assert shown == [[True], [True]]


async def test_a_cover_linked_first_is_visible_from_the_registration_on(stand: AtPortal) -> None:
    """The stamp is absent until the card is registered, and later than the link."""
    await stand.say(new(individual_number=NUMBERS[0]))
    await stand.check_all()
    before = await stand.told_of()
    await stand.sign_up()
    after = await stand.told_of()
    assert before is not None
    assert after is not None
    assert (before.state, before.visible_time) == (CheckState.LINKED, None)
    assert (after.state, after.visible_time) == (CheckState.LINKED, LATER)
    assert before.linked_time == after.linked_time


async def test_a_cover_linked_after_the_registration_is_visible_with_the_link(
    stand: AtPortal,
) -> None:
    """Where the card was registered first, checking the number stamps visibility too."""
    await stand.sign_up()
    await stand.say(new(individual_number=NUMBERS[0]))
    received = await stand.told_of()
    await stand.check_all()
    linked = await stand.told_of()
    assert received is not None
    assert received.visible_time is None
    assert linked is not None
    assert linked.visible_time is not None


async def test_a_second_card_does_not_move_the_stamp(stand: AtPortal) -> None:
    """The cover was visible from the first card on."""
    await stand.say(new(individual_number=NUMBERS[0]))
    await stand.check_all()
    await stand.sign_up()
    stand.register.holders[b"ann's second"] = NUMBERS[0]
    stand.now = Instant(LATER + 1_000_000)
    await stand.sign_up(b"ann's second")
    told = await stand.told_of()
    assert told is not None
    assert told.visible_time == LATER


async def test_another_persons_registration_makes_nothing_visible(stand: AtPortal) -> None:
    """Only covers of the card's holder are stamped."""
    await stand.say(new(individual_number=NUMBERS[0]))
    await stand.check_all()
    await stand.sign_up(BOB)
    told = await stand.told_of()
    assert told is not None
    assert told.visible_time is None


async def test_a_suspended_cover_is_not_visible_by_card(stand: AtPortal) -> None:
    """A registration does not show what the register disagrees with; a correction does."""
    stand.register.say = lambda one: (
        SAME if one.items.birth_date.isoformat() == "1984-02-28" else OTHER_BIRTH_DATE
    )
    await stand.say(new(individual_number=NUMBERS[0]))
    await stand.check_all()
    await stand.sign_up()
    suspended = await stand.told_of()
    await stand.say(said("CORRECT", new_birth_date="19840228"))
    await stand.check_all()
    corrected = await stand.told_of()
    assert suspended is not None
    assert (suspended.state, suspended.visible_time) == (CheckState.SUSPENDED, None)
    assert corrected is not None
    assert corrected.state is CheckState.LINKED
    assert corrected.visible_time is not None


async def test_a_card_the_register_does_not_know_is_not_registered(stand: AtPortal) -> None:
    """Nothing is remembered of it."""
    with pytest.raises(NotFound, match="CARD_HOLDER_UNKNOWN"):
        await stand.sign_up(b"nobody's")
    assert await stand.store.by_card(CardKey(b"nobody's".ljust(16, b"."))) is None
    assert stand.store.batches == []
    assert stand.recorded() == [("OQS-PER-01", "DENIED", "CARD_HOLDER_UNKNOWN", ())]


async def test_while_the_register_is_away_nothing_is_registered_and_nothing_lost(
    stand: AtPortal,
) -> None:
    """The caller is told to come back, and then it works."""
    stand.register.is_away = True
    with pytest.raises(Unavailable, match="RESIDENT_REGISTER_UNAVAILABLE"):
        await stand.sign_up()
    assert stand.store.batches == []
    stand.register.is_away = False
    assert await stand.sign_up() is not None


async def test_a_caller_who_goes_away_does_not_undo_half_of_it(stand: AtPortal) -> None:
    """Once the card is being written, it is written and the covers are stamped."""
    await stand.say(new(individual_number=NUMBERS[0]))
    await stand.check_all()
    reached, may_go_on = asyncio.Event(), asyncio.Event()
    commit = stand.store.commit

    async def slow(batch: Batch) -> None:
        reached.set()
        await may_go_on.wait()
        await commit(batch)

    stand.store.commit = slow  # type: ignore[method-assign]  a slow disk
    call = asyncio.create_task(stand.sign_up())
    await reached.wait()
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    may_go_on.set()
    for _ in range(50):
        await asyncio.sleep(0)
    told = await stand.told_of()
    person_key = await stand.person()
    assert told is not None
    assert told.visible_time == LATER
    assert stand.recorded() == [("OQS-PER-01", "REGISTERED", "", (person_key,))]


@pytest.mark.parametrize("call", ["sign_up", "own_accesses"])
@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (
            {"holder_check": HolderCheck.FACE, "face_score": 99, "pin_tries_left": 0},
            "PIN_REQUIRED",
        ),
        ({"holder_check": HolderCheck.VISUAL, "pin_tries_left": 0}, "PIN_REQUIRED"),
        ({"result": HolderCheckResult.FAILED, "pin_tries_left": 1}, "PIN_WRONG"),
        ({"result": HolderCheckResult.LOCKED, "pin_tries_left": 0}, "PIN_LOCKED"),
    ],
)
async def test_nothing_but_the_right_pin_will_do(
    stand: AtPortal, call: str, change: dict[str, Any], reason: str
) -> None:
    """A refusal at the portal is recorded, naming the holder of a registered card."""
    await stand.sign_up()
    with pytest.raises(NotPermitted, match=reason):
        await getattr(stand, call)(**change)
    _, *denied = stand.recorded()[-1]
    assert denied == ["DENIED", reason, (await stand.person(),)]


async def test_a_refusal_of_an_unregistered_card_names_nobody(stand: AtPortal) -> None:
    """Whose it is was not looked up."""
    with pytest.raises(NotPermitted, match="PIN_WRONG"):
        await stand.sign_up(result=HolderCheckResult.FAILED)
    assert stand.recorded() == [("OQS-PER-01", "DENIED", "PIN_WRONG", ())]


async def test_a_holder_is_told_who_looked(stand: AtPortal) -> None:
    """The trail is asked about the holder alone, and this look is a look too."""
    await stand.sign_up()
    person_key = await stand.person()
    assert await stand.own_accesses() == [LOOK]
    assert stand.trail.asked == [((person_key,), 7)]
    assert stand.recorded()[-1] == ("OQS-PER-02", "ANSWERED", "1", (person_key,))


async def test_a_card_that_is_not_registered_shows_no_looks(stand: AtPortal) -> None:
    """The trail is not asked."""
    with pytest.raises(NotFound, match="CARD_NOT_REGISTERED"):
        await stand.own_accesses()
    assert stand.trail.asked == []
    assert stand.recorded() == [("OQS-PER-02", "DENIED", "CARD_NOT_REGISTERED", ())]


async def test_looks_before_the_link_are_shown_too(stand: AtPortal) -> None:
    """Until its number came, the cover was of a person of its own; who looked then counts."""
    await stand.say(new())
    (alone,) = await stand.enrollees()
    await stand.say(said("NUMBER", individual_number=NUMBERS[0]))
    await stand.check_all()
    await stand.sign_up()
    await stand.own_accesses()
    assert stand.trail.asked == [((await stand.person(), alone.person_key), 7)]


@pytest.mark.parametrize("call", ["sign_up", "own_accesses"])
async def test_the_grace_is_for_eligibility_alone(stand: AtPortal, call: str) -> None:
    """At the portal a card is good to its last day, included."""
    stand.last_day = tokyo_day(NOW)
    await stand.sign_up()
    stand.last_day = days_after(tokyo_day(NOW), -1)
    with pytest.raises(NotPermitted, match="CARD_EXPIRED"):
        await getattr(stand, call)()
    _, *denied = stand.recorded()[-1]
    assert denied == ["DENIED", "CARD_EXPIRED", (await stand.person(),)]


async def test_a_holder_the_register_no_longer_knows_is_named(stand: AtPortal) -> None:
    """The card was registered once, so the refusal is about its holder."""
    await stand.sign_up()
    del stand.register.holders[ANN]
    with pytest.raises(NotFound, match="CARD_HOLDER_UNKNOWN"):
        await stand.sign_up()
    _, *denied = stand.recorded()[-1]
    assert denied == ["DENIED", "CARD_HOLDER_UNKNOWN", (await stand.person(),)]


async def test_an_institution_cannot_act_for_a_person(stand: AtPortal) -> None:
    """The purposes of the portal are not for institutions, whatever card they hold."""
    clinic = Caller(Role.INSTITUTION, "1319999999")
    with pytest.raises(NotPermitted) as refused:
        await stand.portal.register_card(stand.proof(), context("RegisterCard", clinic))
    assert stand.recorded() == [("OQS-PER-01", "DENIED", refused.value.reason, ())]
    assert stand.store.batches == []


async def test_a_withheld_person_opens_nothing_with_the_card(stand: AtPortal) -> None:
    """Neither the first registration nor the list of looks, until the flag is taken away."""
    await stand.say(new(individual_number=NUMBERS[0], is_self_information_withheld="1"))
    await stand.check_all()
    with pytest.raises(NotPermitted, match="SELF_INFORMATION_WITHHELD"):
        await stand.sign_up()
    assert await stand.store.by_card(CardKey(ANN.ljust(16, b"."))) is None
    await stand.say(said("CHANGE", is_self_information_withheld="0"))
    assert await stand.sign_up() is not None
    await stand.say(said("CHANGE", is_self_information_withheld="1"))
    for again in (stand.sign_up, stand.own_accesses):
        with pytest.raises(NotPermitted, match="SELF_INFORMATION_WITHHELD"):
            await again()
    person_key = await stand.person()
    denials = [(one[1], one[3]) for one in stand.recorded() if one[2] != ""]
    assert denials == [("DENIED", (person_key,))] * 3


async def test_a_nondisclosed_person_registers_but_sees_no_looks(stand: AtPortal) -> None:
    """The list of looks would tell where the person went; the loss of the cover ends the flag."""
    await stand.say(new(individual_number=NUMBERS[0], is_nondisclosed="1"))
    await stand.check_all()
    assert await stand.sign_up() is not None
    with pytest.raises(NotPermitted, match="NOT_DISCLOSED"):
        await stand.own_accesses()
    await stand.say(said("LOSS", loss_date="20250801", loss_reason="99"))
    assert await stand.own_accesses() == [LOOK]


# The person's own history


async def own_history(stand: AtPortal, versions_max: int = 9) -> list[tuple[object, ...]]:
    """What a person is told: insurer, kind and version."""
    told = await stand.portal.own_history(stand.proof(), versions_max, context("GetOwnHistory"))
    return [
        (one.fact.insurer_number, one.kind.name, one.fact.coverage.version_no)
        for one in told.versions
    ]


async def test_a_person_sees_what_was_learned_of_their_own_covers(stand: AtPortal) -> None:
    """Before the number came too, since it says whose cover it was; the look is recorded."""
    await stand.say(new())
    await stand.say(said("NUMBER", individual_number=NUMBERS[0]))
    await stand.check_all()
    await stand.sign_up()
    await stand.say(said("LOSS", loss_date="20250801", loss_reason="99"))
    assert await own_history(stand) == [(INSURER, "ACQUIRED", 1), (INSURER, "LOST", 2)]
    assert stand.recorded()[-1] == ("OQS-PER-03", "ANSWERED", "2", (await stand.person(),))
    assert await own_history(stand, 1) == [(INSURER, "CHANGED", 2)]


@pytest.mark.parametrize(
    ("flag", "reason"),
    [
        ("is_nondisclosed", "NOT_DISCLOSED"),
        ("is_self_information_withheld", "SELF_INFORMATION_WITHHELD"),
    ],
)
async def test_who_must_not_be_found_is_shown_no_history(
    stand: AtPortal, flag: str, reason: str
) -> None:
    """Insurers and days would tell where the person is; the refusal names whom it was about."""
    await stand.say(new(individual_number=NUMBERS[0]))
    await stand.check_all()
    await stand.sign_up()
    await stand.say(said("CHANGE", **{flag: "1"}))
    with pytest.raises(NotPermitted, match=reason):
        await own_history(stand)
    assert stand.recorded()[-1] == ("OQS-PER-03", "DENIED", reason, (await stand.person(),))


async def test_a_card_that_is_not_registered_shows_no_history(stand: AtPortal) -> None:
    """Nobody knows whose it is."""
    with pytest.raises(NotFound, match="CARD_NOT_REGISTERED"):
        await own_history(stand)

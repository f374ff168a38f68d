"""PersonService on a real server with mutual TLS, and the stages of a number on the wire."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from datetime import UTC
from pathlib import Path

import pytest
import pytest_asyncio

from gateway.domain.card import HolderCheck
from gateway.domain.errors import Unavailable
from gateway.domain.identifiers import EnrolleeKey, InsurerNumber, PersonKey
from gateway.domain.individual_number import IndividualNumber
from gateway.domain.period import Instant
from gateway.domain.purpose import Role
from gateway.domain.residents import Finding
from gateway.edges.rpc import convert_card
from gateway.edges.rpc.person import LOOKS_IF_NOT_SAID, LOOKS_MAX, PersonService
from gateway.policy import published_policy
from gateway.store.memory import MemoryStore, MemoryVault
from gateway.store.port import CheckState, NumberCheck, UploadKey
from gateway.store.port_beside import Look
from gateway.usecases.desk import Desk
from gateway.usecases.door import Door
from gateway.usecases.portal import Portal
from gateway.usecases.residents import Asked
from gateway.v1 import coverage_pb2
from gateway.v1 import person_pb2 as pb
from gateway.v1.person_pb2_grpc import PersonServiceStub
from simulators.cards import SimulatedCard
from simulators.reader import PortalVisitor
from tests.edges.card_stand import (
    NOW,
    PIN,
    TODAY,
    WRONG,
    CardHouse,
    CardWorld,
    Refused,
    refused,
)
from tests.usecases.registration import NUMBERS

PUBLISHED = Look(
    "life-7",
    Instant(NOW - 1_500_000),
    "institution",
    "1319999999",
    "gateway.v1.EligibilityService/ConfirmEligibility",
    "OQS-MED-01",
    "disclose",
    "ANSWERED",
    "1",
)
FORGOTTEN = PUBLISHED._replace(record_id="life-6", purpose="OLD-01")


class OneHolder:
    """A resident register that knows one card."""

    certificate = b""
    is_away = False

    async def findings(self, asked: Sequence[Asked]) -> Sequence[Finding]:
        """Nobody asks."""
        raise AssertionError(asked)

    async def holder_of(self, certificate: bytes) -> IndividualNumber | None:
        """The number of the one card."""
        if self.is_away:
            raise Unavailable("RESIDENT_REGISTER_UNAVAILABLE")
        return IndividualNumber.parse(NUMBERS[0]) if certificate == self.certificate else None


class TwoLooks:
    """A trail with two looks at everybody."""

    def __init__(self) -> None:
        self.looks_max: list[int] = []

    async def who_looked(self, people: Sequence[PersonKey], looks_max: int) -> Sequence[Look]:
        """Give them."""
        self.looks_max.append(looks_max)
        return [PUBLISHED, FORGOTTEN][:looks_max]


class Served(CardHouse):
    """A house with the portal's service, and two cards of which the register knows one."""

    register: OneHolder
    trail: TwoLooks
    ann: SimulatedCard
    stranger: SimulatedCard

    def service(self) -> PersonService:
        """The service over a store in memory."""
        self.register, self.trail = OneHolder(), TwoLooks()
        self.ann = self.world.chip(self.folder / "ann.card", 0)
        self.stranger = self.world.chip(self.folder / "stranger.card", 1)
        self.register.certificate = self.ann.certificate
        store, vault = MemoryStore(lambda _: b""), MemoryVault()
        keys = iter(range(1, 1_000))

        def new_key() -> bytes:
            return next(keys).to_bytes(16)

        portal = Portal(
            store,
            vault,
            self.register,
            Desk(store, vault, new_key, lambda: self.now),
            Door(published_policy(), self.accesses),
            self.cards(),
            self.trail,
            new_key,
            lambda: self.now,
        )
        return PersonService(portal, 9)

    async def sign_up(
        self, card: SimulatedCard | None = None, pin: str = PIN
    ) -> pb.RegisterCardResponse:
        """Register a card."""
        async with self.channel(Role.PORTAL) as channel:
            return await PortalVisitor(channel).register(card or self.ann, pin)

    async def looks(
        self, card: SimulatedCard | None = None, looks_max: int = 0, pin: str = PIN
    ) -> Sequence[pb.OwnAccess]:
        """See who looked."""
        async with self.channel(Role.PORTAL) as channel:
            return await PortalVisitor(channel).accesses(card or self.ann, pin, looks_max)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> CardWorld:
    """An authority and two cards."""
    return CardWorld.made(tmp_path_factory.mktemp("authority"), 2)


@pytest_asyncio.fixture
async def served(tmp_path: Path, world: CardWorld) -> AsyncIterator[Served]:
    """A served portal's service."""
    made = Served.at(tmp_path, world)
    async with made.serving(made.service().methods()):
        yield made


async def test_a_card_is_registered_once(served: Served) -> None:
    """The first time says when; the second that nothing changed."""
    first, again = await served.sign_up(), await served.sign_up()
    assert first.is_changed
    assert first.registered_time.ToDatetime(tzinfo=UTC) >= TODAY
    assert again == pb.RegisterCardResponse(is_changed=False)
    (one, two) = served.accesses.seen()
    assert (one[:2], two[:2]) == (("REGISTERED", ""), ("REGISTERED", "UNCHANGED"))
    assert one[2] == two[2] != ()


async def test_looks_are_told_in_words(served: Served) -> None:
    """A purpose that is no longer published has its code and no words."""
    await served.sign_up()
    first, second = await served.looks()
    purpose = published_policy().purposes["OQS-MED-01"]
    expected = pb.OwnAccess(
        role="institution",
        code="1319999999",
        method="gateway.v1.EligibilityService/ConfirmEligibility",
        purpose="OQS-MED-01",
        purpose_ja=purpose.title_ja,
        purpose_en=purpose.title_en,
        outcome="ANSWERED",
        detail="1",
        access_record_id="life-7",
    )
    expected.access_time.FromMicroseconds(NOW - 1_500_000)
    assert expected == first
    assert (second.purpose, second.purpose_ja, second.purpose_en) == ("OLD-01", "", "")


async def test_asking_who_looked_is_a_look(served: Served) -> None:
    """It is recorded about the holder with the count."""
    await served.sign_up()
    await served.looks()
    registered, asked = served.accesses.seen()
    assert asked == ("ANSWERED", "2", registered[2])


@pytest.mark.parametrize(("said", "used"), [(0, LOOKS_IF_NOT_SAID), (1, 1), (LOOKS_MAX, LOOKS_MAX)])
async def test_a_page_has_a_size(served: Served, said: int, used: int) -> None:
    """1 to 1000; a hundred if nothing is said."""
    await served.sign_up()
    await served.looks(looks_max=said)
    assert [used] == served.trail.looks_max


@pytest.mark.parametrize("said", [-1, LOOKS_MAX + 1])
async def test_a_page_out_of_bounds_is_refused(served: Served, said: int) -> None:
    """Before the card is looked at, so nothing is recorded."""
    seen = await refused(served.looks(looks_max=said))
    assert seen == Refused("INVALID_ARGUMENT", "FORMAT_WRONG", "page_size")
    assert served.accesses.seen() == []


async def test_a_register_that_is_away_is_told_as_such_and_loses_nothing(served: Served) -> None:
    """The caller may come back with the same card and a fresh challenge."""
    served.register.is_away = True
    seen = await refused(served.sign_up())
    served.register.is_away = False
    assert seen == Refused("UNAVAILABLE", "RESIDENT_REGISTER_UNAVAILABLE")
    assert (await served.sign_up()).is_changed


async def test_who_looked_is_told_while_the_register_is_away(served: Served) -> None:
    """A registered card does not depend on it."""
    await served.sign_up()
    served.register.is_away = True
    assert len(await served.looks()) == 2


async def test_unknown_and_unregistered_cards_are_not_found(served: Served) -> None:
    """Neither registers, nor learns who looked."""
    assert await refused(served.sign_up(served.stranger)) == Refused(
        "NOT_FOUND", "CARD_HOLDER_UNKNOWN"
    )
    assert await refused(served.looks()) == Refused("NOT_FOUND", "CARD_NOT_REGISTERED")
    assert served.trail.looks_max == []
    reasons = ("CARD_HOLDER_UNKNOWN", "CARD_NOT_REGISTERED")
    assert served.accesses.seen() == [("DENIED", reason, ()) for reason in reasons]


async def test_a_wrong_pin_is_recorded_about_the_holder(served: Served) -> None:
    """The person can see later that somebody tried."""
    await served.sign_up()
    seen = await refused(served.looks(pin=WRONG))
    assert (seen.reason, dict(seen.metadata)) == ("PIN_WRONG", {"tries_left": "2"})
    registered, denied = served.accesses.seen()
    assert denied == ("DENIED", "PIN_WRONG", registered[2])


async def test_a_face_does_not_open_the_portal(served: Served) -> None:
    """At home nobody compares it."""
    async with served.channel(Role.PORTAL) as channel:
        stub = PersonServiceStub(channel)
        begun = await stub.BeginSession(pb.BeginSessionRequest())
        proof = served.ann.prove(begun.challenge, HolderCheck.FACE, face_score=100)
        seen = await refused(stub.RegisterCard(pb.RegisterCardRequest(proof=proof)))
    assert seen == Refused("PERMISSION_DENIED", "PIN_REQUIRED")
    assert served.accesses.seen() == [("DENIED", "PIN_REQUIRED", ())]


async def test_a_proof_is_good_for_one_errand(served: Served) -> None:
    """The proof a card was registered with does not show who looked."""
    async with served.channel(Role.PORTAL) as channel:
        stub = PersonServiceStub(channel)
        begun = await stub.BeginSession(pb.BeginSessionRequest())
        proof = served.ann.prove(begun.challenge, HolderCheck.PIN, pin=PIN)
        await stub.RegisterCard(pb.RegisterCardRequest(proof=proof))
        seen = await refused(stub.ListOwnAccesses(pb.ListOwnAccessesRequest(proof=proof)))
    assert seen == Refused("PERMISSION_DENIED", "CHALLENGE_REPLAYED")


@pytest.mark.parametrize("role", [role for role in Role if role is not Role.PORTAL])
async def test_only_portals_act_for_people(served: Served, role: Role) -> None:
    """All three methods refuse every other role, and leave a record of who tried."""
    async with served.channel(role) as channel:
        stub = PersonServiceStub(channel)
        seen = [
            await refused(stub.BeginSession(pb.BeginSessionRequest())),
            await refused(stub.RegisterCard(pb.RegisterCardRequest())),
            await refused(stub.ListOwnAccesses(pb.ListOwnAccessesRequest())),
        ]
    assert [one.reason for one in seen] == ["ROLE_NOT_ALLOWED"] * 3
    assert served.accesses.seen() == [("DENIED", "ROLE_NOT_ALLOWED", ())] * 3
    assert {role.value} == {one.role for one in served.accesses.records}


async def test_nothing_is_answered_that_cannot_be_recorded(served: Served) -> None:
    """On a full disk nobody learns who looked."""
    await served.sign_up()
    served.accesses.is_full = True
    seen = await refused(served.looks())
    assert (seen.status, seen.reason) == ("UNAVAILABLE", "STORE_UNAVAILABLE")


async def test_a_garbled_message_is_refused(served: Served) -> None:
    """By every method alike."""
    async with served.channel(Role.PORTAL) as channel:
        for method in ("BeginSession", "RegisterCard", "ListOwnAccesses"):
            call = channel.unary_unary(f"/gateway.v1.PersonService/{method}")
            assert await refused(call(b"\xff", timeout=10)) == Refused(
                "INVALID_ARGUMENT", "MESSAGE_MALFORMED"
            )


CHECK = NumberCheck(
    EnrolleeKey(b"e" * 16),
    Instant(NOW + 1),
    InsurerNumber("06139992"),
    PersonKey(b"p" * 16),
    UploadKey(b"u" * 16),
    2,
)
STAMPS = ("checked_time", "linked_time", "projected_time", "visible_by_card_time")


def test_stages_not_reached_are_absent_on_the_wire() -> None:
    """A fresh number has its receipt and nothing else."""
    said = convert_card.stages(CHECK)
    assert said.state == coverage_pb2.NUMBER_STATE_RECEIVED
    assert said.received_time.ToMicroseconds() == NOW + 1
    assert [name for name in STAMPS if said.HasField(name)] == []


def test_a_number_linked_unchecked_has_no_stamp_on_the_wire() -> None:
    """It says LINKED, and nothing about when."""
    assert convert_card.stages(None) == coverage_pb2.GetIndividualNumberStagesResponse(
        state=coverage_pb2.NUMBER_STATE_LINKED
    )


def test_every_stage_reached_has_its_own_stamp_on_the_wire() -> None:
    """To the microsecond, none in the place of another."""
    check = replace(
        CHECK,
        state=CheckState.LINKED,
        checked_time=Instant(NOW + 2),
        linked_time=Instant(NOW + 3),
        projected_time=Instant(NOW + 4),
        visible_time=Instant(NOW + 5),
    )
    said = convert_card.stages(check)
    assert said.state == coverage_pb2.NUMBER_STATE_LINKED
    assert [NOW + place for place in (2, 3, 4, 5)] == [
        getattr(said, name).ToMicroseconds() for name in STAMPS
    ]


def test_a_suspended_number_has_its_mismatches_on_the_wire() -> None:
    """By their names."""
    check = replace(
        CHECK,
        state=CheckState.SUSPENDED,
        checked_time=Instant(NOW + 2),
        mismatches=("BIRTH_DATE", "SEX"),
    )
    said = convert_card.stages(check)
    assert said.state == coverage_pb2.NUMBER_STATE_SUSPENDED
    assert list(said.mismatches) == ["BIRTH_DATE", "SEX"]
    assert [name for name in STAMPS if said.HasField(name)] == ["checked_time"]

"""CardReaderService on a real server with mutual TLS: visits, refusals, and their records."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from google.type.date_pb2 import Date

from gateway.domain.card import HolderCheck
from gateway.domain.coverage import LimitCertificate, LimitClass, LimitKind
from gateway.domain.eligibility import Rules
from gateway.domain.period import Instant, Period
from gateway.domain.purpose import Role
from gateway.edges.rpc.card import CardReaderService
from gateway.edges.rpc.convert import sheet
from gateway.edges.rpc.explanation import CardExplanationService
from gateway.edges.rpc.server import Method
from gateway.policy import published_policy
from gateway.store.memory import MemoryStore
from gateway.store.port import Batch, NewCard, NewLink, NewVersion, UploadKey
from gateway.usecases.confirm_eligibility import LookupLimits
from gateway.usecases.door import Door
from gateway.usecases.explain_eligibility import ExplainLimits
from gateway.v1 import card_pb2 as pb
from gateway.v1.card_pb2_grpc import CardReaderServiceStub
from gateway.v1.types_pb2 import ROUTE_CARD, VALIDITY_NO_SUCH_COVER, VALIDITY_VALID
from simulators.cards import SimulatedCard
from simulators.reader import Reader
from tests.domain.covers import SOCIETY, cover, enrolment, key, person
from tests.edges.card_stand import (
    CLINIC,
    LIFETIME_MS,
    NOW,
    PIN,
    TODAY,
    WRONG,
    CardHouse,
    CardWorld,
    Refused,
    refused,
)
from tests.usecases.tokens import tokens

LIMIT = LimitCertificate(Period(date(2020, 4, 1)), LimitKind.LIMIT, LimitClass.B04)
OPEN_MAX = 40
OTHER_CLINIC = "1319999981"
CONFIRM = "/gateway.v1.CardReaderService/ConfirmByCard"
FACE, VISUAL = HolderCheck.FACE, HolderCheck.VISUAL


class Served(CardHouse):
    """A house with the reader's service, a covered person with a card, and a card of nobody's."""

    store: MemoryStore
    ann: SimulatedCard
    new: SimulatedCard

    async def prepare(self) -> None:
        """Remember Ann and her card."""
        self.store = MemoryStore(sheet)
        self.ann = self.world.chip(self.folder / "ann.card", 0)
        self.new = self.world.chip(self.folder / "new.card", 1)
        held = enrolment(cover(date(2020, 4, 1), limits=(LIMIT,)))
        made = person(held, name="ann")
        batch = Batch(NOW, cards=[NewCard(self.world.card_key(0), key("ann"))], histories=[made])
        for one in held.covers:
            insurer = one.insured_id.insurer_number
            batch.versions.append(
                NewVersion(held.enrollee_key, insurer, one, UploadKey(b"u" * 16), 1)
            )
        batch.links.append(NewLink(held.enrollee_key, key("ann"), is_numbered=True, replaces=None))
        await self.store.commit(batch)

    def services(self) -> tuple[Method, ...]:
        """The services over that store, which share their challenges."""
        door, cards = Door(published_policy(), self.accesses), self.cards(OPEN_MAX)
        limits = LookupLimits(366, 31, 16, 2_000)
        visits = CardReaderService(self.store, door, cards, tokens(), limits)
        whys = CardExplanationService(self.store, door, cards, Rules(), ExplainLimits(limits, 9))
        return (*visits.methods(), *whys.methods())

    async def visit(
        self, card: SimulatedCard | None = None, check: HolderCheck = VISUAL, **how: Any
    ) -> pb.ConfirmByCardResponse:
        """Visit from beginning to end."""
        async with self.channel() as channel:
            return await Reader(channel).visit(card or self.ann, check, **how)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> CardWorld:
    """An authority and two cards."""
    return CardWorld.made(tmp_path_factory.mktemp("authority"), 2)


@pytest_asyncio.fixture
async def served(tmp_path: Path, world: CardWorld) -> AsyncIterator[Served]:
    """A served reader's service."""
    made = Served.at(tmp_path, world)
    await made.prepare()
    async with made.serving(made.services()):
        yield made


async def test_a_visit_is_answered_for_today_with_its_record(served: Served) -> None:
    """Validity, route, day, cover, certificate state and the record's id come in one message."""
    answer = await served.visit()
    said = answer.confirmation
    assert (said.validity, said.route) == (VALIDITY_VALID, ROUTE_CARD)
    assert said.confirmation_date == Date(year=2026, month=11, day=25)
    assert [one.insured_id.insurer_number for one in said.coverages] == [SOCIETY]
    assert answer.certificate_state == pb.CERTIFICATE_STATE_GOOD
    assert said.access_record_id == "memory-1"
    assert served.accesses.seen() == [("ANSWERED", "1", (key("ann"),))]
    (record,) = served.accesses.records
    assert (record.code, record.method) == (CLINIC, CONFIRM.removeprefix("/"))


async def test_a_day_can_be_asked_for(served: Served) -> None:
    """The answer says for which day it is."""
    answer = await served.visit(on=date(2026, 1, 31))
    assert answer.confirmation.confirmation_date == Date(year=2026, month=1, day=31)


async def test_a_limit_certificate_needs_the_persons_consent(served: Served) -> None:
    """Given at the reader, it comes with the answer; else nothing of it is shown."""
    shown = [
        answer.confirmation.coverages[0].HasField("limit_certificate")
        for is_consented in (False, True)
        for answer in [await served.visit(is_limit_consented=is_consented)]
    ]
    assert shown == [False, True]


async def test_an_unregistered_card_is_answered_and_names_nobody(served: Served) -> None:
    """No such cover, and why."""
    answer = await served.visit(served.new, check=FACE, face_score=80)
    said = answer.confirmation
    assert (said.validity, said.reason) == (VALIDITY_NO_SUCH_COVER, "CARD_NOT_REGISTERED")
    assert served.accesses.seen() == [("ANSWERED", "4", ())]


async def test_a_visit_is_explained_as_it_is_answered(served: Served) -> None:
    """Same answer and record, with what it rests on; the proof is used up like a visit's."""
    visited = await served.visit()
    async with served.channel() as channel:
        said = await Reader(channel).explained(served.ann, VISUAL)
        unknown = await Reader(channel).explained(served.new, VISUAL)
        proof = served.ann.prove(await Reader(channel).challenge(), VISUAL)
        await Reader(channel).confirm(proof)
        request = pb.ExplainByCardRequest(question=pb.ConfirmByCardRequest(proof=proof))
        again = await refused(CardReaderServiceStub(channel).ExplainByCard(request))
    explained = said.explained
    assert explained.validity == visited.confirmation.validity == VALIDITY_VALID
    assert explained.reason == visited.confirmation.reason
    assert [one.is_deciding for one in explained.versions] == [True]
    assert said.certificate_state == visited.certificate_state
    assert (unknown.explained.reason, len(unknown.explained.versions)) == ("CARD_NOT_REGISTERED", 0)
    assert again == Refused("PERMISSION_DENIED", "CHALLENGE_REPLAYED")
    seen = served.accesses.seen()
    assert seen[:3] == [("ANSWERED", "1", (key("ann"),))] * 2 + [("ANSWERED", "4", ())]


async def test_a_bad_visit_to_explain_names_its_field(served: Served) -> None:
    """The field of a refusal is the message's own path."""
    async with served.channel() as channel:
        seen = await refused(
            CardReaderServiceStub(channel).ExplainByCard(pb.ExplainByCardRequest())
        )
    assert (seen.status, seen.field.split(".")[:2]) == ("INVALID_ARGUMENT", ["question", "proof"])


async def test_a_challenge_tells_when_it_ends_and_ends_then(served: Served) -> None:
    """32 bytes, good before `expire_time` and not from it on."""
    async with served.channel() as channel:
        begun = await CardReaderServiceStub(channel).BeginVisit(pb.BeginVisitRequest())
        assert len(begun.challenge) == 32
        assert begun.expire_time.ToDatetime(tzinfo=TODAY.tzinfo) - TODAY == timedelta(
            milliseconds=LIFETIME_MS
        )
        served.now = Instant(NOW + LIFETIME_MS * 1_000)
        late = await refused(Reader(channel).confirm(served.ann.prove(begun.challenge, VISUAL)))
    assert late == Refused("PERMISSION_DENIED", "CHALLENGE_EXPIRED")
    assert served.accesses.seen() == [("DENIED", "CHALLENGE_EXPIRED", ())]


async def test_a_replay_is_refused_on_every_connection(served: Served) -> None:
    """Once answered, a proof is worth nothing."""
    async with served.channel() as channel, served.channel() as other:
        proof = served.ann.prove(await Reader(channel).challenge(), VISUAL)
        await Reader(channel).confirm(proof)
        again = [await refused(Reader(one).confirm(proof)) for one in (channel, other)]
    reasons = ["CHALLENGE_REPLAYED", "CHALLENGE_AUDIENCE"]
    assert [Refused("PERMISSION_DENIED", reason) for reason in reasons] == again
    assert served.accesses.seen()[1:] == [("DENIED", reason, ()) for reason in reasons]


async def test_a_challenge_is_for_the_connection_it_was_given_on(served: Served) -> None:
    """A proof that was overheard is worth nothing elsewhere, and is still good where it belongs."""
    async with served.channel() as channel, served.channel() as other:
        proof = served.ann.prove(await Reader(channel).challenge(), VISUAL)
        seen = await refused(Reader(other).confirm(proof))
        answer = await Reader(channel).confirm(proof)
    assert seen == Refused("PERMISSION_DENIED", "CHALLENGE_AUDIENCE")
    assert answer.confirmation.validity == VALIDITY_VALID


async def test_a_challenge_is_for_the_institution_it_was_given_to(served: Served) -> None:
    """Another one is refused, and the one it was given to is answered after that."""
    async with served.channel() as channel, served.channel(code=OTHER_CLINIC) as other:
        proof = served.ann.prove(await Reader(channel).challenge(), VISUAL)
        seen = await refused(Reader(other).confirm(proof))
        answer = await Reader(channel).confirm(proof)
    assert seen == Refused("PERMISSION_DENIED", "CHALLENGE_AUDIENCE")
    assert answer.confirmation.validity == VALIDITY_VALID


async def test_a_wrong_pin_tells_the_tries_left_and_names_the_holder(served: Served) -> None:
    """The reader shows how many are left; the third wrong one says locked."""
    seen = [await refused(served.visit(check=HolderCheck.PIN, pin=WRONG)) for _ in range(3)]
    locked = await refused(served.visit(check=HolderCheck.PIN, pin=PIN))
    assert [dict(one.metadata).get("tries_left") for one in seen] == ["2", "1", None]
    reasons = ["PIN_WRONG", "PIN_WRONG", "PIN_LOCKED", "PIN_LOCKED"]
    assert reasons == [one.reason for one in (*seen, locked)]
    assert served.accesses.seen() == [("DENIED", reason, (key("ann"),)) for reason in reasons]


async def test_no_pin_is_on_the_wire(served: Served) -> None:
    """A right and a wrong PIN differ in nothing but the result, the tries and the signature."""
    right = served.ann.prove(bytes(32), HolderCheck.PIN, pin=PIN)
    wrong = served.ann.prove(bytes(32), HolderCheck.PIN, pin=WRONG)
    differ = {
        field.name
        for field in pb.CardProof.DESCRIPTOR.fields
        if getattr(right, field.name) != getattr(wrong, field.name)
    }
    assert differ == {"result", "pin_tries_left", "signature"}


async def test_a_proof_changed_on_the_way_is_refused(served: Served) -> None:
    """The score is signed; the record names nobody, because the card proved nothing."""
    async with served.channel() as channel:
        proof = served.ann.prove(await Reader(channel).challenge(), FACE, face_score=10)
        proof.face_score = 99
        seen = await refused(Reader(channel).confirm(proof))
    assert seen == Refused("PERMISSION_DENIED", "PROOF_INVALID")
    assert served.accesses.seen() == [("DENIED", "PROOF_INVALID", ())]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"challenge": b""}, "FIELD_REQUIRED"),
        ({"challenge": bytes(31)}, "FORMAT_WRONG"),
        ({"certificate": b""}, "FIELD_REQUIRED"),
        ({"certificate": bytes(4_097)}, "FORMAT_WRONG"),
        ({"signature": b""}, "FIELD_REQUIRED"),
        ({"signature": bytes(513)}, "FORMAT_WRONG"),
        ({"holder_check": 0}, "FIELD_REQUIRED"),
        ({"holder_check": 4}, "FORMAT_WRONG"),
        ({"result": 0}, "FIELD_REQUIRED"),
        ({"face_score": 1}, "FORMAT_WRONG"),
        ({"pin_tries_left": -1}, "FORMAT_WRONG"),
    ],
)
async def test_a_proof_out_of_form_names_its_field_and_costs_no_challenge(
    served: Served, change: dict[str, Any], reason: str
) -> None:
    """Nothing was looked at, so nothing is recorded, and the card may try again."""
    async with served.channel() as channel:
        proof = served.ann.prove(await Reader(channel).challenge(), VISUAL)
        spoilt = pb.CardProof()
        spoilt.CopyFrom(proof)
        for name, value in change.items():
            setattr(spoilt, name, value)
        seen = await refused(Reader(channel).confirm(spoilt))
        assert seen == Refused("INVALID_ARGUMENT", reason, f"proof.{next(iter(change))}")
        assert served.accesses.seen() == []
        await Reader(channel).confirm(proof)


async def test_bytes_that_are_no_certificate_are_refused_where_they_stand(served: Served) -> None:
    """The challenge is used up by then; nobody was looked at."""
    async with served.channel() as channel:
        proof = served.ann.prove(await Reader(channel).challenge(), VISUAL)
        proof.certificate = b"\x30\x00"
        seen = await refused(Reader(channel).confirm(proof))
        again = await refused(Reader(channel).confirm(proof))
    assert seen == Refused("INVALID_ARGUMENT", "FORMAT_WRONG", "proof.certificate")
    assert again.reason == "CHALLENGE_REPLAYED"
    assert served.accesses.seen() == [("DENIED", "CHALLENGE_REPLAYED", ())]


async def test_a_message_that_is_none_and_a_missing_proof_are_refused(served: Served) -> None:
    """Both before anything is looked at."""
    async with served.channel() as channel:
        garbled = await refused(channel.unary_unary(CONFIRM)(b"\xff", timeout=10))
        missing = await refused(
            CardReaderServiceStub(channel).ConfirmByCard(pb.ConfirmByCardRequest())
        )
    assert garbled == Refused("INVALID_ARGUMENT", "MESSAGE_MALFORMED")
    assert missing == Refused("INVALID_ARGUMENT", "FIELD_REQUIRED", "proof.challenge")
    assert served.accesses.seen() == []


@pytest.mark.parametrize(
    ("day", "reason"),
    [
        (Date(year=2026, month=2, day=30), "DATE_WRONG"),
        (Date(year=2030, month=1, day=1), "DATE_OUT_OF_RANGE"),
    ],
)
async def test_a_day_that_cannot_be_asked_for_costs_no_challenge(
    served: Served, day: Date, reason: str
) -> None:
    """The day is read before the card."""
    async with served.channel() as channel:
        proof = served.ann.prove(await Reader(channel).challenge(), VISUAL)
        request = pb.ConfirmByCardRequest(proof=proof, confirmation_date=day)
        seen = await refused(CardReaderServiceStub(channel).ConfirmByCard(request))
        assert seen == Refused("INVALID_ARGUMENT", reason, "confirmation_date")
        await Reader(channel).confirm(proof)


@pytest.mark.parametrize("role", [role for role in Role if role is not Role.INSTITUTION])
async def test_only_institutions_read_cards(served: Served, role: Role) -> None:
    """Both methods refuse every other role, and leave a record of who tried."""
    async with served.channel(role) as channel:
        stub = CardReaderServiceStub(channel)
        begin = await refused(stub.BeginVisit(pb.BeginVisitRequest()))
        confirm = await refused(stub.ConfirmByCard(pb.ConfirmByCardRequest()))
    assert [begin.status, begin.reason] == ["PERMISSION_DENIED", "ROLE_NOT_ALLOWED"]
    assert begin == confirm
    assert served.accesses.seen() == [("DENIED", "ROLE_NOT_ALLOWED", ())] * 2
    assert {role.value} == {one.role for one in served.accesses.records}


async def test_only_so_many_challenges_are_open(served: Served) -> None:
    """The limit is named, and time lets the next one in."""
    async with served.channel() as channel:
        for _ in range(OPEN_MAX):
            await Reader(channel).challenge()
        seen = await refused(Reader(channel).challenge())
        served.now = Instant(NOW + LIFETIME_MS * 1_000)
        await Reader(channel).challenge()
    assert (seen.status, seen.reason) == ("RESOURCE_EXHAUSTED", "TOO_MANY_CHALLENGES")


async def test_nothing_is_answered_that_cannot_be_recorded(served: Served) -> None:
    """On a full disk a visit is refused as one to try again."""
    served.accesses.is_full = True
    seen = await refused(served.visit())
    assert (seen.status, seen.reason) == ("UNAVAILABLE", "STORE_UNAVAILABLE")


async def test_a_visit_can_be_asked_again_with_its_token(served: Served) -> None:
    """The same card gets the same answer, whose day is the token's; an explanation takes none."""
    then = await served.visit()
    token = then.confirmation.answer_token
    served.now = Instant(served.now + 10_000_000)
    again = await served.visit(token=token)
    assert token == again.confirmation.answer_token
    for name in ("validity", "reason", "coverages", "confirmation_date", "decided_by"):
        assert getattr(then.confirmation, name) == getattr(again.confirmation, name)
    assert then.confirmation.access_record_id != again.confirmation.access_record_id
    other = await refused(served.visit(served.new, token=token))
    assert (other.status, other.reason) == ("INVALID_ARGUMENT", "TOKEN_OF_ANOTHER_QUESTION")
    async with served.channel() as channel:
        explained = await refused(Reader(channel).explained(served.ann, VISUAL, token=token))
    assert (explained.status, explained.reason) == ("INVALID_ARGUMENT", "TOKEN_NOT_TAKEN")

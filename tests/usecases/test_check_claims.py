"""Checking claims through the door: one look, one record, in order, a bounded number at once."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from datetime import date

import pytest
from msgspec import structs

from gateway.domain.claims import Claim, CopayClass
from gateway.domain.compact import CompactHistory
from gateway.domain.coverage import Coverage, Relationship, Sex
from gateway.domain.errors import NotPermitted, TooMuch, Unavailable
from gateway.domain.identifiers import (
    EnrolleeKey,
    InsuredId,
    LookupKey,
    PersonKey,
)
from gateway.domain.period import Instant
from gateway.domain.purpose import Role
from gateway.domain.reassignment import ReassignmentRules, Why
from gateway.policy import published_policy
from gateway.store.memory import MemoryAccesses, MemoryStore
from gateway.store.port import Batch, NewLink, NewVersion, UploadKey
from gateway.usecases.check_claims import Checked, Checking, CheckLimits
from gateway.usecases.context import Caller, Context
from gateway.usecases.door import Door
from tests.domain.covers import BORN, NATIONAL, NOW, cover, insured, key

IN_FLIGHT_MAX = 4
MATCHES_MAX = 2
LAST_YEAR, FIRST, EARLY = date(2025, 4, 1), date(2026, 4, 1), date(2026, 4, 6)
NEW_CARD = insured(NATIONAL, "9")
REVIEW_BODY = Caller(Role.REVIEW_BODY, "review-1")


@dataclass(frozen=True)
class Carried:
    """What a file holds of a claim."""

    place: int
    claim: Claim | None


def claim(number: int = 1, of: InsuredId | None = None) -> Claim:
    """A claim of one day."""
    return Claim(
        number=number,
        claim_type="1112",
        month="202604",
        sex=Sex.FEMALE,
        birth_date=BORN,
        insured_id=of or insured(),
        points=100,
        recorded_days=(EARLY,),
        copay=CopayClass.ORDINARY,
    )


def own(start: date, end: date | None = None, of: InsuredId | None = None) -> Coverage:
    """A cover of an insured person."""
    return cover(start, end, of=of or insured(), relationship=Relationship.SELF)


@dataclass
class SlowAccesses(MemoryAccesses):
    """Accesses whose sync takes a turn of the loop, and which count how many wait at once."""

    waiting: int = 0
    waiting_most: int = 0

    def __post_init__(self) -> None:
        super().__init__()

    async def record(self, record: object) -> str:
        """See `Accesses`."""
        self.waiting += 1
        self.waiting_most = max(self.waiting_most, self.waiting)
        await asyncio.sleep(0.001)
        self.waiting -= 1
        return await super().record(record)  # type: ignore[arg-type]  # as the port has it


@dataclass
class Stand:
    """A store in memory behind a door."""

    store: MemoryStore = field(default_factory=lambda: MemoryStore(lambda _: b""))
    accesses: SlowAccesses = field(default_factory=SlowAccesses)
    is_writable: bool = True
    taken: int = 0

    async def register(self, person: PersonKey, *covers: Coverage, enrollees: int = 1) -> None:
        """Remember covers of a person, each of another enrollee."""
        batch = Batch(NOW)
        for place, made in enumerate(covers, start=enrollees):
            enrollee = EnrolleeKey(f"{person[:8].decode()}-{place}".encode().ljust(16, b"."))
            insurer = made.insured_id.insurer_number
            version = NewVersion(enrollee, insurer, made, UploadKey(b"u" * 16), 1)
            batch.versions.append(version)
            batch.links.append(NewLink(enrollee, person, is_numbered=True, replaces=None))
        await self.store.commit(batch)
        made_history = self.store._people(Instant(2**62))[person]
        await self.store.commit(Batch(NOW, histories=[made_history]))

    def checking(self) -> Checking[Carried]:
        """What is under test."""
        return Checking(
            self.store,
            Door(published_policy(), self.accesses),
            ReassignmentRules(),
            CheckLimits(MATCHES_MAX, IN_FLIGHT_MAX),
            lambda _item, _decision: self.is_writable,
        )

    def counted(self, items: Sequence[Carried]) -> Iterator[Carried]:
        """The items, counted as they are taken."""
        for item in items:
            self.taken += 1
            yield item

    async def check(
        self, *claims: Claim | None, role: Role = Role.REVIEW_BODY
    ) -> list[Checked[Carried]]:
        """Check claims to the end."""
        items = [Carried(place, one) for place, one in enumerate(claims)]
        context = Context(
            structs.replace(REVIEW_BODY, role=role), NOW, "gateway.v1.ClaimService/CheckClaims"
        )
        return [done async for done in self.checking().check_claims(items, context)]


CONTEXT = Context(REVIEW_BODY, NOW, "gateway.v1.ClaimService/CheckClaims")


async def test_claim_is_moved_and_the_look_recorded() -> None:
    """A claim to the old insurer moves; the record tells who looked, at whom, why (KP4-R-01)."""
    stand = Stand()
    await stand.register(key("person"), own(LAST_YEAR, FIRST), own(FIRST, of=NEW_CARD))

    (done,) = await stand.check(claim())

    assert done.decision is not None
    assert (done.decision.check_code, done.decision.why) == ("04", Why.OTHER_COVER_HOLDS)
    (record,) = stand.accesses.records
    assert record.purpose == "KP4-R-01"
    assert record.data == ("D-QUAL",)
    assert record.outcome == "ANSWERED"
    assert record.detail == "04"
    assert record.people == (key("person"),)
    assert done.record_id == "memory-1"


async def test_other_insurers_of_the_person_are_found_through_the_person() -> None:
    """Histories of every person under the number are looked at, and no one else's."""
    stand = Stand()
    await stand.register(key("person"), own(LAST_YEAR))
    await stand.register(key("stranger"), own(LAST_YEAR, of=NEW_CARD))

    (done,) = await stand.check(claim())

    assert done.decision is not None
    assert (key("person"),) == done.decision.people


async def test_outcomes_come_in_order_and_a_bounded_number_at_once() -> None:
    """However many claims there are, so many are under way and the order is the file's."""
    stand = Stand()
    await stand.register(key("person"), own(LAST_YEAR))

    done = await stand.check(*(claim(number) for number in range(1, 31)))

    assert list(range(30)) == [one.item.place for one in done]
    assert stand.accesses.waiting_most == IN_FLIGHT_MAX
    assert len(stand.accesses.records) == 30


async def test_slow_reader_is_not_run_ahead_of() -> None:
    """No more claims are taken than are in flight while an outcome waits to be taken."""
    stand = Stand()
    items = [Carried(number, claim(number)) for number in range(1, 31)]
    outcomes = stand.checking().check_claims(stand.counted(items), CONTEXT)
    async with aclosing(outcomes):
        await anext(outcomes)
        await asyncio.sleep(0.02)
        assert stand.taken == IN_FLIGHT_MAX


async def test_reader_that_leaves_leaves_nothing_running() -> None:
    """Claims under way are cancelled when nobody takes their outcomes any more."""
    stand = Stand()
    before = asyncio.all_tasks()
    items = [Carried(number, claim(number)) for number in range(1, 31)]
    outcomes = stand.checking().check_claims(items, CONTEXT)
    await anext(outcomes)
    await outcomes.aclose()
    assert before == asyncio.all_tasks()


async def test_claim_that_cannot_be_read_is_given_back() -> None:
    """Nobody is looked at for it, and the claims around it are checked."""
    stand = Stand()
    await stand.register(key("person"), own(LAST_YEAR))

    done = await stand.check(claim(1), None, claim(3))

    assert [one.decision is not None for one in done] == [True, False, True]
    assert done[1].record_id == ""
    assert len(stand.accesses.records) == 2


async def test_too_many_matches_are_several_people() -> None:
    """A number too many people have does not stop the file."""
    stand = Stand()
    for place in range(MATCHES_MAX + 1):
        await stand.register(key(f"person-{place}"), own(LAST_YEAR))

    (done,) = await stand.check(claim())

    assert done.decision is not None
    assert (done.decision.check_code, done.decision.why) == ("03", Why.SEVERAL_MATCH)


async def test_claim_without_room_is_recorded_as_it_is_told() -> None:
    """What cannot be written on the claim is decided and recorded as 06."""
    stand = Stand(is_writable=False)
    await stand.register(key("person"), own(LAST_YEAR, FIRST), own(FIRST, of=NEW_CARD))

    (done,) = await stand.check(claim())

    assert done.decision is not None
    assert (done.decision.check_code, done.decision.why) == ("06", Why.NO_ROOM_ON_CLAIM)
    (record,) = stand.accesses.records
    assert record.detail == "06"


async def test_no_store_is_asked_without_an_insurer() -> None:
    """A claim without an insurer leaves a record that names nobody."""

    class Shut(MemoryStore):
        async def matching(
            self, key: LookupKey, birth_date: date, people_max: int
        ) -> Sequence[CompactHistory]:
            raise TooMuch("TOO_MANY_MATCHES")

    stand = Stand(store=Shut(lambda _: b""))
    (done,) = await stand.check(structs.replace(claim(), insured_id=None))

    assert done.decision is not None
    assert Why.NO_INSURER is done.decision.why
    (record,) = stand.accesses.records
    assert record.people == ()


async def test_store_that_is_away_ends_the_check() -> None:
    """A claim is never decided without the store."""

    class Away(MemoryStore):
        async def matching(
            self, key: LookupKey, birth_date: date, people_max: int
        ) -> Sequence[CompactHistory]:
            raise Unavailable("STORE_UNAVAILABLE")

    stand = Stand(store=Away(lambda _: b""))
    with pytest.raises(Unavailable):
        await stand.check(claim(1), claim(2))


@pytest.mark.parametrize("role", [role for role in Role if role is not Role.REVIEW_BODY])
async def test_nobody_else_may(role: Role) -> None:
    """The door denies every other role, and the denial is recorded."""
    stand = Stand()
    with pytest.raises(NotPermitted, match="ACTOR_NOT_ALLOWED"):
        await stand.check(claim(), role=role)
    (record,) = stand.accesses.records
    assert (record.outcome, record.detail) == ("DENIED", "ACTOR_NOT_ALLOWED")

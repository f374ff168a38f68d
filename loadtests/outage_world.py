"""A sandbox in which things fail: people who change jobs, and what clinics are told of them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import grpc
from google.protobuf.timestamp_pb2 import Timestamp
from google.type.date_pb2 import Date

from gateway.app.clock import SandboxClock
from gateway.app.sandbox import Sandbox, read_description, running_sandbox
from gateway.app.supervisor import Gateway
from gateway.domain.card import HolderCheck
from gateway.domain.period import Instant, tokyo_day
from gateway.v1 import coverage_pb2, eligibility_pb2, types_pb2
from gateway.v1 import resident_register_pb2 as register_pb2
from gateway.v1.coverage_pb2_grpc import CoverageServiceStub
from gateway.v1.eligibility_pb2_grpc import EligibilityServiceStub
from gateway.v1.resident_register_pb2_grpc import ResidentRegisterSimulationServiceStub
from simulators.cards import SimulatedCard
from simulators.channel import secure_channel
from simulators.insurer import Patience, upload
from simulators.people import Card, Row, lines_of
from simulators.reader import PortalVisitor, Reader, Wallet
from simulators.story import NEW_INSURER, OLD_INSURER, Story, job_change

if TYPE_CHECKING:
    from gateway.v1.coverage_pb2_grpc import CoverageServiceAsyncStub
    from gateway.v1.eligibility_pb2_grpc import EligibilityServiceAsyncStub

POLL_S: Final = 0.05
SETTLED_S_MAX: Final = 60.0
PATIENCE: Final = Patience(tries_max=60, first_wait_s=0.05, wait_s_max=0.5)
HURRIED: Final = Patience(tries_max=2, first_wait_s=0.05, answer_s_max=2.0)
"""Of an insurer that gives up soon, and sends tomorrow."""

Told = tuple[int, str]
"""What a clinic is told: the validity, and whose cover the first one is; empty for none."""


@dataclass(frozen=True, slots=True)
class Ask:
    """A question a checker has ready, and what must be told."""

    what: str
    ask: Callable[[], Awaitable[Told]]
    expected: Told


async def wrong_among(asks: Iterable[Ask]) -> list[str]:
    """Ask all of them, and tell which were answered otherwise."""
    wrong = []
    for one in asks:
        told = await one.ask()
        if told != one.expected:
            wrong.append(f"{one.what}: {told}, expected {one.expected}")
    return wrong


@dataclass(frozen=True, slots=True)
class Mover:
    """Somebody who changes jobs on a day, and the card read at the clinic."""

    story: Story
    changed: date
    card: SimulatedCard

    @property
    def loss(self) -> Row:
        """What the old insurer has to say, with the employer's notice."""
        return self.story.loss | self._notice | {"loss_date": f"{self.changed:%Y%m%d}"}

    @property
    def after(self) -> Row:
        """What the new insurer has to say."""
        first = f"{self.changed:%Y%m%d}"
        dates = dict.fromkeys(
            ("acquisition_date", "card_issue_date", "card_first_valid_date"), first
        )
        return self.story.after | self._notice | dates

    @property
    def _notice(self) -> Row:
        first = f"{self.changed:%Y%m%d}"
        return {"employer_code": "OUT-1", "filed_date": first, "received_date": first}


class OutageWorld:
    """A running sandbox, its clinic, and its people."""

    def __init__(self, sandbox: Sandbox, gateway: Gateway, clinic: grpc.aio.Channel) -> None:
        self.sandbox, self.gateway = sandbox, gateway
        self.clinic: EligibilityServiceAsyncStub = EligibilityServiceStub(clinic)
        self.reader = Reader(clinic)
        self.wallet = Wallet(sandbox.root / "cards")
        self._serials = count(6_000_000)
        self._requests = count(1)

    @property
    def today(self) -> date:
        """Today on the sandbox's clock."""
        return tokyo_day(self.now)

    @property
    def now(self) -> Instant:
        """The sandbox's time."""
        clock = SandboxClock(self.sandbox.data.clock)
        try:
            return clock()
        finally:
            clock.close()

    def pass_days(self, days: int) -> None:
        """Move the sandbox's clock forward."""
        clock = SandboxClock(self.sandbox.data.clock)
        try:
            clock.advance(timedelta(days=days))
        finally:
            clock.close()

    async def movers(self, people: int, changed: date) -> list[Mover]:
        """Register people at their old insurer, with numbers, and their cards on the portal."""
        stories = [job_change(next(self._serials), self.today) for _ in range(people)]
        residents = [resident_of(story) for story in stories]
        described = read_description(self.sandbox.root)["register"]
        party = {name: Path(described[name]) for name in ("certificate", "key", "ca")}
        async with secure_channel(described["address"], **party) as channel:
            stub = ResidentRegisterSimulationServiceStub(channel)
            await stub.AddResidents(register_pb2.AddResidentsRequest(residents=residents))
        await self.send(OLD_INSURER.number, [story.before for story in stories])
        await self.until_linked(story.before for story in stories)
        found = []
        async with self.channel("portal") as channel:
            visitor = PortalVisitor(channel)
            for story, resident in zip(stories, residents, strict=True):
                card = await self.wallet.issued(resident.resident_id, described)
                await visitor.register(card, self.wallet.pin(resident.resident_id))
                found.append(Mover(story, changed, card))
        return found

    def channel(self, party: str, port: int = 0) -> grpc.aio.Channel:
        """Connect as a party, by a port of a link if one is given."""
        address = f"127.0.0.1:{port or self.gateway.port}"
        return secure_channel(address, **self.sandbox.party(party))

    async def send(
        self, insurer: str, rows: Sequence[Row], port: int = 0, patience: Patience = PATIENCE
    ) -> coverage_pb2.UploadReport:
        """Upload lines as an insurer."""
        async with self.channel(f"insurer-{insurer}", port) as channel:
            stub = CoverageServiceStub(channel)
            request_id = f"outage-{next(self._requests)}"
            return await upload(stub, request_id, lines_of(rows), patience=patience)

    async def states(self, rows: Iterable[Row]) -> list[Any]:
        """How far the My Number of each line's enrollee is."""
        found = []
        async with AsyncExitStack() as stack:
            stubs: dict[str, CoverageServiceAsyncStub] = {}
            for row in rows:
                insurer = row["insurer_number"]
                if insurer not in stubs:
                    channel = await stack.enter_async_context(self.channel(f"insurer-{insurer}"))
                    stubs[insurer] = CoverageServiceStub(channel)
                stages = await stubs[insurer].GetIndividualNumberStages(
                    coverage_pb2.GetIndividualNumberStagesRequest(
                        insured_id=types_pb2.InsuredId(**card_of(row).cells()),
                        birth_date=date_message(birth_date_of(row)),
                    )
                )
                found.append(stages.state)
        return found

    async def until_linked(self, rows: Iterable[Row]) -> int:
        """Wait until every number is linked, or time is up; give how many are not."""
        rows = list(rows)
        until = asyncio.get_running_loop().time() + SETTLED_S_MAX
        while True:
            left = [
                one for one in await self.states(rows) if one != coverage_pb2.NUMBER_STATE_LINKED
            ]
            if not left or asyncio.get_running_loop().time() > until:
                return len(left)
            await asyncio.sleep(POLL_S)

    async def by_number(self, row: Row, on: date, known: Instant | None = None) -> Told:
        """Ask by what the card shows, as of a moment if one is given."""
        request = eligibility_pb2.ConfirmEligibilityRequest(
            insured_id=types_pb2.InsuredId(**card_of(row).cells()),
            birth_date=date_message(birth_date_of(row)),
            confirmation_date=date_message(on),
        )
        if known is not None:
            moment = Timestamp()
            moment.FromMicroseconds(known)
            request.known_time.CopyFrom(moment)
        answer = await self.clinic.ConfirmEligibility(request, timeout=10)
        return told_by(answer)

    async def by_card(self, mover: Mover, on: date) -> Told:
        """Read somebody's My Number card."""
        answer = await self.reader.visit(mover.card, HolderCheck.FACE, on=on)
        return told_by(answer.confirmation)


def told_by(answer: Any) -> Told:
    """The validity, and whose cover was shown first."""
    shown = [cover.insured_id.insurer_number for cover in answer.coverages]
    return int(answer.validity), shown[0] if shown else ""


def resident_of(story: Story) -> register_pb2.Resident:
    """The story's person as the resident register knows them."""
    person, row = story.person, story.before
    return register_pb2.Resident(
        resident_id=f"outage-{row['number']}",
        individual_number=person.individual_number,
        items=register_pb2.FiveItems(
            name=person.name,
            name_kana=person.name_kana,
            birth_date=date_message(person.birth_date),
            sex=types_pb2.SEX_FEMALE,
            address=row["address"],
        ),
    )


def card_of(row: Row) -> Card:
    """What the card of a line's enrollee shows."""
    return Card(row["insurer_number"], row["symbol"], row["number"], row["branch"])


def birth_date_of(row: Row) -> date:
    """The birth date of a line."""
    return date.fromisoformat(row["birth_date"])


def date_message(on: date) -> Date:
    """Spell a day."""
    return Date(year=on.year, month=on.month, day=on.day)


@asynccontextmanager
async def running_world(root: Path) -> AsyncIterator[OutageWorld]:
    """Run a sandbox until the block ends."""
    async with (
        running_sandbox(root, port=0, people=0, seed=1) as (sandbox, gateway),
        secure_channel(gateway.address, **sandbox.party("institution")) as clinic,
    ):
        yield OutageWorld(sandbox, gateway, clinic)


OLD, NEW = OLD_INSURER.number, NEW_INSURER.number

"""
The whole circle with one person who changes jobs.

The insurer is late, the number later still, the claim goes to the wrong place and is moved, and
the person sees who looked. Every step is asked of real processes by the parties who would ask;
each answer is held against what it must be.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Final

import grpc
from google.type.date_pb2 import Date

from gateway.app.claims import check_file
from gateway.app.sandbox import INSTITUTION_CODE, Sandbox, read_description
from gateway.app.visits import put_answer, wallet_of
from gateway.domain.card import HolderCheck
from gateway.v1 import coverage_pb2, types_pb2
from gateway.v1 import resident_register_pb2 as register_pb2
from gateway.v1.coverage_pb2_grpc import CoverageServiceStub
from gateway.v1.eligibility_pb2 import ConfirmEligibilityResponse
from gateway.v1.eligibility_pb2_grpc import EligibilityServiceStub
from gateway.v1.person_pb2 import OwnAccess
from gateway.v1.resident_register_pb2_grpc import ResidentRegisterSimulationServiceStub
from simulators.cards import SimulatedCard
from simulators.channel import secure_channel
from simulators.clinic import ask
from simulators.insurer import register, register_number
from simulators.people import Card
from simulators.reader import PortalVisitor, Reader
from simulators.story import Story

if TYPE_CHECKING:
    from gateway.v1.coverage_pb2_grpc import CoverageServiceAsyncStub
    from gateway.v1.eligibility_pb2_grpc import EligibilityServiceAsyncStub

STAGES_S_MAX: Final = 20
STAGES_POLL_S: Final = 0.02


@dataclass(frozen=True, slots=True)
class Asked:
    """One question of the story: when, how, what must come and what came."""

    chapter: str
    way: str
    expected: int
    validity: int
    why: tuple[str, str]
    """The explanation in Japanese and English."""

    @property
    def is_good(self) -> bool:
        """Whether the answer is the one expected."""
        return self.expected == self.validity


@dataclass(slots=True)
class Told:
    """What the circle gave, for the screen and the exit code."""

    asked: list[Asked] = field(default_factory=list)
    stages: coverage_pb2.GetIndividualNumberStagesResponse | None = None
    check_code: str = ""
    billed_before: str = ""
    billed_after: str = ""
    claim_folder: Path | None = None
    face_file: Path | None = None
    accesses: Sequence[OwnAccess] = ()

    def problems(self, story: Story) -> list[str]:
        """What did not go as it must, one sentence each."""
        found = [
            f"{one.chapter}, {one.way}: expected {one.expected}, got {one.validity}"
            for one in self.asked
            if not one.is_good
        ]
        state = None if self.stages is None else self.stages.state
        if state != coverage_pb2.NUMBER_STATE_LINKED:
            found.append("the My Number was not linked")
        if (self.check_code, self.billed_after) != ("04", story.new.card.insurer_number):
            found.append("the claim was not moved to the new insurer")
        looks = sum(look.role == "institution" for look in self.accesses)
        if looks < sum(one.validity != 4 for one in self.asked):  # noqa: PLR2004  4 finds nobody
            found.append("the person does not see every look")
        return found


@dataclass(frozen=True, slots=True)
class _Desks:
    """The parties of the story, each on a connection of its own."""

    clinic: EligibilityServiceAsyncStub
    reader: Reader
    person: PortalVisitor
    old_insurer: CoverageServiceAsyncStub
    new_insurer: CoverageServiceAsyncStub


class Circle:
    """Tells one story in a running sandbox."""

    def __init__(self, sandbox: Sandbox, story: Story, today: date, run: str) -> None:
        """
        Begin a story.

        Args:
            today: The sandbox's day; every question is about it.

            run: A name no story had before in this sandbox.
        """
        self._sandbox = sandbox
        self._story = story
        self._today = today
        self._run = run
        self._description = read_description(sandbox.root)
        self.told = Told()

    async def tell(self) -> Told:
        """Go through the story from the first visit to the list of looks."""
        async with self._desks() as desks:
            await self._before(desks)
            await self._lost(desks)
            await self._registered(desks)
            await self._numbered(desks)
            await self._claimed()
            card, pin = await self._card()
            self.told.accesses = await desks.person.accesses(card, pin)
        return self.told

    async def _before(self, desks: _Desks) -> None:
        await self._live_here()
        await register(desks.old_insurer, f"{self._run}-before", self._story.before)
        await self._stages(desks.old_insurer, self._story.old.card)
        card, pin = await self._card()
        await desks.person.register(card, pin)
        await self._by_card(desks, "before", 1)

    async def _lost(self, desks: _Desks) -> None:
        await register(desks.old_insurer, f"{self._run}-loss", self._story.loss)
        await self._by_number(desks, "lost", self._story.old.card, 2)
        await self._by_number(desks, "lost", self._story.new.card, 4)
        await self._by_card(desks, "lost", 2)

    async def _registered(self, desks: _Desks) -> None:
        without_number = {**self._story.after, "individual_number": ""}
        await register(desks.new_insurer, f"{self._run}-after", without_number)
        await self._by_number(desks, "registered", self._story.new.card, 1)
        await self._by_number(desks, "registered", self._story.old.card, 2)
        await self._by_card(desks, "registered", 2)

    async def _numbered(self, desks: _Desks) -> None:
        person, new = self._story.person, self._story.new.card
        await register_number(
            desks.new_insurer, f"{self._run}-number", new, person.birth_date,
            person.individual_number,
        )  # fmt: skip
        self.told.stages = await self._stages(desks.new_insurer, new)
        await self._by_number(desks, "numbered", self._story.old.card, 3)
        await self._by_number(desks, "numbered", new, 1)
        await self._by_card(desks, "numbered", 1)

    async def _claimed(self) -> None:
        """Send the month's claim, which names the old insurer, through the review body."""
        source = self._sandbox.root / "claims" / self._run / "RECEIPTC.UKE"
        source.parent.mkdir(parents=True)
        source.write_bytes(self._story.claim_file(INSTITUTION_CODE))
        out = source.with_name("checked")
        checked = await check_file(source, out, self._sandbox.root)
        assert not checked.refusal, checked.refusal
        self.told.claim_folder = out
        self.told.billed_before = self._story.old.card.insurer_number
        self.told.check_code = next(iter(checked.counts), "")
        moved = sorted(path.parent.name for path in out.glob("moved/*/RECEIPTC.UKE"))
        self.told.billed_after = moved[0] if moved else ""

    async def _by_number(self, desks: _Desks, chapter: str, card: Card, expected: int) -> None:
        born = self._story.person.birth_date
        answer = await ask(desks.clinic, card, born, self._today)
        way = "old" if card == self._story.old.card else "new"
        self._note(chapter, way, expected, answer)

    async def _by_card(self, desks: _Desks, chapter: str, expected: int) -> None:
        card, _ = await self._card()
        answer = await desks.reader.visit(card, HolderCheck.FACE, on=self._today)
        self._note(chapter, "card", expected, answer.confirmation)
        folder = self._sandbox.folders / "face"
        self.told.face_file = put_answer(folder, INSTITUTION_CODE, answer)

    def _note(
        self, chapter: str, way: str, expected: int, answer: ConfirmEligibilityResponse
    ) -> None:
        words = answer.explanation_ja, answer.explanation_en
        self.told.asked.append(Asked(chapter, way, expected, answer.validity, words))

    async def _live_here(self) -> None:
        """Have the resident register know the person, under a name of this run."""
        person = self._story.person
        register_at = self._description["register"]
        party = {name: Path(register_at[name]) for name in ("certificate", "key", "ca")}
        resident = register_pb2.Resident(
            resident_id=self._run,
            individual_number=person.individual_number,
            items=register_pb2.FiveItems(
                name=person.name,
                name_kana=person.name_kana,
                birth_date=_date(person.birth_date),
                sex=types_pb2.SEX_FEMALE,
                address=self._story.before["address"],
            ),
        )
        async with secure_channel(register_at["address"], **party) as channel:
            stub = ResidentRegisterSimulationServiceStub(channel)
            await stub.AddResidents(register_pb2.AddResidentsRequest(residents=[resident]))

    async def _card(self) -> tuple[SimulatedCard, str]:
        wallet = wallet_of(self._sandbox.root)
        card = await wallet.issued(self._run, self._description["register"])
        return card, wallet.pin(self._run)

    async def _stages(
        self, insurer: CoverageServiceAsyncStub, card: Card
    ) -> coverage_pb2.GetIndividualNumberStagesResponse:
        """Wait until a told number has been checked, linked and projected."""
        request = coverage_pb2.GetIndividualNumberStagesRequest(
            insured_id=types_pb2.InsuredId(**card.cells()),
            birth_date=_date(self._story.person.birth_date),
        )
        async with asyncio.timeout(STAGES_S_MAX):
            while True:
                stages = await insurer.GetIndividualNumberStages(request)
                is_waiting = stages.state == coverage_pb2.NUMBER_STATE_RECEIVED
                if not is_waiting and stages.HasField("projected_time"):
                    return stages
                await asyncio.sleep(STAGES_POLL_S)

    @asynccontextmanager
    async def _desks(self) -> AsyncIterator[_Desks]:
        async with AsyncExitStack() as channels:

            async def channel(party: str) -> grpc.aio.Channel:
                opened = secure_channel(self._description["address"], **self._sandbox.party(party))
                return await channels.enter_async_context(opened)

            clinic = await channel("institution")
            old, new = self._story.old.card, self._story.new.card
            yield _Desks(
                EligibilityServiceStub(clinic),
                Reader(clinic),
                PortalVisitor(await channel("portal")),
                CoverageServiceStub(await channel(f"insurer-{old.insurer_number}")),
                CoverageServiceStub(await channel(f"insurer-{new.insurer_number}")),
            )


def _date(day: date) -> Date:
    return Date(year=day.year, month=day.month, day=day.day)

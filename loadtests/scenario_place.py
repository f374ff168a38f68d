"""
Where scenarios are played: one sandbox, asked by number, by card and by folder.

What a card gives is read twice: from the wire, and from the file it puts into the face folder.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import date, timedelta
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

import grpc

from gateway.app.clock import SandboxClock
from gateway.app.sandbox import INSTITUTION_CODE, Sandbox, read_description, running_sandbox
from gateway.app.visits import put_answer
from gateway.domain.card import HolderCheck
from gateway.v1.card_pb2 import CertificateState
from gateway.v1.coverage_pb2 import GetIndividualNumberStagesRequest, UploadReport
from gateway.v1.coverage_pb2_grpc import CoverageServiceStub
from gateway.v1.eligibility_pb2_grpc import EligibilityServiceStub
from gateway.v1.types_pb2 import Coverage, InsuredId
from simulators.cards import SimulatedCard
from simulators.catalogue import Catalogue, catalogue
from simulators.channel import secure_channel
from simulators.clinic import Folders, ask, ask_by_folder, read_result
from simulators.insurer import upload
from simulators.people import Card, Row, lines_of
from simulators.reader import PortalVisitor, Reader, Wallet

if TYPE_CHECKING:
    from gateway.v1.coverage_pb2_grpc import CoverageServiceAsyncStub
    from gateway.v1.eligibility_pb2_grpc import EligibilityServiceAsyncStub

CHECKED_TRIES: Final = 500
CHECKED_POLL_S: Final = 0.02

ITEMS: Final = {
    "insurer": "InsurerNumber",
    "branch": "InsuredBranchNumber",
    "name": "Name",
    "name_of_other": "NameOfOther",
    "address": "Address",
    "acquired": "QualificationDate",
    "lost": "DisqualificationDate",
    "card_ends": "InsuredCardExpirationDate",
    "elderly_ratio": "ElderlyRecipientContributionRatio",
    "limit_class": "LimitApplicationCertificateClassificationFlag",
    "limit_kind": "LimitApplicationCertificateClassification",
    "disease": "SpecificDiseasesDiseaseCategory",
}
"""What is compared of a cover, and the element a file has it in; of a list the last."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What came back by one route: the validity, and items of the first cover shown."""

    validity: int
    items: Mapping[str, str] = field(default_factory=dict)


class CardSeen(NamedTuple):
    """What one visit gave: on the wire, in the face folder, which rule decided, and the card's."""

    wire: Seen
    face: Seen
    reason: str
    certificate: str


@dataclass(frozen=True, slots=True)
class Asked:
    """A question: what the card shows, whose My Number card is read, and the day."""

    person: str
    card: Card
    birth_date: date
    on: date
    is_consented: bool = False


def seen_by_wire(validity: int, covers: Iterable[Coverage]) -> Seen:
    """An answer of gRPC in the form of a file's."""
    for cover in covers:
        days = {
            "acquired": cover.acquisition_date,
            "lost": cover.loss_date,
            "card_ends": cover.card_last_valid_date,
        }
        ratio = cover.elderly_certificate.copayment_ratio_percent
        diseases = [one.disease_category for one in cover.specific_disease_certificates]
        return Seen(
            validity,
            {
                "insurer": cover.insured_id.insurer_number,
                "branch": cover.insured_id.branch,
                "name": cover.name,
                "name_of_other": cover.name_of_other,
                "address": cover.address,
                **{
                    name: f"{day.year:04}{day.month:02}{day.day:02}" if day.year else ""
                    for name, day in days.items()
                },
                "elderly_ratio": f"{ratio:03}" if ratio else "",
                "limit_class": cover.limit_certificate.limit_class,
                "limit_kind": cover.limit_certificate.kind,
                "disease": diseases[-1] if diseases else "",
                "medical_stopped": "1" if cover.is_medical_information_stopped else "",
            },
        )
    return Seen(validity)


def seen_by_file(validity: int, covers: Iterable[Mapping[str, str]]) -> Seen:
    """An answer of a folder; an item without an element is empty."""
    for cover in covers:
        items = {name: cover.get(element, "") for name, element in ITEMS.items()}
        items["insurer"] = items["insurer"].strip().rjust(8, "0")
        return Seen(validity, items)
    return Seen(validity)


class Place:
    """A running sandbox, and everybody who comes to it."""

    def __init__(self, sandbox: Sandbox, address: str, clinic: grpc.aio.Channel) -> None:
        self.sandbox = sandbox
        self.address = address
        self.catalogue: Catalogue = catalogue(INSTITUTION_CODE)
        self._people = {person.id: person for person in self.catalogue.people}
        self._stub: EligibilityServiceAsyncStub = EligibilityServiceStub(clinic)
        self.reader = Reader(clinic)
        self.wallet = Wallet(sandbox.root / "cards")
        self._numbers = count(1)
        self._registered: set[str] = set()

    def asked(
        self,
        person_id: str,
        *,
        card: Card | None = None,
        on: date | None = None,
        is_consented: bool | None = None,
    ) -> Asked:
        """The question about a named test person, but for what is told otherwise."""
        person = self._people[person_id]
        consent = person.is_limit_certificate_consented if is_consented is None else is_consented
        return Asked(person.id, card or person.card, person.birth_date, on or person.on, consent)

    def number_of(self, person_id: str) -> str:
        """The made-up My Number of a test person."""
        return self._people[person_id].individual_number

    def row_of(self, person_id: str) -> Row:
        """The first line the catalogue uploads about a test person."""
        number = self.number_of(person_id)
        return next(
            row
            for rows in self.catalogue.rows_by_insurer.values()
            for row in rows
            if row.get("individual_number") == number
        )

    async def by_number(self, asked: Asked) -> Seen:
        """Ask by gRPC."""
        answer = await ask(
            self._stub,
            asked.card,
            asked.birth_date,
            asked.on,
            is_limit_certificate_consented=asked.is_consented,
        )
        return seen_by_wire(int(answer.validity), answer.coverages)

    async def by_folder(self, asked: Asked) -> Seen:
        """Ask by a file in `req`, and read the one in `res`."""
        folders = Folders(
            self.sandbox.folders / "req", self.sandbox.folders / "res", INSTITUTION_CODE
        )
        found = await ask_by_folder(
            folders,
            f"{next(self._numbers):012}",
            asked.card,
            asked.birth_date,
            asked.on,
            is_limit_certificate_consented=asked.is_consented,
        )
        return seen_by_file(found.validity or 0, found.coverages)

    async def by_card(self, asked: Asked, check: HolderCheck = HolderCheck.FACE) -> CardSeen:
        """Read the person's card at the reader; a first visit registers it on the portal."""
        card = await self.card_of(asked.person)
        if asked.person not in self._registered:
            await self.register(card, self.wallet.pin(asked.person))
            self._registered.add(asked.person)
        return await self.visit(card, asked, check)

    async def visit(self, card: SimulatedCard, asked: Asked, check: HolderCheck) -> CardSeen:
        """Read a card as it is; the answer is put into the face folder and read there."""
        pin = self.wallet.pin(asked.person) if check is HolderCheck.PIN else ""
        answer = await self.reader.visit(
            card, check, pin=pin, on=asked.on, is_limit_consented=asked.is_consented
        )
        said = answer.confirmation
        face = put_answer(self.sandbox.folders / "face", INSTITUTION_CODE, answer)
        read = read_result(face.read_bytes())
        return CardSeen(
            seen_by_wire(int(said.validity), said.coverages),
            seen_by_file(read.validity or 0, read.coverages),
            said.reason,
            CertificateState.Name(answer.certificate_state).removeprefix("CERTIFICATE_STATE_"),
        )

    async def card_of(self, person_id: str) -> SimulatedCard:
        """A person's card, issued if there is none."""
        register = read_description(self.sandbox.root)["register"]
        return await self.wallet.issued(person_id, register)

    async def register(self, card: SimulatedCard, pin: str) -> None:
        """Register a card on the portal (初回登録)."""
        async with secure_channel(self.address, **self.sandbox.party("portal")) as channel:
            await PortalVisitor(channel).register(card, pin)

    @asynccontextmanager
    async def channel_of(self, insurer: str) -> AsyncIterator[grpc.aio.Channel]:
        """Connect as an insurer."""
        party = self.sandbox.party(f"insurer-{insurer}")
        async with secure_channel(self.address, **party) as channel:
            yield channel

    async def upload(self, *rows: Row) -> UploadReport:
        """Send lines of one insurer as a file, and wait until told numbers were checked."""
        async with self.channel_of(rows[0]["insurer_number"]) as channel:
            stub: CoverageServiceAsyncStub = CoverageServiceStub(channel)
            report = await upload(stub, f"scenario-{next(self._numbers)}", lines_of(rows))
            for row in rows:
                if row.get("individual_number"):
                    await self._until_checked(stub, row)
        return report

    async def _until_checked(self, stub: CoverageServiceAsyncStub, row: Row) -> None:
        born = date.fromisoformat(row["birth_date"])
        request = GetIndividualNumberStagesRequest(
            insured_id=InsuredId(
                insurer_number=row["insurer_number"],
                symbol=row["symbol"],
                number=row["number"],
                branch=row["branch"],
            )
        )
        request.birth_date.year, request.birth_date.month = born.year, born.month
        request.birth_date.day = born.day
        for _ in range(CHECKED_TRIES):
            if (await stub.GetIndividualNumberStages(request)).HasField("checked_time"):
                return
            await asyncio.sleep(CHECKED_POLL_S)
        raise TimeoutError("the resident register did not answer")

    def pass_days(self, days: int) -> None:
        """Move the sandbox's clock forward."""
        clock = SandboxClock(self.sandbox.data.clock)
        try:
            clock.advance(timedelta(days=days))
        finally:
            clock.close()


@asynccontextmanager
async def running_place(root: Path) -> AsyncIterator[Place]:
    """Run a sandbox with the named test persons until the block ends."""
    async with (
        running_sandbox(root, port=0, people=0, seed=1, is_number_searched=True) as (
            sandbox,
            gateway,
        ),
        secure_channel(gateway.address, **sandbox.party("institution")) as clinic,
    ):
        yield Place(sandbox, gateway.address, clinic)

"""
A card reader at a counter, a person at the portal, a municipality that issues cards.

All speak the wire only. The PIN stays on this side: the card compares it and signs what came of
it, as a real card does (docs/cards.md).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Final

import grpc
from google.type.date_pb2 import Date

from gateway.domain.card import HolderCheck
from gateway.v1 import card_pb2, person_pb2
from gateway.v1 import resident_register_pb2 as register_pb2
from gateway.v1.card_pb2_grpc import CardReaderServiceStub
from gateway.v1.person_pb2_grpc import PersonServiceStub
from gateway.v1.resident_register_pb2_grpc import ResidentRegisterSimulationServiceStub
from simulators.cards import SimulatedCard, replace_file
from simulators.channel import secure_channel

if TYPE_CHECKING:
    from gateway.v1.card_pb2_grpc import CardReaderServiceAsyncStub
    from gateway.v1.person_pb2_grpc import PersonServiceAsyncStub

DEADLINE_S: Final = 20
FACE_SCORE: Final = 95
"""How alike the simulated camera finds a holder's own face."""


@dataclass(frozen=True, slots=True)
class Wallet:
    """The cards and PIN letters of made-up residents, in a folder."""

    folder: Path

    def card(self, resident_id: str) -> SimulatedCard | None:
        """The card of a resident; None before one was issued."""
        path = self._path(resident_id)
        return SimulatedCard(path) if path.exists() else None

    def pin(self, resident_id: str) -> str:
        """The PIN in the letter that came with the card."""
        letter = json.loads(self._letter(resident_id).read_bytes())
        return str(letter["pin"])

    async def issued(self, resident_id: str, register: Mapping[str, str]) -> SimulatedCard:
        """
        The card of a resident, issued by the municipality if there is none.

        Args:
            register: Address and operator's certificate, as the sandbox describes them.

        Raises:
            grpc.aio.AioRpcError: NOT_FOUND if the register does not know the resident.
        """
        card = self.card(resident_id)
        if card is not None:
            return card
        party = {name: Path(register[name]) for name in ("certificate", "key", "ca")}
        async with secure_channel(register["address"], **party) as channel:
            stub = ResidentRegisterSimulationServiceStub(channel)
            request = register_pb2.IssueCardRequest(resident_id=resident_id)
            issued = await stub.IssueCard(request, timeout=DEADLINE_S)
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        replace_file(self._letter(resident_id), json.dumps({"pin": issued.pin}).encode())
        return SimulatedCard.create(
            self._path(resident_id), issued.certificate, issued.private_key, issued.pin
        )

    def _path(self, resident_id: str) -> Path:
        return self.folder / f"{resident_id}.card.json"

    def _letter(self, resident_id: str) -> Path:
        return self.folder / f"{resident_id}.letter.json"


def _question(
    proof: card_pb2.CardProof, on: date | None, *, is_limit_consented: bool, token: str
) -> card_pb2.ConfirmByCardRequest:
    return card_pb2.ConfirmByCardRequest(
        proof=proof,
        confirmation_date=on and Date(year=on.year, month=on.month, day=on.day),
        is_limit_certificate_consented=is_limit_consented,
        answer_token=token,
    )


class Reader:
    """A reader of one institution, on one connection."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._stub: CardReaderServiceAsyncStub = CardReaderServiceStub(channel)

    async def challenge(self) -> bytes:
        """Begin a visit."""
        begun = await self._stub.BeginVisit(card_pb2.BeginVisitRequest(), timeout=DEADLINE_S)
        return begun.challenge

    async def confirm(
        self,
        proof: card_pb2.CardProof,
        on: date | None = None,
        *,
        is_limit_consented: bool = False,
        token: str = "",
    ) -> card_pb2.ConfirmByCardResponse:
        """Send a proof; the gateway's refusals come as `grpc.aio.AioRpcError`."""
        question = _question(proof, on, is_limit_consented=is_limit_consented, token=token)
        return await self._stub.ConfirmByCard(question, timeout=DEADLINE_S)

    async def explained(
        self,
        card: SimulatedCard,
        check: HolderCheck,
        *,
        pin: str = "",
        face_score: int = FACE_SCORE,
        on: date | None = None,
        is_limit_consented: bool = False,
        token: str = "",
    ) -> card_pb2.ExplainByCardResponse:
        """Read a card as `visit` does, and ask how the answer came about."""
        proof = card.prove(await self.challenge(), check, pin=pin, face_score=face_score)
        question = _question(proof, on, is_limit_consented=is_limit_consented, token=token)
        request = card_pb2.ExplainByCardRequest(question=question)
        return await self._stub.ExplainByCard(request, timeout=DEADLINE_S)

    async def visit(
        self,
        card: SimulatedCard,
        check: HolderCheck,
        *,
        pin: str = "",
        face_score: int = FACE_SCORE,
        on: date | None = None,
        is_limit_consented: bool = False,
        token: str = "",
    ) -> card_pb2.ConfirmByCardResponse:
        """Read a card from beginning to end."""
        proof = card.prove(await self.challenge(), check, pin=pin, face_score=face_score)
        return await self.confirm(proof, on, is_limit_consented=is_limit_consented, token=token)


class PortalVisitor:
    """A person at the portal with a card and its PIN, on one connection of the portal."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._stub: PersonServiceAsyncStub = PersonServiceStub(channel)

    async def register(self, card: SimulatedCard, pin: str) -> person_pb2.RegisterCardResponse:
        """Register the card (初回登録)."""
        request = person_pb2.RegisterCardRequest(proof=await self._proof(card, pin))
        return await self._stub.RegisterCard(request, timeout=DEADLINE_S)

    async def accesses(
        self, card: SimulatedCard, pin: str, looks_max: int = 100
    ) -> Sequence[person_pb2.OwnAccess]:
        """See who looked, newest first."""
        request = person_pb2.ListOwnAccessesRequest(
            proof=await self._proof(card, pin), page_size=looks_max
        )
        return (await self._stub.ListOwnAccesses(request, timeout=DEADLINE_S)).accesses

    async def history(self, card: SimulatedCard, pin: str) -> person_pb2.GetOwnHistoryResponse:
        """See what was ever learned of one's own covers."""
        request = person_pb2.GetOwnHistoryRequest(proof=await self._proof(card, pin))
        return await self._stub.GetOwnHistory(request, timeout=DEADLINE_S)

    async def _proof(self, card: SimulatedCard, pin: str) -> card_pb2.CardProof:
        begun = await self._stub.BeginSession(person_pb2.BeginSessionRequest(), timeout=DEADLINE_S)
        return card.prove(begun.challenge, HolderCheck.PIN, pin=pin)

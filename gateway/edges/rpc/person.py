"""PersonService as the writer serves it: registering a card, who looked, what was learned."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from gateway.domain.errors import InvalidInput
from gateway.domain.purpose import Role
from gateway.edges.rpc import convert, convert_card, convert_history
from gateway.edges.rpc.server import Method, read
from gateway.usecases.context import Context
from gateway.usecases.portal import Portal
from gateway.v1 import person_pb2 as pb

PORTALS = frozenset({Role.PORTAL})
LOOKS_IF_NOT_SAID: Final = 100
LOOKS_MAX: Final = 1_000


@dataclass(frozen=True, slots=True)
class PersonService:
    """Serves people; there is one, in the writer."""

    portal: Portal
    history_versions_max: int

    def methods(self) -> tuple[Method, ...]:
        """The methods and who may call them."""
        return (
            Method("PersonService/BeginSession", PORTALS, unary=self.begin_session),
            Method("PersonService/RegisterCard", PORTALS, unary=self.register_card),
            Method("PersonService/ListOwnAccesses", PORTALS, unary=self.list_own_accesses),
            Method("PersonService/GetOwnHistory", PORTALS, unary=self.get_own_history),
        )

    async def begin_session(self, request: bytes, context: Context) -> bytes:
        """Give a challenge."""
        read(pb.BeginSessionRequest, request)
        challenge, expire_time = self.portal.cards.begin(context)
        return pb.BeginSessionResponse(
            challenge=challenge, expire_time=convert.timestamp(expire_time)
        ).SerializeToString()

    async def register_card(self, request: bytes, context: Context) -> bytes:
        """Register a card."""
        said = read(pb.RegisterCardRequest, request)
        at = await self.portal.register_card(convert_card.proof(said.proof), context)
        return pb.RegisterCardResponse(
            is_changed=at is not None,
            registered_time=None if at is None else convert.timestamp(at),
        ).SerializeToString()

    async def list_own_accesses(self, request: bytes, context: Context) -> bytes:
        """List who looked at the holder."""
        said = read(pb.ListOwnAccessesRequest, request)
        looks_max = said.page_size or LOOKS_IF_NOT_SAID
        if not 1 <= looks_max <= LOOKS_MAX:
            raise InvalidInput("FORMAT_WRONG", "page_size")
        proof = convert_card.proof(said.proof)
        looks = await self.portal.own_accesses(proof, looks_max, context)
        policy = self.portal.door.policy
        return convert_card.own_accesses(looks, policy).SerializeToString()

    async def get_own_history(self, request: bytes, context: Context) -> bytes:
        """Tell what was learned of the holder's covers."""
        said = read(pb.GetOwnHistoryRequest, request)
        proof = convert_card.proof(said.proof)
        told = await self.portal.own_history(proof, self.history_versions_max, context)
        return convert_history.own_history(told).SerializeToString()

"""CardReaderService as a worker serves it: challenges of its own, answers from the hot read."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.domain.purpose import Role
from gateway.edges.rpc import convert, convert_card
from gateway.edges.rpc.server import Method, read
from gateway.store.port_answers import Answering
from gateway.usecases.answer_tokens import Tokens
from gateway.usecases.confirm_eligibility import LookupLimits
from gateway.usecases.context import Context
from gateway.usecases.door import Door
from gateway.usecases.visit import Cards, confirm_by_card, question_by_card
from gateway.v1 import card_pb2 as pb

INSTITUTIONS = frozenset({Role.INSTITUTION})


@dataclass(frozen=True, slots=True)
class CardReaderService:
    """Answers visits."""

    store: Answering
    door: Door
    cards: Cards
    tokens: Tokens
    limits: LookupLimits

    def methods(self) -> tuple[Method, ...]:
        """The methods and who may call them."""
        return (
            Method(
                "CardReaderService/BeginVisit",
                INSTITUTIONS,
                unary=self.begin_visit,
                is_connection_told=True,
            ),
            Method(
                "CardReaderService/ConfirmByCard",
                INSTITUTIONS,
                unary=self.confirm_by_card,
                is_connection_told=True,
            ),
        )

    async def begin_visit(self, request: bytes, context: Context) -> bytes:
        """Give a challenge."""
        read(pb.BeginVisitRequest, request)
        challenge, expire_time = self.cards.begin(context)
        return pb.BeginVisitResponse(
            challenge=challenge, expire_time=convert.timestamp(expire_time)
        ).SerializeToString()

    async def confirm_by_card(self, request: bytes, context: Context) -> bytes:
        """Confirm the holder of a card; see the proto for what it refuses."""
        said = read(pb.ConfirmByCardRequest, request)
        as_of = self.tokens.as_of(said.answer_token, None)
        on = convert_card.day_of(said, convert.day_asked(as_of, context))
        consented = said.is_limit_certificate_consented
        answer, record_id = await confirm_by_card(
            convert_card.proof(said.proof),
            question_by_card(on, context, is_limit_consented=consented),
            context,
            self.store,
            self.door,
            self.cards,
            self.tokens,
            self.limits,
            as_of=as_of,
        )
        return convert_card.visited(answer, context.now, record_id)

"""How an answer came about, by number and by card."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.domain.eligibility import ByNumber, Rules
from gateway.domain.errors import InvalidInput
from gateway.domain.explanation import ExplainedAnswer
from gateway.domain.period import tokyo_day
from gateway.domain.purpose import Role
from gateway.edges.rpc import convert, convert_card, convert_insurers
from gateway.edges.rpc.server import Method, read
from gateway.store.port_answers import ExplainingAgain
from gateway.usecases.answer_tokens import AsOf, Tokens
from gateway.usecases.context import Context
from gateway.usecases.door import Door
from gateway.usecases.explain_eligibility import (
    CardFacts,
    ExplainLimits,
    explain_by_card,
    explain_eligibility,
)
from gateway.usecases.visit import Cards, question_by_card
from gateway.v1 import card_pb2
from gateway.v1.eligibility_pb2 import ExplainEligibilityRequest


@dataclass(frozen=True, slots=True)
class ExplanationService:
    """Explains answers to institutions."""

    store: ExplainingAgain
    door: Door
    tokens: Tokens
    limits: ExplainLimits

    def methods(self) -> tuple[Method, ...]:
        """The methods and who may call them."""
        return (
            Method(
                "EligibilityService/ExplainEligibility",
                frozenset({Role.INSTITUTION}),
                unary=self.explain_eligibility,
            ),
        )

    async def explain_eligibility(self, request: bytes, context: Context) -> bytes:
        """Explain one answer; see the proto for what it refuses."""
        said = read(ExplainEligibilityRequest, request)
        try:
            asked, as_of = convert.query(said.question, context, self.tokens)
            explained, record_id = await self._explained(asked, as_of, context)
        except InvalidInput as refusal:
            raise refusal.within(f"question.{refusal.field}") from None
        return convert_insurers.explained(explained, asked, context.now, record_id)

    async def _explained(
        self, asked: ByNumber, as_of: AsOf, context: Context
    ) -> tuple[ExplainedAnswer, str]:
        return await explain_eligibility(
            asked, as_of, context, self.store, self.door, self.tokens, self.limits
        )


@dataclass(frozen=True, slots=True)
class CardExplanationService:
    """Explains answers of visits; `cards` is whoever gave the challenges."""

    store: CardFacts
    door: Door
    cards: Cards
    rules: Rules
    limits: ExplainLimits

    def methods(self) -> tuple[Method, ...]:
        """The methods and who may call them."""
        return (
            Method(
                "CardReaderService/ExplainByCard",
                frozenset({Role.INSTITUTION}),
                unary=self.explain_by_card,
                is_connection_told=True,
            ),
        )

    async def explain_by_card(self, request: bytes, context: Context) -> bytes:
        """Explain one answer; see the proto for what it refuses."""
        said = read(card_pb2.ExplainByCardRequest, request).question
        if said.answer_token:
            raise InvalidInput("TOKEN_NOT_TAKEN", "question.answer_token")
        try:
            on = convert_card.day_of(said, tokyo_day(context.now))
            consented = said.is_limit_certificate_consented
            visit, record_id = await explain_by_card(
                convert_card.proof(said.proof),
                question_by_card(on, context, is_limit_consented=consented),
                context,
                self.store,
                self.door,
                self.cards,
                self.rules,
                self.limits,
            )
        except InvalidInput as refusal:
            raise refusal.within(f"question.{refusal.field}") from None
        explained = convert_insurers.explained(visit.explained, visit.query, context.now, record_id)
        return convert_card.explained_visit(explained, visit.certificate_state)

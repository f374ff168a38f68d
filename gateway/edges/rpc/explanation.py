"""EligibilityService as it explains itself: how an answer came about."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.domain.eligibility import ByNumber, Rules
from gateway.domain.errors import InvalidInput
from gateway.domain.explanation import ExplainedAnswer
from gateway.domain.period import Instant
from gateway.domain.purpose import Role
from gateway.edges.rpc import convert, convert_insurers
from gateway.edges.rpc.server import Method, read
from gateway.store.port_insurers import Explaining
from gateway.usecases.context import Context
from gateway.usecases.door import Door
from gateway.usecases.explain_eligibility import ExplainLimits, explain_eligibility
from gateway.v1.eligibility_pb2 import ExplainEligibilityRequest


@dataclass(frozen=True, slots=True)
class ExplanationService:
    """Explains answers to institutions."""

    store: Explaining
    door: Door
    rules: Rules
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
            asked, known = convert.query(said.question, context.caller.code, context.now)
            explained, record_id = await self._explained(asked, known, context)
        except InvalidInput as refusal:
            raise refusal.within(f"question.{refusal.field}") from None
        return convert_insurers.explained(explained, asked, context.now, record_id)

    async def _explained(
        self, asked: ByNumber, known: Instant | None, context: Context
    ) -> tuple[ExplainedAnswer, str]:
        return await explain_eligibility(
            asked, known, context, self.store, self.door, self.rules, self.limits
        )

"""EligibilityService over the hot read: bytes in, bytes out."""

from __future__ import annotations

from dataclasses import dataclass

from google.protobuf.message import DecodeError

from gateway.domain.errors import InvalidInput
from gateway.domain.purpose import Role
from gateway.edges.rpc import convert
from gateway.edges.rpc.server import Method
from gateway.store.port_answers import Answering
from gateway.usecases.answer_tokens import Tokens
from gateway.usecases.confirm_eligibility import LookupLimits, confirm_eligibility
from gateway.usecases.context import Context
from gateway.usecases.door import Door
from gateway.v1.eligibility_pb2 import ConfirmEligibilityRequest


@dataclass(frozen=True, slots=True)
class EligibilityService:
    """Answers institutions."""

    store: Answering
    door: Door
    tokens: Tokens
    limits: LookupLimits

    def methods(self) -> tuple[Method, ...]:
        """The methods and who may call them."""
        return (
            Method(
                "EligibilityService/ConfirmEligibility",
                frozenset({Role.INSTITUTION}),
                unary=self.confirm_eligibility,
            ),
        )

    async def confirm_eligibility(self, request: bytes, context: Context) -> bytes:
        """Confirm one person; see the proto for what it refuses."""
        try:
            message = ConfirmEligibilityRequest.FromString(request)
        except DecodeError:
            raise InvalidInput("MESSAGE_MALFORMED") from None
        asked, as_of = convert.query(message, context, self.tokens)
        answer, record_id = await confirm_eligibility(
            asked, as_of, context, self.store, self.door, self.tokens, self.limits
        )
        return convert.confirmation(
            answer.confirmation, asked, context.now, record_id, answer.token
        )

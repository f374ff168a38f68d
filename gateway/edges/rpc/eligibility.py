"""EligibilityService over the hot read: bytes in, bytes out."""

from __future__ import annotations

from dataclasses import dataclass

from google.protobuf.message import DecodeError

from gateway.domain.eligibility import Rules
from gateway.domain.errors import InvalidInput
from gateway.domain.purpose import Role
from gateway.edges.rpc import convert
from gateway.edges.rpc.server import Method
from gateway.store.port import Reading
from gateway.usecases.confirm_eligibility import LookupLimits, confirm_eligibility
from gateway.usecases.context import Context
from gateway.usecases.door import Door
from gateway.v1.eligibility_pb2 import ConfirmEligibilityRequest


@dataclass(frozen=True, slots=True)
class EligibilityService:
    """Answers institutions."""

    store: Reading
    door: Door
    rules: Rules
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
        asked, known = convert.query(message, context.caller.code, context.now)
        answer, record_id = await confirm_eligibility(
            asked, known, context, self.store, self.door, self.rules, self.limits
        )
        return convert.confirmation(answer, asked, context.now, record_id)

"""
The only way in to personal data: check the purpose, look, record, and only then answer.

A denial is recorded like an allowance. The record is durable before the answer leaves, so that
"nobody looked without a record" holds over any crash. Source: house 6 and 11; R002-12-6.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from gateway.domain.access import AccessRecord
from gateway.domain.errors import NotPermitted
from gateway.domain.identifiers import PersonKey
from gateway.domain.period import tokyo_day
from gateway.domain.purpose import DataCategory, Operation, Policy, Request, Role, denial
from gateway.store.port import Accesses
from gateway.usecases.context import Context

Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True)
class Looked(Generic[Answer]):
    """What a look gave, and what its record says of it."""

    answer: Answer
    outcome: str
    detail: str
    people: tuple[PersonKey, ...] = ()


@dataclass(frozen=True, slots=True)
class Errand:
    """A use case's standing wish: its purpose, what it does, with which data, for whom."""

    purpose: str
    operation: Operation
    data: frozenset[DataCategory]
    recipient: Role | None = None


@dataclass(frozen=True, slots=True)
class Door:
    """Checks, opens and records."""

    policy: Policy
    accesses: Accesses

    async def opened(
        self,
        context: Context,
        errand: Errand,
        look: Callable[[], Awaitable[Looked[Answer]]],
    ) -> tuple[Answer, str]:
        """
        Let `look` run if the errand is allowed, and record it either way.

        Returns:
            The answer and the id of its access record, which is durable.

        Raises:
            NotPermitted: With the reason of the first check that failed, or as `look`; recorded.
        """
        request = Request(
            errand.purpose, context.caller.role, errand.operation, errand.data, errand.recipient
        )
        reason = denial(request, self.policy, tokyo_day(context.now))
        if reason is not None:
            await self._record(context, errand, Looked(None, "DENIED", reason))
            raise NotPermitted(reason)
        try:
            looked = await look()
        except NotPermitted as refusal:
            await self._record(context, errand, Looked(None, "DENIED", refusal.reason))
            raise
        return looked.answer, await self._record(context, errand, looked)

    async def _record(self, context: Context, errand: Errand, looked: Looked[Answer]) -> str:
        return await self.accesses.record(
            AccessRecord(
                at=context.now,
                role=context.caller.role.value,
                code=context.caller.code,
                method=context.method,
                purpose=errand.purpose,
                policy_version=self.policy.version,
                operation=errand.operation.value,
                data=tuple(sorted(category.value for category in errand.data)),
                outcome=looked.outcome,
                detail=looked.detail,
                people=looked.people,
            )
        )

"""
The only way in to personal data: check the purpose, look, record, and only then answer.

A denial is recorded like an allowance. The record is durable before the answer leaves, so that
"nobody looked without a record" holds over any crash. Source: house 6 and 11; R002-12-6.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import date
from typing import Generic, TypeVar

from gateway.domain.access import AccessRecord
from gateway.domain.errors import NotPermitted, Refusal
from gateway.domain.identifiers import PersonKey
from gateway.domain.period import tokyo_day
from gateway.domain.purpose import DataCategory, Operation, Policy, Request, Role, denial
from gateway.store.port_beside import Accesses
from gateway.usecases.context import Context

Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True)
class Looked(Generic[Answer]):
    """What a look gave, and what its record says of it."""

    answer: Answer
    outcome: str
    detail: str
    people: tuple[PersonKey, ...] = ()


class DeniedLookError(Exception):
    """Raised by a look that must be refused after it became known whom it was about."""

    def __init__(self, refusal: Refusal, people: tuple[PersonKey, ...]) -> None:
        super().__init__(refusal.reason)
        self.refusal = refusal
        self.people = people


@dataclass(frozen=True, slots=True, eq=False)
class Errand:
    """
    A use case's standing wish: its purpose, what it does, with which data, for whom.

    A constant of the use case, so one errand is only ever itself.
    """

    purpose: str
    operation: Operation
    data: frozenset[DataCategory]
    recipient: Role | None = None
    data_codes: tuple[str, ...] = field(init=False)
    """The data's codes in order, as records spell them."""

    def __post_init__(self) -> None:
        codes = tuple(sorted(category.value for category in self.data))
        object.__setattr__(self, "data_codes", codes)


class Door:
    """Checks, opens and records."""

    def __init__(self, policy: Policy, accesses: Accesses) -> None:
        self.policy = policy
        self.accesses = accesses
        self._day: date | None = None
        self._denials: dict[tuple[Errand, Role], str | None] = {}

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
            Refusal: What a `DeniedLookError` of `look` holds; recorded, with the people it names.
        """
        reason = self._denial(context, errand)
        if reason is not None:
            await self._record(context, errand, Looked(None, "DENIED", reason))
            raise NotPermitted(reason)
        try:
            looked = await look()
        except NotPermitted as refusal:
            await self._record(context, errand, Looked(None, "DENIED", refusal.reason))
            raise
        except DeniedLookError as denied:
            reason = denied.refusal.reason
            await self._record(context, errand, Looked(None, "DENIED", reason, denied.people))
            raise denied.refusal from None
        return looked.answer, await self._record(context, errand, looked)

    def _denial(self, context: Context, errand: Errand) -> str | None:
        """Decide once a day for each errand and role: nothing else bears on it."""
        day = tokyo_day(context.now)
        if day != self._day:
            self._denials.clear()
            self._day = day
        role = context.caller.role
        key = (errand, role)
        if key not in self._denials:
            request = Request(errand.purpose, role, errand.operation, errand.data, errand.recipient)
            self._denials[key] = denial(request, self.policy, day)
        return self._denials[key]

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
                data=errand.data_codes,
                outcome=looked.outcome,
                detail=looked.detail,
                people=looked.people,
            )
        )

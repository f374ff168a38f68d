"""
Check the qualification behind claims (レセプトの資格確認): one look and one record for each.

It does not read or write claim files; the edge hands claims in and spells what becomes of them.
Source: seed-requirements.md KP4-R-01; claims-furikae.md 2.4.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Callable, Iterable
from dataclasses import dataclass
from typing import Final, Generic, Protocol, TypeVar

from gateway.domain.claims import Claim
from gateway.domain.errors import TooMuch
from gateway.domain.purpose import DataCategory, Operation, Role
from gateway.domain.reassignment import (
    Decision,
    Reassign,
    ReassignmentRules,
    Unidentified,
    Why,
    as_written_for_want_of_room,
    decide,
    lookup_key_of,
)
from gateway.store.port import Reading
from gateway.usecases.context import Context
from gateway.usecases.door import Door, Errand, Looked

ERRAND: Final = Errand(
    purpose="KP4-R-01",
    operation=Operation.DISCLOSE_REVIEW,
    data=frozenset({DataCategory.QUALIFICATION}),
    recipient=Role.REVIEW_BODY,
)
"""
What the published purpose calls 加入者情報. The income class of a high-cost claim's covers is
compared as part of it (claims-furikae.md 2.3) and never given out; no certificate is shown.
"""


class Carrier(Protocol):
    """What a file holds of a claim; `claim` is None where it could not be read."""

    @property
    def claim(self) -> Claim | None:
        """What the claim says."""


Item = TypeVar("Item", bound=Carrier)


@dataclass(frozen=True, slots=True)
class CheckLimits:
    """How many people one claim may match, and how many claims are looked at at once."""

    matches_max: int
    claims_in_flight_max: int


@dataclass(frozen=True, slots=True)
class Checked(Generic[Item]):
    """A claim, its decision and its access record; without both if it could not be read."""

    item: Item
    decision: Decision | None = None
    record_id: str = ""


IsWritable = Callable[[Item, Reassign], bool]
"""Whether a claim has room and characters for the identity it would go on under."""


@dataclass(frozen=True, slots=True)
class Checking(Generic[Item]):
    """Checks claims against what the store knows."""

    store: Reading
    door: Door
    rules: ReassignmentRules
    limits: CheckLimits
    is_writable: IsWritable[Item]

    async def check_claims(
        self, items: Iterable[Item], context: Context
    ) -> AsyncGenerator[Checked[Item], None]:
        """
        Check claims, several at once, and give the outcomes in their order.

        Access records are gathered before they are made durable, so one at a time would mostly
        wait. No more than `claims_in_flight_max` are taken from `items` ahead of the outcome
        given last; all are done, or cancelled, when the iteration ends.

        Raises:
            NotPermitted: As the door.
            Unavailable: `STORE_UNAVAILABLE`.
        """
        waiting: deque[asyncio.Task[Checked[Item]]] = deque()
        try:
            for item in items:
                waiting.append(asyncio.create_task(self.check(item, context)))
                if len(waiting) >= self.limits.claims_in_flight_max:
                    yield await waiting[0]
                    waiting.popleft()
            while waiting:
                yield await waiting[0]
                waiting.popleft()
        finally:
            for task in waiting:
                task.cancel()
            await asyncio.gather(*waiting, return_exceptions=True)

    async def check(self, item: Item, context: Context) -> Checked[Item]:
        """
        Decide about one claim, through the door; its access record names the people looked at.

        A claim that could not be read is given back as it is: nobody was looked at.

        Raises:
            NotPermitted: As the door.
            Unavailable: `STORE_UNAVAILABLE`.
        """
        claim = item.claim
        if claim is None:
            return Checked(item)

        async def look() -> Looked[Decision]:
            decision = await self._decided(claim)
            if isinstance(decision, Reassign) and not self.is_writable(item, decision):
                decision = as_written_for_want_of_room(decision)
            return Looked(decision, "ANSWERED", decision.check_code, decision.people)

        decision, record_id = await self.door.opened(context, ERRAND, look)
        return Checked(item, decision, record_id)

    async def _decided(self, claim: Claim) -> Decision:
        key = lookup_key_of(claim)
        if key is None:
            return decide(claim, (), self.rules)
        try:
            found = await self.store.matching(key, claim.birth_date, self.limits.matches_max)
        except TooMuch:
            return Unidentified(why=Why.SEVERAL_MATCH)
        histories = [await self.store.history_of(one.person_key) for one in found]
        return decide(claim, [one for one in histories if one is not None], self.rules)

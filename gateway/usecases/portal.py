"""
What a person does on the portal: register their card, see who looked.

The card and its PIN prove who is there; no name or number is asked. Whose card it is, the
resident register tells; its My Number goes to the vault and no further. Sources:
insurer-lifecycle.md 3.3 #13; R002-12-6.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from gateway.domain.card import CardKey, CardProof
from gateway.domain.errors import NotFound
from gateway.domain.identifiers import PersonKey
from gateway.domain.period import Instant
from gateway.domain.purpose import DataCategory, Operation, Role
from gateway.store.port import Batch, CheckState, Look, Looks, NewCard, Vault, Writing
from gateway.usecases.check_numbers import is_seen_by_card
from gateway.usecases.context import Clock, Context, NewKey
from gateway.usecases.desk import Desk
from gateway.usecases.door import Door, Errand, Looked
from gateway.usecases.residents import ResidentRegister
from gateway.usecases.visit import Cards

REGISTERING: Final = Errand(
    purpose="OQS-PER-01",
    operation=Operation.REGISTER,
    data=frozenset({DataCategory.QUALIFICATION}),
    recipient=Role.OPERATOR,
)
OWN_ACCESSES: Final = Errand(
    purpose="OQS-PER-02",
    operation=Operation.DISCLOSE,
    data=frozenset({DataCategory.QUALIFICATION}),
    recipient=Role.PORTAL,
)


@dataclass(frozen=True, slots=True)
class Portal:
    """What the portal's errands need; there is one in the writer."""

    store: Writing
    vault: Vault
    register: ResidentRegister
    desk: Desk
    door: Door
    cards: Cards
    looks: Looks
    new_key: NewKey
    clock: Clock

    async def register_card(self, proof: CardProof, context: Context) -> Instant | None:
        """
        Make a card the key to its holder's eligibility; durable when this returns.

        Returns:
            When it was registered; None if it was already.

        Raises:
            NotPermitted: As `Cards.genuine` and `Cards.require_holder`; recorded.
            NotFound: `CARD_HOLDER_UNKNOWN`.
            Unavailable: `RESIDENT_REGISTER_UNAVAILABLE`, `STORE_UNAVAILABLE`.
        """

        async def look() -> Looked[Instant | None]:
            card = self.cards.genuine(proof, context)
            holder = await self.store.by_card(card.card_key)
            self.cards.require_holder(proof, card, holder, context, is_pin_required=True)
            number = await self.register.holder_of(proof.certificate)
            if number is None:
                raise NotFound("CARD_HOLDER_UNKNOWN", "proof.certificate")
            person_key = await self.vault.person_of(number, PersonKey(self.new_key()))
            if holder is not None and holder.person_key == person_key:
                return Looked(None, "REGISTERED", "UNCHANGED", (person_key,))
            # A caller that goes away now does not undo half of it.
            at = await asyncio.shield(self._put(card.card_key, person_key))
            return Looked(at, "REGISTERED", "", (person_key,))

        registered, _ = await self.door.opened(context, REGISTERING, look)
        return registered

    async def _put(self, card_key: CardKey, person_key: PersonKey) -> Instant:
        """Register a card, then stamp the covers it shows for the first time."""
        async with self.desk.turn() as now:
            await self.store.commit(Batch(now, cards=[NewCard(card_key, person_key)]))
        async with self.desk.turn() as then:
            loaded = await self.store.load((), (person_key,))
            unseen = [
                one.told
                for one in loaded.enrollees
                if one.told is not None
                and one.told.state is CheckState.LINKED
                and one.told.visible_time is None
            ]
            stamped = [
                replace(check, visible_time=self.clock())
                for check in unseen
                if await is_seen_by_card(self.store, check)
            ]
            if stamped:
                await self.store.commit(Batch(then, checks=stamped))
        return now

    async def own_accesses(
        self, proof: CardProof, looks_max: int, context: Context
    ) -> Sequence[Look]:
        """
        List who looked at the holder of a registered card, newest first.

        Looks at a cover before its My Number linked it are among them.

        Raises:
            NotPermitted: As `register_card`.
            NotFound: `CARD_NOT_REGISTERED`.
        """

        async def look() -> Looked[Sequence[Look]]:
            card = self.cards.genuine(proof, context)
            holder = await self.store.by_card(card.card_key)
            self.cards.require_holder(proof, card, holder, context, is_pin_required=True)
            if holder is None:
                raise NotFound("CARD_NOT_REGISTERED", "proof.certificate")
            people = [holder.person_key, *await self.store.forerunners_of(holder.person_key)]
            found = [
                look
                for person_key in people
                for look in await self.looks.who_looked(person_key, looks_max)
            ]
            found.sort(key=lambda look: (look.at, look.record_id), reverse=True)
            looks = found[:looks_max]
            return Looked(looks, "ANSWERED", str(len(looks)), (holder.person_key,))

        looks, _ = await self.door.opened(context, OWN_ACCESSES, look)
        return looks

"""
What a person does on the portal: register their card, see who looked and what was learned.

The card and its PIN prove who is there; no name or number is asked. Whose card it is, the
resident register tells; its My Number goes to the vault and no further. Sources:
insurer-lifecycle.md 1.6 and 3.3 #13; R002-12-6.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final, Protocol

from gateway.domain.card import CardKey, CardProof, CertificateState
from gateway.domain.enrollee_history import ToldHistory, history_of_person
from gateway.domain.errors import NotFound, NotPermitted
from gateway.domain.hiding import Flags, flags_of_person
from gateway.domain.identifiers import PersonKey
from gateway.domain.period import Instant
from gateway.domain.projection import history_of
from gateway.domain.purpose import DataCategory, Operation, Role
from gateway.store.port import Batch, CardHolder, CheckState, NewCard, Writing
from gateway.store.port_beside import Look, Looks, Vault
from gateway.store.port_insurers import Explaining
from gateway.usecases.check_numbers import is_seen_by_card
from gateway.usecases.context import Clock, Context, NewKey
from gateway.usecases.desk import Desk
from gateway.usecases.door import DeniedLookError, Door, Errand, Looked
from gateway.usecases.residents import ResidentRegister
from gateway.usecases.visit import Cards

REGISTERING: Final = Errand(
    purpose="OQS-PER-01",
    operation=Operation.REGISTER,
    data=frozenset({DataCategory.QUALIFICATION}),
    recipient=Role.OPERATOR,
)
FORERUNNERS_MAX: Final = 64
"""Enrollees of one person whose looks before their link are listed."""

ENROLLEES_MAX: Final = 1_000
"""Enrollees of one person whose versions are looked through."""

OWN_HISTORY: Final = Errand(
    purpose="OQS-PER-03",
    operation=Operation.DISCLOSE,
    data=frozenset({DataCategory.QUALIFICATION}),
    recipient=Role.PORTAL,
)
OWN_ACCESSES: Final = Errand(
    purpose="OQS-PER-02",
    operation=Operation.DISCLOSE,
    data=frozenset({DataCategory.QUALIFICATION}),
    recipient=Role.PORTAL,
)


class PortalStore(Writing, Explaining, Protocol):
    """Registers cards, and tells what was learned of a person."""


@dataclass(frozen=True, slots=True)
class Portal:
    """What the portal's errands need; there is one in the writer."""

    store: PortalStore
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
            NotPermitted: As `Cards.genuine` and `Cards.require_holder`; `CARD_EXPIRED` in the
                grace too, which is for eligibility alone; `SELF_INFORMATION_WITHHELD`; recorded.
            NotFound: `CARD_HOLDER_UNKNOWN`; recorded.
            Unavailable: `RESIDENT_REGISTER_UNAVAILABLE`, `STORE_UNAVAILABLE`.
        """

        async def look() -> Looked[Instant | None]:
            card_key, holder = await self._proven(proof, context)
            number = await self.register.holder_of(proof.certificate)
            if number is None:
                refusal = NotFound("CARD_HOLDER_UNKNOWN", "proof.certificate")
                raise DeniedLookError(refusal, () if holder is None else (holder.person_key,))
            person_key = await self.vault.person_of(number, PersonKey(self.new_key()))
            at = None
            async with self.desk.turn() as now:
                await self._require_not_withheld(person_key)
                if holder is None or holder.person_key != person_key:
                    at = now
                    await self.store.commit(Batch(now, cards=[NewCard(card_key, person_key)]))
            await self._stamp_seen(person_key)
            return Looked(at, "REGISTERED", "" if at else "UNCHANGED", (person_key,))

        # A caller that goes away now undoes nothing, and the registration is recorded.
        registered, _ = await asyncio.shield(self.door.opened(context, REGISTERING, look))
        return registered

    async def _proven(
        self, proof: CardProof, context: Context
    ) -> tuple[CardKey, CardHolder | None]:
        """Check the card and its PIN; give the card's key and its registered holder."""
        card = self.cards.genuine(proof, context)
        holder = await self.store.by_card(card.card_key)
        state = self.cards.require_holder(proof, card, holder, context, is_pin_required=True)
        if state is CertificateState.IN_GRACE:
            people = () if holder is None else (holder.person_key,)
            raise DeniedLookError(NotPermitted("CARD_EXPIRED"), people)
        return card.card_key, holder

    async def _require_not_withheld(self, person_key: PersonKey) -> Flags:
        """
        Give a person's flags; refuse one whose card opens nothing (insurer-lifecycle.md 1.6).

        Raises:
            DeniedLookError: `SELF_INFORMATION_WITHHELD`.
        """
        loaded = await self.store.load((), (person_key,))
        enrolments = [one.enrolment for one in loaded.enrollees if one.person_key == person_key]
        flags = flags_of_person(history_of(person_key, 0, enrolments))
        if flags.is_self_information_withheld:
            raise DeniedLookError(NotPermitted("SELF_INFORMATION_WITHHELD"), (person_key,))
        return flags

    async def _stamp_seen(self, person_key: PersonKey) -> None:
        """Stamp the covers of a person that a read by card shows and that have no such stamp."""
        async with self.desk.turn() as now:
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
                await self.store.commit(Batch(now, checks=stamped))

    async def own_accesses(
        self, proof: CardProof, looks_max: int, context: Context
    ) -> Sequence[Look]:
        """
        List who looked at the holder of a registered card, newest first.

        Looks at a cover before its My Number linked it are among them.

        Raises:
            NotPermitted: As `register_card`; `NOT_DISCLOSED`; recorded.
            NotFound: `CARD_NOT_REGISTERED`; recorded.
        """

        async def look() -> Looked[Sequence[Look]]:
            person_key = await self._disclosed(proof, context)
            before = await self.store.forerunners_of(person_key, FORERUNNERS_MAX)
            looks = await self.looks.who_looked((person_key, *before), looks_max)
            return Looked(looks, "ANSWERED", str(len(looks)), (person_key,))

        looks, _ = await self.door.opened(context, OWN_ACCESSES, look)
        return looks

    async def own_history(
        self, proof: CardProof, versions_max: int, context: Context
    ) -> ToldHistory:
        """
        Tell the holder of a registered card what was learned of their own covers, oldest first.

        Raises:
            NotPermitted: As `own_accesses`; recorded.
            NotFound: `CARD_NOT_REGISTERED`; recorded.
            TooMuch: `TOO_MANY_MATCHES`.
            Unavailable: `STORE_UNAVAILABLE`.
        """

        async def look() -> Looked[ToldHistory]:
            person_key = await self._disclosed(proof, context)
            facts = await self.store.facts_of_person(person_key, versions_max, ENROLLEES_MAX)
            told = await asyncio.to_thread(history_of_person, facts, person_key)
            return Looked(told, "ANSWERED", str(len(told.versions)), (person_key,))

        told, _ = await self.door.opened(context, OWN_HISTORY, look)
        return told

    async def _disclosed(self, proof: CardProof, context: Context) -> PersonKey:
        """
        Give the holder of a registered card to whom everything may be shown.

        Raises:
            DeniedLookError: `CARD_NOT_REGISTERED`, `SELF_INFORMATION_WITHHELD`, `NOT_DISCLOSED`.
        """
        _, holder = await self._proven(proof, context)
        if holder is None:
            raise DeniedLookError(NotFound("CARD_NOT_REGISTERED", "proof.certificate"), ())
        person_key = holder.person_key
        if (await self._require_not_withheld(person_key)).is_nondisclosed:
            raise DeniedLookError(NotPermitted("NOT_DISCLOSED"), (person_key,))
        return person_key

"""The model of `Answering`: what `MemoryStore` gives with the time it is as of."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from datetime import date

from gateway.domain.card import CardKey
from gateway.domain.compact import CompactHistory, Render, compact
from gateway.domain.coverage import History
from gateway.domain.identifiers import LookupKey, PersonKey
from gateway.domain.period import Instant
from gateway.store.port import CardHolder
from gateway.store.port_answers import HolderKnown, LastKnown


class MemoryAnswers(ABC):
    """A part of `MemoryStore`; nothing moves in it between two reads."""

    _render: Render
    _last_recorded: Instant

    @abstractmethod
    async def matching(
        self, key: LookupKey, birth_date: date, people_max: int
    ) -> Sequence[CompactHistory]:
        """See `MemoryStore`."""

    @abstractmethod
    async def by_card(self, card_key: CardKey) -> CardHolder | None:
        """See `MemoryStore`."""

    @abstractmethod
    def _people(self, known: Instant) -> dict[PersonKey, History]:
        """The people of the store as known at an instant."""

    async def matching_last(self, key: LookupKey, birth_date: date, people_max: int) -> LastKnown:
        """See `Answering`."""
        return LastKnown(await self.matching(key, birth_date, people_max), self._last_recorded)

    async def by_card_last(self, card_key: CardKey) -> HolderKnown:
        """See `Answering`."""
        return HolderKnown(await self.by_card(card_key), self._last_recorded)

    async def person_known_at(self, person_key: PersonKey, known: Instant) -> CompactHistory:
        """See `Answering`."""
        found = self._people(known).get(person_key)
        enrolments = () if found is None else found.enrolments
        return compact(History(person_key, 0, enrolments), self._render)

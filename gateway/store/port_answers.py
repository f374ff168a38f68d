"""
What answers that can be asked again need of a store besides `gateway.store.port`.

The rule they rest on: recorded times never repeat and never go back, and there is one writer. So
one snapshot of the store holds exactly what was recorded up to its last recorded time, and a read
as of that time gives the same ever after. Source: decision 0023.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import NamedTuple, Protocol

from gateway.domain.card import CardKey
from gateway.domain.compact import CompactHistory
from gateway.domain.identifiers import LookupKey, PersonKey
from gateway.domain.period import Instant
from gateway.store.port import CardHolder, Reading
from gateway.store.port_insurers import Explaining


class LastKnown(NamedTuple):
    """What `Reading.matching` gives, and the last recorded time of the very same snapshot."""

    people: Sequence[CompactHistory]
    at: Instant


class HolderKnown(NamedTuple):
    """What `Reading.by_card` gives, and the last recorded time of the very same snapshot."""

    holder: CardHolder | None
    at: Instant


class Disposing(Protocol):
    """How far back a store can still tell what was known."""

    async def disposed_before(self) -> Instant:
        """
        Give the instant before which facts may be gone: nothing is answered as of before it.

        0 while nothing was ever disposed of. To be asked after the facts were read, because a
        disposal moves it before it removes anything.
        """


class Answering(Reading, Disposing, Protocol):
    """What a lookup needs whose answer can be asked for again."""

    async def matching_last(self, key: LookupKey, birth_date: date, people_max: int) -> LastKnown:
        """
        Give what `matching` gives and the store's last recorded time, from one snapshot.

        Raises:
            TooMuch: `TOO_MANY_MATCHES` for more people than `people_max`.
            Unavailable: `STORE_UNAVAILABLE`.
        """

    async def by_card_last(self, card_key: CardKey) -> HolderKnown:
        """
        Give what `by_card` gives and the store's last recorded time, from one snapshot.

        Raises:
            Unavailable: `STORE_UNAVAILABLE`.
        """

    async def person_known_at(self, person_key: PersonKey, known: Instant) -> CompactHistory:
        """
        Give a person's history as it was believed at an instant, as `matching_known_at` does.

        Without covers if nothing of them was known then.

        Raises:
            Unavailable: `STORE_UNAVAILABLE`.
        """


class ExplainingAgain(Explaining, Disposing, Protocol):
    """What an explanation needs that may be of an earlier moment."""

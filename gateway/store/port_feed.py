"""
What watching asks of a store: the contract, in docstrings.

Changes are written with the batch that makes them (`Batch.changes`). Each watcher's stream, of an
insurer or of an institution, is numbered from 1 without a gap, and only its oldest events are ever
forgotten. Source: decision 0019.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

from gateway.domain.feed import ChangeEvent, Event, NewsEvent
from gateway.domain.period import Instant

SomeEvent_co = TypeVar("SomeEvent_co", bound=Event, covariant=True)


@dataclass(frozen=True, slots=True)
class Ends:
    """
    How far a stream reaches: the first and last event kept, 0 for a stream without any.

    `time_at` is when the change behind the event asked about was recorded; 0 if it is not kept.
    """

    first: int
    last: int
    time_at: Instant


class Stream(Protocol[SomeEvent_co]):
    """The streams of one kind of watcher, told apart by the watcher's code."""

    async def ends(self, code: str, sequence: int) -> Ends:
        """
        Tell how far a stream reaches, and of when one of its events is. Names nobody.

        Raises:
            Unavailable: `STORE_UNAVAILABLE`.
        """

    async def after(self, code: str, sequence: int, events_max: int) -> Sequence[SomeEvent_co]:
        """
        Give events that come after one, in order, at most so many.

        Raises:
            Unavailable: `STORE_UNAVAILABLE`.
        """


ChangeStream = Stream[ChangeEvent]
"""An insurer's stream, by its zero-padded number."""

NewsStream = Stream[NewsEvent]
"""An institution's stream, by its code."""

"""Where a dry run keeps what a file would change, so that its later lines see it."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from gateway.domain.identifiers import LookupKey, PersonKey
from gateway.store.port import Enrollee


@dataclass(frozen=True, slots=True)
class ScratchPerson:
    """A person as a dry run left it, with every enrollee; takes the place of the stored one."""

    person_key: PersonKey
    version: int
    enrollees: tuple[Enrollee, ...]


class Scratch(Protocol):
    """
    Keeps people of one dry run at a time, on disk, until it ends; nothing of it is durable.

    Holds no My Number.
    """

    async def begin(self) -> None:
        """Begin empty."""

    async def load(
        self, keys: Collection[LookupKey], people: Collection[PersonKey]
    ) -> Mapping[PersonKey, ScratchPerson]:
        """Give those of these people that are kept, and whoever was put under these keys."""

    async def keep(
        self, people: Sequence[ScratchPerson], places: Sequence[tuple[LookupKey, PersonKey]]
    ) -> None:
        """Keep people as they are now, and under which keys they are found too."""

    async def end(self) -> None:
        """Forget everything. Ending twice is no error."""

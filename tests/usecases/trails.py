"""A trail that gives what a test put in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from gateway.domain.identifiers import PersonKey
from gateway.domain.period import Instant
from gateway.store.port_beside import Look


@dataclass
class NoTrail:
    """A trail that gives what a test put in and remembers what it was asked."""

    looks: Sequence[Look] = ()
    asked: list[tuple[object, ...]] = field(default_factory=list)

    async def who_looked(self, people: Sequence[PersonKey], looks_max: int) -> Sequence[Look]:
        """Nobody."""
        return ()

    async def looks_within(
        self,
        spans: Sequence[tuple[PersonKey, Instant, Instant]],
        before: tuple[Instant, str],
        but_of: tuple[str, str],
        looks_max: int,
    ) -> Sequence[Look]:
        """Give what was put in."""
        self.asked.append((list(spans), before, but_of, looks_max))
        return self.looks[:looks_max]

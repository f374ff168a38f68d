"""The model of `NumberStore`: what `MemoryStore` tells of checks and links over all enrollees."""

from __future__ import annotations

from collections.abc import Sequence

from gateway.domain.coverage import Coverage, CoverState
from gateway.domain.identifiers import EnrolleeKey, InsurerNumber, PersonKey
from gateway.domain.period import Instant
from gateway.store.link_spans import Link, Seen, link_spans
from gateway.store.port import CheckState, NewLink, NumberCheck
from gateway.store.port_numbers import LinkSpan


class MemoryNumbers:
    """A part of `MemoryStore`."""

    _insurers: dict[EnrolleeKey, InsurerNumber]
    _versions: list[tuple[EnrolleeKey, Coverage]]
    _links: list[tuple[Instant, NewLink]]
    _checks: dict[tuple[EnrolleeKey, Instant], NumberCheck]

    async def checks_wanted(self, checks_max: int) -> Sequence[NumberCheck]:
        """See `NumberStore`."""
        wanted = [one for one in self._checks.values() if one.state is CheckState.WANTED]
        wanted.sort(key=lambda check: (check.received_time, check.enrollee_key))
        return wanted[:checks_max]

    async def checks_disagreeing(
        self, insurer_number: InsurerNumber, checks_max: int
    ) -> Sequence[NumberCheck]:
        """See `NumberStore`."""
        found = [
            one
            for one in self._checks.values()
            if one.insurer_number == insurer_number
            and one.state in (CheckState.LINKED, CheckState.SUSPENDED)
            and one.mismatches
        ]
        found.sort(key=lambda check: (-(check.checked_time or 0), check.enrollee_key))
        return found[:checks_max]

    async def enrollees_of(
        self, insurer_number: InsurerNumber, after: EnrolleeKey, enrollees_max: int
    ) -> Sequence[EnrolleeKey]:
        """See `NumberStore`."""
        found = sorted(
            key
            for key, insurer in self._insurers.items()
            if insurer == insurer_number and key > after
        )
        return found[:enrollees_max]

    async def links_of(self, enrollee_key: EnrolleeKey) -> Sequence[LinkSpan]:
        """See `NumberStore`."""
        begun = [(at, link) for at, link in self._links if link.enrollee_key == enrollee_key]
        ends: list[Instant | None] = [at for at, _ in begun[1:]]
        links: list[Link] = [
            (PersonKey(link.person_key), at, end, link.is_numbered)
            for (at, link), end in zip(begun, [*ends, None], strict=True)
        ]
        seen: list[Seen] = []
        covers = [cover for key, cover in self._versions if key == enrollee_key]
        for cover in covers:
            next_times = [
                other.recorded_time
                for other in covers
                if (other.cover_no, other.version_no) == (cover.cover_no, cover.version_no + 1)
            ]
            if cover.state is CoverState.REGISTERED:
                seen.append((cover.recorded_time, next_times[0] if next_times else None))
        return link_spans(links, seen)

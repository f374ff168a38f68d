"""From when until when an enrollee could be seen as a person: links cut by what was to be seen."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from gateway.domain.identifiers import PersonKey
from gateway.domain.period import Instant
from gateway.store.port_numbers import LinkSpan

Link = tuple[PersonKey, Instant, Instant | None, bool]
Seen = tuple[Instant, Instant | None]
"""Between two instants a cover was not suspended nor cancelled; None is still so."""


def link_spans(links: Iterable[Link], seen: Iterable[Seen]) -> Sequence[LinkSpan]:
    """Cut each link to when at least one cover could be seen, earliest first."""
    times = _joined(seen)
    spans: list[LinkSpan] = []
    for person_key, begin, end, is_numbered in links:
        for seen_from, seen_until in times:
            first = max(begin, seen_from)
            last = _earlier(end, seen_until)
            if last is None or first < last:
                spans.append(LinkSpan(person_key, first, last, is_numbered))
    return sorted(spans, key=lambda span: (span.begin, span.person_key))


def _joined(seen: Iterable[Seen]) -> list[Seen]:
    """Put times together that meet or overlap."""
    joined: list[Seen] = []
    for begin, end in sorted(seen, key=lambda time: time[0]):
        if joined and (joined[-1][1] is None or begin <= joined[-1][1]):
            last_begin, last_end = joined[-1]
            until = None if last_end is None or end is None else max(last_end, end)
            joined[-1] = (last_begin, until)
        else:
            joined.append((begin, end))
    return joined


def _earlier(one: Instant | None, other: Instant | None) -> Instant | None:
    if one is None or other is None:
        return one if other is None else other
    return min(one, other)

"""
What a consumer saw, held against what was sent: pure, so that defects can be planted in it.

A line of what was seen is `SEQUENCE WHOSE WITH-WHAT`; what was sent is, for each person, the
request ids of its changes in their order.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from gateway.v1 import feed_pb2 as pb
from simulators.feed import GapError, Place, require_next

Seen = tuple[int, str, str]


def parsed(text: str) -> list[Seen]:
    """Read what a consumer wrote."""
    rows = [line.split(" ") for line in text.splitlines()]
    return [(int(sequence), whose, what) for sequence, whose, what in rows]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was found."""

    events: int
    """Different events that were seen."""
    missing: int
    """Changes that were sent and never seen."""
    unsent: int
    """Events that nobody sent, or that came again as something else."""
    gaps: int
    """Numbers of the stream that were never seen."""
    disordered: int
    """People whose changes were not first seen in their order."""
    repeated: int
    """Events that came again, which is allowed."""

    @property
    def is_good(self) -> bool:
        """Whether nothing is wrong."""
        return not (self.missing or self.unsent or self.gaps or self.disordered)


def judged(seen: Sequence[Seen], sent: Mapping[str, Sequence[str]]) -> Verdict:
    """Hold what was seen against what was sent."""
    first: dict[int, Seen] = {}
    told: dict[str, list[str]] = defaultdict(list)
    unsent = 0
    for one in seen:
        sequence, whose, what = one
        if sequence in first:
            unsent += first[sequence] != one
            continue
        first[sequence] = one
        told[whose].append(what)
    missing = disordered = 0
    for whose, expected in sent.items():
        got = told.pop(whose, [])
        missing += len(set(expected) - set(got))
        unsent += len(got) - len(set(got) & set(expected))
        known = [what for what in got if what in expected]
        disordered += known != sorted(known, key=expected.index)
    unsent += sum(map(len, told.values()))
    gaps = max(first, default=0) - len(first)
    return Verdict(len(first), missing, unsent, gaps, disordered, len(seen) - len(first))


def _swapped(seen: Sequence[Seen], sent: Mapping[str, Sequence[str]]) -> list[Seen]:
    """Let the first two changes of somebody change places."""
    whose = next(one for one, changes in sent.items() if len(changes) > 1)
    one, other = [row for row in dict.fromkeys(seen) if row[1] == whose][:2]
    turned = {one: (one[0], *other[1:]), other: (other[0], *one[1:])}
    return [turned.get(row, row) for row in seen]


def planted(seen: Sequence[Seen], sent: Mapping[str, Sequence[str]]) -> dict[str, bool]:
    """Plant defects in what was seen, and tell of each whether it is noticed."""
    lost = seen[len(seen) // 2]
    dropped = judged([row for row in seen if row != lost], sent)
    renumbered = judged([(n - (n > lost[0]), *rest) for n, *rest in seen if n != lost[0]], sent)  # type: ignore[misc]
    found = {
        "a dropped event": bool(dropped.missing and dropped.gaps == 1),
        "a dropped event, the rest renumbered": bool(renumbered.missing),
        "a gap in the numbers": judged([(n + 1, *r) for n, *r in seen], sent).gaps == 1,  # type: ignore[misc]
        "an event nobody sent": judged([*seen, (len(seen) + 9, "x", "y")], sent).unsent == 1,
    }
    if any(len(changes) > 1 for changes in sent.values()):
        found["a swapped pair"] = judged(_swapped(seen, sent), sent).disordered == 1
    return found


_MESSAGE: Final = pb.WatchChangesResponse(
    cursor="c",
    previous_sequence=7,
    last_sequence=9,
    changes=[pb.EnrolleeChange(sequence=8), pb.EnrolleeChange(sequence=9)],
)


def gaps_stop_a_consumer() -> bool:
    """Whether the consumer itself stops at a missing message, and at one that is not whole."""
    torn = pb.WatchChangesResponse()
    torn.CopyFrom(_MESSAGE)
    del torn.changes[0]
    require_next(Place("b", 7), _MESSAGE)
    stopped = 0
    for place, message in ((Place("b", 6), _MESSAGE), (Place("b", 7), torn)):
        try:
            require_next(place, message)
        except GapError:
            stopped += 1
    return stopped == 2

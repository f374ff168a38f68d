"""
In which order the lines of one file take effect: by what they say, never by where they stand.

Lines that name nobody anew come first, by enrollee; then those that move an identifier; then those
that name an enrollee by identifiers it was given in this file. Within an enrollee: CANCEL and
CORRECT, which are about what was registered before; NEW and LOSS by their days; CHANGE by its
effective date; NUMBER. What is left is in order of the lines' digests, so that a line that stands
there twice follows itself. An order is spelled as bytes that compare as it does, because files are
sorted on disk. Source: insurer-lifecycle.md 1.2; docs/coverage-file.md.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from datetime import date
from enum import IntEnum
from typing import Final, NamedTuple

from gateway.domain.identifiers import LookupKey

AS_THEY_STAND: Final = 0
"""The order of files received by versions before there was an order of effects."""
BY_CONTENT: Final = 1
"""The order of this module. Another one is another number, because it must stay for a file."""

ORDER_BYTES: Final = 49
_LAST: Final = 2**32 - 1
_NO_DEPTH: Final = bytes(3)
_FIRST_PHASE, _MOVES, _LATER, _UNREAD = b"\x01", b"\x02", b"\x03", b"\xff"
_GROUP: Final = slice(5, 25)
_BRANCH: Final = slice(31, 33)
_NO_BRANCH: Final = bytes(2)
_WITHIN, _ACROSS = b"\x00", b"\x01"
"""Whether a move leads to another group; a move to another branch alone does not."""
_ENDLESS: Final = 2**24 - 1
"""The depth of moves that lead in a circle; a file never has as many that lead on."""


class Rank(IntEnum):
    """What comes after what about one enrollee."""

    CANCEL = 0
    CORRECT = 1
    SPAN = 2
    """NEW and LOSS."""
    CHANGE = 3
    NUMBER = 4


class OnDay(IntEnum):
    """What comes after what about one enrollee on one day, for `Rank.SPAN`; else `LOSS`."""

    LOSS = 0
    NEW = 1
    LOSS_AT_ONCE = 2
    """Of cover that began on this day too."""


class Named(NamedTuple):
    """Whom a line names. Identifiers that compare equal are equal here."""

    key: LookupKey
    birth_date: date
    branch: str | None

    @property
    def group(self) -> bytes:
        """All lines that may be about one enrollee, whatever they say of its branch, 20 bytes."""
        return self.key + self.birth_date.toordinal().to_bytes(4, "big")

    @property
    def branch_bytes(self) -> bytes:
        """Two bytes; no branch sorts first."""
        return _NO_BRANCH if self.branch is None else self.branch.encode()


class Place(NamedTuple):
    """
    What the order needs of a line.

    `moved` are the identifiers it gives. `day` None sorts first, but last for `Rank.CHANGE`.
    """

    rank: Rank
    named: Named
    moved: Named | None
    day: date | None
    on_day: OnDay
    digest: bytes
    """Eight bytes of the whole line."""


def digest_of(cells: Iterable[str]) -> bytes:
    """Tell a line from others by the text of its cells."""
    return hashlib.blake2b("\x1f".join(cells).encode(), digest_size=8).digest()


def order_of(place: Place | None, line_number: int) -> bytes:
    """
    Spell where a line comes as long as the others are not known; see `Moves.settled`.

    Args:
        place: None for a line that cannot be read or is empty; they have no effect.

        line_number: Tells equal lines apart, which is of no effect either.
    """
    number = line_number.to_bytes(8, "big")
    if place is None:
        return _UNREAD + bytes(ORDER_BYTES - 9) + number
    group, moved = place.named.group, place.moved
    if place.day is not None:
        day = place.day.toordinal()
    else:
        day = _LAST if place.rank is Rank.CHANGE else 0
    return b"".join(
        (
            _FIRST_PHASE if moved is None else _MOVES,
            _WITHIN if moved is None or moved.group == group else _ACROSS,
            _NO_DEPTH,
            group,
            bytes((place.rank,)),
            day.to_bytes(4, "big"),
            bytes((place.on_day,)),
            place.named.branch_bytes,
            place.digest,
            number,
        )
    )


def line_number_of(order: bytes) -> int:
    """The number of the line with an order."""
    return int.from_bytes(order[ORDER_BYTES - 8 : ORDER_BYTES], "big")


class Moves:
    """
    The lines of a file that move identifiers, and what waits for them.

    Whoever stands in the way of a move moves first: of two lines, one of which moves to the
    identifiers the other moves away from, the other comes first. Moves to another branch come
    before the rest.

    Args:
        moves_max: At most 10,000,000. With more moves than this in a file nothing waits for them,
            and they are in order of who moves.
    """

    def __init__(self, moves_max: int) -> None:
        self._moves_max = moves_max
        self._count = 0
        self._to: dict[bytes, set[bytes]] = {}
        self._entered: set[bytes] = set()
        self._depths: dict[bytes, int] | None = None

    def note(self, place: Place) -> None:
        """Take a line that moves."""
        assert place.moved is not None
        self._count += 1
        if self._count > self._moves_max:
            self._to.clear()
            self._entered.clear()
            return
        old, new = place.named.group, place.moved.group
        if old != new:
            self._entered.add(new)
            self._to.setdefault(old, set()).add(new)
            return
        moved = new + place.moved.branch_bytes
        self._to.setdefault(old + place.named.branch_bytes, set()).add(moved)
        self._entered.add(moved if place.named.branch else old + b"*")

    def settle(self) -> None:
        """Say that all moves are known, so that `settled` is quick; may take a second itself."""
        self._depths = _depths(self._to)

    def settled(self, order: bytes) -> bytes | None:
        """
        Spell where a line comes now that all moves are known; None where that is as it was.

        Needs the order as `order_of` gave it.
        """
        phase = order[:1]
        if phase == _MOVES:
            return order[:2] + self._depth(order).to_bytes(3, "big") + order[5:]
        if phase != _FIRST_PHASE or not self._entered:
            return None
        group, branch = order[_GROUP], order[_BRANCH]
        entered = self._entered
        if group in entered or (
            branch != _NO_BRANCH and (group + branch in entered or group + b"*" in entered)
        ):
            return _LATER + order[1:]
        return None

    @property
    def is_any(self) -> bool:
        """Whether some line moves."""
        return self._count > 0

    def _depth(self, order: bytes) -> int:
        if self._depths is None:
            self._depths = _depths(self._to)
        is_within = order[1:2] == _WITHIN
        return self._depths.get(order[_GROUP] + (order[_BRANCH] if is_within else b""), 0)


def _depths(to: dict[bytes, set[bytes]]) -> dict[bytes, int]:
    """How many moves lead on from each place, at most; `_ENDLESS` where they lead in a circle."""
    coming: dict[bytes, list[bytes]] = {}
    left: dict[bytes, int] = {}
    for old, targets in to.items():
        onward = [new for new in targets if new in to]
        left[old] = len(onward)
        for new in onward:
            coming.setdefault(new, []).append(old)
    depths: dict[bytes, int] = {}
    ready = [(old, 0) for old, count in left.items() if not count]
    while ready:
        following = []
        for old, depth in ready:
            depths[old] = depth
            for before in coming.get(old, ()):
                left[before] -= 1
                if not left[before]:
                    following.append((before, depth + 1))
        ready = following
    return {old: depths.get(old, _ENDLESS) for old in to}

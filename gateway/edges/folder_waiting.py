"""Who waits for another try, and which answers are to be touched again: names and times only."""

from __future__ import annotations

import heapq
from typing import Final, Generic, TypeVar

RETRY_FIRST_S: Final = 0.1
RETRY_MAX_S: Final = 2.0
TOUCH_FIRST_S: Final = 1.0
TOUCH_GAPS_S_MAX: Final = 32.0
"""Touched after 1, 3, 7, 15, 31 and 63 seconds: a client may look every half minute."""
TOUCHED_FOR_S: Final = 2 * TOUCH_GAPS_S_MAX
TOUCHES_WAITING_MAX: Final = 65_536

Item = TypeVar("Item")


def pause_s(tries: int) -> float:
    """How long to wait after so many failed tries."""
    return min(RETRY_FIRST_S * 2.0 ** min(tries - 1, 16), RETRY_MAX_S)


class Agenda(Generic[Item]):
    """Items with the time each is due, on any clock that runs evenly; the earliest first."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Item]] = []
        self._count = 0

    def __len__(self) -> int:
        return len(self._heap)

    def add(self, due_s: float, item: Item) -> None:
        """Put an item in; of those due at one time the first comes out first."""
        self._count += 1
        heapq.heappush(self._heap, (due_s, self._count, item))

    def pop(self, now_s: float) -> Item | None:
        """Take out the earliest item if it is due."""
        if not self._heap or self._heap[0][0] > now_s:
            return None
        return heapq.heappop(self._heap)[2]

    def hurry(self, now_s: float) -> None:
        """Make everything due now, in the order it stands."""
        self._heap = [(min(due_s, now_s), count, item) for due_s, count, item in self._heap]
        heapq.heapify(self._heap)

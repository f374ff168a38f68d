"""
How the simulated resident register finds a My Number by a person's five items.

All five must match, and exactly one resident; fewer items are how wrong links were made
(insurer-lifecycle.md 1.3 #2 and #3). Three are enough only where that fault is planted, in finding
as in checking.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from gateway.domain.coverage import Sex
from gateway.v1 import resident_register_pb2 as pb
from simulators.resident_book import Resident, folded, is_alike, spelled

_UNSET: Final = int(Sex.UNSET)

Key = tuple[str, str, int]
"""Kana, birth date and sex: the three items."""


class Search:
    """
    Finds residents; the index is made with the first question, for most registers get none.

    Residents may be added between questions, or replaced, but never go.

    Args:
        residents: By My Number.

        known: The number of each resident that was added or replaced, in that order.
    """

    def __init__(self, residents: Mapping[str, Resident], known: Sequence[str]) -> None:
        self._residents = residents
        self._known = known
        self._indexed_count = 0
        self._indexed: dict[str, Resident] = {}
        self._by_three: dict[Key, set[str]] = {}

    def number_of(self, items: pb.FiveItems, *, is_three_items_enough: bool) -> str:
        """Give the number of the one resident of these items; empty if there is not exactly one."""
        if items.sex == _UNSET or not (items.name and items.name_kana and items.address):
            return ""
        self._index()
        key = (folded(items.name_kana), spelled(items.birth_date), items.sex)
        alike = sorted(self._by_three.get(key, ()))
        found = [number for number in alike if _is_same(self._residents[number], items)]
        if not found and is_three_items_enough:
            return alike[0] if alike else ""
        return found[0] if len(found) == 1 else ""

    def _index(self) -> None:
        """Index residents that are new or were replaced since the last question."""
        for number in self._known[self._indexed_count :]:
            resident = self._residents[number]
            before = self._indexed.get(number)
            if before is not None:
                self._by_three[_key(before)].discard(number)
            self._by_three.setdefault(_key(resident), set()).add(number)
            self._indexed[number] = resident
        self._indexed_count = len(self._known)


def _key(resident: Resident) -> Key:
    born = resident.birth_date.replace("-", "")
    return folded(resident.name_kana), born, resident.sex


def _is_same(held: Resident, said: pb.FiveItems) -> bool:
    return is_alike(held.name, said.name) and is_alike(held.address, said.address)


def whole(finding: pb.ResidentFinding) -> pb.ResidentFinding:
    """All that a comparison found."""
    return finding


def three_items_only(finding: pb.ResidentFinding) -> pb.ResidentFinding:
    """What a comparison of kana, birth date and sex alone would have found."""
    return pb.ResidentFinding(
        is_known=finding.is_known,
        is_name_kana_different=finding.is_name_kana_different,
        is_birth_date_different=finding.is_birth_date_different,
        is_sex_different=finding.is_sex_different,
    )

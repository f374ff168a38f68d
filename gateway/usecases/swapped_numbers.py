"""
Notice numbers that two enrollees of one insurer have of each other.

Each number is right, so no check digit tells, and the register only says that both disagree
(insurer-lifecycle.md 1.3 #13). Asked about crosswise, it agrees with both.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Final

from gateway.domain.identifiers import EnrolleeKey, InsurerNumber
from gateway.domain.individual_number import IndividualNumber
from gateway.domain.residents import (
    Finding,
    FiveItems,
    Mismatch,
    ResidentRules,
    five_items_of,
    may_be_swapped,
    mismatches_of,
)
from gateway.store.port import CheckState, NumberCheck
from gateway.store.port_beside import Vault
from gateway.store.port_numbers import NumberStore
from gateway.usecases.desk import Desk
from gateway.usecases.residents import CHECKS_AT_ONCE_MAX, Asked

SWAP_CANDIDATES_MAX: Final = 50
"""Enrollees of one insurer, those the register disagreed with last, that are paired."""
PAIRS_MAX: Final = CHECKS_AT_ONCE_MAX // 2
"""Pairs asked about in one call, both ways."""
INSURERS_WAITING_MAX: Final = 10_000
"""Insurers remembered to be looked at; more are looked at after their next mismatch."""

Ask = Callable[[Sequence[Asked]], Awaitable[Sequence[Finding]]]


@dataclass(frozen=True, slots=True)
class _Candidate:
    check: NumberCheck
    items: FiveItems
    number: IndividualNumber


class SwapFinder:
    """Looks at the insurers of whom a number newly disagreed; what waits ends with the process."""

    def __init__(self, store: NumberStore, vault: Vault, desk: Desk, rules: ResidentRules) -> None:
        self._store = store
        self._vault = vault
        self._desk = desk
        self._rules = rules
        self._waiting: dict[InsurerNumber, None] = {}

    @property
    def is_waiting(self) -> bool:
        """Whether there is an insurer to look at."""
        return bool(self._waiting)

    def suspect(self, insurer_number: InsurerNumber) -> None:
        """Have an insurer's mismatches looked at."""
        if len(self._waiting) < INSURERS_WAITING_MAX:
            self._waiting[insurer_number] = None

    async def look(self, ask: Ask) -> None:
        """
        Look at one insurer, if one waits.

        Raises:
            Unavailable: As `ask`; the insurer waits on.
        """
        insurer = next(iter(self._waiting), None)
        if insurer is None:
            return
        pairs = self._pairs(await self._candidates(insurer))
        asked = [
            Asked(holder.number, other.items)
            for one, two in pairs
            for holder, other in ((one, two), (two, one))
        ]
        agreeing = [
            not mismatches_of(finding, self._rules)
            for finding in (await ask(asked) if asked else ())
        ]
        swapped = [
            pair
            for pair, *both in zip(pairs, agreeing[::2], agreeing[1::2], strict=True)
            if all(both)
        ]
        if swapped:
            await self._mark(swapped)
        self._waiting.pop(insurer, None)

    async def _candidates(self, insurer: InsurerNumber) -> list[_Candidate]:
        checks = await self._store.checks_disagreeing(insurer, SWAP_CANDIDATES_MAX)
        loaded = await self._store.load((), (), {check.enrollee_key for check in checks})
        enrollees = {one.enrolment.enrollee_key: one for one in loaded.enrollees}
        numbers = await self._vault.numbers_of([check.person_key for check in checks])
        return [
            _Candidate(check, five_items_of(enrollees[check.enrollee_key].enrolment.covers), number)
            for check, number in zip(checks, numbers, strict=True)
            if number is not None
            and enrollees[check.enrollee_key].told == check
            and Mismatch.SWAPPED not in check.mismatches
        ]

    def _pairs(self, candidates: Sequence[_Candidate]) -> list[tuple[_Candidate, _Candidate]]:
        """Pairs in which the one's mismatches fit the other's items, the latest first."""
        found = [
            (one, two)
            for one, two in combinations(candidates, 2)
            if may_be_swapped(one.items, two.items, one.check.mismatches)
            and may_be_swapped(two.items, one.items, two.check.mismatches)
        ]
        return found[:PAIRS_MAX]

    async def _mark(self, swapped: Sequence[tuple[_Candidate, _Candidate]]) -> None:
        """Suspend both of each pair, unless either was told or corrected meanwhile."""
        async with self._desk.turn() as now:
            keys: set[EnrolleeKey] = {one.check.enrollee_key for pair in swapped for one in pair}
            working = await self._desk.working_on(keys, (), now)
            for pair in swapped:
                if any(
                    working.told(one.check.enrollee_key) != one.check
                    or five_items_of(working.covers_of(one.check.enrollee_key)) != one.items
                    for one in pair
                ):
                    continue
                for one in pair:
                    working.suspend(one.check.enrollee_key)
                    mismatches = (*one.check.mismatches, Mismatch.SWAPPED.value)
                    working.stamp(
                        replace(one.check, state=CheckState.SUSPENDED, mismatches=mismatches)
                    )
            await self._store.commit(working.batch())

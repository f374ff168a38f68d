"""
Have told My Numbers checked against the resident register, and link or suspend.

A number is safe before this begins and is checked however often the register is away. Each stage
is stamped when it is passed: checked when the register has answered, linked with the recorded
time of the link, projected when the commit that holds it is done, visible when a read by the
person's card shows it. Sources: insurer-lifecycle.md 1.3 #6-#8, 2.3, 7.2.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Final

from gateway.domain.coverage import Coverage, CoverState
from gateway.domain.errors import Unavailable
from gateway.domain.period import Instant
from gateway.domain.residents import Finding, FiveItems, ResidentRules, mismatches_of
from gateway.store.port import Batch, CheckState, NumberCheck, Reading, Vault, Writing
from gateway.usecases.applying import Working
from gateway.usecases.context import Clock, first_of
from gateway.usecases.desk import Desk
from gateway.usecases.residents import CHECKS_AT_ONCE_MAX, Asked, ResidentRegister

CARDS_A_PERSON_MAX: Final = 8
"""Cards of one person tried when asking whether a cover can be seen by card."""

RETRY_S: Final = 0.2
"""How long checking rests when the register or the store cannot be reached."""


@dataclass(frozen=True, slots=True)
class _Answered:
    """A check, what was asked about it, and what the register said when."""

    check: NumberCheck
    items: FiveItems
    finding: Finding
    at: Instant


class NumberChecker:
    """
    Checks what waits, oldest first; there is one in the writer.

    Args:
        numbers_told: As the desk's: set when there is something to check.
    """

    def __init__(
        self,
        store: Writing,
        vault: Vault,
        desk: Desk,
        register: ResidentRegister,
        rules: ResidentRules,
        clock: Clock,
        numbers_told: asyncio.Event,
    ) -> None:
        self._store = store
        self._vault = vault
        self._desk = desk
        self._register = register
        self._rules = rules
        self._clock = clock
        self._told = numbers_told

    async def run(self, stop: asyncio.Event) -> None:
        """Check numbers as they come until told to stop; ends between two batches."""
        while not stop.is_set():
            self._told.clear()
            try:
                if not await self.check_some():
                    await first_of(self._told, stop)
            except Unavailable:
                with suppress(TimeoutError):
                    await asyncio.wait_for(stop.wait(), RETRY_S)

    async def check_some(self) -> int:
        """
        Check up to `CHECKS_AT_ONCE_MAX` numbers and give how many.

        Raises:
            Unavailable: `RESIDENT_REGISTER_UNAVAILABLE`, `STORE_UNAVAILABLE`; do it again.
        """
        checks = await self._store.checks_received(CHECKS_AT_ONCE_MAX)
        if not checks:
            return 0
        linked = await self._settle(await self._ask(checks))
        projected = self._clock()
        await self._stamp(linked, projected)
        return len(checks)

    async def _ask(self, checks: Sequence[NumberCheck]) -> list[_Answered]:
        loaded = await self._store.load((), (), {check.enrollee_key for check in checks})
        covers = {one.enrolment.enrollee_key: one.enrolment.covers for one in loaded.enrollees}
        numbers = await self._vault.numbers_of([check.person_key for check in checks])
        items = [_items_of(covers[check.enrollee_key]) for check in checks]
        asked = [Asked(number, five) for number, five in zip(numbers, items, strict=True)]
        findings = await self._register.findings(asked)
        at = self._clock()
        return [
            _Answered(check, five, finding, at)
            for check, five, finding in zip(checks, items, findings, strict=True)
        ]

    async def _settle(self, answered: Sequence[_Answered]) -> list[NumberCheck]:
        """Link or suspend, in one transaction; give the checks that linked."""
        async with self._desk.turn() as now:
            working = await self._desk.working_on(
                {one.check.enrollee_key for one in answered},
                {one.check.person_key for one in answered},
                now,
            )
            linked = [
                check for one in answered if (check := self._settled(working, one, now)) is not None
            ]
            await self._store.commit(working.batch())
        return linked

    def _settled(self, working: Working, one: _Answered, now: Instant) -> NumberCheck | None:
        """
        Let an answer have its effect; give the check if it linked.

        An answer about a number that was told anew, or about items the insurer has changed since,
        has none: what is there now is asked about in its turn.
        """
        key = one.check.enrollee_key
        if working.told(key) != one.check or _items_of(working.covers_of(key)) != one.items:
            return None
        mismatches = mismatches_of(one.finding, self._rules)
        if mismatches:
            working.suspend(key)
            working.stamp(
                replace(
                    one.check,
                    state=CheckState.SUSPENDED,
                    checked_time=one.at,
                    mismatches=tuple(mismatch.value for mismatch in mismatches),
                )
            )
            return None
        working.link(key, one.check.person_key)
        linked = replace(one.check, state=CheckState.LINKED, checked_time=one.at, linked_time=now)
        working.stamp(linked)
        return linked

    async def _stamp(self, linked: Sequence[NumberCheck], projected: Instant) -> None:
        if not linked:
            return
        stamped = [
            replace(
                check,
                projected_time=projected,
                visible_time=self._clock() if await is_seen_by_card(self._store, check) else None,
            )
            for check in linked
        ]
        async with self._desk.turn() as now:
            await self._store.commit(Batch(now, checks=stamped))


async def is_seen_by_card(store: Reading, check: NumberCheck) -> bool:
    """Whether a read by a card of the person shows the enrollee now, as a lookup reads."""
    for card_key in await store.cards_of(check.person_key, CARDS_A_PERSON_MAX):
        holder = await store.by_card(card_key)
        if holder is not None and holder.history is not None:
            return any(
                cover.enrollee_key == check.enrollee_key and cover.is_numbered
                for cover in holder.history.covers
            )
    return False


def _items_of(covers: Sequence[Coverage]) -> FiveItems:
    """What the insurer registered last and did not cancel; of cancelled covers only, the last."""
    alive = [cover for cover in covers if cover.state is not CoverState.CANCELLED]
    cover = (alive or list(covers))[-1]
    return FiveItems(cover.name, cover.name_kana, cover.birth_date, cover.sex, cover.address)

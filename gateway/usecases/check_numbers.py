"""
Have told My Numbers checked against the resident register, and link or suspend.

A number is safe before this begins and is checked however often the register is away. Each stage
is stamped when it is passed: checked when the register has answered, linked with the recorded
time of the link, projected when the commit that holds it is done, visible when a read by the
person's card shows it. Sources: insurer-lifecycle.md 1.3 #6-#8, 2.3, 7.2.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Final

from gateway.domain.coverage import CoverState
from gateway.domain.errors import Unavailable
from gateway.domain.period import Instant
from gateway.domain.residents import (
    Finding,
    FiveItems,
    Mismatch,
    ResidentRules,
    five_items_of,
    mismatches_of,
)
from gateway.store.port import Batch, CheckState, NumberCheck, Reading, Vault, Writing
from gateway.usecases.applying import Working
from gateway.usecases.context import Clock, first_of
from gateway.usecases.desk import Desk
from gateway.usecases.residents import CHECKS_AT_ONCE_MAX, Asked, ResidentRegister

CARDS_A_PERSON_MAX: Final = 8
"""Cards of one person tried when asking whether a cover can be seen by card."""

RETRY_FIRST_S: Final = 0.2
"""How long checking rests when the register or the store cannot be reached; twice as long each
time, up to the next."""
RETRY_MAX_S: Final = 5.0


@dataclass(frozen=True, slots=True)
class _Answered:
    """A check, what was asked about it, what the register said when; None could not be asked."""

    check: NumberCheck
    items: FiveItems
    finding: Finding | None
    at: Instant


class NumberChecker:
    """
    Checks what waits, oldest first; there is one in the writer.

    Args:
        numbers_told: As the desk's: set when there is something to check.

        on_bug: Told of what ended the checking, so that it can be logged.
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
        on_bug: Callable[[Exception], None],
    ) -> None:
        self._store = store
        self._vault = vault
        self._desk = desk
        self._register = register
        self._rules = rules
        self._clock = clock
        self._told = numbers_told
        self._on_bug = on_bug

    async def run(self, stop: asyncio.Event) -> None:
        """
        Check numbers as they come until told to stop.

        A register or a store that is away is asked again after a pause that grows. A bug is
        logged and ends checking, not the writer: what waits then waits for the next one.
        """
        pause_s = RETRY_FIRST_S
        try:
            while not stop.is_set():
                self._told.clear()
                try:
                    if not await self.check_some(stop):
                        await first_of(self._told, stop)
                    pause_s = RETRY_FIRST_S
                except Unavailable:
                    with suppress(TimeoutError):
                        await asyncio.wait_for(stop.wait(), pause_s)
                    pause_s = min(2 * pause_s, RETRY_MAX_S)
        except Exception as bug:  # noqa: BLE001  insurers' calls must go on
            self._on_bug(bug)
            await stop.wait()

    async def check_some(self, stop: asyncio.Event | None = None) -> int:
        """
        Check up to `CHECKS_AT_ONCE_MAX` numbers and give how many.

        Args:
            stop: Ends the wait for a register that is slow.

        Raises:
            Unavailable: `RESIDENT_REGISTER_UNAVAILABLE`, `STORE_UNAVAILABLE`; do it again.
        """
        unstamped = await self._store.checks_unstamped(CHECKS_AT_ONCE_MAX)
        await self._stamp(unstamped, self._clock())
        checks = await self._store.checks_received(CHECKS_AT_ONCE_MAX)
        if not checks:
            return 0
        linked = await self._settle(await self._ask(checks, stop or asyncio.Event()))
        await self._stamp(linked, self._clock())
        return len(checks)

    async def _ask(self, checks: Sequence[NumberCheck], stop: asyncio.Event) -> list[_Answered]:
        loaded = await self._store.load((), (), {check.enrollee_key for check in checks})
        covers = {one.enrolment.enrollee_key: one.enrolment.covers for one in loaded.enrollees}
        numbers = await self._vault.numbers_of([check.person_key for check in checks])
        items = [five_items_of(covers[check.enrollee_key]) for check in checks]
        readable = [
            Asked(number, five)
            for number, five in zip(numbers, items, strict=True)
            if number is not None
        ]
        findings = iter(await self._findings(readable, stop))
        at = self._clock()
        return [
            _Answered(check, five, None if number is None else next(findings), at)
            for check, five, number in zip(checks, items, numbers, strict=True)
        ]

    async def _findings(self, asked: Sequence[Asked], stop: asyncio.Event) -> Sequence[Finding]:
        """Ask the register, unless told to stop before it answers."""
        if not asked:
            return ()
        asking = asyncio.ensure_future(self._register.findings(asked))
        stopping = asyncio.ensure_future(stop.wait())
        try:
            await asyncio.wait((asking, stopping), return_when=asyncio.FIRST_COMPLETED)
            if not asking.done():
                raise Unavailable("RESIDENT_REGISTER_UNAVAILABLE")
            return asking.result()
        finally:
            asking.cancel()
            stopping.cancel()

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
        if working.told(key) != one.check or five_items_of(working.covers_of(key)) != one.items:
            return None
        mismatches: tuple[Mismatch, ...] = (Mismatch.NUMBER_UNREADABLE,)
        if one.finding is not None:
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
        linked = replace(
            one.check, state=CheckState.LINKED, checked_time=one.at, linked_time=now, mismatches=()
        )
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
    """Whether a read by a card of the person shows a cover of the enrollee now."""
    for card_key in await store.cards_of(check.person_key, CARDS_A_PERSON_MAX):
        holder = await store.by_card(card_key)
        if holder is None or holder.person_key != check.person_key or holder.history is None:
            continue
        return any(
            cover.enrollee_key == check.enrollee_key
            and cover.is_numbered
            and cover.state is CoverState.REGISTERED
            for cover in holder.history.covers
        )
    return False

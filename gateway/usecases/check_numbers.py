"""
Have told My Numbers checked against the resident register, and link or suspend.

A missing number is looked for by the five items first, then checked like a told one. Numbers that
two enrollees of one insurer have of each other are noticed (`gateway.usecases.swapped_numbers`).
A number is safe before this begins and is checked however often the register is away. Each stage
is stamped when it is passed: checked when the register has answered, linked with the recorded
time of the link, projected when the commit that holds it is done, visible when a read by the
person's card shows it. Sources: insurer-lifecycle.md 1.3, 2.3, 7.2.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, Final, TypeVar

from gateway.domain.coverage import Coverage, CoverState
from gateway.domain.errors import Unavailable
from gateway.domain.identifiers import EnrolleeKey, PersonKey
from gateway.domain.period import Instant
from gateway.domain.residents import (
    Effect,
    Finding,
    FiveItems,
    Mismatch,
    ResidentRules,
    can_be_searched,
    effect_of,
    five_items_of,
    mismatches_of,
)
from gateway.store.port import Batch, CheckState, NumberCheck, Reading
from gateway.store.port_beside import Vault
from gateway.store.port_numbers import NumberStore
from gateway.usecases.applying import Working
from gateway.usecases.context import Clock, NewKey, first_of
from gateway.usecases.desk import Desk
from gateway.usecases.residents import CHECKS_AT_ONCE_MAX, Asked, ResidentRegister
from gateway.usecases.swapped_numbers import SwapFinder

CARDS_A_PERSON_MAX: Final = 8
"""Cards of one person tried when asking whether a cover can be seen by card."""

RETRY_FIRST_S: Final = 0.2
"""How long checking rests when the register or the store cannot be reached; twice as long each
time, up to the next."""
RETRY_MAX_S: Final = 5.0

Answer = TypeVar("Answer")


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
        store: NumberStore,
        vault: Vault,
        desk: Desk,
        register: ResidentRegister,
        rules: ResidentRules,
        clock: Clock,
        numbers_told: asyncio.Event,
        on_bug: Callable[[Exception], None],
        *,
        new_key: NewKey,
    ) -> None:
        self._store = store
        self._vault = vault
        self._desk = desk
        self._register = register
        self._rules = rules
        self._clock = clock
        self._told = numbers_told
        self._on_bug = on_bug
        self._new_key = new_key
        self._swaps = SwapFinder(store, vault, desk, rules)

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
        stop = stop or asyncio.Event()
        await self._swaps.look(lambda asked: self._findings(asked, stop))
        checks = await self._store.checks_received(CHECKS_AT_ONCE_MAX)
        if checks:
            linked = await self._settle(await self._ask(checks, stop))
            await self._stamp(linked, self._clock())
            return len(checks)
        wanted = await self._store.checks_wanted(CHECKS_AT_ONCE_MAX)
        if wanted:
            await self._search(wanted, stop)
        return len(wanted) or int(self._swaps.is_waiting)

    async def _search(self, wanted: Sequence[NumberCheck], stop: asyncio.Event) -> None:
        """Look for numbers nobody told; what was found is received and checked in its turn."""
        covers = await self._covers_of(wanted)
        items = {key: five_items_of(some) for key, some in covers.items()}
        searched = [check for check in wanted if can_be_searched(covers[check.enrollee_key])]
        asked = [items[check.enrollee_key] for check in searched]
        numbers = await self._answer(self._register.numbers_of(asked), stop) if asked else ()
        known = [
            (check.enrollee_key, number)
            for check, number in zip(searched, numbers, strict=True)
            if number is not None
        ]
        people = await self._vault.people_of(
            [(number, PersonKey(self._new_key())) for _, number in known]
        )
        found = {key: person_key for (key, _), person_key in zip(known, people, strict=True)}
        async with self._desk.turn() as now:
            working = await self._desk.working_on(items, (), now)
            for check in wanted:
                key = check.enrollee_key
                if (
                    working.told(key) != check
                    or five_items_of(working.covers_of(key)) != items[key]
                ):
                    continue
                if (person_key := found.get(key)) is None:
                    working.stamp(replace(check, state=CheckState.NOT_FOUND, checked_time=now))
                else:
                    received = CheckState.RECEIVED
                    working.stamp(
                        replace(check, state=received, person_key=person_key, is_found=True)
                    )
            await self._store.commit(working.batch())

    async def _covers_of(
        self, checks: Sequence[NumberCheck]
    ) -> dict[EnrolleeKey, tuple[Coverage, ...]]:
        keys = {check.enrollee_key for check in checks}
        loaded = await self._store.load((), (), keys)
        return {
            one.enrolment.enrollee_key: one.enrolment.covers
            for one in loaded.enrollees
            if one.enrolment.enrollee_key in keys
        }

    async def _ask(self, checks: Sequence[NumberCheck], stop: asyncio.Event) -> list[_Answered]:
        covers = await self._covers_of(checks)
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
        """Have registrations compared."""
        return await self._answer(self._register.findings(asked), stop) if asked else ()

    async def _answer(self, question: Coroutine[Any, Any, Answer], stop: asyncio.Event) -> Answer:
        """Wait for the register, unless told to stop before it answers."""
        asking = asyncio.ensure_future(question)
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
            mismatches = mismatches_of(one.finding, self._rules, one.check.mismatches)
        effect = effect_of(mismatches, self._rules, is_found=one.check.is_found)
        said = tuple(mismatch.value for mismatch in mismatches)
        answered = replace(one.check, checked_time=one.at, mismatches=said)
        if Mismatch.NUMBER_UNKNOWN not in mismatches and said:
            self._swaps.suspect(one.check.insurer_number)
        if effect is Effect.SUSPENDED:
            working.suspend(key)
            working.stamp(replace(answered, state=CheckState.SUSPENDED))
            return None
        is_stopped = effect is Effect.MEDICAL_STOPPED
        working.link(key, one.check.person_key, is_medical_stopped=is_stopped)
        linked = replace(answered, state=CheckState.LINKED, linked_time=now)
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

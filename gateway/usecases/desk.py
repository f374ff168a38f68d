"""
The registration desk: one change of the store at a time, each later than the one before.

Files and single changes take turns here. A turn that has waited longest comes next, so a single
change waits for at most one slice of a file.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from msgspec import Struct

from gateway.domain.changes import Change, number_of
from gateway.domain.errors import NotPermitted, Refusal, Unavailable
from gateway.domain.identifiers import EnrolleeKey, InsurerNumber, PersonKey
from gateway.domain.period import Instant
from gateway.store.port import Batch, Loaded, Loading, UploadKey
from gateway.store.port_beside import Vault
from gateway.usecases.applying import Working
from gateway.usecases.context import Clock, NewKey
from gateway.usecases.filings import Opened, cases_of, opened_case
from gateway.usecases.targets import lookup_keys


@dataclass(slots=True)
class Worked:
    """What came of some lines: the batch to commit, what was refused, how many changed nothing."""

    working: Working
    batch: Batch
    lines_applied: int = 0
    lines_unchanged: int = 0
    refused: list[tuple[int, Refusal]] = field(default_factory=list)
    """Line numbers, and why."""


class Line(Struct, frozen=True):
    """A change and the line of the file it stood on."""

    line_number: int
    change: Change


class Desk:
    """
    Works changes out and hands out turns; there is one for a store.

    Args:
        clock: What time it is. Recorded times follow it but never repeat or go back.

        numbers_told: Set when numbers were told that wait for the resident register before they
            link anybody; None lets each link at once.

        is_searched: Whether the register is asked for numbers nobody told.
    """

    def __init__(
        self,
        store: Loading,
        vault: Vault,
        new_key: NewKey,
        clock: Clock,
        *,
        numbers_told: asyncio.Event | None = None,
        is_searched: bool = False,
    ) -> None:
        self._store = store
        self._vault = vault
        self._new_key = new_key
        self._clock = clock
        self._numbers_told = numbers_told
        self._is_searched = is_searched
        self._has_told = False
        self._lock = asyncio.Lock()
        self._last: Instant | None = None

    def rehearsing(self, store: Loading, vault: Vault) -> Desk:
        """Give a desk with the same rules over another store and vault, that wakes nobody."""
        return Desk(
            store,
            vault,
            self._new_key,
            self._clock,
            numbers_told=asyncio.Event() if self.is_checked else None,
            is_searched=self._is_searched,
        )

    @property
    def is_checked(self) -> bool:
        """Whether a told number waits for the resident register before it links anybody."""
        return self._numbers_told is not None

    @property
    def is_busy(self) -> bool:
        """Whether somebody has a turn."""
        return self._lock.locked()

    def has_told(self) -> None:
        """Say within a turn that something waits for the register."""
        self._has_told = True

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[Instant]:
        """Wait for one's turn and have the store to oneself; gives the turn's recorded time."""
        async with self._lock:
            if self._last is None:
                self._last = await self._store.last_recorded_time()
            self._last = max(self._clock(), Instant(self._last + 1))
            yield self._last
            if self._numbers_told is not None and self._has_told:
                self._has_told = False
                self._numbers_told.set()

    async def working(self, changes: Sequence[Change], now: Instant) -> Working:
        """Load what changes concern, so that they can be applied in memory."""
        keys = {key for change in changes for key in lookup_keys(change)}
        loaded = await self._store.load(keys, ()) if keys else Loaded((), {})
        return self._work_with(loaded, now)

    async def work(
        self, lines: Sequence[Line], insurer: InsurerNumber, upload_key: UploadKey, now: Instant
    ) -> Worked:
        """
        Let changes of one insurer happen in their order, without committing; needs a turn.

        Raises:
            Unavailable: `STORE_UNAVAILABLE`; nothing of it is lost, do it again.
        """
        worked = Worked(await self.working([line.change for line in lines], now), Batch(now))
        opened: list[Opened] = []
        for line in lines:
            try:
                is_changed = await self._apply(worked.working, line, insurer, upload_key)
            except Unavailable:
                raise
            except Refusal as refusal:
                worked.refused.append((line.line_number, refusal))
            else:
                worked.lines_applied += is_changed
                worked.lines_unchanged += not is_changed
                if is_changed and getattr(line.change, "filing", None) is not None:
                    enrollee = worked.working.enrollee_of(line.change)
                    opened += filter(None, [opened_case(line.change, enrollee, now)])
        await self._resolve(worked.working)
        worked.batch = worked.working.batch()
        worked.batch.filings = cases_of(opened, now)
        self._has_told |= bool(worked.batch.checks)
        return worked

    async def working_on(
        self, enrollees: Collection[EnrolleeKey], people: Collection[PersonKey], now: Instant
    ) -> Working:
        """Load enrollees and people by their keys; needs a turn."""
        return self._work_with(await self._store.load((), people, enrollees), now)

    def _work_with(self, loaded: Loaded, now: Instant) -> Working:
        return Working(
            loaded,
            now,
            self._new_key,
            is_checked=self.is_checked,
            is_searched=self._is_searched,
        )

    async def _apply(
        self, working: Working, line: Line, insurer: InsurerNumber, upload_key: UploadKey
    ) -> bool:
        change = line.change
        if change.target.insured_id.insurer_number != insurer:
            raise NotPermitted("INSURER_NOT_CALLER", "insurer_number")
        person_key = working.numbered_person(change)
        is_number_held = False
        number = None if person_key is None else number_of(change)
        if person_key is not None and number is not None:
            is_number_held = await self._vault.holds(person_key, number)
        return working.apply(change, upload_key, line.line_number, is_number_held=is_number_held)

    async def _resolve(self, working: Working) -> None:
        """Ask the vault whom the numbers of accepted changes belong to; link, or have checked."""
        pending = working.pending()
        if not pending:
            return
        people = await self._vault.people_of([(one.number, one.if_new) for one in pending])
        if self._numbers_told is not None:
            for one, person_key in zip(pending, people, strict=True):
                working.await_check(one.enrollee_key, person_key)
            return
        unknown = {person_key for person_key in people if not working.knows(person_key)}
        if unknown:
            working.absorb(await self._store.load((), unknown))
        for one, person_key in zip(pending, people, strict=True):
            working.link(one.enrollee_key, person_key)

"""A writer without a disk whose told numbers wait for a register that says what a test tells it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import pytest

from gateway.domain.changes import LinkNumber, Target
from gateway.domain.coverage import CoverState
from gateway.domain.errors import Unavailable
from gateway.domain.identifiers import InsuredId, PersonKey
from gateway.domain.individual_number import IndividualNumber
from gateway.domain.period import parse_day
from gateway.domain.residents import Finding, FiveItems, ResidentRules
from gateway.store.port import Enrollee, NumberCheck
from gateway.usecases.apply_uploads import Applier
from gateway.usecases.check_numbers import NumberChecker
from gateway.usecases.desk import Desk
from gateway.usecases.register_coverage import register
from gateway.usecases.residents import Asked
from tests.usecases.registration import (
    INSURER,
    LIMITS,
    NOW,
    CoverageReader,
    Stand,
    a_file,
    caller,
    who,
)

SAME = Finding(is_known=True)
OTHER_BIRTH_DATE = Finding(is_known=True, is_birth_date_different=True)


@dataclass
class ScriptedRegister:
    """A register that says what a test tells it to."""

    say: Callable[[Asked], Finding] = lambda _: SAME
    is_away: bool = False
    asked: list[Asked] = field(default_factory=list)
    find: Callable[[FiveItems], IndividualNumber | None] = lambda _: None
    searched: list[FiveItems] = field(default_factory=list)
    meanwhile: Callable[[], object] | None = None

    async def findings(self, asked: Sequence[Asked]) -> Sequence[Finding]:
        """Answer, or be away."""
        if self.is_away:
            raise Unavailable("RESIDENT_REGISTER_UNAVAILABLE")
        self.asked += asked
        if self.meanwhile is not None:
            upload, self.meanwhile = self.meanwhile, None
            await upload()  # type: ignore[misc]  a coroutine function of the test
        return [self.say(one) for one in asked]

    async def numbers_of(self, people: Sequence[FiveItems]) -> Sequence[IndividualNumber | None]:
        """Find what the test says."""
        if self.is_away:
            raise Unavailable("RESIDENT_REGISTER_UNAVAILABLE")
        self.searched += people
        return [self.find(items) for items in people]

    async def holder_of(self, certificate: bytes) -> IndividualNumber | None:
        """Nobody's."""
        return None


class Checked(Stand):
    """A stand whose told numbers wait for a register."""

    def __init__(self, *, is_searched: bool = True) -> None:
        super().__init__()
        self.told = asyncio.Event()
        self.bugs: list[Exception] = []
        self.register = ScriptedRegister()
        self.desk = Desk(
            self.store,
            self.vault,
            self.new_key,
            lambda: NOW,
            numbers_told=self.told,
            is_searched=is_searched,
        )
        self.applier = Applier(
            self.store, self.spool, self.desk, CoverageReader, LIMITS, self.rehearsal(self.desk)
        )
        self.receiver.desk = self.desk
        self.receiver.on_received = self.applier.wake
        self.checker = NumberChecker(
            self.store,
            self.vault,
            self.desk,
            self.register,
            ResidentRules(),
            lambda: NOW,
            self.told,
            self.bugs.append,
            new_key=self.new_key,
        )
        self._files = 0

    async def say(self, *lines: str) -> None:
        """Upload lines as a file of their own; every one must be accepted."""
        self._files += 1
        done = await self.upload(a_file(*lines), f"file-{self._files}")
        assert done.lines_refused == 0, await self.refused(f"file-{self._files}")

    async def check_all(self) -> None:
        """Check until nothing waits."""
        for _ in range(10):
            if not await self.checker.check_some():
                return
        pytest.fail("something waits for ever")

    async def told_of(self, number: str = "1") -> NumberCheck | None:
        """The latest check of an enrollee."""
        (found,) = await self.enrollees(number)
        return found.told

    async def enrollees(self, number: str = "1") -> list[Enrollee]:
        """What the store loads of an enrollee's card."""
        key = InsuredId(INSURER, "記号", number, "01").lookup_key
        loaded = await self.store.load({key}, ())
        return [
            one for one in loaded.enrollees if one.enrolment.covers[0].insured_id.number == number
        ]

    async def state(self, number: str = "1") -> tuple[bool, CoverState, PersonKey]:
        """Whether an enrollee is linked, the state of its cover, and its person."""
        (found,) = await self.enrollees(number)
        return found.enrolment.is_numbered, found.enrolment.covers[-1].state, found.person_key

    async def register_number(self, digits: str, *, is_correction: bool = False) -> None:
        """Tell the first enrollee's number by itself."""
        self._files += 1
        target = Target(InsuredId(INSURER, "記号", "1", "01"), parse_day(who()["birth_date"]))
        change = LinkNumber(target, IndividualNumber.parse(digits), is_correction=is_correction)
        await register(
            change,
            f"number-{self._files}",
            caller(),
            self.store,
            self.vault,
            self.desk,
            self.door,
        )

    def unchecked_desk(self) -> Desk:
        """A desk of a gateway without a register."""
        return Desk(self.store, self.vault, self.new_key, lambda: NOW)

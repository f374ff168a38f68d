"""
What an insurer does about missing numbers and wrong links: search, check again, see who looked.

The full check (誤入力チェック) finds a wrong link after the fact. Whoever looked at the wrong
person meanwhile may have been shown the enrollee's cover. Sources: insurer-lifecycle.md 1.3 #2,
#6 and #9; R002-12-6.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

from gateway.domain.changes import Target
from gateway.domain.errors import Conflict
from gateway.domain.identifiers import EnrolleeKey, InsurerNumber
from gateway.domain.period import Instant
from gateway.domain.purpose import DataCategory, Operation, Role
from gateway.store.port import UploadKey
from gateway.store.port_beside import Look
from gateway.store.port_numbers import LinkSpan, LooksThrough, NumberStore
from gateway.usecases.applying import Working
from gateway.usecases.context import Context
from gateway.usecases.desk import Desk
from gateway.usecases.door import Door, Errand, Looked
from gateway.usecases.number_stages import enrollee_named
from gateway.usecases.numbering import Wanted
from gateway.usecases.upload_coverage import upload_key_of

RECHECK: Final = Errand(
    purpose="KP7-OR-01",
    operation=Operation.REGISTER,
    data=frozenset({DataCategory.QUALIFICATION}),
    recipient=Role.OPERATOR,
)
LOOKS: Final = Errand(
    purpose="OQS-LNK-01",
    operation=Operation.DISCLOSE,
    data=frozenset({DataCategory.QUALIFICATION}),
    recipient=Role.INSURER,
)
LINK_SPANS_MAX: Final = 200
"""Times an enrollee was linked and to be seen that are looked through, the latest ones."""
END_OF_TIME: Final = Instant(2**63 - 1)
FIRST_LINE: Final = 2
"""Where a file has its first change: what is checked anew waits behind single changes."""

Done = TypeVar("Done")

Place = tuple[Instant, str]
"""A look's place in the list: its instant and record id."""
FROM_THE_NEWEST: Final[Place] = (END_OF_TIME, "")


@dataclass(frozen=True, slots=True)
class Rechecked:
    """How many numbers of a page wait now, and the last enrollee of it; None after the last."""

    waiting: int
    last: EnrolleeKey | None


@dataclass(frozen=True, slots=True)
class Searched:
    """How many numbers of a page are looked for, how many cannot be; `last` as of `Rechecked`."""

    wanted: int
    items_missing: int
    last: EnrolleeKey | None


@dataclass(frozen=True, slots=True)
class LooksPage:
    """Looks, each with whether a My Number linked the enrollee then, and where they end."""

    looks: Sequence[tuple[Look, bool]]
    last: Place | None


@dataclass(frozen=True, slots=True)
class NumberOversight:
    """What the insurers' oversight needs; there is one in the writer."""

    store: NumberStore
    desk: Desk
    door: Door
    trail: LooksThrough

    async def recheck(
        self, request_id: str, after: EnrolleeKey, enrollees_max: int, context: Context
    ) -> Rechecked:
        """
        Have a page of the caller's linked numbers checked against the register again.

        Raises:
            InvalidInput: `REQUEST_ID_WRONG`.
            Conflict: `NUMBERS_NOT_CHECKED` where the settings name no register.
            NotPermitted: As the door.
            Unavailable: `STORE_UNAVAILABLE`.
        """
        upload_key = self._asked(request_id, context)

        async def look() -> Looked[Rechecked]:
            done, last = await self._each(
                after,
                enrollees_max,
                context,
                lambda working, key: working.check_anew(key, upload_key, FIRST_LINE),
            )
            waiting = sum(done)
            return Looked(Rechecked(waiting, last), "REGISTERED", str(waiting))

        done, _ = await self.door.opened(context, RECHECK, look)
        return done

    async def search(
        self, request_id: str, after: EnrolleeKey, enrollees_max: int, context: Context
    ) -> Searched:
        """
        Have a page of the caller's missing numbers looked for by the five items.

        Raises:
            As `recheck`.
        """
        upload_key = self._asked(request_id, context)

        async def look() -> Looked[Searched]:
            done, last = await self._each(
                after,
                enrollees_max,
                context,
                lambda working, key: working.want(key, upload_key, FIRST_LINE),
            )
            wanted = done.count(Wanted.LOOKED_FOR)
            page = Searched(wanted, done.count(Wanted.ITEMS_MISSING), last)
            return Looked(page, "REGISTERED", str(wanted))

        done, _ = await self.door.opened(context, RECHECK, look)
        return done

    def _asked(self, request_id: str, context: Context) -> UploadKey:
        upload_key = upload_key_of(InsurerNumber(context.caller.code), request_id)
        if not self.desk.is_checked:
            raise Conflict("NUMBERS_NOT_CHECKED")
        return upload_key

    async def _each(
        self,
        after: EnrolleeKey,
        enrollees_max: int,
        context: Context,
        work: Callable[[Working, EnrolleeKey], Done],
    ) -> tuple[list[Done], EnrolleeKey | None]:
        """Do a thing for each enrollee of a page in one turn; give what came of it and the last."""
        insurer = InsurerNumber(context.caller.code)
        keys = await self.store.enrollees_of(insurer, after, enrollees_max)
        async with self.desk.turn() as now:
            working = await self.desk.working_on(keys, (), now)
            done = [work(working, key) for key in keys]
            batch = working.batch()
            if batch.checks:
                await self.store.commit(batch)
                self.desk.has_told()
        return done, keys[-1] if len(keys) == enrollees_max else None

    async def looks_through(
        self, target: Target, before: Place, looks_max: int, context: Context
    ) -> LooksPage:
        """
        List who looked at whom an enrollee was linked to while its covers could be seen so.

        Newest first; the caller's own looks are left out.

        Raises:
            NotPermitted: `INSURER_NOT_CALLER`; as the door.
            Conflict: `COVERAGE_UNKNOWN`, `COVERAGE_AMBIGUOUS`.
            Unavailable: `STORE_UNAVAILABLE`.
        """

        async def look() -> Looked[LooksPage]:
            enrollee = await enrollee_named(target, context, self.store)
            key = enrollee.enrolment.enrollee_key
            spans = (await self.store.links_of(key))[-LINK_SPANS_MAX:]
            found = await self.trail.looks_within(
                [(span.person_key, span.begin, span.end or END_OF_TIME) for span in spans],
                before,
                (context.caller.role.value, context.caller.code),
                looks_max + 1,
            )
            page = found[:looks_max]
            last = (page[-1].at, page[-1].record_id) if len(found) > looks_max else None
            looks = [(one, _is_numbered(spans, one.at)) for one in page]
            people = tuple(sorted({span.person_key for span in spans} | {enrollee.person_key}))
            return Looked(LooksPage(looks, last), "ANSWERED", str(len(looks)), people)

        page, _ = await self.door.opened(context, LOOKS, look)
        return page


def _is_numbered(spans: Sequence[LinkSpan], at: Instant) -> bool:
    """Whether a My Number linked the enrollee at an instant; its spans do not overlap."""
    return any(span.is_numbered for span in spans if span.begin <= at < (span.end or END_OF_TIME))

"""What both engines share of the reads beside a store's own: reports of the lag, and the feed."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence

from gateway.domain.feed import ChangeEvent
from gateway.domain.lag import Case
from gateway.domain.period import Instant, day_start, days_after
from gateway.store import sql_feed, sql_lag, steps_reads
from gateway.store.by_steps import Reads
from gateway.store.port_feed import Ends
from gateway.store.port_lag import CasesWanted
from gateway.store.steps_reads import Concerned


class StepFilings(Reads):
    """`Filings` of a database another process may be writing."""

    @abstractmethod
    async def close(self) -> None:
        """Close what is open."""

    async def open_cases(self) -> tuple[int, int]:
        """How many cases wait for their link, and to be seen by card; looks at every case."""
        ((unlinked, unseen),) = await self._rows(sql_lag.OPEN_CASES)
        return unlinked, unseen

    async def cases(
        self, wanted: CasesWanted, after: Case | None, cases_max: int
    ) -> Sequence[Case]:
        """See `Filings`."""
        place = (
            (day_start(wanted.first_day), b"", 0, 0)
            if after is None
            else (after.registered_time, after.enrollee_key, after.cover_no, after.kind.value)
        )
        kind = 0 if wanted.kind is None else wanted.kind.value
        rows = await self._rows(
            sql_lag.CASES,
            wanted.insurer_number.zero_padded,
            day_start(days_after(wanted.last_day, 1)),
            *place,
            wanted.employer_code,
            wanted.employer_code,
            kind,
            kind,
            cases_max,
        )
        return [sql_lag.case_of(row) for row in rows]


class StepChanges(Reads):
    """Insurers' streams from a database another process may be writing."""

    @abstractmethod
    async def close(self) -> None:
        """Close what is open."""

    async def newest(self) -> Instant:
        """When the newest change of a whole commit was recorded, or earlier; 0 if there is none."""
        return await self._read(steps_reads.newest_change())

    async def concerned(self, after: Instant, until: Instant, changes_max: int) -> Concerned:
        """Tell whom changes concern that were recorded after an instant; about so many changes."""
        return await self._read(steps_reads.concerned(after, until, changes_max))

    async def ends(self, code: str, sequence: int) -> Ends:
        """See `Stream`."""
        return Ends(*(await self._rows(sql_feed.CHANGE_ENDS, code, sequence))[0])

    async def after(self, code: str, sequence: int, events_max: int) -> Sequence[ChangeEvent]:
        """See `Stream`."""
        return await self._read(steps_reads.changes_after(code, sequence, events_max))

"""What both engines share of a disposal; see `gateway.store.port_dispose`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

from gateway.domain.period import Instant
from gateway.domain.retention import Progress
from gateway.store import sql, sql_dispose, steps_dispose
from gateway.store.port_dispose import DuePage, Key, Sweep
from gateway.store.steps import Fetch, Result, Steps


class StepDisposed(ABC):
    """What any reader can tell of disposals."""

    @abstractmethod
    async def _read(self, steps: Steps[Result]) -> Result:
        """See `Reads`."""

    async def disposed_before(self) -> Instant:
        """See `Disposing`."""
        return await self._instant(sql_dispose.DISPOSED_BEFORE)

    async def lines_disposed_before(self) -> Instant:
        """See `Writing`."""
        return await self._instant(sql_dispose.LINES_DISPOSED_BEFORE)

    async def last_known_time(self) -> Instant:
        """See `Counted`."""
        return await self._instant(sql.LAST_RECORDED)

    async def disposals(self) -> Sequence[Progress]:
        """See `Disposals`."""
        return await self._read(steps_dispose.disposals())

    async def due(self, sweep: Sweep, before: Instant, after: Key, rows_max: int) -> DuePage:
        """See `Disposals`; reads beside whoever writes, because what is due once stays so."""
        return await self._read(steps_dispose.due(sweep, before, after, rows_max))

    async def _instant(self, statement: str) -> Instant:
        def steps() -> Steps[Instant]:
            rows = yield Fetch(statement)
            return Instant(rows[0][0])

        return await self._read(steps())


class StepDisposals(ABC):
    """What only the one writer does."""

    @abstractmethod
    async def _write(self, steps: Steps[Result]) -> Result:
        """See `StepStore`."""

    async def begin_disposal(self, progress: Progress) -> None:
        """See `Disposals`."""
        await self._write(steps_dispose.begin(progress))

    async def keep_disposal(self, progress: Progress) -> None:
        """See `Disposals`."""
        await self._write(steps_dispose.keep(progress))

    async def remove(
        self, progress: Progress, sweep: Sweep, keys: Sequence[Key], place: Key
    ) -> Progress:
        """See `Disposals`."""
        return await self._write(steps_dispose.remove(progress, sweep, keys, place))

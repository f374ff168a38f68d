"""The model of a disposal: what `MemoryStore` forgets."""

from __future__ import annotations

from gateway.domain.coverage import Coverage
from gateway.domain.identifiers import EnrolleeKey
from gateway.domain.period import Instant
from gateway.store.port import NewLink


class MemoryDisposing:
    """A part of `MemoryStore`."""

    _versions: list[tuple[EnrolleeKey, Coverage]]
    _links: list[tuple[Instant, NewLink]]

    disposed = Instant(0)
    """Set it as a disposal would."""
    lines_disposed = Instant(0)
    """The same for refused lines."""

    async def disposed_before(self) -> Instant:
        """See `Disposing`."""
        return self.disposed

    async def lines_disposed_before(self) -> Instant:
        """See `Writing`."""
        return self.lines_disposed

    def dispose_of(self, before: Instant) -> None:
        """Forget facts as a disposal up to an instant, inclusive, would; the rest stays."""
        replaced = {
            (key, cover.cover_no, cover.version_no - 1)
            for key, cover in self._versions
            if cover.recorded_time <= before
        }
        self._versions = [
            (key, cover)
            for key, cover in self._versions
            if (key, cover.cover_no, cover.version_no) not in replaced
        ]
        self._links = [
            (at, link)
            for place, (at, link) in enumerate(self._links)
            if not link.is_numbered
            or not any(
                other.enrollee_key == link.enrollee_key and later <= before
                for later, other in self._links[place + 1 :]
            )
        ]
        self.disposed = max(self.disposed, before)

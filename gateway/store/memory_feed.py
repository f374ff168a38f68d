"""The model of insurers' streams: every change ever, looked through."""

from __future__ import annotations

from collections.abc import Sequence

from gateway.domain.coverage import Coverage
from gateway.domain.feed import OF_LINKS, ChangeEvent, ChangeKind, EnrolleeChange
from gateway.domain.identifiers import EnrolleeKey
from gateway.domain.period import Instant
from gateway.store.port import Batch, Upload, UploadKey
from gateway.store.port_feed import Ends


class MemoryChanges:
    """Insurers' streams over the versions of a memory store."""

    _versions: list[tuple[EnrolleeKey, Coverage]]
    _uploads: dict[UploadKey, Upload]
    _origins: dict[tuple[EnrolleeKey, int, int], tuple[UploadKey, int]]

    def __init__(self) -> None:
        super().__init__()
        self.changes: list[tuple[Instant, EnrolleeChange]] = []
        self._forgotten: dict[str, int] = {}

    def _take_changes(self, batch: Batch) -> None:
        self.changes += [(batch.recorded_time, change) for change in batch.changes]

    def forget_changes(self, before: Instant) -> None:
        """Forget changes recorded before an instant, but for each insurer's newest."""
        for code in {change.insurer_number.zero_padded for _, change in self.changes}:
            stream = self._stream(code)
            old = [one.sequence for one in stream[:-1] if one.recorded_time < before]
            self._forgotten[code] = max([self._forgotten.get(code, 0), *old])

    async def ends(self, code: str, sequence: int) -> Ends:
        """See `Stream`."""
        kept = self._kept(code)
        if not kept:
            return Ends(0, 0, Instant(0))
        at = [one.recorded_time for one in kept if one.sequence == sequence]
        return Ends(kept[0].sequence, kept[-1].sequence, at[0] if at else Instant(0))

    async def after(self, code: str, sequence: int, events_max: int) -> Sequence[ChangeEvent]:
        """See `Stream`."""
        return [one for one in self._kept(code) if one.sequence > sequence][:events_max]

    def _kept(self, code: str) -> list[ChangeEvent]:
        return [one for one in self._stream(code) if one.sequence > self._forgotten.get(code, 0)]

    def _stream(self, code: str) -> list[ChangeEvent]:
        own = [
            (recorded, change)
            for recorded, change in self.changes
            if change.insurer_number.zero_padded == code
        ]
        return [self._event(number, *one) for number, one in enumerate(own, 1)]

    def _event(self, sequence: int, recorded: Instant, change: EnrolleeChange) -> ChangeEvent:
        place = (change.enrollee_key, change.cover_no, change.version_no)
        (cover,) = (
            cover
            for key, cover in self._versions
            if (key, cover.cover_no, cover.version_no) == place
        )
        upload_key, line_number = self._origins[place]
        upload = self._uploads.get(upload_key)
        kinds = ChangeKind(change.kinds)
        has_version = bool(kinds & ~OF_LINKS)
        return ChangeEvent(
            sequence,
            recorded,
            kinds,
            change.person_key,
            cover.insured_id,
            upload.request_id if upload is not None and has_version else "",
            line_number if has_version else 0,
        )

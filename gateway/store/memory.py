"""
The model of a store: slow, in memory, obviously right. Tests hold the real one against it.

It keeps every version and link in the order they came and answers by looking through all of
them; of the projections and lookup rows it is handed it keeps only a person's version number.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping, Sequence
from datetime import date

from gateway.domain.access import AccessRecord, record_id
from gateway.domain.card import CardKey
from gateway.domain.compact import CompactHistory, Render, compact
from gateway.domain.coverage import Coverage, Enrolment, History
from gateway.domain.errors import InvalidInput, TooMuch
from gateway.domain.identifiers import EnrolleeKey, InsurerNumber, LookupKey, PersonKey
from gateway.domain.individual_number import IndividualNumber
from gateway.domain.period import Instant
from gateway.domain.projection import history_of
from gateway.store.memory_answers import MemoryAnswers
from gateway.store.memory_dispose import MemoryDisposing
from gateway.store.memory_feed import MemoryChanges
from gateway.store.memory_insurers import MemoryLists
from gateway.store.memory_lag import MemoryFilings
from gateway.store.memory_numbers import MemoryNumbers
from gateway.store.port import (
    Batch,
    CardHolder,
    CheckState,
    Enrollee,
    Loaded,
    NewLink,
    NumberCheck,
    RefusedLine,
    Upload,
    UploadKey,
    UploadState,
)
from gateway.store.port_scratch import ScratchPerson
from gateway.store.records import ImpossibleBatch

_END_OF_TIME = Instant(2**63 - 1)


class MemoryStore(MemoryNumbers, MemoryChanges, MemoryLists, MemoryAnswers, MemoryDisposing):
    """A `Writing` store of plain lists."""

    def __init__(self, render: Render) -> None:
        super().__init__()
        self._render = render
        self._insurers: dict[EnrolleeKey, InsurerNumber] = {}
        self._versions: list[tuple[EnrolleeKey, Coverage]] = []
        self._links: list[tuple[Instant, NewLink]] = []
        self._person_versions: dict[PersonKey, int] = {}
        self._uploads: dict[UploadKey, Upload] = {}
        self._refused: dict[UploadKey, set[tuple[int, str, str]]] = {}
        self._last_recorded = Instant(0)
        self._checks: dict[tuple[EnrolleeKey, Instant], NumberCheck] = {}
        self._cards: dict[CardKey, PersonKey] = {}
        self._person_cards: dict[tuple[PersonKey, CardKey], Instant] = {}
        self.filings = MemoryFilings()

    async def matching(
        self, key: LookupKey, birth_date: date, people_max: int
    ) -> Sequence[CompactHistory]:
        """See `Reading`; gives only those whose last known covers match."""
        found = self._matching(key, birth_date, _END_OF_TIME, people_max)
        return [compact(history, self._render) for history in found]

    async def matching_known_at(
        self, key: LookupKey, birth_date: date, known: Instant, people_max: int
    ) -> Sequence[CompactHistory]:
        """See `Reading`."""
        return [
            compact(History(history.person_key, 0, history.enrolments), self._render)
            for history in self._matching(key, birth_date, known, people_max)
        ]

    async def by_card(self, card_key: CardKey) -> CardHolder | None:
        """See `Reading`."""
        person_key = self._cards.get(card_key)
        if person_key is None:
            return None
        history = await self.history_of(person_key)
        compacted = None if history is None else compact(history, self._render)
        return CardHolder(person_key, compacted)

    async def cards_of(self, person_key: PersonKey, cards_max: int) -> Sequence[CardKey]:
        """See `Reading`."""
        times = {
            key: at for (holder, key), at in self._person_cards.items() if holder == person_key
        }
        return sorted(times, key=lambda key: (-times[key], key))[:cards_max]

    async def history_of(self, person_key: PersonKey) -> History | None:
        """See `Reading`."""
        version = self._person_versions.get(person_key)
        if version is None:
            return None
        return self._people(_END_OF_TIME).get(person_key, History(person_key, version, ()))

    async def load(
        self,
        keys: Collection[LookupKey],
        people: Collection[PersonKey],
        enrollees: Collection[EnrolleeKey] = (),
    ) -> Loaded:
        """See `Writing`."""
        found = self._people(_END_OF_TIME)
        ever = {key for key, cover in self._versions if cover.insured_id.lookup_key in keys}
        ever |= set(enrollees)
        concerned = set(people) | {
            person_key
            for person_key, history in found.items()
            if any(enrolment.enrollee_key in ever for enrolment in history.enrolments)
        }
        loaded = [
            Enrollee(
                self._insurers[enrolment.enrollee_key],
                person_key,
                enrolment,
                self._last_check(enrolment.enrollee_key),
            )
            for person_key in concerned & found.keys()
            for enrolment in found[person_key].enrolments
        ]
        return Loaded(
            tuple(sorted(loaded, key=lambda enrollee: enrollee.enrolment.enrollee_key)),
            {person_key: self._person_versions.get(person_key, 0) for person_key in concerned},
        )

    async def commit(self, batch: Batch) -> None:
        """See `Writing`; raises `ImpossibleBatch` where a version does not follow the last."""
        self._require_possible(batch)
        for version in batch.versions:
            self._insurers.setdefault(version.enrollee_key, version.insurer_number)
            self._versions.append((version.enrollee_key, version.coverage))
        self._links.extend((batch.recorded_time, link) for link in batch.links)
        for history in batch.histories:
            self._person_versions[history.person_key] = history.version
        for check in batch.checks:
            self._checks[check.enrollee_key, check.received_time] = check
        for card in batch.cards:
            self._cards[card.card_key] = card.person_key
            self._person_cards[card.person_key, card.card_key] = batch.recorded_time
        if batch.upload is not None:
            self._uploads[batch.upload.upload_key] = batch.upload
            if batch.is_upload_begun_anew:
                self._refused.pop(batch.upload.upload_key, None)
            self._refused.setdefault(batch.upload.upload_key, set()).update(
                (line.line_number, line.column, line.reason) for line in batch.refused_lines
            )
        self.filings.take(batch)
        self._take_lists(batch)
        self._take_changes(batch)
        self._last_recorded = max(self._last_recorded, batch.recorded_time)

    async def forerunners_of(self, person_key: PersonKey, people_max: int) -> Sequence[PersonKey]:
        """See `Writing`."""
        history = await self.history_of(person_key)
        enrollees = {one.enrollee_key for one in (history.enrolments if history else ())}
        found = {
            link.person_key
            for _, link in self._links
            if link.enrollee_key in enrollees and not link.is_numbered
        }
        return sorted(found - {person_key})[:people_max]

    async def last_recorded_time(self) -> Instant:
        """See `Writing`."""
        return self._last_recorded

    async def checks_received(self, checks_max: int) -> Sequence[NumberCheck]:
        """See `Writing`."""
        waiting = [one for one in self._checks.values() if one.state is CheckState.RECEIVED]
        waiting.sort(
            key=lambda check: (check.line_number > 1, check.received_time, check.enrollee_key)
        )
        return waiting[:checks_max]

    async def checks_unstamped(self, checks_max: int) -> Sequence[NumberCheck]:
        """See `Writing`."""
        linked = [
            one
            for one in self._checks.values()
            if one.state is CheckState.LINKED and one.projected_time is None
        ]
        linked.sort(key=lambda check: (check.received_time, check.enrollee_key))
        return linked[:checks_max]

    def _last_check(self, enrollee_key: EnrolleeKey) -> NumberCheck | None:
        told = [check for (key, _), check in sorted(self._checks.items()) if key == enrollee_key]
        return told[-1] if told else None

    async def upload(self, upload_key: UploadKey) -> Upload | None:
        """See `Writing`."""
        return self._uploads.get(upload_key)

    async def unapplied_uploads(self) -> Sequence[Upload]:
        """See `Writing`."""
        return sorted(
            (one for one in self._uploads.values() if one.state is UploadState.RECEIVED),
            key=lambda upload: (upload.received_time, upload.upload_key),
        )

    async def refused_lines(
        self, upload_key: UploadKey, lines_max: int, after: RefusedLine | None = None
    ) -> Sequence[RefusedLine]:
        """See `Writing`."""
        lines = sorted(RefusedLine(*line) for line in self._refused.get(upload_key, set()))
        return [line for line in lines if after is None or line > after][:lines_max]

    def _require_possible(self, batch: Batch) -> None:
        last = {(key, cover.cover_no): cover.version_no for key, cover in self._versions}
        for version in batch.versions:
            cover = (version.enrollee_key, version.coverage.cover_no)
            if version.coverage.version_no != last.get(cover, 0) + 1:
                raise ImpossibleBatch("a version does not follow the last one of its cover")
            last[cover] = version.coverage.version_no

    def _matching(
        self, key: LookupKey, birth_date: date, known: Instant, people_max: int
    ) -> list[History]:
        found = [
            history
            for _, history in sorted(self._people(known).items())
            if any(
                cover.insured_id.lookup_key == key and cover.birth_date == birth_date
                for enrolment in history.enrolments
                for cover in enrolment.covers
            )
        ]
        if len(found) > people_max:
            raise TooMuch("TOO_MANY_MATCHES")
        return found

    def _people(self, known: Instant) -> dict[PersonKey, History]:
        """Put together, from all that was recorded by an instant, the history of each person."""
        covers: dict[EnrolleeKey, dict[int, Coverage]] = {}
        for enrollee_key, cover in self._versions:
            if cover.recorded_time <= known:
                covers.setdefault(enrollee_key, {})[cover.cover_no] = cover
        links = {link.enrollee_key: link for recorded, link in self._links if recorded <= known}
        enrolments: dict[PersonKey, list[Enrolment]] = {}
        for key, link in links.items():
            if key in covers:
                enrolment = Enrolment(key, link.is_numbered, tuple(covers[key].values()))
                enrolments.setdefault(link.person_key, []).append(enrolment)
        return {
            person_key: history_of(person_key, self._person_versions.get(person_key, 0), found)
            for person_key, found in enrolments.items()
        }


class MemoryVault:
    """A `Vault` that forgets everything at the end."""

    def __init__(self) -> None:
        self._people: dict[IndividualNumber, PersonKey] = {}

    async def person_of(self, number: IndividualNumber, if_new: PersonKey) -> PersonKey:
        """See `Vault`."""
        return self._people.setdefault(number, if_new)

    async def people_of(
        self, asked: Sequence[tuple[IndividualNumber, PersonKey]]
    ) -> Sequence[PersonKey]:
        """See `Vault`."""
        return [self._people.setdefault(number, if_new) for number, if_new in asked]

    async def holds(self, person_key: PersonKey, number: IndividualNumber) -> bool:
        """See `Vault`."""
        return self._people.get(number) == person_key

    async def numbers_of(self, people: Sequence[PersonKey]) -> Sequence[IndividualNumber | None]:
        """See `Vault`."""
        numbers = {person_key: number for number, person_key in self._people.items()}
        return [numbers.get(person_key) for person_key in people]


class MemorySpool:
    """A `Spool` of byte arrays."""

    def __init__(self) -> None:
        self._files: dict[UploadKey, bytearray] = {}

    async def durable_offset(self, upload_key: UploadKey) -> int:
        """See `Spool`."""
        return len(self._files.get(upload_key, b""))

    async def append(self, upload_key: UploadKey, offset: int, data: bytes) -> int:
        """See `Spool`."""
        kept = self._files.get(upload_key, bytearray())
        if not 0 <= offset <= len(kept):
            raise InvalidInput("UPLOAD_OFFSET_WRONG", "offset")
        kept += data[len(kept) - offset :]
        self._files[upload_key] = kept
        return len(kept)

    async def digest(self, upload_key: UploadKey) -> bytes:
        """See `Spool`."""
        return hashlib.sha256(self._files.get(upload_key, b"")).digest()

    async def read(self, upload_key: UploadKey, offset: int, bytes_max: int) -> bytes:
        """See `Spool`."""
        return bytes(self._files.get(upload_key, b"")[offset : offset + bytes_max])

    async def discard(self, upload_key: UploadKey) -> None:
        """See `Spool`."""
        self._files.pop(upload_key, None)

    async def uploads(self, uploads_max: int) -> Sequence[UploadKey]:
        """See `Spool`."""
        return list(self._files)[:uploads_max]

    def runs(self) -> MemoryRuns:
        """See `Spool`."""
        return MemoryRuns()


class MemoryRuns:
    """`Runs` in a list."""

    def __init__(self) -> None:
        self._records: list[bytes] = []

    async def put(self, records: Sequence[bytes]) -> None:
        """See `Runs`."""
        self._records += records

    async def take(self, records_max: int) -> Sequence[bytes]:
        """See `Runs`."""
        self._records.sort()
        taken, self._records = self._records[:records_max], self._records[records_max:]
        return taken

    async def close(self) -> None:
        """See `Runs`."""


class MemoryScratch:
    """A `Scratch` of dictionaries."""

    def __init__(self) -> None:
        self._people: dict[PersonKey, ScratchPerson] = {}
        self._places: set[tuple[LookupKey, PersonKey]] = set()

    async def begin(self) -> None:
        """See `Scratch`."""
        await self.end()

    async def load(
        self, keys: Collection[LookupKey], people: Collection[PersonKey]
    ) -> Mapping[PersonKey, ScratchPerson]:
        """See `Scratch`."""
        wanted = set(people) | {one for key, one in self._places if key in keys}
        return {key: one for key, one in self._people.items() if key in wanted}

    async def keep(
        self, people: Sequence[ScratchPerson], places: Sequence[tuple[LookupKey, PersonKey]]
    ) -> None:
        """See `Scratch`."""
        self._people.update((one.person_key, one) for one in people)
        self._places.update(places)

    async def end(self) -> None:
        """See `Scratch`."""
        self._people.clear()
        self._places.clear()


class MemoryAccesses:
    """`Accesses` in a list, for tests to look at."""

    def __init__(self) -> None:
        self.records: list[AccessRecord] = []

    async def record(self, record: AccessRecord) -> str:
        """See `Accesses`."""
        self.records.append(record)
        return record_id("memory", len(self.records))

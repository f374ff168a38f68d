"""
The port as far as both engines share it: what a store reads and writes by steps.

An engine adds how steps are taken, and the hot reads of a lookup, which are spelled for each
engine by itself.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Sequence
from datetime import date
from typing import Final

from gateway.domain.card import CardKey
from gateway.domain.collection import CollectionState
from gateway.domain.compact import CompactHistory, Render, compact
from gateway.domain.coverage import History
from gateway.domain.errors import TooMuch
from gateway.domain.explanation import Facts
from gateway.domain.identifiers import EnrolleeKey, InsurerNumber, LookupKey, PersonKey
from gateway.domain.inquiry import Inquiry, InquiryId
from gateway.domain.lag import LagRules
from gateway.domain.period import Instant
from gateway.store import (
    sql,
    sql_feed,
    sql_insurers,
    sql_numbers,
    sql_uploads,
    steps_reads,
    steps_why,
)
from gateway.store.by_steps_dispose import StepDisposals, StepDisposed
from gateway.store.link_spans import link_spans
from gateway.store.port import (
    Batch,
    CardHolder,
    Loaded,
    NumberCheck,
    RefusedLine,
    Upload,
    UploadKey,
)
from gateway.store.port_answers import HolderKnown, LastKnown
from gateway.store.port_insurers import CollectionPlace, OverlapRow
from gateway.store.port_numbers import LinkSpan
from gateway.store.records import decode_compact
from gateway.store.steps import Fetch, FetchEach, Result, Row, Steps
from gateway.store.steps_batch import Passed, committed

ENROLLEES_A_PERSON_MAX: Final = 4
"""Enrollees of one person under one key and birth date, on average over the people found."""


def last_known(rows: Sequence[Row], people_max: int) -> LastKnown:
    """
    Give the people of rows of `MATCHING_LAST`, each once and in order of their keys.

    Raises:
        TooMuch: `TOO_MANY_MATCHES` for more than `people_max`, or rows that were cut off.
    """
    found = [decode_compact(body) for _, body in rows if body is not None]
    return LastKnown(people_known(found, people_max, len(rows)), rows[0][0])


def people_known(
    found: Sequence[CompactHistory], people_max: int, rows_read: int
) -> Sequence[CompactHistory]:
    """
    Give each person once and in order of their keys, found through so many rows of lookups.

    Raises:
        TooMuch: `TOO_MANY_MATCHES` for more than `people_max`, or rows that were cut off.
    """
    if rows_read <= 1:
        return found
    people = {history.person_key: history for history in found}
    if len(people) > people_max or rows_read > people_max * ENROLLEES_A_PERSON_MAX:
        raise TooMuch("TOO_MANY_MATCHES")
    return [people[person_key] for person_key in sorted(people)]


def holder_known(row: Row) -> HolderKnown:
    """Give the holder of a row of `BY_CARD_LAST`."""
    at, person_key, body = row
    if person_key is None:
        return HolderKnown(None, at)
    return HolderKnown(CardHolder(person_key, None if body is None else decode_compact(body)), at)


class Reads(ABC):
    """Something that takes steps which only read, all at one moment of the database."""

    @abstractmethod
    async def _read(self, steps: Steps[Result]) -> Result:
        """Take steps. Raises `Unavailable`, `STORE_UNAVAILABLE`, if the engine cannot."""

    async def _rows(self, statement: str, *values: object) -> Sequence[Row]:
        return await self._read(steps_reads.rows_of(statement, *values))


class StepReader(Reads, StepDisposed):
    """A reader: its hot reads are each engine's own, the rest is here."""

    _render: Render

    @abstractmethod
    async def close(self) -> None:
        """Close the connections."""

    @abstractmethod
    async def matching_last(self, key: LookupKey, birth_date: date, people_max: int) -> LastKnown:
        """See `Answering`."""

    @abstractmethod
    async def by_card_last(self, card_key: CardKey) -> HolderKnown:
        """See `Answering`."""

    @abstractmethod
    async def cards_of(self, person_key: PersonKey, cards_max: int) -> Sequence[CardKey]:
        """See `Reading`."""

    @abstractmethod
    async def history_of(self, person_key: PersonKey) -> History | None:
        """See `Reading`."""

    async def matching_known_at(
        self, key: LookupKey, birth_date: date, known: Instant, people_max: int
    ) -> Sequence[CompactHistory]:
        """See `Reading`; gives only those whose covers matched then."""
        steps = steps_reads.matching_known_at(key, birth_date, known, people_max)
        return [compact(history, self._render) for history in await self._read(steps)]

    async def matching(
        self, key: LookupKey, birth_date: date, people_max: int
    ) -> Sequence[CompactHistory]:
        """See `Reading`."""
        return (await self.matching_last(key, birth_date, people_max)).people

    async def by_card(self, card_key: CardKey) -> CardHolder | None:
        """See `Reading`."""
        return (await self.by_card_last(card_key)).holder

    async def person_known_at(self, person_key: PersonKey, known: Instant) -> CompactHistory:
        """See `Answering`."""
        (found,) = await self._read(steps_reads.histories_known_at((person_key,), known))
        return compact(found, self._render)

    async def facts_of(
        self,
        key: LookupKey,
        birth_date: date,
        known: Instant | None,
        versions_max: int,
        people_max: int,
    ) -> Facts:
        """See `Explaining`."""
        steps = steps_why.facts_of(key, birth_date, known, versions_max, people_max)
        return await self._read(steps)

    async def facts_of_person(
        self, person_key: PersonKey, versions_max: int, enrollees_max: int
    ) -> Facts:
        """See `Explaining`."""
        return await self._read(steps_why.facts_of_person(person_key, versions_max, enrollees_max))

    async def checks_received(self, checks_max: int) -> Sequence[NumberCheck]:
        """See `Writing`."""

        def steps() -> Steps[list[NumberCheck]]:
            singly = yield Fetch(sql.CHECKS_RECEIVED_SINGLY, (checks_max,))
            rows = yield Fetch(sql.CHECKS_RECEIVED, (checks_max - len(singly),))
            return [sql.check_of(row) for row in (*singly, *rows)]

        return await self._read(steps())


class StepNumbers(Reads):
    """What the road of a My Number reads of all enrollees; see `NumberStore`."""

    async def checks_unstamped(self, checks_max: int) -> Sequence[NumberCheck]:
        """See `Writing`."""
        return [sql.check_of(row) for row in await self._rows(sql.CHECKS_UNSTAMPED, checks_max)]

    async def checks_wanted(self, checks_max: int) -> Sequence[NumberCheck]:
        """See `NumberStore`."""
        rows = await self._rows(sql_numbers.CHECKS_WANTED, checks_max)
        return [sql.check_of(row) for row in rows]

    async def checks_disagreeing(
        self, insurer_number: InsurerNumber, checks_max: int
    ) -> Sequence[NumberCheck]:
        """See `NumberStore`."""
        rows = await self._rows(
            sql_numbers.CHECKS_DISAGREEING, insurer_number.zero_padded, checks_max
        )
        return [sql.check_of(row) for row in rows]

    async def enrollees_of(
        self, insurer_number: InsurerNumber, after: EnrolleeKey, enrollees_max: int
    ) -> Sequence[EnrolleeKey]:
        """See `NumberStore`."""
        rows = await self._rows(
            sql_numbers.ENROLLEES_OF, after, insurer_number.zero_padded, enrollees_max
        )
        return [enrollee_key for (enrollee_key,) in rows]

    async def links_of(self, enrollee_key: EnrolleeKey) -> Sequence[LinkSpan]:
        """See `NumberStore`."""

        def steps() -> Steps[Sequence[LinkSpan]]:
            people = yield Fetch(sql.PEOPLE_OF_ENROLLEE, (enrollee_key,))
            links = yield FetchEach(
                sql_numbers.LINKS_OF_ENROLLEE, [(one, enrollee_key) for _, one in people]
            )
            seen = yield Fetch(sql_numbers.SEEN_TIMES, (enrollee_key,))
            return link_spans(
                [
                    (person_key, begin, end, bool(is_numbered))
                    for person_key, begin, end, is_numbered in links
                ],
                [(begin, end) for begin, end in seen],
            )

        return await self._read(steps())

    async def forerunners_of(self, person_key: PersonKey, people_max: int) -> Sequence[PersonKey]:
        """See `Writing`."""
        return (await self._read(steps_reads.forerunners_of(person_key)))[:people_max]


class StepLists(Reads):
    """The lists of `Lists`."""

    async def overlapping(
        self, insurer: InsurerNumber, after: PersonKey, people_max: int
    ) -> Sequence[OverlapRow]:
        """See `Lists`."""
        rows = await self._rows(sql_insurers.OVERLAPPING, insurer.zero_padded, after, people_max)
        return [OverlapRow(*row) for row in rows]

    async def collections(
        self,
        insurer: InsurerNumber,
        state: CollectionState,
        after: CollectionPlace,
        covers_max: int,
    ) -> Sequence[CollectionPlace]:
        """See `Lists`."""
        loss_date, *place = after
        rows = await self._rows(
            sql_insurers.COLLECTIONS,
            insurer.zero_padded,
            state.value,
            loss_date.isoformat(),
            *place,
            covers_max,
        )
        return [(date.fromisoformat(lost), EnrolleeKey(key), no) for lost, key, no in rows]

    async def inquiry(self, inquiry_id: InquiryId) -> Inquiry | None:
        """See `Lists`."""
        rows = await self._rows(sql_insurers.INQUIRY, inquiry_id)
        return sql_insurers.inquiry_of(rows[0]) if rows else None

    async def inquiries_of(
        self,
        insurer: InsurerNumber,
        before: tuple[Instant, InquiryId],
        inquiries_max: int,
        *,
        is_received: bool,
    ) -> Sequence[Inquiry]:
        """See `Lists`."""
        statement = sql_insurers.INQUIRIES_RECEIVED if is_received else sql_insurers.INQUIRIES_SENT
        rows = await self._rows(statement, insurer.zero_padded, *before, inquiries_max)
        return [sql_insurers.inquiry_of(row) for row in rows]


class StepStore(StepReader, StepNumbers, StepLists, StepDisposals):
    """What the one writer of a database does."""

    deposed: asyncio.Event
    """Set once another writer took this one's place, which must end."""
    lag_rules: LagRules
    on_passed: Callable[[Sequence[Passed]], None] | None
    """Told of the stages of cases each commit passed."""
    on_changed: Callable[[Batch], None] | None
    """Told of each batch that changed an enrollee, once it is committed."""

    @abstractmethod
    async def _read_as_writer(self, steps: Steps[Result]) -> Result:
        """Take steps that only read, over the connection that writes."""

    @abstractmethod
    async def _write(self, steps: Steps[Result]) -> Result:
        """
        Take steps in one transaction, durably.

        Raises:
            ImpossibleBatch: A row is there already that may not be; nothing was written.
            Unavailable: `STORE_UNAVAILABLE`; nothing was written.
        """

    async def load(
        self,
        keys: Collection[LookupKey],
        people: Collection[PersonKey],
        enrollees: Collection[EnrolleeKey] = (),
    ) -> Loaded:
        """See `Writing`."""
        return await self._read_as_writer(steps_reads.load(keys, people, enrollees))

    async def commit(self, batch: Batch) -> None:
        """See `Writing`; raises `ImpossibleBatch` where a version does not follow the last."""
        passed = await self._commit(batch)
        if self.on_passed is not None:
            self.on_passed(passed)
        if self.on_changed is not None and batch.changes:
            self.on_changed(batch)

    async def _commit(self, batch: Batch) -> Sequence[Passed]:
        """Write a batch and make it public; give the stages that cases passed by it."""
        return await self._write(committed(batch, self._render, self.lag_rules))

    async def forget_changes(self, before: Instant, events_max: int) -> int:
        """Forget changes recorded before an instant, at most so many; give how many."""
        steps = steps_reads.rows_of(sql_feed.FORGET_CHANGES, before, events_max)
        return len(await self._write(steps))

    async def last_recorded_time(self) -> Instant:
        """See `Writing`."""
        rows = await self._read_as_writer(steps_reads.rows_of(sql.LAST_RECORDED))
        return Instant(rows[0][0])

    async def upload(self, upload_key: UploadKey) -> Upload | None:
        """See `Writing`."""
        rows = await self._read_as_writer(steps_reads.rows_of(sql.UPLOAD, upload_key))
        return sql.upload_of(rows[0]) if rows else None

    async def unapplied_uploads(self) -> Sequence[Upload]:
        """See `Writing`."""
        rows = await self._read_as_writer(steps_reads.rows_of(sql.UNAPPLIED_UPLOADS))
        return [sql.upload_of(row) for row in rows]

    async def refused_lines(
        self, upload_key: UploadKey, lines_max: int, after: RefusedLine | None = None
    ) -> Sequence[RefusedLine]:
        """See `Writing`."""
        place = (after.line_number, after.column, after.reason) if after else (0, "", "")
        steps = steps_reads.rows_of(sql_uploads.REFUSED_LINES, upload_key, *place, lines_max)
        return [RefusedLine(*row) for row in await self._read_as_writer(steps)]

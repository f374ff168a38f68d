"""Insurers' lists on SQLite: overlaps, and inquiries with their answers."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from datetime import date

from gateway.domain.collection import CollectionState
from gateway.domain.identifiers import EnrolleeKey, InsurerNumber, PersonKey
from gateway.domain.inquiry import Inquiry, InquiryId
from gateway.domain.period import Instant
from gateway.store import sql_insurers
from gateway.store.port import Batch
from gateway.store.port_insurers import CollectionPlace, OverlapRow
from gateway.store.sqlite_file import Line


class SqliteLists:
    """The lists of `Lists`, for a store with a line of its own for reads."""

    _reads: Line

    async def overlapping(
        self, insurer: InsurerNumber, after: PersonKey, people_max: int
    ) -> Sequence[OverlapRow]:
        """See `Lists`."""
        question = (insurer.zero_padded, after, people_max)
        rows = await self._reads.run(
            lambda line: line.execute(sql_insurers.OVERLAPPING, question).fetchall()
        )
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
        question = (insurer.zero_padded, state.value, loss_date.isoformat(), *place, covers_max)
        rows = await self._reads.run(
            lambda line: line.execute(sql_insurers.COLLECTIONS, question).fetchall()
        )
        return [(date.fromisoformat(lost), EnrolleeKey(key), no) for lost, key, no in rows]

    async def inquiry(self, inquiry_id: InquiryId) -> Inquiry | None:
        """See `Lists`."""
        row = await self._reads.run(
            lambda line: line.execute(sql_insurers.INQUIRY, (inquiry_id,)).fetchone()
        )
        return None if row is None else sql_insurers.inquiry_of(row)

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
        question = (insurer.zero_padded, *before, inquiries_max)
        rows = await self._reads.run(lambda line: line.execute(statement, question).fetchall())
        return [sql_insurers.inquiry_of(row) for row in rows]


def write_lists(connection: sqlite3.Connection, batch: Batch) -> None:
    """Write what a batch says of overlaps and inquiries."""
    if batch.overlaps:
        there = [one for one in batch.overlaps if one.is_overlapping]
        gone = [one for one in batch.overlaps if not one.is_overlapping]
        connection.executemany(
            sql_insurers.REMOVE_OVERLAP,
            sorted((one.insurer_number.zero_padded, one.person_key) for one in gone),
        )
        connection.executemany(
            sql_insurers.ADD_OVERLAP,
            sorted(
                (one.insurer_number.zero_padded, one.person_key, batch.recorded_time)
                for one in there
            ),
        )
    if batch.collections:
        _write_collections(connection, batch)
    if batch.inquiries:
        connection.executemany(
            sql_insurers.PUT_INQUIRY, map(sql_insurers.inquiry_row, batch.inquiries)
        )


def _write_collections(connection: sqlite3.Connection, batch: Batch) -> None:
    connection.executemany(
        sql_insurers.REMOVE_COLLECTION,
        sorted(
            (one.insurer_number.zero_padded, one.enrollee_key, one.cover_no)
            for one in batch.collections
            if one.state is None
        ),
    )
    connection.executemany(
        sql_insurers.PUT_COLLECTION,
        sorted(
            (
                one.insurer_number.zero_padded,
                one.enrollee_key,
                one.cover_no,
                one.state.value,
                one.loss_date.isoformat(),
            )
            for one in batch.collections
            if one.state is not None and one.loss_date is not None
        ),
    )

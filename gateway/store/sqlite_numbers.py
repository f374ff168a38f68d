"""What the road of a My Number reads of all enrollees, from SQLite; see `NumberStore`."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from gateway.domain.identifiers import EnrolleeKey, InsurerNumber
from gateway.store import sql, sql_numbers
from gateway.store.link_spans import link_spans
from gateway.store.port import NumberCheck
from gateway.store.port_numbers import LinkSpan
from gateway.store.sqlite_file import Line, transaction


class SqliteNumbers:
    """A part of `SqliteStore`: reads through its line of long reads."""

    _reads: Line

    async def checks_wanted(self, checks_max: int) -> Sequence[NumberCheck]:
        """See `NumberStore`."""
        rows = await self._reads.run(
            lambda line: line.execute(sql_numbers.CHECKS_WANTED, (checks_max,)).fetchall()
        )
        return [sql.check_of(row) for row in rows]

    async def checks_disagreeing(
        self, insurer_number: InsurerNumber, checks_max: int
    ) -> Sequence[NumberCheck]:
        """See `NumberStore`."""
        asked = (insurer_number.zero_padded, checks_max)
        rows = await self._reads.run(
            lambda line: line.execute(sql_numbers.CHECKS_DISAGREEING, asked).fetchall()
        )
        return [sql.check_of(row) for row in rows]

    async def enrollees_of(
        self, insurer_number: InsurerNumber, after: EnrolleeKey, enrollees_max: int
    ) -> Sequence[EnrolleeKey]:
        """See `NumberStore`."""
        asked = (after, insurer_number.zero_padded, enrollees_max)
        rows = await self._reads.run(
            lambda line: line.execute(sql_numbers.ENROLLEES_OF, asked).fetchall()
        )
        return [enrollee_key for (enrollee_key,) in rows]

    async def links_of(self, enrollee_key: EnrolleeKey) -> Sequence[LinkSpan]:
        """See `NumberStore`."""

        def read(connection: sqlite3.Connection) -> Sequence[LinkSpan]:
            with transaction(connection, "BEGIN"):
                people = connection.execute(sql.PEOPLE_OF_ENROLLEE, (enrollee_key,)).fetchall()
                links = [
                    (person_key, begin, end, bool(is_numbered))
                    for (one,) in people
                    for person_key, begin, end, is_numbered in connection.execute(
                        sql_numbers.LINKS_OF_ENROLLEE, (one, enrollee_key)
                    ).fetchall()
                ]
                seen = connection.execute(sql_numbers.SEEN_TIMES, (enrollee_key,)).fetchall()
            return link_spans(links, seen)

        return await self._reads.run(read)

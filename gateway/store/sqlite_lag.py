"""Filings and their lag on SQLite: written with the batch that brings them, read beside it."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from datetime import date
from pathlib import Path

from gateway.domain.lag import Case, LagRules, Stage, Unit, calendar_lags
from gateway.domain.period import Instant, day_start, days_after, days_between, tokyo_day
from gateway.store import sql_lag
from gateway.store.port import Batch
from gateway.store.port_lag import CasesWanted
from gateway.store.sqlite_file import LONG_BUSY_MS, Line, connected

Passed = tuple[Stage, float]
"""A stage that a case passed, and its lag in seconds."""

_DAY_S = 86_400


class SqliteFilings:
    """`Filings` from a database another connection may be writing; opens it read-only."""

    def __init__(self, database: Path) -> None:
        self._reads = Line(connected(database, "ro", LONG_BUSY_MS), "lag-reads")

    async def close(self) -> None:
        """Close the connection."""
        await self._reads.close()

    async def cases(
        self, wanted: CasesWanted, after: Case | None, cases_max: int
    ) -> Sequence[Case]:
        """See `Filings`."""
        question = (
            wanted.insurer_number.zero_padded,
            day_start(days_after(wanted.last_day, 1)),
            *_place(wanted, after),
            wanted.employer_code,
            wanted.employer_code,
            wanted.kind or 0,
            wanted.kind or 0,
            cases_max,
        )

        def read(connection: sqlite3.Connection) -> list[Case]:
            return [sql_lag.case_of(row) for row in connection.execute(sql_lag.CASES, question)]

        return await self._reads.run(read)


def _place(wanted: CasesWanted, after: Case | None) -> sql_lag.Row:
    """The place in the order of cases that those wanted come after."""
    if after is None:
        return day_start(wanted.first_day), b"", 0, 0
    return after.registered_time, after.enrollee_key, after.cover_no, after.kind.value


def write_cases(connection: sqlite3.Connection, batch: Batch, rules: LagRules) -> list[Passed]:
    """
    Write a batch's cases and stamp those it links or shows; within the batch's transaction.

    A batch without any of these costs nothing here.

    Returns:
        The stages that were passed by it.
    """
    connection.executemany(sql_lag.PUT_CASE, map(sql_lag.case_row, batch.filings))
    passed = [one for case in batch.filings for one in passed_by(case, rules)]
    now = batch.recorded_time
    for link in batch.links:
        if link.is_numbered and link.replaces is not None:
            for (registered,) in connection.execute(
                sql_lag.STAMP_LINKED, (now, link.enrollee_key)
            ).fetchall():
                passed += _passed_linked(now, registered, rules)
    for check in batch.checks:
        seen = check.visible_time
        if seen is not None:
            for fact, registered in connection.execute(
                sql_lag.STAMP_CARD_VISIBLE, (seen, check.enrollee_key, seen)
            ).fetchall():
                passed += _passed_by_card(seen, date.fromisoformat(fact), registered)
    return passed


def passed_by(case: Case, rules: LagRules) -> list[Passed]:
    """The stages a case has passed when it is registered."""
    return [
        (stage, lag / 1_000_000 if stage.unit is Unit.SECONDS else float(lag * _DAY_S))
        for stage, lag, _ in calendar_lags(case, rules)
    ]


def _passed_linked(now: Instant, registered: int, rules: LagRules) -> list[Passed]:
    lag = (now - registered) / 1_000_000
    if rules.is_unnumbered_found_by_number:
        return [(Stage.LINK, lag)]
    return [(Stage.LINK, lag), (Stage.NUMBER_VISIBLE, lag)]


def _passed_by_card(seen: Instant, fact: date, registered: int) -> list[Passed]:
    days = days_between(fact, tokyo_day(seen))
    return [
        (Stage.CARD_VISIBLE, (seen - registered) / 1_000_000),
        (Stage.FACT_TO_CARD, float(days * _DAY_S)),
    ]


def open_cases(database: Path) -> tuple[int, int]:
    """How many cases of a database wait for their link, and to be seen by card."""
    connection = connected(database, "ro", LONG_BUSY_MS)
    try:
        unlinked, unseen = connection.execute(sql_lag.OPEN_CASES).fetchone()
    finally:
        connection.close()
    return unlinked, unseen

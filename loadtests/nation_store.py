"""
The made-up nation straight into a store, past every process: for tests and for filling databases.

Lines are read and decided as those of uploads are, at the same desk; only spool and door are left
out. Whoever wants to see the doors too uses `onshi people feed`.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from typing import Final

from gateway.domain.changes import Change
from gateway.domain.errors import Refusal
from gateway.domain.identifiers import InsurerNumber
from gateway.formats.coverage_csv import decode_cells
from gateway.store.port import Writing
from gateway.usecases.desk import Desk, Line
from gateway.usecases.upload_coverage import upload_key_of
from simulators.people import Row

ROWS_AT_ONCE: Final = 5_000
"""Rows that are sorted by insurer together."""


async def pour(rows: Iterable[Row], store: Writing, desk: Desk, name: str) -> tuple[int, int]:
    """
    Register rows of any insurers in their order; give how many were applied, and how many refused.

    Args:
        name: What the uploads are called.
    """
    applied = refused = 0
    waiting = iter(rows)
    while some := list(islice(waiting, ROWS_AT_ONCE)):
        by_insurer: dict[str, list[Row]] = {}
        for row in some:
            by_insurer.setdefault(row["insurer_number"], []).append(row)
        for number, of_insurer in by_insurer.items():
            done = await _registered(InsurerNumber(number), of_insurer, store, desk, name)
            applied, refused = applied + done[0], refused + done[1]
    return applied, refused


async def _registered(
    insurer: InsurerNumber, rows: list[Row], store: Writing, desk: Desk, name: str
) -> tuple[int, int]:
    lines = []
    for place, row in enumerate(rows, start=1):
        change = _change(row)
        if change is not None:
            lines.append(Line(place, change))
    async with desk.turn() as now:
        worked = await desk.work(lines, insurer, upload_key_of(insurer, name), now)
        await store.commit(worked.batch)
    return worked.lines_applied, len(worked.refused) + len(rows) - len(lines)


def _change(row: Row) -> Change | None:
    try:
        return decode_cells(row)
    except Refusal:
        return None

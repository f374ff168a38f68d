"""The statements of filings and their lag, and their rows."""

from __future__ import annotations

from datetime import date
from typing import Any, Final

from gateway.domain.identifiers import EnrolleeKey, InsurerNumber
from gateway.domain.lag import Case, CaseKind

Row = tuple[Any, ...]

_COLUMNS: Final = """
enrollee_key, cover_no, kind, insurer_number, employer_code, fact_date, filed_date, received_date,
registered_time, linked_time, card_visible_time
"""

PUT_CASE: Final = f"""
INSERT INTO filings ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (enrollee_key, cover_no, kind) DO UPDATE SET
    employer_code = excluded.employer_code, fact_date = excluded.fact_date,
    filed_date = excluded.filed_date, received_date = excluded.received_date,
    registered_time = excluded.registered_time, linked_time = excluded.linked_time,
    card_visible_time = excluded.card_visible_time
"""  # noqa: S608  only our own column names
"""The conflict is a loss that was withdrawn and is registered again: the last notice counts."""

STAMP_LINKED: Final = """
UPDATE filings SET linked_time = ? WHERE enrollee_key = ? AND linked_time IS NULL
RETURNING registered_time
"""

STAMP_CARD_VISIBLE: Final = """
UPDATE filings SET card_visible_time = ?
WHERE enrollee_key = ? AND card_visible_time IS NULL AND registered_time <= ?
RETURNING fact_date, registered_time, card_visible_time
"""

CASES: Final = f"""
SELECT {_COLUMNS} FROM filings
WHERE insurer_number = ? AND registered_time < ?
AND (registered_time, enrollee_key, cover_no, kind) > (?, ?, ?, ?)
AND (? = '' OR employer_code = ?) AND (? = 0 OR kind = ?)
ORDER BY registered_time, enrollee_key, cover_no, kind LIMIT ?
"""  # noqa: S608  only our own column names

OPEN_CASES: Final = """
SELECT count(*) - count(linked_time), count(*) - count(card_visible_time) FROM filings
"""

UNROUTED: Final = frozenset({CASES, OPEN_CASES})
"""Statements that concern every place: what an insurer asks about all of its cases."""


def case_row(case: Case) -> Row:
    """The row of `PUT_CASE`."""
    return (
        case.enrollee_key,
        case.cover_no,
        case.kind.value,
        case.insurer_number.zero_padded,
        case.employer_code,
        case.fact_date.isoformat(),
        None if case.filed_date is None else case.filed_date.isoformat(),
        None if case.received_date is None else case.received_date.isoformat(),
        case.registered_time,
        case.linked_time,
        case.card_visible_time,
    )


def case_of(row: Row) -> Case:
    """The case of a row of `CASES`."""
    key, cover_no, kind, insurer, employer, fact, filed, received, *times = row
    return Case(
        EnrolleeKey(key),
        cover_no,
        CaseKind(kind),
        InsurerNumber(insurer),
        employer,
        date.fromisoformat(fact),
        None if filed is None else date.fromisoformat(filed),
        None if received is None else date.fromisoformat(received),
        *times,
    )

"""
The statements of the feed: changes in the main database, and the news of institutions.

The news live in a file of their own, `feed.db`, with the trail attached read-only as `trail`; see
`gateway.store.news`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from gateway.domain.feed import OF_LINKS, ChangeEvent, ChangeKind, EnrolleeChange, NewsEvent
from gateway.domain.period import Instant
from gateway.store.records import decode_coverage

Row = tuple[Any, ...]

LAST_CHANGE: Final = """
SELECT sequence FROM changes WHERE insurer_number = ? ORDER BY sequence DESC LIMIT 1
"""

ADD_CHANGE: Final = """
INSERT INTO changes (
    insurer_number, sequence, recorded_time, kinds, enrollee_key, person_key, cover_no, version_no
) VALUES (?, ?, ?, ?, ?, ?, ?, ?)
"""

CHANGE_ENDS: Final = """
SELECT
    coalesce((SELECT min(sequence) FROM changes WHERE insurer_number = ?1), 0),
    coalesce((SELECT max(sequence) FROM changes WHERE insurer_number = ?1), 0),
    coalesce(
        (SELECT recorded_time FROM changes WHERE insurer_number = ?1 AND sequence = ?2), 0
    )
"""

CHANGES_AFTER: Final = """
SELECT sequence, recorded_time, kinds, person_key, enrollee_key, cover_no, version_no FROM changes
WHERE insurer_number = ? AND sequence > ? AND recorded_time <= ? ORDER BY sequence LIMIT ?
"""

VERSION_CHANGED: Final = """
SELECT enrollee_key, cover_no, version_no, body, upload_key, line_number FROM cover_versions
WHERE enrollee_key = ? AND cover_no = ? AND version_no = ?
"""

FORGET_CHANGES: Final = """
DELETE FROM changes WHERE (insurer_number, sequence) IN (
    SELECT insurer_number, sequence FROM changes AS old
    WHERE recorded_time < ? AND sequence < (
        SELECT max(sequence) FROM changes WHERE insurer_number = old.insurer_number
    )
    ORDER BY recorded_time LIMIT ?
)
RETURNING sequence
"""
"""Of each insurer the newest stays, so that its stream is numbered on."""

NEWS_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS news (
    institution_code TEXT NOT NULL, sequence INTEGER NOT NULL, recorded_time INTEGER NOT NULL,
    person_key BLOB NOT NULL, access_record_id TEXT NOT NULL,
    PRIMARY KEY (institution_code, sequence)
) WITHOUT ROWID;
CREATE UNIQUE INDEX IF NOT EXISTS news_told
    ON news (institution_code, access_record_id, person_key);
CREATE INDEX IF NOT EXISTS news_by_time ON news (recorded_time);
CREATE TABLE IF NOT EXISTS progress (
    progress_id INTEGER PRIMARY KEY, told_until INTEGER NOT NULL
);
INSERT OR IGNORE INTO progress VALUES (1, 0);
"""

ATTACH: Final = "ATTACH DATABASE ? AS {}"

TOLD_UNTIL: Final = "SELECT told_until FROM progress WHERE progress_id = 1"
SET_TOLD_UNTIL: Final = "UPDATE progress SET told_until = ? WHERE progress_id = 1"

NEWEST_CHANGE: Final = "SELECT coalesce(max(recorded_time), 0) FROM changes"

STEP_END: Final = """
SELECT recorded_time FROM changes WHERE recorded_time > ? AND recorded_time <= ?
ORDER BY recorded_time LIMIT 1 OFFSET ?
"""

FRESH_CHANGES: Final = """
SELECT person_key, enrollee_key, kinds, recorded_time FROM changes
WHERE recorded_time > ? AND recorded_time <= ?
"""

LINK_CLOSED_AT: Final = """
SELECT person_key, superseded_time FROM links
WHERE person_key = ? AND enrollee_key = ? AND superseded_time = ?
"""

UNROUTED: Final = frozenset({NEWEST_CHANGE, STEP_END, FRESH_CHANGES, FORGET_CHANGES})
"""Statements that concern every place: what is new for whoever watches."""

CONCERNED_TABLE: Final = """
CREATE TEMP TABLE IF NOT EXISTS concerned (person_key BLOB NOT NULL, recorded_time INTEGER NOT NULL)
"""
CLEAR_CONCERNED: Final = "DELETE FROM temp.concerned"
ADD_CONCERNED: Final = "INSERT INTO temp.concerned (person_key, recorded_time) VALUES (?, ?)"

OUT_OF_DATE: Final = """
SELECT asked.institution_code, asked.record_id, asked.person_key, min(concerned.recorded_time)
FROM temp.concerned CROSS JOIN trail.asked AS asked ON asked.person_key = concerned.person_key
WHERE asked.at <= concerned.recorded_time + :settle
    AND asked.at >= concerned.recorded_time - :window
GROUP BY asked.institution_code, asked.record_id, asked.person_key
ORDER BY min(concerned.recorded_time), asked.institution_code, asked.record_id, asked.person_key
"""
"""
The last confirmations that changes have put out of date.

A change concerns the person it names and, where it moved the enrollee, whom the enrollee was until
then: each link is a change, so whoever asked about an earlier person of it was told at the move.
"""

ADD_NEWS: Final = """
INSERT INTO news (institution_code, sequence, recorded_time, person_key, access_record_id)
SELECT ?1, coalesce(max(sequence), 0) + 1, ?2, ?3, ?4 FROM news WHERE institution_code = ?1
ON CONFLICT (institution_code, access_record_id, person_key) DO NOTHING
"""

NEWS_ENDS: Final = """
SELECT
    coalesce((SELECT min(sequence) FROM news WHERE institution_code = ?1), 0),
    coalesce((SELECT max(sequence) FROM news WHERE institution_code = ?1), 0),
    coalesce(
        (SELECT recorded_time FROM news WHERE institution_code = ?1 AND sequence = ?2), 0
    )
"""

NEWS_AFTER: Final = """
SELECT sequence, recorded_time, person_key, access_record_id FROM news
WHERE institution_code = ? AND sequence > ? ORDER BY sequence LIMIT ?
"""

FORGET_NEWS: Final = """
DELETE FROM news WHERE (institution_code, sequence) IN (
    SELECT institution_code, sequence FROM news AS old
    WHERE recorded_time < ? AND sequence < (
        SELECT max(sequence) FROM news WHERE institution_code = old.institution_code
    )
    ORDER BY recorded_time LIMIT ?
)
"""


def change_row(change: EnrolleeChange, sequence: int, recorded: Instant) -> Row:
    """The row of `ADD_CHANGE`."""
    return (
        change.insurer_number.zero_padded,
        sequence,
        recorded,
        change.kinds,
        change.enrollee_key,
        change.person_key,
        change.cover_no,
        change.version_no,
    )


def change_of(change: Row, version: Row, request_ids: Mapping[bytes, str]) -> ChangeEvent:
    """The event of a row of `CHANGES_AFTER` and the end of its row of `VERSION_CHANGED`."""
    sequence, recorded, number, person_key, *_ = change
    body, upload_key, line_number = version
    kinds = ChangeKind(number)
    has_version = bool(kinds & ~OF_LINKS)
    return ChangeEvent(
        sequence,
        recorded,
        kinds,
        person_key,
        decode_coverage(body).insured_id,
        request_ids.get(upload_key, "") if has_version else "",
        line_number if has_version else 0,
    )


def news_of(row: Row) -> NewsEvent:
    """The event of a row of `NEWS_AFTER`."""
    return NewsEvent(*row)

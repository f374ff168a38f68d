"""
Every statement on the main database, once, as plain SQL; and rows from values and back.

Statements name the distribution column of each table they touch (house 11), but for the few
listed in `UNROUTED`. Each is a constant, so the driver prepares it once.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from gateway.domain.compact import Render, compact
from gateway.domain.coverage import History
from gateway.domain.identifiers import EnrolleeKey, InsurerNumber, PersonKey
from gateway.store.port import (
    Batch,
    CheckState,
    NewLink,
    NewVersion,
    NumberCheck,
    Upload,
    UploadKey,
    UploadState,
)
from gateway.store.records import encode_compact, encode_coverage, encode_history

Row = tuple[Any, ...]

ENROLLEES_UNDER: Final = """
SELECT enrollee_key FROM lookups WHERE lookup_key = ? AND birth_date = ? LIMIT ?
"""

PEOPLE_UNDER: Final = "SELECT person_key FROM lookups WHERE lookup_key = ?"

PEOPLE_OF_ENROLLEE: Final = """
SELECT enrollee_key, person_key FROM enrollee_people WHERE enrollee_key = ?
"""

UNNUMBERED_AS: Final = """
SELECT person_key FROM links WHERE person_key = ? AND enrollee_key = ? AND is_numbered = 0 LIMIT 1
"""

LINKS_KNOWN_AT: Final = """
SELECT person_key, enrollee_key, is_numbered FROM links
WHERE person_key = ? AND recorded_time <= ? AND (superseded_time IS NULL OR superseded_time > ?)
"""

COVERS_KNOWN_AT: Final = """
SELECT enrollee_key, body FROM cover_versions
WHERE enrollee_key = ? AND recorded_time <= ? AND (superseded_time IS NULL OR superseded_time > ?)
"""

PUT_CARD: Final = """
INSERT INTO cards (card_key, person_key, recorded_time) VALUES (?, ?, ?)
ON CONFLICT (card_key)
DO UPDATE SET person_key = excluded.person_key, recorded_time = excluded.recorded_time
"""

PUT_PERSON_CARD: Final = """
INSERT INTO person_cards (person_key, card_key, recorded_time) VALUES (?, ?, ?)
ON CONFLICT (person_key, card_key) DO UPDATE SET recorded_time = excluded.recorded_time
"""

CARDS_OF: Final = """
SELECT card_key FROM person_cards WHERE person_key = ?
ORDER BY recorded_time DESC, card_key LIMIT ?
"""

CHECK_COLUMNS: Final = """
enrollee_key, received_time, insurer_number, person_key, upload_key, line_number, state,
checked_time, linked_time, projected_time, visible_time, mismatches, is_found
"""

PUT_CHECK: Final = f"""
INSERT INTO number_checks ({CHECK_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (enrollee_key, received_time) DO UPDATE SET
    person_key = excluded.person_key, upload_key = excluded.upload_key,
    line_number = excluded.line_number, state = excluded.state,
    checked_time = excluded.checked_time, linked_time = excluded.linked_time,
    projected_time = excluded.projected_time, visible_time = excluded.visible_time,
    mismatches = excluded.mismatches, is_found = excluded.is_found
"""  # noqa: S608  only our own column names

LAST_CHECK: Final = (
    f"SELECT {CHECK_COLUMNS} FROM number_checks WHERE enrollee_key = ? "  # noqa: S608  same
    "ORDER BY received_time DESC LIMIT 1"
)

CHECKS_RECEIVED_SINGLY: Final = (
    f"SELECT {CHECK_COLUMNS} FROM number_checks WHERE state = 1 AND line_number = 1 "  # noqa: S608  same
    "ORDER BY received_time, enrollee_key LIMIT ?"
)

CHECKS_RECEIVED: Final = (
    f"SELECT {CHECK_COLUMNS} FROM number_checks WHERE state = 1 AND line_number > 1 "  # noqa: S608  same
    "ORDER BY received_time, enrollee_key LIMIT ?"
)

CHECKS_UNSTAMPED: Final = (
    f"SELECT {CHECK_COLUMNS} FROM number_checks WHERE state = 2 AND projected_time IS NULL "  # noqa: S608  same
    "ORDER BY received_time, enrollee_key LIMIT ?"
)

HISTORY: Final = "SELECT history FROM people WHERE person_key = ?"

INSURER: Final = "SELECT enrollee_key, insurer_number FROM enrollees WHERE enrollee_key = ?"

ADD_ENROLLEE: Final = """
INSERT INTO enrollees (enrollee_key, insurer_number) VALUES (?, ?) ON CONFLICT DO NOTHING
"""

ADD_VERSION: Final = """
INSERT INTO cover_versions (
    enrollee_key, cover_no, version_no, recorded_time, acquisition_date, loss_date, state,
    upload_key, line_number, body
) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""

CLOSE_VERSION: Final = """
UPDATE cover_versions SET superseded_time = ?
WHERE enrollee_key = ? AND cover_no = ? AND version_no = ? AND superseded_time IS NULL
RETURNING enrollee_key
"""

ADD_LINK: Final = """
INSERT INTO links (person_key, enrollee_key, recorded_time, is_numbered) VALUES (?, ?, ?, ?)
ON CONFLICT (person_key, enrollee_key, recorded_time)
DO UPDATE SET is_numbered = excluded.is_numbered, superseded_time = NULL
"""
"""The conflict is a link that was closed at the very instant it is made again."""

CLOSE_LINK: Final = """
UPDATE links SET superseded_time = ?
WHERE person_key = ? AND enrollee_key = ? AND superseded_time IS NULL
"""

ADD_ENROLLEE_PERSON: Final = """
INSERT INTO enrollee_people (enrollee_key, person_key) VALUES (?, ?) ON CONFLICT DO NOTHING
"""

PUT_LOOKUP: Final = """
INSERT INTO lookups (lookup_key, birth_date, enrollee_key, person_key) VALUES (?, ?, ?, ?)
ON CONFLICT (lookup_key, birth_date, enrollee_key)
DO UPDATE SET person_key = excluded.person_key
"""

PUT_HISTORY: Final = """
INSERT INTO people (person_key, version, compact, history) VALUES (?, ?, ?, ?)
ON CONFLICT (person_key)
DO UPDATE SET
    version = excluded.version, compact = excluded.compact, history = excluded.history
"""

_UPLOAD_COLUMNS: Final = """
upload_key, insurer_number, request_id, state, size_bytes, digest, received_time, applied_time,
encoding, bytes_done, lines_read, lines_applied, lines_unchanged, lines_refused, number_person,
lines_total, line_order, is_dry_run
"""

PUT_UPLOAD: Final = f"""
INSERT INTO uploads ({_UPLOAD_COLUMNS})
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (upload_key) DO UPDATE SET
    state = excluded.state, size_bytes = excluded.size_bytes, digest = excluded.digest,
    received_time = excluded.received_time, applied_time = excluded.applied_time,
    encoding = excluded.encoding, bytes_done = excluded.bytes_done,
    lines_read = excluded.lines_read, lines_applied = excluded.lines_applied,
    lines_unchanged = excluded.lines_unchanged, lines_refused = excluded.lines_refused,
    number_person = excluded.number_person, lines_total = excluded.lines_total,
    is_dry_run = excluded.is_dry_run
"""  # noqa: S608  only our own column names

UPLOAD: Final = f"SELECT {_UPLOAD_COLUMNS} FROM uploads WHERE upload_key = ?"  # noqa: S608  same

UNAPPLIED_UPLOADS: Final = (
    f"SELECT {_UPLOAD_COLUMNS} FROM uploads WHERE state = 2 ORDER BY received_time, upload_key"  # noqa: S608  same
)

MOVE_LOG: Final = "PRAGMA wal_checkpoint(PASSIVE)"

LAST_RECORDED: Final = "SELECT last_recorded_time FROM meta WHERE meta_id = 1"

SET_LAST_RECORDED: Final = """
UPDATE meta SET last_recorded_time = ? WHERE meta_id = 1 AND last_recorded_time < ?
"""

FORMAT: Final = """
SELECT alembic_version.version_num, meta.projection_format FROM alembic_version, meta
WHERE meta.meta_id = 1
"""

SET_PROJECTION_FORMAT: Final = "UPDATE meta SET projection_format = ? WHERE meta_id = 1"

PEOPLE_AFTER: Final = """
SELECT person_key, version FROM people WHERE person_key > ? ORDER BY person_key LIMIT ?
"""

VAULT_TABLE: Final = """
CREATE TABLE IF NOT EXISTS numbers (
    mac BLOB NOT NULL PRIMARY KEY, key_id TEXT NOT NULL, nonce BLOB NOT NULL,
    ciphertext BLOB NOT NULL, person_key BLOB NOT NULL
) WITHOUT ROWID
"""
"""The one table of the vault, which is a file or, on a server, a schema of its own."""

VAULT_PERSON: Final = "SELECT mac, person_key FROM numbers WHERE mac = ?"

VAULT_INDEX: Final = "CREATE INDEX IF NOT EXISTS numbers_person ON numbers (person_key)"

VAULT_NUMBER: Final = """
SELECT person_key, key_id, nonce, ciphertext FROM numbers WHERE person_key = ? LIMIT 1
"""

VAULT_ADD: Final = """
INSERT INTO numbers (mac, key_id, nonce, ciphertext, person_key) VALUES (?, ?, ?, ?, ?)
"""

VAULT_REMOVE: Final = "DELETE FROM numbers WHERE mac = ?"

TRY_WRITERS_LOCK: Final = "SELECT pg_try_advisory_lock($1)"
"""On a server alone; belongs to the connection."""

WRITER_LIFE: Final = "SELECT writer_life FROM meta WHERE meta_id = 1"

SET_WRITER_LIFE: Final = "UPDATE meta SET writer_life = ? WHERE meta_id = 1"

UNROUTED: Final = frozenset(
    {
        UNAPPLIED_UPLOADS,
        CHECKS_RECEIVED,
        CHECKS_RECEIVED_SINGLY,
        CHECKS_UNSTAMPED,
        LAST_RECORDED,
        WRITER_LIFE,
        SET_WRITER_LIFE,
        SET_LAST_RECORDED,
        FORMAT,
        SET_PROJECTION_FORMAT,
        PEOPLE_AFTER,
        VAULT_NUMBER,
    }
)
"""
Statements that concern every place: at start-up, of the one-row `meta`, of maintenance, and of a
number asked for by its person, for the register alone.
"""


def version_row(version: NewVersion) -> Row:
    """The row of `ADD_VERSION`."""
    coverage = version.coverage
    end = coverage.period.end
    return (
        version.enrollee_key,
        coverage.cover_no,
        coverage.version_no,
        coverage.recorded_time,
        coverage.period.start.isoformat(),
        None if end is None else end.isoformat(),
        coverage.state.value,
        version.upload_key,
        version.line_number,
        encode_coverage(coverage),
    )


def closing_rows(versions: Sequence[NewVersion]) -> list[Row]:
    """The rows of `CLOSE_VERSION`: each version but the first closes the one before it."""
    return [
        (
            version.coverage.recorded_time,
            version.enrollee_key,
            version.coverage.cover_no,
            version.coverage.version_no - 1,
        )
        for version in versions
        if version.coverage.version_no > 1
    ]


def last_links(links: Sequence[NewLink]) -> list[NewLink]:
    """
    Give one link an enrollee, in order of person key: the last, closing what the first closes.

    Links in between would begin and end at one instant, so nobody could ever have known them.
    """
    last: dict[bytes, NewLink] = {}
    for link in links:
        before = last.get(link.enrollee_key, link)
        last[link.enrollee_key] = NewLink(
            link.enrollee_key, link.person_key, link.is_numbered, before.replaces
        )
    return sorted(last.values(), key=lambda link: (link.person_key, link.enrollee_key))


def lookup_rows(batch: Batch) -> list[Row]:
    """The rows of `PUT_LOOKUP`, by key."""
    rows = {
        (row.key, row.birth_date.isoformat(), row.enrollee_key): row.person_key
        for row in batch.lookups
    }
    return sorted((*key, person_key) for key, person_key in rows.items())


def history_rows(batch: Batch, render: Render) -> list[Row]:
    """The rows of `PUT_HISTORY`, by person; the last history handed in for a person counts."""
    last = {history.person_key: history for history in batch.histories}
    return [history_row(last[key], render) for key in sorted(last)]


def history_row(history: History, render: Render) -> Row:
    """The row of `PUT_HISTORY`."""
    compacted = encode_compact(compact(history, render))
    return history.person_key, history.version, compacted, encode_history(history)


def upload_row(upload: Upload) -> Row:
    """The row of `PUT_UPLOAD`."""
    return (
        upload.upload_key,
        upload.insurer_number.zero_padded,
        upload.request_id,
        upload.state.value,
        upload.size_bytes,
        upload.digest,
        upload.received_time,
        upload.applied_time,
        upload.encoding,
        upload.bytes_done,
        upload.lines_read,
        upload.lines_applied,
        upload.lines_unchanged,
        upload.lines_refused,
        upload.number_person,
        upload.lines_total,
        upload.line_order,
        upload.is_dry_run,
    )


def upload_of(row: Row) -> Upload:
    """The upload of a row of `UPLOAD`."""
    upload_key, insurer_number, request_id, state, *rest, is_dry_run = row
    rest.append(bool(is_dry_run))
    return Upload(upload_key, InsurerNumber(insurer_number), request_id, UploadState(state), *rest)


def check_row(check: NumberCheck) -> Row:
    """The row of `PUT_CHECK`."""
    return (
        check.enrollee_key,
        check.received_time,
        check.insurer_number.zero_padded,
        check.person_key,
        check.upload_key,
        check.line_number,
        check.state.value,
        check.checked_time,
        check.linked_time,
        check.projected_time,
        check.visible_time,
        ",".join(check.mismatches),
        check.is_found,
    )


def check_of(row: Row) -> NumberCheck:
    """The check of a row of `LAST_CHECK` or `CHECKS_RECEIVED`."""
    key, received, insurer, person_key, upload_key, line_number, state = row[:7]
    checked, linked, projected, visible, mismatches, is_found = row[7:]
    return NumberCheck(
        EnrolleeKey(key),
        received,
        InsurerNumber(insurer),
        PersonKey(person_key),
        UploadKey(upload_key),
        line_number,
        CheckState(state),
        checked,
        linked,
        projected,
        visible,
        tuple(mismatches.split(",")) if mismatches else (),
        bool(is_found),
    )

"""
What a store says of people, without keys and times: two stores that say the same give the same.

Where a file was cut into slices, which depends on the machine's speed, shows in links that lasted
from one slice to the next and in whom they were to; neither counts.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable
from typing import Final

from msgspec import structs

from gateway.domain.coverage import Coverage
from gateway.domain.period import Instant
from gateway.store.records import decode_compact, decode_coverage, decode_history
from loadtests.facts import Facts

LINKS: Final = "SELECT is_numbered FROM links WHERE superseded_time IS NULL"
UPLOAD_COLUMNS: Final = (
    "request_id, state, size_bytes, encoding, lines_read, lines_applied, lines_unchanged, "
    "lines_refused"
)
State = Counter[Hashable]
"""Everything that is said and how often."""


def end_state(facts: Facts) -> State:
    """
    Read what a gateway keeps while it does not run.

    It holds every version of every cover with the line it came from, each person's covers as
    lookups see them, the rows lookups begin with, numbers in the vault, refused lines and counts.
    """
    state: State = Counter()
    _add_versions(facts, state)
    _add_people(facts, state)
    for row in facts.rows(LINKS):
        state["links", *row] += 1
    for table, columns in (
        ("lookups", "lookup_key, birth_date"),
        ("refused_lines", "line_number, column_name, reason"),
        ("uploads", UPLOAD_COLUMNS),
        ("filings", "cover_no, kind, employer_code, fact_date"),
        ("vault.numbers", "count(*)"),
    ):
        for row in facts.rows(f"SELECT {columns} FROM {table}"):  # noqa: S608  only our own names
            state[table, *row] += 1
    return state


def _add_versions(facts: Facts, state: State) -> None:
    rows = facts.rows(
        "SELECT enrollee_key, line_number, superseded_time IS NULL, body FROM cover_versions"
    )
    enrollees: dict[bytes, list[str]] = {}
    for enrollee_key, line_number, is_last, body in rows:
        said = f"{line_number} {is_last} {_timeless(decode_coverage(body))!r}"
        enrollees.setdefault(enrollee_key, []).append(said)
    for versions in enrollees.values():
        state["versions", *sorted(versions)] += 1


def _add_people(facts: Facts, state: State) -> None:
    for history_body, compact_body in facts.rows("SELECT history, compact FROM people"):
        history = decode_history(history_body)
        if not history.enrolments:
            continue
        compact = decode_compact(compact_body)
        covers = sorted(
            repr((enrolment.is_numbered, [_timeless(cover) for cover in enrolment.covers]))
            for enrolment in history.enrolments
        )
        seen = sorted(repr((c.state, c.birth_date, c.period, c.sheet)) for c in compact.covers)
        state["person", *covers, *seen] += 1


def _timeless(cover: Coverage) -> Coverage:
    return structs.replace(cover, recorded_time=Instant(0))


def differences(one: State, other: State) -> int:
    """How many statements only one of two states makes."""
    return ((one - other) + (other - one)).total()

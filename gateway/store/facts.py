"""Histories put together from the facts: as known at an instant, or to rebuild the projections."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from typing import Final

from gateway.domain.compact import Render
from gateway.domain.coverage import Enrolment, History
from gateway.domain.identifiers import PersonKey
from gateway.domain.period import Instant
from gateway.domain.projection import history_of
from gateway.store import sql
from gateway.store.records import decode_coverage

END_OF_TIME: Final = Instant(2**63 - 1)
"""Later than anything recorded: what is known then is what is known last."""

_PAGE_PEOPLE: Final = 500


def history_known_at(
    connection: sqlite3.Connection, person_key: PersonKey, version: int, known: Instant
) -> History:
    """Give a person's history from what was recorded up to an instant, included."""
    links = connection.execute(sql.LINKS_KNOWN_AT, (person_key, known, known)).fetchall()
    return history_of(person_key, version, _enrolments(connection, links, known))


def _enrolments(
    connection: sqlite3.Connection, links: list[sql.Row], known: Instant
) -> Iterator[Enrolment]:
    for enrollee_key, is_numbered in links:
        rows = connection.execute(sql.COVERS_KNOWN_AT, (enrollee_key, known, known)).fetchall()
        if rows:
            covers = tuple(decode_coverage(body) for (body,) in rows)
            yield Enrolment(enrollee_key, bool(is_numbered), covers)


def rebuild(connection: sqlite3.Connection, render: Render) -> None:
    """
    Write every person's projection anew from the facts; versions stay, since no fact changed.

    Runs inside the caller's transaction. Memory holds one page of people at a time.
    """
    last = b""
    while page := connection.execute(sql.PEOPLE_AFTER, (last, _PAGE_PEOPLE)).fetchall():
        for person_key, version in page:
            history = history_known_at(connection, person_key, version, END_OF_TIME)
            connection.execute(sql.PUT_HISTORY, sql.history_row(history, render))
        last = page[-1][0]

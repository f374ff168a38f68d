"""What a store tells by more than one statement, as steps: loading, the past, whom somebody was."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from datetime import date
from typing import Any, Final, NamedTuple

from gateway.domain.coverage import Coverage, Enrolment, History
from gateway.domain.errors import TooMuch
from gateway.domain.feed import OF_LINKS, ChangeEvent
from gateway.domain.identifiers import EnrolleeKey, InsurerNumber, LookupKey, PersonKey
from gateway.domain.period import Instant
from gateway.domain.projection import history_of
from gateway.store import sql, sql_feed, sql_why
from gateway.store.port import Enrollee, Loaded
from gateway.store.records import decode_coverage, decode_history
from gateway.store.steps import Fetch, FetchEach, Row, Steps, singly

END_OF_TIME: Final = Instant(2**63 - 1)
"""Later than anything recorded: what is known then is what is known last."""

ENROLLEES_EXAMINED_MAX: Final = 1_000
"""Enrollees under one key and birth date a read as of another time looks at."""


def load(
    keys: Collection[LookupKey],
    people: Collection[PersonKey],
    enrollees: Collection[EnrolleeKey],
) -> Steps[Loaded]:
    """See `Loading`."""
    concerned = set(people)
    rows = yield FetchEach(sql.PEOPLE_OF_ENROLLEE, singly(enrollees))
    concerned.update(person_key for _, person_key in rows)
    rows = yield FetchEach(sql.PEOPLE_UNDER, singly(keys))
    concerned.update(person_key for (person_key,) in rows)
    rows = yield FetchEach(sql.HISTORY, singly(concerned))
    histories = [decode_history(body) for (body,) in rows]
    versions = dict.fromkeys(concerned, 0)
    versions.update((history.person_key, history.version) for history in histories)
    wanted = singly(one.enrollee_key for history in histories for one in history.enrolments)
    insurers: dict[EnrolleeKey, str] = dict((yield FetchEach(sql.INSURER, wanted)))
    rows = yield FetchEach(sql.LAST_CHECK, wanted)
    told = {check.enrollee_key: check for check in map(sql.check_of, rows)}
    loaded = [
        Enrollee(
            InsurerNumber(insurers[one.enrollee_key]),
            history.person_key,
            one,
            told.get(one.enrollee_key),
        )
        for history in histories
        for one in history.enrolments
    ]
    loaded.sort(key=lambda enrollee: enrollee.enrolment.enrollee_key)
    return Loaded(tuple(loaded), versions)


def histories_known_at(people: Collection[PersonKey], known: Instant) -> Steps[list[History]]:
    """
    Give people's histories, in order of their keys, from what was recorded up to an instant.

    The instant is included. The `version` is 0; enrolments without a cover known then are left
    out, people without enrolments are not.
    """
    rows = yield FetchEach(sql.LINKS_KNOWN_AT, [(one, known, known) for one in people])
    links = list(rows)
    rows = yield FetchEach(
        sql.COVERS_KNOWN_AT, [(enrollee_key, known, known) for _, enrollee_key, _ in links]
    )
    covers: dict[EnrolleeKey, list[Coverage]] = defaultdict(list)
    for enrollee_key, body in rows:
        covers[enrollee_key].append(decode_coverage(body))
    enrolments: dict[PersonKey, list[Enrolment]] = defaultdict(list)
    for person_key, enrollee_key, is_numbered in links:
        if enrollee_key in covers:
            enrolment = Enrolment(enrollee_key, bool(is_numbered), tuple(covers[enrollee_key]))
            enrolments[person_key].append(enrolment)
    return [history_of(one, 0, enrolments.get(one, ())) for one in sorted(people)]


def matching_known_at(
    key: LookupKey, birth_date: date, known: Instant, people_max: int
) -> Steps[list[History]]:
    """See `Reading`; gives only those whose covers matched then."""
    question = (key, birth_date.isoformat(), ENROLLEES_EXAMINED_MAX + 1)
    enrollees = yield Fetch(sql.ENROLLEES_UNDER, question)
    if len(enrollees) > ENROLLEES_EXAMINED_MAX:
        raise TooMuch("TOO_MANY_MATCHES")
    rows = yield FetchEach(sql.PEOPLE_OF_ENROLLEE, enrollees)
    histories = yield from histories_known_at({person_key for _, person_key in rows}, known)
    found = [
        history
        for history in histories
        if any(
            cover.birth_date == birth_date and cover.insured_id.lookup_key == key
            for enrolment in history.enrolments
            for cover in enrolment.covers
        )
    ]
    if len(found) > people_max:
        raise TooMuch("TOO_MANY_MATCHES")
    return found


def forerunners_of(person_key: PersonKey) -> Steps[list[PersonKey]]:
    """See `Writing`."""
    rows = yield Fetch(sql.HISTORY, (person_key,))
    enrollees = [one.enrollee_key for (body,) in rows for one in decode_history(body).enrolments]
    ever = yield FetchEach(sql.PEOPLE_OF_ENROLLEE, singly(enrollees))
    unnumbered = yield FetchEach(
        sql.UNNUMBERED_AS, [(one, enrollee_key) for enrollee_key, one in ever]
    )
    return sorted({one for (one,) in unnumbered} - {person_key})


class Concerned(NamedTuple):
    """Whom changes concern, each with when, and up to when changes were looked at, included."""

    until: Instant
    people: Collection[tuple[PersonKey, Instant]]


def concerned(after: Instant, until: Instant, changes_max: int) -> Steps[Concerned]:
    """
    Tell whom the next changes concern, recorded after an instant and up to another one.

    That is whom a change names and, where it moved an enrollee, whom that one was until then. A
    commit's changes stay together, so there may be more of them than asked for.
    """
    end = yield Fetch(sql_feed.STEP_END, (after, until, changes_max - 1))
    last = Instant(end[0][0]) if end else until
    changes = yield Fetch(sql_feed.FRESH_CHANGES, (after, last))
    moved = [
        (enrollee_key, recorded)
        for _, enrollee_key, kinds, recorded in changes
        if kinds & OF_LINKS.value
    ]
    ever: dict[EnrolleeKey, list[PersonKey]] = defaultdict(list)
    for enrollee_key, person_key in (
        yield FetchEach(sql.PEOPLE_OF_ENROLLEE, singly({one for one, _ in moved}))
    ):
        ever[enrollee_key].append(person_key)
    were = yield FetchEach(
        sql_feed.LINK_CLOSED_AT,
        [
            (person_key, enrollee_key, recorded)
            for enrollee_key, recorded in moved
            for person_key in ever[enrollee_key]
        ],
    )
    named = {(person_key, recorded) for person_key, _, _, recorded in changes}
    return Concerned(last, named | {(person_key, recorded) for person_key, recorded in were})


def newest_change() -> Steps[Instant]:
    """When the newest change of a whole commit was recorded, or earlier; 0 if there is none."""
    until = yield Fetch(sql.LAST_RECORDED)
    newest = yield Fetch(sql_feed.NEWEST_CHANGE)
    return min(Instant(until[0][0]), Instant(newest[0][0]))


def changes_after(code: str, sequence: int, events_max: int) -> Steps[list[ChangeEvent]]:
    """
    See `Stream`; a change is told once its commit is whole.

    Up to the last recorded time, which is read first, all is to be seen in every place.
    """
    until = yield Fetch(sql.LAST_RECORDED)
    changes = yield Fetch(sql_feed.CHANGES_AFTER, (code, sequence, until[0][0], events_max))
    places = sorted({tuple(change[-3:]) for change in changes})
    rows = yield FetchEach(sql_feed.VERSION_CHANGED, places)
    versions = {tuple(row[:3]): row[3:] for row in rows}
    uploads = {upload_key for _, upload_key, _ in versions.values()}
    names: dict[bytes, str] = dict((yield FetchEach(sql_why.REQUEST_ID, singly(uploads))))
    return [
        sql_feed.change_of(change, versions[place], names)
        for change in changes
        if (place := tuple(change[-3:])) in versions
    ]


def rows_of(statement: str, *values: Any) -> Steps[Sequence[Row]]:
    """Give the rows of one statement."""
    return (yield Fetch(statement, values))

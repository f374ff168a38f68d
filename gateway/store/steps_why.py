"""How an answer came about, from the facts, as steps; see `Explaining`."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import date
from typing import Final

from gateway.domain.errors import TooMuch
from gateway.domain.explanation import Facts, LinkFact, VersionFact
from gateway.domain.identifiers import EnrolleeKey, InsurerNumber, LookupKey, PersonKey
from gateway.domain.period import Instant
from gateway.store import sql, sql_why
from gateway.store.port import UploadKey
from gateway.store.records import decode_coverage
from gateway.store.steps import Fetch, FetchEach, Row, Steps, singly
from gateway.store.steps_reads import END_OF_TIME

ENROLLEES_EXPLAINED_MAX: Final = 1_000
"""Enrollees of one question that are looked at."""


def facts_of(
    key: LookupKey, birth_date: date, known: Instant | None, versions_max: int, people_max: int
) -> Steps[Facts]:
    """See `Explaining`."""
    moment = END_OF_TIME if known is None else known
    question = (key, birth_date.isoformat(), ENROLLEES_EXPLAINED_MAX + 1)
    asked = {enrollee_key for (enrollee_key,) in (yield Fetch(sql.ENROLLEES_UNDER, question))}
    if len(asked) > ENROLLEES_EXPLAINED_MAX:
        raise TooMuch("TOO_MANY_MATCHES")
    links = yield from _links(asked, moment)
    people = {link.person_key for link in links}
    if len(people) > people_max:
        raise TooMuch("TOO_MANY_MATCHES")
    return (yield from _of_people(people, moment, versions_max, ENROLLEES_EXPLAINED_MAX))


def facts_of_person(
    person_key: PersonKey, versions_max: int, enrollees_max: int, known: Instant = END_OF_TIME
) -> Steps[Facts]:
    """See `Explaining`; as of an instant, included."""
    return (yield from _of_people((person_key,), known, versions_max, enrollees_max))


def _of_people(
    people: Collection[PersonKey], known: Instant, versions_max: int, enrollees_max: int
) -> Steps[Facts]:
    rows = yield FetchEach(
        sql_why.ENROLLEES_EVER_OF, [(one, known, enrollees_max + 1) for one in people]
    )
    enrollees = {EnrolleeKey(enrollee_key) for (enrollee_key,) in rows}
    if len(enrollees) > enrollees_max:
        raise TooMuch("TOO_MANY_MATCHES")
    versions, is_cut = yield from _versions(enrollees, known, versions_max)
    links = yield from _links(enrollees, known)
    return Facts(tuple(versions), tuple(links), is_cut)


def _links(enrollees: Collection[EnrolleeKey], known: Instant) -> Steps[list[LinkFact]]:
    ever = yield FetchEach(sql.PEOPLE_OF_ENROLLEE, singly(enrollees))
    rows = yield FetchEach(
        sql_why.LINKS_UP_TO,
        [(person_key, enrollee_key, known) for enrollee_key, person_key in ever],
    )
    found = [
        LinkFact(
            EnrolleeKey(enrollee_key),
            PersonKey(person_key),
            recorded,
            _seen(superseded, known),
            bool(is_numbered),
        )
        for enrollee_key, person_key, recorded, superseded, is_numbered in rows
    ]
    return sorted(found, key=lambda link: (link.recorded_time, link.enrollee_key))


def _versions(
    enrollees: Collection[EnrolleeKey], known: Instant, versions_max: int
) -> Steps[tuple[list[VersionFact], bool]]:
    insurers: dict[EnrolleeKey, str] = dict((yield FetchEach(sql.INSURER, singly(enrollees))))
    last = yield FetchEach(sql_why.LAST_VERSIONS, [(one, known, known) for one in enrollees])
    older = yield FetchEach(
        sql_why.OLDER_VERSIONS, [(one, known, versions_max + 1) for one in enrollees]
    )
    uploads = {upload_key for _, _, upload_key, _, _ in (*last, *older)}
    names: dict[UploadKey, str] = dict((yield FetchEach(sql_why.REQUEST_ID, singly(uploads))))

    def facts(rows: Iterable[Row]) -> list[VersionFact]:
        return sorted(
            (
                VersionFact(
                    EnrolleeKey(enrollee_key),
                    InsurerNumber(insurers[enrollee_key]),
                    decode_coverage(body),
                    _seen(superseded, known),
                    names.get(upload_key, ""),
                    line_number,
                )
                for enrollee_key, superseded, upload_key, line_number, body in rows
            ),
            key=_when,
        )

    newest, past = facts(last), facts(older)
    room = max(0, versions_max - len(newest))
    kept = past[max(0, len(past) - room) :]
    told = sorted([*newest, *kept], key=_when)
    return told, len(kept) < len(past) or _lacks_older(told)


def _lacks_older(told: Iterable[VersionFact]) -> bool:
    """Whether what came before a version is not told, because it was disposed of."""
    first: dict[tuple[EnrolleeKey, int], int] = {}
    for version in told:
        cover = version.coverage
        place = (version.enrollee_key, cover.cover_no)
        first[place] = min(first.get(place, cover.version_no), cover.version_no)
    return any(version_no > 1 for version_no in first.values())


def _seen(superseded: Instant | None, known: Instant) -> Instant | None:
    """A closing that came later was not known yet."""
    return None if superseded is None or superseded > known else superseded


def _when(version: VersionFact) -> tuple[Instant, EnrolleeKey, int, int]:
    cover = version.coverage
    return cover.recorded_time, version.enrollee_key, cover.cover_no, cover.version_no

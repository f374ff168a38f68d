"""What a disposal takes out, as steps: see `gateway.store.port_dispose`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final, NamedTuple

import msgspec
from msgspec import structs

from gateway.domain.identifiers import EnrolleeKey, LookupKey
from gateway.domain.period import Instant
from gateway.domain.retention import REFUSED_LINES, SUPERSEDED, Progress, further
from gateway.store import sql_dispose
from gateway.store.port_dispose import SWEEPS, DuePage, Key, Sweep
from gateway.store.records import decode_coverage
from gateway.store.steps import Fetch, FetchEach, Row, Steps, Write, singly

_encode: Final = msgspec.msgpack.Encoder().encode
_decode: Final = msgspec.msgpack.Decoder(Progress).decode


class Gone(NamedTuple):
    """Keys that went, in order, and rows by table."""

    keys: Sequence[Key]
    rows: Mapping[str, int]


class _Way(NamedTuple):
    page: str
    first: Key
    """Smaller than every key."""
    removing: Callable[[Sequence[Key], Instant], Steps[Gone]]


def disposals() -> Steps[list[Progress]]:
    """See `Disposals`."""
    return [_decode(body) for (body,) in (yield Fetch(sql_dispose.DISPOSALS))]


def begin(progress: Progress) -> Steps[None]:
    """See `Disposals`: what is refused from now on, before anything is gone."""
    facts = progress.disposal.before(SUPERSEDED)
    lines = progress.disposal.before(REFUSED_LINES)
    yield Write(sql_dispose.SET_DISPOSED_BEFORE, [(facts, facts)])
    yield Write(sql_dispose.SET_LINES_DISPOSED_BEFORE, [(lines, lines)])
    yield from keep(progress)


def keep(progress: Progress) -> Steps[None]:
    """See `Disposals`."""
    yield Write(sql_dispose.PUT_DISPOSAL, [(progress.disposal.number, _encode(progress))])


def due(sweep: Sweep, before: Instant, after: Key, rows_max: int) -> Steps[DuePage]:
    """See `Disposals`."""
    way = _WAYS[sweep]
    rows = yield Fetch(way.page, (before, *(after or way.first), rows_max))
    keys = [tuple(key) for *key, is_due in rows if is_due]
    return DuePage(keys, tuple(rows[-1][:-1]) if len(rows) == rows_max else None)


def remove(progress: Progress, sweep: Sweep, keys: Sequence[Key], place: Key) -> Steps[Progress]:
    """See `Disposals`."""
    gone = yield from _WAYS[sweep].removing(keys, progress.disposal.before(sweep.code))
    done = further(progress, sweep.code, gone.keys, gone.rows)
    done = structs.replace(done, sweep=SWEEPS.index(sweep), place=place)
    yield from keep(done)
    return done


def _versions(keys: Sequence[Key], before: Instant) -> Steps[Gone]:
    """Take out versions, and the lookup rows by which nothing is found any more."""
    named = {tuple(row) for row in (yield Fetch(sql_dispose.NAMED_BY_CHANGES, (before,)))}
    gone = yield FetchEach(
        sql_dispose.REMOVE_VERSION, [(*key, before) for key in keys if key not in named]
    )
    places = _places([(row[0], row[3]) for row in gone])
    left = yield FetchEach(sql_dispose.BODIES_OF, singly(sorted({row[0] for row in gone})))
    lookups = yield FetchEach(sql_dispose.REMOVE_LOOKUP, sorted(places - _places(left)))
    return Gone(
        sorted(tuple(row[:3]) for row in gone),
        {"cover_versions": len(gone), "lookups": len(lookups)},
    )


def _places(rows: Sequence[Row]) -> set[tuple[LookupKey, str, EnrolleeKey]]:
    """Under what versions are found."""
    covers = [(enrollee_key, decode_coverage(body)) for enrollee_key, body in rows]
    return {
        (cover.insured_id.lookup_key, cover.birth_date.isoformat(), enrollee_key)
        for enrollee_key, cover in covers
    }


def _links(keys: Sequence[Key], before: Instant) -> Steps[Gone]:
    gone = yield FetchEach(sql_dispose.REMOVE_LINK, [(*key, before) for key in keys])
    pairs = sorted({(person_key, enrollee_key) for person_key, enrollee_key, _ in gone})
    left = {tuple(row) for row in (yield FetchEach(sql_dispose.LINK_LEFT, pairs))}
    forgotten = yield FetchEach(
        sql_dispose.REMOVE_ENROLLEE_PERSON,
        [
            (enrollee_key, person_key)
            for person_key, enrollee_key in pairs
            if (person_key, enrollee_key) not in left
        ],
    )
    return Gone(
        sorted(tuple(row) for row in gone),
        {"links": len(gone), "enrollee_people": len(forgotten)},
    )


def _simply(statement: str, table: str) -> Callable[[Sequence[Key], Instant], Steps[Gone]]:
    def removing(keys: Sequence[Key], _: Instant) -> Steps[Gone]:
        gone = yield FetchEach(statement, keys)
        return Gone(sorted(tuple(row) for row in gone), {table: len(gone)})

    return removing


_WAYS: Final = {
    Sweep.VERSIONS: _Way(sql_dispose.VERSIONS_PAGE, (b"", 0, 0), _versions),
    Sweep.LINKS: _Way(sql_dispose.LINKS_PAGE, (b"", b"", 0), _links),
    Sweep.LINES: _Way(
        sql_dispose.LINES_PAGE,
        (b"", 0, "", ""),
        _simply(sql_dispose.REMOVE_LINE, "refused_lines"),
    ),
    Sweep.CHECKS: _Way(
        sql_dispose.CHECKS_PAGE,
        (b"", 0),
        _simply(sql_dispose.REMOVE_CHECK, "number_checks"),
    ),
}

"""
The hot reads where no snapshot spans places: fast between commits, as of an instant during one.

`meta` says which commit was announced last and which one is whole. If it says the same before and
after the projections were read, and that nothing is under way, then they are of exactly that
instant. Otherwise the facts are read as of the last whole commit: facts are versions with recorded
times, and all of them up to a published instant are to be seen in every place. Source: decision
0029.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import date
from typing import NamedTuple

from gateway.domain.compact import CompactHistory, Render, compact
from gateway.domain.identifiers import LookupKey, PersonKey
from gateway.domain.period import Instant
from gateway.store import sql_cluster, steps_reads
from gateway.store.by_steps import ENROLLEES_A_PERSON_MAX, people_known
from gateway.store.port import CardHolder
from gateway.store.port_answers import HolderKnown, LastKnown
from gateway.store.records import decode_compact
from gateway.store.steps import Fetch, FetchEach, Row, Steps, singly


class Commits(NamedTuple):
    """The recorded times of the commit announced last and of the last whole one."""

    announced: Instant
    published: Instant

    @property
    def is_whole(self) -> bool:
        """Whether none is under way."""
        return self.announced <= self.published


def commits() -> Steps[Commits]:
    """Read how far the writer is."""
    rows = yield Fetch(sql_cluster.COMMITS)
    return Commits(*rows[0])


def matching_last(
    key: LookupKey, birth_date: date, people_max: int, render: Render
) -> Steps[LastKnown]:
    """See `Answering`; each step is of a moment of its own."""
    before = yield from commits()
    if before.is_whole:
        limit = people_max * ENROLLEES_A_PERSON_MAX + 1
        rows = yield Fetch(sql_cluster.PEOPLE_MATCHING, (key, birth_date.isoformat(), limit))
        found = yield from _compacts({person_key for (person_key,) in rows})
        if before == (yield from commits()):
            return LastKnown(people_known(found, people_max, len(rows)), before.published)
    histories = yield from steps_reads.matching_known_at(
        key, birth_date, before.published, people_max
    )
    return LastKnown([compact(one, render) for one in histories], before.published)


def by_card_last(card_key: bytes, render: Render) -> Steps[HolderKnown]:
    """See `Answering`; who holds a card is not versioned, so it is as of now in any case."""
    before = yield from commits()
    held = yield Fetch(sql_cluster.HOLDER, (card_key,))
    people = [PersonKey(person_key) for (person_key,) in held]
    found: Sequence[CompactHistory] = ()
    if before.is_whole:
        found = yield from _compacts(people)
        is_same = before == (yield from commits())
    else:
        is_same = False
    if not is_same:
        histories = yield from steps_reads.histories_known_at(people, before.published)
        found = [compact(one, render) for one in histories]
    holder = CardHolder(people[0], found[0] if found else None) if people else None
    return HolderKnown(holder, before.published)


def _compacts(people: Collection[PersonKey]) -> Steps[Sequence[CompactHistory]]:
    rows: Sequence[Row]
    if len(people) == 1:  # Nearly always; a coordinator sends it on without planning it.
        rows = yield Fetch(sql_cluster.COMPACT, tuple(people))
    else:
        rows = yield FetchEach(sql_cluster.COMPACT, singly(people))
    return [decode_compact(body) for (body,) in rows]

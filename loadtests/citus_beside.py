"""
A writer that commits all the time on a cluster, and readers beside it: each answer is repeatable.

Four people share one number and birth date and lie at different places. Every commit gives all of
them one new name, so an answer of two names was of no instant. Each answer is asked for again later
as of the instant it came with, and must be the same. First this is done with a writer that
publishes a commit before it makes it, and that must be noticed.
"""

from __future__ import annotations

import asyncio
import random
import time
from datetime import date
from itertools import count
from typing import Final, NamedTuple

from msgspec import structs

from gateway.domain.card import CardKey
from gateway.domain.compact import CompactHistory
from gateway.domain.coverage import Coverage, CoverState, Enrolment, Sex
from gateway.domain.identifiers import EnrolleeKey, InsuredId, InsurerNumber, PersonKey
from gateway.domain.period import Instant, Period
from gateway.domain.projection import history_of
from gateway.store import sql_cluster
from gateway.store.port import Batch, LookupRow, NewCard, NewLink, NewVersion, UploadKey
from gateway.store.postgres import PostgresReader, PostgresStore
from gateway.store.postgres_cluster import ClusterReader, ClusterStore
from gateway.store.records import encode_coverage
from loadtests.citus_people import PEOPLE_MAX

INSURER: Final = InsurerNumber("01130012")
BORN: Final = date(1984, 2, 29)
FAMILIES: Final = 8
FAMILY: Final = 4
READERS: Final = 6
UPLOAD: Final = UploadKey(b"beside----------")
_lives: Final = count(1)


class Beside(NamedTuple):
    """What readers saw beside a writer."""

    commits: int
    answers: int
    torn: int
    """Answers that mix two commits."""
    unlike: int
    """Answers that were another one when they were asked for again."""


class _Member(NamedTuple):
    person_key: PersonKey
    enrollee_key: EnrolleeKey
    insured_id: InsuredId
    card_key: CardKey


class _Look(NamedTuple):
    """What a reader asked, what it was told, and as of when."""

    member: _Member
    is_by_card: bool
    at: Instant
    people: list[CompactHistory]

    @property
    def question(self) -> object:
        """What is the same for all who ask it as of one instant."""
        if self.is_by_card:
            return self.member.card_key, self.at
        return self.member.insured_id.lookup_key, self.at


def _members(life: int) -> list[_Member]:
    drawn = random.Random(life)
    return [
        _Member(
            PersonKey(drawn.randbytes(16)),
            EnrolleeKey(drawn.randbytes(16)),
            InsuredId(INSURER, f"並{life}", str(family), f"{branch:02}"),
            CardKey(drawn.randbytes(16)),
        )
        for family in range(FAMILIES)
        for branch in range(1, FAMILY + 1)
    ]


def _batch(members: list[_Member], version: int, now: Instant) -> Batch:
    """Everybody's first cover, or the next version of it."""
    batch = Batch(now)
    for one in members:
        cover = Coverage(
            cover_no=1,
            version_no=version,
            recorded_time=now,
            state=CoverState.REGISTERED,
            insured_id=one.insured_id,
            birth_date=BORN,
            period=Period(date(2025, 4, 1)),
            name=f"甲{version}",
            insurer_name="保険者",
            sex=Sex.FEMALE,
        )
        enrolment = Enrolment(one.enrollee_key, is_numbered=False, covers=(cover,))
        batch.versions.append(NewVersion(one.enrollee_key, INSURER, cover, UPLOAD, 2))
        batch.histories.append(history_of(one.person_key, version, (enrolment,)))
        if version == 1:
            batch.links.append(
                NewLink(one.enrollee_key, one.person_key, is_numbered=False, replaces=None)
            )
            batch.cards.append(NewCard(one.card_key, one.person_key))
            batch.lookups.append(
                LookupRow(one.insured_id.lookup_key, BORN, one.enrollee_key, one.person_key)
            )
    return batch


class HastyStore(ClusterStore):
    """Says that a commit is whole before it is made."""

    async def _say(self, statement: str, *values: Instant) -> None:
        await super()._say(statement, *values)
        if statement == sql_cluster.ANNOUNCE:
            await super()._say(sql_cluster.PUBLISH)


async def beside(url: str, seconds: float, kind: type[ClusterStore] = ClusterStore) -> Beside:
    """Write with a kind of store and read for so long, then ask everything again."""
    life = next(_lives)
    members = _members(life)
    store = await kind.elected(url, encode_coverage, f"beside {life}")
    reader = await ClusterReader.opened(url, encode_coverage)
    try:
        now = Instant(await store.last_recorded_time() + 1)
        await store.commit(_batch(members, 1, now))
        until = time.monotonic() + seconds
        seen: list[_Look] = []
        writing = asyncio.create_task(_write(store, members, now, until))
        await asyncio.gather(
            *(_read(reader, members, random.Random(at), until, seen) for at in range(READERS))
        )
        commits = await writing
        again: dict[object, list[CompactHistory]] = {}
        for look in seen:
            if look.question not in again:
                again[look.question] = await _again(reader, look)
    finally:
        await reader.close()
        await store.close()
    torn = sum(len({_recorded(one) for one in look.people}) > 1 for look in seen)
    unlike = sum(look.people != again[look.question] for look in seen)
    return Beside(commits, len(seen), torn, unlike)


async def _write(store: PostgresStore, members: list[_Member], now: Instant, until: float) -> int:
    for version in count(2):
        now = Instant(now + 1)
        await store.commit(_batch(members, version, now))
        if time.monotonic() > until:
            return version - 1
        await asyncio.sleep(0.01)
    raise AssertionError


async def _read(
    reader: PostgresReader,
    members: list[_Member],
    drawn: random.Random,
    until: float,
    seen: list[_Look],
) -> None:
    while True:
        member, is_by_card = drawn.choice(members), drawn.random() < 0.25
        if is_by_card:
            held = await reader.by_card_last(member.card_key)
            assert held.holder is not None
            people, at = [held.holder.history], held.at
        else:
            found = await reader.matching_last(member.insured_id.lookup_key, BORN, PEOPLE_MAX)
            people, at = list(found.people), found.at
        seen.append(_Look(member, is_by_card, at, [_unversioned(one) for one in people]))
        if time.monotonic() > until:
            return


async def _again(reader: PostgresReader, look: _Look) -> list[CompactHistory]:
    if look.is_by_card:
        return [_unversioned(await reader.person_known_at(look.member.person_key, look.at))]
    key = look.member.insured_id.lookup_key
    found = await reader.matching_known_at(key, BORN, look.at, PEOPLE_MAX)
    return [_unversioned(one) for one in found]


def _unversioned(history: CompactHistory | None) -> CompactHistory:
    assert history is not None
    return structs.replace(history, version=0)


def _recorded(history: CompactHistory) -> tuple[int, ...]:
    """When what is told of a person was recorded."""
    return tuple(one.recorded_time for one in history.covers)

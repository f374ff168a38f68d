"""
What was ever learned: of an insurer's own enrollee for the insurer, of a person for the person.

An insurer's is put together from facts that may be about other insurers' enrollees of the same
person too; nothing of these is told. That an enrollee was linked to another person is told by a
number alone. A person is told of an enrollee only what was learned or believed while it was linked
to them: of a wrong link no more than was believed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any, Final

from msgspec import Struct

from gateway.domain.coverage import Coverage
from gateway.domain.explanation import Facts, LinkFact, VersionFact, VersionKind, is_of, kind_of
from gateway.domain.identifiers import EnrolleeKey, PersonKey

_OF_EVERY_VERSION: Final = frozenset({"cover_no", "version_no", "recorded_time", "state"})
"""Items that tell nothing of what changed, or what a version's kind tells."""


class ToldVersion(Struct, frozen=True):
    """A version, what it said, and which items it changed, by name: none for the first one."""

    fact: VersionFact
    kind: VersionKind
    changed: tuple[str, ...]


class ToldLink(Struct, frozen=True):
    """A link; people are numbered from 1 as they come."""

    fact: LinkFact
    person_number: int


class ToldHistory(Struct, frozen=True):
    """What was learned, oldest first; `is_cut` if older versions are left out."""

    versions: tuple[ToldVersion, ...]
    links: tuple[ToldLink, ...]
    is_cut: bool


def history_of_enrollee(facts: Facts, enrollee_key: EnrolleeKey) -> ToldHistory:
    """Tell of one enrollee, out of facts in the order they were learned."""
    own = [fact for fact in facts.versions if fact.enrollee_key == enrollee_key]
    numbers: dict[PersonKey, int] = {}
    links = tuple(
        ToldLink(link, numbers.setdefault(link.person_key, len(numbers) + 1))
        for link in facts.links
        if link.enrollee_key == enrollee_key
    )
    return ToldHistory(tuple(_versions(own)), links, facts.is_cut)


def history_of_person(facts: Facts, person_key: PersonKey) -> ToldHistory:
    """Tell a person of their own covers by every insurer, without links."""
    links = [link for link in facts.links if link.person_key == person_key]
    versions = tuple(one for one in _versions(facts.versions) if is_of(one.fact, links))
    return ToldHistory(versions, (), facts.is_cut)


def _versions(facts: Sequence[VersionFact]) -> list[ToldVersion]:
    covers: dict[tuple[EnrolleeKey, int], list[VersionFact]] = {}
    for fact in facts:
        covers.setdefault(fact.cover, []).append(fact)
    return sorted((one for said in covers.values() for one in _told(said)), key=_when)


def _told(said: list[VersionFact]) -> Iterator[ToldVersion]:
    """The versions of one cover; of the first one left it is not known what it changed."""
    said.sort(key=lambda fact: fact.coverage.version_no)
    is_whole = said[0].coverage.version_no == 1
    yield ToldVersion(said[0], VersionKind.ACQUIRED if is_whole else VersionKind.CHANGED, ())
    for before, after in pairwise(said):
        kind = kind_of(before.coverage, after.coverage)
        yield ToldVersion(after, kind, tuple(_changed(before.coverage, after.coverage)))


def _changed(before: Coverage, after: Coverage) -> Iterator[str]:
    old, new = _items(before), _items(after)
    return (name for name in old if old[name] != new[name])


def _items(cover: Coverage) -> dict[str, Any]:
    """The items of a cover as the coverage file names them, as far as it does."""
    return {
        "symbol": cover.insured_id.symbol,
        "number": cover.insured_id.number,
        "branch": cover.insured_id.branch,
        "acquisition_date": cover.period.start,
        "loss_date": cover.period.end,
    } | {
        name: getattr(cover, name)
        for name in Coverage.__struct_fields__
        if name not in _OF_EVERY_VERSION and name not in ("insured_id", "period")
    }


def _when(told: ToldVersion) -> tuple[int, bytes, int, int]:
    cover = told.fact.coverage
    return cover.recorded_time, told.fact.enrollee_key, cover.cover_no, cover.version_no

"""
The history of an insurer's own enrollee: every version learned of each cover, and every link.

It is put together from facts that may be about other insurers' enrollees of the same person too;
nothing of these is told. That an enrollee was linked to another person is told by a number alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Any, Final

from msgspec import Struct

from gateway.domain.coverage import Coverage
from gateway.domain.explanation import Facts, LinkFact, VersionFact, VersionKind, kind_of
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


class EnrolleeHistory(Struct, frozen=True):
    """What was learned of an enrollee, oldest first; `is_cut` if older versions are left out."""

    versions: tuple[ToldVersion, ...]
    links: tuple[ToldLink, ...]
    is_cut: bool


def history_of_enrollee(facts: Facts, enrollee_key: EnrolleeKey) -> EnrolleeHistory:
    """Tell of one enrollee, out of facts in the order they were learned."""
    covers: dict[int, list[VersionFact]] = {}
    for fact in facts.versions:
        if fact.enrollee_key == enrollee_key:
            covers.setdefault(fact.coverage.cover_no, []).append(fact)
    versions = [one for said in covers.values() for one in _told(said)]
    versions.sort(key=_when)
    numbers: dict[PersonKey, int] = {}
    links = tuple(
        ToldLink(link, numbers.setdefault(link.person_key, len(numbers) + 1))
        for link in facts.links
        if link.enrollee_key == enrollee_key
    )
    return EnrolleeHistory(tuple(versions), links, facts.is_cut)


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


def _when(told: ToldVersion) -> tuple[int, int, int]:
    cover = told.fact.coverage
    return cover.recorded_time, cover.cover_no, cover.version_no

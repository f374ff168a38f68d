"""
How an answer came about: what was learned, in order, and what each piece of it changed.

Pure, and without a decision of its own: what the answer would be without a fact is asked of the
one `confirm`, over covers put together without that fact. Names no personal item of a cover but
days and reasons, because the versions may be another insurer's. Source: house 10 (known time).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from enum import IntEnum
from itertools import pairwise

from msgspec import Struct

from gateway.domain.compact import CompactHistory, compact
from gateway.domain.coverage import Coverage, CoverState, Enrolment, VersionRef
from gateway.domain.eligibility import (
    ByCard,
    ByNumber,
    Confirmation,
    Explanation,
    Query,
    Rules,
    confirm,
)
from gateway.domain.explanation_replay import replayed
from gateway.domain.explanation_words import (
    Words,
    sentence_about_link,
    sentence_about_version,
    words_of,
)
from gateway.domain.identifiers import EnrolleeKey, InsurerNumber, PersonKey
from gateway.domain.period import Instant, tokyo_day
from gateway.domain.projection import history_of


class VersionFact(Struct, frozen=True):
    """A version of a cover, whose it is, and where it was told; `superseded_time` if it was."""

    enrollee_key: EnrolleeKey
    insurer_number: InsurerNumber
    coverage: Coverage
    superseded_time: Instant | None
    request_id: str
    line_number: int

    @property
    def cover(self) -> tuple[EnrolleeKey, int]:
        """Which cover this is a version of."""
        return self.enrollee_key, self.coverage.cover_no


class LinkFact(Struct, frozen=True):
    """That an enrollee was a person, from when, until when, and whether a number says so."""

    enrollee_key: EnrolleeKey
    person_key: PersonKey
    recorded_time: Instant
    superseded_time: Instant | None
    is_numbered: bool


class Facts(Struct, frozen=True):
    """
    What was learned of some people, in the order it was learned.

    Every cover and every enrollee has its last version and link here. `is_cut` says that older
    versions were left out.
    """

    versions: tuple[VersionFact, ...]
    links: tuple[LinkFact, ...]
    is_cut: bool = False


class VersionKind(IntEnum):
    """What a version said, beside the one before it."""

    ACQUIRED = 1
    CHANGED = 2
    LOST = 3
    CORRECTED = 4
    CANCELLED = 5
    SUSPENDED = 6
    RESTORED = 7


class LearnedVersion(Struct, frozen=True):
    """A version in the order it was learned; `is_deciding` if the answer rests on it."""

    fact: VersionFact
    kind: VersionKind
    is_deciding: bool


class LearnedLink(Struct, frozen=True):
    """A link in the order it was learned; people are numbered from 1 as they come."""

    fact: LinkFact
    insurer_number: InsurerNumber
    person_number: int


class CounterFact(Struct, frozen=True):
    """What the answer would be, had one version or one link not arrived."""

    answer: Confirmation
    sentence: Explanation
    version: VersionFact | None = None
    link: LinkFact | None = None


class ExplainedAnswer(Struct, frozen=True):
    """An answer, what it rests on, and each fact without which it would be another."""

    answer: Confirmation
    versions: tuple[LearnedVersion, ...]
    links: tuple[LearnedLink, ...]
    counter_facts: tuple[CounterFact, ...]
    is_cut: bool


class _Belief(Struct, frozen=True):
    """What is believed: the version of each cover, and the person of each enrollee."""

    covers: Mapping[tuple[EnrolleeKey, int], Coverage]
    people: Mapping[EnrolleeKey, LinkFact]


def explain(facts: Facts, query: Query, rules: Rules) -> ExplainedAnswer:
    """
    Answer a question from facts, and tell what the answer rests on.

    Versions and links are told of the people who could be meant: by card its holder, by number
    those whom an enrollee that ever had these numbers was ever linked to. What such an enrollee
    said while it was somebody else is left out. Where a card finds nothing because the person must
    not be found by it, nothing is told (insurer-lifecycle.md 1.6).

    Args:
        facts: All that was known at the moment asked about, of every person the question may match.

        query: The question.

        rules: As for `confirm`.
    """
    belief = _belief(facts)
    histories = _histories(belief)
    answer = confirm(histories, query, rules)
    if isinstance(query, ByCard) and _is_withheld(histories, query.person_key):
        return ExplainedAnswer(answer, (), (), (), is_cut=False)
    people = _people_meant(facts, query)
    links = [link for link in facts.links if link.person_key in people]
    versions = [version for version in facts.versions if is_of(version, links)]
    kinds = _kinds(facts.versions)
    return ExplainedAnswer(
        answer,
        tuple(
            LearnedVersion(fact, kinds[_ref(fact)], _ref(fact) in answer.decided_by)
            for fact in versions
        ),
        _learned_links(facts, links),
        tuple(_counter_facts(facts, belief, versions, links, answer, query, rules)),
        facts.is_cut,
    )


def _belief(facts: Facts) -> _Belief:
    return _Belief(
        {version.cover: version.coverage for version in _by_version(facts.versions)},
        {link.enrollee_key: link for link in facts.links},
    )


def _by_version(versions: Iterable[VersionFact]) -> list[VersionFact]:
    return sorted(versions, key=lambda version: version.coverage.version_no)


def _answer(belief: _Belief, query: Query, rules: Rules) -> Confirmation:
    return confirm(_histories(belief), query, rules)


def _is_withheld(histories: Iterable[CompactHistory], person_key: PersonKey) -> bool:
    return any(
        cover.hiding is not None and cover.hiding.is_withheld
        for history in histories
        if history.person_key == person_key
        for cover in history.covers
    )


def _histories(belief: _Belief) -> list[CompactHistory]:
    covers: dict[EnrolleeKey, list[Coverage]] = {}
    for (enrollee_key, _), cover in belief.covers.items():
        covers.setdefault(enrollee_key, []).append(cover)
    enrolments: dict[PersonKey, list[Enrolment]] = {}
    for enrollee_key, link in belief.people.items():
        if enrollee_key in covers:
            enrolment = Enrolment(enrollee_key, link.is_numbered, tuple(covers[enrollee_key]))
            enrolments.setdefault(link.person_key, []).append(enrolment)
    return [
        compact(history_of(person_key, 0, enrolments[person_key]), _nothing_shown)
        for person_key in sorted(enrolments)
    ]


def _nothing_shown(_cover: Coverage) -> bytes:
    return b""


def _people_meant(facts: Facts, query: Query) -> set[PersonKey]:
    if isinstance(query, ByCard):
        return {query.person_key}
    asked = {
        version.enrollee_key for version in facts.versions if _is_asked_for(version.coverage, query)
    }
    return {link.person_key for link in facts.links if link.enrollee_key in asked}


def _is_asked_for(cover: Coverage, query: ByNumber) -> bool:
    branch = cover.insured_id.branch
    return (
        cover.insured_id.lookup_key == query.lookup_key
        and cover.birth_date == query.birth_date
        and (query.branch is None or branch is None or branch == query.branch)
    )


def is_of(version: VersionFact, links: Sequence[LinkFact]) -> bool:
    """
    Whether a version was learned or believed while its enrollee was linked by one of these links.

    A version that the same file replaced was never believed, but it was learned.
    """
    learned, replaced = version.coverage.recorded_time, version.superseded_time
    return any(
        link.enrollee_key == version.enrollee_key
        and (link.superseded_time is None or learned < link.superseded_time)
        and (replaced is None or link.recorded_time < replaced or link.recorded_time == learned)
        for link in links
    )


def _ref(version: VersionFact) -> VersionRef:
    cover = version.coverage
    return VersionRef(version.enrollee_key, cover.cover_no, cover.version_no, cover.recorded_time)


def _of_each_cover(versions: Iterable[VersionFact]) -> list[list[VersionFact]]:
    covers: dict[tuple[EnrolleeKey, int], list[VersionFact]] = {}
    for version in _by_version(versions):
        covers.setdefault(version.cover, []).append(version)
    return list(covers.values())


def _kinds(versions: Iterable[VersionFact]) -> dict[VersionRef, VersionKind]:
    kinds = {}
    for said in _of_each_cover(versions):
        is_whole = said[0].coverage.version_no == 1
        kinds[_ref(said[0])] = VersionKind.ACQUIRED if is_whole else VersionKind.CHANGED
        for before, after in pairwise(said):
            kinds[_ref(after)] = kind_of(before.coverage, after.coverage)
    return kinds


def kind_of(before: Coverage, after: Coverage) -> VersionKind:
    """What a version said, beside the one before it; the weightiest if it said several things."""
    if after.state is not before.state:
        if after.state is CoverState.CANCELLED:
            return VersionKind.CANCELLED
        is_hidden = after.state is CoverState.SUSPENDED
        return VersionKind.SUSPENDED if is_hidden else VersionKind.RESTORED
    if before.period.start != after.period.start or not after.is_identified_as(before):
        return VersionKind.CORRECTED
    if before.period.end != after.period.end:
        return VersionKind.CORRECTED if before.period.end is not None else VersionKind.LOST
    return VersionKind.CHANGED


def _learned_links(facts: Facts, links: Sequence[LinkFact]) -> tuple[LearnedLink, ...]:
    insurers = {version.enrollee_key: version.insurer_number for version in facts.versions}
    numbers: dict[PersonKey, int] = {}
    return tuple(
        LearnedLink(
            link,
            insurers[link.enrollee_key],
            numbers.setdefault(link.person_key, len(numbers) + 1),
        )
        for link in links
        if link.enrollee_key in insurers
    )


def _counter_facts(
    facts: Facts,
    belief: _Belief,
    versions: Sequence[VersionFact],
    links: Sequence[LinkFact],
    answer: Confirmation,
    query: Query,
    rules: Rules,
) -> Iterator[CounterFact]:
    """What would be answered otherwise without one fact: of versions first, then of links."""
    kinds = _kinds(facts.versions)
    of_cover = {said[0].cover: said for said in _of_each_cover(facts.versions)}
    for version in versions:
        other = _belief_without(belief, of_cover[version.cover], version)
        if other is None or not _is_anything_left(other, query):
            continue
        found = _answer(other, query, rules)
        if _differs(found, answer):
            on = tokyo_day(version.coverage.recorded_time)
            words = sentence_about_version(_words(found, answer), kinds[_ref(version)].name, on)
            yield CounterFact(found, words, version=version)
    insurers = {version.enrollee_key: version.insurer_number for version in facts.versions}
    for before, link in _relinked(facts.links):
        if not {link, before} & set(links) or link.enrollee_key not in insurers:
            continue
        others = {**belief.people}
        if others[link.enrollee_key] is not link:
            continue
        others[link.enrollee_key] = before
        found = _answer(_Belief(belief.covers, others), query, rules)
        if _differs(found, answer):
            words = sentence_about_link(
                _words(found, answer),
                insurers[link.enrollee_key].zero_padded,
                tokyo_day(link.recorded_time),
                is_first=link.is_numbered and not before.is_numbered,
            )
            yield CounterFact(found, words, link=link)


def _is_anything_left(belief: _Belief, query: Query) -> bool:
    """Whether there is still something to ask about."""
    if isinstance(query, ByNumber):
        return any(_is_asked_for(cover, query) for cover in belief.covers.values())
    return any(
        belief.people[enrollee_key].person_key == query.person_key
        for enrollee_key, _ in belief.covers
    )


def _relinked(links: Iterable[LinkFact]) -> list[tuple[LinkFact, LinkFact]]:
    """Each link that followed another of its enrollee, after the one before it."""
    of_enrollee: dict[EnrolleeKey, list[LinkFact]] = {}
    for link in links:
        of_enrollee.setdefault(link.enrollee_key, []).append(link)
    pairs = [pair for said in of_enrollee.values() for pair in pairwise(said)]
    return sorted(pairs, key=lambda pair: pair[1].recorded_time)


def _differs(found: Confirmation, answer: Confirmation) -> bool:
    return (found.validity, found.why, _covers(found)) != (
        answer.validity,
        answer.why,
        _covers(answer),
    )


def _words(found: Confirmation, answer: Confirmation) -> Words:
    return words_of(
        found.validity,
        is_same=found.validity is answer.validity,
        is_same_cover=_covers(found) == _covers(answer),
    )


def _covers(answer: Confirmation) -> set[tuple[EnrolleeKey, int]]:
    return {(one.cover.enrollee_key, one.cover.cover_no) for one in answer.shown}


def _belief_without(
    belief: _Belief, said: Sequence[VersionFact], left_out: VersionFact
) -> _Belief | None:
    """
    What would be believed had one version of a cover not arrived; None if nobody can tell.

    Without its first version there is no such cover. Without a later one the cover reads as the
    version before it, with what the versions after it changed.
    """
    covers = {**belief.covers}
    if left_out.coverage.version_no == 1:
        del covers[left_out.cover]
        return _Belief(covers, belief.people)
    place = said.index(left_out)
    if place == 0:
        return None
    other = replayed([version.coverage for version in said], place)
    if other is None:
        return None
    covers[left_out.cover] = other
    return _Belief(covers, belief.people)

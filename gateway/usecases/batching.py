"""From enrollees as they stand after a slice to the links, rows and projections to write."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping

from gateway.domain.collection import listed_state
from gateway.domain.coverage import Enrolment
from gateway.domain.feed import ChangeKind, EnrolleeChange
from gateway.domain.identifiers import PersonKey
from gateway.domain.projection import history_of
from gateway.store.port import Batch, CollectionRow, LookupRow, NewLink, NewVersion
from gateway.usecases.enrollees import WorkedEnrollee, row_of
from gateway.usecases.overlap_states import overlap_states


def batch_of(
    batch: Batch,
    enrollees: Collection[WorkedEnrollee],
    touched: Collection[PersonKey],
    person_versions: Mapping[PersonKey, int],
) -> Batch:
    """
    Complete a batch that has its versions and checks.

    Args:
        enrollees: All that were loaded or are new.

        touched: People whose facts or links changed.

        person_versions: Of every person known here; 0 for a new one.
    """
    residents: dict[PersonKey, list[Enrolment]] = {}
    for enrollee in enrollees:
        enrolment = Enrolment(enrollee.key, enrollee.is_numbered, enrollee.covers)
        residents.setdefault(enrollee.person_key, []).append(enrolment)
        if enrollee.linked_before is None or enrollee.is_relinked:
            batch.links.append(
                NewLink(
                    enrollee.key,
                    enrollee.person_key,
                    enrollee.is_numbered,
                    enrollee.linked_before,
                )
            )
        rows = enrollee.changed
        if enrollee.is_relinked:
            rows = rows | {row_of(cover) for cover in enrollee.covers}
        batch.lookups.extend(
            LookupRow(key, birth_date, enrollee.key, enrollee.person_key)
            for key, birth_date in sorted(rows)
        )
    batch.changes.extend(_changes(batch.versions, enrollees))
    batch.overlaps.extend(overlap_states(enrollees, touched))
    batch.collections.extend(_collections(batch.versions))
    for person_key in sorted(touched):
        version = person_versions.get(person_key, 0)
        if version or person_key in residents:
            batch.histories.append(
                history_of(person_key, version + 1, residents.get(person_key, ()))
            )
    return batch


def _collections(versions: Iterable[NewVersion]) -> Iterable[CollectionRow]:
    """Tell which covers are listed with their papers now; of one cover its last version counts."""
    last = {(one.enrollee_key, one.coverage.cover_no): one for one in versions}
    for one in last.values():
        cover, state = one.coverage, listed_state(one.coverage)
        if state is not None or cover.version_no > 1:
            yield CollectionRow(
                one.insurer_number, one.enrollee_key, cover.cover_no, state, cover.period.end
            )


def _changes(
    versions: Iterable[NewVersion], enrollees: Iterable[WorkedEnrollee]
) -> Iterator[EnrolleeChange]:
    """What the feed says of a batch: each changed enrollee once, with its last new version."""
    last = {version.enrollee_key: version.coverage for version in versions}
    for enrollee in enrollees:
        kinds = enrollee.kinds
        if enrollee.is_relinked:
            linked, unlinked = ChangeKind.NUMBER_LINKED, ChangeKind.NUMBER_UNLINKED
            kinds |= (linked if enrollee.is_numbered else unlinked).value
        if kinds:
            cover = last.get(enrollee.key) or enrollee.covers[-1]
            yield EnrolleeChange(
                enrollee.key,
                enrollee.insurer_number,
                enrollee.person_key,
                kinds,
                cover.cover_no,
                cover.version_no,
            )

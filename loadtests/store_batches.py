"""
Batches as a writer would make them, from what a store loaded; pure.

Simpler than the writer's own way, and shared by the tests of stores and `state_machine`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date

from msgspec import structs

from gateway.domain.changes import Change, NewCover, Target, apply
from gateway.domain.compact import CompactHistory
from gateway.domain.coverage import Enrolment, History
from gateway.domain.errors import Refusal
from gateway.domain.feed import ChangeKind, EnrolleeChange, kinds_between
from gateway.domain.identifiers import EnrolleeKey, InsuredId, InsurerNumber, PersonKey
from gateway.domain.period import Instant
from gateway.domain.projection import history_of
from gateway.store.port import (
    Batch,
    Enrollee,
    Loaded,
    LookupRow,
    NewLink,
    NewVersion,
    RefusedLine,
    UploadKey,
)
from gateway.store.records import decode_coverage

INSURER = InsurerNumber("01130012")
UPLOAD_KEY = UploadKey(b"upload----------")


def key_of(kind: str, number: int) -> bytes:
    """A key that reads well in a failing test."""
    return f"{kind}{number:0{16 - len(kind)}d}".encode()


def person(number: int) -> PersonKey:
    """Some person's key."""
    return PersonKey(key_of("person", number))


def enrollee(number: int) -> EnrolleeKey:
    """Some enrollee's key."""
    return EnrolleeKey(key_of("enrollee", number))


def lookups_of(enrolment: Enrolment, person_key: PersonKey) -> list[LookupRow]:
    """The rows under which an enrolment's covers are found."""
    return [
        LookupRow(one.insured_id.lookup_key, one.birth_date, enrolment.enrollee_key, person_key)
        for one in enrolment.covers
    ]


def batch_of(
    before: Loaded,
    after: Sequence[tuple[PersonKey, Enrolment]],
    now: Instant,
    insurer: InsurerNumber = INSURER,
) -> Batch:
    """
    Say what changes when enrollees become as given, whether facts or links.

    Args:
        before: Must hold every person concerned.

        after: Each enrollee that is new or changed, with its person.
    """
    batch = Batch(now)
    known = {one.enrolment.enrollee_key: one for one in before.enrollees}
    old_covers = {
        key: {one.cover_no: one for one in old.enrolment.covers} for key, old in known.items()
    }
    touched: set[PersonKey] = set()
    for person_key, enrolment in after:
        key = enrolment.enrollee_key
        old = known.get(key)
        for line, one in enumerate(enrolment.covers, start=2):
            if old_covers.get(key, {}).get(one.cover_no) != one:
                batch.versions.append(NewVersion(key, insurer, one, UPLOAD_KEY, line))
        if old is None or (old.person_key, old.enrolment.is_numbered) != (
            person_key,
            enrolment.is_numbered,
        ):
            batch.links.append(
                NewLink(key, person_key, enrolment.is_numbered, old.person_key if old else None)
            )
        touched |= {person_key} | ({old.person_key} if old else set())
        batch.lookups += lookups_of(enrolment, person_key)
        known[key] = Enrollee(insurer, person_key, enrolment)
    batch.histories = [
        history_of(
            person_key,
            before.person_versions.get(person_key, 0) + 1,
            (one.enrolment for one in known.values() if one.person_key == person_key),
        )
        for person_key in sorted(touched)
    ]
    return batch


def changed(
    before: Loaded, fresh: tuple[PersonKey, EnrolleeKey], change: Change, now: Instant
) -> Batch:
    """
    Say what a change does: to the enrollee it names, or to a fresh one for a new cover.

    Raises:
        Refusal: As `apply`.
    """
    old = named_by(before, change.target)
    if old is None:
        person_key, enrollee_key = fresh
        enrolment = Enrolment(enrollee_key, is_numbered=False, covers=())
        if not isinstance(change, NewCover):
            return Batch(now)
    else:
        person_key, enrolment = old.person_key, old.enrolment
    covers = apply(enrolment.covers, change, now)
    after = structs.replace(enrolment, covers=covers)
    insurer = change.target.insured_id.insurer_number
    return batch_of(before, [(person_key, after)], now, insurer)


def named_by(before: Loaded, target: Target) -> Enrollee | None:
    """The first enrollee with a cover under a target's card and birth date."""
    return next(
        (
            one
            for one in before.enrollees
            if any(
                target.insured_id.names(c.insured_id) and c.birth_date == target.birth_date
                for c in one.enrolment.covers
            )
        ),
        None,
    )


def moved(before: Loaded, enrollee_key: EnrolleeKey, to: PersonKey, now: Instant) -> Batch:
    """Say that an enrollee turns out to be a person, by My Number. `before` must hold both."""
    old = next(one for one in before.enrollees if one.enrolment.enrollee_key == enrollee_key)
    after = structs.replace(old.enrolment, is_numbered=True)
    return batch_of(before, [(to, after)], now, old.insurer_number)


def relevant(histories: Sequence[History], card: InsuredId, birth_date: date) -> list[History]:
    """
    Those histories with a cover under a card's key and birth date, without versions.

    A store may give others too: `matching` is an index.
    """
    return [
        history_of(history.person_key, 0, history.enrolments)
        for history in histories
        if any(
            one.insured_id.lookup_key == card.lookup_key and one.birth_date == birth_date
            for enrolment in history.enrolments
            for one in enrolment.covers
        )
    ]


def expanded(history: CompactHistory) -> History:
    """The history a compact one was made of, where sheets are whole covers (`encode_coverage`)."""
    enrolments: dict[EnrolleeKey, Enrolment] = {}
    for one in history.covers:
        before = enrolments.get(one.enrollee_key, Enrolment(one.enrollee_key, one.is_numbered, ()))
        covers = (*before.covers, decode_coverage(one.sheet))
        enrolments[one.enrollee_key] = structs.replace(before, covers=covers)
    return History(history.person_key, history.version, tuple(enrolments.values()))


@dataclass(slots=True)
class Filed:
    """What the lines of a file do, in one batch, and which were refused."""

    batch: Batch
    refused: list[RefusedLine] = field(default_factory=list)
    fresh: list[EnrolleeKey] = field(default_factory=list)
    """Enrollees it made, of those that were handed in."""


def filed(
    before: Loaded,
    fresh: Sequence[tuple[PersonKey, EnrolleeKey]],
    lines: Sequence[tuple[int, Change]],
    now: Instant,
    upload_key: UploadKey,
) -> Filed:
    """
    Say what the lines of a file do, each after the one before it.

    Args:
        before: Must hold whom any of the lines concerns.

        fresh: Keys for a new person each, one for each line.

        lines: Line numbers and what they say.
    """
    found = Filed(Batch(now))
    known = {one.enrolment.enrollee_key: one for one in before.enrollees}
    histories: dict[PersonKey, History] = {}
    for (line_number, change), keys in zip(lines, fresh, strict=True):
        so_far = Loaded(tuple(known.values()), before.person_versions)
        try:
            one = changed(so_far, keys, change, now)
        except Refusal as refusal:
            found.refused.append(RefusedLine(line_number, "", refusal.reason))
            continue
        found.batch.versions += [
            structs.replace(version, upload_key=upload_key, line_number=line_number)
            for version in one.versions
        ]
        found.batch.links += one.links
        found.batch.lookups += one.lookups
        found.fresh += [link.enrollee_key for link in one.links]
        insurers = {version.enrollee_key: version.insurer_number for version in one.versions}
        for history in one.histories:
            histories[history.person_key] = history
            for enrolment in history.enrolments:
                key = enrolment.enrollee_key
                insurer = known[key].insurer_number if key in known else insurers[key]
                known[key] = Enrollee(insurer, history.person_key, enrolment)
    found.batch.histories = list(histories.values())
    return found


def changes_of(before: Loaded, batch: Batch) -> list[EnrolleeChange]:
    """What the feed says of a batch: each changed enrollee once, with its last version."""
    known = {one.enrolment.enrollee_key: one for one in before.enrollees}
    last = {version.enrollee_key: version for version in batch.versions}
    links = {link.enrollee_key: link for link in batch.links}
    found = []
    for history in batch.histories:
        for enrolment in history.enrolments:
            key = enrolment.enrollee_key
            old = known.get(key)
            kinds = kinds_between(old.enrolment.covers if old else (), enrolment.covers)
            if key in links and links[key].replaces is not None:
                kinds |= ChangeKind.NUMBER_LINKED.value
            if not kinds:
                continue
            cover = last[key].coverage if key in last else enrolment.covers[-1]
            insurer = old.insurer_number if old else last[key].insurer_number
            found.append(
                EnrolleeChange(
                    key, insurer, history.person_key, kinds, cover.cover_no, cover.version_no
                )
            )
    return found

"""Batches as a writer would make them, from what a store loaded; pure, for the store's tests."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date

from msgspec import structs

from gateway.domain.changes import Change, NewCover, Target, apply
from gateway.domain.compact import CompactHistory
from gateway.domain.coverage import Coverage, CoverState, Enrolment, History, Sex
from gateway.domain.identifiers import (
    EnrolleeKey,
    InsuredId,
    InsurerNumber,
    LookupKey,
    PersonKey,
)
from gateway.domain.period import Instant, Period
from gateway.domain.projection import history_of
from gateway.store.port import (
    Batch,
    Enrollee,
    Loaded,
    LookupRow,
    NewLink,
    NewVersion,
    Reading,
    Upload,
    UploadKey,
    UploadState,
    Writing,
)
from gateway.store.records import decode_coverage

BIRTH_DATE = date(1984, 2, 29)
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


def insured_id(symbol: str = "記号", number: str = "1", branch: str | None = "01") -> InsuredId:
    """Some card."""
    return InsuredId(INSURER, symbol, number, branch)


def cover(of: InsuredId | None = None, recorded: int = 1_000, cover_no: int = 1) -> Coverage:
    """A first version of a cover."""
    return Coverage(
        cover_no=cover_no,
        version_no=1,
        recorded_time=Instant(recorded),
        state=CoverState.REGISTERED,
        insured_id=insured_id() if of is None else of,
        birth_date=BIRTH_DATE,
        period=Period(date(2025, 4, 1)),
        name="甲",
        insurer_name="保険者",
        sex=Sex.FEMALE,
    )


def next_version(of: Coverage, recorded: int, name: str) -> Coverage:
    """The version after one, under another name."""
    return structs.replace(
        of, version_no=of.version_no + 1, recorded_time=Instant(recorded), name=name
    )


def an_upload(number: int = 1, state: UploadState = UploadState.RECEIVED) -> Upload:
    """An upload that was received at the instant of its number."""
    return Upload(
        upload_key=UploadKey(key_of("upload", number)),
        insurer_number=INSURER,
        request_id=f"request-{number}",
        state=state,
        size_bytes=2**40,
        digest=b"d" * 32,
        received_time=Instant(number),
    )


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


async def put(
    store: Writing,
    person_key: PersonKey,
    enrollee_key: EnrolleeKey,
    *covers: Coverage,
    now: int = 1_000,
    is_numbered: bool = False,
) -> Batch:
    """Commit that an enrollee has these covers and is this person; give the batch."""
    keys = {one.insured_id.lookup_key for one in covers}
    before = await store.load(keys, {person_key})
    enrolment = Enrolment(enrollee_key, is_numbered, covers)
    batch = batch_of(before, [(person_key, enrolment)], Instant(now))
    await store.commit(batch)
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


async def matching(
    store: Reading, key: LookupKey, birth_date: date, people_max: int
) -> list[History]:
    """What the hot read gives, expanded."""
    return [expanded(one) for one in await store.matching(key, birth_date, people_max)]


async def matching_known_at(
    store: Reading, key: LookupKey, birth_date: date, known: Instant, people_max: int
) -> list[History]:
    """What the read as of another time gives, expanded."""
    found = await store.matching_known_at(key, birth_date, known, people_max)
    return [expanded(one) for one in found]


def applied(upload: Upload, at: int) -> Upload:
    """An upload once it is applied."""
    return replace(upload, state=UploadState.APPLIED, applied_time=Instant(at), lines_applied=3)

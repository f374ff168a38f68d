"""Batches as a writer would make them, from what a store loaded, for the store's tests."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

from msgspec import structs

from gateway.domain.coverage import Coverage, CoverState, Enrolment, History, Sex
from gateway.domain.identifiers import EnrolleeKey, InsuredId, LookupKey, PersonKey
from gateway.domain.period import Instant, Period
from gateway.store.port import Batch, Reading, Upload, UploadKey, UploadState, Writing
from loadtests.store_batches import (
    INSURER,
    UPLOAD_KEY,
    batch_of,
    enrollee,
    expanded,
    key_of,
    lookups_of,
    moved,
    person,
    relevant,
)

__all__ = [
    "BIRTH_DATE",
    "INSURER",
    "UPLOAD_KEY",
    "an_upload",
    "applied",
    "batch_of",
    "cover",
    "enrollee",
    "expanded",
    "insured_id",
    "key_of",
    "lookups_of",
    "matching",
    "matching_known_at",
    "moved",
    "next_version",
    "person",
    "put",
    "relevant",
]

BIRTH_DATE = date(1984, 2, 29)


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

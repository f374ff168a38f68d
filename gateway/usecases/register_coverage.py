"""
Register one change at once, between the slices of files (加入者情報の登録).

The same change as a line of a file, through the same desk. Remembered under its request id like
an upload of one line, so that sending it again gives the same answer.
"""

from __future__ import annotations

import asyncio
import hashlib
from dataclasses import dataclass, fields, replace
from typing import Final

import msgspec

from gateway.domain.changes import Change, number_of
from gateway.domain.errors import Conflict
from gateway.domain.identifiers import InsurerNumber, PersonKey
from gateway.domain.period import Instant
from gateway.domain.purpose import DataCategory, Operation, Role
from gateway.store.port import Upload, UploadKey, UploadState, Writing
from gateway.store.port_beside import Vault
from gateway.usecases.context import Context
from gateway.usecases.desk import Desk, Line, Worked
from gateway.usecases.door import Door, Errand, Looked
from gateway.usecases.upload_coverage import upload_key_of

ERRAND: Final = Errand(
    purpose="KP7-OR-01",
    operation=Operation.REGISTER,
    data=frozenset({DataCategory.QUALIFICATION, DataCategory.CERTIFICATE}),
    recipient=Role.OPERATOR,
)
ERRAND_WITH_NUMBER: Final = Errand(
    ERRAND.purpose, ERRAND.operation, ERRAND.data | {DataCategory.NUMBER}, ERRAND.recipient
)

_UNSAID: Final = {"filing": None, "effective_date": None, "is_correction": False}
"""What came later, unsaid: not digested, so that a change sent before is known again."""

_encoder: Final = msgspec.json.Encoder(order="deterministic")


@dataclass(frozen=True, slots=True)
class Registered:
    """Whether a change changed something, and when it became visible."""

    is_changed: bool
    applied_time: Instant


async def register(
    change: Change,
    request_id: str,
    context: Context,
    store: Writing,
    vault: Vault,
    desk: Desk,
    door: Door,
) -> Registered:
    """
    Let one change of the caller happen, through the door; it is visible when this returns.

    Raises:
        InvalidInput: `REQUEST_ID_WRONG`; as `gateway.usecases.applying.Working.apply`.
        Conflict: As there; `UPLOAD_DIFFERS` for another change under the same request id.
        NotPermitted: `INSURER_NOT_CALLER`; as the door.
        Unavailable: `STORE_UNAVAILABLE`.
    """
    insurer = InsurerNumber(context.caller.code)
    upload_key = upload_key_of(insurer, request_id)
    digest = _digest(change)

    async def look() -> Looked[Registered]:
        async with desk.turn() as now:
            known = await store.upload(upload_key)
            if known is not None:
                await _require_same(known, digest, change, vault)
                working = await desk.working([change], now)
                return _looked(known, working.people_of(change))
            worked = await desk.work([Line(1, change)], insurer, upload_key, now)
            for _, refusal in worked.refused:
                raise refusal
            done = _done(upload_key, insurer, request_id, digest, worked, now)
            done = replace(done, number_person=worked.working.number_person(change))
            worked.batch.upload = done
            await store.commit(worked.batch)
            return _looked(done, worked.working.people_of(change))

    errand = ERRAND if number_of(change) is None else ERRAND_WITH_NUMBER
    # A caller that goes away now undoes nothing, and its change is recorded all the same.
    registered, _ = await asyncio.shield(door.opened(context, errand, look))
    return registered


def _done(
    upload_key: UploadKey,
    insurer: InsurerNumber,
    request_id: str,
    digest: bytes,
    worked: Worked,
    now: Instant,
) -> Upload:
    """What is remembered of a change, so that sending it again gives the same answer."""
    return Upload(
        upload_key,
        insurer,
        request_id,
        UploadState.APPLIED,
        size_bytes=0,
        digest=digest,
        received_time=now,
        applied_time=now,
        lines_read=1,
        lines_applied=worked.lines_applied,
        lines_unchanged=worked.lines_unchanged,
    )


def _looked(done: Upload, people: tuple[PersonKey, ...]) -> Looked[Registered]:
    assert done.applied_time is not None
    answer = Registered(done.lines_applied > 0, done.applied_time)
    return Looked(answer, "REGISTERED", str(done.lines_applied), people)


def _digest(change: Change) -> bytes:
    """
    Digest what a change says, but for its My Number.

    Twelve digits are soon guessed from a digest, so only whether there is a number counts here;
    which it is, the vault compares.
    """
    said = {
        field.name: getattr(change, field.name)
        for field in fields(change)
        if field.name != "number"
        and not (field.name in _UNSAID and getattr(change, field.name) == _UNSAID[field.name])
    }
    has_number = number_of(change) is not None
    return hashlib.sha256(
        b"change:" + _encoder.encode([type(change).__name__, has_number, said])
    ).digest()


async def _require_same(known: Upload, digest: bytes, change: Change, vault: Vault) -> None:
    is_same = known.digest == digest
    number = number_of(change)
    if is_same and number is not None:
        person_key = known.number_person
        is_same = person_key is not None and await vault.holds(person_key, number)
    if not is_same:
        raise Conflict("UPLOAD_DIFFERS", "request_id")

"""
What a watcher learns of a change: whose, of which kind, in which place of its stream.

A watcher's stream is numbered from 1 without a gap, so that a consumer notices what is missing.
An insurer's stream has one event for each enrollee of its own that a commit changed. An
institution's has one for each confirmation that is out of date, and says nothing else.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntFlag
from typing import Final

import msgspec
from msgspec import Struct

from gateway.domain.coverage import Coverage, CoverState
from gateway.domain.errors import InvalidInput
from gateway.domain.identifiers import EnrolleeKey, InsuredId, InsurerNumber, PersonKey
from gateway.domain.period import Instant


class ChangeKind(IntFlag):
    """What became of an enrollee in one commit; several may have happened at once."""

    ACQUIRED = 1
    """A cover began."""
    CHANGED = 2
    """Items of a cover changed."""
    LOST = 4
    """A loss was registered."""
    CORRECTED = 8
    """The insurer said that something registered was wrong, a loss among it."""
    CANCELLED = 16
    """A cover was taken back."""
    SUSPENDED = 32
    """Covers went out of sight, because the resident register disagrees."""
    RESTORED = 64
    """Covers, or their medical information, may be seen again."""
    NUMBER_LINKED = 128
    """A number links the enrollee to a person from now on."""
    NUMBER_UNLINKED = 256
    """A link turned out wrong and was undone."""
    MEDICAL_STOPPED = 512
    """Medical information may not be shown, because the resident register disagrees."""


OF_LINKS: Final = ChangeKind.NUMBER_LINKED | ChangeKind.NUMBER_UNLINKED
"""Kinds that need no version of a cover."""


@dataclass(frozen=True, slots=True)
class EnrolleeChange:
    """
    That a commit changed an enrollee: one of these each, in order.

    `kinds` is the value of a `ChangeKind`. `cover_no` and `version_no` name the version that was
    made last, or, if only a link changed, the last one there is.
    """

    enrollee_key: EnrolleeKey
    insurer_number: InsurerNumber
    person_key: PersonKey
    kinds: int
    cover_no: int
    version_no: int


@dataclass(frozen=True, slots=True)
class ChangeEvent:
    """
    A change in its insurer's stream.

    `insured_id` is what the version named says, `request_id` and `line_number` where that version
    was said; both are empty where only a link changed.
    """

    sequence: int
    recorded_time: Instant
    kinds: ChangeKind
    person_key: PersonKey
    insured_id: InsuredId
    request_id: str
    line_number: int


@dataclass(frozen=True, slots=True)
class NewsEvent:
    """
    That a confirmation an institution got is out of date: it may ask again.

    `recorded_time` is of the change behind it, for the store's own use.
    """

    sequence: int
    recorded_time: Instant
    person_key: PersonKey
    access_record_id: str


Event = ChangeEvent | NewsEvent


class Cursor(Struct, frozen=True, array_like=True):
    """
    A place in one watcher's stream: after the event `sequence`, recorded at `recorded_time`.

    Both are 0 before the first event. The time tells a stream from another one with the same
    numbers, such as that of a store restored from a copy.
    """

    role: str
    code: str
    sequence: int = 0
    recorded_time: Instant = Instant(0)


_encoder: Final = msgspec.msgpack.Encoder()
_decoder: Final = msgspec.msgpack.Decoder(Cursor)
_DIGEST_BYTES: Final = 4


def encode_cursor(cursor: Cursor) -> str:
    """Spell a cursor as a token that callers keep and do not look into."""
    body = _encoder.encode(cursor)
    return base64.urlsafe_b64encode(_digest(body) + body).decode().rstrip("=")


def decode_cursor(token: str) -> Cursor:
    """
    Read a token back.

    Raises:
        InvalidInput: `CURSOR_WRONG` for anything `encode_cursor` did not give.
    """
    try:
        whole = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
        digest, body = whole[:_DIGEST_BYTES], whole[_DIGEST_BYTES:]
        cursor = _decoder.decode(body)
    except (ValueError, msgspec.MsgspecError):
        raise InvalidInput("CURSOR_WRONG", "cursor") from None
    if digest != _digest(body):
        raise InvalidInput("CURSOR_WRONG", "cursor")
    return cursor


def _digest(body: bytes) -> bytes:
    return hashlib.sha256(b"onshi-cursor:1:" + body).digest()[:_DIGEST_BYTES]


def kinds_between(before: Sequence[Coverage], after: Sequence[Coverage]) -> int:
    """Tell from an enrollee's covers before and after what happened to them."""
    known = {cover.cover_no: cover for cover in before}
    kinds = 0
    for cover in after:
        old = known.get(cover.cover_no)
        if old is None:
            kinds |= _ACQUIRED
        elif old.version_no != cover.version_no:
            kinds |= _kinds_of(old, cover)
    return kinds


_ACQUIRED: Final = ChangeKind.ACQUIRED.value


def _kinds_of(old: Coverage, new: Coverage) -> int:
    kinds = ChangeKind(0)
    if old.state is not new.state:
        match new.state:
            case CoverState.CANCELLED:
                kinds |= ChangeKind.CANCELLED
            case CoverState.SUSPENDED:
                kinds |= ChangeKind.SUSPENDED
            case CoverState.REGISTERED:
                kinds |= ChangeKind.RESTORED
    if old.is_medical_stopped != new.is_medical_stopped:
        kinds |= ChangeKind.MEDICAL_STOPPED if new.is_medical_stopped else ChangeKind.RESTORED
    if old.period != new.period:
        is_lost = old.period.start == new.period.start and old.period.end is None
        kinds |= ChangeKind.LOST if is_lost else ChangeKind.CORRECTED
    if not new.is_identified_as(old):
        kinds |= ChangeKind.CORRECTED
    return (kinds or ChangeKind.CHANGED).value

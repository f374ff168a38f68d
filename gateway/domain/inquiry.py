"""
An inquiry of one insurer to another about an enrollee, and its answer (照会・回答).

The question names the asked insurer's enrollee as a card does. An inquiry is known by an id both
ways, and is answered once. Source: seed-requirements.md KP1-D-08.
"""

from __future__ import annotations

import hashlib
from datetime import date
from enum import IntEnum
from typing import NewType

from msgspec import Struct

from gateway.domain.errors import Conflict, InvalidInput
from gateway.domain.identifiers import InsuredId, InsurerNumber
from gateway.domain.period import Instant, Period

InquiryId = NewType("InquiryId", bytes)
"""Digest of the asking insurer and its request id, 16 bytes."""


class InquiryKind(IntEnum):
    """What is asked."""

    COVERED_ON = 1
    """Whether the enrollee is covered on a day."""
    DATES = 2
    """Whether acquisition and loss date are as the question says."""
    BENEFITS = 3
    """Whether benefits were paid for a day, so that two insurers paid."""


class InquiryVerdict(IntEnum):
    """What the asked insurer answers."""

    YES = 1
    NO = 2
    NOT_ENROLLED = 3
    """The asked insurer has no such enrollee."""


class Question(Struct, frozen=True, array_like=True):
    """
    What an insurer asks another about an enrollee of the other's.

    `on` is the day of `COVERED_ON` and `BENEFITS`; the two dates are what `DATES` has confirmed.

    Raises:
        InvalidInput: `FIELD_REQUIRED` for a day the kind needs; `LOSS_BEFORE_ACQUISITION`.
    """

    insured_id: InsuredId
    birth_date: date
    kind: InquiryKind
    on: date | None = None
    acquisition_date: date | None = None
    loss_date: date | None = None

    def __post_init__(self) -> None:
        if self.kind is InquiryKind.DATES:
            if self.acquisition_date is None:
                raise InvalidInput("FIELD_REQUIRED", "acquisition_date")
        elif self.on is None:
            raise InvalidInput("FIELD_REQUIRED", "on_date")
        _require_order(self.acquisition_date, self.loss_date)


class Reply(Struct, frozen=True, array_like=True):
    """
    What the asked insurer says, with the dates of its own record where it gives them.

    Raises:
        InvalidInput: `LOSS_BEFORE_ACQUISITION`.
    """

    verdict: InquiryVerdict
    acquisition_date: date | None = None
    loss_date: date | None = None

    def __post_init__(self) -> None:
        _require_order(self.acquisition_date, self.loss_date)


class Inquiry(Struct, frozen=True):
    """A question, who asked whom and when, and the reply once there is one."""

    inquiry_id: InquiryId
    asking: InsurerNumber
    asked_time: Instant
    question: Question
    reply: Reply | None = None
    answered_time: Instant | None = None

    @property
    def asked(self) -> InsurerNumber:
        """Who is asked."""
        return self.question.insured_id.insurer_number


def _require_order(acquisition_date: date | None, loss_date: date | None) -> None:
    if acquisition_date is not None and loss_date is not None:
        try:
            Period.until_loss(acquisition_date, loss_date)
        except InvalidInput as refusal:
            raise refusal.within("loss_date") from None


def inquiry_id_of(asking: InsurerNumber, request_id: str) -> InquiryId:
    """The id of what an insurer asks under a request id, so that asking again is one inquiry."""
    text = f"inquiry:{asking.zero_padded}:{request_id}".encode()
    return InquiryId(hashlib.blake2b(text, digest_size=16).digest())


def asked_again(known: Inquiry, question: Question) -> Inquiry:
    """
    The inquiry asked before under the same request id.

    Raises:
        Conflict: `INQUIRY_DIFFERS` if it asked something else.
    """
    if known.question != question:
        raise Conflict("INQUIRY_DIFFERS", "request_id")
    return known


def answered(inquiry: Inquiry, reply: Reply, now: Instant) -> Inquiry:
    """
    The inquiry with its reply; as it was, if it had the same reply before.

    Raises:
        Conflict: `INQUIRY_ANSWERED` if it had another one.
    """
    if inquiry.reply is None:
        return Inquiry(
            inquiry.inquiry_id,
            inquiry.asking,
            inquiry.asked_time,
            inquiry.question,
            reply,
            now,
        )
    if inquiry.reply != reply:
        raise Conflict("INQUIRY_ANSWERED", "inquiry_id")
    return inquiry

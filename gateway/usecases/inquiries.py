"""
Inquiries between insurers: ask, list, answer; each recorded with the inquiry's id (KP1-D-08).

What is asked and answered is committed before it is acknowledged. All of it runs in the one
writer.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final

from gateway.domain.errors import Conflict, InvalidInput, NotFound, NotPermitted
from gateway.domain.identifiers import InsuredId, InsurerNumber, PersonKey
from gateway.domain.inquiry import (
    Inquiry,
    InquiryId,
    InquiryKind,
    Question,
    Reply,
    answered,
    asked_again,
    inquiry_id_of,
)
from gateway.domain.period import Instant
from gateway.domain.purpose import DataCategory, Operation, Role
from gateway.store.port import Batch
from gateway.store.port_insurers import Lists
from gateway.usecases.context import Context
from gateway.usecases.desk import Desk
from gateway.usecases.door import DeniedLookError, Door, Errand, Looked
from gateway.usecases.upload_coverage import upload_key_of

ERRAND: Final = Errand(
    purpose="KP1-D-08",
    operation=Operation.DISCLOSE,
    data=frozenset({DataCategory.QUALIFICATION}),
    recipient=Role.INSURER,
)
ERRAND_WITH_BENEFITS: Final = Errand(
    ERRAND.purpose, ERRAND.operation, ERRAND.data | {DataCategory.BENEFIT}, ERRAND.recipient
)
"""Also for lists and answers, which may hold such a question."""

Place = tuple[Instant, InquiryId]
"""Where a page of inquiries ended: when the last one was asked, and its id."""

NEWEST: Final[Place] = (Instant(2**63 - 1), InquiryId(b""))


@dataclass(frozen=True, slots=True)
class InquiryPage:
    """Some inquiries, newest first, and where the next page begins; None after the last one."""

    inquiries: tuple[Inquiry, ...]
    last: Place | None


@dataclass(frozen=True, slots=True)
class InquiryDesk:
    """What inquiries need; there is one in the writer."""

    store: Lists
    desk: Desk
    door: Door

    async def ask(self, question: Question, request_id: str, context: Context) -> Inquiry:
        """
        Ask another insurer, through the door; safe when this returns.

        Raises:
            InvalidInput: `REQUEST_ID_WRONG`, `INQUIRY_TO_SELF`.
            NotPermitted: As the door.
            Conflict: `INQUIRY_DIFFERS`.
            Unavailable: `STORE_UNAVAILABLE`.
        """
        asking = InsurerNumber(context.caller.code)
        # A request id has one form, whatever is sent under it.
        upload_key_of(asking, request_id)
        inquiry_id = inquiry_id_of(asking, request_id)
        if question.insured_id.insurer_number == asking:
            raise InvalidInput("INQUIRY_TO_SELF", "question.insured_id.insurer_number")

        async def look() -> Looked[Inquiry]:
            people = await self._people_in([question])
            async with self.desk.turn() as now:
                known = await self.store.inquiry(inquiry_id)
                if known is None:
                    inquiry = Inquiry(inquiry_id, asking, now, question)
                    await self.store.commit(Batch(now, inquiries=[inquiry]))
                else:
                    inquiry = _or_denied(lambda: asked_again(known, question))
            return Looked(inquiry, "REGISTERED", f"ASKED {inquiry_id.hex()}", people)

        is_about_benefits = question.kind is InquiryKind.BENEFITS
        errand = ERRAND_WITH_BENEFITS if is_about_benefits else ERRAND
        # A caller that goes away now undoes nothing, and what it asked is recorded all the same.
        inquiry, _ = await asyncio.shield(self.door.opened(context, errand, look))
        return inquiry

    async def reply(self, inquiry_id: InquiryId, reply: Reply, context: Context) -> Inquiry:
        """
        Answer an inquiry, through the door; safe when this returns.

        Raises:
            NotFound: `INQUIRY_UNKNOWN`, also for one between others.
            NotPermitted: `INSURER_NOT_ASKED`; as the door.
            Conflict: `INQUIRY_ANSWERED`.
            Unavailable: `STORE_UNAVAILABLE`.
        """
        answering = InsurerNumber(context.caller.code)

        async def look() -> Looked[Inquiry]:
            async with self.desk.turn() as now:
                known = await self.store.inquiry(inquiry_id)
                if known is None or answering not in (known.asked, known.asking):
                    raise DeniedLookError(NotFound("INQUIRY_UNKNOWN", "inquiry_id"), ())
                if answering != known.asked:
                    raise NotPermitted("INSURER_NOT_ASKED", "inquiry_id")
                inquiry = _or_denied(lambda: answered(known, reply, now))
                if inquiry is not known:
                    await self.store.commit(Batch(now, inquiries=[inquiry]))
            people = await self._people_in([inquiry.question])
            return Looked(inquiry, "REGISTERED", f"ANSWERED {inquiry_id.hex()}", people)

        inquiry, _ = await asyncio.shield(self.door.opened(context, ERRAND_WITH_BENEFITS, look))
        return inquiry

    async def list(
        self, before: Place, inquiries_max: int, context: Context, *, is_received: bool
    ) -> InquiryPage:
        """
        Give a page of what the caller was asked, or asked others, through the door.

        Raises:
            NotPermitted: As the door.
            Unavailable: `STORE_UNAVAILABLE`.
        """
        insurer = InsurerNumber(context.caller.code)

        async def look() -> Looked[InquiryPage]:
            found = await self.store.inquiries_of(
                insurer, before, inquiries_max + 1, is_received=is_received
            )
            page = tuple(found[:inquiries_max])
            is_last = len(found) <= inquiries_max
            last = None if is_last else (page[-1].asked_time, page[-1].inquiry_id)
            people = await self._people_in(inquiry.question for inquiry in page)
            return Looked(InquiryPage(page, last), "ANSWERED", str(len(page)), people)

        page, _ = await self.door.opened(context, ERRAND_WITH_BENEFITS, look)
        return page

    async def _people_in(self, questions: Iterable[Question]) -> tuple[PersonKey, ...]:
        """Who is asked about, so that the person sees it; nobody if none is registered so."""
        asked = list(questions)
        if not asked:
            return ()
        loaded = await self.store.load({one.insured_id.lookup_key for one in asked}, ())
        return tuple(
            sorted(
                {
                    enrollee.person_key
                    for enrollee in loaded.enrollees
                    for cover in enrollee.enrolment.covers
                    if _is_named(asked, cover.insured_id, cover.birth_date)
                }
            )
        )


def _or_denied(change: Callable[[], Inquiry]) -> Inquiry:
    """What a change gives; one that contradicts what is stored leaves a record of the denial."""
    try:
        return change()
    except Conflict as refusal:
        raise DeniedLookError(refusal, ()) from None


def _is_named(questions: Sequence[Question], insured_id: InsuredId, birth_date: date) -> bool:
    return any(
        one.birth_date == birth_date and one.insured_id.names(insured_id) for one in questions
    )

"""The scenarios between insurers, and what becomes of a My Number: purposes of the registry."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import TYPE_CHECKING, Any, Final

import grpc
from google.protobuf.message import Message
from google.type.date_pb2 import Date

from gateway.app.ask import refused
from gateway.domain.card import HolderCheck
from gateway.v1 import inquiry_pb2 as pb
from gateway.v1.coverage_pb2 import ListOverlapsRequest, RegisterIndividualNumberRequest
from gateway.v1.coverage_pb2_grpc import CoverageServiceStub
from gateway.v1.eligibility_pb2_grpc import EligibilityServiceStub
from gateway.v1.inquiry_pb2_grpc import InquiryServiceStub
from gateway.v1.types_pb2 import InsuredId
from loadtests.scenario_place import Asked
from loadtests.scenario_tales import Tale, noted_words, valid
from simulators.catalogue import NATIONAL, OTHER_SOCIETY, SOCIETY
from simulators.channel import secure_channel
from simulators.clinic import ask
from simulators.reader import PortalVisitor

if TYPE_CHECKING:
    from gateway.v1.coverage_pb2_grpc import CoverageServiceAsyncStub
    from gateway.v1.eligibility_pb2_grpc import EligibilityServiceAsyncStub
    from gateway.v1.inquiry_pb2_grpc import InquiryServiceAsyncStub

OVERLAPPING: Final = "overlap"


async def inquiry(tale: Tale) -> None:
    """KP1-D-08: one insurer asks, the other answers under the same id, the person sees both."""
    place = tale.place
    asked = place.asked(OVERLAPPING)
    question = pb.InquiryQuestion(
        insured_id=InsuredId(
            insurer_number=SOCIETY.number, symbol="12-34", number="6002", branch="01"
        ),
        birth_date=_date(asked),
        kind=pb.INQUIRY_KIND_COVERED_ON,
        on_date=Date(year=asked.on.year, month=asked.on.month, day=asked.on.day),
    )
    async with place.channel_of(NATIONAL.number) as channel:
        stub: InquiryServiceAsyncStub = InquiryServiceStub(channel)
        request = pb.SendInquiryRequest(request_id="inquiry-1", question=question)
        sent = await stub.SendInquiry(request)
        again = await stub.SendInquiry(request)
    noted_words(tale, "sent twice", "insurer", again.inquiry_id, sent.inquiry_id)
    answer = pb.AnswerInquiryRequest(
        inquiry_id=sent.inquiry_id, reply=pb.InquiryReply(verdict=pb.INQUIRY_VERDICT_YES)
    )
    async with place.channel_of(OTHER_SOCIETY.number) as channel:
        third: InquiryServiceAsyncStub = InquiryServiceStub(channel)
        reason = await _reason(third.AnswerInquiry(answer))
        noted_words(tale, "answered by a third", "insurer", reason, "INQUIRY_UNKNOWN")
    async with place.channel_of(SOCIETY.number) as channel:
        other: InquiryServiceAsyncStub = InquiryServiceStub(channel)
        received = pb.ListInquiriesRequest(direction=pb.INQUIRY_DIRECTION_RECEIVED)
        (seen,) = (await other.ListInquiries(received)).inquiries
        noted_words(tale, "received", "insurer", seen.inquiry_id, sent.inquiry_id)
        done = await other.AnswerInquiry(answer)
        noted_words(tale, "answered", "insurer", done.inquiry_id, sent.inquiry_id)
        answer.reply.verdict = pb.INQUIRY_VERDICT_NO
        reason = await _reason(other.AnswerInquiry(answer))
        noted_words(tale, "answered otherwise", "insurer", reason, "INQUIRY_ANSWERED")
    await tale.asks("the person meanwhile", asked, valid(), valid())
    details = await _details_seen_by(tale)
    for word in ("ASKED", "ANSWERED"):
        name = f"{word} {sent.inquiry_id}"
        noted_words(tale, f"record {word.lower()}", "portal", name if name in details else "", name)


async def overlap_list(tale: Tale) -> None:
    """5, its list: both insurers see the overlap, with the other's number and days."""
    for mine, other in ((NATIONAL, SOCIETY), (SOCIETY, NATIONAL)):
        async with tale.place.channel_of(mine.number) as channel:
            stub: CoverageServiceAsyncStub = CoverageServiceStub(channel)
            found = (await stub.ListOverlaps(ListOverlapsRequest())).overlaps
        told = [
            f"{one.other_insurer_number} {one.overlap_first_date.year}-"
            f"{one.overlap_first_date.month:02}-{one.overlap_first_date.day:02}"
            for one in found
            if one.birth_date == _date(tale.place.asked(OVERLAPPING))
        ]
        noted_words(
            tale, f"list of {mine.number}", "insurer", str(told), f"['{other.number} 2026-04-01']"
        )
    asked = tale.place.asked(OVERLAPPING)
    await tale.asks("never blocked", asked, valid(insurer=NATIONAL.number), valid())


async def my_number_kept(tale: Tale) -> None:
    """R002-18: a My Number goes to the vault and comes back to nobody; no clinic may tell one."""
    place = tale.place
    asked = place.asked("society-insured")
    number = place.number_of("society-insured")
    card = await place.card_of(asked.person)
    await tale.asks("asked", asked, valid(branch="01"))
    async with secure_channel(place.address, **place.sandbox.party("institution")) as channel:
        stub: EligibilityServiceAsyncStub = EligibilityServiceStub(channel)
        answers: dict[str, Message] = {
            "number": await ask(stub, asked.card, asked.birth_date, asked.on),
            "card": await place.reader.visit(card, HolderCheck.FACE, on=asked.on),
        }
        said = {route: str(answer) for route, answer in answers.items()}
        said["folder"] = str((await place.by_folder(asked)).items)
        for route, text in said.items():
            noted_words(tale, "number in the answer", route, str(number in text), "False")
        told = RegisterIndividualNumberRequest(
            request_id="r002-18",
            insured_id=InsuredId(**asked.card.cells()),
            birth_date=_date(asked),
            individual_number=number,
        )
        clinic: CoverageServiceAsyncStub = CoverageServiceStub(channel)
        reason = await _reason(clinic.RegisterIndividualNumber(told))
        noted_words(tale, "told by a clinic", "insurer", reason, "ROLE_NOT_ALLOWED")
    async with place.channel_of(OTHER_SOCIETY.number) as channel:
        insurer: CoverageServiceAsyncStub = CoverageServiceStub(channel)
        reason = await _reason(insurer.RegisterIndividualNumber(told))
        noted_words(tale, "told by another insurer", "insurer", reason, "INSURER_NOT_CALLER")


async def _details_seen_by(tale: Tale) -> list[str]:
    """What the portal shows the person of the records about them."""
    place = tale.place
    card = await place.card_of(OVERLAPPING)
    async with secure_channel(place.address, **place.sandbox.party("portal")) as channel:
        looks = await PortalVisitor(channel).accesses(card, place.wallet.pin(OVERLAPPING))
    return [look.detail for look in looks if look.purpose == "KP1-D-08"]


async def _reason(call: Awaitable[Any]) -> str:
    try:
        await call
    except grpc.aio.AioRpcError as error:
        return refused(error).reason
    return ""


def _date(asked: Asked) -> Date:
    born = asked.birth_date
    return Date(year=born.year, month=born.month, day=born.day)


INSURER_TALES: Final = {
    "05 enrolled twice, the list": overlap_list,
    "KP1-D-08": inquiry,
    "R002-18": my_number_kept,
}

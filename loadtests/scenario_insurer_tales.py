"""The scenarios between insurers, and what becomes of a My Number: purposes of the registry."""

from __future__ import annotations

import re
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
from loadtests.scenario_tales import Tale, moved_to, valid
from simulators.catalogue import NATIONAL, OTHER_SOCIETY, SOCIETY
from simulators.channel import secure_channel
from simulators.clinic import ask
from simulators.insurer import upload
from simulators.people import Card, lines_of
from simulators.population import MADE_UP_PREFIX
from simulators.reader import PortalVisitor

if TYPE_CHECKING:
    from gateway.v1.coverage_pb2_grpc import CoverageServiceAsyncStub
    from gateway.v1.eligibility_pb2_grpc import EligibilityServiceAsyncStub
    from gateway.v1.inquiry_pb2_grpc import InquiryServiceAsyncStub

OVERLAPPING: Final = "overlap"
ANY_NUMBER: Final = re.compile(rf"(?<![0-9A-Za-z]){MADE_UP_PREFIX}\d{{9}}(?![0-9A-Za-z])")
"""Anybody's My Number in the simulation."""


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
    tale.says("sent twice", "insurer", again.inquiry_id, sent.inquiry_id)
    answer = pb.AnswerInquiryRequest(
        inquiry_id=sent.inquiry_id, reply=pb.InquiryReply(verdict=pb.INQUIRY_VERDICT_YES)
    )
    async with place.channel_of(OTHER_SOCIETY.number) as channel:
        third: InquiryServiceAsyncStub = InquiryServiceStub(channel)
        reason = await _reason(third.AnswerInquiry(answer))
        tale.says("answered by a third", "insurer", reason, "INQUIRY_UNKNOWN")
    async with place.channel_of(SOCIETY.number) as channel:
        other: InquiryServiceAsyncStub = InquiryServiceStub(channel)
        received = pb.ListInquiriesRequest(direction=pb.INQUIRY_DIRECTION_RECEIVED)
        (seen,) = (await other.ListInquiries(received)).inquiries
        tale.says("received", "insurer", seen.inquiry_id, sent.inquiry_id)
        done = await other.AnswerInquiry(answer)
        tale.says("answered", "insurer", done.inquiry_id, sent.inquiry_id)
        answer.reply.verdict = pb.INQUIRY_VERDICT_NO
        reason = await _reason(other.AnswerInquiry(answer))
        tale.says("answered otherwise", "insurer", reason, "INQUIRY_ANSWERED")
    await tale.asks("the person meanwhile", asked, valid(), valid())
    details = await _details_seen_by(tale)
    for word in ("ASKED", "ANSWERED"):
        name = f"{word} {sent.inquiry_id}"
        tale.says(f"record {word.lower()}", "portal", name if name in details else "", name)


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
        tale.says(f"list of {mine.number}", "insurer", str(told), f"['{other.number} 2026-04-01']")
    asked = tale.place.asked(OVERLAPPING)
    await tale.asks("never blocked", asked, valid(insurer=NATIONAL.number), valid())


async def my_number_kept(tale: Tale) -> None:
    """R002-18, R003-18: a My Number comes back to nobody; no clinic may tell one."""
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
            seen = number in text or ANY_NUMBER.search(text) is not None
            tale.says("number in the answer", route, str(seen), "False")
        told = RegisterIndividualNumberRequest(
            request_id="r002-18",
            insured_id=InsuredId(**asked.card.cells()),
            birth_date=_date(asked),
            individual_number=number,
        )
        clinic: CoverageServiceAsyncStub = CoverageServiceStub(channel)
        reason = await _reason(clinic.RegisterIndividualNumber(told))
        tale.says("told by a clinic", "insurer", reason, "ROLE_NOT_ALLOWED")
    async with place.channel_of(OTHER_SOCIETY.number) as channel:
        insurer: CoverageServiceAsyncStub = CoverageServiceStub(channel)
        reason = await _reason(insurer.RegisterIndividualNumber(told))
        tale.says("told by another insurer", "insurer", reason, "INSURER_NOT_CALLER")


async def number_checked(tale: Tale) -> None:
    """R003-26: a number links once the register agrees with it; a wrong one shows nothing."""
    place = tale.place
    person, other = "lost-on-first-day", "lost-today"
    card = Card(NATIONAL.number, "かくう", "00601", "01")
    row = moved_to(place.row_of(person), NATIONAL.number, NATIONAL.name, card, "20260401")
    for cell in ("loss_date", "loss_reason"):
        row.pop(cell, None)
    number, wrong = place.number_of(person), place.number_of(other)
    spoiled = number[:-1] + str((int(number[-1]) + 1) % 10)
    async with place.channel_of(NATIONAL.number) as channel:
        stub: CoverageServiceAsyncStub = CoverageServiceStub(channel)
        report = await upload(stub, "r003-26", lines_of([{**row, "individual_number": spoiled}]))
    reasons = [(line.column, line.reason) for line in report.refused_lines]
    expected = [("individual_number", "CHECK_DIGIT_WRONG")]
    tale.says("a wrong check digit", "insurer", str(reasons), str(expected))
    await place.upload({**row, "individual_number": wrong})
    asked = place.asked(person, card=card)
    await tale.asks("by another's number", asked, (4, {}), (2, {}))
    said = {name: row[name] for name in ("insurer_number", "symbol", "number", "branch")}
    said |= {"birth_date": row["birth_date"], "action": "CORRECT", "individual_number": number}
    await place.upload(said)
    await tale.asks("by the right number", asked, valid(branch="01"))


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
    "R002-18, R003-18": my_number_kept,
    "R003-26": number_checked,
}

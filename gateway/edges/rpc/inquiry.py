"""InquiryService as the writer serves it: insurers ask and answer each other."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.domain.purpose import Role
from gateway.edges.rpc import convert, convert_insurers
from gateway.edges.rpc.server import Method, read
from gateway.usecases.context import Context
from gateway.usecases.inquiries import InquiryDesk
from gateway.v1 import inquiry_pb2 as pb

INSURERS = frozenset({Role.INSURER})


@dataclass(frozen=True, slots=True)
class InquiryService:
    """Carries inquiries; there is one, in the writer."""

    inquiries: InquiryDesk

    def methods(self) -> tuple[Method, ...]:
        """The methods and who may call them."""
        return (
            Method("InquiryService/SendInquiry", INSURERS, unary=self.send_inquiry),
            Method("InquiryService/ListInquiries", INSURERS, unary=self.list_inquiries),
            Method("InquiryService/AnswerInquiry", INSURERS, unary=self.answer_inquiry),
        )

    async def send_inquiry(self, request: bytes, context: Context) -> bytes:
        """Ask another insurer."""
        said = read(pb.SendInquiryRequest, request)
        question = convert_insurers.question(said.question)
        asked = await self.inquiries.ask(question, said.request_id, context)
        return pb.SendInquiryResponse(
            inquiry_id=asked.inquiry_id.hex(), asked_time=convert.timestamp(asked.asked_time)
        ).SerializeToString()

    async def list_inquiries(self, request: bytes, context: Context) -> bytes:
        """List what the caller was asked, or asked."""
        said = read(pb.ListInquiriesRequest, request)
        before, inquiries_max, is_received = convert_insurers.inquiry_page(said)
        page = await self.inquiries.list(before, inquiries_max, context, is_received=is_received)
        return convert_insurers.inquiries(page).SerializeToString()

    async def answer_inquiry(self, request: bytes, context: Context) -> bytes:
        """Answer an inquiry."""
        said = read(pb.AnswerInquiryRequest, request)
        reply = convert_insurers.reply(said.reply)
        inquiry_id = convert_insurers.inquiry_id(said.inquiry_id)
        done = await self.inquiries.reply(inquiry_id, reply, context)
        assert done.answered_time is not None
        return pb.AnswerInquiryResponse(
            inquiry_id=done.inquiry_id.hex(), answered_time=convert.timestamp(done.answered_time)
        ).SerializeToString()

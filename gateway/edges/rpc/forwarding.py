"""
What a worker does with a call only the writer may serve: pass the bytes on, and the answer back.

The worker has identified the caller and checked the role; it vouches for both in metadata on a
Unix socket. A writer that is away (it restarts in a moment) reads as UNAVAILABLE with a retry
hint, and a sender comes back with the same request id.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Final, TypeAlias

import grpc

from gateway.domain.errors import Unavailable
from gateway.domain.purpose import Role
from gateway.edges.rpc.identity import forwarding_metadata
from gateway.edges.rpc.server import ForwardedError, Method
from gateway.edges.rpc.status import DETAILS_KEY
from gateway.usecases.context import Context

FORWARD_DEADLINE_S: Final = 60

Call: TypeAlias = "grpc.aio.UnaryUnaryMultiCallable[bytes, bytes]"
StreamCall: TypeAlias = "grpc.aio.StreamStreamMultiCallable[bytes, bytes]"


@dataclass(frozen=True, slots=True)
class ForwardedService:
    """A service of the writer: who may call it, and its methods."""

    name: str
    roles: frozenset[Role]
    unary: tuple[str, ...]
    stream: tuple[str, ...] = ()


COVERAGE: Final = ForwardedService(
    "CoverageService",
    frozenset({Role.INSURER}),
    (
        "GetUpload",
        "ListRefusedLines",
        "RegisterCoverage",
        "RegisterAcquisition",
        "ChangeItems",
        "RegisterLoss",
        "CorrectCoverage",
        "CancelCoverage",
        "ListCollections",
        "RegisterIndividualNumber",
        "GetIndividualNumberStages",
        "ListOverlaps",
        "RecheckIndividualNumbers",
        "SearchIndividualNumbers",
        "ListLooksThrough",
        "GetEnrolleeHistory",
    ),
    ("UploadCoverage",),
)
LAG: Final = ForwardedService("LagService", frozenset({Role.INSURER}), ("GetLagReport",))
INQUIRY: Final = ForwardedService(
    "InquiryService",
    frozenset({Role.INSURER}),
    ("SendInquiry", "ListInquiries", "AnswerInquiry"),
)
FEED: Final = ForwardedService(
    "FeedService", frozenset({Role.INSURER, Role.INSTITUTION}), (), ("WatchChanges",)
)
PERSON: Final = ForwardedService(
    "PersonService",
    frozenset({Role.PORTAL}),
    ("BeginSession", "RegisterCard", "ListOwnAccesses", "GetOwnHistory"),
)


@dataclass(frozen=True, slots=True)
class Forwarded:
    """A service of the writer as a worker offers it; `end` ends the streams under way."""

    writer: grpc.aio.Channel
    service: ForwardedService
    under_way: set[grpc.aio.StreamStreamCall[bytes, bytes]] = field(default_factory=set)

    def methods(self) -> tuple[Method, ...]:
        """The methods and who may call them."""
        service = self.service
        return (
            *(
                Method(f"{service.name}/{name}", service.roles, unary=self._forward_unary)
                for name in service.unary
            ),
            *(
                Method(f"{service.name}/{name}", service.roles, stream=self._forward_stream)
                for name in service.stream
            ),
        )

    async def _forward_unary(self, request: bytes, context: Context) -> bytes:
        call: Call = self.writer.unary_unary(f"/{context.method}")
        try:
            return await call(
                request, metadata=forwarding_metadata(context.caller), timeout=FORWARD_DEADLINE_S
            )
        except grpc.aio.AioRpcError as error:
            raise _passed_on(error) from None

    async def _forward_stream(
        self, requests: AsyncIterator[bytes], context: Context
    ) -> AsyncIterator[bytes]:
        stream: StreamCall = self.writer.stream_stream(f"/{context.method}")
        call = stream(requests, metadata=forwarding_metadata(context.caller))
        self.under_way.add(call)
        try:
            async for answer in call:
                yield answer
        except grpc.aio.AioRpcError as error:
            raise _passed_on(error) from None
        except asyncio.CancelledError:
            if call not in self.under_way:
                raise Unavailable("WRITER_UNAVAILABLE") from None
            raise
        finally:
            self.under_way.discard(call)
            call.cancel()

    def end(self) -> None:
        """End streams that would never end by themselves, as if the writer were away."""
        calls = list(self.under_way)
        self.under_way.clear()
        for call in calls:
            call.cancel()


def _passed_on(error: grpc.aio.AioRpcError) -> Exception:
    status = next(
        (value for key, value in error.trailing_metadata() or () if key == DETAILS_KEY), None
    )
    if isinstance(status, bytes):
        return ForwardedError(error.code(), error.details() or "", status)
    if error.code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED):
        return Unavailable("WRITER_UNAVAILABLE")
    return ForwardedError(error.code(), error.details() or "", b"")

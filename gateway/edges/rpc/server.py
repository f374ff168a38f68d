"""
The server: which method is open to which role, and the one wrapper every call passes.

The wrapper identifies the caller, checks the method-to-role table, runs the handler, and turns
what goes wrong into a status. Handlers take bytes and give bytes, so that another transport can
mount them; no interceptor stands between. A role refused by the table leaves an access record
too. Source: house 4 and 11.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final, NoReturn, TypeAlias, TypeVar

import grpc
from google.protobuf.message import DecodeError, Message
from google.rpc import status_pb2
from grpc_health.v1 import health_pb2
from grpc_health.v1._async import HealthServicer
from grpc_health.v1.health_pb2_grpc import add_HealthServicer_to_server
from grpc_reflection.v1alpha import reflection

from gateway.domain.access import AccessRecord
from gateway.domain.errors import InvalidInput, NotPermitted, Refusal, TooMuch
from gateway.domain.purpose import Role
from gateway.edges.rpc.identity import Identify
from gateway.edges.rpc.status import DETAILS_KEY, status_of, status_of_bug
from gateway.observe import log_bug
from gateway.store.port_beside import Accesses
from gateway.usecases.context import Clock, Context, NewKey

UnaryHandle = Callable[[bytes, Context], Awaitable[bytes]]
StreamHandle = Callable[[AsyncIterator[bytes], Context], AsyncIterator[bytes]]
Said = TypeVar("Said", bound=Message)
GrpcContext: TypeAlias = "grpc.aio.ServicerContext[bytes, bytes]"

SERVING: Final = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING: Final = health_pb2.HealthCheckResponse.NOT_SERVING


class ForwardedError(Exception):
    """What the writer answered instead of a result: passed on as it came."""

    def __init__(self, code: grpc.StatusCode, details: str, status: bytes) -> None:
        super().__init__(code.name)
        self.code = code
        self.details = details
        self.status = status


@dataclass(frozen=True, slots=True)
class Method:
    """
    One open method: `name` is `Service/Method` without the package.

    `is_connection_told` has its context name the connection.
    """

    name: str
    roles: frozenset[Role]
    unary: UnaryHandle | None = None
    stream: StreamHandle | None = None
    is_connection_told: bool = False

    full_name: str = field(init=False)
    """As access records and paths spell it."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "full_name", f"gateway.v1.{self.name}")


@dataclass(frozen=True, slots=True)
class Front:
    """What every call of a process passes."""

    identify: Identify
    accesses: Accesses
    clock: Clock
    new_key: NewKey
    request_bytes_max: int
    policy_version: str

    def handler(self, method: Method) -> grpc.RpcMethodHandler[bytes, bytes]:
        """Wrap a method for grpc."""
        if method.unary is not None:
            return grpc.unary_unary_rpc_method_handler(self._unary(method, method.unary))
        assert method.stream is not None
        return grpc.stream_stream_rpc_method_handler(self._stream(method, method.stream))

    def _unary(
        self, method: Method, handle: UnaryHandle
    ) -> Callable[[bytes, GrpcContext], Awaitable[bytes]]:
        async def serve(request: bytes, grpc_context: GrpcContext) -> bytes:
            try:
                self._require_size(request)
                context = self._context(method, grpc_context)
                if context.caller.role not in method.roles:
                    await self._refuse_role(context)
                return await handle(request, context)
            except Exception as exc:
                await self._abort(grpc_context, exc)
                raise

        return serve

    def _require_size(self, request: bytes) -> None:
        if len(request) > self.request_bytes_max:
            raise TooMuch("MESSAGE_TOO_LARGE", bytes_max=str(self.request_bytes_max))

    def _stream(
        self, method: Method, handle: StreamHandle
    ) -> Callable[[AsyncIterator[bytes], GrpcContext], AsyncIterator[bytes]]:
        async def serve(
            requests: AsyncIterator[bytes], grpc_context: GrpcContext
        ) -> AsyncIterator[bytes]:
            try:
                context = self._context(method, grpc_context)
                if context.caller.role not in method.roles:
                    await self._refuse_role(context)
                async for answer in handle(requests, context):
                    yield answer
            except Exception as exc:
                await self._abort(grpc_context, exc)
                raise

        return serve

    def _context(self, method: Method, grpc_context: GrpcContext) -> Context:
        connection = grpc_context.peer() if method.is_connection_told else ""
        return Context(self.identify(grpc_context), self.clock(), method.full_name, connection)

    async def _refuse_role(self, context: Context) -> NoReturn:
        """Record the denial, then refuse."""
        await self.accesses.record(_denied(context, self.policy_version))
        raise NotPermitted("ROLE_NOT_ALLOWED", role=context.caller.role.value)

    async def _abort(self, grpc_context: GrpcContext, exc: Exception) -> None:
        """End a call with the status of what happened; never returns."""
        match exc:
            case grpc.aio.AbortError():
                raise exc
            case ForwardedError():
                await grpc_context.abort(exc.code, exc.details, ((DETAILS_KEY, exc.status),))
            case Refusal():
                await _abort_with(grpc_context, status_of(exc))
            case _:
                bug_id = self.new_key().hex()
                log_bug(exc, bug_id)
                await _abort_with(grpc_context, status_of_bug(bug_id))


def read(kind: type[Said], message: bytes) -> Said:
    """Read a message; one that is none is `MESSAGE_MALFORMED`."""
    try:
        return kind.FromString(message)
    except DecodeError:
        raise InvalidInput("MESSAGE_MALFORMED") from None


async def _abort_with(grpc_context: GrpcContext, status: status_pb2.Status) -> None:
    codes = {code.value[0]: code for code in grpc.StatusCode}
    details = ((DETAILS_KEY, status.SerializeToString()),)
    await grpc_context.abort(codes[status.code], status.message, details)


def _denied(context: Context, policy_version: str) -> AccessRecord:
    return AccessRecord(
        at=context.now,
        role=context.caller.role.value,
        code=context.caller.code,
        method=context.method,
        purpose="",
        policy_version=policy_version,
        operation="",
        data=(),
        outcome="DENIED",
        detail="ROLE_NOT_ALLOWED",
    )


@dataclass(slots=True)
class RpcServer:
    """A grpc.aio server with health and reflection on it."""

    server: grpc.aio.Server
    health: HealthServicer
    services: tuple[str, ...]

    async def start(self) -> None:
        """Serve, and say so."""
        await self.server.start()
        for name in ("", *self.services):
            await self.health.set(name, SERVING)

    async def stop(self, drain_s: float) -> None:
        """Say that no new call should come, let the calls under way end, then stop."""
        await self.health.enter_graceful_shutdown()
        await self.server.stop(drain_s)


@dataclass(frozen=True, slots=True)
class Bounds:
    """Named limits of a server's transport."""

    message_bytes_max: int
    streams_per_connection_max: int
    is_port_shared: bool


def build_server(front: Front, methods: tuple[Method, ...], bounds: Bounds) -> RpcServer:
    """Put methods, health and reflection on a server; the caller adds ports and starts it."""
    server = grpc.aio.server(
        options=(
            ("grpc.max_receive_message_length", bounds.message_bytes_max),
            ("grpc.max_concurrent_streams", bounds.streams_per_connection_max),
            ("grpc.so_reuseport", int(bounds.is_port_shared)),
            ("grpc.keepalive_time_ms", 60_000),
            ("grpc.keepalive_permit_without_calls", 1),
            ("grpc.http2.min_recv_ping_interval_without_data_ms", 10_000),
        )
    )
    by_service: dict[str, dict[str, grpc.RpcMethodHandler[bytes, bytes]]] = {}
    for method in methods:
        service, _, name = method.full_name.partition("/")
        by_service.setdefault(service, {})[name] = front.handler(method)
    for service, handlers in by_service.items():
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, handlers),))
    services = tuple(by_service)
    health = HealthServicer()
    add_HealthServicer_to_server(health, server)
    reflection.enable_server_reflection(
        (*services, "grpc.health.v1.Health", reflection.SERVICE_NAME), server
    )
    return RpcServer(server, health, services)

"""The one wrapper every call passes, on a real server with mutual TLS on loopback."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

import grpc
import pytest
import pytest_asyncio
from google.rpc.error_details_pb2 import ErrorInfo
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_status import rpc_status

from gateway.app.build import Credentials
from gateway.app.clock import real_clock
from gateway.config import Tls
from gateway.domain.errors import InvalidInput
from gateway.domain.period import Instant, tokyo_time
from gateway.domain.purpose import Role
from gateway.edges.rpc.identity import CertificateIdentity
from gateway.edges.rpc.server import Bounds, Front, Method, RpcServer, build_server
from gateway.observe import configure
from gateway.pki import (
    Authority,
    issue_leaf,
    issue_revocation_list,
    issue_server_leaf,
    open_authority,
    serial_of,
)
from gateway.store.memory import MemoryAccesses
from gateway.usecases.context import Context

NOW = Instant(1_776_211_200_000_000)
TODAY = tokyo_time(real_clock())
"""Certificates live by the real clock, which TLS looks at."""
REQUEST_BYTES_MAX = 1_000
INSTITUTION = "1319999999"
PATH = "/gateway.v1.EligibilityService/ConfirmEligibility"


@dataclass
class Stand:
    """A server whose one method does what a test says."""

    folder: Path
    authority: Authority
    credentials: Credentials
    accesses: MemoryAccesses = field(default_factory=MemoryAccesses)
    answer: Callable[[bytes, Context], Awaitable[bytes]] | None = None
    server: RpcServer | None = None
    port: int = 0

    async def start(self) -> None:
        """Serve."""

        async def handle(request: bytes, context: Context) -> bytes:
            assert self.answer is not None
            return await self.answer(request, context)

        front = Front(
            CertificateIdentity(self.credentials.revocations),
            self.accesses,
            lambda: NOW,
            lambda: b"key-of-a-bug----",
            REQUEST_BYTES_MAX,
            "policy-1",
        )
        method = Method(
            "EligibilityService/ConfirmEligibility", frozenset({Role.INSTITUTION}), unary=handle
        )
        self.server = build_server(front, (method,), Bounds(100_000, 100, is_port_shared=False))
        self.port = self.server.server.add_secure_port("127.0.0.1:0", self.credentials.server())
        await self.server.start()

    def channel(self, role: Role = Role.INSTITUTION, code: str = INSTITUTION) -> grpc.aio.Channel:
        """Connect with a leaf issued for a role."""
        folder = self.folder / f"{role.value}-{code}"
        if not folder.exists():
            issue_leaf(self.authority, role, code, TODAY, 30).write(folder)
        credentials = grpc.ssl_channel_credentials(
            (self.folder / "ca.pem").read_bytes(),
            (folder / "key.pem").read_bytes(),
            (folder / "certificate.pem").read_bytes(),
        )
        return grpc.aio.secure_channel(
            f"127.0.0.1:{self.port}", credentials, (("grpc.use_local_subchannel_pool", 1),)
        )

    async def call(
        self, request: bytes = b"", role: Role = Role.INSTITUTION, code: str = INSTITUTION
    ) -> tuple[str, str] | bytes:
        """Call; give the answer, or the status and the reason."""
        async with self.channel(role, code) as channel:
            try:
                answer: bytes = await channel.unary_unary(PATH)(request, timeout=10)
            except grpc.aio.AioRpcError as error:
                return error.code().name, reason_of(error)
            return answer


def reason_of(error: grpc.aio.AioRpcError) -> str:
    """The reason in an error's details, or nothing."""
    status, info = rpc_status.from_call(error), ErrorInfo()
    for detail in status.details if status else ():
        if detail.Unpack(info):
            return info.reason
    return ""


async def echo(request: bytes, _context: Context) -> bytes:
    """Answer what was asked."""
    return request


@pytest_asyncio.fixture
async def stand(tmp_path: Path) -> AsyncIterator[Stand]:
    """A served stand."""
    authority = open_authority(tmp_path, "test CA", TODAY)
    issue_server_leaf(authority, TODAY, 30, ("127.0.0.1",)).write(tmp_path / "gateway")
    (tmp_path / "crl.pem").write_bytes(issue_revocation_list(authority, [], 1, TODAY))
    tls = Tls(
        tmp_path / "gateway" / "certificate.pem",
        tmp_path / "gateway" / "key.pem",
        tmp_path / "ca.pem",
        tmp_path / "crl.pem",
    )
    made = Stand(tmp_path, authority, Credentials(tls), answer=echo)
    await made.start()
    yield made
    assert made.server is not None
    await made.server.stop(0)


async def test_a_handler_gets_bytes_and_the_caller_of_the_certificate(stand: Stand) -> None:
    """Role and code come from the certificate, the moment from the clock handed in."""
    seen: list[Context] = []

    async def answer(request: bytes, context: Context) -> bytes:
        seen.append(context)
        return request[::-1]

    stand.answer = answer

    assert await stand.call(b"abc") == b"cba"
    assert (
        seen[0].caller.role,
        seen[0].caller.code,
        seen[0].now,
    ) == (Role.INSTITUTION, INSTITUTION, NOW)


async def test_a_role_that_may_not_is_refused_and_recorded(stand: Stand) -> None:
    """A denial by the method-to-role table leaves an access record."""
    assert await stand.call(role=Role.INSURER, code="06139992") == (
        "PERMISSION_DENIED",
        "ROLE_NOT_ALLOWED",
    )
    (record,) = stand.accesses.records
    assert (
        record.role,
        record.code,
        record.outcome,
        record.detail,
    ) == ("insurer", "06139992", "DENIED", "ROLE_NOT_ALLOWED")


async def test_a_revoked_certificate_is_refused_without_a_restart(stand: Stand) -> None:
    """A caller known a moment ago is refused once a newer list names its certificate."""
    assert await stand.call(b"1") == b"1"
    pem = (stand.folder / f"institution-{INSTITUTION}" / "certificate.pem").read_bytes()
    revoked = issue_revocation_list(stand.authority, [serial_of(pem)], 2, TODAY)
    (stand.folder / "crl.pem").write_bytes(revoked)
    stand.credentials.refresh()

    assert await stand.call(b"1") == ("PERMISSION_DENIED", "CERTIFICATE_REVOKED")


async def test_a_request_over_its_limit_is_refused(stand: Stand) -> None:
    """The limit is named, inclusive, and bytes beyond it are not handled."""
    assert await stand.call(bytes(REQUEST_BYTES_MAX)) == bytes(REQUEST_BYTES_MAX)
    assert await stand.call(bytes(REQUEST_BYTES_MAX + 1)) == (
        "RESOURCE_EXHAUSTED",
        "MESSAGE_TOO_LARGE",
    )


async def test_a_refusal_reaches_the_caller_with_its_reason(stand: Stand) -> None:
    """What a use case refuses becomes the status of its kind."""

    async def answer(_request: bytes, _context: Context) -> bytes:
        raise InvalidInput("CHECK_DIGIT_WRONG", "insured_id.insurer_number")

    stand.answer = answer

    assert await stand.call() == ("INVALID_ARGUMENT", "CHECK_DIGIT_WRONG")


async def test_a_bug_shows_an_id_and_nothing_of_its_text(
    stand: Stand, capsys: pytest.CaptureFixture[str]
) -> None:
    """Caller and log get the id and the place, not the text, which may hold data."""
    configure("test")

    async def answer(_request: bytes, _context: Context) -> bytes:
        raise KeyError("山田太郎 19850401")

    stand.answer = answer

    async with stand.channel() as channel:
        with pytest.raises(grpc.aio.AioRpcError) as seen:
            await channel.unary_unary(PATH)(b"", timeout=10)
    logged = capsys.readouterr().err
    assert grpc.StatusCode.INTERNAL is seen.value.code()
    assert b"key-of-a-bug----".hex() in (seen.value.details() or "")
    assert b"key-of-a-bug----".hex() in logged
    assert "山田" not in logged + (seen.value.details() or "")
    assert "19850401" not in logged + (seen.value.details() or "")


async def test_a_caller_that_gives_up_ends_the_call(stand: Stand) -> None:
    """A deadline that passes cancels the handler."""
    ended = asyncio.Event()

    async def answer(request: bytes, _context: Context) -> bytes:
        try:
            await asyncio.sleep(30)
        finally:
            ended.set()
        return request

    stand.answer = answer
    async with stand.channel() as channel:
        with pytest.raises(grpc.aio.AioRpcError) as seen:
            await channel.unary_unary(PATH)(b"", timeout=0.2)

    assert grpc.StatusCode.DEADLINE_EXCEEDED is seen.value.code()
    await asyncio.wait_for(ended.wait(), 5)


async def test_draining_lets_a_call_under_way_end(stand: Stand) -> None:
    """While draining the server says NOT_SERVING, and an open call still gets its answer."""
    begun, may_end = asyncio.Event(), asyncio.Event()

    async def answer(request: bytes, _context: Context) -> bytes:
        begun.set()
        await may_end.wait()
        return request

    stand.answer = answer
    assert stand.server is not None
    async with stand.channel() as channel:
        health = health_pb2_grpc.HealthStub(channel)
        state = await health.Check(health_pb2.HealthCheckRequest(), timeout=5)
        assert state.status == health_pb2.HealthCheckResponse.SERVING
        call = asyncio.ensure_future(channel.unary_unary(PATH)(b"last", timeout=10))
        await begun.wait()
        stopping = asyncio.create_task(stand.server.stop(5))
        await asyncio.sleep(0.05)
        may_end.set()

        assert await call == b"last"
    await stopping

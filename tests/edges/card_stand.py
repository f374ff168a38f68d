"""Servers with mutual TLS on loopback, and cards of a trusted authority, for tests of visits."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any, Self

import grpc
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import Encoding
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo
from grpc_status import rpc_status

from gateway.app.build import Credentials
from gateway.app.clock import real_clock
from gateway.card_pki import CardAuthorities
from gateway.config import Tls
from gateway.domain.access import AccessRecord
from gateway.domain.card import CardKey, CardRules
from gateway.domain.errors import Unavailable
from gateway.domain.period import Instant, instant_of, tokyo_time
from gateway.domain.purpose import Role
from gateway.edges.rpc.identity import CertificateIdentity
from gateway.edges.rpc.server import Bounds, Front, Method, build_server
from gateway.pki import Authority, issue_leaf, issue_server_leaf, open_authority
from gateway.policy import published_policy
from gateway.store.memory import MemoryAccesses
from gateway.usecases.challenges import Challenges
from gateway.usecases.visit import Cards
from simulators.cards import (
    ANCHORS_FILE,
    SimulatedCard,
    UserAuthenticationAuthority,
    new_key,
    private_key_der,
)

TODAY = datetime(2026, 11, 25, 3, tzinfo=UTC)
NOW = instant_of(TODAY)
CLINIC = "1319999999"
CODES = {Role.INSTITUTION: CLINIC, Role.INSURER: "06139992"}
LIFETIME_MS = 60_000
PIN, WRONG = "0123", "9999"


@dataclass(frozen=True)
class CardWorld:
    """An authority whose cards count, and cards of it; made once, because keys are slow."""

    folder: Path
    authority: UserAuthenticationAuthority
    certificates: tuple[bytes, ...]
    keys: tuple[RSAPrivateKey, ...]

    @classmethod
    def made(cls, folder: Path, cards: int) -> CardWorld:
        """Make an authority and cards."""
        authority = UserAuthenticationAuthority.open(folder, TODAY)
        keys = tuple(new_key() for _ in range(cards))
        certificates = tuple(
            authority.issue(key.public_key(), TODAY).public_bytes(Encoding.DER) for key in keys
        )
        return cls(folder, authority, certificates, keys)

    def chip(self, path: Path, place: int = 0) -> SimulatedCard:
        """A card with all its tries, in a file."""
        key = private_key_der(self.keys[place])
        return SimulatedCard.create(path, self.certificates[place], key, PIN)

    def authorities(self) -> CardAuthorities:
        """Who is trusted."""
        return CardAuthorities.load(self.folder / ANCHORS_FILE)

    def card_key(self, place: int = 0) -> CardKey:
        """The gateway's key of a card."""
        return self.authorities()._certificate(self.certificates[place]).card.card_key


class Recorder(MemoryAccesses):
    """Records in a list, unless the disk is full."""

    is_full = False

    async def record(self, record: AccessRecord) -> str:
        """Remember a record."""
        if self.is_full:
            raise Unavailable("STORE_UNAVAILABLE")
        return await super().record(record)

    def seen(self) -> list[tuple[str, str, tuple[bytes, ...]]]:
        """Outcome, detail and people of each record."""
        return [(one.outcome, one.detail, one.people) for one in self.records]


@dataclass
class CardHouse:
    """What a service of cards is built from, with a clock a test can move."""

    folder: Path
    world: CardWorld
    pki: Authority
    now: Instant = NOW
    accesses: Recorder = field(default_factory=Recorder)
    address: str = ""

    @classmethod
    def at(cls, folder: Path, world: CardWorld) -> Self:
        """Issue the server's certificate."""
        # The handshake looks at the machine's clock, whatever the house's says.
        today = tokyo_time(real_clock())
        pki = open_authority(folder, "test CA", today)
        issue_server_leaf(pki, today, 30, ("127.0.0.1",)).write(folder / "gateway")
        return cls(folder, world, pki)

    def cards(self, open_max: int = 100) -> Cards:
        """What believes cards; challenges are numbered."""
        numbers = count(1)
        challenges = Challenges(
            LIFETIME_MS,
            open_max,
            a_caller_max=open_max,
            new_challenge=lambda: next(numbers).to_bytes(32),
        )
        return Cards(challenges, self.world.authorities().genuine, CardRules())

    @asynccontextmanager
    async def serving(self, methods: Sequence[Method]) -> AsyncIterator[None]:
        """Serve methods while the block runs."""
        gateway = self.folder / "gateway"
        tls = Tls(gateway / "certificate.pem", gateway / "key.pem", self.folder / "ca.pem")
        credentials = Credentials(tls)
        front = Front(
            CertificateIdentity(credentials.revocations),
            self.accesses,
            lambda: self.now,
            lambda: b"key-of-a-bug----",
            16_000,
            published_policy().version,
        )
        server = build_server(front, tuple(methods), Bounds(100_000, 100, is_port_shared=False))
        port = server.server.add_secure_port("127.0.0.1:0", credentials.server())
        self.address = f"127.0.0.1:{port}"
        await server.start()
        try:
            yield
        finally:
            await server.stop(0)

    def party(self, role: Role, code: str = "") -> dict[str, Path]:
        """Certificate, key and CA of a caller, issued if there is none."""
        leaf = self.folder / f"{role.value}-{code}"
        if not leaf.exists():
            said = code or CODES.get(role, f"{role.value}-1")
            issue_leaf(self.pki, role, said, tokyo_time(real_clock()), 30).write(leaf)
        return {
            "certificate": leaf / "certificate.pem",
            "key": leaf / "key.pem",
            "ca": self.folder / "ca.pem",
        }

    def channel(self, role: Role = Role.INSTITUTION, code: str = "") -> grpc.aio.Channel:
        """Connect as a caller."""
        party = self.party(role, code)
        credentials = grpc.ssl_channel_credentials(
            *(party[name].read_bytes() for name in ("ca", "key", "certificate"))
        )
        options = (("grpc.use_local_subchannel_pool", 1),)
        return grpc.aio.secure_channel(self.address, credentials, options)


@dataclass(frozen=True)
class Refused:
    """A refusal as a caller reads it."""

    status: str
    reason: str
    field: str = ""
    metadata: tuple[tuple[str, str], ...] = ()


async def refused(call: Awaitable[Any]) -> Refused:
    """Make a call that must be refused, and read all of the refusal."""
    try:
        await call
    except grpc.aio.AioRpcError as error:
        status = rpc_status.from_call(error)
        reason, named, metadata = "", "", {}
        for detail in status.details if status else ():
            info, request = ErrorInfo(), BadRequest()
            if detail.Unpack(info):
                reason, metadata = info.reason, dict(info.metadata)
            elif detail.Unpack(request):
                named = request.field_violations[0].field
        return Refused(error.code().name, reason, named, tuple(sorted(metadata.items())))
    raise AssertionError("it was answered")

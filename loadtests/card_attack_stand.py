"""
Where the attacks of `loadtests.card_attack_cases` are made: cards with their keys, and sessions.

A challenge lives in one worker process. Which one a connection reached, its access records tell:
their ids begin with the process's life. What was recorded is read from the segments of the log.
"""

from __future__ import annotations

from collections.abc import Awaitable
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import Any, Final

import grpc
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from google.rpc.error_details_pb2 import ErrorInfo
from grpc_status import rpc_status

from gateway.app.certificates import AUTHORITY_NAME
from gateway.app.clock import real_clock
from gateway.app.sandbox import Sandbox, read_description
from gateway.domain.access import AccessRecord
from gateway.domain.card import CardProof, HolderCheck, HolderCheckResult
from gateway.domain.identifiers import with_check_digit
from gateway.domain.period import TOKYO, tokyo_time
from gateway.domain.purpose import Role
from gateway.pki import issue_leaf, open_authority
from gateway.store.access_log import lives_in, records_of
from gateway.v1 import card_pb2
from gateway.v1.card_pb2_grpc import CardReaderServiceStub
from gateway.v1.person_pb2_grpc import PersonServiceStub
from gateway.v1.resident_register_pb2 import IssueCardRequest
from gateway.v1.resident_register_pb2_grpc import ResidentRegisterSimulationServiceStub
from loadtests.places import CHANNEL
from simulators.cards import SimulatedCard
from simulators.channel import secure_channel
from simulators.reader import PortalVisitor, Reader

DEADLINE_S: Final = 20
OTHER_INSTITUTION: Final = with_check_digit("131999998")
"""Made up, like the sandbox's own."""
LEAF_DAYS: Final = 30
CONNECTIONS_MAX: Final = 40
"""Connections opened to reach a certain worker of two: one more than fair coins will ever need."""


NOBODY, HOLDER, OTHERS = "-", "holder", "OTHERS"
"""Whom a record names: no one, the cardholder alone, or anybody else."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What came back, what was recorded of it, and about whom."""

    status: str
    reason: str
    record: str = ""
    named: str = NOBODY


@dataclass(frozen=True, slots=True)
class Holder:
    """A card with the key that a real one never lets out."""

    chip: SimulatedCard
    key: RSAPrivateKey = field(repr=False)
    pin: str = field(repr=False)

    @property
    def wrong_pin(self) -> str:
        """Another PIN."""
        return f"{(int(self.pin) + 1) % 10_000:04}"

    @property
    def last_day(self) -> date:
        """The last day of the certificate in Japan, included."""
        certificate = x509.load_der_x509_certificate(self.chip.certificate)
        return certificate.not_valid_after_utc.astimezone(TOKYO).date()

    def proof(self, challenge: bytes, **how: Any) -> card_pb2.CardProof:
        """Prove by sight, or as told."""
        return self.chip.prove(challenge, how.pop("check", HolderCheck.VISUAL), **how)


@dataclass(slots=True)
class Session:
    """One connection, and the worker it reached."""

    channel: grpc.aio.Channel
    life: str = ""

    @property
    def reader(self) -> Reader:
        """A card reader on it."""
        return Reader(self.channel)

    @property
    def portal(self) -> PortalVisitor:
        """A person at the portal on it."""
        return PortalVisitor(self.channel)

    @property
    def cards(self) -> Any:
        """The bare service, for what no reader would send."""
        return CardReaderServiceStub(self.channel)

    @property
    def person(self) -> Any:
        """The portal's bare service."""
        return PersonServiceStub(self.channel)


class AttackStand:
    """A running sandbox as an attacker meets it."""

    def __init__(self, sandbox: Sandbox, address: str) -> None:
        self.sandbox = sandbox
        self._address = address
        self._open: list[grpc.aio.Channel] = []
        self._count = 0

    async def close(self) -> None:
        """Close every connection."""
        for channel in self._open:
            await channel.close()

    def connect(self, party: str) -> Session:
        """Open a connection of its own."""
        folder = self.sandbox.certificates
        key, chain = (
            (folder / party / name).read_bytes() for name in ("key.pem", "certificate.pem")
        )
        credentials = grpc.ssl_channel_credentials((folder / "ca.pem").read_bytes(), key, chain)
        channel = grpc.aio.secure_channel(self._address, credentials, CHANNEL)
        self._open.append(channel)
        return Session(channel)

    def found_institution(self) -> str:
        """Issue a certificate for a second institution and give its party's name."""
        folder = self.sandbox.certificates
        now = tokyo_time(real_clock())
        authority = open_authority(folder, AUTHORITY_NAME, now)
        leaf = issue_leaf(authority, Role.INSTITUTION, OTHER_INSTITUTION, now, LEAF_DAYS)
        leaf.write(folder / "institution-other")
        return "institution-other"

    async def session(self, party: str, holder: Holder, *, on: str = "", off: str = "") -> Session:
        """
        Connect until a worker is met: the one of a life, or another one than of a life.

        Raises:
            RuntimeError: If it was never met.
        """
        for _ in range(CONNECTIONS_MAX):
            session = self.connect(party)
            answer = await session.reader.visit(holder.chip, HolderCheck.VISUAL)
            session.life = answer.confirmation.access_record_id.rpartition("-")[0]
            if session.life != off and on in ("", session.life):
                return session
            await session.channel.close()
        raise RuntimeError("a worker was never reached")

    async def issue(self, resident: str, folder: Path) -> Holder:
        """Have a card issued; the one before is revoked."""
        register = read_description(self.sandbox.root)["register"]
        party = {name: Path(register[name]) for name in ("certificate", "key", "ca")}
        async with secure_channel(register["address"], **party) as channel:
            stub = ResidentRegisterSimulationServiceStub(channel)
            issued = await stub.IssueCard(
                IssueCardRequest(resident_id=resident), timeout=DEADLINE_S
            )
        self._count += 1
        key = serialization.load_der_private_key(issued.private_key, None)
        assert isinstance(key, RSAPrivateKey)
        path = folder / f"{self._count}.card"
        chip = SimulatedCard.create(path, issued.certificate, issued.private_key, issued.pin)
        return Holder(chip, key, issued.pin)

    def records(self) -> dict[str, AccessRecord]:
        """Every access record by its id."""
        access = self.sandbox.data.access
        return {
            name: record for life in lives_in(access) for name, record in records_of(access / life)
        }

    async def person_of(self, session: Session, holder: Holder) -> bytes:
        """The gateway's key of a cardholder, as the record of a good visit names it."""
        answer = await session.reader.visit(holder.chip, HolderCheck.VISUAL)
        (person,) = self.records()[answer.confirmation.access_record_id].people
        return person

    async def seen(self, call: Awaitable[Any], person: bytes) -> Seen:
        """Make a call, say how it ended and what was recorded meanwhile, and about whom."""
        before = self.records().keys()
        status, reason = await _ended(call)
        records = [one for name, one in self.records().items() if name not in before]
        spelled = ", ".join(f"{one.outcome} {one.detail}".strip() for one in records)
        people = {key for one in records for key in one.people}
        named = OTHERS if people - {person} else HOLDER if people else NOBODY
        return Seen(status, reason, spelled, named)


async def _ended(call: Awaitable[Any]) -> tuple[str, str]:
    """The status of a call, and the reason of its refusal or the short of its answer."""
    try:
        answer = await call
    except grpc.aio.AioRpcError as error:
        status, info = rpc_status.from_call(error), ErrorInfo()
        details = status.details if status is not None else ()
        found = [info.reason for detail in details if detail.Unpack(info)]
        return error.code().name, found[0] if found else ""
    if isinstance(answer, card_pb2.ConfirmByCardResponse):
        state = card_pb2.CertificateState.Name(answer.certificate_state)
        return "OK", f"{answer.confirmation.validity} {state.removeprefix('CERTIFICATE_STATE_')}"
    return "OK", ""


def signed(proof: card_pb2.CardProof, key: RSAPrivateKey, **changes: Any) -> card_pb2.CardProof:
    """A proof with changes, signed by a key as a card would sign it."""
    said = changed(proof, **changes)
    spelled = CardProof(
        challenge=said.challenge,
        certificate=said.certificate,
        holder_check=HolderCheck(said.holder_check),
        result=HolderCheckResult(said.result),
        face_score=said.face_score,
        pin_tries_left=said.pin_tries_left,
        signature=b"",
    ).signed()
    return changed(said, signature=key.sign(spelled, PKCS1v15(), SHA256()))


def changed(proof: card_pb2.CardProof, **changes: Any) -> card_pb2.CardProof:
    """A proof with changes and the signature it had."""
    said = card_pb2.CardProof()
    said.CopyFrom(proof)
    for name, value in changes.items():
        setattr(said, name, value)
    return said


def certified_anew(certificate: bytes, key: RSAPrivateKey) -> bytes:
    """The same certificate, names and key ids included, but signed by another authority's key."""
    read = x509.load_der_x509_certificate(certificate)
    tbs = read.tbs_certificate_bytes
    return certificate.replace(read.signature, key.sign(tbs, PKCS1v15(), SHA256()))


def days_until(today: date, day: date) -> int:
    """How many days there are from one day to another."""
    return (day - today) // timedelta(days=1)

"""The gateway's own call to the resident register, against the simulated register it will meet."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import grpc
import msgspec
import pytest
import pytest_asyncio

from gateway.app.clock import real_clock
from gateway.config import load_settings
from gateway.domain.coverage import Sex
from gateway.domain.errors import Unavailable
from gateway.domain.individual_number import IndividualNumber
from gateway.domain.period import tokyo_time
from gateway.domain.purpose import Role
from gateway.domain.residents import Finding, FiveItems
from gateway.edges.residents import GrpcResidentRegister
from gateway.pki import Authority, issue_leaf, issue_server_leaf, open_authority
from gateway.usecases.residents import CHECKS_AT_ONCE_MAX, Asked
from gateway.v1 import resident_register_pb2 as pb
from gateway.v1.resident_register_pb2_grpc import ResidentRegisterSimulationServiceStub
from loadtests.places import free_port
from simulators.channel import secure_channel
from simulators.resident_register import CHECKS_MAX, serve
from tests.usecases.registration import NUMBERS

ANN, BOB, UNKNOWN = (IndividualNumber.parse(number) for number in NUMBERS)
ITEMS = FiveItems("見本　杏", "ﾐﾎﾝ ｱﾝ", date(1988, 2, 29), Sex.FEMALE, "見本県架空市1番地")
ROWS = (
    {
        "ids": ["ann"],
        "individual_number": NUMBERS[0],
        "name": "見本　杏",
        "name_kana": "ミホン　アン",
        "birth_date": "19880229",
        "sex": 2,
        "address": "見本県架空市１番地",
    },
    {
        "ids": ["bob"],
        "individual_number": NUMBERS[1],
        "name": "見本　太郎",
        "name_kana": "ミホン　タロウ",
        "birth_date": "20200401",
        "sex": 3,
    },
)


@dataclass
class Stand:
    """A served register, and the way to it."""

    folder: Path
    port: int
    pki: Authority

    @asynccontextmanager
    async def channel(self, role: Role = Role.OPERATOR) -> AsyncIterator[grpc.aio.Channel]:
        """Connect as a role."""
        leaf = self.folder / role.value
        if not leaf.exists():
            code = {Role.INSTITUTION: "1319999999"}.get(role, "party-1")
            issue_leaf(self.pki, role, code, tokyo_time(real_clock()), 30).write(leaf)
        async with secure_channel(
            f"127.0.0.1:{self.port}",
            self.folder / "ca.pem",
            leaf / "certificate.pem",
            leaf / "key.pem",
        ) as channel:
            yield channel

    async def findings(self, *asked: Asked) -> list[Finding]:
        """Ask."""
        async with self.channel() as channel:
            return list(await GrpcResidentRegister(channel).findings(asked))

    async def set_away(self) -> None:
        """Make the register refuse every question."""
        async with self.channel() as channel:
            stub = ResidentRegisterSimulationServiceStub(channel)
            await stub.SetConditions(pb.SetConditionsRequest(is_away=True))

    async def issue(self, resident_id: str) -> bytes:
        """Have a card issued and give its certificate."""
        async with self.channel() as channel:
            stub = ResidentRegisterSimulationServiceStub(channel)
            issued = await stub.IssueCard(pb.IssueCardRequest(resident_id=resident_id))
        certificate: bytes = issued.certificate
        return certificate


@pytest_asyncio.fixture
async def stand(tmp_path: Path) -> AsyncIterator[Stand]:
    """A register of two residents, served in this process."""
    now = tokyo_time(real_clock())
    pki = open_authority(tmp_path, "test CA", now)
    issue_server_leaf(pki, now, 30, ("127.0.0.1",)).write(tmp_path / "server")
    lines = "".join(json.dumps(row) + "\n" for row in ROWS)
    (tmp_path / "residents.jsonl").write_text(lines, encoding="utf-8")
    config = {
        "certificate": "server/certificate.pem",
        "key": "server/key.pem",
        "ca": "ca.pem",
        "residents": "residents.jsonl",
        "authority": "authority",
    }
    (tmp_path / "register.json").write_text(json.dumps(config))
    made = Stand(tmp_path, free_port(), pki)
    stop = asyncio.Event()
    serving = asyncio.create_task(serve(tmp_path, made.port, stop))
    async with made.channel() as channel:
        await asyncio.wait_for(channel.channel_ready(), 20)
    yield made
    stop.set()
    await serving


async def reason(call: Awaitable[object]) -> str:
    """Why a call is refused as one to try again; the sentence names no number."""
    with pytest.raises(Unavailable) as refused:
        await call
    assert not any(number in str(refused.value) for number in NUMBERS)
    assert refused.value.__cause__ is None
    return refused.value.reason


def with_(**changes: Any) -> FiveItems:
    """What an insurer registered of Ann, but for some items."""
    return msgspec.structs.replace(ITEMS, **changes)


async def test_findings_come_in_the_order_asked(stand: Stand) -> None:
    """Each item by itself, as the simulated register judges it; an unknown number says no more."""
    found = await stand.findings(
        Asked(ANN, ITEMS),
        Asked(ANN, with_(name="別人")),
        Asked(ANN, with_(name_kana="ベツジン")),
        Asked(UNKNOWN, ITEMS),
        Asked(ANN, with_(birth_date=date(1988, 2, 28))),
        Asked(ANN, with_(sex=Sex.MALE)),
        Asked(ANN, with_(address="見本県架空市2番地")),
        Asked(ANN, with_(address="")),
    )
    assert found == [
        Finding(is_known=True),
        Finding(is_known=True, is_name_different=True),
        Finding(is_known=True, is_name_kana_different=True),
        Finding(is_known=False),
        Finding(is_known=True, is_birth_date_different=True),
        Finding(is_known=True, is_sex_different=True),
        Finding(is_known=True, is_address_different=True),
        Finding(is_known=True),
    ]


@pytest.mark.parametrize(
    ("number", "different"), [(ANN, {Sex.MALE}), (BOB, {Sex.MALE, Sex.FEMALE})]
)
async def test_every_sex_has_its_code(
    stand: Stand, number: IndividualNumber, different: set[Sex]
) -> None:
    """The one the register holds agrees, and one that is not set says nothing."""
    found = await stand.findings(*(Asked(number, with_(sex=sex)) for sex in Sex))
    assert different == {sex for sex, one in zip(Sex, found, strict=True) if one.is_sex_different}


async def test_a_full_question_fits(stand: Stand) -> None:
    """What the gateway asks at once, the register takes."""
    found = await stand.findings(*[Asked(ANN, ITEMS)] * CHECKS_AT_ONCE_MAX)
    assert CHECKS_AT_ONCE_MAX <= CHECKS_MAX
    assert found == [Finding(is_known=True)] * CHECKS_AT_ONCE_MAX


async def test_a_card_has_the_holder_it_was_issued_to(stand: Stand) -> None:
    """A replaced card and a certificate of nobody's have none."""
    first, other = await stand.issue("ann"), await stand.issue("bob")
    second = await stand.issue("ann")
    async with stand.channel() as channel:
        register = GrpcResidentRegister(channel)
        holders = [
            await register.holder_of(certificate)
            for certificate in (first, other, second, b"no certificate")
        ]
    assert holders == [None, BOB, ANN, None]


async def test_a_register_that_is_away_is_to_be_asked_again(stand: Stand) -> None:
    """Both questions are refused alike."""
    await stand.set_away()
    async with stand.channel() as channel:
        register = GrpcResidentRegister(channel)
        seen = [
            await reason(register.findings([Asked(ANN, ITEMS)])),
            await reason(register.holder_of(b"certificate")),
        ]
    assert seen == ["RESIDENT_REGISTER_UNAVAILABLE"] * 2


async def test_a_register_that_does_not_know_the_gateway_is_unavailable(stand: Stand) -> None:
    """It is the operator's to mend; no number was linked meanwhile."""
    async with stand.channel(Role.INSTITUTION) as channel:
        seen = await reason(GrpcResidentRegister(channel).findings([Asked(ANN, ITEMS)]))
    assert seen == "RESIDENT_REGISTER_UNAVAILABLE"


async def test_a_register_that_is_not_there_is_unavailable(stand: Stand) -> None:
    """Nobody listens."""
    nowhere = Stand(stand.folder, free_port(), stand.pki)
    async with nowhere.channel() as channel:
        seen = await reason(GrpcResidentRegister(channel).holder_of(b"certificate"))
    assert seen == "RESIDENT_REGISTER_UNAVAILABLE"


async def test_an_answer_about_fewer_people_than_asked_is_none(
    stand: Stand, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody's finding is taken for somebody else's."""

    class Short:
        """A register that leaves one out."""

        async def CheckResidents(  # noqa: N802  the contract's name
            self, request: pb.CheckResidentsRequest, **_: object
        ) -> pb.CheckResidentsResponse:
            return pb.CheckResidentsResponse(
                findings=[pb.ResidentFinding(is_known=True)] * (len(request.checks) - 1)
            )

    async with stand.channel() as channel:
        register = GrpcResidentRegister(channel)
        monkeypatch.setattr(register, "_stub", Short())
        seen = await reason(register.findings([Asked(ANN, ITEMS), Asked(BOB, ITEMS)]))
    assert seen == "RESIDENT_REGISTER_UNAVAILABLE"


async def test_a_holder_who_has_no_number_is_no_answer(
    stand: Stand, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Twelve digits that check, or nothing; what came is not repeated."""

    class Garbled:
        """A register that says something else."""

        async def FindHolder(  # noqa: N802  the contract's name
            self, request: pb.FindHolderRequest, **_: object
        ) -> pb.FindHolderResponse:
            return pb.FindHolderResponse(individual_number="123456789012")

    async with stand.channel() as channel:
        register = GrpcResidentRegister(channel)
        monkeypatch.setattr(register, "_stub", Garbled())
        with pytest.raises(Unavailable, match="RESIDENT_REGISTER_UNAVAILABLE") as refused:
            await register.holder_of(b"certificate")
    assert "123456789012" not in str(refused.value)


def settings_with(folder: Path, address: str, *lines: str) -> Path:
    """Settings of a gateway with a register somewhere."""
    tls = 'certificate = "c.pem"\nkey = "k.pem"\nca = "ca.pem"\n'
    path = folder / "gateway.toml"
    path.write_text(
        f'data_dir = "data"\n[tls]\n{tls}[resident_register]\naddress = "{address}"\n'
        + "".join(f"{line}\n" for line in lines)
        + f"[resident_register.tls]\n{tls}"
    )
    return path


@pytest.mark.parametrize(
    "address",
    [
        "192.0.2.1:443",
        "register.example:443",
        "localhost.example:443",
        "127.0.0.1.example:443",
        "0.0.0.0:443",
        "[2001:db8::1]:443",
        "127.0.0.1",
        "dns:127.0.0.1:443",
        "dns:///127.0.0.1:443",
        "",
    ],
)
def test_settings_refuse_a_register_that_is_not_on_loopback(tmp_path: Path, address: str) -> None:
    """The one call out of the house stays on the machine."""
    with pytest.raises(msgspec.ValidationError, match="loopback"):
        load_settings(settings_with(tmp_path, address))


@pytest.mark.parametrize("address", ["127.0.0.1:50051", "[::1]:50051", "localhost:50051"])
def test_settings_accept_a_register_on_loopback(tmp_path: Path, address: str) -> None:
    """By either address or by name."""
    register = load_settings(settings_with(tmp_path, address)).resident_register
    assert register is not None
    assert address == register.address
    assert register.is_address_compared is True


def test_an_operator_may_let_the_call_leave_loopback(tmp_path: Path) -> None:
    """Only by saying so."""
    path = settings_with(tmp_path, "192.0.2.1:443", "may_leave_loopback = true")
    register = load_settings(path).resident_register
    assert register is not None
    assert register.address == "192.0.2.1:443"

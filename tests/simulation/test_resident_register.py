"""The simulated resident register: comparing, issuing, remembering; a process with mutual TLS."""

from __future__ import annotations

import asyncio
import json
import signal
import stat
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from google.type import date_pb2

from gateway.app.clock import SandboxClock, real_clock
from gateway.card_pki import CardAuthorities
from gateway.domain.card import HolderCheck
from gateway.domain.period import tokyo_time
from gateway.domain.purpose import Role
from gateway.pki import issue_leaf, issue_server_leaf, open_authority
from gateway.v1 import resident_register_pb2 as pb
from gateway.v1 import resident_register_pb2_grpc as pb_grpc
from gateway.v1.types_pb2 import SEX_FEMALE, SEX_MALE
from loadtests.places import free_port
from simulators import resident_book
from simulators.cards import SimulatedCard, UserAuthenticationAuthority, new_key
from simulators.channel import secure_channel
from simulators.resident_book import Config, JsonLines, Register, Resident, is_alike
from simulators.resident_register import CHECKS_MAX, RESIDENTS_ADDED_MAX
from tests.simulation.test_cards import CHALLENGE, parsed

ANN, BOB, CEC, UNKNOWN = "100000000001", "100000000002", "100000000003", "199999999999"
ROWS: list[dict[str, Any]] = [
    {
        "ids": ["ann", "ann-again"],
        "individual_number": ANN,
        "name": "髙橋　杏",
        "name_kana": "タカハシ　アン",
        "birth_date": "1988-02-29",
        "sex": 2,
        "address": "架空県架空市１－２－３",
    },
    {
        "ids": ["bob"],
        "individual_number": BOB,
        "name": "試験　太郎",
        "name_kana": "シケン　タロウ",
        "birth_date": "20200401",
        "sex": 1,
    },
]
CONFIG = Config(
    "server/certificate.pem", "server/key.pem", "ca.pem", "residents.jsonl", "authority"
)
TIMEOUT_S = 30


@dataclass
class Stand:
    """A register's folder and, once started, its process."""

    folder: Path
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the process and wait until it serves."""
        self.process = subprocess.Popen(
            [
                *(sys.executable, "-m", "simulators.resident_register"),
                *(str(self.folder), str(self.port)),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == b"ready\n"

    def stop(self, how: signal.Signals | None = signal.SIGTERM) -> tuple[int, bytes]:
        """End it by a signal, or by ending its input; give its code and all it said."""
        assert self.process is not None
        if how is not None:
            self.process.send_signal(how)
        out, err = self.process.communicate(timeout=TIMEOUT_S)
        return self.process.returncode, out + err

    @asynccontextmanager
    async def channel(self, party: str = "operator") -> AsyncIterator[grpc.aio.Channel]:
        """Connect as a party."""
        leaf = self.folder / party
        channel = secure_channel(
            f"127.0.0.1:{self.port}",
            self.folder / "ca.pem",
            leaf / "certificate.pem",
            leaf / "key.pem",
        )
        async with channel:
            yield channel


def prepared(folder: Path) -> Stand:
    """A folder with certificates for server, operator and a stranger, and two residents."""
    now = tokyo_time(real_clock())
    authority = open_authority(folder, "test CA", now)
    issue_server_leaf(authority, now, 30, ("127.0.0.1",)).write(folder / "server")
    issue_leaf(authority, Role.OPERATOR, "gateway-1", now, 30).write(folder / "operator")
    issue_leaf(authority, Role.INSTITUTION, "1319999999", now, 30).write(folder / "institution")
    lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in ROWS)
    (folder / "residents.jsonl").write_text(lines, encoding="utf-8")
    config = {name: getattr(CONFIG, name) for name in ("certificate", "key", "ca", "residents")}
    (folder / "register.json").write_text(json.dumps(config | {"authority": "authority"}))
    return Stand(folder)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stand]:
    """A register that serves."""
    stand = prepared(tmp_path_factory.mktemp("register"))
    stand.start()
    yield stand
    assert stand.stop()[0] == 0


def five(**changes: Any) -> pb.FiveItems:
    """What an insurer registered of Ann, but for what a test changes."""
    items: dict[str, Any] = {
        "name": "高橋 杏",
        "name_kana": "ﾀｶﾊｼ ｱﾝ",
        "birth_date": date_pb2.Date(year=1988, month=2, day=29),
        "sex": SEX_FEMALE,
        "address": "",
    }
    return pb.FiveItems(**{**items, **changes})


def check(number: str = ANN, **changes: Any) -> pb.ResidentCheck:
    """A question about a person."""
    return pb.ResidentCheck(individual_number=number, registered=five(**changes))


def differences(finding: pb.ResidentFinding) -> set[str]:
    """Which items a finding calls different."""
    assert finding.is_known
    return {
        name
        for name in ("name", "name_kana", "birth_date", "sex", "address")
        if getattr(finding, f"is_{name}_different")
    }


@pytest.fixture(scope="module")
def register(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Register]:
    """A register without a process."""
    folder = prepared(tmp_path_factory.mktemp("in-process")).folder
    with closing(Register(folder, CONFIG)) as register:
        yield register


@pytest.mark.parametrize(
    ("held", "said", "is_same"),
    [
        ("髙橋　杏", "高橋 杏", True),
        ("試験太郎", "試験　太郎", True),
        ("𠮷田", "吉田", True),
        ("葛\U000e0100城", "葛城", True),
        ("ＪＯＨＮ", "JOHN", True),
        ("ショウジ", "シヨウジ", True),
        ("っぽイ", "ツポイ", True),
        ("ガク", "ｶﾞｸ", True),
        ("架空市１－２", "架空市1-2", True),
        ("渡邉", "渡●", True),
        ("渡●", "渡邉", True),
        ("渡邉", "●●", False),
        ("渡邉", "●", False),
        ("渡邉", "渡", False),
        ("カキ", "ガキ", False),
        ("ショウジ", "ショージ", False),
        ("", "渡", False),
        ("", "", True),
    ],
)
def test_spelling_does_not_make_another_person(*, held: str, said: str, is_same: bool) -> None:
    """Width, blanks, variants, small kana and one ● do not count; anything else does."""
    assert is_same is is_alike(held, said)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, set()),
        ({"name": "高橋 案"}, {"name"}),
        ({"name_kana": "タカハシ"}, {"name_kana"}),
        ({"birth_date": date_pb2.Date(year=1988, month=2, day=28)}, {"birth_date"}),
        ({"birth_date": None}, {"birth_date"}),
        ({"sex": SEX_MALE}, {"sex"}),
        ({"address": "架空県架空市1-2-3"}, set()),
        ({"address": "架空県架空市1-2-4"}, {"address"}),
        ({"name": "", "sex": 0}, {"name", "sex"}),
    ],
)
def test_each_item_is_compared_by_itself(
    register: Register, changes: dict[str, Any], expected: set[str]
) -> None:
    """A finding says which items differ; an address nobody registered is not compared."""
    assert expected == differences(register.finding(check(**changes), 0))


def test_of_an_unknown_number_nothing_else_is_said(register: Register) -> None:
    """Not even that everything differs."""
    assert pb.ResidentFinding() == register.finding(check(UNKNOWN), 1_000)


def test_planted_mismatches_are_the_same_at_each_asking(register: Register) -> None:
    """The share decides whose birth date differs; a larger share only adds people."""
    numbers = [f"2{place:011}" for place in range(2_000)]
    few, many = (
        {number for number in numbers if register._draw(number) < share} for share in (100, 200)
    )

    assert few < many
    assert 140 < len(few) < 260
    assert differences(register.finding(check(), 1_000)) == {"birth_date"}
    assert differences(register.finding(check(), 0)) == set()


def test_the_seed_decides_who_is_planted(register: Register, tmp_path: Path) -> None:
    """Another seed plants others."""
    other = prepared(tmp_path)
    config = Config(CONFIG.certificate, CONFIG.key, CONFIG.ca, CONFIG.residents, "a", seed=1)
    with closing(Register(other.folder, config)) as seeded:
        numbers = [f"2{place:011}" for place in range(20)]
        assert [register._draw(one) for one in numbers] != [seeded._draw(one) for one in numbers]


@pytest.mark.parametrize(
    "change",
    [
        {"individual_number": "１００００００００００１"},
        {"individual_number": "10000000001"},
        {"sex": 0},
        {"sex": 4},
        {"birth_date": "1988-02-30"},
        {"birth_date": "0000-00-00"},
        {"name": "あ" * 301},
        {"ids": ("x" * 301,)},
    ],
)
def test_a_resident_out_of_form_is_refused_without_a_word_of_it(change: dict[str, Any]) -> None:
    """The error says what is missing and shows no value."""
    with pytest.raises(ValueError, match="resident") as refused:
        Resident(**{**ROWS[0], "ids": ("x",), **change})

    assert not any(str(value) in str(refused.value) for value in change.values() if value)


def test_a_bad_line_stops_the_start_and_only_its_place_is_told(tmp_path: Path) -> None:
    """No number stands in the error."""
    stand = prepared(tmp_path)
    with (tmp_path / "residents.jsonl").open("a") as lines:
        lines.write(json.dumps(ROWS[0] | {"sex": ANN}) + "\n")
    with pytest.raises(ValueError, match="line 3") as refused:
        Register(stand.folder, CONFIG)

    assert ANN not in str(refused.value)
    assert refused.value.__cause__ is None


def test_lines_survive_and_a_cut_off_one_goes(tmp_path: Path) -> None:
    """What `append` returned from is there; half a line of a crash does not spoil the next."""
    path = tmp_path / "lines.jsonl"
    resident = Resident(**{**ROWS[0], "ids": ("x",)})
    with closing(JsonLines(path)) as lines:
        lines.append([resident])
    with path.open("ab") as file:
        file.write(b'{"ids":["half')
    with closing(JsonLines(path)) as lines:
        assert len(lines.lines) == 1
        lines.append([resident, resident])
    with closing(JsonLines(path)) as lines:
        assert len(lines.lines) == 3

    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_failed_append_leaves_no_half_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What failed is overwritten by what comes next."""
    resident = Resident(**{**ROWS[0], "ids": ("x",)})

    def fail(_file: int) -> None:
        raise OSError("the disk is full")

    with closing(JsonLines(tmp_path / "lines.jsonl")) as lines:
        with monkeypatch.context() as patched:
            patched.setattr("simulators.resident_book.os.fsync", fail)
            with pytest.raises(OSError, match="full"):
                lines.append([resident, resident, resident])
        lines.append([resident])
    with closing(JsonLines(tmp_path / "lines.jsonl")) as lines:
        assert len(lines.lines) == 1


def test_the_register_is_full_at_its_limit(
    register: Register, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is added over it."""
    monkeypatch.setattr(resident_book, "RESIDENTS_MAX", 3)
    with pytest.raises(OverflowError):
        register.add([Resident(**{**ROWS[0], "ids": ("one-more",)})])

    assert register.number_of("one-more") is None


async def test_a_card_is_good_until_another_replaces_it(register: Register, tmp_path: Path) -> None:
    """The second card revokes the first: at the gateway by list, at the register at once."""
    folder = register._folder
    now = real_clock()
    first, second = await register.issue(ANN), await register.issue(ANN)
    cards = [
        SimulatedCard.create(tmp_path / str(place), one.certificate, one.private_key, one.pin)
        for place, one in enumerate((first, second))
    ]
    proofs = [
        parsed(card.prove(CHALLENGE, HolderCheck.PIN, pin=one.pin))
        for card, one in zip(cards, (first, second), strict=True)
    ]
    authorities = CardAuthorities.load(folder / "anchors.pem", folder / "revoked.pem")
    assert [authorities.genuine(proof, now).is_revoked for proof in proofs] == [True, False]
    assert [register.holder(one.certificate) for one in (first, second)] == ["", ANN]


async def test_a_foreign_or_garbled_certificate_is_nobodys(
    register: Register, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither an unknown serial number, nor a known one under a foreign authority, nor bytes."""
    now = tokyo_time(real_clock())
    key = new_key().public_key()
    card = await register.issue(BOB)
    serial = x509.load_der_x509_certificate(card.certificate).serial_number
    unknown = register._authority.issue(key, now)
    monkeypatch.setattr(x509, "random_serial_number", lambda: serial)
    foreign = UserAuthenticationAuthority.make(now).issue(key, now)
    asked = [one.public_bytes(Encoding.DER) for one in (unknown, foreign)] + [b"", b"\x30\x00"]

    assert register.holder(card.certificate) == BOB
    assert [register.holder(certificate) for certificate in asked] == [""] * 4


async def test_cards_are_issued_at_the_sandbox_time(tmp_path: Path) -> None:
    """Where the sandbox's clock was moved on, a new card is good for five years from there."""
    stand = prepared(tmp_path)
    config = Config(*(getattr(CONFIG, name) for name in CONFIG.__struct_fields__[:5]), "clock")
    with closing(Register(stand.folder, config)) as register:
        assert abs((register.now() - tokyo_time(real_clock())).total_seconds()) < 60
        with closing(SandboxClock(tmp_path / "clock")) as clock:
            clock.advance(tokyo_time(real_clock()).replace(year=2040) - tokyo_time(real_clock()))
        issued = x509.load_der_x509_certificate((await register.issue(BOB)).certificate)

    assert issued.not_valid_after_utc.year == 2045


@pytest.mark.processes
async def test_the_gateway_asks_and_is_answered_in_order(served: Stand) -> None:
    """Known, unknown and different residents, by their places."""
    async with served.channel() as channel:
        answer = await pb_grpc.ResidentRegisterServiceStub(channel).CheckResidents(
            pb.CheckResidentsRequest(checks=[check(), check(UNKNOWN), check(name="別人")])
        )

    assert [finding.is_known for finding in answer.findings] == [True, False, True]
    assert differences(answer.findings[2]) == {"name"}


@pytest.mark.processes
async def test_only_operators_get_in(served: Stand) -> None:
    """An institution's certificate opens none of the five methods."""
    async with served.channel("institution") as channel:
        asks = pb_grpc.ResidentRegisterServiceStub(channel)
        sets = pb_grpc.ResidentRegisterSimulationServiceStub(channel)
        calls = [
            asks.CheckResidents(pb.CheckResidentsRequest()),
            asks.FindHolder(pb.FindHolderRequest()),
            sets.SetConditions(pb.SetConditionsRequest(is_away=True)),
            sets.AddResidents(pb.AddResidentsRequest()),
            sets.IssueCard(pb.IssueCardRequest(resident_id="ann")),
        ]
        for call in calls:
            assert await status(call) is grpc.StatusCode.PERMISSION_DENIED


async def status(call: Any) -> grpc.StatusCode:
    """How a call ends."""
    code: grpc.StatusCode = await call.code()
    return code


@pytest.mark.processes
async def test_nobody_gets_in_without_a_certificate(served: Stand) -> None:
    """The handshake fails."""
    credentials = grpc.ssl_channel_credentials((served.folder / "ca.pem").read_bytes())
    async with grpc.aio.secure_channel(f"127.0.0.1:{served.port}", credentials) as channel:
        call = pb_grpc.ResidentRegisterServiceStub(channel).FindHolder(pb.FindHolderRequest())
        assert await status(call) is grpc.StatusCode.UNAVAILABLE


@pytest.mark.processes
async def test_sizes_and_conditions_are_bounded(served: Stand) -> None:
    """One more than allowed is refused, and so are conditions that cannot be."""
    async with served.channel() as channel:
        asks = pb_grpc.ResidentRegisterServiceStub(channel)
        sets = pb_grpc.ResidentRegisterSimulationServiceStub(channel)
        many = [pb.ResidentCheck()] * (CHECKS_MAX + 1)
        crowd = [pb.Resident()] * (RESIDENTS_ADDED_MAX + 1)
        calls = [
            asks.CheckResidents(pb.CheckResidentsRequest(checks=many)),
            sets.AddResidents(pb.AddResidentsRequest(residents=crowd)),
            sets.AddResidents(pb.AddResidentsRequest(residents=[pb.Resident()])),
            sets.SetConditions(pb.SetConditionsRequest(delay_ms=-1)),
            sets.SetConditions(pb.SetConditionsRequest(delay_spread_ms=60_001)),
            sets.SetConditions(pb.SetConditionsRequest(mismatch_per_mille=1_001)),
        ]
        for call in calls:
            assert await status(call) is grpc.StatusCode.INVALID_ARGUMENT
        answer = await asks.CheckResidents(pb.CheckResidentsRequest(checks=many[1:]))
        nobody = sets.IssueCard(pb.IssueCardRequest(resident_id="nobody"))

        assert len(answer.findings) == CHECKS_MAX
        assert await status(nobody) is grpc.StatusCode.NOT_FOUND


@pytest.mark.processes
async def test_conditions_hold_from_the_next_call_on(served: Stand) -> None:
    """Slow, wrong, away, and well again; while it is away it can still be told to come back."""
    async with served.channel() as channel:
        asks = pb_grpc.ResidentRegisterServiceStub(channel)
        sets = pb_grpc.ResidentRegisterSimulationServiceStub(channel)
        question = pb.CheckResidentsRequest(checks=[check()])
        await sets.SetConditions(
            pb.SetConditionsRequest(delay_ms=150, delay_spread_ms=10, mismatch_per_mille=1_000)
        )
        began = time.monotonic()
        answer = await asks.CheckResidents(question)
        assert time.monotonic() - began >= 0.15
        assert differences(answer.findings[0]) == {"birth_date"}

        await sets.SetConditions(pb.SetConditionsRequest(is_away=True))
        assert await status(asks.CheckResidents(question)) is grpc.StatusCode.UNAVAILABLE
        assert await status(asks.FindHolder(pb.FindHolderRequest())) is grpc.StatusCode.UNAVAILABLE

        await sets.SetConditions(pb.SetConditionsRequest())
        assert differences((await asks.CheckResidents(question)).findings[0]) == set()


@pytest.mark.processes
async def test_residents_and_cards_survive_a_kill(tmp_path: Path) -> None:
    """What was answered is there after kill -9, and no My Number was ever said."""
    stand = prepared(tmp_path)
    stand.start()
    async with stand.channel() as channel:
        sets = pb_grpc.ResidentRegisterSimulationServiceStub(channel)
        resident = pb.Resident(resident_id="cec", individual_number=CEC, items=five())
        await sets.AddResidents(pb.AddResidentsRequest(residents=[resident]))
        moved = pb.Resident(resident_id="ann", individual_number=ANN, items=five(name="別　杏"))
        await sets.AddResidents(pb.AddResidentsRequest(residents=[moved]))
        ids = ("ann", "ann-again", "cec")
        old, new, other = await asyncio.gather(
            *(sets.IssueCard(pb.IssueCardRequest(resident_id=one)) for one in ids)
        )
    _, said = stand.stop(signal.SIGKILL)
    assert not any(number.encode() in said for number in (ANN, BOB, CEC))

    stand.start()
    async with stand.channel() as channel:
        asks = pb_grpc.ResidentRegisterServiceStub(channel)
        holders = [
            (await asks.FindHolder(pb.FindHolderRequest(certificate=one))).individual_number
            for one in (old.certificate, new.certificate, other.certificate)
        ]
        answer = await asks.CheckResidents(
            pb.CheckResidentsRequest(checks=[check(CEC), check(name="別杏"), check()])
        )

    assert sorted(holders[:2]) == ["", ANN]
    assert holders[2] == CEC
    assert [set(), set(), {"name"}] == [differences(finding) for finding in answer.findings]
    code, said = stand.stop(None)
    assert (code, said) == (0, b"")


@pytest.mark.processes
def test_the_register_ends_on_interrupt(tmp_path: Path) -> None:
    """SIGINT ends it as SIGTERM and the end of its input do."""
    stand = prepared(tmp_path)
    stand.start()

    assert stand.stop(signal.SIGINT) == (0, b"")

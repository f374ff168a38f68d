"""ClaimService on a real server, and the command that sorts what comes back."""

from __future__ import annotations

import asyncio
import csv
import json
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

import grpc
import pytest
import pytest_asyncio
from google.rpc.error_details_pb2 import ErrorInfo
from grpc_status import rpc_status

from gateway.app.build import Credentials
from gateway.app.claims import ClaimsChecked, check_file, table_of
from gateway.app.clock import real_clock
from gateway.config import Tls
from gateway.domain.coverage import Coverage, Relationship, Sex
from gateway.domain.errors import InvalidInput, TooMuch, Unavailable
from gateway.domain.identifiers import EnrolleeKey, InsuredId
from gateway.domain.period import Instant, tokyo_time
from gateway.domain.purpose import Role
from gateway.domain.reassignment import ReassignmentRules
from gateway.edges.rpc.claims import ClaimLimits, ClaimService, is_writable
from gateway.edges.rpc.identity import CertificateIdentity
from gateway.edges.rpc.server import Bounds, Front, RpcServer, build_server
from gateway.formats.uke import UkeClaim, UkeItem, UkeLimits, UkeReader, UkeTotal
from gateway.pki import Authority, issue_leaf, issue_server_leaf, open_authority
from gateway.policy import published_policy
from gateway.store.memory import MemoryAccesses, MemoryStore
from gateway.store.port import Batch, NewLink, NewVersion, UploadKey
from gateway.usecases.check_claims import Checking, CheckLimits
from gateway.usecases.context import Caller, Context
from gateway.usecases.door import Door
from gateway.v1 import claims_pb2 as pb
from gateway.v1.claims_pb2_grpc import ClaimServiceStub
from tests.domain.covers import ASSISTANCE, BORN, NATIONAL, SOCIETY, cover, key

NOW = Instant(1_777_766_400_000_000)
TODAY = tokyo_time(real_clock())
"""Certificates live by the real clock, which TLS looks at."""
CHUNK_BYTES_MAX = 100_000
FILE_BYTES_MAX = 100_000_000
IDLE_S = 0.5
LAST_YEAR, FIRST = date(2025, 4, 1), date(2026, 4, 1)
CODES = {Role.INSTITUTION: "1319999999", Role.INSURER: SOCIETY}


def record(kind: str, count: int, **cells: object) -> bytes:
    """A record of so many fields; `f3` is the third after the kind."""
    fields = [kind, *([""] * (count - 1))]
    for name, value in cells.items():
        fields[int(name[1:])] = str(value)
    return ",".join(fields).encode("cp932") + b"\r\n"


def claim(number: int, of: InsuredId, points: int = 100, **re: object) -> bytes:
    """A claim of one visit on the 6th, with SN, JD and MF."""
    head = {"f2": 1112, "f3": "202604", "f4": "見本　甲", "f5": 2, "f6": "19840229"} | re
    return b"".join(
        (
            record("RE", 38, f1=number, **head),
            record(
                "HO",
                15,
                f1=of.insurer_number.space_padded,
                f2=of.symbol,
                f3=of.number,
                f4=1,
                f5=points,
            ),
            record("SN", 9, f1=1, f2="01", f6=of.branch or ""),
            record("JD", 33, f1=1, f7=1),
            record("MF", 33, f1="00"),
            record("SY", 8, f1="8830417", f2="20260406", f3=1),
            record("SI", 44, f1=12, f2=1, f3="112007410", f5=points, f6=1, f18=1),
        )
    )


HEADER = record("IR", 10, f1=1, f2=13, f3=1, f4="9999999", f6="架空医院", f7=202605, f8="00")


def file(claims: Iterable[bytes], points: int) -> bytes:
    """A whole file."""
    body = list(claims)
    return b"".join((HEADER, *body, f"GO,{len(body)},{points},99\r\n".encode(), b"\x1a"))


def card(number: str, branch: str = "01", insurer: str = SOCIETY) -> InsuredId:
    """What a card shows."""
    return InsuredId.parse(insurer, "記号", number, branch)


HELD, LOST, CHANGED, NOBODY = card("１"), card("２"), card("３"), card("４")
NEW_CARD = card("９", insurer=NATIONAL)
ELSEWHERE = card("８", insurer=NATIONAL)


@dataclass
class Stand:
    """A served ClaimService over a store in memory, and a description as a sandbox writes."""

    folder: Path
    authority: Authority
    credentials: Credentials
    accesses: MemoryAccesses = field(default_factory=MemoryAccesses)
    store: MemoryStore = field(default_factory=lambda: MemoryStore(lambda _: b""))
    server: RpcServer | None = None
    port: int = 0

    def service(self, file_bytes_max: int) -> ClaimService:
        """What is under test."""
        return ClaimService(
            Checking(
                self.store,
                Door(published_policy(), self.accesses),
                ReassignmentRules(),
                CheckLimits(16, 8),
                is_writable,
            ),
            lambda: NOW,
            ClaimLimits(CHUNK_BYTES_MAX, file_bytes_max, IDLE_S),
            UkeLimits(),
        )

    async def start(self) -> None:
        """Serve."""
        policy = published_policy()
        service = self.service(FILE_BYTES_MAX)
        front = Front(
            CertificateIdentity(self.credentials.revocations),
            self.accesses,
            lambda: NOW,
            lambda: b"key-of-a-bug----",
            1_000,
            policy.version,
        )
        bounds = Bounds(CHUNK_BYTES_MAX + 4_096, 100, is_port_shared=False)
        self.server = build_server(front, service.methods(), bounds)
        self.port = self.server.server.add_secure_port("127.0.0.1:0", self.credentials.server())
        await self.server.start()
        self._describe()

    def _describe(self) -> None:
        self._leaf(Role.REVIEW_BODY)
        folder = self.folder / Role.REVIEW_BODY.value
        party = {
            "certificate": str(folder / "certificate.pem"),
            "key": str(folder / "key.pem"),
            "ca": str(self.folder / "ca.pem"),
        }
        described = {
            "address": f"127.0.0.1:{self.port}",
            "certificates": {"review-body": party},
        }
        (self.folder / "sandbox.json").write_text(json.dumps(described), "utf-8")

    def _leaf(self, role: Role) -> Path:
        folder = self.folder / role.value
        if not folder.exists():
            issue_leaf(self.authority, role, CODES.get(role, "party-1"), TODAY, 30).write(folder)
        return folder

    def channel(self, role: Role = Role.REVIEW_BODY) -> grpc.aio.Channel:
        """Connect with a leaf issued for a role."""
        folder = self._leaf(role)
        credentials = grpc.ssl_channel_credentials(
            (self.folder / "ca.pem").read_bytes(),
            (folder / "key.pem").read_bytes(),
            (folder / "certificate.pem").read_bytes(),
        )
        return grpc.aio.secure_channel(f"127.0.0.1:{self.port}", credentials)

    async def register(self, name: str, *covers: Coverage) -> None:
        """Remember covers of a person, each of another enrollee."""
        batch = Batch(NOW)
        for place, made in enumerate(covers):
            enrollee = EnrolleeKey(f"{name}-{place}".encode().ljust(16, b"."))
            insurer = made.insured_id.insurer_number
            batch.versions.append(NewVersion(enrollee, insurer, made, UploadKey(b"u" * 16), 1))
            batch.links.append(NewLink(enrollee, key(name), is_numbered=True, replaces=None))
        await self.store.commit(batch)
        history = self.store._people(Instant(2**62))[key(name)]
        await self.store.commit(Batch(NOW, histories=[history]))

    async def ask(
        self, *messages: pb.CheckClaimsRequest, role: Role = Role.REVIEW_BODY
    ) -> list[pb.CheckClaimsResponse]:
        """Send messages and give all answers."""
        async with self.channel(role) as channel:
            call = ClaimServiceStub(channel).CheckClaims(iter(messages), timeout=20)
            return [answer async for answer in call]

    async def refusal(
        self, *messages: pb.CheckClaimsRequest, role: Role = Role.REVIEW_BODY
    ) -> tuple[str, str]:
        """Send messages and give the status and the reason of the refusal."""
        with pytest.raises(grpc.aio.AioRpcError) as seen:
            await self.ask(*messages, role=role)
        status, info = rpc_status.from_call(seen.value), ErrorInfo()
        for detail in status.details if status else ():
            if detail.Unpack(info):
                break
        return seen.value.code().name, info.reason


def own(of: InsuredId, start: date, end: date | None = None, **items: Any) -> Coverage:
    """A cover of an insured person."""
    return cover(
        start,
        end,
        of=of,
        recorded_time=NOW,
        relationship=Relationship.SELF,
        birth_date=BORN,
        sex=Sex.FEMALE,
        **items,
    )


@pytest_asyncio.fixture
async def stand(tmp_path: Path) -> AsyncIterator[Stand]:
    """A served stand that knows a few people."""
    folder = tmp_path / "sandbox"
    authority = open_authority(folder, "test CA", TODAY)
    issue_server_leaf(authority, TODAY, 30, ("127.0.0.1",)).write(folder / "gateway")
    gateway = folder / "gateway"
    tls = Tls(gateway / "certificate.pem", gateway / "key.pem", folder / "ca.pem")
    made = Stand(folder, authority, Credentials(tls))
    await made.register("held", own(HELD, LAST_YEAR))
    await made.register("lost", own(LOST, LAST_YEAR, FIRST))
    await made.register("changed", own(CHANGED, LAST_YEAR, FIRST), own(NEW_CARD, FIRST))
    await made.start()
    yield made
    assert made.server is not None
    await made.server.stop(0)


def chunk(data: bytes) -> pb.CheckClaimsRequest:
    """A message with bytes of the file."""
    return pb.CheckClaimsRequest(chunk=pb.ClaimFileChunk(data=data))


FINISH = pb.CheckClaimsRequest(finish=pb.ClaimFileFinish())

CLAIMS = (
    claim(1, HELD),
    claim(2, LOST, 200),
    claim(3, CHANGED, 400),
    claim(4, NOBODY, 800),
    claim(5, card("１", branch="07"), 1_600),
)
FILE = file(CLAIMS, 3_100)


def outcomes(answers: Iterable[pb.CheckClaimsResponse]) -> list[pb.ClaimOutcome]:
    """The outcomes among answers."""
    return [one.outcome for one in answers if one.WhichOneof("step") == "outcome"]


def read(data: bytes) -> list[UkeItem]:
    """The items of a file."""
    reader = UkeReader()
    return [*reader.feed(data), *reader.finish()]


async def test_each_claim_gets_its_code_in_order(stand: Stand) -> None:
    """Header, one outcome a claim in the file's order, then the summary."""
    answers = await stand.ask(chunk(FILE), FINISH)

    steps = [one.WhichOneof("step") for one in answers]
    assert steps == ["header", *["outcome"] * 5, "summary"]
    assert answers[0].header.record == HEADER
    assert [(one.claim_number, one.check_code, one.reason) for one in outcomes(answers)] == [
        (1, "02", "COVER_HOLDS"),
        (2, "06", "NO_OTHER_COVER"),
        (3, "04", "OTHER_COVER_HOLDS"),
        (4, "03", "NOBODY_MATCHES"),
        (5, "09", "BRANCH_WRONG"),
    ]
    counts = {one.check_code: one.claims for one in answers[-1].summary.counts}
    assert counts == {"02": 1, "03": 1, "04": 1, "06": 1, "09": 1}


async def test_untouched_claim_comes_back_byte_for_byte(stand: Stand) -> None:
    """With 02 nothing changes; with 03 and 06 nothing but the check code (claims-furikae.md 6)."""
    told = outcomes(await stand.ask(chunk(FILE), FINISH))

    assert told[0].records == CLAIMS[0]
    assert told[1].records == CLAIMS[1].replace(b"SN,1,01,", b"SN,1,06,")
    assert told[3].records == CLAIMS[3].replace(b"SN,1,01,", b"SN,1,03,")
    assert told[4].records == CLAIMS[4].replace(b"SN,1,01,,,,07", b"SN,1,09,,,,01")


async def test_moved_claim_keeps_what_is_not_identity(stand: Stand) -> None:
    """Points, days, name and birth date stay; the insurer and the benefit are the new ones."""
    told = outcomes(await stand.ask(chunk(FILE), FINISH))[2]
    before, after = (
        next(item for item in read(file([data], 400)) if isinstance(item, UkeClaim)).claim
        for data in (CLAIMS[2], told.records)
    )

    assert before is not None
    assert after is not None
    assert (told.is_moved, told.written_insurer_number, told.insurer_number) == (
        True,
        SOCIETY,
        NATIONAL,
    )
    assert after.insured_id == NEW_CARD
    assert after.benefit_percent == 70
    for kept in ("points", "birth_date", "recorded_days", "detail_days"):
        assert getattr(before, kept) == getattr(after, kept)
    old, new = (data.split(b"\r\n")[:2] for data in (CLAIMS[2], told.records))
    assert old[0].split(b",")[4] == new[0].split(b",")[4]
    assert old[1].split(b",")[4:] == new[1].split(b",")[4:]


async def test_every_decided_claim_has_its_access_record(stand: Stand) -> None:
    """One record a claim, named in its outcome, with the purpose and the people (KP4-R-01)."""
    told = outcomes(await stand.ask(chunk(FILE), FINISH))

    assert [one.access_record_id for one in told] == [f"memory-{place}" for place in range(1, 6)]
    assert [(one.purpose, one.detail, one.people) for one in stand.accesses.records] == [
        ("KP4-R-01", "02", (key("held"),)),
        ("KP4-R-01", "06", (key("lost"),)),
        ("KP4-R-01", "04", (key("changed"),)),
        ("KP4-R-01", "03", ()),
        ("KP4-R-01", "09", (key("held"),)),
    ]
    assert [len(one.decided_by) for one in told] == [1, 1, 2, 0, 1]


@pytest.mark.parametrize("size", [1, 7, 1_000])
async def test_file_may_be_cut_anywhere(stand: Stand, size: int) -> None:
    """However the bytes are cut, after an empty first message too, the answers are the same."""
    whole = await stand.ask(chunk(FILE), FINISH)
    stand.accesses.records.clear()
    pieces = [chunk(FILE[at : at + size]) for at in range(0, len(FILE), size)]

    assert whole == await stand.ask(pb.CheckClaimsRequest(), *pieces, FINISH)


async def test_claim_with_errors_is_told_and_the_rest_goes_on(stand: Stand) -> None:
    """What cannot be read names line, record, field and advice, and nobody is looked at for it."""
    wrong = claim(2, LOST, f6="19841399")
    told = outcomes(await stand.ask(chunk(file([CLAIMS[0], wrong, CLAIMS[2]], 600)), FINISH))

    assert [one.check_code for one in told] == ["02", "", "04"]
    (error,) = told[1].errors
    assert (error.line_number, error.record, error.field, error.reason) == (
        9,
        "RE",
        "生年月日",
        "DATE_WRONG",
    )
    assert error.advice.ja
    assert (told[1].access_record_id, told[1].records) == ("", b"")
    assert len(stand.accesses.records) == 2


async def test_file_errors_stand_in_the_summary(stand: Stand) -> None:
    """A wrong total is told at the end and does not stop the claims."""
    answers = await stand.ask(chunk(file(CLAIMS, 1)), FINISH)

    assert len(outcomes(answers)) == 5
    assert [one.record for one in answers[-1].summary.file_errors] == ["GO"]


@pytest.mark.parametrize("role", [role for role in Role if role is not Role.REVIEW_BODY])
async def test_wrong_role_is_refused(stand: Stand, role: Role) -> None:
    """Only a review body may have claims checked."""
    expected = ("PERMISSION_DENIED", "ROLE_NOT_ALLOWED")
    assert expected == await stand.refusal(role=role)


async def test_chunk_over_the_limit_is_refused(stand: Stand) -> None:
    """A chunk holds at most what its limit says."""
    assert await stand.refusal(chunk(b"x" * (CHUNK_BYTES_MAX + 1))) == (
        "RESOURCE_EXHAUSTED",
        "MESSAGE_TOO_LARGE",
    )


async def test_stream_without_finish_is_refused(stand: Stand) -> None:
    """A file that was cut off is not taken for a whole one."""
    assert await stand.refusal(chunk(FILE)) == ("INVALID_ARGUMENT", "FIELD_REQUIRED")


async def test_silent_sender_is_refused(stand: Stand) -> None:
    """A stream that says nothing for so long ends."""

    async def requests() -> AsyncIterator[pb.CheckClaimsRequest]:
        yield chunk(HEADER)
        await asyncio.sleep(20 * IDLE_S)

    async with stand.channel() as channel:
        with pytest.raises(grpc.aio.AioRpcError) as seen:
            async for _ in ClaimServiceStub(channel).CheckClaims(requests(), timeout=10):
                pass
    assert grpc.StatusCode.INVALID_ARGUMENT is seen.value.code()


CONTEXT = Context(Caller(Role.REVIEW_BODY, "party-1"), NOW, "gateway.v1.ClaimService/CheckClaims")


async def endless(data: bytes) -> AsyncIterator[bytes]:
    """Chunks that never end."""
    while True:
        await asyncio.sleep(0.001)
        yield chunk(data).SerializeToString()


@pytest.mark.parametrize("data", [b"x" * 1_000, b"\x1a\r\n", b"RE,1\r\n"])
async def test_bytes_of_a_file_are_bounded(stand: Stand, data: bytes) -> None:
    """A stream ends in time, also one of which nothing comes any more."""
    with pytest.raises(TooMuch, match="MESSAGE_TOO_LARGE"):
        async for _ in stand.service(5_000).check_claims(endless(data), CONTEXT):
            pass


async def test_empty_chunks_are_silence(stand: Stand) -> None:
    """Who sends empty chunks is not kept waiting for longer than who sends none."""
    with pytest.raises(InvalidInput, match="FIELD_REQUIRED"):
        async for _ in stand.service(5_000).check_claims(endless(b""), CONTEXT):
            pass


async def test_empty_chunk_does_no_harm(stand: Stand) -> None:
    """A file may be sent with empty chunks in it."""
    whole = await stand.ask(chunk(FILE), FINISH)
    stand.accesses.records.clear()
    assert whole == await stand.ask(chunk(b""), chunk(FILE), chunk(b""), FINISH)


async def test_retirees_claim_gets_the_type_of_its_new_insurer(stand: Stand) -> None:
    """Moved away from insurance for retirees (67), a claim is no longer 14xx."""
    old, new = card("５", insurer="67138016"), card("６", insurer="01130012")
    await stand.register("retired", own(old, LAST_YEAR, FIRST), own(new, FIRST))

    data = claim(1, old, f2=1412, f7=70)
    (told,) = outcomes(await stand.ask(chunk(file([data], 100)), FINISH))

    assert (told.check_code, told.insurer_number) == ("04", "01130012")
    assert told.records.startswith(b"RE,1,1112,")


async def test_class_is_corrected_whatever_the_registered_spelling(stand: Stand) -> None:
    """The insurer stays, so its symbol need not be spelled anew."""
    registered = InsuredId.parse(SOCIETY, "12\N{HYPHEN BULLET}3", "5", "01")
    await stand.register("hyphen", own(registered, LAST_YEAR))

    data = claim(1, InsuredId.parse(SOCIETY, "12-3", "5", "01"), f2=1116)
    (told,) = outcomes(await stand.ask(chunk(file([data], 100)), FINISH))

    assert (told.check_code, told.reason) == ("04", "FAMILY_CLASS_WRONG")
    assert f"HO,{SOCIETY},12-3,5,".encode() in told.records


async def test_empty_message_within_a_file_is_refused(stand: Stand) -> None:
    """Only the first message may say nothing."""
    assert await stand.refusal(chunk(HEADER), pb.CheckClaimsRequest()) == (
        "INVALID_ARGUMENT",
        "MESSAGE_MALFORMED",
    )


async def test_reader_that_does_not_read_is_not_read_from(stand: Stand) -> None:
    """Back-pressure: while outcomes are not taken, the server stops checking and reading."""
    many = [claim(number, HELD) for number in range(1, 60_001)]
    data = file(many, 6_000_000)
    sent = 0

    async def requests() -> AsyncIterator[pb.CheckClaimsRequest]:
        nonlocal sent
        for at in range(0, len(data), CHUNK_BYTES_MAX):
            sent += 1
            yield chunk(data[at : at + CHUNK_BYTES_MAX])
        yield FINISH

    chunks = -(-len(data) // CHUNK_BYTES_MAX)
    async with stand.channel() as channel:
        call = ClaimServiceStub(channel).CheckClaims(requests(), timeout=60)
        await call.read()
        checked = -1
        while checked != len(stand.accesses.records):
            checked = len(stand.accesses.records)
            await asyncio.sleep(0.5)
        assert checked < len(many) / 2
        assert sent < chunks / 2
        call.cancel()


# The command


def names_in(folder: Path) -> list[str]:
    """What stands in a folder."""
    return sorted(path.name for path in folder.iterdir())


async def test_command_sorts_claims_by_insurer(stand: Stand, tmp_path: Path) -> None:
    """Billed claims have their totals, moved ones 0 and 0; the summary names no person."""
    source, out = tmp_path / "RECEIPTC.UKE", tmp_path / "deep" / "out"
    source.write_bytes(FILE)

    checked = await check_file(source, out, stand.folder)

    counts = {"02": 1, "03": 1, "04": 1, "06": 1, "09": 1}
    assert checked == ClaimsChecked(counts)
    assert sorted(str(path.relative_to(out)) for path in out.rglob("*") if path.is_file()) == [
        f"billed/{SOCIETY}/RECEIPTC.UKE",
        "errors.csv",
        f"moved/{NATIONAL}/RECEIPTC.UKE",
        "summary.csv",
    ]
    billed = read((out / "billed" / SOCIETY / "RECEIPTC.UKE").read_bytes())
    moved = read((out / "moved" / NATIONAL / "RECEIPTC.UKE").read_bytes())
    assert [item.number for item in billed if isinstance(item, UkeClaim)] == [1, 2, 4, 5]
    assert [item.number for item in moved if isinstance(item, UkeClaim)] == [3]
    assert [(t.claims, t.points) for t in (billed[-1], moved[-1]) if isinstance(t, UkeTotal)] == [
        (4, 2_700),
        (0, 0),
    ]
    with (out / "summary.csv").open(encoding="utf-8-sig", newline="") as lines:
        rows = list(csv.reader(lines))
    assert rows[3][:6] == ["16", "3", "04", "OTHER_COVER_HOLDS", SOCIETY, NATIONAL]
    text = (out / "summary.csv").read_text("utf-8")
    assert [said for said in ("見本", "記号,", "１", "３", "19840229") if said in text] == []
    assert names_in(out.parent) == ["out"]


async def test_command_bills_everything_but_what_moves_byte_for_byte(
    stand: Stand, tmp_path: Path
) -> None:
    """A file in which all holds comes back as it went, but for its GO of one volume."""
    source, out = tmp_path / "RECEIPTC.UKE", tmp_path / "out"
    data = file([claim(1, HELD), claim(2, HELD)], 200)
    source.write_bytes(data)

    await check_file(source, out, stand.folder)

    assert data == (out / "billed" / SOCIETY / "RECEIPTC.UKE").read_bytes()


async def test_command_lists_errors(stand: Stand, tmp_path: Path) -> None:
    """Errors of claims and of the file stand in errors.csv, with advice and without a value."""
    source, out = tmp_path / "RECEIPTC.UKE", tmp_path / "out"
    source.write_bytes(file([CLAIMS[0], claim(2, LOST, f6="19841399")], 1))

    checked = await check_file(source, out, stand.folder)

    assert (checked.counts, checked.claims_with_errors, checked.file_errors) == ({"02": 1}, 1, 1)
    with (out / "errors.csv").open(encoding="utf-8-sig", newline="") as lines:
        rows = list(csv.reader(lines))
    assert rows[1][:5] == ["9", "2", "RE", "生年月日", "DATE_WRONG"]
    assert rows[2][1:3] == ["", "GO"]
    assert all(row[5] and row[6] for row in rows[1:])


async def test_command_keeps_public_expense_and_unknown_insurers_apart(
    stand: Stand, tmp_path: Path
) -> None:
    """A claim without an insurer has a folder of its own, and so has 不詳."""
    payer = record("KO", 12, f1=ASSISTANCE, f2="0000018", f4=1, f5=100)
    lines = claim(1, HELD, f2=1212).splitlines(keepends=True)
    public = b"".join((lines[0], payer, *lines[5:]))
    unknown = claim(2, HELD).replace(SOCIETY.encode(), b"77777777")
    source, out = tmp_path / "RECEIPTC.UKE", tmp_path / "out"
    source.write_bytes(file([public, unknown], 200))

    checked = await check_file(source, out, stand.folder)

    assert checked.counts == {"02": 1, "03": 1}
    assert names_in(out / "billed") == ["77777777", "public-expense"]


async def test_command_refuses_a_folder_that_holds_something(stand: Stand, tmp_path: Path) -> None:
    """Nothing is overwritten, and nothing is looked at."""
    source, out = tmp_path / "RECEIPTC.UKE", tmp_path / "out"
    source.write_bytes(FILE)
    out.mkdir()
    (out / "kept").write_text("kept", "utf-8")

    checked = await check_file(source, out, stand.folder)

    assert checked.refusal.endswith("holds something.")
    assert not stand.accesses.records


async def test_command_leaves_nothing_when_refused(stand: Stand, tmp_path: Path) -> None:
    """Without a header nothing can be billed: one sentence, and no folder."""
    source, out = tmp_path / "RECEIPTC.UKE", tmp_path / "out"
    source.write_bytes(FILE.removeprefix(HEADER))

    checked = await check_file(source, out, stand.folder)

    assert checked.refusal == "The file has no header (IR) that can be read."
    assert names_in(tmp_path) == ["RECEIPTC.UKE", "sandbox"]


@pytest.mark.parametrize("missing", ["sandbox", "file"])
async def test_command_says_what_is_missing(stand: Stand, tmp_path: Path, missing: str) -> None:
    """A sandbox that is not running and a file that is not there are one sentence each."""
    source = tmp_path / "RECEIPTC.UKE"
    directory = stand.folder
    if missing == "sandbox":
        source.write_bytes(FILE)
        directory = tmp_path
    checked = await check_file(source, tmp_path / "out", directory)
    expected = {"sandbox": "No sandbox is running", "file": "is not a file."}
    assert expected[missing] in checked.refusal


async def test_command_gives_the_gateways_sentence(stand: Stand, tmp_path: Path) -> None:
    """What the gateway refuses is told as it says it."""
    source = tmp_path / "RECEIPTC.UKE"
    source.write_bytes(FILE + b" " * 400_000)
    checked = await check_file(source, tmp_path / "out", stand.folder)
    assert checked.refusal
    assert not (tmp_path / "out").exists()


async def test_command_says_that_the_file_cannot_be_read(stand: Stand, tmp_path: Path) -> None:
    """An error while reading names the file read, not the folder written."""
    source = Path("/proc/self/mem")

    checked = await check_file(source, tmp_path / "out", stand.folder)

    assert checked.refusal.startswith(f"{source} cannot be read: ")
    assert names_in(tmp_path) == ["sandbox"]


async def test_command_says_that_the_file_cannot_be_opened(
    stand: Stand, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither does an error while opening it."""
    source = tmp_path / "RECEIPTC.UKE"
    source.write_bytes(FILE)
    usual = Path.open

    def refusing(path: Path, *said: Any, **more: Any) -> Any:
        if path == source:
            raise PermissionError(13, "Permission denied")
        return usual(path, *said, **more)

    monkeypatch.setattr(Path, "open", refusing)
    checked = await check_file(source, tmp_path / "out", stand.folder)

    assert checked.refusal == f"{source} cannot be read: Permission denied."
    assert names_in(tmp_path) == ["RECEIPTC.UKE", "sandbox"]


GONE = "The gateway went away before it had checked the whole file; nothing was written."


async def until_it_checks(stand: Stand, checking: asyncio.Task[ClaimsChecked]) -> None:
    """Wait until a hundred claims of a file are checked and more are to come."""
    while len(stand.accesses.records) < 100:
        done, _ = await asyncio.wait({checking}, timeout=0.01)
        assert not done


async def test_command_says_that_the_gateway_went_away(
    stand: Stand, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A gateway that ends in the middle is one plain sentence, and nothing is left."""
    monkeypatch.setattr("gateway.app.claims.CHUNK_BYTES", 64 * 1024)
    source = tmp_path / "RECEIPTC.UKE"
    source.write_bytes(file([claim(number, HELD) for number in range(1, 20_001)], 2_000_000))

    checking = asyncio.create_task(check_file(source, tmp_path / "out", stand.folder))
    await until_it_checks(stand, checking)
    assert stand.server is not None
    await stand.server.server.stop(0)

    assert (await checking).refusal == GONE
    assert names_in(tmp_path) == ["RECEIPTC.UKE", "sandbox"]


async def test_command_gives_the_sentence_of_a_gateway_without_its_store(
    stand: Stand, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A gateway that answers that it cannot has not gone away."""

    async def away(*_: object) -> None:
        raise Unavailable("STORE_UNAVAILABLE")

    monkeypatch.setattr(stand.store, "matching", away)
    source = tmp_path / "RECEIPTC.UKE"
    source.write_bytes(FILE)

    checked = await check_file(source, tmp_path / "out", stand.folder)

    assert checked.refusal not in ("", GONE)


async def test_command_does_not_wait_for_a_gateway_that_hangs(
    stand: Stand, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A gateway that falls silent without closing is given up."""
    monkeypatch.setattr("gateway.app.claims.SILENCE_S_MAX", 0.5)

    async def hanging(*_: object) -> None:
        await asyncio.sleep(20)

    monkeypatch.setattr(stand.store, "matching", hanging)
    source = tmp_path / "RECEIPTC.UKE"
    source.write_bytes(FILE)

    async with asyncio.timeout(10):
        checked = await check_file(source, tmp_path / "out", stand.folder)

    assert checked.refusal == GONE
    assert names_in(tmp_path) == ["RECEIPTC.UKE", "sandbox"]


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"address": "a", "certificates": {}}', "\xff"])
async def test_command_says_that_the_description_is_broken(
    stand: Stand, tmp_path: Path, text: str
) -> None:
    """A sandbox.json that says something else is one sentence."""
    source = tmp_path / "RECEIPTC.UKE"
    source.write_bytes(FILE)
    (stand.folder / "sandbox.json").write_text(text, "latin-1")

    checked = await check_file(source, tmp_path / "out", stand.folder)

    assert checked.refusal == f"{stand.folder}/sandbox.json cannot be read."


@pytest.mark.parametrize("what", ["no sandbox", "no header", "there is one already"])
async def test_command_leaves_no_folder_it_made(stand: Stand, tmp_path: Path, what: str) -> None:
    """A check that was refused leaves no folder on the way to `out`, but any old one."""
    source = tmp_path / "RECEIPTC.UKE"
    source.write_bytes(FILE.removeprefix(HEADER))
    if what == "there is one already":
        (tmp_path / "deep").mkdir()
    directory = tmp_path / "none" if what == "no sandbox" else stand.folder

    checked = await check_file(source, tmp_path / "deep" / "new" / "out", directory)

    assert checked.refusal
    old = ["deep"] if what == "there is one already" else []
    assert names_in(tmp_path) == ["RECEIPTC.UKE", *old, "sandbox"]
    assert not old or names_in(tmp_path / "deep") == []


def test_table_counts_each_code() -> None:
    """One line a code with its meaning, and what could not be read."""
    lines = table_of(ClaimsChecked({"02": 1_200, "04": 3}, 1, 0)).splitlines()
    assert [line.split()[:2] for line in lines] == [
        ["02", "1,200"],
        ["04", "3"],
        ["-", "1"],
        ["-", "0"],
    ]
    assert "振替" in lines[1]

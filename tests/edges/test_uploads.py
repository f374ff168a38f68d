"""Uploads as messages: dry runs, progress, the pages of refused lines, and whose they are."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
from google.protobuf.message import Message

from gateway.domain.errors import Conflict, InvalidInput, NotFound
from gateway.domain.period import Instant
from gateway.edges.rpc import coverage
from gateway.edges.rpc.coverage import CoverageService
from gateway.usecases.context import Context
from gateway.v1 import coverage_pb2 as pb
from tests.usecases.registration import (
    LIMITS,
    OTHER_INSURER,
    Stand,
    a_file,
    caller,
    new,
    said,
)


def service(stand: Stand) -> CoverageService:
    """The service of a stand."""
    return CoverageService(
        stand.store, stand.vault, stand.desk, stand.door, stand.receiver, stand.applier, 1.0
    )


async def sent(*messages: pb.UploadCoverageRequest) -> AsyncIterator[bytes]:
    """Messages as they come over the wire."""
    for message in messages:
        yield message.SerializeToString()


def start(request_id: str = "r", *, is_dry_run: bool = False) -> pb.UploadCoverageRequest:
    """The message that opens an upload."""
    return pb.UploadCoverageRequest(
        start=pb.UploadStart(request_id=request_id, is_dry_run=is_dry_run)
    )


def chunk(data: bytes, offset: int = 0) -> pb.UploadCoverageRequest:
    """A message with bytes."""
    return pb.UploadCoverageRequest(chunk=pb.UploadChunk(offset=offset, data=data))


def finish(data: bytes, sha256: bytes = b"") -> pb.UploadCoverageRequest:
    """The message that closes a file."""
    return pb.UploadCoverageRequest(finish=pb.UploadFinish(size_bytes=len(data), sha256=sha256))


async def answers(
    stand: Stand, *messages: pb.UploadCoverageRequest, context: Context | None = None
) -> list[pb.UploadCoverageResponse]:
    """What the gateway says in one stream, applying as it goes."""
    stop = asyncio.Event()
    applying = asyncio.create_task(stand.applier.run(stop))
    stream = service(stand).upload_coverage(sent(*messages), context or caller())
    try:
        return [pb.UploadCoverageResponse.FromString(answer) async for answer in stream]
    finally:
        stop.set()
        await applying


async def refused_page(stand: Stand, context: Context | None = None, **wanted: object) -> Message:
    """A page of refused lines."""
    request = pb.ListRefusedLinesRequest(**{"request_id": "r"} | wanted)  # type: ignore[arg-type]
    answer = await service(stand).list_refused_lines(
        request.SerializeToString(), context or caller()
    )
    return pb.ListRefusedLinesResponse.FromString(answer)


async def test_the_stream_tells_lines_and_a_dry_run_says_so() -> None:
    """Received tells the file's lines; the report of a dry run is marked and nothing is stored."""
    stand = Stand()
    data = a_file(new("1"), new("1"), new("2", sex="9"))
    *_, received, report = await answers(
        stand, start(is_dry_run=True), chunk(data), finish(data, hashlib.sha256(data).digest())
    )
    assert received.received.lines_total == 3
    told = report.report
    assert told.is_dry_run
    assert (told.lines_read, told.lines_applied, told.lines_unchanged) == (3, 1, 1)
    assert [line.reason for line in told.refused_lines] == ["CODE_UNKNOWN"]
    assert told.refused_lines[0].advice.technician_en
    assert stand.store.projections == {}
    answer = pb.GetUploadResponse.FromString(
        await service(stand).get_upload(
            pb.GetUploadRequest(request_id="r").SerializeToString(), caller()
        )
    )
    assert (answer.is_dry_run, answer.lines_read, answer.lines_total) == (True, 3, 3)
    assert answer.report == told


async def test_who_waits_is_told_how_far_applying_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """Between received and report come the lines done, of all."""
    monkeypatch.setattr(coverage, "APPLYING_TOLD_S", 0.001)
    stand = Stand(limits=replace(LIMITS, slice_lines_max=1))
    data = a_file(*(new(str(number)) for number in range(1, 60)))
    said_ = await answers(stand, start(), chunk(data), finish(data))
    told = [one.applying for one in said_ if one.HasField("applying")]
    assert told
    assert {one.lines_total for one in told} == {59}
    read = [one.lines_read for one in told]
    assert read == sorted(read)
    assert said_[-1].report.lines_applied == 59


@pytest.mark.parametrize("end", [b"", b"\n"])
async def test_lines_are_counted_over_broken_streams(end: bytes) -> None:
    """Whatever the pieces, each line counts once, a last one without its line end too."""
    stand = Stand()
    data = a_file(new("1"), new("2"), new("3")).removesuffix(b"\r\n") + end
    first, second = len(data) // 3, len(data) // 2
    await answers(stand, start(), chunk(data[:first]))
    await answers(stand, start(), chunk(data[:second]))
    *_, received, report = await answers(stand, start(), chunk(data[first:], first), finish(data))
    assert received.received.lines_total == report.report.lines_read == 3


async def test_another_file_than_its_digest_says_is_refused() -> None:
    """While receiving and once it is applied, whatever bytes were sent."""
    stand = Stand()
    data = a_file(new("1"))
    right, wrong = hashlib.sha256(data).digest(), hashlib.sha256(b"").digest()
    with pytest.raises(Conflict, match="sha256: UPLOAD_DIFFERS"):
        await answers(stand, start(), chunk(data), finish(data, wrong))
    await answers(stand, start(), finish(data, right))
    with pytest.raises(Conflict, match="sha256: UPLOAD_DIFFERS"):
        await answers(stand, start(), finish(data, wrong))
    assert (await answers(stand, start(), finish(data, right)))[-1].HasField("report")


async def test_refused_lines_come_in_pages() -> None:
    """The report is cut; the pages hold every refused line once, in order, with its advice."""
    stand = Stand(limits=replace(LIMITS, refused_lines_reported_max=2))
    data = a_file(*["bad\r\n", new("1")] * 7)
    *_, report = await answers(stand, start(), chunk(data), finish(data))
    assert (len(report.report.refused_lines), report.report.refused_lines_kept) == (2, 7)
    found, token = [], ""
    while True:
        page = await refused_page(stand, page_size=3, page_token=token)
        assert len(page.refused_lines) <= 3
        found += [line.line_number for line in page.refused_lines]
        token = page.next_page_token
        if not token:
            break
    assert found == list(range(2, 16, 2))
    assert page.refused_lines[0].advice == report.report.refused_lines[0].advice


async def test_a_report_tells_when_lines_were_not_kept() -> None:
    """All are counted, so many are kept, and no page gives more."""
    stand = Stand(limits=replace(LIMITS, refused_lines_kept_max=4, slice_lines_max=3))
    data = a_file(*["bad\r\n"] * 9)
    *_, report = await answers(stand, start(), chunk(data), finish(data))
    assert (report.report.lines_refused, report.report.refused_lines_kept) == (9, 4)
    assert len((await refused_page(stand)).refused_lines) == 4


async def test_refused_lines_are_the_senders_alone() -> None:
    """To another insurer the upload does not exist, also under its own id of that name."""
    stand = Stand()
    data = a_file("bad\r\n")
    await answers(stand, start(), chunk(data), finish(data))
    other = caller(OTHER_INSURER)
    with pytest.raises(NotFound, match="UPLOAD_UNKNOWN"):
        await refused_page(stand, other)
    good = a_file(said("CANCEL", insurer_number=OTHER_INSURER.zero_padded))
    await answers(stand, start(), chunk(good), finish(good), context=other)
    reasons = [line.reason for line in (await refused_page(stand, other)).refused_lines]
    assert reasons == ["COVERAGE_UNKNOWN"]


async def test_a_list_whose_time_is_over_is_refused_and_the_report_says_so_by_its_counts() -> None:
    """A list that was disposed of is never told in part; one of an upload without any is empty."""
    stand = Stand()
    bad, good = a_file("bad\r\n"), a_file(new("1"))
    *_, report = await answers(stand, start(), chunk(bad), finish(bad))
    assert len(report.report.refused_lines) == 1
    await answers(stand, start("s"), chunk(good), finish(good))
    stand.store.lines_disposed = Instant(2**62)
    with pytest.raises(Conflict, match="FACTS_DISPOSED"):
        await refused_page(stand)
    assert not (await refused_page(stand, request_id="s")).refused_lines
    *_, again = await answers(stand, start(), chunk(bad), finish(bad))
    assert (again.report.lines_refused, len(again.report.refused_lines)) == (1, 0)


async def test_refused_lines_are_listed_when_all_are_known() -> None:
    """An upload that is still coming, or not applied yet, has no list."""
    stand = Stand()
    data = a_file("bad\r\n")
    await answers(stand, start(), chunk(data[:50]))
    with pytest.raises(Conflict, match="UPLOAD_NOT_APPLIED"):
        await refused_page(stand)
    await stand.receive(data, "r")
    with pytest.raises(Conflict, match="UPLOAD_NOT_APPLIED"):
        await refused_page(stand)


@pytest.mark.parametrize(
    ("wanted", "reason"),
    [
        ({"request_id": "no such"}, "REQUEST_ID_WRONG"),
        ({"page_size": 1_001}, "page_size: FORMAT_WRONG"),
        ({"page_size": -1}, "page_size: FORMAT_WRONG"),
        ({"page_token": "2"}, "page_token: PAGE_TOKEN_WRONG"),
        ({"page_token": "2:sex:CODE_UNKNOWN\n"}, "page_token: PAGE_TOKEN_WRONG"),
        ({"page_token": f"{10**18}:sex:CODE_UNKNOWN"}, "page_token: PAGE_TOKEN_WRONG"),
    ],
)
async def test_a_page_that_cannot_be_is_refused(wanted: dict[str, object], reason: str) -> None:
    """Ids, sizes and tokens have their form."""
    with pytest.raises(InvalidInput, match=reason):
        await refused_page(Stand(), **wanted)

"""The simulated insurer survives broken streams; the simulated clinic exchanges files."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path

import grpc
import pytest

from gateway.v1 import coverage_pb2 as pb
from gateway.v1 import coverage_pb2_grpc
from simulators.clinic import FileEncoding, Folders, ask_by_folder
from simulators.insurer import Patience, UploadBrokenError, resume, upload
from simulators.people import Card

IMPATIENT = Patience(tries_max=4, first_wait_s=0.001)
CARD = Card("00990010", "かくう", "00123", "01")
BIRTH = date(1988, 2, 29)
ON = date(2026, 4, 15)


@dataclass
class Server(coverage_pb2_grpc.CoverageServiceServicer):
    """
    Keeps one upload in memory and breaks the first `breaks` streams.

    A stream breaks when its third chunk comes, or, with `is_silent`, ends without a word before.
    """

    breaks: int = 0
    is_silent: bool = False
    refusal: tuple[grpc.StatusCode, str] | None = None
    data: bytearray = field(default_factory=bytearray)
    offsets: list[list[int]] = field(default_factory=list)
    is_applied: bool = False

    async def UploadCoverage(self, request_iterator, context):  # noqa: ANN001, ANN201, N802
        """Take one stream."""
        self.offsets.append([])
        async for request in request_iterator:
            step = request.WhichOneof("step")
            if step == "start":
                if self.refusal is not None:
                    await context.abort(*self.refusal)
                yield self._progress()
                continue
            if step == "finish":
                assert request.finish.size_bytes == len(self.data)
                break
            breaks = len(self.offsets) <= self.breaks
            if breaks and len(self.offsets[-1]) == 2:
                await context.abort(grpc.StatusCode.UNAVAILABLE, "WRITER_UNAVAILABLE")
            self.offsets[-1].append(request.chunk.offset)
            assert request.chunk.offset <= len(self.data)
            self.data[request.chunk.offset :] = request.chunk.data
            yield self._progress()
            if breaks and self.is_silent and len(self.offsets[-1]) == 2:
                return
        self.is_applied = True
        yield pb.UploadCoverageResponse(received=pb.UploadReceived(size_bytes=len(self.data)))
        yield pb.UploadCoverageResponse(report=self._report())

    async def GetUpload(self, request, context):  # noqa: ANN001, ANN201, N802
        """Tell what is durable, and the report once there is one."""
        if not self.offsets:
            await context.abort(grpc.StatusCode.NOT_FOUND, "UPLOAD_UNKNOWN")
        answer = pb.GetUploadResponse(durable_offset=len(self.data))
        if self.is_applied:
            answer.report.CopyFrom(self._report())
        return answer

    def _progress(self) -> pb.UploadCoverageResponse:
        return pb.UploadCoverageResponse(progress=pb.UploadProgress(durable_offset=len(self.data)))

    def _report(self) -> pb.UploadReport:
        return pb.UploadReport(request_id="r1", lines_read=self.data.count(b"\n"))


Serve = Callable[[Server], Awaitable[coverage_pb2_grpc.CoverageServiceStub]]


@pytest.fixture
async def serve() -> AsyncIterator[Serve]:
    """Serve a `Server` on loopback and give its stub."""
    started = []

    async def start(server: Server) -> coverage_pb2_grpc.CoverageServiceStub:
        host = grpc.aio.server()
        coverage_pb2_grpc.add_CoverageServiceServicer_to_server(server, host)
        port = host.add_insecure_port("127.0.0.1:0")
        await host.start()
        channel = grpc.aio.insecure_channel(f"127.0.0.1:{port}")
        started.append((host, channel))
        return coverage_pb2_grpc.CoverageServiceStub(channel)

    yield start
    for host, channel in started:
        await channel.close()
        await host.stop(None)


class Pieces:
    """A file in uneven pieces that can be read again."""

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in (b"ab\n", b"", b"cdefgh\n", b"ij\nk"):
            yield piece


FILE = b"ab\ncdefgh\nij\nk"


@pytest.mark.parametrize("data", [FILE, Pieces()])
async def test_a_file_is_sent_in_chunks(data: bytes | Pieces, serve: Serve) -> None:
    """Chunks have the size asked for, whatever pieces the file comes in, and a report ends it."""
    server = Server()
    report = await upload(await serve(server), "r1", data, 4, IMPATIENT)
    assert server.offsets == [[0, 4, 8, 12]]
    assert (bytes(server.data), report.lines_read) == (FILE, 3)


@pytest.mark.parametrize("is_silent", [False, True])
@pytest.mark.parametrize("data", [FILE, Pieces()])
async def test_a_broken_stream_is_resumed(
    data: bytes | Pieces,
    is_silent: bool,  # noqa: FBT001
    serve: Serve,
) -> None:
    """After each break the file goes on from what is durable, and nothing is sent twice."""
    server = Server(breaks=1, is_silent=is_silent)
    report = await upload(await serve(server), "r1", data, 4, IMPATIENT)
    assert server.offsets == [[0, 4], [8, 12]]
    assert (bytes(server.data), report.lines_read) == (FILE, 3)


async def test_tries_are_bounded(serve: Serve) -> None:
    """A gateway that breaks every stream is given up after the named number of tries."""
    server = Server(breaks=99, is_silent=True)
    with pytest.raises(UploadBrokenError):
        await upload(await serve(server), "r1", FILE * 9, 4, IMPATIENT)
    assert len(server.offsets) == IMPATIENT.tries_max


async def test_an_iterator_is_sent_once(serve: Serve) -> None:
    """What cannot be read again is not resumed with other bytes."""
    server = Server(breaks=1)
    with pytest.raises(grpc.aio.AioRpcError):
        await upload(await serve(server), "r1", aiter(Pieces()), 4, IMPATIENT)
    assert server.offsets == [[0, 4]]


@pytest.mark.parametrize(
    ("code", "details", "streams"),
    [
        (grpc.StatusCode.FAILED_PRECONDITION, "UPLOAD_DIFFERS.", 1),
        (grpc.StatusCode.PERMISSION_DENIED, "ROLE_NOT_ALLOWED.", 1),
        (grpc.StatusCode.FAILED_PRECONDITION, "UPLOAD_BUSY. Another", 4),
    ],
)
async def test_only_what_may_pass_is_tried_again(
    code: grpc.StatusCode,
    details: str,
    streams: int,
    serve: Serve,
) -> None:
    """A refusal is raised at once; an upload that is busy is tried again, and then raised."""
    server = Server(refusal=(code, details))
    with pytest.raises(grpc.aio.AioRpcError):
        await upload(await serve(server), "r1", FILE, 4, IMPATIENT)
    assert streams == len(server.offsets)


async def test_an_upload_begun_earlier_is_resumed(serve: Serve) -> None:
    """Another process goes on where the first stopped, and gets the report again later."""
    server = Server(breaks=1)
    stub = await serve(server)
    with pytest.raises(grpc.aio.AioRpcError):
        await upload(stub, "r1", FILE, 4, Patience(tries_max=1))
    first = await resume(stub, "r1", FILE, 4, IMPATIENT)
    again = await resume(stub, "r1", FILE, 4, IMPATIENT)
    assert server.offsets == [[0, 4], [8, 12]]
    assert first == again


async def _bridge(folders: Folders, answer: bytes, ending: str) -> bytes:
    """Take the one request that comes, half-answer it, then answer it whole."""
    found = None
    for _ in range(1_000):
        found = next(folders.req.glob("OQSsiquc01req_*.xml"), None)
        if found is not None:
            break
        await asyncio.sleep(0.01)
    assert found is not None
    request = found.read_bytes()
    found.unlink()
    name = found.name if ending == ".err" else found.name.replace("req_", "res_")
    path = (folders.res / name).with_suffix(ending)
    if ending == ".xml":
        path.write_bytes(answer[: len(answer) // 2])
        await asyncio.sleep(0.15)
    path.write_bytes(answer)
    return request


def _folders(tmp_path: Path) -> Folders:
    for name in ("req", "res", "out"):
        (tmp_path / name).mkdir()
    return Folders(tmp_path / "req", tmp_path / "res", "1319900013")


@pytest.mark.parametrize("encoding", ["utf-8", "shift_jis"])
@pytest.mark.parametrize("is_moved", [True, False])
async def test_a_question_goes_by_folder(
    tmp_path: Path,
    encoding: FileEncoding,
    is_moved: bool,  # noqa: FBT001
) -> None:
    """The request arrives in its encoding, and the whole result is read and deleted."""
    plain = _folders(tmp_path)
    folders = replace(plain, encoding=encoding, outbox=tmp_path / "out" if is_moved else None)
    body = "<MessageBody><QualificationValidity>1</QualificationValidity></MessageBody>"
    result = f"<XmlMsg>{body}</XmlMsg>"
    bridge = asyncio.create_task(_bridge(folders, result.encode(), ".xml"))
    answer = await ask_by_folder(folders, "202604150001", CARD, BIRTH, ON, timeout_s=10)
    request = (await bridge).decode("cp932" if encoding == "shift_jis" else "utf-8")
    assert (answer.validity, answer.error) == (1, "")
    assert "<InsurerNumber>  990010</InsurerNumber>" in request
    assert "<InsuredCardSymbol>かくう</InsuredCardSymbol>" in request
    assert list(folders.res.iterdir()) == []
    assert list((tmp_path / "out").iterdir()) == []


async def test_a_rejected_question_gives_the_error_file(tmp_path: Path) -> None:
    """The text of the error file is the error, and there is no validity."""
    folders = _folders(tmp_path)
    bridge = asyncio.create_task(_bridge(folders, "電文を読み取れません。".encode(), ".err"))
    answer = await ask_by_folder(folders, "202604150002", CARD, BIRTH, ON, timeout_s=10)
    await bridge
    assert answer.validity is None
    assert answer.error == "電文を読み取れません。"


async def test_waiting_for_an_answer_ends(tmp_path: Path) -> None:
    """Where no bridge runs, the clinic gives up after its time."""
    with pytest.raises(TimeoutError):
        await ask_by_folder(_folders(tmp_path), "1", CARD, BIRTH, ON, timeout_s=0.1)

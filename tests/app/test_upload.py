"""The sender of a coverage file: what it sends as whom, and how long it is patient."""

from __future__ import annotations

import asyncio
import csv
import io
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import grpc
import pytest

from gateway.app import upload as uploading
from gateway.app.upload import Patience, Sending, Source
from gateway.app.upload_file import Uploaded, Wish, upload_file
from gateway.formats.coverage_csv import encode_header, encode_line
from gateway.v1 import coverage_pb2 as pb
from gateway.v1 import coverage_pb2_grpc
from gateway.v1.types_pb2 import Advice

INSURER, OTHER = "06990014", "00138057"
IMPATIENT = Patience(tries_max=3, first_wait_s=0.001, wait_s_max=0.002)


@dataclass
class Watched:
    """Remembers what it was told."""

    bytes_done: list[int] = field(default_factory=list)
    lines: list[tuple[int, int]] = field(default_factory=list)
    waits: list[int] = field(default_factory=list)

    def received(self, bytes_done: int, bytes_total: int) -> None:
        """See `Watching`."""
        assert bytes_done <= bytes_total
        self.bytes_done.append(bytes_done)

    def applying(self, lines_done: int, lines_total: int) -> None:
        """See `Watching`."""
        self.lines.append((lines_done, lines_total))

    def waiting(self, seconds: float, tries: int, tries_max: int) -> None:
        """See `Watching`."""
        assert tries <= tries_max
        self.waits.append(tries)


@dataclass
class Server(coverage_pb2_grpc.CoverageServiceServicer):
    """A gateway with one upload a request id; breaks each stream that is named in `breaks`."""

    breaks: set[int] = field(default_factory=set)
    streams: int = 0
    refused: int = 0
    refusal: tuple[grpc.StatusCode, str] | None = None
    data: dict[str, bytearray] = field(default_factory=dict)
    applied: set[str] = field(default_factory=set)
    digests: list[bytes] = field(default_factory=list)

    async def UploadCoverage(self, request_iterator, context):  # noqa: ANN001, ANN201, N802
        """Take one stream; a broken one ends after its second chunk, or before the report."""
        self.streams += 1
        request_id, chunks, is_dry_run = "", 0, False
        async for request in request_iterator:
            if self.refusal is not None:
                await context.abort(*self.refusal)
            match request.WhichOneof("step"):
                case "start":
                    request_id, is_dry_run = request.start.request_id, request.start.is_dry_run
                    data = self.data.setdefault(request_id, bytearray())
                case "chunk":
                    if self.streams in self.breaks and chunks == 2:
                        await context.abort(grpc.StatusCode.UNAVAILABLE, "")
                    chunks += 1
                    assert request.chunk.offset == len(data)
                    data += request.chunk.data
                case "finish":
                    assert request.finish.size_bytes == len(data)
                    self.digests.append(request.finish.sha256)
                    break
            yield pb.UploadCoverageResponse(progress=pb.UploadProgress(durable_offset=len(data)))
        yield pb.UploadCoverageResponse(received=pb.UploadReceived(lines_total=7))
        yield pb.UploadCoverageResponse(applying=pb.UploadApplying(lines_read=3, lines_total=7))
        if self.streams in self.breaks:
            await context.abort(grpc.StatusCode.UNAVAILABLE, "WRITER_UNAVAILABLE")
        self.applied.add(request_id)
        yield pb.UploadCoverageResponse(report=self._report(request_id, is_dry_run=is_dry_run))

    async def GetUpload(self, request, context):  # noqa: ANN001, ANN201, N802
        """Tell the state."""
        if request.request_id in self.applied:
            return pb.GetUploadResponse(state=pb.UPLOAD_STATE_APPLIED)
        return await context.abort(grpc.StatusCode.NOT_FOUND, "UPLOAD_UNKNOWN")

    async def ListRefusedLines(self, request, context):  # noqa: ANN001, ANN201, N802
        """Give two lines a page, whatever was asked for."""
        first = int(request.page_token or 0)
        lines = [self._line(n) for n in range(first, min(first + 2, self.refused))]
        token = str(first + 2) if first + 2 < self.refused else ""
        return pb.ListRefusedLinesResponse(refused_lines=lines, next_page_token=token)

    def _report(self, request_id: str, *, is_dry_run: bool) -> pb.UploadReport:
        return pb.UploadReport(
            request_id=request_id,
            is_dry_run=is_dry_run,
            lines_read=7,
            lines_applied=7 - self.refused,
            lines_refused=self.refused,
            refused_lines=[self._line(n) for n in range(min(self.refused, 1))],
            refused_lines_kept=self.refused,
            encoding="utf-8",
        )

    def _line(self, number: int) -> pb.RefusedLine:
        advice = Advice(ja="日", en="e", technician_ja="技", technician_en="t")
        return pb.RefusedLine(
            line_number=number + 2, column="sex", reason="CODE_UNKNOWN", advice=advice
        )


@pytest.fixture
def server() -> Server:
    """A gateway in this process."""
    return Server()


@pytest.fixture
def coverage_file(tmp_path: Path) -> Path:
    """A file of one line that names its insurer."""
    path = tmp_path / "coverage.csv"
    line = encode_line("CANCEL", {"insurer_number": OTHER, "number": "1", "birth_date": "19840229"})
    path.write_text(encode_header() + line, encoding="utf-8")
    return path


@asynccontextmanager
async def running(server: Server, root: Path) -> AsyncIterator[None]:
    """Serve, and say where as a sandbox does."""
    grpc_server = grpc.aio.server()
    coverage_pb2_grpc.add_CoverageServiceServicer_to_server(server, grpc_server)
    port = grpc_server.add_insecure_port("127.0.0.1:0")
    await grpc_server.start()
    party = dict.fromkeys(("certificate", "key", "ca"), "/dev/null")
    description = {
        "address": f"127.0.0.1:{port}",
        "insurers": {INSURER: party, OTHER: party},
        "certificates": {"insurer": {"insurer_number": INSURER}},
    }
    (root / "sandbox.json").write_text(json.dumps(description))
    try:
        yield
    finally:
        await grpc_server.stop(None)


@pytest.fixture(autouse=True)
def _plain(monkeypatch: pytest.MonkeyPatch) -> None:
    """Small chunks, and no TLS: the process tests have it."""
    monkeypatch.setattr(uploading, "CHUNK_BYTES", 100)
    monkeypatch.setattr(
        uploading, "secure_channel", lambda address, _tls: grpc.aio.insecure_channel(address)
    )


def contents(path: Path) -> bytes:
    """The bytes of a file."""
    return path.read_bytes()


def put(path: Path, data: bytes) -> None:
    """Replace the bytes of a file."""
    path.write_bytes(data)


async def send(
    server: Server, wish: Wish, patience: Patience = IMPATIENT
) -> tuple[Uploaded, Watched]:
    """What comes of a wish."""
    watched = Watched()
    async with running(server, wish.root):
        return await upload_file(wish, watched, patience), watched


async def test_a_file_is_sent_once_and_named_by_its_contents(
    server: Server, coverage_file: Path
) -> None:
    """The same file again is the same upload and sends no byte; its digest goes with it."""
    wish = Wish(coverage_file, coverage_file.parent)
    first, watched = await send(server, wish)
    again, watched_again = await send(server, wish)
    ((request_id, data),) = server.data.items()
    source = Source.of(coverage_file)
    size = source.size_bytes
    assert bytes(data) == contents(coverage_file)
    assert request_id == f"file-{source.digest.hex()[:40]}"
    assert server.digests == [source.digest, source.digest]
    assert (watched.bytes_done[0], watched.bytes_done[-1]) == (0, size)
    assert watched_again.bytes_done == [size]
    assert watched.lines == [(0, 7), (3, 7), (7, 7)]
    assert (first.is_repeated, again.is_repeated) == (False, True)
    assert (first.exit_code, again.exit_code, first.insurer) == (0, 0, OTHER)


async def test_broken_streams_are_resumed_and_progress_renews_patience(
    server: Server, coverage_file: Path
) -> None:
    """More streams break than tries are allowed without progress, and nothing is sent twice."""
    put(coverage_file, contents(coverage_file) + b"x" * 900)
    server.breaks = {1, 2, 3, 4, 5}
    done, watched = await send(server, Wish(coverage_file, coverage_file.parent))
    assert done.report is not None
    assert set(watched.waits) == {1}
    assert len(watched.waits) == 5
    assert watched.bytes_done == sorted(watched.bytes_done)


async def test_patience_ends(server: Server, coverage_file: Path) -> None:
    """A gateway that stays away is given up after the tries that were allowed."""
    server.refusal = (grpc.StatusCode.UNAVAILABLE, "WRITER_UNAVAILABLE")
    done, watched = await send(server, Wish(coverage_file, coverage_file.parent))
    assert (done.report, done.refusal, done.tries, done.exit_code) == (None, None, 3, 1)
    assert watched.waits == [1, 2, 3]
    assert done.as_dict() == {"outcome": "GAVE_UP"}
    assert not done.wish.result_path.exists()


@pytest.mark.parametrize(
    ("code", "details", "streams"),
    [
        (grpc.StatusCode.PERMISSION_DENIED, "ROLE_NOT_ALLOWED", 1),
        (grpc.StatusCode.FAILED_PRECONDITION, "sha256: UPLOAD_DIFFERS", 1),
        (grpc.StatusCode.FAILED_PRECONDITION, "request_id: UPLOAD_BUSY", 4),
        (grpc.StatusCode.UNKNOWN, "Stream removed", 4),
    ],
)
async def test_what_is_refused_is_not_tried_again(
    server: Server, coverage_file: Path, code: grpc.StatusCode, details: str, streams: int
) -> None:
    """A refusal ends at once; a stream that is not over yet, or was cut, is worth a wait."""
    server.refusal = (code, details)
    done, _ = await send(server, Wish(coverage_file, coverage_file.parent))
    assert (server.streams, done.exit_code) == (streams, 1)
    assert (done.refusal is not None) == (streams == 1)


async def test_the_result_file_lists_every_page(server: Server, coverage_file: Path) -> None:
    """Where the report is cut, the pages are asked for; the file stands beside the one sent."""
    server.refused = 5
    done, _ = await send(server, Wish(coverage_file, coverage_file.parent))
    path = coverage_file.with_name("coverage.result.csv")
    assert (done.exit_code, done.wish.result_path) == (3, path)
    table = path.read_text(encoding="utf-8").partition("\n\n")[2]
    rows = list(csv.DictReader(io.StringIO(table)))
    assert [row["line_number"] for row in rows] == ["2", "3", "4", "5", "6"]
    assert done.as_dict()["refused_by_reason"] == {"CODE_UNKNOWN": 5}
    assert [one.name for one in coverage_file.parent.glob(".*")] == []


async def test_each_dry_run_of_a_file_is_a_new_one(server: Server, coverage_file: Path) -> None:
    """What is stored may have changed since; its result does not replace the upload's."""
    wish = Wish(coverage_file, coverage_file.parent, is_dry_run=True)
    for _ in range(2):
        done, _ = await send(server, wish)
        assert done.report is not None
        assert done.report.is_dry_run
    assert [request_id[-2:] for request_id in server.data] == ["-1", "-2"]
    assert done.wish.result_path.name == "coverage.dry-run.csv"


async def test_a_file_that_changes_is_not_sent(server: Server, coverage_file: Path) -> None:
    """Bytes of two files under one digest would be refused at the end, so it ends at once."""
    source = Source.of(coverage_file)
    put(coverage_file, b"other")
    root = coverage_file.parent
    async with running(server, root):
        sending = Sending(root, INSURER, source, Watched(), patience=IMPATIENT)
        with pytest.raises(uploading.RefusedError, match="FILE_CHANGED"):
            await sending.report()


@contextmanager
def described(root: Path) -> Iterator[None]:
    """A sandbox that is described and does not answer."""
    party = dict.fromkeys(("certificate", "key", "ca"), "/dev/null")
    (root / "sandbox.json").write_text(
        json.dumps(
            {
                "address": "127.0.0.1:1",
                "insurers": {INSURER: party},
                "certificates": {"insurer": {"insurer_number": INSURER}},
            }
        )
    )
    yield
    (root / "sandbox.json").unlink()


async def failure(wish: Wish) -> str:
    """Why nothing is sent."""
    done = await asyncio.wait_for(upload_file(wish, Watched(), IMPATIENT), 5)
    assert done.exit_code == 1
    return "GAVE_UP" if done.refusal is None else done.refusal.reason


async def test_what_cannot_be_is_said_before_anything_is_sent(coverage_file: Path) -> None:
    """No sandbox, no file, an insurer without a certificate, a result that cannot be written."""
    root = coverage_file.parent
    assert await failure(Wish(coverage_file, root)) == "SANDBOX_NOT_RUNNING"
    with described(root):
        assert await failure(Wish(root / "none.csv", root)) == "FILE_UNUSABLE"
        assert await failure(Wish(coverage_file, root)) == "INSURER_UNKNOWN"
        assert await failure(Wish(coverage_file, root, insurer="x")) == "INSURER_UNKNOWN"
        for result in (coverage_file, root, root / "no" / "folder.csv"):
            wish = Wish(coverage_file, root, insurer=INSURER, result=result)
            assert await failure(wish) == "FILE_UNUSABLE"
        assert await failure(Wish(coverage_file, root, insurer=INSURER)) == "GAVE_UP"
        unread = root / "unread.csv"
        unread.write_bytes("処理区分".encode("cp932"))
        assert await failure(Wish(unread, root)) == "GAVE_UP"

"""`onshi upload` over real processes: killed on either side, it goes on."""

from __future__ import annotations

import asyncio
import csv
import io
import json
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path

import pytest

from gateway.app.certificates import issue_all
from gateway.app.supervisor import Gateway, running
from gateway.app.upload import Source
from gateway.app.upload_file import Wish, upload_file
from gateway.config import load_settings
from gateway.domain.individual_number import individual_check_digit
from gateway.formats.coverage_csv import encode_header, encode_line
from gateway.v1 import coverage_pb2 as pb
from gateway.v1.coverage_pb2_grpc import CoverageServiceStub
from loadtests.places import channel_to, free_port, write_config

pytestmark = pytest.mark.processes
TIMEOUT_S = 60
INSURER = "06139992"
BY_DESIGN = {"uploads", "refused_lines", "meta"}
"""Tables a dry run writes to: its own row, its own refused lines, the last time of a commit."""


@asynccontextmanager
async def gateway_in(root: Path) -> AsyncIterator[Gateway]:
    """A gateway that is described as a sandbox is."""
    issue_all(root / "certs", "1319999999", [INSURER])
    config = write_config(root, free_port())
    async with running(load_settings(config), config) as gateway:
        folder = root / "certs" / f"insurer-{INSURER}"
        party = {
            "certificate": str(folder / "certificate.pem"),
            "key": str(folder / "key.pem"),
            "ca": str(root / "certs" / "ca.pem"),
        }
        description = {
            "address": gateway.address,
            "insurers": {INSURER: party},
            "certificates": {"insurer": {"insurer_number": INSURER, **party}},
        }
        (root / "sandbox.json").write_text(json.dumps(description))
        yield gateway


class Watched:
    """Remembers what it was told, and kills the writer when it begins to apply."""

    def __init__(self, writer: int | None = None) -> None:
        self.bytes_done: list[int] = []
        self.lines: list[int] = []
        self.waits = 0
        self._writer = writer

    def received(self, bytes_done: int, bytes_total: int) -> None:
        """See `Watching`."""
        self.bytes_done.append(bytes_done)

    def applying(self, lines_done: int, lines_total: int) -> None:
        """See `Watching`."""
        self.lines.append(lines_done)
        if self._writer is not None and lines_total:
            os.kill(self._writer, signal.SIGKILL)
            self._writer = None

    def waiting(self, seconds: float, tries: int, tries_max: int) -> None:
        """See `Watching`."""
        self.waits += 1


def a_line(number: int, **cells: str) -> str:
    """A line that begins cover."""
    body = f"{number:011}"
    return encode_line(
        "NEW",
        {
            "insurer_number": INSURER,
            "symbol": "送",
            "number": str(number),
            "birth_date": "19840229",
            "acquisition_date": "20250401",
            "name": "架空　太郎",
            "sex": "1",
            "insurer_name": "架空組合",
            "individual_number": body + individual_check_digit(body),
        }
        | cells,
    )


def write(path: Path, text: str) -> Path:
    """A file in the encoding of Japanese Windows."""
    path.write_bytes(text.encode("cp932"))
    return path


def command(root: Path, file: Path, *arguments: str) -> subprocess.Popen[str]:
    """The command, just started."""
    return subprocess.Popen(
        [sys.executable, "-m", "gateway", "upload", str(file), "--dir", str(root), *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


async def stopped_midway(
    root: Path, gateway: Gateway, file: Path, number: signal.Signals, after: int
) -> tuple[int, str, int]:
    """Stop the command once more than so many bytes are safe: its exit code, words, and bytes."""
    request_id = f"file-{Source.of(file).digest.hex()[:40]}"
    process = command(root, file, "--insurer", INSURER)
    async with channel_to(root, gateway.port, f"insurer-{INSURER}") as channel:
        stub = CoverageServiceStub(channel)

        async def safe() -> int:
            try:
                answer = await stub.GetUpload(pb.GetUploadRequest(request_id=request_id))
            except Exception:  # noqa: BLE001  unknown until its first byte is safe
                return 0
            assert answer.state == pb.UPLOAD_STATE_RECEIVING
            return answer.durable_offset

        async with asyncio.timeout(TIMEOUT_S):
            while await safe() <= after:  # noqa: ASYNC110  another process's work
                await asyncio.sleep(0.01)
            process.send_signal(number)
            _, errors = await asyncio.to_thread(process.communicate)
            return process.returncode, errors, await safe()


async def test_a_stopped_upload_goes_on_where_it_was(tmp_path: Path) -> None:
    """After Ctrl-C, which says how, and after a kill; the result names every line, once."""
    lines = "".join(f"{number},{'x' * 15_000}\r\n" for number in range(8_000))
    file = write(tmp_path / "coverage.csv", encode_header() + lines)
    async with gateway_in(tmp_path) as gateway:
        code, words, first = await stopped_midway(tmp_path, gateway, file, signal.SIGINT, 0)
        assert code == 130
        assert f"onshi upload {file} --dir {tmp_path}" in words
        code, _, second = await stopped_midway(tmp_path, gateway, file, signal.SIGKILL, first)
        assert code == -signal.SIGKILL
        watched = Watched()
        done = await asyncio.wait_for(upload_file(Wish(file, tmp_path), watched), TIMEOUT_S)
    assert done.exit_code == 3
    assert first < second <= watched.bytes_done[0]
    table = (tmp_path / "coverage.result.csv").read_text("utf-8").partition("\n\n")[2]
    rows = csv.DictReader(io.StringIO(table))
    assert [int(row["line_number"]) for row in rows] == list(range(2, 8_002))


async def test_an_upload_outlives_the_writer(tmp_path: Path) -> None:
    """The writer dies while lines are applied: the command waits, and all is applied once."""
    text = encode_header() + "".join(a_line(number) for number in range(1, 2_001))
    file = write(tmp_path / "coverage.csv", text)
    async with gateway_in(tmp_path) as gateway:
        watched = Watched(gateway.writer.pid)
        done = await asyncio.wait_for(upload_file(Wish(file, tmp_path), watched), TIMEOUT_S)
    assert watched.waits
    assert done.report is not None
    assert (done.exit_code, done.report.lines_applied, done.report.lines_read) == (0, 2_000, 2_000)


def stored(root: Path) -> dict[str, list[object]]:
    """Every row of the database and the vault but what a dry run writes by design."""
    rows: dict[str, list[object]] = {}
    for name in ("gateway.db", "vault.db"):
        with closing(sqlite3.connect(root / "data" / name)) as connection:
            tables = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
            for (table,) in tables.fetchall():
                if table not in BY_DESIGN:
                    found = connection.execute(f"SELECT * FROM {table}").fetchall()  # noqa: S608  our own
                    rows[table] = sorted(found, key=repr)
    return rows


async def onshi(root: Path, file: Path, *arguments: str) -> dict[str, object]:
    """What the command says as JSON, with its exit code."""
    process = command(root, file, "--json", *arguments)
    out, _ = await asyncio.to_thread(process.communicate)
    return {**json.loads(out), "exit_code": process.returncode}


async def test_a_dry_run_tells_and_stores_nothing(tmp_path: Path) -> None:
    """Not a row of any table and no number; then the upload does what it said."""
    first = write(tmp_path / "first.csv", encode_header() + a_line(1))
    text = encode_header() + a_line(1) + a_line(2) + a_line(3, sex="9") + a_line(2, name="他人")
    second = write(tmp_path / "second.csv", text)
    async with gateway_in(tmp_path):
        assert (await onshi(tmp_path, first))["exit_code"] == 0
        before = await asyncio.to_thread(stored, tmp_path)
        rehearsed = await onshi(tmp_path, second, "--dry-run")
        assert before == await asyncio.to_thread(stored, tmp_path)
        assert not (tmp_path / "data" / "scratch.db").exists()
        done = await onshi(tmp_path, second)
        assert before != await asyncio.to_thread(stored, tmp_path)
    same = ("exit_code", "lines_read", "lines_applied", "lines_unchanged", "refused_by_reason")
    assert [rehearsed[name] for name in same] == [done[name] for name in same]
    assert [done[name] for name in same] == [3, 4, 1, 1, {"CODE_UNKNOWN": 1, "COVERAGE_EXISTS": 1}]
    table = (tmp_path / "second.result.csv").read_text("cp932").partition("\n\n")[2]
    assert "氏名" not in table
    assert "性別1" in table


async def test_a_file_nobody_can_read_is_refused_with_its_reason(tmp_path: Path) -> None:
    """An empty file, a strange header and a strange encoding: one refused line, exit code 3."""
    unreadable = [b"", "処理区分,保険者番号\r\n".encode("cp932"), "action".encode("utf-16")]
    async with gateway_in(tmp_path):
        for number, data in enumerate(unreadable):
            file = tmp_path / f"{number}.csv"
            await asyncio.to_thread(file.write_bytes, data)
            done = await upload_file(Wish(file, tmp_path, INSURER), Watched())
            assert (done.exit_code, dict(done.refused_by_reason)) == (3, {"HEADER_WRONG": 1})

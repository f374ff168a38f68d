"""
Shows by a system-call trace that the sync comes before the acknowledgement and the answer.

`kill -9` alone does not reveal a missing sync, because the kernel keeps what was written. So the
writer and the workers are traced while one file is uploaded and one question asked:

- upload: `fdatasync` of the spool file and of the database's log end before the message that
  says `received` is sent;
- lookup: `fdatasync` of the access log ends before the answer is sent.

A gateway whose `os.fdatasync` does nothing is traced first and must be found out.

    python -m loadtests.sync_trace          (needs strace and the right to trace)
"""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import signal
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from google.type.date_pb2 import Date

from gateway.app.certificates import issue_all
from gateway.v1 import coverage_pb2 as cov
from gateway.v1.coverage_pb2_grpc import CoverageServiceStub
from gateway.v1.eligibility_pb2 import ConfirmEligibilityRequest
from gateway.v1.eligibility_pb2_grpc import EligibilityServiceStub
from gateway.v1.types_pb2 import InsuredId
from loadtests.places import channel_to, free_port, write_config

INSURER: Final = "06139992"
INSTITUTION: Final = "1319999999"
LINES: Final = 700
STOP_S_MAX: Final = 30
ANSWER_BYTES_MIN: Final = 250
NO_SYNC: Final = "import os\nos.fdatasync = lambda descriptor: None\n"
ESCAPED: Final = re.compile(r"\\x([0-9a-f]{2})")
CALL: Final = re.compile(r"^(?:\[pid +)?(\d+)\]? +(\d+\.\d+) (.*)$")


@dataclass(frozen=True, slots=True)
class Step:
    """One finished system call of the trace: by which thread, when it ended, what, on what."""

    thread: str

    at: float
    name: str
    text: str


def file_bytes() -> bytes:
    """A coverage file whose size has a recognisable spelling on the wire."""
    header = (
        "insurer_number,action,symbol,number,branch,birth_date,acquisition_date,"
        "name,sex,insurer_name"
    )
    lines = [
        f"{INSURER},NEW,S,{i:06},01,19800101,20260401,試験　太郎,1,模擬健康保険組合"
        for i in range(LINES)
    ]
    return ("\n".join([header, *lines]) + "\n").encode()


def varint(value: int) -> bytes:
    """A number as the wire spells it."""
    spelled = bytearray()
    while value > 0x7F:
        spelled.append(value & 0x7F | 0x80)
        value >>= 7
    spelled.append(value)
    return bytes(spelled)


def steps_of(trace: str) -> list[Step]:
    """Read a trace; a call that was cut in two ends where it was resumed."""
    steps: list[Step] = []
    begun: dict[str, str] = {}
    for line in trace.splitlines():
        match = CALL.match(line)
        if match is None:
            continue
        thread, at, text = match.group(1), float(match.group(2)), unescaped(match.group(3))
        if text.endswith("<unfinished ...>"):
            begun[thread] = text.removesuffix("<unfinished ...>")
            if not text.startswith(("fdatasync", "fsync")):
                steps.append(Step(thread, at, text.partition("(")[0], text))
            continue
        resumed = re.match(r"<\.\.\. (\w+) resumed>", text)
        if resumed:
            if resumed.group(1) not in ("fdatasync", "fsync"):
                continue
            text = begun.pop(thread, "") + text
        steps.append(Step(thread, at, text.partition("(")[0], text))
    return steps


def unescaped(text: str) -> str:
    """Undo the tracer's spelling of strings and paths: one character a byte."""
    return ESCAPED.sub(lambda escaped: chr(int(escaped.group(1), 16)), text)


def first(steps: list[Step], names: tuple[str, ...], part: str, after: float = 0.0) -> float | None:
    """When the first such call after a moment ended."""
    return next((s.at for s in steps if s.name in names and part in s.text and s.at > after), None)


def judge(steps: list[Step], size: int) -> list[tuple[str, bool]]:
    """The claims, and whether the trace bears them out."""
    received = (b"\x08" + varint(size) + b"\x12").decode("latin-1")
    syncs = ("fdatasync", "fsync")
    sent = first(steps, ("sendmsg",), received)
    spool = first(steps, syncs, "/spool/")
    log = first(steps, syncs, "gateway.db-wal", spool or 0.0)
    claims = [
        ("upload: the spool is synced before `received` is sent", before(spool, sent)),
        ("upload: the database's log is synced before `received` is sent", before(log, sent)),
    ]
    recorded = next((s for s in steps if s.name == "write" and "OQS-MED-01" in s.text), None)
    asked = recorded.at if recorded else None
    # The indexer of the trail syncs the same file; only the thread that wrote the record counts.
    own = [s for s in steps if recorded and s.thread == recorded.thread]
    synced = first(own, syncs, "/access/", asked or 0.0)
    answer = next(
        (
            s.at
            for s in steps
            if asked
            and s.name == "sendmsg"
            and "TCP" in s.text
            and s.at > asked
            and sent_bytes(s.text) >= ANSWER_BYTES_MIN
        ),
        None,
    )
    claims.append(("lookup: the access log is synced before the answer", before(synced, answer)))
    return claims


def sent_bytes(text: str) -> int:
    """How much a sendmsg sent, or was given to send."""
    match = re.search(r"iov_len=(\d+)", text)
    return int(match.group(1)) if match else 0


def before(one: float | None, other: float | None) -> bool:
    """Whether both happened, in this order."""
    return one is not None and other is not None and one <= other


async def traced(root: Path, extra_path: str | None) -> list[tuple[str, bool]]:
    """Run a gateway under the tracer, upload and ask, and judge the trace."""
    port = free_port()
    issue_all(root / "certs", INSTITUTION, [INSURER])
    config = write_config(root, port)
    output = root / "trace"
    environment = dict(os.environ)
    if extra_path:
        before_it = os.environ.get("PYTHONPATH", "")
        environment["PYTHONPATH"] = os.pathsep.join(filter(None, (extra_path, before_it)))
    calls = "trace=fdatasync,fsync,sendmsg,write,writev,pwrite64"
    process = await asyncio.create_subprocess_exec(
        *("strace", "-f", "-yy", "-ttt", "-xx", "-s", "512", "-e", calls, "-o", str(output)),
        *(sys.executable, "-m", "gateway", "serve", "--config", str(config)),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        env=environment,
    )
    assert process.stdout is not None
    content = file_bytes()
    try:
        await asyncio.wait_for(process.stdout.readline(), 60)
        await upload_and_ask(root, port, content)
    finally:
        for pid in children_of(process.pid):
            os.kill(int(pid), signal.SIGTERM)
        try:
            await asyncio.wait_for(process.wait(), STOP_S_MAX)
        except TimeoutError:
            process.kill()
            await process.wait()
    return judge(steps_of(output.read_text(errors="replace")), len(content))


def children_of(pid: int) -> list[str]:
    """The process ids of a process's children."""
    return Path(f"/proc/{pid}/task/{pid}/children").read_text().split()


async def upload_and_ask(root: Path, port: int, content: bytes) -> None:
    """One file, one question."""
    steps = (
        cov.UploadCoverageRequest(start=cov.UploadStart(request_id="trace")),
        cov.UploadCoverageRequest(chunk=cov.UploadChunk(offset=0, data=content)),
        cov.UploadCoverageRequest(finish=cov.UploadFinish(size_bytes=len(content))),
    )
    async with channel_to(root, port, f"insurer-{INSURER}") as channel:
        async for _ in CoverageServiceStub(channel).UploadCoverage(iter(steps), timeout=60):
            pass
    async with channel_to(root, port, "institution") as channel:
        await EligibilityServiceStub(channel).ConfirmEligibility(
            ConfirmEligibilityRequest(
                insured_id=InsuredId(
                    insurer_number=INSURER, symbol="S", number="000001", branch="01"
                ),
                birth_date=Date(year=1980, month=1, day=1),
            ),
            timeout=60,
        )


async def show() -> int:
    """Trace the gateway without its syncs, then as it is."""
    if shutil.which("strace") is None:
        print("DID NOT RUN: strace is not on this machine (Debian package strace)")
        return 1
    with tempfile.TemporaryDirectory(prefix="onshi-trace-") as scratch:
        planted_path = Path(scratch) / "planted"
        planted_path.mkdir()
        (planted_path / "sitecustomize.py").write_text(NO_SYNC)
        planted = await traced(Path(scratch) / "without", str(planted_path))
        noticed = not any(holds for claim, holds in planted if "database" not in claim)
        print(f"planted gateway without fdatasync: {'noticed' if noticed else 'NOT NOTICED'}")
        claims = await traced(Path(scratch) / "with", None)
        for sentence, holds in claims:
            print(f"{'holds' if holds else 'FAILS'}  {sentence}")
        return 0 if noticed and all(holds for _, holds in claims) else 1


def main() -> None:
    """Run."""
    sys.exit(asyncio.run(show()))


if __name__ == "__main__":
    main()

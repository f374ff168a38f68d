"""
Who may ask what: one answer by `buf curl` with reflection, and the callers that are refused.

Each case says which status and reason it expects; a planted wrong expectation is shown first.

    python -m loadtests.refusals
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import tempfile
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import grpc
from google.rpc.error_details_pb2 import ErrorInfo
from grpc_status import rpc_status

from gateway.app.certificates import issue_all
from gateway.app.sandbox import INSTITUTION_CODE, Sandbox, running_sandbox
from gateway.app.supervisor import Gateway
from gateway.v1 import coverage_pb2 as cov
from gateway.v1.coverage_pb2_grpc import CoverageServiceStub
from gateway.v1.eligibility_pb2 import ConfirmEligibilityRequest
from gateway.v1.eligibility_pb2_grpc import EligibilityServiceStub
from loadtests.places import CHANNEL, channel_to
from simulators.catalogue import as_json, catalogue

if TYPE_CHECKING:
    from gateway.v1.coverage_pb2_grpc import CoverageServiceAsyncStub

BUF: Final = Path(sys.executable).parent / "buf"
DEADLINE_S: Final = 5
OTHER_INSURER_LINE: Final = {
    "action": "NEW",
    "symbol": "1",
    "number": "1",
    "branch": "01",
    "birth_date": "19800101",
    "acquisition_date": "20260401",
    "name": "試験　太郎",
    "sex": "1",
    "insurer_name": "他の模擬保険者",
}


@dataclass(frozen=True, slots=True)
class Seen:
    """What a caller saw: the gRPC status, and the reason in its details or the answer."""

    status: str
    reason: str


Case = Callable[[], Awaitable[Seen]]


async def asked(call: Awaitable[Any]) -> Seen:
    """Make a call and say how it ended."""
    try:
        await call
    except grpc.aio.AioRpcError as error:
        status = rpc_status.from_call(error)
        info = ErrorInfo()
        for detail in status.details if status is not None else ():
            if detail.Unpack(info):
                return Seen(error.code().name, info.reason)
        return Seen(error.code().name, "")
    return Seen("OK", "")


def buf_curl(sandbox: Sandbox, gateway: Gateway) -> Seen:
    """Ask about a valid test person by `buf curl`, which learns the schema by reflection."""
    person = next(
        p for p in as_json(catalogue(INSTITUTION_CODE).people) if p["expected_validity"] == 1
    )
    birth_date, on = (_day(str(person[key])) for key in ("birth_date", "on"))
    party = sandbox.party("institution")
    done = subprocess.run(
        [
            str(BUF),
            *("curl", "--protocol", "grpc"),
            *(
                word
                for option, name in (("cacert", "ca"), ("cert", "certificate"), ("key", "key"))
                for word in (f"--{option}", str(party[name]))
            ),
            "--data",
            json.dumps(
                {
                    "insured_id": {
                        name: person[name]
                        for name in ("insurer_number", "symbol", "number", "branch")
                    },
                    "birth_date": birth_date,
                    "confirmation_date": on,
                }
            ),
            f"https://{gateway.address}/gateway.v1.EligibilityService/ConfirmEligibility",
        ],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    if done.returncode:
        return Seen(f"exit {done.returncode}", done.stderr.strip()[:200])
    return Seen("OK", str(json.loads(done.stdout)["validity"]))


def _day(text: str) -> dict[str, int]:
    return dict(zip(("year", "month", "day"), map(int, text.split("-")), strict=True))


def cases(sandbox: Sandbox, gateway: Gateway, strangers: Path) -> dict[str, tuple[Case, Seen]]:
    """Every case with what it should see."""
    root, port = sandbox.root, gateway.port
    insurers = sorted(path.name for path in sandbox.certificates.glob("insurer-*"))
    own, other = insurers[0], insurers[1].removeprefix("insurer-")

    async def by_buf() -> Seen:
        return await asyncio.to_thread(buf_curl, sandbox, gateway)

    async def without_certificate() -> Seen:
        ca = (sandbox.certificates / "ca.pem").read_bytes()
        async with grpc.aio.secure_channel(
            gateway.address, grpc.ssl_channel_credentials(ca), CHANNEL
        ) as channel:
            return await asked(
                EligibilityServiceStub(channel).ConfirmEligibility(
                    ConfirmEligibilityRequest(), timeout=DEADLINE_S
                )
            )

    async def with_foreign_certificate() -> Seen:
        ca = (sandbox.certificates / "ca.pem").read_bytes()
        leaf = strangers / "institution"
        credentials = grpc.ssl_channel_credentials(
            ca, (leaf / "key.pem").read_bytes(), (leaf / "certificate.pem").read_bytes()
        )
        async with grpc.aio.secure_channel(gateway.address, credentials, CHANNEL) as channel:
            return await asked(
                EligibilityServiceStub(channel).ConfirmEligibility(
                    ConfirmEligibilityRequest(), timeout=DEADLINE_S
                )
            )

    async def clinic_uploads() -> Seen:
        async with channel_to(root, port, "institution") as channel:
            start = cov.UploadCoverageRequest(start=cov.UploadStart(request_id="clinic-1"))
            call = CoverageServiceStub(channel).UploadCoverage(iter([start]), timeout=DEADLINE_S)
            return await asked(call.read())

    async def insurer_asks() -> Seen:
        async with channel_to(root, port, own) as channel:
            return await asked(
                EligibilityServiceStub(channel).ConfirmEligibility(
                    ConfirmEligibilityRequest(), timeout=DEADLINE_S
                )
            )

    async def others_number_by_change() -> Seen:
        async with channel_to(root, port, own) as channel:
            request = cov.RegisterCoverageRequest(
                request_id="other-1", cells={**OTHER_INSURER_LINE, "insurer_number": other}
            )
            return await asked(
                CoverageServiceStub(channel).RegisterCoverage(request, timeout=DEADLINE_S)
            )

    async def others_number_by_file() -> Seen:
        async with channel_to(root, port, own) as channel:
            return await refused_line(CoverageServiceStub(channel), other)

    return {
        "buf curl with reflection, a valid test person": (by_buf, Seen("OK", "VALIDITY_VALID")),
        "no certificate": (without_certificate, Seen("UNAVAILABLE", "")),
        "a certificate of a foreign CA": (with_foreign_certificate, Seen("UNAVAILABLE", "")),
        "a clinic calls UploadCoverage": (
            clinic_uploads,
            Seen("PERMISSION_DENIED", "ROLE_NOT_ALLOWED"),
        ),
        "an insurer calls ConfirmEligibility": (
            insurer_asks,
            Seen("PERMISSION_DENIED", "ROLE_NOT_ALLOWED"),
        ),
        "an insurer registers another's number": (
            others_number_by_change,
            Seen("PERMISSION_DENIED", "INSURER_NOT_CALLER"),
        ),
        "an insurer uploads a line of another's number": (
            others_number_by_file,
            Seen("line 2 refused", "INSURER_NOT_CALLER"),
        ),
    }


async def refused_line(stub: CoverageServiceAsyncStub, other: str) -> Seen:
    """Upload a file with one line under another insurer's number, and read the report."""
    cells = {"insurer_number": other, **OTHER_INSURER_LINE}
    content = f"{','.join(cells)}\n{','.join(cells.values())}\n".encode()
    steps = (
        cov.UploadCoverageRequest(start=cov.UploadStart(request_id="other-2")),
        cov.UploadCoverageRequest(chunk=cov.UploadChunk(offset=0, data=content)),
        cov.UploadCoverageRequest(finish=cov.UploadFinish(size_bytes=len(content))),
    )
    async for answer in stub.UploadCoverage(iter(steps), timeout=DEADLINE_S):
        for line in answer.report.refused_lines:
            return Seen(f"line {line.line_number} refused", line.reason)
    return Seen("no line refused", "")


async def show() -> int:
    """Run every case and print what was seen."""
    with tempfile.TemporaryDirectory(prefix="onshi-refusals-") as scratch:
        strangers = Path(scratch) / "strangers"
        issue_all(strangers, INSTITUTION_CODE, ["06139992"])
        async with running_sandbox(Path(scratch) / "box", port=0, people=0, seed=1) as (box, up):
            table = cases(box, up, strangers)
            bad = 0
            seen = await table["a clinic calls UploadCoverage"][0]()
            print(f"planted: expecting OK there is noticed: {seen != Seen('OK', '')}")
            for name, (case, expected) in table.items():
                seen = await case()
                bad += seen != expected
                mark = "as expected" if seen == expected else f"EXPECTED {expected}"
                print(f"{name:46} {seen.status:18} {seen.reason:20} {mark}")
            return 1 if bad else 0


def main() -> None:
    """Run."""
    sys.exit(asyncio.run(show()))


if __name__ == "__main__":
    main()

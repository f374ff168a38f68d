"""What the tests of the drop folders share: requests, a gateway of straw, and waiting."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import grpc
from google.type.date_pb2 import Date
from grpc.aio import AioRpcError, Metadata
from grpc_status import rpc_status

from gateway.config import BridgeSettings, Tls
from gateway.domain.errors import Refusal
from gateway.domain.period import Instant
from gateway.edges.folder import FolderBridge
from gateway.edges.folder_files import LOCK
from gateway.edges.rpc.status import status_of, status_of_bug
from gateway.v1 import eligibility_pb2, types_pb2

NOW: Final = Instant(1_776_213_005_000_000)  # 2026-04-15 09:30:05 in Japan
WAIT_S: Final = 10

REQUEST: Final = """<?xml version="1.0" encoding="{encoding}" standalone="no"?>
<XmlMsg><MessageHeader>
<QualificationConfirmationDate>20260415</QualificationConfirmationDate>
<MedicalInstitutionCode>{code}</MedicalInstitutionCode>
<ArbitraryFileIdentifier>{identifier}</ArbitraryFileIdentifier>
</MessageHeader><MessageBody><QualificationConfirmSearchInfo>
<InsurerNumber>{insurer}</InsurerNumber><InsuredCardSymbol>記号</InsuredCardSymbol>
<InsuredIdentificationNumber>42</InsuredIdentificationNumber><InsuredBranchNumber/>
<Birthdate>19900101</Birthdate>
<LimitApplicationCertificateRelatedConsFlg>1</LimitApplicationCertificateRelatedConsFlg>
</QualificationConfirmSearchInfo></MessageBody></XmlMsg>
"""


def request_file(
    encoding: str = "UTF-8",
    code: str = "1319999999",
    identifier: str = "0001",
    insurer: str = "06130017",
) -> bytes:
    """Spell a request in its own encoding."""
    text = REQUEST.format(encoding=encoding, code=code, identifier=identifier, insurer=insurer)
    return text.encode("cp932" if encoding == "Shift_JIS" else "utf-8")


def nobody() -> eligibility_pb2.ConfirmEligibilityResponse:
    """Spell the gateway's answer that nothing matches."""
    response = eligibility_pb2.ConfirmEligibilityResponse(
        validity=types_pb2.VALIDITY_NO_SUCH_COVER,
        confirmation_date=Date(year=2026, month=4, day=15),
    )
    response.process_time.FromMicroseconds(NOW)
    return response


def refused(refusal: Refusal) -> AioRpcError:
    """Spell a refusal as the client of a real gateway meets it."""
    status = rpc_status.to_status(status_of(refusal))
    return AioRpcError(status.code, Metadata(), Metadata(*status.trailing_metadata), status.details)


def away(code: grpc.StatusCode = grpc.StatusCode.UNAVAILABLE) -> AioRpcError:
    """Spell what a client meets where no gateway answers."""
    return AioRpcError(code, Metadata(), Metadata(), "")


class Gateway:
    """Stands in for the stub: remembers what was asked and how many asked at once."""

    def __init__(self, *answers: Any) -> None:
        self.answers: Iterator[Any] = iter(answers)
        self.asked: list[eligibility_pb2.ConfirmEligibilityRequest] = []
        self.in_flight = self.in_flight_max = 0
        self.delay_s = 0.0

    async def ConfirmEligibility(  # noqa: N802  the contract's name
        self,
        request: eligibility_pb2.ConfirmEligibilityRequest,
        /,
        *,
        timeout: float | None = None,  # noqa: ASYNC109  the contract's name
    ) -> eligibility_pb2.ConfirmEligibilityResponse:
        """Answer with the next prepared answer, or that nothing matches."""
        self.asked.append(request)
        self.in_flight += 1
        self.in_flight_max = max(self.in_flight_max, self.in_flight)
        await asyncio.sleep(self.delay_s)
        self.in_flight -= 1
        answer = next(self.answers, None)
        if isinstance(answer, Exception):
            raise answer
        return answer if answer is not None else nobody()


def bug() -> AioRpcError:
    """Spell the gateway's word for a bug of its own."""
    status = rpc_status.to_status(status_of_bug("7"))
    return AioRpcError(status.code, Metadata(), Metadata(*status.trailing_metadata), status.details)


def settings_in(folder: Path, **changed: Any) -> BridgeSettings:
    """Make the settings, the folders, and an empty set of certificates."""
    folders = {name: folder / name for name in ("req", "res", "face", "work")}
    for path in folders.values():
        path.mkdir(exist_ok=True)
    values: dict[str, Any] = {
        "gateway": "",
        "tls": Tls(folder, folder, folder),
        "institution_code": "1319999999",
        "poll_ms": 5,
        "settle_ms": 20,
        "half_written_wait_ms": 300,
        **folders,
        **changed,
    }
    return BridgeSettings(**values)


@asynccontextmanager
async def running(settings: BridgeSettings, gateway: Gateway) -> AsyncIterator[None]:
    """Run a bridge, and see it stop of its own accord."""
    stop = asyncio.Event()
    task = asyncio.create_task(FolderBridge(gateway, settings, lambda: NOW).run(stop))
    try:
        yield
    finally:
        stop.set()
        await asyncio.wait_for(task, WAIT_S)


async def until(holds: Callable[[], object]) -> None:
    """Wait until something holds; the file system tells nobody."""
    async with asyncio.timeout(WAIT_S):
        while not holds():  # noqa: ASYNC110  nothing sets an event
            await asyncio.sleep(0.005)


async def appeared(*paths: Path) -> list[bytes]:
    """Wait until every file is there, and read them."""
    await until(lambda: all(path.exists() for path in paths))
    return [path.read_bytes() for path in paths]


def files_in(folder: Path) -> list[str]:
    """Name the files of a folder, but for the bridge's lock."""
    return sorted(path.name for path in folder.iterdir() if path.is_file() and path.name != LOCK)


async def empty(folder: Path) -> None:
    """Wait until a folder holds no file."""
    await until(lambda: not files_in(folder))


async def answered(settings: BridgeSettings, gateway: Gateway, data: bytes) -> bytes:
    """Drop one request and give its result."""
    (settings.req / "OQSsiquc01req_1.xml").write_bytes(data)
    async with running(settings, gateway):
        (result,) = await appeared(settings.res / "OQSsiquc01res_1.xml")
    return result


async def rejected(settings: BridgeSettings, gateway: Gateway, data: bytes) -> str:
    """Drop one request and give the reason in its `.err`; the request must lie beside it."""
    name = "OQSsiquc01req_1.xml"
    (settings.req / name).write_bytes(data)
    async with running(settings, gateway):
        (text,) = await appeared(settings.res / "OQSsiquc01req_1.err")
        await empty(settings.work)
    assert data == (settings.res / name).read_bytes()
    names = {path.name for path in settings.res.iterdir()}
    expected = {name, "OQSsiquc01req_1.err"}
    assert expected == names
    return text.decode().splitlines()[1].removeprefix("reason: ")

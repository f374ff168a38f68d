"""
A written nation fed into a running gateway through its doors, as its insurers and its register.

Residents come first, then each insurer's file. Fed again, nothing changes.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Final

import grpc
import msgspec

from gateway.domain.period import parse_day
from gateway.v1 import resident_register_pb2 as pb
from gateway.v1 import types_pb2
from gateway.v1.coverage_pb2_grpc import CoverageServiceStub
from gateway.v1.resident_register_pb2_grpc import ResidentRegisterSimulationServiceStub
from simulators.channel import secure_channel
from simulators.insurer import CHUNK_BYTES, upload
from simulators.resident_book import Resident

UPLOADS_AT_ONCE_MAX: Final = 8
RESIDENTS_AT_ONCE: Final = 1_000
DEADLINE_S: Final = 60

Party = Mapping[str, Path]
"""Certificate, key and CA of one who calls."""


@dataclass(frozen=True, slots=True)
class FileAt:
    """A file on the disk, read as often as it is iterated."""

    path: Path

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """Give it in pieces."""
        with self.path.open("rb") as file:
            while piece := file.read(CHUNK_BYTES):
                yield piece


def resident_message(resident: Resident) -> pb.Resident:
    """Spell a resident as the register's own service takes it."""
    born = parse_day(resident.birth_date)
    message = pb.Resident(resident_id=resident.ids[0], individual_number=resident.individual_number)
    items = message.items
    items.name, items.name_kana = resident.name, resident.name_kana
    items.birth_date.year, items.birth_date.month, items.birth_date.day = (
        born.year,
        born.month,
        born.day,
    )
    items.sex = types_pb2.Sex.ValueType(resident.sex)
    items.address = resident.address
    return message


def residents_in(lines: Iterable[bytes]) -> Iterator[list[pb.Resident]]:
    """Read residents' lines, so many at once as the register takes."""
    decoder = msgspec.json.Decoder(Resident, strict=False)
    messages = (resident_message(decoder.decode(line)) for line in lines)
    while some := list(islice(messages, RESIDENTS_AT_ONCE)):
        yield some


async def add_residents(channel: grpc.aio.Channel, lines: Iterable[bytes]) -> int:
    """
    Tell the register of residents, as its operator; give how many.

    Raises:
        grpc.aio.AioRpcError: For a refusal; the register may be full.
    """
    stub = ResidentRegisterSimulationServiceStub(channel)
    added = 0
    for some in residents_in(lines):
        await stub.AddResidents(pb.AddResidentsRequest(residents=some), timeout=DEADLINE_S)
        added += len(some)
    return added


async def upload_files(
    address: str,
    party_of: Callable[[str], Party],
    files: Mapping[str, Path],
    request_id: str,
    told: Callable[[str, int], None] = lambda _number, _lines: None,
) -> Counter[str]:
    """
    Upload a file as each insurer, some side by side; give the lines by what came of them.

    Args:
        party_of: Gives an insurer's certificate, by its number.

        request_id: What the uploads are known by; the same again changes nothing.

    Raises:
        grpc.aio.AioRpcError: For a refusal.
    """
    gate = asyncio.Semaphore(UPLOADS_AT_ONCE_MAX)
    counts: Counter[str] = Counter()

    async def send(number: str, path: Path) -> None:
        async with gate, secure_channel(address, **party_of(number)) as channel:
            report = await upload(CoverageServiceStub(channel), request_id, FileAt(path))
        counts["applied"] += report.lines_applied
        counts["refused"] += report.lines_refused
        counts["unchanged"] += report.lines_unchanged
        told(number, report.lines_read)

    async with asyncio.TaskGroup() as group:
        for number, path in files.items():
            group.create_task(send(number, path))
    return counts

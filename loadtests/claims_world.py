"""
Makes the households of a claim file known: to the resident register first, then by their insurers.

A cover whose My Number the register has not confirmed yet reads as none, so the last step waits
until a clinic is told of every one of them.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from google.type import date_pb2

from gateway.v1 import resident_register_pb2 as pb
from gateway.v1 import types_pb2
from gateway.v1.coverage_pb2_grpc import CoverageServiceStub
from gateway.v1.eligibility_pb2_grpc import EligibilityServiceStub
from gateway.v1.resident_register_pb2_grpc import ResidentRegisterSimulationServiceStub
from simulators.channel import secure_channel
from simulators.clinic import ask
from simulators.insurer import upload
from simulators.people import Card, Row, address_of, lines_of
from simulators.population import Household, rows_of

if TYPE_CHECKING:
    import grpc

    from gateway.v1.eligibility_pb2_grpc import EligibilityServiceAsyncStub

RESIDENTS_A_CALL: Final = 500
KNOWN_S_MAX: Final = 120
"""How long the register may take to confirm every number."""
POLL_S: Final = 0.05

_NO_SUCH_COVER: Final = 4


async def make_known(
    description: Mapping[str, Any], households: Sequence[Household], request_id: str, on: date
) -> None:
    """
    Register households with a running sandbox.

    Args:
        description: What `sandbox.json` holds.
        on: A day that clinics may ask about.

    Raises:
        ValueError: If a coverage line was refused.
        TimeoutError: If a cover is not known in time.
    """
    address = description["address"]
    await _add_residents(description["register"], households)
    rows_by_insurer: dict[str, list[Row]] = {}
    for household in households:
        for row in rows_of(household):
            rows_by_insurer.setdefault(row["insurer_number"], []).append(row)
    for insurer, rows in sorted(rows_by_insurer.items()):
        async with _channel(address, description["insurers"][insurer]) as channel:
            report = await upload(CoverageServiceStub(channel), request_id, lines_of(rows))
        if report.lines_applied != len(rows):
            raise ValueError(f"insurer {insurer}: {report.lines_refused} lines refused")
    async with _channel(address, description["certificates"]["institution"]) as channel:
        stub = EligibilityServiceStub(channel)
        until = time.monotonic() + KNOWN_S_MAX
        for card, birth_date in _numbered(households):
            await _until_known(stub, card, birth_date, on, until)


def _channel(address: str, party: Mapping[str, str]) -> grpc.aio.Channel:
    paths = {name: Path(party[name]) for name in ("ca", "certificate", "key")}
    return secure_channel(address, **paths)


async def _add_residents(register: Mapping[str, str], households: Sequence[Household]) -> None:
    residents = [resident for household in households for resident in _residents(household)]
    async with _channel(register["address"], register) as channel:
        stub = ResidentRegisterSimulationServiceStub(channel)
        for start in range(0, len(residents), RESIDENTS_A_CALL):
            some = residents[start : start + RESIDENTS_A_CALL]
            await stub.AddResidents(pb.AddResidentsRequest(residents=some))


def _residents(household: Household) -> Iterator[pb.Resident]:
    for place, person in enumerate(household.people):
        born = person.birth_date
        yield pb.Resident(
            resident_id=f"claim-{household.serial}-{place}",
            individual_number=person.individual_number,
            items=pb.FiveItems(
                name=person.name,
                name_kana=person.name_kana,
                birth_date=date_pb2.Date(year=born.year, month=born.month, day=born.day),
                sex=types_pb2.Sex.ValueType(int(person.sex)),
                address=address_of(household.serial)["address"],
            ),
        )


def _numbered(households: Sequence[Household]) -> Iterator[tuple[Card, date]]:
    """The covers that wait for the register, with the birth date a clinic asks with."""
    for household in households:
        for person in household.people:
            for spell in person.spells:
                if spell.is_numbered:
                    yield spell.card, person.birth_date


async def _until_known(
    stub: EligibilityServiceAsyncStub, card: Card, birth_date: date, on: date, until: float
) -> None:
    while (await ask(stub, card, birth_date, on)).validity == _NO_SUCH_COVER:
        if time.monotonic() > until:
            raise TimeoutError("a registered cover is still not known")
        await asyncio.sleep(POLL_S)

"""The scenario of papers to collect: who lost cover, and whether the certificate is back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import grpc
from google.type.date_pb2 import Date

from gateway.app.ask import refused
from gateway.v1 import coverage_changes_pb2 as pb
from gateway.v1.coverage_pb2_grpc import CoverageServiceStub
from loadtests.scenario_place import Asked
from loadtests.scenario_tales import Tale, valid
from simulators.people import Row
from simulators.typed_changes import collections_of, register_typed

if TYPE_CHECKING:
    from gateway.v1.coverage_pb2_grpc import CoverageServiceAsyncStub

CERTIFIED: Final = "voluntary-continuation"
LOST, BACK = "20260410", "20260414"
LISTED: Final = {
    "to collect": pb.COLLECTION_STATE_TO_COLLECT,
    "collected": pb.COLLECTION_STATE_COLLECTED,
}


async def certificate_collected(tale: Tale) -> None:
    """R003-24, R003-25: a certificate is to be collected from the loss on, until it is."""
    asked = tale.place.asked(CERTIFIED)
    await tale.asks("while cover holds", asked, valid(lost=""))
    await _listed(tale, asked, "before the loss", [])
    await _tell(tale, asked, {"action": "LOSS", "loss_date": LOST, "loss_reason": "99"})
    await tale.asks("after the loss", asked, (2, {"lost": LOST}))
    await _listed(tale, asked, "after the loss", ["to collect"])
    await _tell(tale, asked, {"action": "CHANGE", "certificate_collected_date": BACK})
    await _listed(tale, asked, "once it is back", [f"collected {BACK}"])
    await tale.asks("once it is back", asked, (2, {"lost": LOST}))


async def _tell(tale: Tale, asked: Asked, said: Row) -> str:
    """Register a change of a person by its typed call; the reason if it is refused."""
    row = asked.card.cells() | {"birth_date": asked.birth_date.isoformat()} | said
    async with tale.place.channel_of(asked.card.insurer_number) as channel:
        stub: CoverageServiceAsyncStub = CoverageServiceStub(channel)
        try:
            await register_typed(stub, f"paper-{len(tale.noted)}-{said['action']}", row)
        except grpc.aio.AioRpcError as error:
            return refused(error).reason
    return ""


async def _listed(tale: Tale, asked: Asked, what: str, expected: list[str]) -> None:
    """Note on which of its lists the insurer finds the person's certificate."""
    found = []
    async with tale.place.channel_of(asked.card.insurer_number) as channel:
        stub: CoverageServiceAsyncStub = CoverageServiceStub(channel)
        for name, state in LISTED.items():
            found += [
                f"{name} {_day(one.qualification_certificate.collected_date)}".strip()
                for one in await collections_of(stub, state, 1)
                if one.insured_id.number == asked.card.number
            ]
    tale.says(what, "insurer", str(found), str(expected))


def _day(on: Date) -> str:
    return f"{on.year:04d}{on.month:02d}{on.day:02d}" if on.year else ""


PAPER_TALES: Final = {"R003-24": certificate_collected}

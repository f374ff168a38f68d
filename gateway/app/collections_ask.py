"""Ask a running sandbox which cards and certificates are to be collected, as an insurer."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import grpc
from google.protobuf.json_format import MessageToDict
from google.type.date_pb2 import Date
from rich.console import Console
from rich.table import Table

from gateway.app.ask import Outcome, described, insurer_unknown, not_running, refused
from gateway.v1 import coverage_changes_pb2 as pb
from gateway.v1.coverage_pb2_grpc import CoverageServiceStub
from simulators.channel import secure_channel
from simulators.typed_changes import collections_of

PAGE: Final = 500
STATES: Final = {
    "to-collect": pb.COLLECTION_STATE_TO_COLLECT,
    "collected": pb.COLLECTION_STATE_COLLECTED,
    "uncollected": pb.COLLECTION_STATE_UNCOLLECTED,
}
_HEADS: Final = ("記号", "番号", "枝番", "喪失 loss", "被保険者証 card", "資格確認書 certificate")


async def collections(
    root: Path, insurer: str, state: str
) -> tuple[list[pb.Collection], Outcome | None]:
    """Give an insurer's covers whose papers are in a state of `STATES`; or what refused it."""
    description = described(root)
    if description is None:
        return [], not_running(root)
    insurers: dict[str, Any] = description["insurers"]
    if insurer not in insurers:
        return [], insurer_unknown(insurer, insurers)
    party = {part: Path(insurers[insurer][part]) for part in ("certificate", "key", "ca")}
    try:
        async with secure_channel(description["address"], **party) as channel:
            return await collections_of(CoverageServiceStub(channel), STATES[state], PAGE), None
    except grpc.aio.AioRpcError as error:
        return [], refused(error)


def as_json(found: list[pb.Collection]) -> list[dict[str, Any]]:
    """Spell covers for JSON."""
    return [MessageToDict(one, preserving_proto_field_name=True) for one in found]


def print_collections(found: list[pb.Collection]) -> None:
    """Show covers as a table, those lost first in front."""
    table = Table(*_HEADS)
    for one in found:
        of = one.insured_id
        table.add_row(
            of.symbol,
            of.number,
            of.branch,
            _day(one.loss_date),
            _paper(one.card) if one.HasField("card") else "",
            _paper(one.qualification_certificate)
            if one.HasField("qualification_certificate")
            else "",
        )
    console = Console(soft_wrap=True, highlight=False)
    console.print(table)
    console.print(f"{len(found)} 件 covers")


def _paper(paper: pb.CollectedPaper) -> str:
    state = pb.CollectionState.Name(paper.state).removeprefix("COLLECTION_STATE_")
    return f"{state} {_day(paper.collected_date)}".strip()


def _day(on: Date) -> str:
    return f"{on.year:04d}-{on.month:02d}-{on.day:02d}" if on.year else ""

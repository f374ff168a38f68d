"""Ask a running sandbox for the lag, as its insurers."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any, Final

import grpc
from google.protobuf.json_format import MessageToDict

from gateway.app.ask import Outcome, described, insurer_unknown, not_running, refused
from gateway.edges.rpc.convert import date_message
from gateway.v1 import lag_pb2 as pb
from gateway.v1.lag_pb2_grpc import LagServiceStub
from simulators.channel import secure_channel

DEADLINE_S: Final = 60

Reports = dict[str, pb.GetLagReportResponse]
"""A report for each insurer number."""


async def lag_reports(
    root: Path, insurer: str, first_day: date | None, last_day: date | None
) -> tuple[Reports, Outcome | None]:
    """Give the reports of one insurer, or of all if `insurer` is empty; or what refused one."""
    description = described(root)
    if description is None:
        return {}, not_running(root)
    insurers: dict[str, Any] = description["insurers"]
    if insurer and insurer not in insurers:
        return {}, insurer_unknown(insurer, insurers)
    request = pb.GetLagReportRequest(
        first_day=date_message(first_day), last_day=date_message(last_day)
    )
    found: Reports = {}
    try:
        for number in [insurer] if insurer else sorted(insurers):
            party = {part: Path(insurers[number][part]) for part in ("certificate", "key", "ca")}
            async with secure_channel(description["address"], **party) as channel:
                stub = LagServiceStub(channel)
                found[number] = await stub.GetLagReport(request, timeout=DEADLINE_S)
    except grpc.aio.AioRpcError as error:
        return {}, refused(error)
    return found, None


def as_json(reports: Reports) -> dict[str, Any]:
    """Spell reports for JSON, zero counts included."""
    return {
        insurer: MessageToDict(
            report, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
        )
        for insurer, report in reports.items()
    }

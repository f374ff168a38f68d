"""Watching a sandbox's feed on the screen, as an insurer or as the clinic."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import grpc

from gateway.app.ask import Outcome, described, insurer_unknown, not_running, refused
from gateway.app.channel import secure_channel
from gateway.config import Tls
from gateway.domain.period import Instant, tokyo_time
from gateway.v1 import feed_pb2 as pb
from gateway.v1.feed_pb2_grpc import FeedServiceStub

_WORDS: Final = {
    "en": {
        "ACQUIRED": "cover began",
        "CHANGED": "items changed",
        "LOST": "loss registered",
        "CORRECTED": "corrected",
        "CANCELLED": "cancelled",
        "SUSPENDED": "out of sight",
        "RESTORED": "in sight again",
        "NUMBER_LINKED": "number linked",
        "NUMBER_UNLINKED": "link undone",
        "MEDICAL_STOPPED": "medical information stopped",
        "": "out of date, ask again: confirmation",
    },
    "ja": {
        "ACQUIRED": "資格取得",
        "CHANGED": "異動",
        "LOST": "資格喪失",
        "CORRECTED": "訂正",
        "CANCELLED": "取消",
        "SUSPENDED": "閲覧停止",
        "RESTORED": "閲覧再開",
        "NUMBER_LINKED": "個人番号の紐付け",
        "NUMBER_UNLINKED": "紐付けの解除",
        "MEDICAL_STOPPED": "医療情報の閲覧停止",
        "": "再確認が必要: 照会記録",
    },
}


@dataclass(frozen=True, slots=True)
class Wish:
    """
    Who watches, from where on, and for how long.

    An empty `insurer` is the sandbox's first; `is_clinic` watches as its institution.
    """

    is_clinic: bool
    insurer: str = ""
    cursor: str = ""
    is_from_now: bool = False
    seconds: float | None = None


async def watch(
    root: Path, wish: Wish, show: Callable[[pb.WatchChangesResponse], None]
) -> Outcome | None:
    """Show messages until the time is over; gives a refusal, if there is one."""
    description = described(root)
    if description is None:
        return not_running(root)
    insurers: dict[str, Any] = description["insurers"]
    number = wish.insurer or min(insurers)
    if not wish.is_clinic and number not in insurers:
        return insurer_unknown(number, insurers)
    party = description["certificates"]["institution"] if wish.is_clinic else insurers[number]
    tls = Tls(Path(party["certificate"]), Path(party["key"]), Path(party["ca"]))
    request = pb.WatchChangesRequest(cursor=wish.cursor, is_from_now=wish.is_from_now)
    try:
        async with secure_channel(description["address"], tls) as channel:
            with suppress(TimeoutError):
                async with asyncio.timeout(wish.seconds):
                    async for message in _messages(channel, request):
                        show(message)
    except grpc.aio.AioRpcError as error:
        return refused(error)
    return None


async def _messages(
    channel: grpc.aio.Channel, request: pb.WatchChangesRequest
) -> AsyncIterator[pb.WatchChangesResponse]:
    call = FeedServiceStub(channel).WatchChanges(request)
    try:
        async for message in call:
            yield message
    finally:
        call.cancel()


def lines_of(message: pb.WatchChangesResponse, language: str) -> Iterable[str]:
    """Spell the events of a message, a line each."""
    words = _WORDS[language]
    for one in message.changes:
        kinds = ", ".join(
            words[pb.ChangeKind.Name(kind).removeprefix("CHANGE_KIND_")] for kind in one.kinds
        )
        who = one.insured_id
        at = tokyo_time(Instant(one.recorded_time.ToMicroseconds()))
        card = " ".join(filter(None, (who.symbol, who.number, who.branch)))
        said = f"  {one.request_id}:{one.line_number}" if one.request_id else ""
        yield f"{one.sequence:>8}  {at:%Y-%m-%d %H:%M:%S}  {card}  {kinds}{said}"
    for news in message.outdated_confirmations:
        yield f"{news.sequence:>8}  {words['']} {news.access_record_id}"


def print_message(message: pb.WatchChangesResponse, language: str) -> None:
    """Print a message's events, and where to go on after them."""
    for line in lines_of(message, language):
        sys.stdout.write(f"{line}\n")
    if message.last_sequence != message.previous_sequence:
        sys.stdout.write(f"          --cursor {message.cursor}\n")
    sys.stdout.flush()


def print_message_json(message: pb.WatchChangesResponse) -> None:
    """Print a message as one line of JSON, heartbeats too."""
    from google.protobuf.json_format import MessageToJson

    sys.stdout.write(
        MessageToJson(message, preserving_proto_field_name=True, indent=None, ensure_ascii=False)
    )
    sys.stdout.write("\n")
    sys.stdout.flush()

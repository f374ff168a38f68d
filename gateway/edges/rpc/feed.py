"""FeedService as the writer serves it: changes to insurers, news to institutions."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass
from typing import Final

from gateway.domain.errors import InvalidInput
from gateway.domain.feed import (
    ChangeEvent,
    ChangeKind,
    NewsEvent,
    decode_cursor,
    encode_cursor,
)
from gateway.domain.purpose import Role
from gateway.edges.rpc import convert, convert_insurers
from gateway.edges.rpc.server import Method, read
from gateway.usecases.context import Context
from gateway.usecases.watch_changes import ChangeWatch, Page
from gateway.v1 import feed_pb2 as pb

WATCHERS: Final = frozenset({Role.INSURER, Role.INSTITUTION})
_KINDS: Final = {kind: pb.ChangeKind.Value(f"CHANGE_KIND_{kind.name}") for kind in ChangeKind}


@dataclass(frozen=True, slots=True)
class FeedService:
    """Tells watchers what changed; there is one, in the writer."""

    feed: ChangeWatch

    def methods(self) -> tuple[Method, ...]:
        """The method and who may call it."""
        return (Method("FeedService/WatchChanges", WATCHERS, stream=self.watch_changes),)

    async def watch_changes(
        self, requests: AsyncIterator[bytes], context: Context
    ) -> AsyncIterator[bytes]:
        """Tell what changed, page by page."""
        said = read(pb.WatchChangesRequest, await _only(requests))
        cursor = decode_cursor(said.cursor) if said.cursor else None
        pages = self.feed.watch(cursor, context, is_from_now=said.is_from_now)
        async with aclosing(pages):
            async for page in pages:
                yield _spelled(page)


async def _only(requests: AsyncIterator[bytes]) -> bytes:
    async for request in requests:
        return request
    raise InvalidInput("MESSAGE_MALFORMED")


def _spelled(page: Page) -> bytes:
    return pb.WatchChangesResponse(
        cursor=encode_cursor(page.cursor),
        previous_sequence=page.previous_sequence,
        last_sequence=page.cursor.sequence,
        changes=[_change(one) for one in page.events if isinstance(one, ChangeEvent)],
        outdated_confirmations=[
            pb.OutdatedConfirmation(sequence=one.sequence, access_record_id=one.access_record_id)
            for one in page.events
            if isinstance(one, NewsEvent)
        ],
    ).SerializeToString()


def _change(event: ChangeEvent) -> pb.EnrolleeChange:
    return pb.EnrolleeChange(
        sequence=event.sequence,
        recorded_time=convert.timestamp(event.recorded_time),
        kinds=[_KINDS[kind] for kind in event.kinds],
        insured_id=convert_insurers.insured_id_message(event.insured_id),
        request_id=event.request_id,
        line_number=event.line_number,
    )

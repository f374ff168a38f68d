"""Proto to domain and back for collections; see `convert`."""

from __future__ import annotations

from typing import Any, Final

from gateway.domain.collection import Collection, CollectionState, Paper
from gateway.domain.coverage import Coverage
from gateway.domain.errors import InvalidInput
from gateway.domain.identifiers import EnrolleeKey
from gateway.domain.period import parse_day
from gateway.edges.rpc.convert import date_message
from gateway.edges.rpc.convert_insurers import KEY_BYTES, insured_id_message, page_size
from gateway.store.port_insurers import CollectionPlace
from gateway.usecases.list_collections import FROM_THE_FIRST, CollectionPage
from gateway.v1 import coverage_changes_pb2 as pb

_LISTED: Final = {
    pb.COLLECTION_STATE_UNSPECIFIED: CollectionState.TO_COLLECT,
    pb.COLLECTION_STATE_TO_COLLECT: CollectionState.TO_COLLECT,
    pb.COLLECTION_STATE_COLLECTED: CollectionState.COLLECTED,
    pb.COLLECTION_STATE_UNCOLLECTED: CollectionState.UNCOLLECTED,
}
_COVER_NO_DIGITS_MAX: Final = 9


def page_asked(said: pb.ListCollectionsRequest) -> tuple[CollectionState, CollectionPlace, int]:
    """
    Read which page is asked for: the state, the place before it, and its size.

    Raises:
        InvalidInput: `CODE_UNKNOWN` for a state that is not listed; `FORMAT_WRONG`.
    """
    if said.state not in _LISTED:
        raise InvalidInput("CODE_UNKNOWN", "state")
    place = _place(said.page_token) if said.page_token else FROM_THE_FIRST
    return _LISTED[said.state], place, page_size(said.page_size)


def collections(page: CollectionPage) -> pb.ListCollectionsResponse:
    """Spell a page."""
    token = ""
    if page.last is not None:
        lost, key, cover_no = page.last
        token = f"{lost:%Y%m%d}.{key.hex()}.{cover_no}"
    return pb.ListCollectionsResponse(
        collections=[_collection(cover, collection) for cover, collection in page.covers],
        next_page_token=token,
    )


def _place(token: str) -> CollectionPlace:
    parts = token.split(".")
    try:
        lost, key, cover_no = parts
        place = parse_day(lost), EnrolleeKey(bytes.fromhex(key)), _count(cover_no)
    except (ValueError, InvalidInput):
        raise InvalidInput("FORMAT_WRONG", "page_token") from None
    if len(place[1]) != KEY_BYTES:
        raise InvalidInput("FORMAT_WRONG", "page_token")
    return place


def _count(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= _COVER_NO_DIGITS_MAX):
        raise ValueError
    return int(text)


def _collection(cover: Coverage, collection: Collection) -> pb.Collection:
    is_uncollected = CollectionState.UNCOLLECTED in (
        paper.state for paper in (collection.card, collection.certificate) if paper
    )
    return pb.Collection(
        insured_id=insured_id_message(cover.insured_id),
        birth_date=date_message(cover.birth_date),
        acquisition_date=date_message(cover.period.start),
        loss_date=date_message(cover.period.end),
        state=_code(collection.state),
        card=_paper(collection.card),
        qualification_certificate=_paper(collection.certificate),
        uncollected_reason=_reason(cover) if is_uncollected else _reason(None),
    )


def _paper(paper: Paper | None) -> pb.CollectedPaper | None:
    if paper is None:
        return None
    return pb.CollectedPaper(
        state=_code(paper.state),
        issue_date=date_message(paper.issue_date),
        collected_date=date_message(paper.collected_date),
    )


def _code(state: CollectionState) -> Any:
    """Our codes are the wire's numbers."""
    return state.value


def _reason(cover: Coverage | None) -> Any:
    """The same; 0 is the wire's word for nothing."""
    reason = None if cover is None else cover.uncollected_reason
    return 0 if reason is None else int(reason.value)

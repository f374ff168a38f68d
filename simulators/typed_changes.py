"""
A line of a coverage file as the typed request that says the same.

Written from the contract alone, by another road than the gateway's own reading of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from google.type import date_pb2

from gateway.domain.period import parse_day
from gateway.v1 import coverage_changes_pb2 as pb

if TYPE_CHECKING:
    from gateway.v1.coverage_pb2_grpc import CoverageServiceAsyncStub
    from simulators.people import Row

REQUESTS: Final[dict[str, type[Message]]] = {
    "NEW": pb.RegisterAcquisitionRequest,
    "CHANGE": pb.ChangeItemsRequest,
    "LOSS": pb.RegisterLossRequest,
    "CORRECT": pb.CorrectCoverageRequest,
    "CANCEL": pb.CancelCoverageRequest,
}
"""The typed request of each action; `NUMBER` has `RegisterIndividualNumber`."""

Response = (
    pb.RegisterAcquisitionResponse
    | pb.ChangeItemsResponse
    | pb.RegisterLossResponse
    | pb.CorrectCoverageResponse
    | pb.CancelCoverageResponse
)

_CLEAR: Final = "-"
_ALIASES: Final = {
    "disease": "specific_disease_certificate",
    "ticket": "medical_ticket",
    "certificate": "qualification_certificate",
    "elderly": "elderly_certificate",
    "limit": "limit_certificate",
}
_UNITS: Final = ("", "_percent", "_yen")


def typed_request(request_id: str, row: Row) -> Message:
    """
    Spell a line as the typed request of its action.

    Raises:
        KeyError: For an action without one, or a cell the action does not take.
        InvalidInput: For a day that cannot be read, which no message can hold.
    """
    request = REQUESTS[row["action"]]()
    _set(request, ("request_id",), request_id)
    for column, cell in row.items():
        if column != "action" and cell:
            path = _path(type(request).DESCRIPTOR, column)
            if cell == _CLEAR and path[0] != "insured_id":
                mask: Any = getattr(request, "cleared")  # noqa: B009  not every request has one
                mask.paths.append(".".join(path))
            else:
                _set(request, path, cell)
    return request


async def register_typed(stub: CoverageServiceAsyncStub, request_id: str, row: Row) -> Response:
    """
    Register one line of a coverage file by the typed call of its action.

    Raises:
        grpc.aio.AioRpcError: For a refusal.
    """
    match typed_request(request_id, row):
        case pb.RegisterAcquisitionRequest() as request:
            return await stub.RegisterAcquisition(request)
        case pb.ChangeItemsRequest() as request:
            return await stub.ChangeItems(request)
        case pb.RegisterLossRequest() as request:
            return await stub.RegisterLoss(request)
        case pb.CorrectCoverageRequest() as request:
            return await stub.CorrectCoverage(request)
        case request:
            assert isinstance(request, pb.CancelCoverageRequest)
            return await stub.CancelCoverage(request)


async def collections_of(
    stub: CoverageServiceAsyncStub,
    state: pb.CollectionState.ValueType = pb.COLLECTION_STATE_TO_COLLECT,
    page_size: int = 0,
) -> list[pb.Collection]:
    """
    List an insurer's covers whose papers are in a state, page by page.

    Raises:
        grpc.aio.AioRpcError: For a refusal.
    """
    request = pb.ListCollectionsRequest(state=state, page_size=page_size)
    found: list[pb.Collection] = []
    while True:
        page = await stub.ListCollections(request)
        found += page.collections
        request.page_token = page.next_page_token
        if not page.next_page_token:
            return found


def _path(kind: Any, column: str) -> tuple[str, ...]:
    """Where a message says what a column says."""
    for within in ("", "insured_id", "filing", "items"):
        place = _named(kind, within, column)
        if place:
            return place
    word, _, rest = column.partition("_")
    inner = _ALIASES.get(word, word)
    items = kind.fields_by_name["items"].message_type
    for name in (rest, column):
        place = _named(items, inner, name)
        if place:
            return ("items", *place)
    raise KeyError(column)


def _named(kind: Any, within: str, column: str) -> tuple[str, ...]:
    if within:
        field = kind.fields_by_name.get(within)
        if field is None or field.message_type is None:
            return ()
        kind = field.message_type
    for unit in _UNITS:
        if column + unit in kind.fields_by_name:
            return (within, column + unit) if within else (column + unit,)
    return ()


def _set(message: Message, path: tuple[str, ...], cell: str) -> None:
    *outer, name = path
    for step in outer:
        message = getattr(message, step)
    field = message.DESCRIPTOR.fields_by_name[name]
    if field.message_type is not None:
        day = parse_day(cell)
        getattr(message, name).CopyFrom(date_pb2.Date(year=day.year, month=day.month, day=day.day))
    elif field.is_repeated:
        getattr(message, name).extend(int(code) for code in cell.split("+"))
    elif field.type == FieldDescriptor.TYPE_BOOL:
        setattr(message, name, cell == "1")
    elif field.type in (FieldDescriptor.TYPE_ENUM, FieldDescriptor.TYPE_INT32):
        setattr(message, name, int(cell))
    else:
        setattr(message, name, cell)

"""Typed changes say what lines of a file say, are refused alike, and list what is to collect."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from google.protobuf.field_mask_pb2 import FieldMask
from google.type.date_pb2 import Date
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.changes import Change
from gateway.domain.errors import InvalidInput, NotPermitted, Refusal
from gateway.edges.rpc.convert import sheet
from gateway.edges.rpc.convert_changes import change, columns_of
from gateway.edges.rpc.coverage import CoverageService
from gateway.edges.rpc.coverage_changes import ChangeMethods
from gateway.formats.coverage_columns import CLEAR, COLUMNS, Action
from gateway.formats.coverage_csv import decode_cells
from gateway.v1 import coverage_changes_pb2 as pb
from gateway.v1 import coverage_pb2
from simulators.typed_changes import REQUESTS, typed_request
from tests.usecases.registration import (
    INSURER,
    NUMBERS,
    OTHER_INSURER,
    Stand,
    a_file,
    caller,
    new,
    said,
    who,
)

Outcome = Change | tuple[str, str]
LEAST = {
    Action.NEW: {
        "acquisition_date": "20250401",
        "name": "架空　太郎",
        "sex": "1",
        "insurer_name": "架空組合",
    },
    Action.CHANGE: {"address": "見本県架空市"},
    Action.LOSS: {"loss_date": "20250801", "loss_reason": "03"},
    Action.CORRECT: {"name": "架空　花子"},
    Action.CANCEL: {},
}
GOOD = {
    "insurer_number": ["01130012"],
    "symbol": ["記号", "１２"],
    "number": ["1", "0012"],
    "branch": ["01", "2"],
    "new_symbol": ["記", "90"],
    "new_number": ["7", "-0"],
    "new_branch": ["02", "3"],
    "sex": ["1", "2", "3", "4"],
    "sex_on_reverse": ["2", "3"],
    "relationship": ["1", "2", "7"],
    "loss_reason": ["01", "03", "99", "05"],
    "card_classification": ["01", "A1", "zz"],
    "copayment_ratio": ["0", "30", "101"],
    "elderly_copayment_ratio": ["0", "20"],
    "limit_kind": ["01", "02", "09"],
    "limit_class": ["A01", "B10"],
    "disease_category": ["1", "3"],
    "disease_self_pay": ["0", "10000", "99999999"],
    "ticket_type": ["01", "02"],
    "ticket_month": ["202504", "202513"],
    "ticket_issue_number": ["12345678", "x" * 21],
    "ticket_institution_code": ["1319999999", "1310000001"],
    "documents_seen": ["1", "2+3", "3+1"],
    "uncollected_reason": ["1", "9", "4"],
    "post_number": ["100-0001", "1000001", "10"],
    "employer_code": ["A-1", "あ"],
    "individual_number": [NUMBERS[0], "123"],
}
DAYS = ["20250401", "20250331", "20260401", "19490707", "20240229"]
TEXTS = ["架空　太郎", "ｶｸｳ ﾀﾛｳ", " Ａ ", "あ" * 101, "x\u200by"]


def cells_of(name: str, action: Action) -> st.SearchStrategy[str]:
    """Cells of a column that a message can hold."""
    if name.startswith("is_"):
        good = ["0", "1"]
    elif name.endswith("_date"):
        good = DAYS
    else:
        good = GOOD.get(name, TEXTS)
    may_clear = action in (Action.CHANGE, Action.CORRECT) and name not in who()
    return st.sampled_from([*good, CLEAR] if may_clear else good)


@st.composite
def lines(draw: st.DrawFn) -> dict[str, str]:
    """Lines of every action with any of its columns."""
    action = draw(st.sampled_from([action for action in Action if action.value in REQUESTS]))
    names = [name for name, column in COLUMNS.items() if action in column.allowed]
    chosen = draw(st.lists(st.sampled_from(names), unique=True, max_size=12))
    line = {name: draw(cells_of(name, action)) for name in chosen if name != "action"}
    return who() | LEAST[action] | line | {"action": action.value}


def by_file(line: Mapping[str, str]) -> Outcome:
    """What a line says, or its column and reason."""
    try:
        return decode_cells(line)
    except Refusal as refusal:
        return refusal.field, refusal.reason


def by_call(line: Mapping[str, str]) -> Outcome:
    """The same of the typed request, through the wire's bytes."""
    action = Action(line["action"])
    request = REQUESTS[action.value].FromString(typed_request("r", dict(line)).SerializeToString())
    try:
        return change(action, request)
    except Refusal as refusal:
        return columns_of(request.DESCRIPTOR).get(refusal.field, refusal.field), refusal.reason


@given(lines())
def test_a_typed_call_says_what_its_line_says(line: dict[str, str]) -> None:
    """The same change, or the same reason about the same column."""
    assert by_file(line) == by_call(line)


@pytest.mark.parametrize("action", [action for action in Action if action.value in REQUESTS])
def test_every_column_has_a_field(action: Action) -> None:
    """Each column an action takes is a field of its request; any other field is refused."""
    columns = columns_of(REQUESTS[action.value].DESCRIPTOR)
    allowed = {name for name, column in COLUMNS.items() if action in column.allowed}
    assert allowed - {"action"} <= set(columns.values())
    for name in set(columns.values()) - allowed:
        line = who() | LEAST[action] | {"action": action.value, name: "1"}
        assert (name, "CELL_NOT_TAKEN") == by_file(line) == by_call(line)


@pytest.mark.parametrize("action", [action for action in Action if action.value in REQUESTS])
def test_every_column_says_the_same_by_itself(action: Action) -> None:
    """With each column filled alone, and cleared, file and call agree (and most are good)."""
    agreed = good = 0
    for name, column in COLUMNS.items():
        if action not in column.allowed or name == "action":
            continue
        cells = DAYS if name.endswith("_date") else GOOD.get(name, ["1", "0"])
        clear = [CLEAR] if action in (Action.CHANGE, Action.CORRECT) and name not in who() else []
        for cell in [*cells, *clear]:
            line = who() | LEAST[action] | {name: cell, "action": action.value}
            expected = by_file(line)
            assert expected == by_call(line), name
            agreed += 1
            good += not isinstance(expected, tuple)
    assert good > agreed / 3


def acquisition(**more: object) -> pb.RegisterAcquisitionRequest:
    """The usual acquisition as a message."""
    row = who() | LEAST[Action.NEW] | {"action": "NEW"}
    request = typed_request("one", row)
    assert isinstance(request, pb.RegisterAcquisitionRequest)
    request.MergeFrom(pb.RegisterAcquisitionRequest(**more))  # type: ignore[arg-type]
    return request


@pytest.mark.parametrize(
    ("action", "request_", "field", "reason"),
    [
        (
            Action.NEW,
            acquisition(items=pb.CoverageItems(name="-")),
            "items.name",
            "FORMAT_WRONG",
        ),
        (
            Action.NEW,
            acquisition(items=pb.CoverageItems(elderly_certificate=pb.ElderlyCertificateItems())),
            "items.elderly_certificate.first_valid_date",
            "FIELD_REQUIRED",
        ),
        (
            Action.NEW,
            acquisition(acquisition_date=Date(year=2025, month=13, day=1)),
            "acquisition_date",
            "DATE_WRONG",
        ),
        (
            Action.NEW,
            pb.RegisterAcquisitionRequest(),
            "insured_id.insurer_number",
            "FIELD_REQUIRED",
        ),
        (
            Action.CHANGE,
            pb.ChangeItemsRequest(cleared=FieldMask(paths=["items.shoe_size"])),
            "cleared",
            "CODE_UNKNOWN",
        ),
        (
            Action.CHANGE,
            pb.ChangeItemsRequest(
                items=pb.CoverageItems(address="x"), cleared=FieldMask(paths=["items.address"])
            ),
            "cleared",
            "FORMAT_WRONG",
        ),
        (
            Action.CHANGE,
            pb.ChangeItemsRequest(cleared=FieldMask(paths=["request_id"])),
            "cleared",
            "CODE_UNKNOWN",
        ),
    ],
)
def test_what_no_line_could_say_is_refused(
    action: Action, request_: pb.RegisterAcquisitionRequest, field: str, reason: str
) -> None:
    """The field is the message's own path."""
    with pytest.raises(InvalidInput) as caught:
        change(action, request_)
    assert (field, reason) == (caught.value.field, caught.value.reason)


@pytest.fixture
def stand() -> Stand:
    """A writer in memory."""
    made = Stand()
    made.store._render = sheet
    return made


def calls(stand: Stand) -> ChangeMethods:
    """The typed calls."""
    return ChangeMethods(stand.store, stand.vault, stand.desk, stand.door)


async def test_each_call_is_the_same_change_as_its_cells(stand: Stand) -> None:
    """Under one request id a typed call and `RegisterCoverage` are one change, of any action."""
    typed = calls(stand)
    cells = CoverageService(
        stand.store, stand.vault, stand.desk, stand.door, stand.receiver, stand.applier, 1.0
    )
    handlers = {
        Action.NEW: typed.register_acquisition,
        Action.CHANGE: typed.change_items,
        Action.CORRECT: typed.correct_coverage,
        Action.LOSS: typed.register_loss,
        Action.CANCEL: typed.cancel_coverage,
    }
    for action, handler in handlers.items():
        row = who() | LEAST[action] | {"action": action.value}
        if action is Action.NEW:
            row |= {"individual_number": NUMBERS[0], "employer_code": "E1"}
        message = typed_request(action.value, row).SerializeToString()
        answer = await handler(message, caller())
        assert pb.CancelCoverageResponse.FromString(answer).is_changed
        assert answer == await handler(message, caller())
        request = coverage_pb2.RegisterCoverageRequest(request_id=action.value, cells=row)
        assert answer == await cells.register_coverage(request.SerializeToString(), caller())
    assert {"KP7-OR-01"} == {record.purpose for record in stand.accesses.records}


async def test_a_refusal_after_reading_names_the_field_too(stand: Stand) -> None:
    """What contradicts the store, or is another insurer's, is about the message's own path."""
    typed = calls(stand)
    await stand.upload(a_file(new()))
    with pytest.raises(Refusal, match=r"^acquisition_date: COVERAGE_OVERLAPS$"):
        await typed.register_acquisition(
            acquisition(acquisition_date=Date(year=2025, month=5, day=1)).SerializeToString(),
            caller(),
        )
    with pytest.raises(NotPermitted, match=r"^insured_id.insurer_number: INSURER_NOT_CALLER$"):
        await typed.register_acquisition(acquisition().SerializeToString(), caller(OTHER_INSURER))
    row = who() | {
        "action": "CHANGE",
        "limit_kind": "03",
        "limit_class": "B05",
        "limit_first_valid_date": "20250801",
    }
    with pytest.raises(InvalidInput, match=r"^items.documents_seen: DOC_MISSING$"):
        await typed.change_items(typed_request("c", row).SerializeToString(), caller())


async def listed(
    stand: Stand, state: pb.CollectionState.ValueType = pb.COLLECTION_STATE_UNSPECIFIED
) -> pb.ListCollectionsResponse:
    """A page of collections of two covers at most."""
    request = pb.ListCollectionsRequest(state=state, page_size=2)
    answer = await calls(stand).list_collections(request.SerializeToString(), caller())
    return pb.ListCollectionsResponse.FromString(answer)


async def test_papers_to_collect_are_listed_until_they_are_back(stand: Stand) -> None:
    """KP1-I-01, R003-24, R003-25: to collect after a loss, then collected or given up."""
    papers = {"card_issue_date": "20240401", "certificate_issue_date": "20250401"}
    await stand.upload(a_file(new("1", **papers), new("2", card_issue_date="20240401"), new("3")))
    assert not (await listed(stand)).collections
    losses = [said("LOSS", n, loss_date="20250801", loss_reason="03") for n in "123"]
    await stand.upload(a_file(*losses), "losses")
    first, second = (await listed(stand)).collections
    both = {first.insured_id.number: first, second.insured_id.number: second}
    assert both["1"].card.state == pb.COLLECTION_STATE_TO_COLLECT
    assert both["1"].qualification_certificate.issue_date == Date(year=2025, month=4, day=1)
    assert not both["2"].HasField("qualification_certificate")
    await stand.upload(
        a_file(
            said("CHANGE", "1", card_collected_date="20250805"),
            said("CHANGE", "2", uncollected_reason="2"),
        ),
        "back",
    )
    (left,) = (await listed(stand)).collections
    assert left.card.collected_date == Date(year=2025, month=8, day=5)
    (lost,) = (await listed(stand, pb.COLLECTION_STATE_UNCOLLECTED)).collections
    assert lost.uncollected_reason == pb.UNCOLLECTED_REASON_LOST
    await stand.upload(a_file(said("CHANGE", "1", certificate_collected_date="20250901")), "all")
    assert not (await listed(stand)).collections
    (done,) = (await listed(stand, pb.COLLECTION_STATE_COLLECTED)).collections
    assert done.state == pb.COLLECTION_STATE_COLLECTED


async def test_collections_come_in_pages(stand: Stand) -> None:
    """Every cover comes once, those lost first in front; a bad place or state is refused."""
    await stand.upload(a_file(*(new(f"{n}", card_issue_date="20240401") for n in range(5))))
    losses = [said("LOSS", f"{n}", loss_date=f"2025080{5 - n}", loss_reason="03") for n in range(5)]
    await stand.upload(a_file(*losses), "losses")
    found, request = [], pb.ListCollectionsRequest(page_size=2)
    while True:
        answer = await calls(stand).list_collections(request.SerializeToString(), caller())
        page = pb.ListCollectionsResponse.FromString(answer)
        found += [one.loss_date.day for one in page.collections]
        request.page_token = page.next_page_token
        if not request.page_token:
            break
    assert found == [1, 2, 3, 4, 5]
    other = await calls(stand).list_collections(b"", caller(OTHER_INSURER))
    assert not pb.ListCollectionsResponse.FromString(other).collections
    for bad in (
        pb.ListCollectionsRequest(state=pb.COLLECTION_STATE_ISSUED),
        pb.ListCollectionsRequest(page_size=501),
        pb.ListCollectionsRequest(page_token="20250801.00.1"),
        pb.ListCollectionsRequest(page_token=f"20250801.{'00' * 16}.{'9' * 10}"),
        pb.ListCollectionsRequest(page_token="x"),
    ):
        with pytest.raises(InvalidInput):
            await calls(stand).list_collections(bad.SerializeToString(), caller(INSURER))

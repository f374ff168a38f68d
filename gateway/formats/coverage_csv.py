"""
The lines of the insurer's coverage file: cells to changes, and cells back to a line.

CSV with one header row that names columns in any order (docs/coverage-file.md). Whether a change
fits what is stored is not decided here; bytes, encodings and the result file are
`gateway.formats.coverage_file`'s. Sources: insurer-lifecycle.md 1.1-1.2; oqs-interface.md 4.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any, Final, NamedTuple, assert_never

import msgspec

from gateway.domain.changes import (
    CancelCover,
    Change,
    ChangeItems,
    CorrectCover,
    LinkNumber,
    LoseCover,
    NewCover,
    Target,
)
from gateway.domain.coverage import (
    Coverage,
    DiseaseCertificate,
    ElderlyCertificate,
    LimitCertificate,
    MedicalTicket,
)
from gateway.domain.coverage_lines import LineError
from gateway.domain.errors import InvalidInput, Refusal
from gateway.domain.filing import Filing
from gateway.domain.identifiers import InsuredId
from gateway.domain.individual_number import IndividualNumber
from gateway.domain.period import Period, is_later
from gateway.formats.coverage_columns import CLEAR, COLUMNS, REQUIRED_COLUMNS, Action

_DEFAULTS: Final = {field.name: field.default for field in msgspec.structs.fields(Coverage)}
_CLEARABLE_BY: Final = (Action.CHANGE, Action.CORRECT)
_ALLOWED: Final = {
    action: frozenset(c.name for c in COLUMNS.values() if action in c.allowed) for action in Action
}
_REQUIRED: Final = {
    action: frozenset(c.name for c in COLUMNS.values() if action in c.required) for action in Action
}
_ITEMS: Final = {
    column.name: (column.item, column.kind.parse) for column in COLUMNS.values() if column.item
}
_PARSERS: Final = {column.name: column.kind.parse for column in COLUMNS.values()}
_PARTS: Final = frozenset(
    name
    for name in COLUMNS
    if name.startswith(("elderly_", "limit_", "disease_", "ticket_", "card_first_", "card_last_"))
)
"""Columns that are part of something larger."""
_MOVED: Final = ("new_symbol", "new_number", "new_branch")
_NEVER_CLEARED: Final = frozenset({"acquisition_date", "new_acquisition_date", "effective_date"})
_FILED: Final = frozenset({"employer_code", "filed_date", "received_date"})


class Header(NamedTuple):
    """The columns a file has, in its order, and where each of them stands, in that of the docs."""

    columns: tuple[str, ...]
    where: tuple[tuple[str, int], ...]


def decode_header(line: str) -> Header:
    """
    Read the header row.

    Raises:
        InvalidInput: `HEADER_WRONG`; the field is a missing or a repeated column. A name we do
            not know is not repeated back, for it may be somebody's data.
    """
    columns = tuple(cell.strip() for cell in cells_of(line) or ())
    for name in COLUMNS:
        if columns.count(name) > 1 or (name in REQUIRED_COLUMNS and name not in columns):
            raise InvalidInput("HEADER_WRONG", name)
    if not set(columns) <= set(COLUMNS):
        raise InvalidInput("HEADER_WRONG")
    return Header(
        columns, tuple((name, columns.index(name)) for name in COLUMNS if name in columns)
    )


def decode_line(header: Header, line_number: int, line: str) -> Change | LineError:
    """Read one line of cells; `line` comes without its line end."""
    cells = cells_of(line)
    if cells is None or len(cells) != len(header.columns):
        return LineError(line_number, "", "COLUMN_COUNT_WRONG")
    said = {name: cell for name, index in header.where if (cell := cells[index].strip())}
    try:
        return _decoded(said)
    except Refusal as refusal:
        return LineError(line_number, refusal.field, refusal.reason)


def decode_cells(cells: Mapping[str, str]) -> Change:
    """
    Read the cells of one line, by column name.

    Raises:
        InvalidInput: With the column as its field. `HEADER_WRONG` for a column we do not know,
            `ACTION_UNKNOWN`, `FIELD_REQUIRED`, `FORMAT_WRONG`, `CELL_NOT_TAKEN` (a cell its
            action does not take), `TOO_LONG`, `LENGTH_WRONG`, `CODE_UNKNOWN`, `DATE_WRONG`,
            `DATE_ORDER_WRONG`, `CHECK_DIGIT_WRONG`, `INSURER_UNIDENTIFIED`,
            `NOTHING_TO_CHANGE`.
    """
    if not set(cells) <= set(COLUMNS):
        raise InvalidInput("HEADER_WRONG")
    return _decoded({name: cell for name in COLUMNS if (cell := cells.get(name, "").strip())})


def _decoded(said: Mapping[str, str]) -> Change:
    """Read the cells that say something, in the order of the docs."""
    if "action" not in said:
        raise InvalidInput("FIELD_REQUIRED", "action")
    if said["action"] not in Action.__members__:
        raise InvalidInput("ACTION_UNKNOWN", "action")
    action = Action.__members__[said["action"]]
    if not (said.keys() <= _ALLOWED[action] and _REQUIRED[action] <= said.keys()):
        _refuse_cells(action, said)
    return _change(action, _Line(action, said))


def _refuse_cells(action: Action, said: Mapping[str, str]) -> None:
    """Say what the first cell is that should not be filled, or should be."""
    for column in COLUMNS.values():
        if column.name in said:
            if action not in column.allowed:
                raise InvalidInput("CELL_NOT_TAKEN", column.name)
        elif action in column.required:
            raise InvalidInput("FIELD_REQUIRED", column.name)


def _change(action: Action, line: _Line) -> Change:
    target = Target(line.insured_id(), line.required("birth_date"), line.value("acquisition_date"))
    match action:
        case Action.NEW:
            return NewCover(target, _items(line), line.individual_number(), _filing(line))
        case Action.CHANGE:
            items = _something(_items(line) | _moved(line))
            return ChangeItems(target, items, line.value("effective_date"))
        case Action.LOSS:
            lost, reason = line.required("loss_date"), line.required("loss_reason")
            return LoseCover(target, lost, reason, _filing(line))
        case Action.CORRECT:
            return _correction(target, line)
        case Action.CANCEL:
            return CancelCover(target)
        case Action.NUMBER:
            number = line.individual_number()
            assert number is not None
            return LinkNumber(target, number)
        case _:
            assert_never(action)


def _correction(target: Target, line: _Line) -> CorrectCover:
    is_withdrawn = line.is_cleared("loss_date")
    if "loss_reason" in line.said and (is_withdrawn != line.is_cleared("loss_reason")):
        raise InvalidInput("FORMAT_WRONG", "loss_reason")
    items = _items(line) | _moved(line)
    if "new_birth_date" in line.said:
        items["birth_date"] = line.required("new_birth_date")
    correction = CorrectCover(
        target,
        items,
        line.value("new_acquisition_date"),
        line.value("loss_date"),
        is_withdrawn,
        line.individual_number(),
    )
    if not (
        is_withdrawn or correction.acquisition_date or correction.loss_date or correction.number
    ):
        _something(items)
    return correction


def _something(items: dict[str, Any]) -> dict[str, Any]:
    if not items:
        raise InvalidInput("NOTHING_TO_CHANGE")
    return items


class _Line:
    """The cells of a line that say something, and the values they spell."""

    def __init__(self, action: Action, said: Mapping[str, str]) -> None:
        self.said = said
        self._may_clear = action in _CLEARABLE_BY

    def is_cleared(self, name: str) -> bool:
        return self._may_clear and self.said.get(name) == CLEAR and name not in _NEVER_CLEARED

    def value(self, name: str) -> Any:
        """The value of a cell; None if it is empty or cleared."""
        cell = self.said.get(name)
        if cell is None:
            return None
        if cell == CLEAR:
            if self.is_cleared(name):
                return None
            raise InvalidInput("FORMAT_WRONG", name)
        try:
            return _PARSERS[name](cell)
        except Refusal as refusal:
            raise refusal.within(name) from None

    def required(self, name: str) -> Any:
        value = self.value(name)
        if value is None:
            raise InvalidInput("FIELD_REQUIRED", name)
        return value

    def has_any(self, prefix: str) -> bool:
        return any(name.startswith(prefix) for name in self.said)

    def days(self, prefix: str) -> Period:
        """A certificate's days, both included in the file."""
        first: date = self.required(f"{prefix}first_valid_date")
        last: date | None = self.value(f"{prefix}last_valid_date")
        if last is not None and is_later(first, last):
            raise InvalidInput("DATE_WRONG", f"{prefix}last_valid_date")
        return Period.through(first, last)

    def insured_id(self) -> InsuredId:
        get = self.said.get
        return InsuredId.parse(
            get("insurer_number", ""), get("symbol", ""), get("number", ""), get("branch", "")
        )

    def individual_number(self) -> IndividualNumber | None:
        if "individual_number" not in self.said:
            return None
        return IndividualNumber.parse(self.said["individual_number"])


def _items(line: _Line) -> dict[str, Any]:
    items: dict[str, Any] = {}
    name = ""
    try:
        for name, cell in line.said.items():
            if (spelled := _ITEMS.get(name)) is None:
                continue
            item, parse = spelled
            if cell != CLEAR:
                items[item] = parse(cell)
            else:
                _clear(line, name, item, items)
    except Refusal as refusal:
        raise refusal.within(name) from None
    if not _PARTS.isdisjoint(line.said):
        _add_parts(line, items)
    return items


def _clear(line: _Line, name: str, item: str, items: dict[str, Any]) -> None:
    """Give an item what it has before anything is said of it."""
    if not line.is_cleared(name):
        items[item] = line.value(name)
    elif _DEFAULTS[item] is msgspec.NODEFAULT:
        raise InvalidInput("FIELD_REQUIRED", name)
    elif item != "loss_reason":
        items[item] = _DEFAULTS[item]


def _add_parts(line: _Line, items: dict[str, Any]) -> None:
    """Put together the items that are spelled in several cells."""
    if line.is_cleared("card_first_valid_date"):
        items["card_validity"] = None
    elif "card_first_valid_date" in line.said or "card_last_valid_date" in line.said:
        items["card_validity"] = line.days("card_")
    for item, prefix, certificate in (
        ("elderly", "elderly_", _elderly),
        ("limits", "limit_", _limit),
        ("diseases", "disease_", _disease),
        ("tickets", "ticket_", _ticket),
    ):
        if line.has_any(prefix):
            items[item] = (certificate(line),)


def _filing(line: _Line) -> Filing | None:
    if _FILED.isdisjoint(line.said):
        return None
    return Filing(
        line.value("employer_code") or "", line.value("filed_date"), line.value("received_date")
    )


def _elderly(line: _Line) -> ElderlyCertificate:
    return ElderlyCertificate(
        line.days("elderly_"),
        line.required("elderly_copayment_ratio"),
        line.value("elderly_issue_date"),
    )


def _limit(line: _Line) -> LimitCertificate:
    return LimitCertificate(
        line.days("limit_"),
        line.required("limit_kind"),
        line.required("limit_class"),
        line.value("limit_issue_date"),
        line.value("limit_long_term_date"),
    )


def _disease(line: _Line) -> DiseaseCertificate:
    return DiseaseCertificate(
        line.days("disease_"),
        line.required("disease_category"),
        line.required("disease_self_pay"),
        line.value("disease_issue_date"),
    )


def _ticket(line: _Line) -> MedicalTicket:
    return MedicalTicket(
        line.required("ticket_month"),
        line.required("ticket_type"),
        line.required("ticket_issue_number"),
        line.days("ticket_"),
        line.value("ticket_institution_code") or "",
        line.value("ticket_institution_name") or "",
    )


def _moved(line: _Line) -> dict[str, Any]:
    """
    The identifiers after the change, if the line names new ones.

    A branch the line does not speak of is left out here and kept by who knows it. To take one
    away, the line must say which it is.
    """
    said = line.said
    if not any(name in said for name in _MOVED):
        return {}
    old = line.insured_id()
    if line.is_cleared("new_number"):
        raise InvalidInput("FIELD_REQUIRED", "new_number")
    if line.is_cleared("new_branch") and old.branch is None:
        raise InvalidInput("FIELD_REQUIRED", "branch")
    moved = {
        name: "" if line.is_cleared(f"new_{name}") else said.get(f"new_{name}", before)
        for name, before in (
            ("symbol", old.symbol),
            ("number", old.number),
            ("branch", old.branch or ""),
        )
    }
    try:
        return {"insured_id": InsuredId.parse(old.insurer_number.zero_padded, **moved)}
    except Refusal as refusal:
        raise refusal.within(f"new_{refusal.field}") from None


def cells_of(line: str) -> list[str] | None:
    """Split a line at its separators (RFC 4180); None if its quotes do not match."""
    try:
        return next(csv.reader([line], strict=True), [])
    except csv.Error:
        return None


def encode_header(columns: Sequence[str] = tuple(COLUMNS)) -> str:
    """Spell a header row, CRLF included, for who writes a coverage file."""
    return csv_row(columns)


def encode_line(
    action: str, cells: Mapping[str, str], columns: Sequence[str] = tuple(COLUMNS)
) -> str:
    """Spell one line, CRLF included; columns `cells` does not name stay empty."""
    return csv_row([action if name == "action" else cells.get(name, "") for name in columns])


def csv_row(cells: Sequence[str]) -> str:
    """Spell cells as one line of CSV, CRLF included."""
    text = io.StringIO()
    csv.writer(text).writerow(cells)
    return text.getvalue()

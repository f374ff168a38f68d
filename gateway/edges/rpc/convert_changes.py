"""
Typed changes as the cells of one line of the coverage file, so that both are read by one reader.

Each field of a request is a column of the file, by its name and place; `columns_of` derives the
table from the contract itself. What is absent, empty or unspecified is not said. A refusal about
a column is about the field, by the message's own path.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any, Final

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.message import Message
from google.type.date_pb2 import Date

from gateway.domain.changes import Change
from gateway.domain.errors import InvalidInput, Refusal
from gateway.edges.rpc.convert import day
from gateway.formats.coverage_columns import CLEAR, COLUMNS, Action
from gateway.formats.coverage_csv import decode_cells

_PREFIXES: Final = {
    "card": "card_",
    "qualification_certificate": "certificate_",
    "elderly_certificate": "elderly_",
    "limit_certificate": "limit_",
    "specific_disease_certificate": "disease_",
    "medical_ticket": "ticket_",
}
"""Messages within a request whose fields' columns begin with a word of their own."""

_WHOLE: Final = frozenset(
    {"elderly_certificate", "limit_certificate", "specific_disease_certificate", "medical_ticket"}
)
_NO_COLUMNS: Final = frozenset({"request_id", "cleared"})
_UNITS: Final = ("_percent", "_yen")
_DATE: Final = Date.DESCRIPTOR.full_name


def change(action: Action, said: Message) -> Change:
    """
    Read what a typed request says.

    Raises:
        InvalidInput: As `gateway.formats.coverage_csv.decode_cells`, naming the field's path;
            `FORMAT_WRONG` for a text that is a mere hyphen, and for `cleared` if it names what
            is said as well; `CODE_UNKNOWN` for `cleared` if it names no field.
    """
    columns = columns_of(said.DESCRIPTOR)
    cells = {columns[path]: cell for path, cell in _cells(said, "", "") if cell}
    cells["action"] = action.value
    for path in _cleared(said):
        if path not in columns:
            raise InvalidInput("CODE_UNKNOWN", "cleared")
        if columns[path] in cells:
            raise InvalidInput("FORMAT_WRONG", "cleared")
        cells[columns[path]] = CLEAR
    try:
        return decode_cells(cells)
    except Refusal as refusal:
        raise named(refusal, said) from None


def named(refusal: Refusal, said: Message) -> Refusal:
    """The same refusal, about the field where it was about a column."""
    paths = _paths_of(said.DESCRIPTOR)
    return refusal.within(paths.get(refusal.field, refusal.field))


@cache
def columns_of(kind: Descriptor) -> Mapping[str, str]:
    """The column of each field of a request, by the field's path."""
    return dict(_columns(kind, "", ""))


@cache
def _paths_of(kind: Descriptor) -> Mapping[str, str]:
    return {column: path for path, column in columns_of(kind).items()}


def _columns(kind: Descriptor, path: str, prefix: str) -> Iterator[tuple[str, str]]:
    for field in kind.fields:
        if field.name in _NO_COLUMNS:
            continue
        nested = _nested(field)
        if nested is not None:
            inner = _PREFIXES.get(field.name, "")
            yield from _columns(nested, f"{path}{field.name}.", inner)
        else:
            yield f"{path}{field.name}", _column(field.name, prefix)


def _column(name: str, prefix: str) -> str:
    for unit in _UNITS:
        name = name.removesuffix(unit)
    return prefix + name if prefix + name in COLUMNS else name


def _cells(said: Message, path: str, within: str) -> Iterator[tuple[str, str]]:
    """What a message says: the path of each field that is said, and its text as a cell."""
    fields = said.ListFields()
    if within in _WHOLE and not fields:
        raise InvalidInput("FIELD_REQUIRED", f"{path}first_valid_date")
    for field, value in fields:
        place = f"{path}{field.name}"
        if field.name in _NO_COLUMNS:
            continue
        if _nested(field) is not None:
            yield from _cells(value, f"{place}.", field.name)
        else:
            cell = _spelled(field, value, place)
            if cell == CLEAR and within != "insured_id":
                raise InvalidInput("FORMAT_WRONG", place)
            yield place, cell


def _nested(field: FieldDescriptor) -> Descriptor | None:
    """The message a field holds; a day is a value."""
    kind = field.message_type
    return None if kind is None or kind.full_name == _DATE else kind


def _spelled(field: FieldDescriptor, value: Any, place: str) -> str:
    """A value as the text of a cell; a day that is all zero is not said."""
    if isinstance(value, Date):
        is_said = value.year or value.month or value.day
        return f"{day(value, place):%Y%m%d}" if is_said else ""
    if field.is_repeated:
        return "+".join(str(one) for one in value)
    if isinstance(value, bool):
        return "1" if value else "0"
    return str(value).strip()


def _cleared(said: Message) -> tuple[str, ...]:
    mask: FieldMask | None = getattr(said, "cleared", None)
    return () if mask is None else tuple(mask.paths)

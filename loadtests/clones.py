"""
A small nation that came in through the doors, and as many copies of it as one wants.

Ten million people cannot be uploaded while one waits. So a block of made-up people is registered by
a real gateway, and its rows are copied: a copy has keys, numbers and instants of its own, and all
else is as the gateway wrote it. Where these stand in a row is found once; each copy puts its own
there. `Block.wrong` holds a copy against what the gateway's own code makes of it.
"""

from __future__ import annotations

import re
import sqlite3
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from operator import itemgetter
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec

from gateway.domain.compact import Render, compact
from gateway.domain.coverage import History
from gateway.domain.identifiers import InsuredId
from gateway.store.records import decode_history, encode_compact, encode_history
from gateway.store.schema import METADATA

Row = tuple[Any, ...]
Rows = dict[str, list[Row]]
"""Rows by table, their cells in the order of its columns."""
Cells = Callable[[Sequence[Any]], Row]

WHOLE: Final = frozenset({"uploads", "refused_lines", "inquiries", "disposals", "meta"})
"""Tables that belong to nobody, and are not copied with the people."""
COLUMNS: Final = {name: tuple(one.columns.keys()) for name, one in METADATA.tables.items()}
KEY_TIME_BYTES: Final = 6
"""A key begins with the time, in milliseconds."""
_IN_BLOB: Final = re.compile(
    rb"(?s)(?=\xc4\x10(?P<key>.{16})"
    rb"|\xcf(?P<time>.{8})"
    rb"|(?:\xa7|\x1a\x07)(?P<seven>[0-9]{7})"
    rb"|(?:\xa8|\x1a\x08)(?P<eight>[0-9]{8}))"
)
"""Where a key, an instant or a number may stand in MessagePack, or in an answer's sheet."""


class Place(NamedTuple):
    """What each copy has of its own: of which kind, and what the block has there."""

    kind: str
    own: Any


class Block:
    """
    The people of a database that a gateway wrote, ready to be copied.

    Args:
        database: Where they are; nobody writes it any more.

        numbers: The numbers (番号) of people to copy, and which each is of all: no two covers of
            different people of the block have the same, but for those of a household. Whoever has
            another number is kept and not copied. Whoever somebody was before their My Number was
            known is copied with them.

        copies: How many copies there will be, this one included.
    """

    def __init__(self, database: Path, numbers: Mapping[str, int], copies: int) -> None:
        self.copies = copies
        self._numbers = numbers
        with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
            found: Rows = {
                name: connection.execute(
                    f"SELECT {', '.join(columns)} FROM {name}"  # noqa: S608  our own names
                ).fetchall()
                for name, columns in COLUMNS.items()
            }
        histories = {row[0]: decode_history(row[-1]) for row in found["people"]}
        living = [one for one in histories.values() if self._is_ours(one)]
        enrollees = {one.enrollee_key for history in living for one in history.enrolments}
        were = {person for enrollee, person in found["enrollee_people"] if enrollee in enrollees}
        self.histories = [histories[person] for person in were]
        ours = enrollees | were
        self.people = len(living)
        """How many people each copy has."""
        self._ids = {one.lookup_key: one for history in living for one in _ids_of(history)}
        self._keys = ours | set(self._ids)
        self._last_sequences: dict[str, int] = {}
        for insurer, sequence, *_ in found["changes"]:
            before = self._last_sequences.get(insurer, 0)
            self._last_sequences[insurer] = max(before, sequence)
        self._values: list[Any] = []
        self._at: dict[Any, int] = {}
        self._places: list[tuple[int, Place]] = []
        self._blobs: list[tuple[int, Cells]] = []
        self._rows: dict[str, list[Cells]] = defaultdict(list)
        self.kept: Rows = {}
        """Rows that are not copied."""
        self._times: set[int] = set()
        for name, rows in found.items():
            copied = [] if name in WHOLE else [row for row in rows if not ours.isdisjoint(row)]
            of_others = name in WHOLE
            self.kept[name] = [row for row in rows if of_others or ours.isdisjoint(row)]
            self._times.update(
                row[at] for at in _times_at(name) for row in copied if row[at] is not None
            )
            found[name] = copied
        self._spans = self._spans_of(ours)
        for name, rows in found.items():
            self._rows[name] = [self._compiled(name, row) for row in rows]

    def copy(self, number: int) -> Rows:
        """
        Give the rows of a copy, those of a table in no order.

        Args:
            number: From 0 for the block itself; each is earlier than the one numbered before it.
        """
        values = self._values.copy()
        for at, place in self._places:
            values[at] = self.own(place, number)
        for at, parts in self._blobs:
            values[at] = b"".join(parts(values))
        return {name: [cells(values) for cells in rows] for name, rows in self._rows.items()}

    def own(self, place: Place, copy: int) -> Any:
        """What a copy has at a place."""
        of, own = place
        key_span, time_span = self._spans
        match of:
            case "key":
                time = int.from_bytes(own[:KEY_TIME_BYTES]) - copy * key_span
                return time.to_bytes(KEY_TIME_BYTES) + own[KEY_TIME_BYTES:]
            case "lookup":
                return self.id_of(self._ids[own], copy).lookup_key
            case "number":
                return self.number(own.decode(), copy).encode()
            case "time":
                return own - copy * time_span
            case "time bytes":
                return (int.from_bytes(own) - copy * time_span).to_bytes(8)
            case _:
                insurer, sequence = own
                return sequence + (self.copies - 1 - copy) * self._last_sequences[insurer]

    def number(self, own: str, copy: int) -> str:
        """
        The number a copy has instead of one of the block's.

        Raises:
            ValueError: There are more copies than numbers of this length.
        """
        number = f"{self._numbers[own] + copy * len(self._numbers):0{len(own)}}"
        if len(number) > len(own):
            raise ValueError("too many copies for numbers of so few digits")
        return number

    def id_of(self, own: InsuredId, copy: int) -> InsuredId:
        """What a copy's card shows instead of one of the block's."""
        return msgspec.structs.replace(own, number=self.number(own.number, copy))

    def wrong(self, copy: int, render: Render) -> int:
        """Count people of a copy whose rows are not what the gateway's own code makes of them."""
        rows = {row[0]: row for row in self.copy(copy)["people"]}
        wrong = 0
        for history in self.histories:
            expected = self._renamed(history, copy)
            _, version, compacted, body = rows[expected.person_key]
            wrong += (version, body, compacted) != (
                expected.version,
                encode_history(expected),
                encode_compact(compact(expected, render)),
            )
        return wrong

    def _renamed(self, history: History, copy: int) -> History:
        """A person's history in a copy, made from the values and not from the bytes."""

        def renamed(value: Any) -> Any:
            if isinstance(value, list | tuple):
                return [renamed(one) for one in value]
            if isinstance(value, bytes) and value in self._keys:
                return self.own(Place("key", value), copy)
            if isinstance(value, str) and value in self._numbers:
                return self.number(value, copy)
            if type(value) is int and value in self._times:
                return self.own(Place("time", value), copy)
            return value

        plain = msgspec.to_builtins(history, builtin_types=(bytes,))
        return msgspec.convert(renamed(plain), History)

    def _is_ours(self, history: History) -> bool:
        ids = _ids_of(history)
        return bool(ids) and all(one.number in self._numbers for one in ids)

    def _spans_of(self, keys: set[bytes]) -> tuple[int, int]:
        """By how much a copy is earlier than the one before: milliseconds of keys, microseconds."""
        key_times = [int.from_bytes(key[:KEY_TIME_BYTES]) for key in keys]
        return (
            max(key_times) - min(key_times) + 1,
            max(self._times) - min(self._times) + 1,
        )

    def _compiled(self, table: str, row: Row) -> Cells:
        """Find the places in a row; what is given takes the row out of a copy's values."""
        cells: list[int] = []
        for at, cell in enumerate(row):
            if isinstance(cell, bytes):
                cells.append(self._blob(cell))
            elif at in _times_at(table) and cell is not None:
                cells.append(self._place(Place("time", cell)))
            elif table == "changes" and COLUMNS[table][at] == "sequence":
                cells.append(self._place(Place("sequence", (row[0], cell))))
            else:
                cells.append(self._constant(cell))
        return itemgetter(*cells)

    def _constant(self, value: Any) -> int:
        return self._noted((type(value), value), value)

    def _place(self, place: Place) -> int:
        at = self._noted(place, None)
        if self._values[at] is None:
            self._values[at] = place.own
            self._places.append((at, place))
        return at

    def _blob(self, body: bytes) -> int:
        """Note bytes: a key, or a body with places in it, or neither."""
        if body in self._keys:
            return self._place(self._key(body))
        parts, end = [], 0
        for match in _IN_BLOB.finditer(body):
            place = self._place_in(match)
            if place is not None and match.start(match.lastgroup or 0) >= end:
                begin = match.start(match.lastgroup or 0)
                parts += [self._constant(body[end:begin]), self._place(place)]
                end = match.end(match.lastgroup or 0)
        if not parts:
            return self._constant(body)
        parts.append(self._constant(body[end:]))
        at = self._noted(("blob", *parts), None)
        if self._values[at] is None:
            self._values[at] = body
            self._blobs.append((at, itemgetter(*parts)))
        return at

    def _place_in(self, match: re.Match[bytes]) -> Place | None:
        kind = match.lastgroup
        assert kind is not None
        found = match[kind]
        if kind == "key":
            return self._key(found) if found in self._keys else None
        if kind == "time":
            is_ours = int.from_bytes(found) in self._times
            return Place("time bytes", found) if is_ours else None
        return Place("number", found) if found.decode() in self._numbers else None

    def _key(self, key: bytes) -> Place:
        return Place("lookup" if key in self._ids else "key", key)

    def _noted(self, name: Any, value: Any) -> int:
        at = self._at.setdefault(name, len(self._values))
        if at == len(self._values):
            self._values.append(value)
        return at


def _ids_of(history: History) -> list[InsuredId]:
    return [cover.insured_id for one in history.enrolments for cover in one.covers]


def _times_at(table: str) -> list[int]:
    """Which cells of a row are instants."""
    return [at for at, column in enumerate(COLUMNS[table]) if column.endswith("_time")]

"""
What a statement and a key on a distributed database may be, and the named exceptions.

Which table is distributed by which column is `gateway.store.distribution.TABLES`; what it is for,
docs/scale.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Final

import sqlalchemy as sa
from sqlglot.errors import SqlglotError

from gateway.store import distribution
from gateway.store.schema import metadata_of
from loadtests.statement_places import Reading, Tables, Touched, readings

STEPS: Final = {
    "MATCHING_LAST": "the hot read: the lookup row's place, then the people's",
    "BY_CARD_LAST": "the hot read by card: the card's place, then its holder's",
    "MATCHING_SHOWN": "MATCHING_LAST, asked of a replica",
    "BY_CARD_SHOWN": "BY_CARD_LAST, asked of a replica",
}
"""Joins of tables that lie at different places, and why they may: each is routed step by step."""

METADATA: Final = metadata_of("postgresql")


def bare(name: str) -> str:
    """A table's name as statements say it, which leave out the schema of the vault."""
    return name.rpartition(".")[2]


TABLES: Final = Tables(
    {bare(name): frozenset(table.columns.keys()) for name, table in METADATA.tables.items()},
    {bare(name): column for name, column in distribution.TABLES.items()},
)


class Way(Enum):
    """How a statement finds its places."""

    ROUTED = "routed"
    STEPS = "routed steps"
    EVERYWHERE = "every place"
    APART = "no distributed table"
    FAULT = "FAULT"


@dataclass(frozen=True, slots=True)
class Finding:
    """What is told of a statement, a key or a list."""

    name: str
    way: Way
    told: str


@dataclass(frozen=True, slots=True)
class Known:
    """The names and texts of statements that need not be routed."""

    unrouted: frozenset[str] = frozenset()
    """Texts."""
    steps: Mapping[str, str] = field(default_factory=STEPS.copy)


def judged(name: str, text: str, known: Known) -> list[Finding]:
    """Tell where a text's statements go, and what is wrong with them."""
    try:
        read = list(readings(text, TABLES))
    except SqlglotError as error:
        return [Finding(name, Way.FAULT, f"cannot be read: {str(error).splitlines()[0]}")]
    short = name.rpartition(".")[2]
    is_unrouted = text in known.unrouted
    return [Finding(name, *_way(short, one, is_unrouted=is_unrouted, known=known)) for one in read]


def _way(short: str, read: Reading, *, is_unrouted: bool, known: Known) -> tuple[Way, str]:
    touched = read.touched
    if read.faults:
        return Way.FAULT, "; ".join(read.faults)
    if not touched:
        return Way.APART, ", ".join(sorted(read.others)) or "no table"
    by = ", then ".join(_step(touched, step) for step in sorted({one.step for one in touched}))
    is_one = all(one.step == 1 for one in touched) and len({one.place for one in touched}) == 1
    if is_unrouted:
        if is_one:
            return Way.FAULT, f"said to concern every place, but routed: {by}"
        return Way.EVERYWHERE, ", ".join(sorted(_names(touched)))
    lost = [one for one in touched if one.step == 0]
    if lost:
        return Way.FAULT, "; ".join(f"{one.table} is not found by {one.column}" for one in lost)
    if is_one:
        return Way.ROUTED, by
    if short in known.steps and len({one.place for one in touched if one.step == 1}) == 1:
        return Way.STEPS, f"{by}: {known.steps[short]}"
    return Way.FAULT, f"its tables may lie at different places: {by}"


def _names(touched: Iterable[Touched]) -> set[str]:
    return {one.table for one in touched}


def _step(touched: Iterable[Touched], step: int) -> str:
    found = {f"{one.table} by {one.column}" for one in touched if one.step == step}
    return ", ".join(sorted(found))


def key_faults(metadata: sa.MetaData, distributed_by: Mapping[str, str]) -> list[Finding]:
    """Primary, unique and foreign keys without their distribution column, and keys that count."""
    found: list[Finding] = []
    for name, table in metadata.tables.items():
        column = distributed_by.get(name)
        if column is None:
            continue
        keys = [
            (_KEYS[type(one)], one.columns.keys())
            for one in table.constraints
            if isinstance(
                one, sa.PrimaryKeyConstraint | sa.UniqueConstraint | sa.ForeignKeyConstraint
            )
        ]
        keys += [("unique index", one.columns.keys()) for one in table.indexes if one.unique]
        found += [
            Finding(name, Way.FAULT, f"a {kind} lacks {column}")
            for kind, columns in keys
            if column not in columns
        ]
        if table.autoincrement_column is not None:
            found.append(Finding(name, Way.FAULT, "a sequence is its key"))
    return found


_KEYS: Final = {
    sa.PrimaryKeyConstraint: "primary key",
    sa.UniqueConstraint: "unique key",
    sa.ForeignKeyConstraint: "foreign key",
}


def list_faults(names: Iterable[str], findings: Iterable[Finding], known: Known) -> list[Finding]:
    """Tell of names on a list that no statement has, or that need no exemption any more."""
    short = {name.rpartition(".")[2] for name in names}
    stepped = {one.name.rpartition(".")[2] for one in findings if one.way is Way.STEPS}
    found = [
        Finding(name, Way.FAULT, "on a list, but there is no such statement")
        for name in sorted(known.steps.keys() - short)
    ]
    return found + [
        Finding(name, Way.FAULT, "on the list of steps, but it has none")
        for name in sorted((short & set(known.steps)) - stepped)
    ]

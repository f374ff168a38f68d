"""
Defects planted in one store, of which `state_machine` must notice each.

A store works by steps (decision 0021), so a defect is a step that asks something else of one
engine; the model and the other engine stay whole. One is of the model itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from datetime import date
from typing import Any, Final, NamedTuple, TypeVar
from unittest.mock import patch

from gateway.domain.compact import CompactHistory
from gateway.domain.identifiers import LookupKey
from gateway.domain.period import Instant
from gateway.store import sql, sql_dispose, sql_feed, sql_uploads
from gateway.store.by_steps import StepStore
from gateway.store.memory import MemoryStore
from gateway.store.postgres import PostgresStore
from gateway.store.sqlite import SqliteStore
from gateway.store.steps import Row, Step, Steps, Write

Result = TypeVar("Result")
Alter = Callable[[Step], Step]

_WAYS: Final = ("_read", "_read_as_writer", "_write")
"""How a store takes steps."""


class Plant(NamedTuple):
    """A defect of one engine; it is there while the block runs."""

    name: str
    engine: type[StepStore]
    planted: Callable[[], Any]


def altered(steps: Steps[Result], alter: Alter) -> Steps[Result]:
    """Take steps, each as altered."""
    step = next(steps)
    while True:
        rows: Sequence[Row] = yield alter(step)
        try:
            step = steps.send(rows)
        except StopIteration as ended:
            return ended.value  # type: ignore[no-any-return]  # what a generator returns is typed nowhere


@contextmanager
def altering(engine: type[StepStore], alter: Alter) -> Iterator[None]:
    """Have an engine take every step as altered."""

    def way(whole: Callable[..., Any]) -> Callable[..., Any]:
        async def taken(store: StepStore, steps: Steps[Any]) -> Any:
            return await whole(store, altered(steps, alter))

        return taken

    with ExitStack() as stack:
        for name in _WAYS:
            stack.enter_context(patch.object(engine, name, way(getattr(engine, name))))
        yield


def spelled(name: str, engine: type[StepStore], wrong: Mapping[str, str]) -> Plant:
    """Statements that say something else."""

    def alter(step: Step) -> Step:
        return step._replace(statement=wrong.get(step.statement, step.statement))

    return Plant(name, engine, lambda: altering(engine, alter))


def replaced(statement: str, old: str, new: str) -> dict[str, str]:
    """A statement, and it with other words."""
    assert old in statement
    return {statement: statement.replace(old, new)}


def short(name: str, engine: type[StepStore], statement: str, rows: slice) -> Plant:
    """A statement that is written for some rows only."""

    def alter(step: Step) -> Step:
        if isinstance(step, Write) and step.statement == statement:
            return step._replace(rows=step.rows[rows])
        return step

    return Plant(name, engine, lambda: altering(engine, alter))


@contextmanager
def _late_model() -> Iterator[None]:
    whole = MemoryStore.matching_known_at

    async def late(
        store: MemoryStore, key: LookupKey, birth_date: date, known: Instant, people_max: int
    ) -> Sequence[CompactHistory]:
        return await whole(store, key, birth_date, Instant(known - 1), people_max)

    with patch.object(MemoryStore, "matching_known_at", late):
        yield


_NONE: Final = slice(0)
_FIRST: Final = slice(1)
_ALL_BUT_LAST: Final = slice(-1)

PLANTS: Final = (
    spelled(
        "a read as of a known time ignores when a version was superseded",
        SqliteStore,
        replaced(sql.COVERS_KNOWN_AT, "superseded_time > ?", "superseded_time > ? OR 1 = 1"),
    ),
    spelled(
        "a lookup row keeps the earlier person",
        PostgresStore,
        replaced(sql.PUT_LOOKUP, "person_key = excluded.", "person_key = lookups."),
    ),
    short("the last version of a batch is lost", PostgresStore, sql.ADD_VERSION, _ALL_BUT_LAST),
    spelled(
        "what was recorded at an instant is not known at it",
        PostgresStore,
        replaced(sql.COVERS_KNOWN_AT, "recorded_time <= ?", "recorded_time < ?"),
    ),
    short("a link that moved stays open", SqliteStore, sql.CLOSE_LINK, _NONE),
    short("a person's history is not replaced", SqliteStore, sql.PUT_HISTORY, _ALL_BUT_LAST),
    spelled(
        "a card stays with whom it was given first",
        SqliteStore,
        replaced(sql.PUT_CARD, "person_key = excluded.", "person_key = cards."),
    ),
    short("a refused line is not kept", SqliteStore, sql_uploads.ADD_REFUSED_LINE, _ALL_BUT_LAST),
    short("a feed tells one change of a batch", SqliteStore, sql_feed.ADD_CHANGE, _FIRST),
    spelled(
        "a disposal takes what was replaced after its instant",
        SqliteStore,
        replaced(sql_dispose.VERSIONS_PAGE, "superseded_time <= ?", "superseded_time <= ? + 9")
        | replaced(sql_dispose.REMOVE_VERSION, "superseded_time <= ?", "superseded_time <= ? + 9"),
    ),
    Plant("the model knows of a moment too early", SqliteStore, _late_model),
)

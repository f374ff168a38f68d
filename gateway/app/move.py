"""
Move all facts from one engine to the other while lookups go on: `onshi migrate`.

Rounds compare and copy while everything goes on; for the last one, and for what proves it, nobody
writes. Imports SQLAlchemy, so only that command imports this module. Source: decision 0026 and
docs/move.md.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

import msgspec

from gateway.app.clock import new_key
from gateway.app.layout import DataDir
from gateway.app.move_parts import enter_keys, parts_of
from gateway.app.standstill import BusyError, Mark, mark_of, moving, put_mark, standstill
from gateway.config import StoreUrl
from gateway.domain.errors import Unavailable
from gateway.edges.rpc.convert import sheet
from gateway.store.move import PostgresSide, ServerRefusedError, Side, SqliteSide
from gateway.store.move_round import NotKeptError, Round
from gateway.store.move_sample import Checked, Difference, sampled
from gateway.store.records import StoreTooNew, StoreTooOld

NICENESS: Final = 10
"""So that the copy never takes the CPU from lookups."""

ROUNDS_MAX: Final = 5
"""Rounds while others write; then the last one follows, however much is left for it."""

CATCH_UP_ROWS: Final = 20_000
"""A round that wrote no more rows than this is followed by the last one."""

SAMPLE: Final = 10_000
"""Enrollees asked about both ways, if nothing else is wished."""

ASKED_AGAIN: Final = 10
"""One in so many of them is asked about again while nobody writes, besides all that differed."""


HELD_S_MAX: Final = 10.0
"""How long a server may take to see that a writer's connection has ended."""

HELD_POLL_S: Final = 0.02


class MoveRefusedError(Exception):
    """Nothing was moved, or not all; says why by the name of a sentence and its values."""

    def __init__(self, name: str, **values: object) -> None:
        super().__init__(name)
        self.name = name
        self.values = values


class Watching(Protocol):
    """Who is told how far a move is."""

    def began(self, stage: str, total: int) -> None:
        """
        Tell that a stage begins, and of how many rows or enrollees it is.

        They are `copying`, `catching_up`, `asking`, `last_round` and `asking_again`.
        """

    def went(self, count: int) -> None:
        """So many more of it are done."""

    def paused(self, seconds: float | None) -> None:
        """Nobody writes from now on, or, with how long it was, may write again."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a store is: an SQLite file, or the address of a PostgreSQL database."""

    file: Path | None = None
    url: str = ""

    @classmethod
    def parse(cls, text: str) -> Place:
        """Read `sqlite:///path/to/file`, whose path is absolute, or `postgresql://…`."""
        scheme, _, rest = text.partition("://")
        if scheme == "sqlite" and rest.startswith("/"):
            return cls(file=Path("/" + rest.lstrip("/")))
        try:
            return cls(url=msgspec.convert(text, StoreUrl))
        except msgspec.ValidationError:
            raise MoveRefusedError("place_unknown") from None


@dataclass(frozen=True, slots=True)
class Wish:
    """What is to be moved; exactly one of the two places must be a file."""

    source: Place
    target: Place
    is_resumed: bool = False
    sample: int = SAMPLE

    def data(self) -> DataDir:
        """Give the data directory of the gateway, in which the file is."""
        files = [place.file for place in (self.source, self.target) if place.file is not None]
        if len(files) != 1:
            raise MoveRefusedError("not_two_engines")
        if not files[0].parent.is_dir():
            raise MoveRefusedError("no_file", path=files[0])
        return DataDir(files[0].parent)


@dataclass(slots=True)
class Moved:
    """What came of a move."""

    rows: int
    pause_s: float
    checked: Checked

    @property
    def is_done(self) -> bool:
        """Whether all is there and nothing differs."""
        return not self.checked.differences


async def move(wish: Wish, watching: Watching) -> Moved:
    """
    Move, and keep the old store closed to writing once all is moved.

    Raises:
        MoveRefusedError: It cannot begin or end; the old store goes on as before.
    """
    data = wish.data()
    try:
        with moving(data):
            async with _sides(wish) as (source, target):
                return await _Move(wish, data, source, target, watching).run()
    except BusyError:
        raise MoveRefusedError("another_move") from None
    except NotKeptError as error:
        raise MoveRefusedError("not_kept", table=error) from None
    except (StoreTooOld, StoreTooNew) as error:
        raise MoveRefusedError("wrong_form", why=error) from None
    except ServerRefusedError as error:
        raise MoveRefusedError("server_refuses", why=error) from None
    except Unavailable:
        raise MoveRefusedError("away") from None


@asynccontextmanager
async def _sides(wish: Wish) -> AsyncIterator[tuple[Side, Side]]:
    async with contextlib.AsyncExitStack() as open_ones:
        source, target = wish.source, wish.target
        if source.file is None:
            first: Side = await PostgresSide.source(source.url, sheet)
        elif not source.file.exists():
            raise MoveRefusedError("no_file", path=source.file)
        else:
            first = SqliteSide.source(source.file, sheet)
        open_ones.push_async_callback(first.close)
        if target.file is None:
            second: Side = await PostgresSide.opened(target.url, sheet)
        elif _has_old_log(target.file):
            raise MoveRefusedError("old_log", path=target.file)
        else:
            second = SqliteSide.target(target.file, sheet)
        open_ones.push_async_callback(second.close)
        yield first, second


def _has_old_log(file: Path) -> bool:
    """Whether a log is left of a file that is gone: SQLite would play it into a new one."""
    return not file.exists() and file.with_name(f"{file.name}-wal").exists()


class _Move:
    def __init__(
        self, wish: Wish, data: DataDir, source: Side, target: Side, watching: Watching
    ) -> None:
        self._wish = wish
        self._data = data
        self._source = source
        self._target = target
        self._watching = watching
        self._parts = parts_of(
            source,
            target,
            data.database,
            wish.source.url or wish.target.url,
            is_to_server=wish.target.file is None,
        )
        self._seed = new_key().hex()

    async def run(self) -> Moved:
        """Begin or go on, catch up while others write, end while nobody does."""
        await self._begin()
        stage = "copying"
        for _ in range(ROUNDS_MAX):
            done = await self._round(stage)
            await self._target.analyze()
            if done.written + done.removed <= CATCH_UP_ROWS:
                break
            stage = "catching_up"
        asked = await self._sampled("asking", range(self._wish.sample))
        async with self._paused() as began:
            last, checked = await self._proven(asked)
            if not checked.differences:
                await self._closed()
            pause_s = time.monotonic() - began
        return Moved(last.compared, pause_s, checked)

    async def _begin(self) -> None:
        """
        Make the target this move's own.

        A database is gone on with only if it carries this move's token: a round removes what the
        source does not have, so it must never meet somebody's store.
        """
        mark = mark_of(self._data)
        if mark is not None and mark.is_left and mark.closed == self._source.name:
            raise MoveRefusedError("out_of_date")
        token = self._data.move.read_text()
        theirs = await self._target.token()
        if theirs is not None and theirs == token:
            if not self._wish.is_resumed:
                raise MoveRefusedError("begun")
            return
        await self._target.prepare()
        for part in self._parts:
            if theirs is not None or not await part.is_empty():
                raise MoveRefusedError("not_empty")
        if self._wish.is_resumed:
            raise MoveRefusedError("nothing_begun")
        token = new_key().hex()
        self._data.move.write_text(token)
        await self._target.begin(token)

    async def _round(self, stage: str) -> Round:
        self._watching.began(stage, sum([await part.count() for part in self._parts]))
        done = Round()
        for part in self._parts:
            of_part = await part.round(self._watching.went, is_reread=stage == "last_round")
            done.compared += of_part.compared
            done.written += of_part.written
            done.removed += of_part.removed
        return done

    @asynccontextmanager
    async def _paused(self) -> AsyncIterator[float]:
        """Have nobody write; give when that began."""
        began = time.monotonic()
        self._watching.paused(None)
        async with contextlib.AsyncExitStack() as standing:
            try:
                await standing.enter_async_context(standstill(self._data))
            except BusyError:
                raise MoveRefusedError("writer_stays") from None
            for side in (self._source, self._target):
                if not await _held(side):
                    raise MoveRefusedError("writer_stays")
            mark = mark_of(self._data)
            if mark is not None and mark.closed == self._source.name:
                self._data.moved.unlink()
            yield began
        self._watching.paused(time.monotonic() - began)

    async def _sampled(self, stage: str, numbers: Sequence[int]) -> Checked:
        self._watching.began(stage, len(numbers))
        return await sampled(self._source, self._target, numbers, self._seed, self._watching.went)

    async def _proven(self, asked: Checked) -> tuple[Round, Checked]:
        """
        Make the two sides the same and show it: by every row, by counts, by asking both.

        What differed when it was asked before may have changed in between; it is asked again.
        """
        stamp = await self._source.stamp()
        last = await self._round("last_round")
        await self._target.analyze()
        differences = [one for part in self._parts for one in await part.differences()]
        again = sorted(asked.numbers | set(range(0, self._wish.sample, ASKED_AGAIN)))
        checked = await self._sampled("asking_again", again)
        checked.asked += asked.asked
        checked.differences = differences + checked.differences
        if await self._source.stamp() != stamp:
            raise MoveRefusedError("writer_stays")
        return last, checked

    async def _closed(self) -> None:
        """
        Close the old store, then open the new one: a kill in between leaves both closed.

        Then a move that is resumed ends it.
        """
        if self._wish.target.file is None:
            await enter_keys(self._wish.target.url, self._data)
        put_mark(self._data, Mark(self._source.name))
        await self._target.seal(await self._source.meta())
        self._data.move.write_text("")
        with contextlib.suppress(Unavailable):
            await self._target.forget()


async def _held(side: Side) -> bool:
    """Keep other machines' writers away; the connection of a writer that ended may linger."""
    until = time.monotonic() + HELD_S_MAX
    while not await side.held():
        if time.monotonic() > until:
            return False
        await asyncio.sleep(HELD_POLL_S)
    return True


def told(differences: list[Difference]) -> list[str]:
    """Spell differences, a line each: what differs, and for which key."""
    return [re.sub(r"\s+$", "", f"{one.what} {one.key}") for one in differences]

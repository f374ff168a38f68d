"""Nobody writes to a store while it is moved, nor after: writer and move hold each other off."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from gateway.app import standstill as module
from gateway.app.layout import DataDir
from gateway.app.standstill import (
    BusyError,
    Mark,
    is_closed,
    is_out_of_date,
    mark_of,
    may_write,
    moving,
    put_mark,
    standstill,
)


@pytest.fixture
def data(tmp_path: Path) -> DataDir:
    """A data directory."""
    return DataDir(tmp_path)


@pytest.fixture
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Locks are not waited for."""
    monkeypatch.setattr(module, "LOCK_S_MAX", 0.0)
    monkeypatch.setattr(module, "PAUSE_S_MAX", 0.0)


async def test_a_writer_writes_where_nothing_moves(data: DataDir) -> None:
    """It is the one writer then, and leaves no mark."""
    assert await may_write(data, "sqlite", asyncio.Event())
    assert mark_of(data) is None


@pytest.mark.usefixtures("_impatient")
async def test_a_second_writer_is_refused(data: DataDir) -> None:
    """The lock is the first one's as long as it lives."""
    assert await may_write(data, "sqlite", asyncio.Event())
    with pytest.raises(BusyError):
        await may_write(data, "sqlite", asyncio.Event())


@pytest.mark.usefixtures("_impatient")
async def test_a_move_does_not_end_beside_a_writer(data: DataDir) -> None:
    """It is refused, and has the writer go on."""
    assert await may_write(data, "sqlite", asyncio.Event())
    with pytest.raises(BusyError):
        async with standstill(data):
            pytest.fail("somebody writes")
    assert not is_closed(data, "sqlite")


async def test_a_writer_is_asked_to_end_and_waits(
    data: DataDir, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its store is closed for as long as nobody may write; it says ready, and does not write."""
    async with standstill(data):
        assert is_closed(data, "sqlite")
        waiting = asyncio.create_task(may_write(data, "sqlite", asyncio.Event()))
        await asyncio.sleep(0)
        assert capsys.readouterr().out == "ready\n"
        assert not waiting.done()
    assert not await waiting
    assert not is_closed(data, "sqlite")


async def test_a_writer_that_waits_can_be_stopped(data: DataDir) -> None:
    """As any process can."""
    stop = asyncio.Event()
    async with standstill(data):
        waiting = asyncio.create_task(may_write(data, "sqlite", stop))
        await asyncio.sleep(0)
        stop.set()
        assert not await waiting


async def test_a_writer_that_waited_for_the_lock_looks_again(
    data: DataDir, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was moved away while it waited for the lock is not written to."""
    answers = iter([False, True])
    monkeypatch.setattr(module, "is_closed", lambda *_: next(answers))
    assert not await may_write(data, "sqlite", asyncio.Event())


async def test_the_old_store_stays_closed_and_the_new_one_is_open(data: DataDir) -> None:
    """Once the new one is written to, the old one is out of date."""
    put_mark(data, Mark("sqlite"))
    assert is_closed(data, "sqlite")
    assert not is_closed(data, "postgresql")
    assert not is_out_of_date(data, "sqlite")
    assert await may_write(data, "postgresql", asyncio.Event())
    assert mark_of(data) == Mark("sqlite", is_left=True)
    assert is_out_of_date(data, "sqlite")
    assert not is_out_of_date(data, "postgresql")


def test_there_is_one_move_at_a_time(data: DataDir) -> None:
    """A second one of the same directory is refused."""
    with moving(data), pytest.raises(BusyError), moving(data):
        pytest.fail("two at once")
    with moving(data):
        assert data.move.exists()

"""Orders and certificates as files: one order at a time, refused ones put aside, lost ones anew."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.app.disposal_files import (
    ORDER,
    REFUSED,
    OrderWaitsError,
    certificates,
    is_refused,
    put_order,
    waiting_order,
)
from gateway.app.disposing import Disposing
from gateway.domain.period import Instant
from gateway.store.memory import MemoryAccesses
from gateway.store.migrate import migrate
from gateway.store.records import encode_coverage
from gateway.store.sqlite import SqliteStore
from gateway.usecases.dispose import PACE, Disposer
from loadtests.disposing import AT_ONCE, disposer_of, order_of

LOOKS = 500


async def run_until_taken(folder: Path, disposer: Disposer, store: SqliteStore) -> None:
    """Let the writer's part run until no order waits."""
    stop = asyncio.Event()
    running = asyncio.create_task(Disposing(folder, disposer, store, disposer._horizon).run(stop))
    for _ in range(LOOKS):
        if not (folder / ORDER).exists():
            break
        await asyncio.sleep(0.02)
    stop.set()
    await running


@contextlib.asynccontextmanager
async def opened(directory: Path) -> AsyncIterator[SqliteStore]:
    """An empty store."""
    migrate(directory / "gateway.db", encode_coverage)
    store = SqliteStore(directory / "gateway.db", encode_coverage)
    try:
        yield store
    finally:
        await store.close()


def test_one_order_waits_at_a_time(tmp_path: Path) -> None:
    """A second order is refused, and the first one stays."""
    put_order(tmp_path, order_of(1, 5))
    with pytest.raises(OrderWaitsError):
        put_order(tmp_path, order_of(2, 5))
    assert waiting_order(tmp_path) == order_of(1, 5)
    assert [path.name for path in tmp_path.iterdir()] == [ORDER]


async def test_orders_leave_certificates_and_lost_ones_are_written_again(tmp_path: Path) -> None:
    """Each order is carried out once; a certificate that was lost comes back, and only it."""
    folder = tmp_path / "disposals"
    async with opened(tmp_path) as store:
        for number in (1, 2):
            put_order(folder, order_of(number, 5))
            disposer = disposer_of(store, MemoryAccesses(), PACE)
            await run_until_taken(folder, disposer, store)
            found, broken = certificates(folder)
            assert ([one.number for one in found], broken) == ([*range(1, number + 1)], None)
        first = (folder / "000001.json").read_bytes()
        (folder / "000001.json").unlink()
        assert certificates(folder)[1] == 1
        put_order(folder, order_of(2, 5))
        await run_until_taken(folder, disposer_of(store, MemoryAccesses(), PACE), store)
        assert (folder / "000001.json").read_bytes() == first
        assert len(certificates(folder)[0]) == 2


@pytest.mark.parametrize("body", [b"", b"{}", b'{"order_id": "1"}', b"\xff"])
async def test_what_is_no_order_is_put_aside(body: bytes, tmp_path: Path) -> None:
    """Nothing is disposed of, and the writer goes on."""
    async with opened(tmp_path) as store:
        (tmp_path / ORDER).write_bytes(body)
        await run_until_taken(tmp_path, disposer_of(store, MemoryAccesses(), PACE), store)
        assert (tmp_path / REFUSED).read_bytes() == body
        assert list(await store.disposals()) == []


async def test_a_denied_order_is_put_aside(tmp_path: Path) -> None:
    """The command can tell that it was refused."""
    async with opened(tmp_path) as store:
        early = disposer_of(store, MemoryAccesses(), PACE)
        denied = Disposer(
            store,
            early._desk,
            early._door,
            AT_ONCE,
            lambda: Instant(1_000),
            early._horizon,
        )
        put_order(tmp_path, order_of(1, 5))
        assert not is_refused(tmp_path, order_of(1, 5))
        await run_until_taken(tmp_path, denied, store)
        assert is_refused(tmp_path, order_of(1, 5))
        assert not is_refused(tmp_path, order_of(2, 5))


async def test_a_disposal_waits_until_institutions_were_told(tmp_path: Path) -> None:
    """It begins once nothing before its instant is needed any more, not before."""
    told = iter([0, 3, 5, 5, 5, 5])
    seen: list[int] = []

    async def needed_from() -> Instant:
        seen.append(next(told))
        return Instant(seen[-1])

    stop = asyncio.Event()
    async with opened(tmp_path) as store:
        put_order(tmp_path, order_of(1, 5))
        disposer = disposer_of(store, MemoryAccesses(), PACE)
        part = Disposing(tmp_path, disposer, store, needed_from)
        await part._carry_out(stop)
        assert seen == [0, 3, 5]
        assert len(certificates(tmp_path)[0]) == 1

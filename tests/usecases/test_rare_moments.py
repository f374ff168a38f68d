"""Moments that are rare: answers that are lost, senders that come back, files nobody writes."""

from __future__ import annotations

import asyncio
import csv
import threading
from collections.abc import Sequence
from dataclasses import replace

import pytest

from gateway.domain import line_order
from gateway.domain.coverage_lines import DecodedLine, RawLine
from gateway.domain.errors import Conflict, Unavailable
from gateway.domain.line_order import AS_THEY_STAND
from gateway.formats.coverage_csv import decode_cells, encode_header
from gateway.formats.coverage_file import CoverageReader
from gateway.store.memory import MemoryRuns
from gateway.store.port import RefusedLine, UploadState
from gateway.usecases.register_coverage import register
from gateway.usecases.sorted_lines import SortedLines
from gateway.usecases.upload_coverage import upload_key_of
from tests.usecases.checking import Checked
from tests.usecases.registration import (
    INSURER,
    LIMITS,
    NUMBERS,
    CrashError,
    Stand,
    a_file,
    caller,
    new,
    said,
)

TIMEOUT_S = 5
KEY = upload_key_of(INSURER, "file-1")


async def test_a_sender_that_came_back_too_early_begins_nothing_anew() -> None:
    """Its second stream knows nothing of the first one's commit, and finishes the same file."""
    stand = Stand(limits=replace(LIMITS, slice_lines_max=1))
    file = a_file(new("1"), new("2"))
    async with stand.receiver.receiving(caller(), "file-1") as first:
        await first.append(0, file)
    async with stand.receiver.receiving(caller(), "file-1") as second:
        stand.receiver._open.clear()
        received = await stand.receive(file)
        stand.store.crash_at = 3
        with pytest.raises(CrashError):
            await stand.apply_all()
        begun = await stand.store.upload(KEY)
        assert begun is not None
        assert begun.lines_read == 1
        assert await second.finish(len(file)) == begun
    assert await stand.store.upload(KEY) == begun
    assert begun.received_time == received.received_time


async def test_a_file_does_not_take_the_place_of_a_single_change() -> None:
    """A change registered while a file was sent under its request id stays what it was."""
    stand = Stand()
    file = a_file(new("1"))
    cells = next(csv.DictReader([encode_header(), new("2")]))
    async with stand.receiver.receiving(caller(), "file-1") as receiving:
        await receiving.append(0, file)
        await register(
            decode_cells(cells),
            "file-1",
            caller(),
            stand.store,
            stand.vault,
            stand.desk,
            stand.door,
        )
        before = await stand.store.upload(KEY)
        with pytest.raises(Conflict, match="UPLOAD_DIFFERS"):
            await receiving.finish(len(file))
    assert await stand.store.upload(KEY) == before


@pytest.mark.parametrize("is_dry_run", [False, True])
async def test_a_file_whose_last_answer_was_lost_is_told_of(*, is_dry_run: bool) -> None:
    """The last slice was committed though nobody said so: whoever waits is told, once."""
    stand = Stand(limits=replace(LIMITS, slice_lines_max=1))
    stand.store.crash, stand.store.crash_at = Unavailable("STORE_UNAVAILABLE"), 3
    stand.store.is_written_at_crash = True
    await stand.receive(a_file(new("1"), new("2")), is_dry_run=is_dry_run)
    stop = asyncio.Event()
    waiting = asyncio.create_task(stand.applier.until_applied(KEY))
    await asyncio.sleep(0)
    applying = asyncio.create_task(stand.applier.run(stop))
    async with asyncio.timeout(TIMEOUT_S):
        upload = await waiting
    stop.set()
    await applying
    assert (upload.lines_read, upload.lines_applied) == (2, 2)
    assert not await stand.spool.uploads(10)


async def test_a_file_is_told_of_though_its_bytes_stay() -> None:
    """A disk that does not discard keeps nobody waiting."""
    stand = Stand()
    await stand.receive(a_file(new()))
    stop = asyncio.Event()

    async def discard(_: bytes) -> None:
        raise Unavailable("STORE_UNAVAILABLE")

    stand.spool.discard = discard  # type: ignore[assignment, method-assign]
    waiting = asyncio.create_task(stand.applier.until_applied(KEY))
    await asyncio.sleep(0)
    applying = asyncio.create_task(stand.applier.run(stop))
    async with asyncio.timeout(TIMEOUT_S):
        assert (await waiting).state is UploadState.APPLIED
    stop.set()
    await applying


async def test_a_dry_run_knows_nothing_of_the_one_before() -> None:
    """What the last slice of one saw is nobody's in the next, not even of the same people."""
    stand = Checked()
    number = NUMBERS[0]
    await stand.upload(a_file(new("1", individual_number=number)), "before")
    await stand.check_all()
    stand.applier._slice_lines = 1
    stand.applier._limits = replace(LIMITS, slice_lines_max=1)
    await stand.upload(
        a_file(
            said("CORRECT", "1", new_number="2"),
            said("CHANGE", "2", name="架空　花子"),
        ),
        "dry-1",
        is_dry_run=True,
    )
    overlay = stand.applier._rehearsal._overlay
    assert overlay._seen
    await stand.applier._rehearsal.begin()
    assert not overlay._seen
    assert not overlay._versions


async def test_a_file_begun_by_an_older_version_is_read_on_in_its_encoding() -> None:
    """What told the encoding was read before the restart; the lines after it are read alike."""
    stand = Stand(limits=replace(LIMITS, slice_lines_max=1))
    half_width = encode_header() + new("1", name="漢字") + new("2", name="ﾃｽﾄ")
    header, *lines = half_width.encode("cp932").splitlines(keepends=True)
    mistaken = new("3", name="漢字").encode()
    await stand.receive(header + lines[0] + mistaken + lines[1])
    received = stand.store._uploads[KEY]
    stand.store._uploads[KEY] = replace(received, line_order=AS_THEY_STAND)
    stand.store.crash_at = 3
    with pytest.raises(CrashError):
        await stand.apply_all()
    stand = Stand(stand, limits=replace(LIMITS, slice_lines_max=1))
    await stand.apply_all()
    upload = await stand.store.upload(KEY)
    assert upload is not None
    assert upload.encoding == "cp932"
    assert RefusedLine(4, "", "ENCODING_WRONG") not in await stand.refused()


class OneLongLine(CoverageReader):
    """Reads one line, longer than any memory."""

    def take_raw(self, lines_max: int) -> list[RawLine]:
        """Give it once."""
        return [
            line._replace(body=None, next_offset=5 * 1024**3)
            for line in super().take_raw(lines_max)
        ]


async def test_a_line_of_five_gigabytes_is_one_line() -> None:
    """It is too long, and of its size."""
    stand = Stand()
    upload = await stand.receive(a_file(new()))
    lines = SortedLines(upload, stand.spool, OneLongLine(2_000), 10)
    assert await lines.prepare(asyncio.Event())
    [(size, line)] = await lines.take(10)
    assert size > 4 * 1024**3
    assert isinstance(line, DecodedLine)
    await lines.close()


async def test_moves_are_put_in_order_beside_the_event_loop(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A hundred thousand of them take a second, and calls must not wait for it."""
    threads: list[bool] = []
    depths = line_order._depths

    def watched(to: dict[bytes, set[bytes]]) -> dict[bytes, int]:
        threads.append(threading.current_thread() is threading.main_thread())
        return depths(to)

    monkeypatch.setattr(line_order, "_depths", watched)
    stand = Stand()
    await stand.upload(a_file(new("1"), said("CORRECT", "1", new_number="8")))
    assert threads == [False]


async def test_many_empty_lines_are_taken_bit_by_bit(monkeypatch: pytest.MonkeyPatch) -> None:
    """However short its lines, a file is not cut into more of them at once than take a moment."""
    taken: list[int] = []
    put = MemoryRuns.put

    async def watched(self: MemoryRuns, records: Sequence[bytes]) -> None:
        taken.append(len(records))
        await put(self, records)

    monkeypatch.setattr(MemoryRuns, "put", watched)
    stand = Stand()
    upload = await stand.upload(encode_header().encode() + b"\n" * 50_000)
    assert upload.lines_read == 50_000
    assert max(taken) < 10_000

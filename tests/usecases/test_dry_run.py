"""A dry run says what the file would do, and does nothing."""

from __future__ import annotations

import asyncio
import csv
from collections.abc import Callable
from copy import copy
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.domain.errors import Conflict
from gateway.formats.coverage_csv import decode_cells, encode_header
from gateway.store.port import RefusedLine, Upload, UploadKey
from gateway.store.scratch import SqliteScratch
from gateway.usecases.desk import Line
from gateway.usecases.upload_coverage import upload_key_of
from tests.usecases.checking import Checked
from tests.usecases.registration import (
    INSURER,
    LIMITS,
    NUMBERS,
    CrashError,
    Stand,
    a_file,
    new,
    said,
)
from tests.usecases.test_upload_coverage import files

BY_DESIGN = {"_uploads", "_refused", "_last_recorded", "batches", "_render", "filings", "crash"}
"""What a dry run writes to a store, and what is no data of it."""


def counts(upload: Upload) -> tuple[int, ...]:
    """What a report counts."""
    return (
        upload.lines_read,
        upload.lines_applied,
        upload.lines_unchanged,
        upload.lines_refused,
    )


def kept(stand: Stand) -> dict[str, object]:
    """Everything a store and a vault hold that is about people."""
    held = {**vars(stand.store), **vars(stand.store.filings), **vars(stand.vault)}
    return {name: copy(value) for name, value in held.items() if name not in BY_DESIGN}


@pytest.mark.parametrize("make", [Stand, Checked])
@settings(max_examples=150, deadline=None)
@given(files, files, st.integers(1, 5))
def test_a_dry_run_says_what_happens_then(
    make: Callable[[], Stand], first: bytes, second: bytes, slice_lines: int
) -> None:
    """Counts and refused lines are those of the same file sent in earnest, whatever was there."""

    async def scenario() -> None:
        stand = make()
        stand.applier._slice_lines = slice_lines
        stand.applier._limits = replace(LIMITS, slice_lines_max=slice_lines)
        await stand.upload(first, "before")
        before = kept(stand)
        rehearsed = await stand.upload(second, "dry", is_dry_run=True)
        assert before == kept(stand)
        done = await stand.upload(second, "wet")
        assert counts(rehearsed) == counts(done)
        assert await stand.refused("dry") == await stand.refused("wet")

    asyncio.run(scenario())


async def test_a_dry_run_begins_anew_after_a_crash() -> None:
    """What it had refused is forgotten, because the store may say otherwise by now."""
    stand = Stand(limits=replace(LIMITS, slice_lines_max=1))
    lost = said("LOSS", "1", loss_date="20250701", loss_reason="03")
    await stand.receive(a_file(lost, new("2"), new("3")), "dry", is_dry_run=True)
    stand.store.crash_at = 3
    with pytest.raises(CrashError):
        await stand.apply_all()
    assert await stand.refused("dry") == [RefusedLine(2, "", "COVERAGE_UNKNOWN")]
    stand = Stand(stand)
    cells = next(csv.DictReader([encode_header(), new("1")]))
    async with stand.desk.turn() as now:
        lines = [Line(1, decode_cells(cells))]
        worked = await stand.desk.work(lines, INSURER, UploadKey(b"single----------"), now)
        await stand.store.commit(worked.batch)
    await stand.apply_all()
    upload = await stand.store.upload(upload_key_of(INSURER, "dry"))
    assert upload is not None
    assert counts(upload) == (3, 3, 0, 0)
    assert await stand.refused("dry") == []


async def test_the_scratch_file_holds_no_number(tmp_path: Path) -> None:
    """Cut off midway, it holds the people of the file, and of their numbers nothing."""
    path = tmp_path / "scratch.db"
    stand = Stand(limits=replace(LIMITS, slice_lines_max=1))
    stand.scratch = scratch = SqliteScratch(path)
    stand.applier._rehearsal = stand.rehearsal()
    told = [new(str(i), individual_number=number) for i, number in enumerate(NUMBERS, 1)]
    again = said("NUMBER", "1", individual_number=NUMBERS[1])
    await stand.receive(a_file(*told, again, new("9")), is_dry_run=True)
    stand.store.crash_at = 6
    with pytest.raises(CrashError):
        await stand.apply_all()
    held = path.read_bytes()
    assert "太郎".encode() in held
    assert not any(number.encode() in held for number in NUMBERS)
    assert await stand.refused() == [RefusedLine(5, "individual_number", "NUMBER_DIFFERS")]
    await scratch.end()


async def test_a_dry_run_and_an_upload_are_two() -> None:
    """One request id is either; the other kind is refused under it."""
    stand = Stand()
    await stand.upload(a_file(new()), "r", is_dry_run=True)
    with pytest.raises(Conflict, match="UPLOAD_DIFFERS"):
        await stand.receive(a_file(new()), "r")
    await stand.upload(a_file(new()), "s")
    with pytest.raises(Conflict, match="UPLOAD_DIFFERS"):
        await stand.receive(a_file(new()), "s", is_dry_run=True)

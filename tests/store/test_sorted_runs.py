"""Sorting beside the memory: everything comes back once, in order, and nothing can be read."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.domain.errors import Unavailable
from gateway.store import sorted_runs
from gateway.store.memory import MemoryRuns
from gateway.store.port_beside import Runs
from gateway.store.sorted_runs import FileRuns


def names_in(directory: Path) -> list[str]:
    """What a directory holds."""
    return [path.name for path in directory.iterdir()]


async def sorted_by(runs: Runs, parts: list[list[bytes]], take: int) -> list[bytes]:
    """Put the parts, take all in pieces."""
    for part in parts:
        await runs.put(part)
    found: list[bytes] = []
    while taken := await runs.take(take):
        assert len(taken) <= take
        found += taken
    assert not await runs.take(take)
    await runs.close()
    return found


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    st.lists(st.lists(st.binary(max_size=40), max_size=30), max_size=12),
    st.integers(1, 20),
    st.integers(1, 3_000),
)
async def test_runs_sort(
    tmp_path: Path, parts: list[list[bytes]], take: int, sort_bytes_max: int
) -> None:
    """On disk and in memory alike, however small what is held is."""
    expected = sorted(record for part in parts for record in part)
    assert expected == await sorted_by(FileRuns(tmp_path, sort_bytes_max), parts, take)
    assert expected == await sorted_by(MemoryRuns(), parts, take)
    assert not names_in(tmp_path)


async def test_many_runs_are_merged_on_the_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With more runs than are merged at once, and frames smaller than a record, nothing is lost."""
    monkeypatch.setattr(sorted_runs, "RUNS_MERGED_MAX", 3)
    monkeypatch.setattr(sorted_runs, "FRAME_BYTES", 8)
    parts = [[os.urandom(30) for _ in range(5)] for _ in range(40)]
    expected = sorted(record for part in parts for record in part)
    assert expected == await sorted_by(FileRuns(tmp_path, 1), parts, 7)


async def test_a_run_has_no_name_and_cannot_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever opens the file of a run finds neither its records nor a name to find it by."""
    written: list[bytes] = []
    keep = sorted_runs._Run._add

    def watched(run: sorted_runs._Run, plain: bytes) -> None:
        keep(run, plain)
        size = run._frames[-1]
        written.append(os.pread(run._file.fileno(), size, 0))

    monkeypatch.setattr(sorted_runs._Run, "_add", watched)
    runs = FileRuns(tmp_path, 1)
    await runs.put([b"123456789018" * 20])
    assert written
    assert not any(b"1234567890" in frame for frame in written)
    assert not names_in(tmp_path)
    await runs.close()


async def test_a_full_disk_is_unavailable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What cannot be sorted now is sorted anew later."""

    def full(*_: object) -> None:
        raise OSError("no space")

    monkeypatch.setattr(sorted_runs._Run, "_add", full)
    runs = FileRuns(tmp_path, 1)
    with pytest.raises(Unavailable):
        await runs.put([b"1"])
    await runs.close()


async def test_what_is_forgotten_half_way_leaves_nothing(tmp_path: Path) -> None:
    """Closing before the end closes every file."""
    before = len(names_in(Path("/proc/self/fd")))
    runs = FileRuns(tmp_path, 1)
    for n in range(5):
        await runs.put([bytes([n])])
    await runs.take(2)
    await runs.close()
    assert len(names_in(Path("/proc/self/fd"))) <= before

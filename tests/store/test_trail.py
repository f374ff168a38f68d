"""The access trail: every record indexed once, who looked is found, tampering is named."""

from __future__ import annotations

import errno
import os
import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs

from gateway.domain.errors import Unavailable
from gateway.domain.identifiers import PersonKey
from gateway.domain.period import Instant
from gateway.store.access_log import AccessLog, ChainBroken
from gateway.store.trail import Trail, verify
from tests.store.test_access_log import LIFE, a_record, opened, written

NOW = Instant(5_000)
PERSON = PersonKey(b"person----------")


@pytest.fixture
def access(tmp_path: Path) -> Path:
    """Where lives are written."""
    folder = tmp_path / "access"
    folder.mkdir()
    return folder


@pytest.fixture
def trail(tmp_path: Path, access: Path) -> Iterator[Trail]:
    """A fresh index."""
    made = Trail(tmp_path / "trail.db", access)
    yield made
    made.close()


def indexed(trail: Trail, records_max: int = 1_000) -> int:
    """Index until nothing is left; count."""
    total = 0
    while count := trail.index_new(records_max, NOW):
        total += count
    return total


async def test_every_record_is_indexed_once(trail: Trail, access: Path) -> None:
    """In steps of any size, over segments; a second pass finds nothing."""
    await written(access, 23, group=3, segment=1_500)

    assert indexed(trail, 5) == 23
    assert indexed(trail) == 0


async def test_a_person_sees_who_looked_newest_first(trail: Trail, access: Path) -> None:
    """Looks at a person are found by their key, at most as many as asked for."""
    await written(access, 5)
    indexed(trail)
    found = trail.who_looked(PERSON, 3)

    assert [look.at for look in found] == [1_004, 1_003, 1_002]
    assert {("institution", "1319999999", "ANSWERED")} == {
        (look.role, look.code, look.outcome) for look in found
    }
    assert not trail.who_looked(PersonKey(b"somebody--------"), 3)


async def test_a_sound_trail_has_no_problem(trail: Trail, tmp_path: Path, access: Path) -> None:
    """Chains that go on after their anchors are sound."""
    await written(access, 4)
    indexed(trail)
    report = verify(access, tmp_path / "trail.db")

    assert (report.lives, report.records, report.problems) == (1, 4, ())


async def test_a_cut_chain_is_shorter_than_its_anchor(
    trail: Trail, tmp_path: Path, access: Path
) -> None:
    """Dropping the last records leaves a chain that follows; the anchor tells."""
    await written(access, 4)
    indexed(trail)
    path = access / LIFE / "000001.log"
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:2]))

    assert any("anchored at 4" in one for one in verify(access, tmp_path / "trail.db").problems)


async def test_a_rewritten_chain_is_not_the_one_anchored(
    trail: Trail, tmp_path: Path, access: Path
) -> None:
    """Who writes a whole new chain of the same life and length is found out."""
    await written(access, 4)
    indexed(trail)
    shutil.rmtree(access / LIFE)
    log = opened(access)
    for _ in range(4):
        await log.record(a_record(99))
    await log.close()

    problems = verify(access, tmp_path / "trail.db").problems
    assert any("not the one anchored" in one for one in problems)


async def test_a_life_that_is_gone_is_missed(trail: Trail, tmp_path: Path, access: Path) -> None:
    """Removing a whole life leaves its anchor."""
    await written(access, 2)
    indexed(trail)
    shutil.rmtree(access / LIFE)

    assert any("gone" in one for one in verify(access, tmp_path / "trail.db").problems)


async def test_indexing_stops_at_a_broken_chain(trail: Trail, access: Path) -> None:
    """A changed record is not indexed; its life and place are named."""
    await written(access, 4)
    path = access / LIFE / "000001.log"
    path.write_bytes(path.read_bytes().replace(b"ANSWERED", b"UNASKED!", 1))

    with pytest.raises(ChainBroken, match=f"{LIFE}.*record 1"):
        trail.index_new(100, NOW)


@pytest.mark.parametrize("is_gone", [True, False])
async def test_indexing_stops_at_a_chain_cut_behind_it(
    trail: Trail, access: Path, *, is_gone: bool
) -> None:
    """A segment that is gone, or shorter than what was read of it, is no quiet end."""
    await written(access, 4)
    indexed(trail)
    path = access / LIFE / "000001.log"
    kept = path.read_bytes().splitlines(keepends=True)[:2]
    path.unlink()
    if not is_gone:
        path.write_bytes(b"".join(kept))

    with pytest.raises(ChainBroken, match=LIFE):
        trail.index_new(100, NOW)


async def test_indexing_goes_on_after_a_restart(tmp_path: Path, access: Path) -> None:
    """The place in each life is remembered, within a segment too; nothing is read twice."""
    await written(access, 9, group=2, segment=1_000)
    for expected in (4, 4, 1, 0):
        trail = Trail(tmp_path / "trail.db", access)
        assert expected == trail.index_new(4, NOW)
        trail.close()


async def test_a_busy_life_does_not_keep_others_waiting(trail: Trail, access: Path) -> None:
    """Lives take turns at being first."""
    for life in ("aa", "bb"):
        log = AccessLog(access, life, gather_us=0, group_records_max=10, segment_bytes_max=10**6)
        for number in range(6):
            await log.record(a_record(number))
        await log.close()
    for _ in range(2):
        trail.index_new(2, NOW)

    looked = {look.record_id.split("-")[0] for look in trail.who_looked(PERSON, 100)}
    assert {"aa", "bb"} == looked


@pytest.mark.parametrize("content", [None, b"", b"no database at all" * 100])
async def test_anchors_that_cannot_be_read_are_a_problem(
    tmp_path: Path, access: Path, content: bytes | None
) -> None:
    """Who removes the anchors to hide a change is found out; the chains are checked anyway."""
    await written(access, 2)
    if content is not None:
        (tmp_path / "trail.db").write_bytes(content)
    report = verify(access, tmp_path / "trail.db")

    assert (report.records, report.problems) == (2, ("the anchors cannot be read",))


async def test_an_anchor_is_written_after_its_record_is_durable(
    trail: Trail, access: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A power cut cannot leave an anchor beyond its chain: the segment is synced first."""
    await written(access, 2)
    indexed_at_sync: list[int] = []

    def watched(_descriptor: int) -> None:
        indexed_at_sync.append(len(trail.who_looked(PERSON, 9)))
        raise OSError(errno.EIO, "the disk is gone")

    monkeypatch.setattr(os, "fdatasync", watched)
    with pytest.raises(OSError, match="gone"):
        trail.index_new(100, NOW)
    monkeypatch.undo()

    assert indexed_at_sync == [0]
    assert not trail.who_looked(PERSON, 9)
    assert indexed(trail) == 2


async def test_the_last_confirmation_of_each_institution_is_kept(
    trail: Trail, tmp_path: Path, access: Path
) -> None:
    """Of each person and institution the last, of any way of asking; older ones are forgotten."""
    names = await written(access, 3)
    indexed(trail)
    expected = [(PERSON, "1319999999", 1_002, names[2])]
    assert expected == _asked(trail)
    trail.close()
    with sqlite3.connect(tmp_path / "trail.db") as older:
        older.execute("DROP TABLE asked")
    older.close()
    upgraded = Trail(tmp_path / "trail.db", access)
    assert expected == _asked(upgraded)
    assert [upgraded.forget_asked(Instant(1_003), 10) for _ in range(2)] == [1, 0]
    assert not _asked(upgraded)
    upgraded.close()


@pytest.mark.parametrize(
    "items",
    [
        {"outcome": "DENIED"},
        {"role": "insurer"},
        {"purpose": "OQS-MED-02"},
        {"people": ()},
    ],
)
async def test_what_is_no_confirmation_is_not_kept_as_one(
    trail: Trail, access: Path, items: dict[str, Any]
) -> None:
    """A denial, another's look, a look at news, and an answer about nobody."""
    log = opened(access)
    await log.record(structs.replace(a_record(1), **items))
    await log.close()
    indexed(trail)
    assert not _asked(trail)


def _asked(trail: Trail) -> list[tuple[Any, ...]]:
    return trail._connection.execute("SELECT * FROM asked").fetchall()


def test_what_cannot_be_forgotten_now_can_be_later(trail: Trail) -> None:
    """A disk that takes nothing is told of as such, so that the writer goes on."""
    trail._connection.execute("PRAGMA query_only = 1")
    with pytest.raises(Unavailable, match="STORE_UNAVAILABLE"):
        trail.forget_asked(Instant(1), 10)

"""The access trail: every record indexed once, who looked is found, tampering is named."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.domain.identifiers import PersonKey
from gateway.domain.period import Instant
from gateway.store.access_log import ChainBroken
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

"""The access log: durable before it returns, one chain a life, no change goes unseen."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from gateway.domain.access import AccessRecord
from gateway.domain.errors import Unavailable
from gateway.domain.identifiers import PersonKey
from gateway.domain.period import Instant
from gateway.store.access_log import AccessLog, ChainBroken, records_of, verify_life

LIFE = "00112233445566aa"


def a_record(number: int, people: int = 1) -> AccessRecord:
    """Some look."""
    return AccessRecord(
        at=Instant(1_000 + number),
        role="institution",
        code="1319999999",
        method="gateway.v1.EligibilityService/ConfirmEligibility",
        purpose="OQS-MED-01",
        policy_version="1",
        operation="DISCLOSE",
        data=("D-QUAL",),
        outcome="ANSWERED",
        detail="1",
        people=tuple(PersonKey(b"person----------") for _ in range(people)),
    )


def opened(folder: Path, *, group: int = 100, segment: int = 10**6) -> AccessLog:
    """A log of a new life."""
    return AccessLog(
        folder, LIFE, gather_us=100, group_records_max=group, segment_bytes_max=segment
    )


async def written(folder: Path, count: int, **limits: int) -> list[str]:
    """Write so many records at once; give their ids."""
    log = opened(folder, **limits)
    names = await asyncio.gather(*(log.record(a_record(number)) for number in range(count)))
    await log.close()
    return names


async def test_what_is_recorded_is_read_back_in_order(tmp_path: Path) -> None:
    """Each id names its record, counted from 1."""
    names = await written(tmp_path, 5)
    found = list(records_of(tmp_path / LIFE))

    assert [f"{LIFE}-{number}" for number in range(1, 6)] == names
    assert names == [name for name, _ in found]
    assert [a_record(number) for number in range(5)] == [record for _, record in found]


async def test_a_record_is_synced_before_it_returns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No id is given before the sync of its group ended."""
    synced: list[int] = []
    real = os.fdatasync

    def watched(descriptor: int) -> None:
        real(descriptor)
        synced.append(os.fstat(descriptor).st_size)

    monkeypatch.setattr(os, "fdatasync", watched)
    log = opened(tmp_path)
    await log.record(a_record(1))

    assert synced == [(tmp_path / LIFE / "000001.log").stat().st_size]
    await log.close()


async def test_many_at_once_share_syncs_within_the_group_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A group takes what has gathered, and no more than its limit."""
    groups: list[int] = []
    monkeypatch.setattr(os, "fdatasync", lambda _descriptor: groups.append(1))
    await written(tmp_path, 25, group=10)

    assert len(groups) == 3


async def test_a_full_segment_is_followed_by_the_next(tmp_path: Path) -> None:
    """The chain goes on over segments."""
    await written(tmp_path, 30, group=1, segment=1_000)
    segments = sorted((tmp_path / LIFE).iterdir())

    assert len(segments) > 3
    assert (
        verify_life(tmp_path / LIFE).records,
        verify_life(tmp_path / LIFE).broken,
    ) == (30, None)


@pytest.mark.parametrize("damage", ["changed", "dropped", "swapped", "inserted"])
async def test_a_damaged_chain_is_found(tmp_path: Path, damage: str) -> None:
    """A record that was changed, dropped, moved or put in breaks the chain where it stands."""
    await written(tmp_path, 6)
    path = tmp_path / LIFE / "000001.log"
    lines = path.read_bytes().splitlines(keepends=True)
    match damage:
        case "changed":
            lines[2] = lines[2].replace(b"DISCLOSE", b"REGISTER")
        case "dropped":
            del lines[2]
        case "swapped":
            lines[2], lines[3] = lines[3], lines[2]
        case "inserted":
            lines.insert(2, lines[1])
    path.write_bytes(b"".join(lines))
    report = verify_life(tmp_path / LIFE)

    assert report.records == 2
    assert isinstance(report.broken, ChainBroken)


async def test_a_torn_last_line_is_no_break(tmp_path: Path) -> None:
    """What a kill tore was never acknowledged."""
    await written(tmp_path, 3)
    path = tmp_path / LIFE / "000001.log"
    path.write_bytes(path.read_bytes() + b"0123 {half")

    assert (
        verify_life(tmp_path / LIFE).records,
        verify_life(tmp_path / LIFE).broken,
    ) == (3, None)


async def test_nothing_is_answered_once_writing_failed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full disk refuses the records that wait and every later one."""

    def full(_descriptor: int) -> None:
        raise OSError(28, "no space")

    log = opened(tmp_path)
    await log.record(a_record(0))
    monkeypatch.setattr(os, "fdatasync", full)
    outcomes = await asyncio.gather(
        *(log.record(a_record(number)) for number in range(3)), return_exceptions=True
    )
    monkeypatch.undo()

    assert all(isinstance(outcome, Unavailable) for outcome in outcomes)
    assert log.has_failed
    with pytest.raises(Unavailable):
        await log.record(a_record(9))
    await log.close()


async def test_a_caller_that_gives_up_leaves_its_record(tmp_path: Path) -> None:
    """It looked; the record stays."""
    log = opened(tmp_path)
    caller = asyncio.create_task(log.record(a_record(1)))
    await asyncio.sleep(0)
    caller.cancel()
    await log.record(a_record(2))
    await log.close()

    assert verify_life(tmp_path / LIFE).records == 2


@pytest.mark.parametrize("damage", ["first gone", "middle gone", "middle cut", "middle padded"])
async def test_only_the_very_end_may_be_missing(tmp_path: Path, damage: str) -> None:
    """While later segments stand, one that is gone, cut, or ends in a half line is a break."""
    await written(tmp_path, 12, group=1, segment=1_000)
    first, middle = (tmp_path / LIFE / f"00000{number}.log" for number in (1, 2))
    whole = middle.read_bytes()
    match damage:
        case "first gone":
            first.unlink()
        case "middle gone":
            middle.unlink()
        case "middle cut":
            middle.write_bytes(b"".join(whole.splitlines(keepends=True)[:-1]))
        case "middle padded":
            middle.write_bytes(whole + b"0123 {half")

    assert verify_life(tmp_path / LIFE).broken is not None


async def test_a_marked_record_gives_its_digest(tmp_path: Path) -> None:
    """The digest of the record asked about is told; of one beyond the end, none."""
    await written(tmp_path, 3)
    lines = (tmp_path / LIFE / "000001.log").read_bytes().splitlines()

    marked = verify_life(tmp_path / LIFE, 2).marked
    assert marked is not None
    assert lines[1].split()[0] == marked.hex().encode()
    assert verify_life(tmp_path / LIFE, 4).marked is None

"""What is copied beside a writer is whole: databases at one moment, frames, lines of records."""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from gateway.store.access_copy import TAIL_BYTES, copy_lives
from gateway.store.access_log import verify_life
from gateway.store.copying import COPIED_AT_ONCE_BYTES, Written, copy_file, sync_tree, written
from gateway.store.port import UploadKey
from gateway.store.spool import FileSpool
from gateway.store.spool_copy import HeldSpool, name_of, plain_bytes_of
from gateway.store.sqlite_copy import HeldFile, is_sound, rows_of
from tests.store import test_access_log
from tests.store.test_access_log import LIFE

UPLOAD = UploadKey(b"upload----------")
ROWS = 20_000


def nothing(_: int) -> None:
    """Nobody is told."""


@contextmanager
def writing(database: Path) -> Iterator[list[int]]:
    """Somebody who never stops committing; gives how many commits there were."""
    stop, commits = threading.Event(), [0]

    def write() -> None:
        with closing(sqlite3.connect(database, isolation_level=None)) as connection:
            while not stop.is_set():
                connection.execute("INSERT INTO rows VALUES (zeroblob(2000))")
                commits[0] += 1

    thread = threading.Thread(target=write)
    thread.start()
    try:
        yield commits
    finally:
        stop.set()
        thread.join()


def test_a_database_is_copied_as_of_one_moment_beside_a_writer(tmp_path: Path) -> None:
    """The copy has what there was when it was held, is sound, closed to others, and one file."""
    source, target = tmp_path / "source.db", tmp_path / "target.db"
    with closing(sqlite3.connect(source, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("CREATE TABLE rows (body)")
        connection.execute("BEGIN")
        connection.executemany("INSERT INTO rows VALUES (?)", [(b"x" * 200,)] * ROWS)
        connection.execute("COMMIT")
    steps: list[int] = []
    with closing(HeldFile(source)) as held, writing(source) as commits:

        def step(size: int) -> None:
            steps.append(size)
            before = commits[0]
            while commits[0] == before:
                pass

        held.copy_to(target, step)

    assert rows_of(target) == {"rows": ROWS}
    assert is_sound(target)
    assert sum(steps) == target.stat().st_size
    assert len(steps) > 1
    assert target.stat().st_mode & 0o777 == 0o600
    assert not list(tmp_path.glob("target.db-*"))


def test_a_damaged_database_is_found(tmp_path: Path) -> None:
    """Whether a page is wrong or it is none at all."""
    database = tmp_path / "source.db"
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("CREATE TABLE rows (body)")
        connection.executemany("INSERT INTO rows VALUES (?)", [(b"x" * 200,)] * 1000)
        connection.commit()
    assert is_sound(database)
    content = database.read_bytes()
    database.write_bytes(content[:8192] + bytes(4096) + content[12288:])
    assert not is_sound(database)
    database.write_bytes(b"none")
    assert not is_sound(database)


async def test_a_frame_that_is_being_written_is_left_out(tmp_path: Path) -> None:
    """What was acknowledged is there and reads; bytes after it are a frame's beginning."""
    live, keys = tmp_path / "live", tmp_path / "spool.json"
    spool = FileSpool(live, keys)
    await spool.append(UPLOAD, 0, b"a" * 5_000)
    await spool.append(UPLOAD, 5_000, b"b" * 5_000)
    await spool.close()
    path = live / name_of(UPLOAD)
    whole = path.stat().st_size
    path.write_bytes(path.read_bytes() + path.read_bytes()[:30])
    held = HeldSpool(live)
    held.hold()
    path.unlink()
    (tmp_path / "copy").mkdir()
    done = held.copy(UPLOAD, tmp_path / "copy", nothing)

    assert (whole, 10_000) == (done.size_bytes, held.plain_bytes(UPLOAD))
    held.close()
    assert plain_bytes_of(tmp_path / "copy" / name_of(UPLOAD)) == 10_000
    again = FileSpool(tmp_path / "copy", keys)
    assert await again.read(UPLOAD, 4_998, 4) == b"aabb"
    await again.close()
    assert plain_bytes_of(tmp_path / "nowhere") == 0


async def test_a_file_that_was_replaced_is_held_again(tmp_path: Path) -> None:
    """As renewing an upload under a new key does: the old file never gets what comes after."""
    spool = FileSpool(tmp_path / "live", tmp_path / "spool.json")
    await spool.append(UPLOAD, 0, b"a" * 100)
    held = HeldSpool(tmp_path / "live")
    held.hold()
    path = tmp_path / "live" / name_of(UPLOAD)
    (tmp_path / "live" / "new").write_bytes(path.read_bytes())
    (tmp_path / "live" / "new").replace(path)
    await spool.append(UPLOAD, 100, b"b" * 100)
    await spool.close()

    assert held.plain_bytes(UPLOAD) == 100
    held.hold_again(UPLOAD)
    assert held.plain_bytes(UPLOAD) == 200
    held.close()
    assert held.plain_bytes(UPLOAD) == 0


@pytest.mark.parametrize("torn", [0, 10, TAIL_BYTES, 3 * TAIL_BYTES + 1])
async def test_a_record_that_is_being_written_is_left_out(tmp_path: Path, torn: int) -> None:
    """However long its beginning is; the copied chain is a whole one."""
    live, copy = tmp_path / "live", tmp_path / "copy"
    live.mkdir()
    copy.mkdir()
    await test_access_log.written(live, 23, group=3, segment=1_500)
    last = max((live / LIFE).iterdir())
    last.write_bytes(last.read_bytes() + b"f" * torn)
    done = dict(copy_lives(live, copy, nothing))

    report = verify_life(copy / LIFE)
    assert (report.records, report.broken) == (23, None)
    assert list(done) == [f"{LIFE}/{path.name}" for path in sorted((copy / LIFE).iterdir())]
    assert all(written(copy / name, nothing) == said for name, said in done.items())


def test_a_record_without_any_end_leaves_an_empty_segment(tmp_path: Path) -> None:
    """The first record of a life may be being written."""
    (tmp_path / "live" / LIFE).mkdir(parents=True)
    (tmp_path / "copy").mkdir()
    (tmp_path / "live" / LIFE / "000001.log").write_bytes(b"f" * 100)
    ((_, done),) = copy_lives(tmp_path / "live", tmp_path / "copy", nothing)

    assert done.size_bytes == 0
    assert verify_life(tmp_path / "copy" / LIFE).records == 0


def test_every_file_and_every_folder_is_synced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file before its copy returns; the folders, the innermost first, when asked."""
    synced: list[str] = []
    real = os.fsync

    def watched(descriptor: int) -> None:
        real(descriptor)
        synced.append(Path(f"/proc/self/fd/{descriptor}").readlink().name)

    monkeypatch.setattr(os, "fsync", watched)
    (tmp_path / "outer" / "inner").mkdir(parents=True)
    (tmp_path / "source").write_bytes(b"abc")
    done = copy_file(tmp_path / "source", tmp_path / "outer" / "inner" / "file", nothing)
    sync_tree(tmp_path / "outer")

    assert synced == ["file", "inner", "outer"]
    assert Written(3, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad") == done


def test_a_large_copy_is_synced_as_it_goes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Never much at once, for which the syncs of others would wait."""
    synced: list[int] = []
    real = os.fdatasync

    def watched(descriptor: int) -> None:
        real(descriptor)
        synced.append(os.fstat(descriptor).st_size)

    monkeypatch.setattr(os, "fdatasync", watched)
    monkeypatch.setattr("gateway.store.copying.SYNCED_AT_ONCE_BYTES", COPIED_AT_ONCE_BYTES)
    monkeypatch.setattr("gateway.store.sqlite_copy.SYNCED_AT_ONCE_BYTES", COPIED_AT_ONCE_BYTES)
    source = tmp_path / "source.db"
    with closing(sqlite3.connect(source)) as connection:
        connection.execute("CREATE TABLE rows (body)")
        connection.execute("INSERT INTO rows VALUES (zeroblob(?))", (5 * COPIED_AT_ONCE_BYTES,))
        connection.commit()
    copy_file(source, tmp_path / "file", nothing)

    assert synced == [n * COPIED_AT_ONCE_BYTES for n in range(1, 6)]
    synced.clear()
    with closing(HeldFile(source)) as held:
        held.copy_to(tmp_path / "target.db", nothing)
    assert len(synced) == 5

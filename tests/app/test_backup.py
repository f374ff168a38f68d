"""A backup is whole or not there; what was done to it is noticed; a restore refuses with a word."""

from __future__ import annotations

import asyncio
import fcntl
import os
import shutil
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.app.backup import BackupWish, take
from gateway.app.backup_manifest import (
    DIGEST,
    MANIFEST,
    FileEntry,
    read_manifest,
    write_manifest,
)
from gateway.app.backup_place import Unwatched
from gateway.app.backup_words import REFUSALS, SAY, BackupRefusedError
from gateway.app.restore import RestoreWish, restore, verify
from gateway.domain.errors import Conflict
from gateway.domain.feed import Cursor
from gateway.domain.period import Instant
from gateway.store.copying import written
from gateway.store.keyring import load_keyring, rotate
from gateway.store.port_feed import Ends
from gateway.usecases.watch_changes import require_kept
from tests.app.backup_stand import INSTITUTION, Live, left_in, restored, taken
from tests.store.test_stateful import EXAMPLES
from tests.usecases.registration import INSURER


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data directory with something of everything, `live`, and its backup with keys, `backup`."""
    root = tmp_path_factory.mktemp("place")

    async def make() -> None:
        live = Live(root / "live")
        live.data.clock.write_bytes(bytes(8))
        for act in (live.change, live.look, live.change, live.tell, live.finish, live.begin):
            await act()
        await taken(live, root / "backup")
        await live.close()

    asyncio.run(make())
    return root


def files_of(backup: Path) -> list[Path]:
    """Every file of a backup."""
    return sorted(path for path in backup.rglob("*") if path.is_file())


def refusal(work: Callable[[], object]) -> str:
    """The reason something is refused with."""
    with pytest.raises(BackupRefusedError) as caught:
        work()
    assert caught.value.ja
    assert caught.value.en.isascii()
    return caught.value.reason


def resealed(backup: Path, **changes: object) -> None:
    """Write a backup's manifest anew, with digests of what is there: a forgery, or a mix-up."""
    manifest = msgspec.structs.replace(read_manifest(backup), **changes)
    entries = [
        FileEntry(entry.name, *written(backup / entry.name, lambda _: None))
        for entry in manifest.files
        if (backup / entry.name).exists()
    ]
    (backup / MANIFEST).unlink()
    (backup / DIGEST).unlink()
    write_manifest(backup, msgspec.structs.replace(manifest, files=tuple(entries)))


def test_a_backup_is_for_its_owner_only(place: Path) -> None:
    """Every file has mode 0600 and every folder 0700."""
    backup = place / "backup"
    folders = [backup, *(path for path in backup.rglob("*") if path.is_dir())]
    files = files_of(backup)

    assert len(files) >= len((MANIFEST, DIGEST, "gateway", "vault", "feed", "trail", "keys"))
    assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o600}
    assert {stat.S_IMODE(path.stat().st_mode) for path in folders} == {0o700}


def test_a_manifest_says_what_is_there(place: Path) -> None:
    """Every file but its own two, the form of the facts, rows of each table, the keys' names."""
    manifest = read_manifest(place / "backup")
    names = {path.relative_to(place / "backup").as_posix() for path in files_of(place / "backup")}

    assert names - {MANIFEST, DIGEST} == {entry.name for entry in manifest.files}
    assert manifest.rows["gateway.db"]["uploads"] == 3
    assert manifest.rows["vault.db"] == {"numbers": 2}
    assert manifest.key_ids == {"spool": ("1",), "vault": ("1",)}
    assert manifest.begun_time <= manifest.ended_time
    assert manifest.problems == ()


def test_checking_changes_nothing(place: Path) -> None:
    """Not even a file beside a database appears."""
    before = {path: path.stat().st_mtime_ns for path in files_of(place / "backup")}
    verify(place / "backup", None, Unwatched())

    assert before == {path: path.stat().st_mtime_ns for path in files_of(place / "backup")}


@settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(data=st.data())
def test_one_flipped_bit_is_noticed(place: Path, data: st.DataObject) -> None:
    """In any file at any place, the manifest and its digest among them."""
    path = data.draw(
        st.sampled_from([one for one in files_of(place / "backup") if one.stat().st_size])
    )
    at = data.draw(st.integers(0, path.stat().st_size - 1))
    content = path.read_bytes()
    flipped = content[at] ^ (1 << data.draw(st.integers(0, 7)))
    path.write_bytes(content[:at] + bytes([flipped]) + content[at + 1 :])
    try:
        assert refusal(lambda: verify(place / "backup", None, Unwatched())) == "BACKUP_BROKEN"
    finally:
        path.write_bytes(content)


def test_a_dropped_file_is_noticed(place: Path, tmp_path: Path) -> None:
    """Whichever it is; without its manifest it is no backup at all."""
    wish = RestoreWish(place / "backup", tmp_path / "again")
    for path in files_of(place / "backup"):
        away = path.rename(tmp_path / "away")
        expected = "NOT_A_BACKUP" if path.name in {MANIFEST, DIGEST} else "BACKUP_BROKEN"
        assert expected == refusal(lambda: verify(place / "backup", None, Unwatched())), path.name
        assert expected == refusal(lambda: restore(wish, Unwatched()))
        away.rename(path)
    assert left_in(tmp_path) == []


async def test_parts_of_different_moments_are_noticed_whatever_the_manifest_says(
    tmp_path: Path,
) -> None:
    """An older gateway.db, vault.db, trail.db or spool is found by what the others say."""
    live = Live(tmp_path / "live")
    await live.change()
    early = await taken(live, tmp_path / "early")
    for act in (live.look, live.change, live.tell, live.finish):
        await act()
    late = await taken(live, tmp_path / "late")
    await live.close()
    found = {}
    for name in ("gateway.db", "vault.db", "trail.db"):
        mixed = Path(shutil.copytree(tmp_path / "late", tmp_path / f"mixed-{name}"))
        shutil.copy(tmp_path / "early" / name, mixed / name)
        rows = late.rows | {name: early.rows[name]}
        last = early.last_recorded_time if name == "gateway.db" else late.last_recorded_time
        resealed(mixed, rows=rows, last_recorded_time=last)
        with pytest.raises(BackupRefusedError) as caught:
            verify(mixed, None, Unwatched())
        found[name] = caught.value.en
    (upload,) = (tmp_path / "late" / "spool").iterdir()
    upload.write_bytes(upload.read_bytes()[:-1])
    resealed(tmp_path / "late")
    with pytest.raises(BackupRefusedError, match="received upload"):
        verify(tmp_path / "late", None, Unwatched())

    assert "older than feed.db" in found["gateway.db"]
    assert "numbers that gateway.db speaks of are missing" in found["vault.db"]
    assert "older than feed.db" in found["trail.db"]


async def test_a_problem_of_the_original_is_told_and_does_not_prevent_a_restore(
    tmp_path: Path,
) -> None:
    """A chain that is broken already is copied as it is: the copy is as good as the original."""
    live = Live(tmp_path / "live")
    await live.look()
    await live.index()
    await live.close()
    (segment,) = (tmp_path / "live").glob("access/*/*.log")
    segment.write_bytes(segment.read_bytes().replace(b"ANSWERED", b"UNASKED!"))
    manifest = await taken(live, tmp_path / "backup")

    assert len(manifest.problems) == 1
    assert manifest == await asyncio.to_thread(verify, tmp_path / "backup", None, Unwatched())
    (segment,) = (tmp_path / "backup").glob("access/*/*.log")
    segment.write_bytes(b"")
    resealed(tmp_path / "backup")
    with pytest.raises(BackupRefusedError, match="ends at record 0"):
        verify(tmp_path / "backup", None, Unwatched())


async def test_facts_nobody_writes_to_any_more_are_told_of(tmp_path: Path) -> None:
    """As when the settings name another store by now: the feed knows changes they do not."""
    live = Live(tmp_path / "live")
    await live.change()
    await live.close()
    old = (tmp_path / "live" / "gateway.db").read_bytes()
    live = Live(tmp_path / "live")
    for act in (live.change, live.tell):
        await act()
    await live.close()
    (tmp_path / "live" / "gateway.db").write_bytes(old)
    manifest = await taken(live, tmp_path / "backup")

    assert ["older than feed.db" in problem for problem in manifest.problems] == [True]


@pytest.mark.parametrize("part", ["facts", "moment", "vault", "access", "keys"])
def test_a_backup_that_fails_leaves_nothing(place: Path, tmp_path: Path, part: str) -> None:
    """Whatever part it was at, neither the backup nor half of one is there."""

    def fail(name: str) -> None:
        if name == part:
            raise KeyboardInterrupt

    wish = BackupWish(place / "live", tmp_path / "backup", is_resting=False)
    with pytest.raises(KeyboardInterrupt):
        take(wish, Unwatched(), between=fail)

    assert left_in(tmp_path) == []


def test_what_a_kill_left_is_removed_by_the_next(place: Path, tmp_path: Path) -> None:
    """Half of a backup has a hidden name; the next one under the same name begins anew."""
    half = tmp_path / ".backup.partial"
    (half / "spool").mkdir(parents=True)
    (half / "gateway.db").write_bytes(b"half")
    take(BackupWish(place / "live", tmp_path / "backup", is_resting=False), Unwatched())

    assert left_in(tmp_path) == ["backup"]
    assert verify(tmp_path / "backup", None, Unwatched()).problems == ()


def test_two_copies_to_one_place_do_not_meet(place: Path, tmp_path: Path) -> None:
    """The second is refused while the first is at it, and takes nothing from it."""
    wish = BackupWish(place / "live", tmp_path / "backup", is_resting=False)
    half = tmp_path / ".backup.partial"
    half.mkdir()
    (half / "gateway.db").write_bytes(b"half")
    handle = os.open(half, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        assert refusal(lambda: take(wish, Unwatched())) == "COPY_UNDER_WAY"
    finally:
        os.close(handle)

    assert left_in(half) == ["gateway.db"]


def test_what_cannot_be_is_refused(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No data, a name that is taken, a full disk, a place that is not empty, no backup."""
    live, backup = place / "live", place / "backup"
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").touch()

    def taking(data: Path, to: Path) -> str:
        return refusal(lambda: take(BackupWish(data, to), Unwatched()))

    def restoring(source: Path, data: Path) -> str:
        return refusal(lambda: restore(RestoreWish(source, data), Unwatched()))

    assert taking(tmp_path, tmp_path / "backup") == "NO_GATEWAY_DATA"
    assert taking(live, backup) == "BACKUP_EXISTS"
    assert restoring(backup, tmp_path / "full") == "DIRECTORY_NOT_EMPTY"
    assert restoring(live, tmp_path / "again") == "NOT_A_BACKUP"
    monkeypatch.setattr("gateway.app.backup_place.ROOM_SPARE_BYTES", 2**62)
    assert taking(live, tmp_path / "backup") == "NO_ROOM"
    assert restoring(backup, tmp_path / "again") == "NO_ROOM"
    assert left_in(tmp_path) == ["full"]


@pytest.mark.parametrize(
    "changes", [{"format": 2}, {"engine": "another"}, {"schema_revision": "9999"}]
)
def test_what_is_newer_is_refused(place: Path, tmp_path: Path, changes: dict[str, object]) -> None:
    """A format, an engine or a schema this version does not know."""
    backup = Path(shutil.copytree(place / "backup", tmp_path / "backup"))
    resealed(backup, **changes)

    assert refusal(lambda: verify(backup, None, Unwatched())) == "BACKUP_TOO_NEW"


def test_a_newer_database_is_not_copied(place: Path, tmp_path: Path) -> None:
    """Its checks would be those of a newer version."""
    live = Path(shutil.copytree(place / "live", tmp_path / "live"))
    with closing(sqlite3.connect(live / "gateway.db")) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
        connection.commit()
    wish = BackupWish(live, tmp_path / "backup", is_resting=False)

    assert refusal(lambda: take(wish, Unwatched())) == "BACKUP_TOO_NEW"


def test_no_manifest_leads_elsewhere(place: Path, tmp_path: Path) -> None:
    """A name that is none of a data directory's makes the manifest a broken one."""
    backup = Path(shutil.copytree(place / "backup", tmp_path / "backup"))
    manifest = read_manifest(backup)
    for name in ("../evil", "/evil", "spool/../../evil.spool", "gateway.db\n", "lock"):
        (backup / MANIFEST).unlink()
        (backup / DIGEST).unlink()
        files = (FileEntry(name, 0, ""), *manifest.files)
        write_manifest(backup, msgspec.structs.replace(manifest, files=files))
        assert refusal(lambda: read_manifest(backup)) == "BACKUP_BROKEN", name


def test_without_its_keys_a_backup_is_not_restored(place: Path, tmp_path: Path) -> None:
    """They are asked for, tried, and taken from where they are kept apart."""
    live, keys = place / "live", tmp_path / "keys"
    take(BackupWish(live, tmp_path / "backup", is_resting=False), Unwatched())
    shutil.copytree(live / "keys", keys)
    other = tmp_path / "other"
    (other / "keys").mkdir(parents=True)
    for name in ("vault", "spool"):
        load_keyring(other / "keys" / f"{name}.json", may_make=True)
    backup = tmp_path / "backup"

    def reason(keys: Path | None) -> str:
        wish = RestoreWish(backup, tmp_path / "again", keys)
        return refusal(lambda: restore(wish, Unwatched()))

    assert list((backup / "keys").iterdir()) == []
    assert reason(None) == "KEYS_NEEDED"
    assert reason(other / "keys") == "KEYS_WRONG"
    assert reason(tmp_path) == "KEYS_WRONG"
    (keys / "vault.json").chmod(0o644)
    assert reason(keys) == "KEYS_WRONG"
    (keys / "vault.json").chmod(0o600)
    away = (keys / "spool.json").rename(tmp_path / "away")
    assert reason(keys) == "KEYS_WRONG"
    away.rename(keys / "spool.json")
    rotate(keys / "vault.json")
    restore(RestoreWish(backup, tmp_path / "again", keys), Unwatched())

    assert left_in(tmp_path / "again" / "keys") == ["spool.json", "vault.json"]


async def test_cursors_of_a_future_the_copy_does_not_know_are_refused(tmp_path: Path) -> None:
    """Of both kinds of stream, before and after the restored gateway went that far itself."""
    live = Live(tmp_path / "live")
    for act in (live.change, live.look, live.change, live.look, live.change, live.tell):
        await act()
    await taken(live, tmp_path / "backup")
    for act in (live.look, live.change, live.look, live.change, live.tell):
        await act()
    future = [await last_cursor(live, code) for code in STREAMS]
    await live.close()
    again = await restored(tmp_path / "backup", tmp_path / "again")
    again.now = Instant(live.now + 5)
    past = [await last_cursor(again, code) for code in STREAMS]

    assert all(
        cursor.sequence > before.sequence for cursor, before in zip(future, past, strict=True)
    )
    assert await refused(again, past) == []
    assert await refused(again, future) == ["CURSOR_UNKNOWN", "CURSOR_UNKNOWN"]
    for act in (again.look, again.change, again.look, again.change, again.tell):
        await act()
    assert await refused(again, past) == []
    assert await refused(again, future) == ["CURSOR_UNKNOWN", "CURSOR_UNKNOWN"]
    await again.close()


STREAMS = (INSURER.zero_padded, INSTITUTION)


async def ends_of(live: Live, code: str, sequence: int) -> Ends:
    """Where a stream begins and ends, and when an event of it was recorded."""
    if code == INSTITUTION:
        return await live.news.ends(code, sequence)
    times = dict(live.read("SELECT sequence, recorded_time FROM changes"))
    return Ends(min(times), max(times), times.get(sequence, Instant(0)))


async def last_cursor(live: Live, code: str) -> Cursor:
    """The place after the newest event of a stream."""
    last = (await ends_of(live, code, 0)).last
    assert last
    return Cursor("", code, last, (await ends_of(live, code, last)).time_at)


async def refused(live: Live, cursors: list[Cursor]) -> list[str]:
    """The reasons cursors are refused with."""
    found = []
    for cursor in cursors:
        try:
            require_kept(cursor, await ends_of(live, cursor.code, cursor.sequence))
        except Conflict as conflict:
            found.append(conflict.reason)
    return found


def onshi(*arguments: object) -> subprocess.CompletedProcess[str]:
    """Run `onshi`."""
    return subprocess.run(
        [sys.executable, "-m", "gateway", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_the_commands_say_what_they_did(place: Path, tmp_path: Path) -> None:
    """Back up, check, restore; exit codes 0; who keeps the keys is told."""
    live, backup = place / "live", tmp_path / "backup"
    made = onshi("backup", "--data", live, "--to", backup)
    checked = onshi("backup", "verify", backup, "--language", "ja")
    back = onshi("restore", "--from", backup, "--data", tmp_path / "again", "--keys", live / "keys")

    assert [made.returncode, checked.returncode, back.returncode] == [0, 0, 0], made.stderr
    assert f"Keep the *.json of {live / 'keys'} apart" in made.stdout
    assert "問題はありません" in checked.stdout
    assert "Restored: " in back.stdout


def test_a_refusal_is_said_in_both_languages(place: Path, tmp_path: Path) -> None:
    """One sentence each, exit code 1; without options the command says what it needs."""
    done = onshi("restore", "--from", place / "live", "--data", tmp_path / "again")

    assert done.returncode == 1
    assert "NOT_A_BACKUP" in done.stderr
    assert "完成したバックアップではありません" in done.stderr
    assert "is no complete backup" in done.stderr
    assert "give --data DIR and --to PATH" in onshi("backup").stderr


def test_words_stand_in_both_languages() -> None:
    """Each refusal and each sentence, with the same values to fill in."""
    for said in (*REFUSALS.values(), *SAY.values()):
        assert said.keys() == {"ja", "en"}
        assert said["en"].isascii()
        assert said["en"].count("{") == said["ja"].count("{")


def test_the_page_names_every_refusal() -> None:
    """docs/backup.md says of each reason what to do."""
    page = (Path(__file__).parents[2] / "docs" / "backup.md").read_text("utf-8")

    assert [name for name in REFUSALS if f"`{name}`" not in page] == []


def test_an_older_schema_is_copied_and_put_back(place: Path, tmp_path: Path) -> None:
    """As it is: the gateway that starts there migrates it."""
    live = Path(shutil.copytree(place / "live", tmp_path / "live"))
    with closing(sqlite3.connect(live / "gateway.db")) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '0001'")
        for table in ("number_checks", "changes"):
            connection.execute(f"DROP TABLE {table}")
        connection.commit()
    wish = BackupWish(live, tmp_path / "backup", has_keys=True, is_resting=False)

    assert take(wish, Unwatched()).problems == ()
    restore(RestoreWish(tmp_path / "backup", tmp_path / "again"), Unwatched())
    assert read_manifest(tmp_path / "backup").schema_revision == "0001"


def test_keys_of_a_use_that_cannot_be_tried_must_all_be_there(place: Path, tmp_path: Path) -> None:
    """Another key file than those of vault and spool is kept and asked for by its keys' names."""
    live, keys = Path(shutil.copytree(place / "live", tmp_path / "live")), tmp_path / "keys"
    load_keyring(live / "keys" / "other.json", may_make=True)
    shutil.copytree(live / "keys", keys)
    rotate(live / "keys" / "other.json")
    backup = tmp_path / "backup"
    made = take(BackupWish(live, backup, is_resting=False), Unwatched())

    assert made.key_ids["other"] == ("2", "1")
    assert refusal(lambda: verify(backup, keys, Unwatched())) == "KEYS_WRONG"
    assert verify(backup, live / "keys", Unwatched()) == made

"""The spool keeps exactly the acknowledged bytes, encrypted, whatever tears its files."""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

import gateway.store.postgres_spool
import gateway.store.spool
from gateway.domain.errors import InvalidInput, Unavailable
from gateway.store.keyring import rotate
from gateway.store.port import UploadKey
from gateway.store.postgres_spool import PostgresSpool
from gateway.store.spool import FRAME, FileSpool
from gateway.store.spool_frames import TAG_BYTES, KeptSpool, SpoolBroken
from tests.store.batches import UPLOAD_KEY, key_of
from tests.store.memories import Place

PLAIN = "123456789018,山田太郎,1984-02-29\r\n".encode() * 40
PIECE = 100


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Where a spool in files and its keys are."""
    return tmp_path


def opened(root: Path) -> FileSpool:
    """Open the spool in files, as after a restart."""
    return FileSpool(root / "spool", root / "spool.json")


def file_of(root: Path) -> Path:
    """The one file in the spool."""
    (path,) = (root / "spool").iterdir()
    return path


@pytest_asyncio.fixture
async def spool(place: Place) -> AsyncIterator[KeptSpool]:
    """A fresh spool, on either engine."""
    fresh = await place.spool()
    yield fresh
    await fresh.close()


@pytest_asyncio.fixture
async def in_files(root: Path) -> AsyncIterator[FileSpool]:
    """A fresh spool in files."""
    fresh = opened(root)
    yield fresh
    await fresh.close()


async def fill(spool: KeptSpool, upload_key: UploadKey = UPLOAD_KEY) -> None:
    """Append the text in small pieces."""
    for offset in range(0, len(PLAIN), PIECE):
        end = await spool.append(upload_key, offset, PLAIN[offset : offset + PIECE])
        assert min(offset + PIECE, len(PLAIN)) == end


async def test_bytes_come_back_from_any_offset(spool: KeptSpool) -> None:
    """Reads cross frames, begin and end anywhere, and are short only at the end."""
    await fill(spool)
    for offset in (0, 1, PIECE - 1, PIECE, PIECE + 1, len(PLAIN) - 1, len(PLAIN), len(PLAIN) + 9):
        for bytes_max in (1, PIECE, PIECE + 1, 3 * PIECE, len(PLAIN)):
            assert PLAIN[offset : offset + bytes_max] == await spool.read(
                UPLOAD_KEY, offset, bytes_max
            )


async def test_an_unknown_upload_is_empty(spool: KeptSpool) -> None:
    """An upload nobody sent has no bytes, and asking leaves no file."""
    assert await spool.durable_offset(UPLOAD_KEY) == 0
    assert await spool.read(UPLOAD_KEY, 0, 9) == b""
    assert hashlib.sha256().digest() == await spool.digest(UPLOAD_KEY)
    assert await spool.append(UPLOAD_KEY, 0, b"") == 0
    await spool.discard(UPLOAD_KEY)


async def test_bytes_sent_again_are_skipped(spool: KeptSpool) -> None:
    """Bytes that are durable already are not written twice, whole or in part."""
    await spool.append(UPLOAD_KEY, 0, b"abc")
    assert await spool.append(UPLOAD_KEY, 0, b"abc") == 3
    assert await spool.append(UPLOAD_KEY, 1, b"b") == 3
    assert await spool.append(UPLOAD_KEY, 1, b"bcde") == 5
    assert await spool.read(UPLOAD_KEY, 0, 9) == b"abcde"


@pytest.mark.parametrize("offset", [4, -1, 2**63])
async def test_a_gap_is_refused(spool: KeptSpool, offset: int) -> None:
    """Bytes that do not join the durable ones are refused and change nothing."""
    await spool.append(UPLOAD_KEY, 0, b"abc")
    with pytest.raises(InvalidInput, match="UPLOAD_OFFSET_WRONG"):
        await spool.append(UPLOAD_KEY, offset, b"x")
    assert await spool.durable_offset(UPLOAD_KEY) == 3


async def test_uploads_do_not_mix(spool: KeptSpool) -> None:
    """Each upload has its own bytes; discarding one, twice too, leaves the other."""
    other = UploadKey(key_of("upload", 2))
    await spool.append(UPLOAD_KEY, 0, b"abc")
    await spool.append(other, 0, b"xyz")
    await spool.discard(other)
    await spool.discard(other)
    assert (await spool.durable_offset(UPLOAD_KEY), await spool.durable_offset(other)) == (3, 0)


async def test_everything_is_there_after_a_restart(place: Place, spool: KeptSpool) -> None:
    """A restart, a rotation of the keys and an append after it lose nothing."""
    await fill(spool)
    expected = hashlib.sha256(PLAIN).digest()
    assert expected == await spool.digest(UPLOAD_KEY)
    rotate(place.spool_keys)
    again = await place.spool()
    assert len(PLAIN) == await again.durable_offset(UPLOAD_KEY)
    assert expected == await again.digest(UPLOAD_KEY)
    await again.append(UPLOAD_KEY, len(PLAIN), b"end")
    assert await again.read(UPLOAD_KEY, 0, 9_999) == PLAIN + b"end"
    assert hashlib.sha256(PLAIN + b"end").digest() == await again.digest(UPLOAD_KEY)
    await again.close()


async def test_a_long_digest_is_made_in_turns(
    place: Place, spool: KeptSpool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Hashing an upload after a restart goes piece by piece to the same digest."""
    await fill(spool)
    for module in (gateway.store.spool, gateway.store.postgres_spool):
        monkeypatch.setattr(module, "HASHED_AT_ONCE_BYTES", 150)
    again = await place.spool()
    assert hashlib.sha256(PLAIN).digest() == await again.digest(UPLOAD_KEY)
    await again.close()


async def test_more_uploads_than_indexes_are_kept(
    spool: KeptSpool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An upload whose index was dropped goes on where it was."""
    for module in (gateway.store.spool, gateway.store.postgres_spool):
        monkeypatch.setattr(module, "UPLOADS_INDEXED_MAX", 2)
    keys = [UploadKey(key_of("upload", number)) for number in range(5)]
    for offset in (0, 1, 2):
        for key in keys:
            assert offset + 1 == await spool.append(key, offset, b"x")
    assert isinstance(spool, FileSpool | PostgresSpool)
    assert len(spool._uploads) == 2
    assert [await spool.read(key, 0, 9) for key in keys] == [b"xxx"] * 5


@pytest.mark.parametrize("kept", range(FRAME.size + 3 + TAG_BYTES))
async def test_a_torn_frame_is_cut_off(root: Path, in_files: FileSpool, kept: int) -> None:
    """However much of the last frame a power cut left, the frames before it stay."""
    await in_files.append(UPLOAD_KEY, 0, b"safe")
    size = file_of(root).stat().st_size
    await in_files.append(UPLOAD_KEY, 4, b"not")
    os.truncate(file_of(root), size + kept)
    again = opened(root)
    assert await again.durable_offset(UPLOAD_KEY) == 4
    assert size == file_of(root).stat().st_size
    assert await again.append(UPLOAD_KEY, 4, b"now") == 7
    assert hashlib.sha256(b"safenow").digest() == await again.digest(UPLOAD_KEY)
    await again.close()


@pytest.mark.parametrize("filling", [b"\x00", b"\xff", b"x"])
@pytest.mark.parametrize("place", [0, FRAME.size, FRAME.size + 2])
async def test_a_frame_that_was_not_written_out_is_cut_off(
    root: Path, in_files: FileSpool, filling: bytes, place: int
) -> None:
    """A last frame whose length reached the disk before its bytes is cut off."""
    await in_files.append(UPLOAD_KEY, 0, b"safe")
    size = file_of(root).stat().st_size
    await in_files.append(UPLOAD_KEY, 4, b"not")
    content = file_of(root).read_bytes()
    whole = content[: size + place]
    file_of(root).write_bytes(whole + filling * (len(content) - len(whole)))
    again = opened(root)
    assert await again.durable_offset(UPLOAD_KEY) == 4
    assert await again.read(UPLOAD_KEY, 0, 9) == b"safe"
    await again.close()


async def test_a_damaged_frame_is_never_given_out(root: Path, in_files: FileSpool) -> None:
    """A frame that changed on the disk is a broken spool, not other bytes."""
    await in_files.append(UPLOAD_KEY, 0, b"first")
    await in_files.append(UPLOAD_KEY, 5, b"second")
    content = bytearray(file_of(root).read_bytes())
    content[FRAME.size] ^= 1
    file_of(root).write_bytes(content)
    again = opened(root)
    assert await again.durable_offset(UPLOAD_KEY) == 11
    with pytest.raises(SpoolBroken):
        await again.read(UPLOAD_KEY, 0, 11)
    with pytest.raises(SpoolBroken):
        await again.digest(UPLOAD_KEY)
    assert await again.read(UPLOAD_KEY, 5, 9) == b"second"
    await again.close()


async def test_a_file_of_another_upload_does_not_pass(root: Path, in_files: FileSpool) -> None:
    """A frame is bound to its upload: renaming the file makes its last frame unreadable."""
    await in_files.append(UPLOAD_KEY, 0, b"abc")
    other = UploadKey(key_of("upload", 2))
    file_of(root).rename(root / "spool" / f"{other.hex()}.spool")
    again = opened(root)
    assert await again.durable_offset(other) == 0
    await again.close()


async def test_plain_bytes_never_touch_the_disk(root: Path, in_files: FileSpool) -> None:
    """No file holds a piece of the text, and equal pieces do not look alike."""
    await in_files.append(UPLOAD_KEY, 0, PLAIN)
    await in_files.append(UPLOAD_KEY, len(PLAIN), PLAIN)
    content = file_of(root).read_bytes()
    frame = FRAME.size + len(PLAIN) + TAG_BYTES
    assert 2 * frame == len(content)
    for start in range(0, len(PLAIN) - 6, 3):
        assert PLAIN[start : start + 6] not in content
    assert content[FRAME.size : frame] != content[frame + FRAME.size :]


async def test_files_are_their_owners_only(root: Path, in_files: FileSpool) -> None:
    """Nobody else may look into the directory, a file or the keys."""
    await in_files.append(UPLOAD_KEY, 0, b"abc")
    modes = [
        stat.S_IMODE(path.stat().st_mode)
        for path in (root / "spool", file_of(root), root / "spool.json")
    ]
    assert modes == [0o700, 0o600, 0o600]


async def test_an_append_is_synced_before_it_is_acknowledged(
    in_files: FileSpool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each append syncs its file, and the first one the directory too."""
    calls: list[str] = []
    fdatasync, fsync = os.fdatasync, os.fsync
    monkeypatch.setattr(os, "fdatasync", lambda handle: (calls.append("file"), fdatasync(handle)))
    monkeypatch.setattr(os, "fsync", lambda handle: (calls.append("directory"), fsync(handle)))
    await in_files.append(UPLOAD_KEY, 0, b"abc")
    await in_files.append(UPLOAD_KEY, 3, b"def")
    assert calls == ["file", "directory", "file"]


@pytest.mark.parametrize("failing", ["pwrite", "fdatasync"])
async def test_a_disk_that_fails_is_unavailable_and_forgets(
    in_files: FileSpool, monkeypatch: pytest.MonkeyPatch, failing: str
) -> None:
    """A write or sync that fails is STORE_UNAVAILABLE; the next append begins where it should."""

    def fail(*_: object) -> int:
        raise OSError(errno.ENOSPC, "no space")

    await in_files.append(UPLOAD_KEY, 0, b"abc")
    with monkeypatch.context() as patch:
        patch.setattr(os, failing, fail)
        with pytest.raises(Unavailable, match="STORE_UNAVAILABLE"):
            await in_files.append(UPLOAD_KEY, 3, b"lost")
    assert await in_files.durable_offset(UPLOAD_KEY) == 3
    assert await in_files.append(UPLOAD_KEY, 3, b"def") == 6
    assert await in_files.read(UPLOAD_KEY, 0, 9) == b"abcdef"
    assert hashlib.sha256(b"abcdef").digest() == await in_files.digest(UPLOAD_KEY)


async def test_a_lost_key_file_is_not_replaced(place: Place, spool: KeptSpool) -> None:
    """Uploads without their key file are refused: fresh keys would make them unreadable."""
    await spool.append(UPLOAD_KEY, 0, b"abc")
    place.spool_keys.unlink()
    with pytest.raises(FileNotFoundError):
        await place.spool()


async def test_uploads_are_listed_until_they_are_discarded(spool: KeptSpool) -> None:
    """What has bytes is listed, at most as many as asked for."""
    other = UploadKey(b"another-upload--")
    await spool.append(UPLOAD_KEY, 0, b"abc")
    await spool.append(other, 0, b"def")
    assert {UPLOAD_KEY, other} == set(await spool.uploads(9))
    assert len(await spool.uploads(1)) == 1
    await spool.discard(UPLOAD_KEY)
    assert [other] == list(await spool.uploads(9))

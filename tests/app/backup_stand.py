"""A writer on the disk that goes on while it is copied, and remembers what it acknowledged."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

from gateway.app.backup import ORDER, BackupWish, take
from gateway.app.backup_manifest import Manifest
from gateway.app.backup_place import Unwatched
from gateway.app.layout import DataDir
from gateway.app.restore import RestoreWish, restore
from gateway.domain.access import AccessRecord
from gateway.domain.individual_number import individual_check_digit
from gateway.domain.period import Instant
from gateway.edges.rpc.convert import sheet
from gateway.formats.coverage_file import CoverageReader
from gateway.policy import published_policy
from gateway.store.access_log import AccessLog
from gateway.store.keyring import rotate
from gateway.store.news import NewsBook, NewsRules
from gateway.store.port import UploadState
from gateway.store.scratch import SqliteScratch
from gateway.store.spool import FileSpool
from gateway.store.sqlite import SqliteChanges, SqliteStore
from gateway.store.sqlite_vault import SqliteVault
from gateway.store.trail import Trail
from gateway.store.vault import RehearsedVault
from gateway.usecases.apply_uploads import Applier
from gateway.usecases.desk import Desk
from gateway.usecases.door import Door
from gateway.usecases.rehearsal import Rehearsal
from gateway.usecases.upload_coverage import Receiver
from loadtests.state_engines import empty_database
from tests.usecases.registration import INSURER, LIMITS, NOW, a_file, caller, new

INSTITUTION = "1319999999"
LIVES = count(1)
SETTLE = 1_000
"""A look so many microseconds after a change may still have missed it."""


@dataclass
class Told:
    """What was acknowledged: bytes of uploads, uploads with their state, access records."""

    offsets: dict[str, int] = field(default_factory=dict)
    uploads: dict[str, UploadState] = field(default_factory=dict)
    records: list[str] = field(default_factory=list)


class Live:
    """What a writer has, in a directory."""

    def __init__(self, root: Path) -> None:
        self.data = DataDir(root)
        self.data.make()
        if not self.data.database.exists():
            self.data.database.write_bytes(empty_database())
        self.now = NOW
        self.told = Told()
        self._serial = count(1)
        self._life = f"{next(LIVES):016x}"
        self.store = SqliteStore(self.data.database, sheet)
        self.vault = SqliteVault(self.data.vault, self.data.vault_keys)
        self.spool = FileSpool(self.data.spool, self.data.spool_keys)
        self.accesses = AccessLog(
            self.data.access, self._life, gather_us=0, group_records_max=9, segment_bytes_max=900
        )
        self.trail = Trail(self.data.trail, self.data.access)
        rules = NewsRules(SETTLE, 10**15)
        self.changes = SqliteChanges(self.data.database)
        self.news = NewsBook(self.data.news, self.changes, self.data.trail, rules)
        desk = Desk(self.store, self.vault, self.key, self.tick)
        door = Door(published_policy(), self.accesses)
        scratch = SqliteScratch(self.data.scratch)
        rehearsal = Rehearsal(desk, self.store, scratch, RehearsedVault(self.vault))
        self._scratch = scratch
        self._applier = Applier(self.store, self.spool, desk, CoverageReader, LIMITS, rehearsal)
        self._receiver = Receiver(self.store, self.spool, desk, door, LIMITS, self._applier.wake)
        self._open: list[tuple[str, bytes]] = []

    async def close(self) -> None:
        """Close everything."""
        self.trail.close()
        for part in (self.news, self.changes, self.accesses, self._scratch):
            await part.close()
        for last in (self.spool, self.vault, self.store):
            await last.close()

    def tick(self) -> Instant:
        """A later time than ever."""
        self.now = Instant(self.now + 10)
        return self.now

    def key(self) -> bytes:
        """A key of this life."""
        return bytes.fromhex(self._life) + next(self._serial).to_bytes(8, "big")

    async def begin(self) -> None:
        """Receive the first half of a file with numbers."""
        serial = next(self._serial)
        body = f"{int(self._life, 16) % 10_000:05}{serial:06}"
        content = a_file(
            *(
                new(f"{body}{line}", individual_number=body + individual_check_digit(body))
                for line in range(2)
            )
        )
        request_id = f"file-{self._life}-{serial}"
        async with self._receiver.receiving(caller(), request_id) as receiving:
            self.told.offsets[request_id] = await receiving.append(0, content[: len(content) // 2])
        self._open.append((request_id, content))

    async def finish(self) -> None:
        """Receive the rest of the file begun first."""
        if not self._open:
            await self.begin()
        request_id, content = self._open.pop(0)
        async with self._receiver.receiving(caller(), request_id) as receiving:
            at = receiving.durable_offset
            self.told.offsets[request_id] = await receiving.append(at, content[at:])
            await receiving.finish(len(content))
        self.told.uploads[request_id] = UploadState.RECEIVED

    async def apply(self) -> None:
        """Apply what was received."""
        stop = asyncio.Event()
        task = asyncio.create_task(self._applier.run(stop))
        while await self.store.unapplied_uploads() and not task.done():  # noqa: ASYNC110  a store has no event
            await asyncio.sleep(0)
        stop.set()
        await task
        for request_id in self.told.uploads:
            self.told.uploads[request_id] = UploadState.APPLIED

    async def change(self) -> None:
        """Receive and apply a file."""
        await self.finish()
        await self.apply()

    async def look(self) -> None:
        """Let an institution ask about everybody."""
        people = self.people()
        record = AccessRecord(
            at=self.tick(),
            role="institution",
            code=INSTITUTION,
            method="EligibilityService/ConfirmEligibility",
            purpose="OQS-MED-01",
            policy_version="1",
            operation="DISCLOSE",
            data=("D-QUAL",),
            outcome="ANSWERED",
            detail="1",
            people=tuple(people),
        )
        self.told.records.append(await self.accesses.record(record))

    async def index(self) -> None:
        """Index what was recorded, and anchor it."""
        while self.trail.index_new(1_000, self.tick()):
            pass

    async def tell(self) -> None:
        """Tell institutions of every change."""
        await self.index()
        newest = await self.news.untold()
        while newest is not None and await self.news.tell(newest, 3) is not None:
            pass

    async def rotate(self) -> None:
        """Put new keys, and take them."""
        for path in (self.data.vault_keys, self.data.spool_keys):
            rotate(path)
        await self.vault.refresh()
        await self.spool.refresh()

    async def renew(self) -> None:
        """Write some of what older keys wrote anew."""
        await self.vault.renew(1)
        await self.spool.renew(1)

    def people(self) -> set[bytes]:
        """Everybody there is."""
        return {
            person_key for (person_key,) in self.read("SELECT DISTINCT person_key FROM changes")
        }

    def read(self, statement: str) -> list[tuple[Any, ...]]:
        """What the facts say, beside the store."""
        with closing(sqlite3.connect(self.data.database)) as connection:
            return connection.execute(statement).fetchall()

    async def holds(self, told: Told) -> list[str]:
        """What of the acknowledged is missing here."""
        missing = []
        for request_id, offset in told.offsets.items():
            found, report = await self._receiver.status(INSURER, request_id)
            state = told.uploads.get(request_id)
            if found < offset or (state and (report is None or report.upload.state < state)):
                missing.append(request_id)
        lives = {path.name: path for path in self.data.access.iterdir()}
        for record in told.records:
            life, _, sequence = record.partition("-")
            lines = sum(path.read_bytes().count(b"\n") for path in lives[life].iterdir())
            if lines < int(sequence):
                missing.append(record)
        return missing

    async def whole(self) -> bool:
        """Whether everything received can be applied, and nobody's number is missing."""
        await self.apply()
        numbers = await self.vault.numbers_of(sorted(self.people()))
        return not await self.store.unapplied_uploads() and None not in numbers


Act = Callable[[Live], Awaitable[None]]
ACTS: dict[str, Act] = {
    act.__name__: act
    for act in (
        Live.begin,
        Live.finish,
        Live.apply,
        Live.change,
        Live.look,
        Live.index,
        Live.tell,
        Live.rotate,
        Live.renew,
    )
}


async def taken(
    live: Live,
    to: Path,
    during: dict[str, list[str]] | None = None,
    *,
    order: Sequence[str] = ORDER,
    has_keys: bool = True,
) -> Manifest:
    """Take a backup; before each part so named, let acts happen."""
    loop = asyncio.get_running_loop()
    left = {name: list(acts) for name, acts in (during or {}).items()}

    async def act(names: list[str]) -> None:
        for name in names:
            await ACTS[name](live)

    def between(part: str) -> None:
        names = left.pop(part, [])
        if names:
            asyncio.run_coroutine_threadsafe(act(names), loop).result()

    wish = BackupWish(live.data.root, to, has_keys, is_resting=False, told_s_max=0.0)
    return await asyncio.to_thread(take, wish, Unwatched(), order=order, between=between)


async def restored(backup: Path, to: Path, keys: Path | None = None) -> Live:
    """Restore a backup and open it."""
    await asyncio.to_thread(restore, RestoreWish(backup, to, keys), Unwatched())
    return Live(to)


def left_in(folder: Path) -> list[str]:
    """The names in a folder."""
    return sorted(path.name for path in folder.iterdir())

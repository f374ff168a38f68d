"""
Takes a backup of a data directory beside the running gateway.

Every part is copied at a moment of its own, so the order makes the set agree: what refers comes
before what it refers to. `ORDER` says it, decision 0024 why. Settings and certificates are not
part of it.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import resource
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from gateway.app.backup_checks import databases_of, key_files, key_ids_of, problems_of, require_keys
from gateway.app.backup_manifest import FileEntry, Manifest, require_known, write_manifest
from gateway.app.backup_place import Steps, Watching, require_room, whole_or_nothing
from gateway.app.backup_words import refused
from gateway.app.clock import real_clock
from gateway.app.keys import data_of
from gateway.app.layout import DataDir
from gateway.domain.period import Instant, tokyo_time
from gateway.store.access_copy import bytes_of_lives, copy_lives
from gateway.store.copying import Written, copy_file, written
from gateway.store.port_backup import FactsAtOnce, FactsFormat
from gateway.store.spool_copy import HeldSpool, name_of
from gateway.store.sqlite_copy import HeldFacts, HeldFile, cut_news, rows_of, told_until

ORDER: Final = ("facts", "spool", "vault", "news", "trail", "access", "beside", "keys")
"""The parts, as they are copied; the spool is held before the facts' moment and after it."""

BESIDE: Final = ("clock", "rules.json")
"""Small files that are replaced or written as a whole."""

HOLD_TRIES_MAX: Final = 50
HOLD_REST_S: Final = 0.02
"""Between two tries to hold the facts together with every upload they wait for."""

TOLD_S_MAX: Final = 60.0
"""How long institutions may take to be told of what the copied facts know."""
TOLD_POLL_S: Final = 0.2

Between = Callable[[str], None]
"""Called before each part is copied, once the spool is `held`, and at the `moment`; for tests."""


@dataclass(frozen=True, slots=True)
class BackupWish:
    """What `onshi backup` was told."""

    data: Path
    to: Path
    has_keys: bool = False
    is_resting: bool = True
    told_s_max: float = TOLD_S_MAX


def take(
    wish: BackupWish,
    watching: Watching,
    *,
    order: Sequence[str] = ORDER,
    between: Between = lambda _: None,
) -> Manifest:
    """
    Take a backup; when this returns it is complete, checked and synced.

    Raises:
        BackupRefusedError: `NO_GATEWAY_DATA`, `BACKUP_EXISTS`, `COPY_UNDER_WAY`, `NO_ROOM`,
            `UPLOADS_NOT_HELD`, `KEYS_RETIRED`, `KEYS_WRONG`, `BACKUP_TOO_NEW`. Nothing is left.
        OSError: A file cannot be read or written.
    """
    data, to = data_of(wish.data), wish.to.absolute()
    if not data.database.exists():
        raise refused("NO_GATEWAY_DATA", path=wish.data)
    if to.exists():
        raise refused("BACKUP_EXISTS", path=wish.to)
    begun = _now()
    total = size_of(data)
    require_room(to.parent, total)
    with whole_or_nothing(to) as partial:
        copy = DataDir(partial)
        for folder in (copy.spool, copy.access, copy.keys):
            folder.mkdir(mode=0o700)
        steps = Steps(watching, total, is_resting=wish.is_resting)
        with contextlib.closing(_Copying(data, copy, wish, steps, between)) as copying:
            for part in order:
                between(part)
                getattr(copying, part)()
        manifest = copying.manifest(begun, problems_of(copy, watching))
        require_keys(copy, copy.keys if wish.has_keys else data.keys, manifest.key_ids)
        write_manifest(partial, manifest)
    return manifest


def size_of(data: DataDir) -> int:
    """How large what is copied is by now, in bytes."""
    files = [*databases_of(data), *data.spool.glob("*")]
    sizes = 0
    for path in files:
        with contextlib.suppress(FileNotFoundError):
            sizes += path.stat().st_size
    return sizes + bytes_of_lives(data.access)


@dataclass(slots=True)
class _Copying:
    """One backup under way; each method copies one part."""

    data: DataDir
    copy: DataDir
    wish: BackupWish
    steps: Steps
    between: Between
    files: dict[str, Written] = field(default_factory=dict)
    held: HeldSpool = field(init=False)
    format: FactsFormat = field(init=False)
    newest_change: Instant = field(init=False, default=Instant(0))
    is_feed_behind: bool = field(init=False, default=False)
    keys_before: dict[str, tuple[str, ...]] = field(init=False)
    key_ids: dict[str, tuple[str, ...]] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        self.held = HeldSpool(self.data.spool)
        self.format = FactsFormat("", 0, Instant(0))
        self.keys_before = key_ids_of(self.data.keys)
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        if soft != hard:
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))

    def close(self) -> None:
        """Let go of the uploads."""
        self.held.close()

    def facts(self) -> None:
        """Facts of one moment, with every upload held that they say was received."""
        with contextlib.closing(self._at_once()) as facts:
            self.format = facts.format()
            require_known(self.format)
            self.newest_change = facts.newest_change()
            for upload_key in self.held.uploads():
                if facts.is_applied(upload_key):
                    self.held.drop(upload_key)
            facts.copy_to(self.copy.database, self.steps)
        self._written(self.copy.database)

    def spool(self) -> None:
        """What is held of the spool."""
        for upload_key in self.held.uploads():
            done = self.held.copy(upload_key, self.copy.spool, self.steps)
            self.files[f"spool/{name_of(upload_key)}"] = done
            self.held.drop(upload_key)

    def vault(self) -> None:
        """Numbers: at least those of the facts."""
        self._database(self.data.vault, self.copy.vault)

    def news(self) -> None:
        """News of the changes the facts know, and of no later ones."""
        if not self.data.news.exists():
            return
        self.is_feed_behind = not self._until_told()
        self._database(self.data.news, self.copy.news)
        with contextlib.closing(HeldFacts(self.data.database)) as facts:
            is_stale = told_until(self.copy.news) > facts.format().last_recorded_time
        # News of changes that no facts here know are no later ones: the checks tell of it.
        if not is_stale:
            cut_news(self.copy.news, self.format.last_recorded_time)
            self._written(self.copy.news)

    def trail(self) -> None:
        """The index with the anchors: at least the confirmations the news are about."""
        self._database(self.data.trail, self.copy.trail)

    def access(self) -> None:
        """Records: at least those that were anchored and indexed."""
        for name, done in copy_lives(self.data.access, self.copy.access, self.steps):
            self.files[f"access/{name}"] = done

    def beside(self) -> None:
        """A sandbox's clock, at least as far as when anything was recorded; rules tokens name."""
        for name in BESIDE:
            if (self.data.root / name).exists():
                done = copy_file(self.data.root / name, self.copy.root / name, self.steps)
                self.files[name] = done

    def keys(self) -> None:
        """Keys, which only ever become more; if one was retired meanwhile, it is missing here."""
        folder = self.data.keys
        if self.wish.has_keys:
            for path in key_files(self.data.keys):
                done = copy_file(path, self.copy.keys / path.name, self.steps)
                self.files[f"keys/{path.name}"] = done
            folder = self.copy.keys
        self.key_ids = key_ids_of(folder)
        for name, key_ids in self.keys_before.items():
            if not set(key_ids) <= set(self.key_ids.get(name, ())):
                raise refused("KEYS_RETIRED")

    def manifest(self, begun: str, problems: tuple[str, ...]) -> Manifest:
        """What the backup says of itself."""
        return Manifest(
            schema_revision=self.format.schema_revision,
            projection_format=self.format.projection_format,
            begun_time=begun,
            ended_time=_now(),
            last_recorded_time=self.format.last_recorded_time,
            has_keys=self.wish.has_keys,
            key_ids=self.key_ids,
            is_feed_behind=self.is_feed_behind,
            rows={path.name: rows_of(path) for path in databases_of(self.copy) if path.exists()},
            problems=problems,
            files=tuple(FileEntry(name, *self.files[name]) for name in sorted(self.files)),
        )

    def _at_once(self) -> FactsAtOnce:
        """
        Hold a moment of the facts together with the bytes of each upload they wait for.

        An upload may be applied, and its bytes discarded, between the moment and the hold: then
        another moment is taken.
        """
        for number in range(HOLD_TRIES_MAX):
            try:
                self.held.hold()
                self.between("held")
                facts = HeldFacts(self.data.database)
                self.between("moment")
                self.held.hold()
            except OSError as error:
                if error.errno != errno.EMFILE:
                    raise
                raise refused("UPLOADS_NOT_HELD") from None
            if self._holds_all(facts):
                return facts
            facts.close()
            time.sleep(HOLD_REST_S * number)
        raise refused("UPLOADS_NOT_HELD")

    def _holds_all(self, facts: FactsAtOnce) -> bool:
        for upload_key, size_bytes in facts.received().items():
            if self.held.plain_bytes(upload_key) < size_bytes:
                self.held.hold_again(upload_key)
                if self.held.plain_bytes(upload_key) < size_bytes:
                    return False
        return True

    def _database(self, source: Path, target: Path) -> None:
        if source.exists():
            with contextlib.closing(HeldFile(source)) as held:
                held.copy_to(target, self.steps)
            self._written(target)

    def _written(self, copy: Path) -> None:
        self.files[copy.name] = written(copy, lambda _: None)

    def _until_told(self) -> bool:
        """
        Wait until institutions were told of every change the facts know.

        Were they told later, the original and the copy could give the same places in a stream to
        different news.
        """
        until = time.monotonic() + self.wish.told_s_max
        while told_until(self.data.news) < self.newest_change:
            if time.monotonic() > until or not _is_writer_there(self.data):
                return told_until(self.data.news) >= self.newest_change
            time.sleep(TOLD_POLL_S)
        return True


def _is_writer_there(data: DataDir) -> bool:
    """Whether a gateway writes here."""
    with _opened(data.root / "writer.lock") as lock:
        if lock is None:
            return False
        try:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError:
            return True
    return False


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[int | None]:
    try:
        handle = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        yield None
        return
    try:
        yield handle
    finally:
        os.close(handle)


def _now() -> str:
    return tokyo_time(real_clock()).isoformat()

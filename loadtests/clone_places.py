"""
Where databases of several sizes are on one engine: filled, served by a worker each, made cold.

A place is kept or goes with its folder. A worker runs in a copy of the sandbox that registered the
block, so that it has the certificates and keys; the databases are of the sizes wanted.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import asyncpg
import msgspec

from gateway.app.layout import DataDir
from gateway.app.processes import Child
from gateway.app.supervisor import reserved_port
from loadtests.bulk_place import cpu_seconds
from loadtests.clone_world import Asked, Nation, fill_file, fill_server, registered
from loadtests.clones import Block
from loadtests.places import write_config
from loadtests.postgres_place import Server

BLOCK_PEOPLE: Final = 5_000
STOP_S: Final = 5
SERVER_SETTINGS: Final = {
    "shared_buffers": "2GB",
    "max_wal_size": "4GB",
    "autovacuum": "off",
    "checkpoint_timeout": "30min",
}
"""Tables are vacuumed once they are filled, so that nothing else runs beside a measurement."""


class Template:
    """The block that is copied: registered once in a folder, and read again from there."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "block"
        self._asked = folder / "asked"
        self._nation = Nation(BLOCK_PEOPLE)
        self.asked: list[Asked] = []

    async def prepare(self) -> None:
        """Register it if that was not done yet."""
        if not self._asked.exists():
            self.root.mkdir()
            asked = await registered(self.root, self._nation)
            self._asked.write_bytes(msgspec.msgpack.encode(asked))
        self.asked = msgspec.msgpack.decode(self._asked.read_bytes(), type=list[Asked])

    def block(self, copies: int) -> Block:
        """Give it, ready for so many copies."""
        return Block(DataDir(self.root / "data").database, self._nation.numbers, copies)

    def placed(self, root: Path, port: int, store: str | None) -> Path:
        """Copy all but the facts to another folder; give the settings of a gateway there."""
        if not root.exists():
            shutil.copytree(
                self.root, root, ignore=shutil.ignore_patterns("gateway.db*", "*.csv", "oqs")
            )
        return write_config(root, port, store)


@dataclass(slots=True)
class Place:
    """A database of one size, and the worker that serves it."""

    root: Path
    block: Block
    port: int = 0
    worker: Child | None = None

    @property
    def people(self) -> int:
        """How many there are, without the test persons."""
        return self.block.people * self.block.copies

    @property
    def pid(self) -> int:
        """The worker's process."""
        assert self.worker is not None
        assert self.worker.pid is not None
        return self.worker.pid


class Places(ABC):
    """The databases of one engine."""

    name: str

    def __init__(self, folder: Path, template: Template) -> None:
        self.folder = folder
        self.template = template
        self.places: list[Place] = []
        self.filled_s: dict[int, float] = {}

    async def fill(self, sizes: list[int]) -> None:
        """Fill a database of each size that is not there yet; the smallest comes first."""
        for size in sizes:
            block = self.template.block(max(1, round(size / BLOCK_PEOPLE)))
            place = Place(self.folder / f"{self.name}-{size}", block)
            self.places.append(place)
            mark = self.folder / f"{self.name}-{size}.filled"
            if not mark.exists():
                began = time.perf_counter()
                await self._fill(place, size)
                mark.write_text(f"{time.perf_counter() - began:.0f}")
            self.filled_s[size] = float(mark.read_text())

    @contextlib.asynccontextmanager
    async def serving(self) -> AsyncIterator[list[Place]]:
        """Have a worker for each database while the block runs."""
        with contextlib.ExitStack() as ports:
            try:
                for place in self.places:
                    place.port = ports.enter_context(reserved_port("127.0.0.1", 0))
                    config = self.template.placed(place.root, place.port, self._store(place))
                    place.worker = Child(
                        "bench",
                        "loadtests.bench_server",
                        (str(config), str(place.port)),
                        place.root / "data",
                    )
                    await place.worker.start()
                yield self.places
            finally:
                for place in self.places:
                    if place.worker is not None:
                        await place.worker.stop(STOP_S)
                        place.worker = None

    async def chill(self) -> None:
        """Have nothing of the databases in memory; no worker may run."""
        forget(self.folder)

    def server_cpu_s(self) -> float:
        """CPU that processes besides the workers have used so far."""
        return 0.0

    @abstractmethod
    async def sizes(self) -> dict[int, int]:
        """Bytes of each database by its people."""

    async def close(self) -> None:  # noqa: B027  files have nothing to end
        """End what runs."""

    @abstractmethod
    async def _fill(self, place: Place, size: int) -> None: ...

    @abstractmethod
    def _store(self, place: Place) -> str | None: ...


class FilePlaces(Places):
    """SQLite."""

    name = "sqlite"

    async def sizes(self) -> dict[int, int]:
        """See `Places`."""
        return {place.people: _database(place).stat().st_size for place in self.places}

    async def _fill(self, place: Place, size: int) -> None:  # noqa: ARG002  another engine's
        self.template.placed(place.root, 0, None)
        path = _database(place)
        for left in path.parent.glob(f"{path.name}*"):
            left.unlink()
        fill_file(path, place.block, told)

    def _store(self, place: Place) -> str | None:  # noqa: ARG002  another engine's
        return None


class ServerPlaces(Places):
    """PostgreSQL: a server of its own, with a database for each size."""

    name = "postgresql"

    def __init__(self, folder: Path, template: Template) -> None:
        super().__init__(folder, template)
        folder.chmod(0o755)  # The server runs as another user, who must come through.
        directory = folder / "server"
        directory.mkdir(exist_ok=True)
        self._server = Server(directory)
        self._server.settings.update(SERVER_SETTINGS)
        self._server.start()

    async def chill(self) -> None:
        """See `Places`."""
        self._server.stop()
        await super().chill()
        self._server.start()

    def server_cpu_s(self) -> float:
        """See `Places`."""
        return sum(map(cpu_seconds, self._server.processes()))

    async def sizes(self) -> dict[int, int]:
        """See `Places`."""
        connection = await asyncpg.connect(self._server.url())
        try:
            return {
                place.people: await connection.fetchval("SELECT pg_database_size($1)", _name(place))
                for place in self.places
            }
        finally:
            await connection.close()

    async def close(self) -> None:
        """See `Places`."""
        self._server.stop()

    async def _fill(self, place: Place, size: int) -> None:  # noqa: ARG002  another engine's
        connection = await asyncpg.connect(self._server.url())
        try:
            await connection.execute(f"DROP DATABASE IF EXISTS {_name(place)}")
        finally:
            await connection.close()
        await fill_server(await self._server.made(_name(place)), place.block, told)

    def _store(self, place: Place) -> str | None:
        return self._server.url(_name(place))


def _database(place: Place) -> Path:
    return DataDir(place.root / "data").database


def _name(place: Place) -> str:
    return f"people_{place.people}"


def told(people: int) -> None:
    """Say how far filling is."""
    sys.stderr.write(f"\r  {people:,} people")


def forget(folder: Path) -> None:
    """Have the kernel forget what it keeps in memory of a folder's files."""
    os.sync()
    for path in _files(folder):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        finally:
            os.close(descriptor)


def _files(folder: Path) -> Iterator[Path]:
    return (path for path in folder.rglob("*") if path.is_file())

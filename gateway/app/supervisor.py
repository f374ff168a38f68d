"""
Starts the processes of a gateway, restarts the one that dies, and drains them all at the end.

One writer and N read workers, each started with exec (grpc must not be forked). The workers
share one port; the supervisor keeps it reserved, so that it stays the gateway's while a worker
restarts. Source: house 11, performance.md 4 and 7.
"""

from __future__ import annotations

import asyncio
import fcntl
import signal
import socket
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from gateway.app.engine import NotMigratedError, engine_of
from gateway.app.layout import DataDir
from gateway.app.processes import Child, StartFailedError
from gateway.config import Settings
from gateway.domain.errors import Unavailable
from gateway.store.keyring import load_keyring


@dataclass(frozen=True, slots=True)
class Gateway:
    """A running gateway: where it listens, and its processes."""

    host: str
    port: int
    writer: Child
    workers: tuple[Child, ...]

    @property
    def address(self) -> str:
        """For a gRPC client."""
        return f"{self.host}:{self.port}"

    @property
    def children(self) -> tuple[Child, ...]:
        """Every process, the writer first."""
        return (self.writer, *self.workers)


@asynccontextmanager
async def running(settings: Settings, config: Path) -> AsyncIterator[Gateway]:
    """
    Run a gateway until the block ends; every process is ready when it begins.

    Args:
        settings: What `config` says.

        config: The file, absolute, from which each process reads its settings.

    Raises:
        StartFailedError: If a process does not become ready, the data directory is in use, or the
            port is taken.
    """
    data = DataDir(settings.data_dir)
    data.make()
    with _locked(data.lock), reserved_port(settings.host, settings.port) as port:
        try:
            await engine_of(settings).migrate()
        except (NotMigratedError, Unavailable) as error:
            raise StartFailedError(str(error)) from None
        load_keyring(data.token_keys, may_make=True)
        gateway = Gateway(
            settings.host,
            port,
            Child("writer", "gateway.app.writer", (str(config),), data.root),
            tuple(
                Child(f"worker-{i}", "gateway.app.worker", (str(config), str(port)), data.root)
                for i in range(settings.workers)
            ),
        )
        try:
            async with kept(gateway.children):
                yield gateway
        finally:
            drain_s = settings.limits.drain_s_max
            await asyncio.gather(*(worker.stop(drain_s) for worker in gateway.workers))
            await gateway.writer.stop(drain_s)


@asynccontextmanager
async def kept(children: tuple[Child, ...]) -> AsyncIterator[None]:
    """Start children and keep them alive while the block runs; the caller stops them after."""
    await asyncio.gather(*(child.start() for child in children))
    keepers = [asyncio.create_task(child.keep()) for child in children]
    try:
        yield
    finally:
        for keeper in keepers:
            keeper.cancel()
        await asyncio.gather(*keepers, return_exceptions=True)


async def serve(settings: Settings, config: Path) -> None:
    """Run a gateway until SIGTERM or SIGINT."""
    stop = stop_on_signals()
    async with running(settings, config) as gateway:
        sys.stdout.write(f"onshi gateway (a simulator) listens on {gateway.address}\n")
        sys.stdout.flush()
        await stop.wait()


def stop_on_signals() -> asyncio.Event:
    """Give the event that SIGTERM and SIGINT set."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    return stop


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise StartFailedError(f"another gateway uses {path.parent}") from None
        yield


@contextmanager
def reserved_port(host: str, port: int) -> Iterator[int]:
    """Hold a port that only our workers share; a port somebody else listens on is refused."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    if port:
        with socket.socket(family) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, port))
            except OSError as error:
                raise StartFailedError(f"port {port} is taken: {error.strerror}") from None
    with socket.socket(family) as holder:
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        holder.bind((host, port))
        yield holder.getsockname()[1]

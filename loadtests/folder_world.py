"""A gateway with the test persons, drop folders on a disk that can fill, and a bridge to kill."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from gateway.app.certificates import issue_all
from gateway.v1.coverage_pb2_grpc import CoverageServiceStub
from loadtests.kill_world import World
from loadtests.places import free_port, write_config
from simulators.catalogue import catalogue
from simulators.insurer import upload
from simulators.people import TestPerson, files_of

INSTITUTION: Final = "1319999999"
DISK_BYTES: Final = 64 * 1024**2
FILL_BYTES: Final = 64 * 1024
SUSPENDED: Final = "suspended-"
"""Test persons whose answer needs a resident register, which this gateway has not."""


@dataclass(slots=True)
class FolderWorld:
    """Everything of one run, under one scratch directory."""

    root: Path
    gateway: World
    people: tuple[TestPerson, ...]
    bridge: asyncio.subprocess.Process | None = None
    bridge_kib_max: int = 0
    bridge_starts: int = 0
    is_own_disk: bool = False
    base: Path = field(default_factory=Path)

    @classmethod
    async def start(cls, root: Path) -> FolderWorld:
        """Start the gateway and register the test persons."""
        cases = catalogue(INSTITUTION)
        issue_all(root / "certs", INSTITUTION, cases.rows_by_insurer)
        world = World(root, free_port())
        write_config(root, world.port)
        await world.start()
        for insurer, rows in cases.rows_by_insurer.items():
            async with world.channel(f"insurer-{insurer}") as channel:
                stub = CoverageServiceStub(channel)
                for number, content in enumerate(files_of(rows)):
                    await upload(stub, f"folder-day-{number}", content)
        people = tuple(person for person in cases.people if not person.id.startswith(SUSPENDED))
        return cls(root, world, people)

    @property
    def req(self) -> Path:
        """Where requests go."""
        return self.base / "req"

    @property
    def res(self) -> Path:
        """Where answers come."""
        return self.base / "res"

    @property
    def outbox(self) -> Path:
        """Where clients write requests that they move in."""
        return self.base / "outbox"

    def settle_in(self, base: Path) -> None:
        """Make the folders in `base` and the bridge's settings for them."""
        self.base = base
        for name in ("req", "res", "face", "work", "outbox"):
            (base / name).mkdir(parents=True)
        (self.root / "bridge.toml").write_text(
            f'gateway = "127.0.0.1:{self.gateway.port}"\ninstitution_code = "{INSTITUTION}"\n'
            + "".join(f'{name} = "{base / name}"\n' for name in ("req", "res", "face", "work"))
            + '[tls]\ncertificate = "certs/institution/certificate.pem"\n'
            'key = "certs/institution/key.pem"\nca = "certs/ca.pem"\n'
        )

    def mount(self, place: Path) -> bool:
        """Put a small disk of its own at a place; False where that is not allowed."""
        place.mkdir()
        command = ("mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "tmpfs", str(place))
        with contextlib.suppress(FileNotFoundError):
            self.is_own_disk = subprocess.run(command, check=False).returncode == 0
        return self.is_own_disk

    def unmount(self, place: Path) -> None:
        """Take the small disk away again."""
        if self.is_own_disk:
            subprocess.run(("umount", "-l", str(place)), check=False)

    def fill_disk(self) -> Path:
        """Write until not a byte more fits; give the file to remove."""
        filler = self.base / "filler"
        with filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
            while True:
                file.write(bytes(FILL_BYTES))
        return filler

    async def start_bridge(self) -> None:
        """Start the bridge as an operator does."""
        self.bridge = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-m", "gateway", "bridge", "--config", str(self.root / "bridge.toml")),
            stderr=asyncio.subprocess.DEVNULL,
        )
        self.bridge_starts += 1

    async def stop_bridge(self, number: signal.Signals) -> None:
        """End the bridge by a signal, and remember how large it had become."""
        assert self.bridge is not None
        self.measure()
        with contextlib.suppress(ProcessLookupError):
            self.bridge.send_signal(number)
        await self.bridge.wait()

    def measure(self) -> int:
        """Give the bridge's peak memory in KiB (VmHWM), and keep the highest of all its lives."""
        assert self.bridge is not None
        with contextlib.suppress(OSError):
            for line in Path(f"/proc/{self.bridge.pid}/status").read_text().splitlines():
                if line.startswith("VmHWM:"):
                    peak = int(line.split()[1])
                    self.bridge_kib_max = max(self.bridge_kib_max, peak)
                    return peak
        return 0

    async def stop_gateway(self) -> None:
        """Drain the gateway and wait until it is gone."""
        supervisor = self.gateway.supervisor
        assert supervisor is not None
        with contextlib.suppress(ProcessLookupError):
            supervisor.terminate()
        await supervisor.wait()


def free_bytes(folder: Path) -> int:
    """How much room a disk has."""
    status = os.statvfs(folder)
    return status.f_bavail * status.f_frsize

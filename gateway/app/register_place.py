"""The sandbox's resident register: a simulator's process, its residents, and how to reach it."""

from __future__ import annotations

import json
import socket
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from gateway.app.processes import Child
from gateway.app.supervisor import kept

DRAIN_S: Final = 3


@dataclass(frozen=True, slots=True)
class RegisterPlace:
    """Where the register lives and listens."""

    folder: Path
    port: int

    @classmethod
    def at(cls, folder: Path) -> RegisterPlace:
        """Take a free port for this run."""
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            return cls(folder, probe.getsockname()[1])

    @property
    def address(self) -> str:
        """For a gRPC client."""
        return f"127.0.0.1:{self.port}"

    @property
    def authority(self) -> Path:
        """The folder of the user authentication authority: anchors and revocation list."""
        return self.folder / "user-authentication"

    def prepare(self, party: Mapping[str, Path], residents: Iterable[bytes]) -> None:
        """
        Write what the register reads.

        Args:
            party: Its own certificate and key, and the CA of its callers.

            residents: Lines of JSON, see `simulators.resident_rows`.
        """
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        (self.folder / "residents.jsonl").write_bytes(b"".join(residents))
        said = {
            **{name: str(path) for name, path in party.items()},
            "residents": "residents.jsonl",
            "authority": self.authority.name,
            "clock": "../data/clock",
        }
        (self.folder / "register.json").write_text(json.dumps(said), encoding="utf-8")

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Run the register until the block ends."""
        child = Child(
            "register",
            "simulators.resident_register",
            (str(self.folder), str(self.port)),
            self.folder,
        )
        try:
            async with kept((child,)):
                yield
        finally:
            await child.stop(DRAIN_S)

    def described(self, operator: Mapping[str, Path]) -> dict[str, Any]:
        """How other programs reach it."""
        return {"address": self.address, **operator}

"""
A hot standby of a PostgreSQL of one's own, which may fall behind in every way there is.

It streams over loopback and answers reads. Sources: `pg_basebackup`, `primary_conninfo`.
"""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import asyncpg

from loadtests.postgres_place import USER, Server

NOBODY: Final = "host=127.0.0.1 port=1"
"""Where no primary is."""


class Standby(Server):
    """A copy of a running server that replays what that one writes; not running until `start`."""

    def __init__(self, directory: Path, primary: Server) -> None:
        self._primary = f"host=127.0.0.1 port={primary.port} user={USER}"
        super().__init__(directory, is_synced=primary.is_synced)

    async def pause(self) -> None:
        """Have it replay nothing more."""
        await self._told("SELECT pg_wal_replay_pause()")

    async def resume(self) -> None:
        """Have it replay again."""
        await self._told("SELECT pg_wal_replay_resume()")

    async def cut_off(self) -> None:
        """Part it from its primary; it goes on and does not know."""
        await self._follow(NOBODY)

    async def reconnect(self) -> None:
        """Have it follow its primary again."""
        await self._follow(self._primary)

    async def promote(self) -> None:
        """Make a server of its own of it; there is no way back."""
        await self._told("SELECT pg_promote()")

    async def _follow(self, primary: str) -> None:
        await self._told(f"ALTER SYSTEM SET primary_conninfo = '{primary}'")
        await self._told("SELECT pg_reload_conf()")

    async def _told(self, statement: str) -> None:
        connection = await asyncpg.connect(self.url())
        try:
            await connection.execute(statement)
        finally:
            await connection.close()

    def _fill(self) -> None:
        self._run(
            "pg_basebackup", "--dbname", self._primary, "--pgdata", str(self._data),
            "--checkpoint=fast", "--write-recovery-conf", "--no-sync",
        )  # fmt: skip


@contextlib.contextmanager
def standby_of(primary: Server) -> Iterator[Standby]:
    """Have a hot standby of a running server while the block runs; nothing is left of it."""
    with tempfile.TemporaryDirectory(prefix="onshi-standby-") as directory:
        standby = Standby(Path(directory), primary)
        standby.start()
        try:
            yield standby
        finally:
            standby.stop()

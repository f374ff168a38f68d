"""Child processes: starting one until it says it is ready, keeping it alive, ending it."""

from __future__ import annotations

import asyncio
import contextlib
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from gateway.observe import get_logger

READY_S_MAX: Final = 30
RESTART_S_MIN: Final = 0.05
RESTART_S_MAX: Final = 5.0
STEADY_S: Final = 10
"""A child that lived so long is restarted without delay."""
KILL_AFTER_S: Final = 2
"""How much longer than its drain time a child may take to end."""


class StartFailedError(RuntimeError):
    """A process did not become ready."""


@dataclass(slots=True)
class Child:
    """One child: `module` is run by this interpreter with `arguments`, in `cwd`."""

    name: str
    module: str
    arguments: tuple[str, ...]
    cwd: Path
    process: asyncio.subprocess.Process | None = None
    is_ready: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def pid(self) -> int | None:
        """The process id, or None if it does not run."""
        if self.process is None or self.process.returncode is not None:
            return None
        return self.process.pid

    async def start(self) -> None:
        """
        Start with exec and wait until it says `ready`.

        Raises:
            StartFailedError: If it does not within `READY_S_MAX`.
        """
        self.is_ready.clear()
        self.process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            self.module,
            *self.arguments,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            cwd=self.cwd,
            start_new_session=True,
        )
        assert self.process.stdout is not None
        line = b""
        with contextlib.suppress(TimeoutError):
            line = await asyncio.wait_for(self.process.stdout.readline(), READY_S_MAX)
        if line != b"ready\n":
            raise StartFailedError(f"{self.name} did not become ready")
        self.is_ready.set()

    async def renew(self, drain_s: float) -> bool:
        """End the child, have its keeper start it anew, and tell whether it became ready."""
        self.is_ready.clear()
        await self.stop(drain_s)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.is_ready.wait(), READY_S_MAX)
        return self.is_ready.is_set()

    async def keep(self) -> None:
        """Start the child again whenever it ends; the wait doubles while it keeps ending early."""
        delay_s = RESTART_S_MIN
        while True:
            began = time.monotonic()
            assert self.process is not None
            code = await self.process.wait()
            if time.monotonic() - began > STEADY_S:
                delay_s = RESTART_S_MIN
            get_logger().warning("process_ended", process_name=self.name, exit_code=code)
            await asyncio.sleep(delay_s)
            delay_s = min(delay_s * 2, RESTART_S_MAX)
            with contextlib.suppress(StartFailedError):
                await self.start()

    async def stop(self, drain_s: float) -> None:
        """Ask the child to end, and make it end if it does not."""
        process = self.process
        if process is None or process.returncode is not None:
            return
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        try:
            await asyncio.wait_for(process.wait(), drain_s + KILL_AFTER_S)
        except TimeoutError:
            process.kill()
            await process.wait()

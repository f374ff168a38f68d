"""CPU of a sandbox's processes, seen from outside: they are children of the process that asks."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from loadtests.load_figures import Cpu
from loadtests.lookup_ratio import cpu_seconds


@asynccontextmanager
async def watched() -> AsyncIterator[list[Cpu]]:
    """Note the CPU of the gateway's processes every second while the block runs."""
    found: list[Cpu] = []
    task = asyncio.create_task(_watch(found))
    try:
        yield found
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def _watch(found: list[Cpu]) -> None:
    pids = processes()
    before: dict[str, tuple[float, float]] = {}
    while True:
        for name, pid in pids.items():
            try:
                now, used = time.monotonic(), cpu_seconds(pid)
            except FileNotFoundError:
                continue
            if name in before:
                at, earlier = before[name]
                found.append(Cpu(name, now, (used - earlier) / (now - at)))
            before[name] = (now, used)
        await asyncio.sleep(1)


def processes() -> dict[str, int]:
    """The processes of the sandbox by name: children of this one that run a module of ours."""
    found: dict[str, int] = {}
    for folder in sorted(Path("/proc").glob("[0-9]*"), key=lambda path: int(path.name)):
        try:
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
            words = (folder / "cmdline").read_bytes().decode().split("\0")
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(fields[1]) == os.getpid() and words[1:2] == ["-m"] and "." in words[2]:
            base = words[2].rpartition(".")[2]
            count = sum(name.partition(" ")[0] == base for name in found)
            found[f"{base} {count + 1}" if count else base] = int(folder.name)
    return found

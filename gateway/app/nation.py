"""Feed a written nation into a running sandbox: certificates for its insurers, then the doors."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Final

from gateway.app.certificates import issue_all
from gateway.app.clock import SandboxClock
from gateway.app.sandbox import Sandbox, read_description, write_file
from gateway.domain.period import day_start, tokyo_day
from simulators.channel import secure_channel
from simulators.months.files import DAYS_FOLDER, files_of, read_months
from simulators.nation.feed import add_residents, upload_files
from simulators.nation.files import COVERAGE_FOLDER, RESIDENTS_FILE, read_manifest

MORNING_US: Final = 9 * 3_600_000_000


@dataclass(frozen=True, slots=True)
class Fed:
    """What came of feeding: residents, insurers, and lines by what became of them."""

    residents: int
    insurers: int
    applied: int
    unchanged: int
    refused: int


async def feed(root: Path, folder: Path, told: Callable[[str], None] = lambda _: None) -> Fed:
    """
    Feed a nation that `onshi people stream` wrote into a running sandbox.

    The sandbox's description then names the nation's insurers too.

    Raises:
        FileNotFoundError: If the sandbox is not running, or the folder is no whole nation.
        grpc.aio.AioRpcError: For a refusal.
    """
    manifest = read_manifest(folder)
    sandbox = Sandbox(root.resolve())  # noqa: ASYNC240  once, before anything runs
    description = read_description(sandbox.root)
    numbers = list(manifest["insurers"])
    await asyncio.to_thread(admit, sandbox, numbers)
    told(f"{len(numbers):,} insurers have certificates")
    register = {name: Path(description["register"][name]) for name in ("certificate", "key", "ca")}
    async with secure_channel(description["register"]["address"], **register) as channel:
        with (folder / RESIDENTS_FILE).open("rb") as lines:
            residents = await add_residents(channel, lines)
    told(f"{residents:,} residents are known")
    counts = await upload_files(
        description["address"],
        lambda number: sandbox.party(f"insurer-{number}"),
        {number: folder / COVERAGE_FOLDER / f"{number}.csv" for number in numbers},
        f"nation-{manifest['seed']}-{manifest['people']}-{manifest['on']}",
    )
    return Fed(residents, len(numbers), counts["applied"], counts["unchanged"], counts["refused"])


async def live(
    root: Path, folder: Path, until: date | None, told: Callable[[str], None] = lambda _: None
) -> int:
    """
    Let a nation's days pass on a running sandbox's clock; give how many lines were refused.

    Each day the clock moves to nine o'clock, the register learns of its residents, and the insurers
    send their files. Days before the sandbox's are passed over.

    Raises:
        FileNotFoundError: If the sandbox is not running, or the folder has no months.
        grpc.aio.AioRpcError: For a refusal.
    """
    months = read_months(folder)
    sandbox = Sandbox(root.resolve())  # noqa: ASYNC240  once, before anything runs
    description = read_description(sandbox.root)
    await asyncio.to_thread(admit, sandbox, months["insurers"])
    clock = SandboxClock(sandbox.data.clock)
    register = {name: Path(description["register"][name]) for name in ("certificate", "key", "ca")}
    refused = 0
    try:
        for day in months["days"]:
            on = date.fromisoformat(day)
            if (until is not None and on > until) or not to_morning(clock, on):
                continue
            async with secure_channel(description["register"]["address"], **register) as channel:
                residents = folder / DAYS_FOLDER / day / RESIDENTS_FILE
                lines = residents.read_bytes().splitlines() if residents.exists() else []
                await add_residents(channel, lines)
            counts = await upload_files(
                description["address"],
                lambda number: sandbox.party(f"insurer-{number}"),
                files_of(folder, day),
                f"months-{day}",
            )
            refused += counts["refused"]
            told(f"{day}: {counts['applied']:,} lines, {counts['refused']} refused")
    finally:
        clock.close()
    return refused


def to_morning(clock: SandboxClock, on: date) -> bool:
    """Move a clock to nine o'clock of a day in Japan; tell whether the day is not over yet."""
    ahead = day_start(on) + MORNING_US - clock()
    if ahead > 0:
        clock.advance(timedelta(microseconds=ahead))
    return tokyo_day(clock()) == on


def admit(sandbox: Sandbox, numbers: list[str]) -> None:
    """Issue certificates to insurers, and name them in the description of a running sandbox."""
    description = read_description(sandbox.root)
    issue_all(sandbox.certificates, description["institution_code"], numbers)
    description["insurers"].update(
        {number: sandbox.party(f"insurer-{number}") for number in numbers}
    )
    write_file(sandbox.description, json.dumps(description, indent=2, default=str))

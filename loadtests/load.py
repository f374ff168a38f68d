"""
Make load on a gateway of its own, and judge what it measured: `make load`.

A sandbox is started; what the thresholds must notice is planted once (stalled workers, wrong
answers); then Locust's users ask and register for the time given, and an open loop follows. Exit
code 0 if every threshold is met, 3 if one is not or a planted defect went unnoticed, 1 if the run
itself is broken.

    python -m loadtests.load [--minutes 3] [--users 40] [--processes N] [--threshold NAME=AT_MOST]
"""

from __future__ import annotations

import argparse
import asyncio
import math
import os
import sys
import tempfile
import time
from collections.abc import Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import msgspec

from gateway.app.sandbox import Sandbox, read_description, running_sandbox
from gateway.app.supervisor import Gateway
from loadtests.load_figures import (
    ROUTES,
    THRESHOLDS,
    Cpu,
    Measured,
    OpenLoop,
    is_passed,
    judged,
    mean_shares,
    thresholds_for,
)
from loadtests.load_page import SIMULATION
from loadtests.load_people import CHANGES_MAX, card_holders, in_town
from loadtests.load_places import SEED, Party, Plan
from loadtests.load_plants import register_takes, stalling
from loadtests.load_report import summary, write_report
from loadtests.load_watch import watched

PARTS: Final = ("number", "card", "folder", "insurer", "open")
USER_CLASSES: Final = {
    "number": "NumberUser",
    "card": "CardUser",
    "folder": "FolderUser",
    "insurer": "InsurerUser",
}
HOLDERS: Final = 50
CHANGES_A_SECOND: Final = 3.0
"""More than the insurers come to; for these there must be movers."""
MOVERS_BESIDES: Final = 8
"""For the planted runs, and because each insurer leaves a mover half moved."""
PLANTED_SECONDS: Final = 8.0
SLOW_MS: Final = 300
ARRIVING_S: Final = 4
"""In how many seconds the users arrive; each connects with a handshake of its own."""
STOP_TIMEOUT_S: Final = 3
LOCUST_S_MAX: Final = 120
"""How much longer than its time a generator may take to start and to end."""
NOT_MET: Final = 3
BROKEN: Final = 1


@dataclass(frozen=True, slots=True)
class Options:
    """What was asked for on the command line."""

    seconds: float
    users: int
    processes: int
    people: int
    parts: tuple[str, ...]
    thresholds: dict[str, float]
    out: Path
    probe_ms: int
    register_ms: int
    rates: tuple[float, ...]
    open_seconds: float
    is_planting: bool

    @property
    def parameters(self) -> dict[str, str]:
        """For the report."""
        return {
            "seconds": f"{self.seconds:g}",
            "users": str(self.users),
            "generator processes": str(max(self.processes, 1)),
            "people": str(self.people),
            "parts": ", ".join(self.parts),
            "probe every, ms": str(self.probe_ms),
            "resident register takes, ms": str(self.register_ms),
            "open loop, requests/s": ", ".join(f"{rate:g}" for rate in self.rates),
            "open loop, seconds": f"{self.open_seconds:g}",
            "cores": str(os.cpu_count()),
        }


@dataclass(frozen=True, slots=True)
class Ground:
    """A running sandbox with a folder for plans and ledgers."""

    options: Options
    sandbox: Sandbox
    gateway: Gateway
    plan: Plan
    scratch: Path

    def another(self, name: str, seconds: float, *, is_answer_planted: bool = False) -> Plan:
        """A plan for one run of generators, with a folder for its ledgers."""
        ledgers = self.scratch / f"ledgers-{name}"
        ledgers.mkdir()
        return msgspec.structs.replace(
            self.plan,
            ledgers=str(ledgers),
            seconds=seconds,
            is_answer_planted=is_answer_planted,
        )


async def load(options: Options) -> int:
    """Run everything; gives the exit code."""
    print(SIMULATION)
    options.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="onshi-load-") as folder:
        root = Path(folder)
        world = running_sandbox(root / "sandbox", port=0, people=options.people, seed=SEED)
        async with world as (sandbox, gateway):
            plan = await _peopled(options, sandbox, _plan(options, sandbox, root), root)
            ground = Ground(options, sandbox, gateway, plan, root)
            planted = await _planted(ground) if options.is_planting else {}
            async with register_takes(sandbox, options.register_ms):
                plan = ground.another("run", options.seconds)
                measured = await _locust(ground, plan, options.parts)
            for rate in options.rates:
                measured.loops.append(await _open_loop(ground, rate))
    measured.planted = planted
    verdicts = write_report(options.out, measured, options.thresholds)
    print("\n".join(summary(measured, verdicts)))
    print(f"report: {options.out / 'report.html'}")
    if measured.broken:
        return BROKEN
    return 0 if is_passed(measured, verdicts) else NOT_MET


def _plan(options: Options, sandbox: Sandbox, root: Path) -> Plan:
    said = read_description(sandbox.root)
    for name in ("claims", "sandbox/oqs/outbox"):
        (root / name).mkdir()
    return Plan(
        address=said["address"],
        req=said["folders"]["req"],
        res=said["folders"]["res"],
        outbox=str(root / "sandbox" / "oqs" / "outbox"),
        ledgers="",
        claims=str(root / "claims"),
        institution_code=said["institution_code"],
        institution=msgspec.convert(said["certificates"]["institution"], Party),
        insurers=msgspec.convert(said["insurers"], dict[str, Party]),
        people=options.people,
        seconds=options.seconds,
        probe_ms=options.probe_ms,
        lag_s_max=10.0,
    )


async def _peopled(options: Options, sandbox: Sandbox, plan: Plan, root: Path) -> Plan:
    """Bring card holders and movers to life, if any user needs them."""
    if not {"card", "insurer"} & set(options.parts):
        return plan
    cards = root / "cards"
    cards.mkdir(mode=0o700)
    movers = MOVERS_BESIDES + math.ceil(CHANGES_A_SECOND * options.seconds / CHANGES_MAX)
    async with in_town(read_description(sandbox.root), cards) as town:
        return msgspec.structs.replace(
            plan,
            cards=[
                await town.holder(resident_id, expected)
                for resident_id, expected in card_holders(options.people, HOLDERS)
            ],
            movers=await town.movers(movers if "insurer" in options.parts else 0),
        )


async def _planted(ground: Ground) -> dict[str, bool]:
    """Plant each defect in a short run; gives which of them a threshold noticed."""
    plan = ground.another("wrong", PLANTED_SECONDS, is_answer_planted=True)
    wrong = await _locust(ground, plan, ("number",))
    plan = ground.another("stall", PLANTED_SECONDS)
    stalled = await _locust(ground, plan, ("number",), stalling(ground.gateway))
    found = {
        "a wrong answer in 20": _is_missed(wrong, "failures_max"),
        "workers that stand still for 300 ms": _is_missed(stalled, "number_p99_ms"),
    }
    if "insurer" in ground.options.parts:
        plan = ground.another("slow", PLANTED_SECONDS)
        async with register_takes(ground.sandbox, SLOW_MS):
            slow = await _locust(ground, plan, ("insurer",))
        found["a resident register that takes 300 ms"] = all(
            _is_missed(slow, f"lag_{route}_p50_ms", SLOW_MS) for route in ROUTES
        )
    for name, is_noticed in found.items():
        print(f"planted {name}: {'noticed' if is_noticed else 'NOT NOTICED'}")
    return found


def _is_missed(measured: Measured, name: str, limit: float | None = None) -> bool:
    """Whether a figure was measured and goes over a limit, its threshold's if none is given."""
    verdict = judged(measured, {name: THRESHOLDS[name] if limit is None else limit})[0]
    return verdict.measured is not None and not verdict.is_met


async def _locust(
    ground: Ground,
    plan: Plan,
    parts: tuple[str, ...],
    beside: Coroutine[Any, Any, None] | None = None,
) -> Measured:
    """Run Locust's users once, something `beside` them, and merge what its processes left."""
    options = ground.options
    name = Path(plan.ledgers).name
    path = ground.scratch / f"{name}.plan.json"
    plan.write(path)
    command = [
        *("-m", "locust", "-f", str(Path(__file__).with_name("locustfile.py"))),
        *("--headless", "--only-summary", "--loglevel", "WARNING", "--plan", str(path)),
        *("--users", str(options.users), "--spawn-rate", str(options.users / ARRIVING_S)),
        *("--run-time", f"{plan.seconds:g}s", "--stop-timeout", str(STOP_TIMEOUT_S)),
        *("--exit-code-on-error", "0", "--html", str(options.out / "locust.html")),
        *(("--processes", str(options.processes)) if options.processes else ()),
        *(USER_CLASSES[part] for part in parts if part in USER_CLASSES),
    ]
    tasks = [] if beside is None else [asyncio.create_task(beside)]
    began = time.monotonic()
    try:
        async with watched() as server:
            code = await _run(command, ground.scratch / f"{name}.log", plan.seconds)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    return merged(options, plan, server, began, code)


def merged(
    options: Options, plan: Plan, server: list[Cpu], began: float, code: int | None
) -> Measured:
    """
    Put together what the processes of a run left; a run that is not whole is broken.

    Args:
        server: CPU of the gateway; only samples while load was made count.

        began: The monotonic second of the start, for a run without any request.

        code: Locust's exit code, None if it did not end.
    """
    ledgers = plan.kept()
    ends = [series.at for ledger in ledgers for series in ledger.series.values()]
    first = min((at[0] for at in ends if at), default=began)
    last = max((at[-1] for at in ends if at), default=began)

    def while_loaded(cpu: list[Cpu]) -> list[Cpu]:
        return [sample for sample in cpu if first < sample.at <= last]

    for ledger in ledgers:
        ledger.cpu = while_loaded(ledger.cpu)
    server = while_loaded(server)
    measured = Measured(first, max(last - first, 1.0), options.parameters, ledgers, server)
    if code != 0:
        measured.broken.append(f"Locust ended with {code}")
    measured.broken += (
        f"{trouble} × {count}" for ledger in ledgers for trouble, count in ledger.trouble.items()
    )
    expected = options.processes + 1 if options.processes else 1
    if len(ledgers) != expected:
        measured.broken.append(f"{len(ledgers)} of {expected} processes left a ledger")
    return measured


async def _run(command: list[str], log: Path, seconds: float) -> int | None:
    """Run a generator; None if it does not end. What it says is shown if it ends badly."""
    with log.open("wb") as said:
        process = await asyncio.create_subprocess_exec(
            sys.executable, *command, stdin=asyncio.subprocess.DEVNULL, stdout=said, stderr=said
        )
        try:
            code: int | None = await asyncio.wait_for(process.wait(), seconds + LOCUST_S_MAX)
        except TimeoutError:
            code = None
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
    if code != 0:
        sys.stderr.write(await asyncio.to_thread(log.read_text, "utf-8", "replace"))
    return code


async def _open_loop(ground: Ground, rate: float) -> OpenLoop:
    """Run the open loop in a process of its own."""
    seconds = ground.options.open_seconds
    plan, out = ground.scratch / f"open-{rate:g}.plan.json", ground.scratch / f"open-{rate:g}.json"
    ground.plan.write(plan)
    command = [
        *("-m", "loadtests.open_loop", "--plan", str(plan), "--rate", str(rate)),
        *("--seconds", str(seconds), "--out", str(out)),
    ]
    async with watched() as server:
        code = await _run(command, out.with_suffix(".log"), seconds)
    if code != 0:
        return OpenLoop(rate, seconds, 0, 0.0, failures={"the open loop broke": 1})
    loop = msgspec.json.decode(out.read_bytes(), type=OpenLoop)
    during = [sample for sample in server if loop.began < sample.at <= loop.began + seconds]
    loop.gateway_share = sum(mean_shares(during).values())
    return loop


def _options() -> Options:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n\n")[0])
    parser.add_argument("--minutes", type=float, default=3.0)
    parser.add_argument("--users", type=int, default=40, help="simulated desks and insurers")
    parser.add_argument("--processes", type=int, default=0, help="generator workers; 0: none")
    parser.add_argument("--people", type=int, default=2_000)
    parser.add_argument("--parts", default=",".join(PARTS), help="of " + ", ".join(PARTS))
    parser.add_argument("--threshold", action="append", default=[], metavar="NAME=AT_MOST")
    parser.add_argument("--out", type=Path, default=Path("load-report"))
    parser.add_argument("--probe-ms", type=int, default=20)
    parser.add_argument("--register-ms", type=int, default=0, help="the resident register's delay")
    parser.add_argument("--open-rate", type=float, action="append", help="requests/s")
    parser.add_argument("--open-seconds", type=float, default=20.0)
    parser.add_argument("--no-planting", action="store_true", help="plant no defects first")
    given = parser.parse_args()
    parts = tuple(given.parts.split(","))
    if unknown := set(parts) - set(PARTS):
        parser.error(f"unknown parts: {', '.join(sorted(unknown))}")
    try:
        by_hand = {
            name: float(limit)
            for name, _, limit in (word.partition("=") for word in given.threshold)
        }
    except ValueError:
        parser.error("a threshold is NAME=AT_MOST")
    return Options(
        seconds=given.minutes * 60,
        users=given.users,
        processes=given.processes,
        people=given.people,
        parts=parts,
        thresholds=thresholds_for(parts, by_hand),
        out=given.out,
        probe_ms=given.probe_ms,
        register_ms=given.register_ms,
        rates=tuple(given.open_rate or (200.0, 1_000.0)) if "open" in parts else (),
        open_seconds=given.open_seconds,
        is_planting=not given.no_planting,
    )


def main() -> None:
    """Parse the options and run."""
    sys.exit(asyncio.run(load(_options())))


if __name__ == "__main__":
    main()

"""
Lookup against a bare handler: ratio of throughputs, and the CPU our own work adds.

Both methods are served by the same process over mutual TLS and are measured in turn, many short
rounds, so that a machine whose speed drifts changes both alike. The lookup is the whole thing:
door, decision, and a durable access record. The generator is this process; its share of the CPU
is printed, because a bench that hides it measures the generator.

    python -m loadtests.lookup_ratio [--people 10000] [--rounds 15] [--seconds 1.0]
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeAlias

import grpc

from gateway.app.layout import DataDir
from gateway.app.processes import Child
from gateway.app.sandbox import Sandbox, running_sandbox
from gateway.app.supervisor import reserved_port
from gateway.v1.eligibility_pb2 import ConfirmEligibilityResponse
from loadtests.places import channel_to
from loadtests.questions import questions

CONNECTIONS: Final = 8
STREAMS: Final = 8
RATIO_GOAL: Final = 0.6
OWN_CPU_US_GOAL: Final = 150.0
Call: TypeAlias = "grpc.aio.UnaryUnaryMultiCallable[bytes, bytes]"
METHODS: Final = {
    "bare": "/bench.Bare/Echo",
    "lookup": "/gateway.v1.EligibilityService/ConfirmEligibility",
    "planted": "/bench.Planted/Slow",
}


@dataclass(frozen=True, slots=True)
class Round:
    """One measured round: requests a second, server CPU a request, the generator's core share."""

    per_second: float
    server_us: float
    generator_share: float


@dataclass(frozen=True, slots=True)
class Verdict:
    """What two series of rounds say."""

    ratio: float
    own_us: float

    @property
    def is_good(self) -> bool:
        """Whether both goals hold."""
        return self.ratio >= RATIO_GOAL and self.own_us <= OWN_CPU_US_GOAL


def verdict(bare: list[Round], other: list[Round]) -> Verdict:
    """Compare by medians."""
    per_second = [statistics.median(r.per_second for r in rounds) for rounds in (other, bare)]
    cpu = [statistics.median(r.server_us for r in rounds) for rounds in (other, bare)]
    return Verdict(per_second[0] / per_second[1], cpu[0] - cpu[1])


def cpu_seconds(pid: int) -> float:
    """User and system time of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def measure(
    channels: list[grpc.aio.Channel], method: str, requests: list[bytes], seconds: float, pid: int
) -> Round:
    """Run a closed loop on every channel and stream for so many seconds."""
    count = 0
    begin, server_before, own_before = time.perf_counter(), cpu_seconds(pid), time.process_time()
    until = begin + seconds

    async def loop(channel: grpc.aio.Channel, stream: int) -> None:
        nonlocal count
        call: Call = channel.unary_unary(METHODS[method])
        place = stream * 7919
        while time.perf_counter() < until:
            await call(requests[place % len(requests)])
            place += 1
            count += 1

    await asyncio.gather(
        *(loop(ch, i * STREAMS + s) for i, ch in enumerate(channels) for s in range(STREAMS))
    )
    wall = time.perf_counter() - begin
    return Round(
        count / wall,
        (cpu_seconds(pid) - server_before) / count * 1e6,
        (time.process_time() - own_before) / wall,
    )


async def bench(people: int, rounds: int, seconds: float) -> int:
    """Fill a store, serve it, measure; return the exit code."""
    with tempfile.TemporaryDirectory(prefix="onshi-bench-") as scratch:
        root = Path(scratch)
        async with running_sandbox(root, port=0, people=people, seed=7) as (sandbox, _):
            pass
        asked = [request.SerializeToString() for request in questions(people, 7, 2_000)]
        random.Random(7).shuffle(asked)
        with reserved_port("127.0.0.1", 0) as port:
            child = Child(
                "bench",
                "loadtests.bench_server",
                (str(sandbox.gateway_config), str(port)),
                DataDir(root / "data").root,
            )
            await child.start()
            try:
                assert child.pid is not None
                return await compare(sandbox, port, child.pid, asked, rounds, seconds)
            finally:
                await child.stop(5)


async def compare(
    sandbox: Sandbox, port: int, pid: int, asked: list[bytes], rounds: int, seconds: float
) -> int:
    """Warm up, show the planted defect, measure in turn, print."""
    channels = [channel_to(sandbox.root, port, "institution") for _ in range(CONNECTIONS)]
    lookup: Call = channels[0].unary_unary(METHODS["lookup"])
    first = await lookup(asked[0])
    assert ConfirmEligibilityResponse.FromString(first).access_record_id
    for method in ("bare", "lookup"):
        await measure(channels, method, asked, seconds, pid)

    plant = [await measure(channels, m, asked, seconds, pid) for m in ("bare", "planted")]
    planted = verdict(plant[:1], plant[1:])
    print(f"planted 400 us: ratio {planted.ratio:.2f}, own CPU {planted.own_us:.0f} us", end=" ")
    print("-> noticed" if not planted.is_good else "-> NOT NOTICED")

    series: dict[str, list[Round]] = {"bare": [], "lookup": []}
    for number in range(rounds):
        for method in ("bare", "lookup") if number % 2 else ("lookup", "bare"):
            series[method].append(await measure(channels, method, asked, seconds, pid))
    for channel in channels:
        await channel.close()

    for method, measured in series.items():
        rates = sorted(r.per_second for r in measured)
        print(
            f"{method:7} {statistics.median(rates):7.0f} requests/s "
            f"(min {rates[0]:.0f}, max {rates[-1]:.0f}), "
            f"server CPU {statistics.median(r.server_us for r in measured):4.0f} us/request, "
            f"generator {statistics.median(r.generator_share for r in measured):.0%} of a core"
        )
    result = verdict(series["bare"], series["lookup"])
    print(
        f"ratio of medians {result.ratio:.2f} (goal {RATIO_GOAL}), own CPU above bare "
        f"{result.own_us:.0f} us (goal {OWN_CPU_US_GOAL:.0f}): "
        f"{'met' if result.is_good else 'NOT met'}"
    )
    return 0 if result.is_good and not planted.is_good else 1


def main() -> None:
    """Parse the options and run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--people", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--seconds", type=float, default=1.0)
    options = parser.parse_args()
    sys.exit(asyncio.run(bench(options.people, options.rounds, options.seconds)))


if __name__ == "__main__":
    main()

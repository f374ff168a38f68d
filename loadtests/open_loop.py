"""
Ask at a fixed rate, whether answers come or not, as patients arrive.

A closed loop asks less while the gateway is slow, and so hides how slow it was. Here each
question is due at its time and its latency counts from then, also if it could only start late.
How many started late, and the generator's own CPU, say whether the figures are the gateway's.

    python -m loadtests.open_loop --plan PLAN --rate 200 [--seconds 20] --out FILE
"""

from __future__ import annotations

import argparse
import asyncio
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

import grpc
import msgspec

from gateway.v1.eligibility_pb2 import ConfirmEligibilityRequest
from gateway.v1.eligibility_pb2_grpc import EligibilityServiceStub
from gateway.v1.types_pb2 import InsuredId
from loadtests.load_figures import OpenLoop
from loadtests.load_places import (
    CHANNEL,
    Plan,
    Question,
    date_message,
    problem_with,
    questions,
)
from simulators.catalogue import ON

if TYPE_CHECKING:
    from gateway.v1.eligibility_pb2_grpc import EligibilityServiceAsyncStub

CHANNELS: Final = 8
DEADLINE_S: Final = 10.0
IN_FLIGHT_MAX: Final = 10_000
"""Requests under way; one more is counted as a failure and not sent."""
LATE_MS: Final = 5.0
"""Timers are as fine as a millisecond; a start later than this was held up."""
LEAD_S: Final = 0.2


class Arrivals:
    """One run: questions in turn, each with the second at which it is due."""

    def __init__(self, stubs: list[EligibilityServiceAsyncStub], asked: list[Question]) -> None:
        self.stubs = stubs
        self.asked = [(_request(question), question.expected) for question in asked]
        self.under_way: set[asyncio.Task[None]] = set()

    async def run(self, rate: float, seconds: float) -> OpenLoop:
        """Start every question when it is due, then wait for the answers."""
        loop = OpenLoop(rate, seconds, len(self.stubs), LATE_MS, began=time.monotonic())
        begin, used = time.perf_counter() + LEAD_S, time.process_time()
        for number in range(round(rate * seconds)):
            due = begin + number / rate
            await asyncio.sleep(max(due - time.perf_counter(), 0))
            if len(self.under_way) >= IN_FLIGHT_MAX:
                _count(loop, "not sent, too many under way")
                continue
            task = asyncio.create_task(self._ask(number, due, loop))
            self.under_way.add(task)
            task.add_done_callback(self.under_way.discard)
        await asyncio.gather(*self.under_way)
        loop.own_share = (time.process_time() - used) / (time.perf_counter() - begin)
        return loop

    async def _ask(self, number: int, due: float, loop: OpenLoop) -> None:
        request, expected = self.asked[number % len(self.asked)]
        stub = self.stubs[number % len(self.stubs)]
        loop.late += (time.perf_counter() - due) * 1000 > LATE_MS
        try:
            answer = await stub.ConfirmEligibility(request, timeout=DEADLINE_S)
        except grpc.aio.AioRpcError as error:
            _count(loop, error.code().name)
        else:
            if problem := problem_with(answer.validity, expected):
                _count(loop, problem)
        loop.ms.append(round((time.perf_counter() - due) * 1000, 3))


def _count(loop: OpenLoop, failure: str) -> None:
    loop.failures[failure] = loop.failures.get(failure, 0) + 1


def _request(question: Question) -> ConfirmEligibilityRequest:
    return ConfirmEligibilityRequest(
        insured_id=InsuredId(**question.card.cells()),
        birth_date=date_message(question.birth_date),
        confirmation_date=date_message(ON),
    )


async def measured(plan: Plan, rate: float, seconds: float) -> OpenLoop:
    """Connect, and run."""
    credentials = plan.institution.credentials()
    channels = [
        grpc.aio.secure_channel(plan.address, credentials, CHANNEL) for _ in range(CHANNELS)
    ]
    try:
        await asyncio.gather(*(channel.channel_ready() for channel in channels))
        stubs = [EligibilityServiceStub(channel) for channel in channels]
        return await Arrivals(stubs, questions(plan.people)).run(rate, seconds)
    finally:
        await asyncio.gather(*(channel.close() for channel in channels))


def main() -> None:
    """Parse the options, run, and leave the figures in a file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--plan", type=Path, required=True)
    parser.add_argument("--rate", type=float, required=True)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    plan = Plan.read(options.plan)
    loop = asyncio.run(measured(plan, options.rate, options.seconds))
    options.out.write_bytes(msgspec.json.encode(loop))


if __name__ == "__main__":
    main()

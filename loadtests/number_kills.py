"""
Told My Numbers over `kill -9`: what was acknowledged is linked in the end, to the right person.

Each round tells numbers of made-up people while the resident register thinks, kills the writer at
a random instant (every other time once a number was acknowledged), and goes on. At the end every
acknowledged number must be LINKED with each stage stamped in order, and the earlier card must read
3, which only the right link gives. A planted loss, and a planted link to somebody else, must be
noticed first.

    python -m loadtests.number_kills [--rounds 20] [--seed 1]
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import signal
import sys
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any, Final

import grpc
from google.type.date_pb2 import Date

from gateway.app.clock import real_clock
from gateway.app.sandbox import Sandbox, read_description, running_sandbox
from gateway.app.supervisor import Gateway
from gateway.domain.period import tokyo_day
from gateway.v1 import coverage_pb2, types_pb2
from gateway.v1 import resident_register_pb2 as register_pb2
from gateway.v1.coverage_pb2_grpc import CoverageServiceStub
from gateway.v1.eligibility_pb2_grpc import EligibilityServiceStub
from gateway.v1.resident_register_pb2_grpc import ResidentRegisterSimulationServiceStub
from simulators.channel import secure_channel
from simulators.clinic import ask
from simulators.insurer import register, register_number
from simulators.story import NEW_INSURER, OLD_INSURER, Story, job_change

PEOPLE_A_ROUND: Final = 6
DELAY_MS, SPREAD_MS = 50, 250
SETTLED_S_MAX: Final = 60.0
RETRY_S: Final = 0.1
FIRST_SERIAL: Final = 5_000_000


@dataclass(frozen=True, slots=True)
class Desks:
    """The parties, each on a connection of its own."""

    old: Any
    new: Any
    clinic: Any
    register: Any


async def persisted(call: Any) -> Any:
    """Call until the writer is there; the same request id makes that harmless."""
    while True:
        try:
            return await call()
        except grpc.aio.AioRpcError as error:
            if error.code() is not grpc.StatusCode.UNAVAILABLE:
                raise
            await asyncio.sleep(RETRY_S)


async def prepared(desks: Desks, story: Story, name: str) -> None:
    """Cover lost at the old insurer, begun at the new one without a number."""
    person = story.person
    born = person.birth_date
    resident = register_pb2.Resident(
        resident_id=name,
        individual_number=person.individual_number,
        items=register_pb2.FiveItems(
            name=person.name,
            name_kana=person.name_kana,
            birth_date=Date(year=born.year, month=born.month, day=born.day),
            sex=types_pb2.SEX_FEMALE,
        ),
    )
    await desks.register.AddResidents(register_pb2.AddResidentsRequest(residents=[resident]))
    after = {**story.after, "individual_number": ""}
    await persisted(lambda: register(desks.old, f"{name}-before", story.before))
    await persisted(lambda: register(desks.old, f"{name}-loss", story.loss))
    await persisted(lambda: register(desks.new, f"{name}-after", after))


async def told(desks: Desks, story: Story, name: str) -> bool:
    """Tell a number once; whether it was acknowledged."""
    person = story.person
    with suppress(grpc.aio.AioRpcError):
        await register_number(
            desks.new, f"{name}-number", story.new.card, person.birth_date,
            person.individual_number,
        )  # fmt: skip
        return True
    return False


async def kill_a_round(
    gateway: Gateway,
    desks: Desks,
    stories: Sequence[tuple[str, Story]],
    rng: random.Random,
    *,
    is_late: bool,
) -> list[tuple[str, Story]]:
    """
    Tell numbers while the writer dies; give those acknowledged.

    Args:
        is_late: Kill once a number is acknowledged, however slow this machine is.
    """
    acknowledging = [asyncio.create_task(told(desks, story, name)) for name, story in stories]

    async def kill() -> None:
        if is_late:
            await asyncio.wait(acknowledging, return_when=asyncio.FIRST_COMPLETED)
        await asyncio.sleep(rng.uniform(0.0, rng.choice((0.02, 0.4))))
        if gateway.writer.pid is not None:
            os.kill(gateway.writer.pid, signal.SIGKILL)

    killing = asyncio.create_task(kill())
    acknowledged = await asyncio.gather(*acknowledging)
    await killing
    return [one for one, is_told in zip(stories, acknowledged, strict=True) if is_told]


async def problem(desks: Desks, story: Story, today: date) -> str:
    """What is wrong with an acknowledged number, or nothing; waits for it to settle."""
    born = story.person.birth_date
    request = coverage_pb2.GetIndividualNumberStagesRequest(
        insured_id=types_pb2.InsuredId(**story.new.card.cells()),
        birth_date=Date(year=born.year, month=born.month, day=born.day),
    )
    until = asyncio.get_running_loop().time() + SETTLED_S_MAX
    while asyncio.get_running_loop().time() < until:
        try:
            stages = await persisted(lambda: desks.new.GetIndividualNumberStages(request))
        except grpc.aio.AioRpcError as error:
            return f"lost: {error.code().name}"
        if stages.state != coverage_pb2.NUMBER_STATE_RECEIVED:
            break
        await asyncio.sleep(RETRY_S)
    if stages.state != coverage_pb2.NUMBER_STATE_LINKED:
        return f"not linked: state {stages.state}"
    stamps = [stages.received_time, stages.checked_time, stages.linked_time]
    moments = [stamp.ToMicroseconds() for stamp in stamps]
    if moments != sorted(moments) or 0 in moments:
        return "stages out of order"
    answer = await ask(desks.clinic, story.old.card, born, today)
    return "" if answer.validity == types_pb2.VALIDITY_INVALID_NEWER_COVER else "linked wrongly"


@asynccontextmanager
async def opened(sandbox: Sandbox) -> AsyncIterator[Desks]:
    """Connect every party."""
    description = read_description(sandbox.root)
    at = description["register"]
    party = {name: Path(at[name]) for name in ("certificate", "key", "ca")}
    async with AsyncExitStack() as channels:

        async def channel(name: str) -> grpc.aio.Channel:
            to_gateway = secure_channel(description["address"], **sandbox.party(name))
            return await channels.enter_async_context(to_gateway)

        to_register = await channels.enter_async_context(secure_channel(at["address"], **party))
        yield Desks(
            CoverageServiceStub(await channel(f"insurer-{OLD_INSURER.number}")),
            CoverageServiceStub(await channel(f"insurer-{NEW_INSURER.number}")),
            EligibilityServiceStub(await channel("institution")),
            ResidentRegisterSimulationServiceStub(to_register),
        )


async def rounds(root: Path, count: int, seed: int) -> bool:
    """Run all rounds and judge; print the figures."""
    rng = random.Random(seed)
    async with (
        running_sandbox(root, port=0, people=0, seed=1) as (sandbox, gateway),
        opened(sandbox) as desks,
    ):
        today = tokyo_day(real_clock())
        delay = register_pb2.SetConditionsRequest(delay_ms=DELAY_MS, delay_spread_ms=SPREAD_MS)
        await desks.register.SetConditions(delay)
        stories = [
            (f"kill-{seed}-{number}", job_change(FIRST_SERIAL + number, today))
            for number in range(count * PEOPLE_A_ROUND + 1)
        ]
        never_told = stories.pop()
        await prepared(desks, never_told[1], never_told[0])
        planted = [await problem(desks, never_told[1], today) != ""]
        acknowledged = []
        for number in range(count):
            some = stories[number * PEOPLE_A_ROUND :][:PEOPLE_A_ROUND]
            for name, story in some:
                await prepared(desks, story, name)
            is_late = number % 2 == 1
            acknowledged += await kill_a_round(gateway, desks, some, rng, is_late=is_late)
        problems = [await problem(desks, story, today) for _, story in acknowledged]
        mixed = replace(acknowledged[0][1], old=never_told[1].old)
        planted.append(await problem(desks, mixed, today) == "linked wrongly")
    bad = [one for one in problems if one]
    print(f"planted: a lost number {'found' if planted[0] else 'NOT FOUND'}, ", end="")
    print(f"a wrong link {'found' if planted[1] else 'NOT FOUND'}")
    print(
        f"{count} kills of the writer, {count * PEOPLE_A_ROUND} numbers told, "
        f"{len(acknowledged)} acknowledged, lost or wrong {len(bad)} {sorted(set(bad))}"
    )
    return all(planted) and not bad and bool(acknowledged)


def main() -> None:
    """Run, and exit 0 only if nothing was lost and both planted defects were noticed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="onshi-numbers-") as scratch:
        is_good = asyncio.run(rounds(Path(scratch), options.rounds, options.seed))
    sys.exit(0 if is_good else 1)


if __name__ == "__main__":
    main()

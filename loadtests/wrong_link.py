"""
A wrong link made, viewed, detected, suspended and repaired, between real processes.

The register's planted fault takes three items for five: an enrollee without a My Number is linked
to another resident of the same kana, birth date and sex. A clinic looks by that resident's card
and is shown the enrollee's cover. The full check then disagrees and hides it; the insurer tells the
right number. Whoever looked meanwhile must be on the insurer's list, and nobody else, and the
explanation of the answer must tell of the wrong link before and after. A list that lacks the
viewing, one that names a look nobody was shown anything by, a wrong answer and an explanation
without the link must be noticed first.

    python -m loadtests.wrong_link
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, Final

import grpc
from google.type.date_pb2 import Date

from gateway.app.clock import real_clock
from gateway.app.sandbox import Sandbox, read_description, running_sandbox
from gateway.domain.card import HolderCheck
from gateway.domain.period import tokyo_day
from gateway.v1 import coverage_pb2, types_pb2
from gateway.v1 import resident_register_pb2 as register_pb2
from gateway.v1.coverage_pb2_grpc import CoverageServiceStub
from gateway.v1.eligibility_pb2 import (
    ConfirmEligibilityRequest,
    ConfirmEligibilityResponse,
    ExplainEligibilityRequest,
    ExplainEligibilityResponse,
)
from gateway.v1.eligibility_pb2_grpc import EligibilityServiceStub
from gateway.v1.resident_register_pb2_grpc import ResidentRegisterSimulationServiceStub
from simulators.channel import secure_channel
from simulators.clinic import ask
from simulators.insurer import looks_through, recheck_numbers, register, register_number
from simulators.population import made_up_individual_number
from simulators.reader import PortalVisitor, Reader, Wallet
from simulators.story import NEW_INSURER, Story, job_change

SERIAL: Final = 6_000_000
WRONG_NUMBER: Final = made_up_individual_number(18_000_001)
HOME, ELSEWHERE = "見本県架空市中央1番地", "見本県架空市北町9番地"
SETTLED_S_MAX: Final = 30.0
POLL_S: Final = 0.05
VALID, NO_SUCH = types_pb2.VALIDITY_VALID, types_pb2.VALIDITY_NO_SUCH_COVER

EXPECTED: Final = {
    "viewed by the wrong card": VALID,
    "viewed by number": VALID,
    "suspended, by the wrong card": NO_SUCH,
    "suspended, by number": NO_SUCH,
    "repaired, by the wrong card": NO_SUCH,
    "repaired, by the right card": VALID,
    "repaired, by number": VALID,
}


WHYS: Final = {
    "viewed": ((1, 2), ()),
    "suspended": ((1, 2), ("valid, had the suspension",)),
    "repaired": ((1, 2, 3, 4), ("no such cover, had the restoration",)),
}
"""When it was explained: whom the enrollee was linked to, in order, and what is claimed."""


@dataclass(frozen=True, slots=True)
class Desks:
    """The parties, each on a connection of its own."""

    insurer: Any
    clinic: Any
    reader: Reader
    portal: PortalVisitor
    register: Any
    wallet: Wallet
    register_place: Mapping[str, str]


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
            CoverageServiceStub(await channel(f"insurer-{NEW_INSURER.number}")),
            EligibilityServiceStub(await channel("institution")),
            Reader(await channel("institution")),
            PortalVisitor(await channel("portal")),
            ResidentRegisterSimulationServiceStub(to_register),
            Wallet(sandbox.root / "cards"),
            at,
        )


async def resident(desks: Desks, name: str, story: Story, *, is_right: bool) -> None:
    """Add the person, or another of the same kana, birth date and sex, with a registered card."""
    person = story.person
    born = person.birth_date
    items = register_pb2.FiveItems(
        name=person.name if is_right else "三本　巡",
        name_kana=person.name_kana,
        birth_date=Date(year=born.year, month=born.month, day=born.day),
        sex=types_pb2.SEX_FEMALE,
        address=HOME if is_right else ELSEWHERE,
    )
    number = person.individual_number if is_right else WRONG_NUMBER
    one = register_pb2.Resident(resident_id=name, individual_number=number, items=items)
    await desks.register.AddResidents(register_pb2.AddResidentsRequest(residents=[one]))
    card = await desks.wallet.issued(name, desks.register_place)
    await desks.portal.register(card, desks.wallet.pin(name))


async def settled(desks: Desks, story: Story, *states: int) -> bool:
    """Wait until the enrollee's number is in one of these states."""
    born = story.person.birth_date
    request = coverage_pb2.GetIndividualNumberStagesRequest(
        insured_id=types_pb2.InsuredId(**story.new.card.cells()),
        birth_date=Date(year=born.year, month=born.month, day=born.day),
    )
    until = asyncio.get_running_loop().time() + SETTLED_S_MAX
    while asyncio.get_running_loop().time() < until:
        stages = await desks.insurer.GetIndividualNumberStages(request)
        if stages.state in states:
            return True
        await asyncio.sleep(POLL_S)
    return False


async def by_card(desks: Desks, name: str, today: date) -> ConfirmEligibilityResponse:
    """Look by somebody's card at the clinic's reader."""
    card = await desks.wallet.issued(name, desks.register_place)
    pin = desks.wallet.pin(name)
    answer = await desks.reader.visit(card, HolderCheck.PIN, pin=pin, on=today)
    return answer.confirmation


async def why(desks: Desks, story: Story, today: date) -> ExplainEligibilityResponse:
    """Have the answer by number explained, which is a look too."""
    born = story.person.birth_date
    question = ConfirmEligibilityRequest(
        insured_id=types_pb2.InsuredId(**story.new.card.cells()),
        birth_date=Date(year=born.year, month=born.month, day=born.day),
        confirmation_date=Date(year=today.year, month=today.month, day=today.day),
    )
    explained: ExplainEligibilityResponse = await desks.clinic.ExplainEligibility(
        ExplainEligibilityRequest(question=question)
    )
    return explained


def wrongly_explained(whys: Mapping[str, ExplainEligibilityResponse]) -> list[str]:
    """What is wrong with the explanations."""
    found = []
    for when, (people, claims) in WHYS.items():
        said = whys[when]
        sentences = [one.sentence_en.partition(" recorded")[0] for one in said.counter_facts]
        linked = [one.person_ordinal for one in said.links]
        if (tuple(linked), tuple(sentences)) != (people, claims):
            found.append(f"why, {when}: linked to {linked}, claims {sentences}")
    return found


def problems(
    answers: Mapping[str, ConfirmEligibilityResponse],
    listed: Sequence[str],
    viewings: Sequence[str],
) -> list[str]:
    """What is wrong with the answers and with the list of who could have looked."""
    found = [
        f"{name}: {answers[name].validity}"
        for name, validity in EXPECTED.items()
        if answers[name].validity != validity
    ]
    if sorted(listed) != sorted(viewings):
        found.append(f"{len(viewings)} viewings, {len(listed)} looks listed")
    return found


async def play(
    desks: Desks, today: date
) -> tuple[dict[str, Any], dict[str, ExplainEligibilityResponse], list[str]]:
    """Make the wrong link, look, detect, repair; give answers, explanations and looks listed."""
    story = job_change(SERIAL, today)
    card, born = story.new.card, story.person.birth_date
    answers: dict[str, Any] = {}
    whys: dict[str, ExplainEligibilityResponse] = {}

    async def look(when: str, name: str = "") -> None:
        answers[when] = await (
            by_card(desks, name, today) if name else ask(desks.clinic, card, born, today)
        )

    fault = register_pb2.SetConditionsRequest(is_three_items_enough=True)
    await desks.register.SetConditions(fault)
    await resident(desks, "wrong-link-other", story, is_right=False)
    row = {**story.after, "individual_number": "", "address": HOME}
    await register(desks.insurer, "wrong-link-new", row)
    assert await settled(desks, story, coverage_pb2.NUMBER_STATE_LINKED)
    await look("viewed by the wrong card", "wrong-link-other")
    await look("viewed by number")
    whys["viewed"] = await why(desks, story, today)
    await desks.register.SetConditions(register_pb2.SetConditionsRequest())
    waiting = await recheck_numbers(desks.insurer, "wrong-link-recheck")
    assert await settled(desks, story, coverage_pb2.NUMBER_STATE_SUSPENDED)
    print(f"full check: {waiting} numbers of the insurer asked about again")
    await look("suspended, by the wrong card", "wrong-link-other")
    await look("suspended, by number")
    whys["suspended"] = await why(desks, story, today)
    await resident(desks, "wrong-link-right", story, is_right=True)
    number = story.person.individual_number
    await register_number(
        desks.insurer, "wrong-link-repair", card, born, number, is_correction=True
    )
    assert await settled(desks, story, coverage_pb2.NUMBER_STATE_LINKED)
    looks = await looks_through(desks.insurer, card, born, page_size=1)
    await look("repaired, by the wrong card", "wrong-link-other")
    await look("repaired, by the right card", "wrong-link-right")
    await look("repaired, by number")
    whys["repaired"] = await why(desks, story, today)
    return answers, whys, [one.access_record_id for one in looks]


def explained(name: str, answer: ConfirmEligibilityResponse) -> str:
    """Say what an answer was and which rule gave it."""
    return f"{name}: {answer.validity} {answer.reason}"


async def run(root: Path) -> bool:
    """Play it in a sandbox and judge; print what came of it."""
    async with (
        running_sandbox(root, port=0, people=0, seed=1, is_number_searched=True) as (sandbox, _),
        opened(sandbox) as desks,
    ):
        answers, whys, listed = await play(desks, tokyo_day(real_clock()))
    viewings = [
        answers[name].access_record_id for name in ("viewed by the wrong card", "viewed by number")
    ]
    viewings.append(whys["viewed"].access_record_id)
    unseen = answers["suspended, by the wrong card"].access_record_id
    mixed = {**answers, "suspended, by number": answers["viewed by number"]}
    planted = {
        "a viewing left out": problems(answers, listed[1:], viewings),
        "a look that showed nothing": problems(answers, [*listed, unseen], viewings),
        "an answer after suspension": problems(mixed, listed, viewings),
        "an explanation without the link": wrongly_explained({**whys, "viewed": whys["repaired"]}),
    }
    for name, noticed in planted.items():
        print(f"planted: {name} {'found' if noticed else 'NOT FOUND'}")
    for name, answer in answers.items():
        print(explained(name, answer))
    for name, said in whys.items():
        links = [f"person {one.person_ordinal}" for one in said.links if one.is_numbered]
        claims = [one.sentence_en for one in said.counter_facts]
        print(f"why, {name}: linked by My Number to {links}, {claims}")
    found = problems(answers, listed, viewings) + wrongly_explained(whys)
    print(f"viewings while the link was wrong {len(viewings)}, listed {len(listed)}, bad {found}")
    return all(planted.values()) and not found


def main() -> None:
    """Run, and exit 0 only if all is as it must be and every planted defect was noticed."""
    with tempfile.TemporaryDirectory(prefix="onshi-wrong-link-") as scratch:
        is_good = asyncio.run(run(Path(scratch)))
    sys.exit(0 if is_good else 1)


if __name__ == "__main__":
    main()

"""
A wrong link made, viewed, detected, suspended and repaired, between real processes.

The insurer has a missing number looked for, and the register's planted fault takes three items for
five: the enrollee is linked to another resident of the same kana, birth date and sex. A clinic
looks by that resident's card and is shown the enrollee's cover. The full check then disagrees and
hides it; the insurer tells the right number. Whoever looked meanwhile must be on the insurer's
list, and nobody else, and `onshi why` must tell the story before and after. A list that lacks the
viewing, one that names a look nobody was shown anything by, a wrong answer, and a story that was
forgotten must be noticed first.

    python -m loadtests.wrong_link
"""

from __future__ import annotations

import asyncio
import re
import sys
import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import grpc
from google.type.date_pb2 import Date

from gateway.app.clock import real_clock
from gateway.app.sandbox import Sandbox, read_description, running_sandbox
from gateway.config import Limits
from gateway.domain.card import HolderCheck
from gateway.domain.period import tokyo_day, tokyo_time
from gateway.v1 import coverage_pb2, types_pb2
from gateway.v1 import resident_register_pb2 as register_pb2
from gateway.v1.coverage_pb2_grpc import CoverageServiceStub
from gateway.v1.eligibility_pb2 import ConfirmEligibilityResponse
from gateway.v1.eligibility_pb2_grpc import EligibilityServiceStub
from gateway.v1.resident_register_pb2_grpc import ResidentRegisterSimulationServiceStub
from simulators.channel import secure_channel
from simulators.clinic import ask
from simulators.insurer import (
    looks_through,
    recheck_numbers,
    register,
    register_number,
    search_numbers,
)
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

TOLD: Final = {
    "why, while the link was wrong": ("1", ("linked by My Number to person",)),
    "why, after the repair": (
        "1",
        ("linked by My Number to person", "suspended", "restored", "wrong-link-repair"),
    ),
    "why, as known while the link was wrong": ("1", ("linked by My Number to person",)),
    "why, as known while it was suspended": ("4", ("suspended",)),
}
"""What `onshi why` must begin with and say."""
UNTOLD: Final = {
    "why, while the link was wrong": ("suspended", "restored"),
    "why, as known while the link was wrong": ("suspended", "restored"),
    "why, as known while it was suspended": ("restored",),
}
"""What it must not say, because nobody knew it then."""
ACCESS_RECORD: Final = re.compile(r"^access record: (\S+)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Played:
    """What was answered, what `onshi why` printed, and the looks the insurer's list names."""

    answers: Mapping[str, ConfirmEligibilityResponse]
    told: Mapping[str, str]
    listed: Sequence[str]

    @property
    def viewings(self) -> list[str]:
        """The records of those who were shown the cover while the link was wrong."""
        answered = ("viewed by the wrong card", "viewed by number")
        explained = ACCESS_RECORD.findall(self.told["why, while the link was wrong"])
        return [*(self.answers[name].access_record_id for name in answered), *explained]


@dataclass(frozen=True, slots=True)
class Desks:
    """The parties, each on a connection of its own."""

    root: Path
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
            sandbox.root,
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


async def why(desks: Desks, story: Story, known: datetime | None = None) -> str:
    """What `onshi why` prints of the enrollee's number, as known at a moment."""
    card = story.new.card
    question = ["--insurer", card.insurer_number, "--symbol", card.symbol, "--number", card.number]
    question += ["--branch", card.branch, "--birth-date", story.person.birth_date.isoformat()]
    if known is not None:
        # What was known is told once nothing can be added to that moment any more.
        settled = known + timedelta(milliseconds=Limits().known_time_margin_ms + POLL_S * 1_000)
        await asyncio.sleep((settled - tokyo_time(real_clock())).total_seconds())
        question += ["--known-at", known.isoformat(timespec="microseconds")]
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "gateway", "why", "--dir", str(desks.root), *question),
        stdout=asyncio.subprocess.PIPE,
    )
    printed, _ = await process.communicate()
    assert process.returncode == 0, printed.decode()
    return printed.decode()


def problems(played: Played) -> list[str]:
    """What is wrong with the answers, their stories, and the list of who could have looked."""
    found = [
        f"{name}: {played.answers[name].validity}"
        for name, validity in EXPECTED.items()
        if played.answers[name].validity != validity
    ]
    for name, (validity, texts) in TOLD.items():
        printed = played.told[name]
        missing = [text for text in texts if text not in printed]
        early = [text for text in UNTOLD.get(name, ()) if text in printed]
        if not printed.startswith(validity) or missing or early:
            found.append(f"{name}: {printed[:1]}, without {missing}, with {early}")
    if sorted(played.listed) != sorted(played.viewings):
        found.append(f"{len(played.viewings)} viewings, {len(played.listed)} looks listed")
    return found


async def play(desks: Desks, today: date) -> Played:
    """Make the wrong link, look, detect, repair."""
    story = job_change(SERIAL, today)
    card, born = story.new.card, story.person.birth_date
    answers: dict[str, Any] = {}
    told: dict[str, str] = {}

    async def look(when: str, name: str = "") -> None:
        answers[when] = await (
            by_card(desks, name, today) if name else ask(desks.clinic, card, born, today)
        )

    async def explain(when: str, known: datetime | None = None) -> None:
        told[f"why, {when}"] = await why(desks, story, known)

    fault = register_pb2.SetConditionsRequest(is_three_items_enough=True)
    await desks.register.SetConditions(fault)
    await resident(desks, "wrong-link-other", story, is_right=False)
    row = {**story.after, "individual_number": "", "address": HOME}
    await register(desks.insurer, "wrong-link-new", row)
    wanted, missing = await search_numbers(desks.insurer, "wrong-link-search")
    print(f"search: {wanted} numbers looked for, {missing} of whom an item is missing")
    assert await settled(desks, story, coverage_pb2.NUMBER_STATE_LINKED)
    await look("viewed by the wrong card", "wrong-link-other")
    await look("viewed by number")
    await explain("while the link was wrong")
    seen = tokyo_time(real_clock())
    await desks.register.SetConditions(register_pb2.SetConditionsRequest())
    waiting = await recheck_numbers(desks.insurer, "wrong-link-recheck")
    assert await settled(desks, story, coverage_pb2.NUMBER_STATE_SUSPENDED)
    print(f"full check: {waiting} numbers of the insurer asked about again")
    await look("suspended, by the wrong card", "wrong-link-other")
    await look("suspended, by number")
    hidden = tokyo_time(real_clock())
    await resident(desks, "wrong-link-right", story, is_right=True)
    number = story.person.individual_number
    await register_number(
        desks.insurer, "wrong-link-repair", card, born, number, is_correction=True
    )
    assert await settled(desks, story, coverage_pb2.NUMBER_STATE_LINKED)
    listed = await looks_through(desks.insurer, card, born, page_size=1)
    await explain("after the repair")
    await explain("as known while the link was wrong", seen)
    await explain("as known while it was suspended", hidden)
    await look("repaired, by the wrong card", "wrong-link-other")
    await look("repaired, by the right card", "wrong-link-right")
    await look("repaired, by number")
    return Played(answers, told, [one.access_record_id for one in listed])


def planted(played: Played) -> dict[str, Played]:
    """What was played, each time with another defect."""
    answers, told, listed = played.answers, played.told, played.listed
    unseen = answers["suspended, by the wrong card"].access_record_id
    late = {**answers, "suspended, by number": answers["viewed by number"]}
    forgotten = {**told, "why, after the repair": told["why, while the link was wrong"]}
    rewritten = {
        **told,
        "why, as known while the link was wrong": told["why, after the repair"],
    }
    return {
        "a viewing left out": replace(played, listed=listed[1:]),
        "a look that showed nothing": replace(played, listed=[*listed, unseen]),
        "an answer after suspension": replace(played, answers=late),
        "a suspension forgotten": replace(played, told=forgotten),
        "the past rewritten": replace(played, told=rewritten),
    }


async def run(root: Path) -> bool:
    """Play it in a sandbox and judge; print what came of it."""
    async with (
        running_sandbox(root, port=0, people=0, seed=1) as (sandbox, _),
        opened(sandbox) as desks,
    ):
        played = await play(desks, tokyo_day(real_clock()))
    noticed = {name: bool(problems(one)) for name, one in planted(played).items()}
    for name, is_found in noticed.items():
        print(f"planted: {name} {'found' if is_found else 'NOT FOUND'}")
    for name, answer in played.answers.items():
        print(f"{name}: {answer.validity} {answer.reason}")
    for name, printed in played.told.items():
        print(f"\n{name}:\n{printed}")
    found = problems(played)
    print(
        f"viewings while the link was wrong {len(played.viewings)}, "
        f"listed {len(played.listed)}, bad {len(found)} {found}"
    )
    return all(noticed.values()) and not found


def main() -> None:
    """Run, and exit 0 only if all is as it must be and every planted defect was noticed."""
    with tempfile.TemporaryDirectory(prefix="onshi-wrong-link-") as scratch:
        is_good = asyncio.run(run(Path(scratch)))
    sys.exit(0 if is_good else 1)


if __name__ == "__main__":
    main()

"""
A hundred visits with My Number cards, each answer held against the population's true histories.

People are insured by a sandbox, get cards, register them on the portal and come by face, PIN and
sight, today and on days of the last two years, days on which covers begin and end among them. The
auditor (`loadtests.card_audit`) shares no logic with the gateway; it is first shown to notice
planted defects in the same answers. What is printed names nobody.

    python -m loadtests.card_visits [--visits 100] [--seed 1]
"""

from __future__ import annotations

import argparse
import asyncio
import random
import sys
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any, Final

from gateway.app.clock import real_clock
from gateway.app.sandbox import INSTITUTION_CODE, Sandbox, read_description, running_sandbox
from gateway.app.visits import put_answer
from gateway.domain.card import HolderCheck
from gateway.domain.period import tokyo_day
from gateway.v1.card_pb2 import ConfirmByCardResponse
from loadtests.card_audit import (
    Told,
    differences,
    told_by_face,
    told_by_wire,
    truth_by_card,
    unrecorded,
)
from loadtests.evidence import read_evidence
from simulators.cards import SimulatedCard
from simulators.catalogue import ON
from simulators.channel import secure_channel
from simulators.population import Person, population
from simulators.reader import PortalVisitor, Reader, Wallet
from simulators.resident_rows import resident_id_of

VISITS_MAX: Final = 1_000
EARLY_VISITS: Final = 10
"""Visits with cards that are not registered yet."""
FACES: Final = 12
"""Visits whose face file is read too."""
CARDS_AT_ONCE: Final = 2
DAYS_BACK: Final = 730
LOOKS_MAX: Final = 1_000
MODES: Final = (HolderCheck.FACE, HolderCheck.PIN, HolderCheck.VISUAL)
ONE_DAY: Final = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Holder:
    """A person of the population with their card."""

    person: Person = field(repr=False)
    card: SimulatedCard
    pin: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Visit:
    """A visit that was made, and what came back."""

    holder: Holder
    mode: HolderCheck
    on: date
    is_registered: bool
    answer: ConfirmByCardResponse = field(repr=False)
    seen: Told = field(repr=False)

    @property
    def record_id(self) -> str:
        """Name of its access record."""
        return self.answer.confirmation.access_record_id

    @property
    def is_on_turn(self) -> bool:
        """Whether a cover began or was lost on the day asked about, or on the next."""
        return any(
            day - self.on in (timedelta(0), ONE_DAY)
            for day in turns_of(self.holder.person, self.on - ONE_DAY)
        )

    def wrong(self, person: Person | None = None) -> list[str]:
        """What differs from the truth about its holder, or about another one."""
        truth = truth_by_card(
            person or self.holder.person, self.on, is_registered=self.is_registered
        )
        return differences(truth, self.seen)


def days_of(person: Person, place: int, today: date, rng: random.Random) -> date:
    """A day to ask about: today, a day on which something changed or the day before, or any."""
    first = today - timedelta(days=DAYS_BACK)
    if place % 4 == 0:
        return today
    turns = turns_of(person, first)
    if turns and place % 4 != 1:
        return rng.choice(turns) - rng.choice((timedelta(0), ONE_DAY))
    return first + timedelta(days=rng.randrange(DAYS_BACK))


def turns_of(person: Person, first: date) -> list[date]:
    """The days after a first one on which a cover of a person begins or is lost."""
    days = [day for spell in person.spells for day in (spell.acquired, spell.lost)]
    return [day for day in days if day is not None and day > first]


def chosen(count: int, visits: int, seed: int, rng: random.Random) -> list[Person]:
    """Draw visitors from a population; up to half have had a change in the last two years."""
    people = [
        person
        for household in population(count, seed, ON)
        for person in household.people
        if any(spell.is_numbered for spell in person.spells)
    ]
    rng.shuffle(people)
    first = tokyo_day(real_clock()) - timedelta(days=DAYS_BACK)
    eventful = [person for person in people if turns_of(person, first)][: visits // 2]
    quiet = [person for person in people if person not in eventful]
    drawn = [*eventful, *quiet[: visits - len(eventful)]]
    rng.shuffle(drawn)
    return drawn


async def issue(people: Sequence[Person], sandbox: Sandbox) -> list[Holder]:
    """Have cards issued."""
    register = read_description(sandbox.root)["register"]
    wallet = Wallet(sandbox.root / "cards")
    gate = asyncio.Semaphore(CARDS_AT_ONCE)

    async def one(person: Person) -> Holder:
        resident = resident_id_of(person.individual_number)
        async with gate:
            card = await wallet.issued(resident, register)
        return Holder(person, card, wallet.pin(resident))

    return await asyncio.gather(*(one(person) for person in people))


async def make_visit(reader: Reader, holder: Holder, on: date | None, place: int) -> Visit:
    """Visit; `on` None leaves the day to the gateway."""
    mode = MODES[place % len(MODES)]
    today = tokyo_day(real_clock())
    answer = await reader.visit(
        holder.card, mode, pin=holder.pin if mode is HolderCheck.PIN else "", on=on
    )
    return Visit(
        holder, mode, on or today, is_registered=True, answer=answer, seen=told_by_wire(answer)
    )


async def visits_of(
    sandbox: Sandbox, address: str, people: Sequence[Person], rng: random.Random
) -> tuple[list[Visit], dict[str, set[str]]]:
    """Make all visits; give them, and the record ids each card's holder is shown at the portal."""
    holders = await issue(people, sandbox)
    today = tokyo_day(real_clock())
    async with (
        secure_channel(address, **sandbox.party("institution")) as clinic,
        secure_channel(address, **sandbox.party("portal")) as home,
    ):
        reader, portal = Reader(clinic), PortalVisitor(home)
        visits = [
            replace(await make_visit(reader, holder, None, place), is_registered=False)
            for place, holder in enumerate(holders[:EARLY_VISITS])
        ]
        for holder in holders:
            await portal.register(holder.card, holder.pin)
        for place, holder in enumerate(holders):
            day = days_of(holder.person, place, today, rng)
            on = None if day == today else day
            visits.append(await make_visit(reader, holder, on, place))
        listed = {
            holder.person.individual_number: {
                look.access_record_id
                for look in await portal.accesses(holder.card, holder.pin, LOOKS_MAX)
            }
            for holder in holders
        }
    return visits, listed


def missing_of(visits: Sequence[Visit], listed: Mapping[str, set[str]]) -> int:
    """How many visits of a registered card their holder is not shown."""
    return sum(
        len(unrecorded([visit.record_id], listed[visit.holder.person.individual_number]))
        for visit in visits
        if visit.is_registered
    )


def shifted(person: Person) -> Person:
    """The same person with every day of their covers a day late."""
    spells = tuple(
        replace(
            spell,
            acquired=spell.acquired + ONE_DAY,
            lost=None if spell.lost is None else spell.lost + ONE_DAY,
        )
        for spell in person.spells
    )
    return replace(person, spells=spells)


def elsewhere(person: Person) -> Person:
    """The same person insured by somebody who does not exist."""
    spells = tuple(
        replace(spell, card=replace(spell.card, insurer_number="06999999"))
        for spell in person.spells
    )
    return replace(person, spells=spells)


def face_differences(visits: Sequence[Visit], folder: Path, *, is_spoilt: bool = False) -> int:
    """Put visits into the face folder and count the files that say another thing than the truth."""
    wrong = 0
    for visit in visits:
        data = put_answer(folder, INSTITUTION_CODE, visit.answer).read_bytes()
        if is_spoilt:
            data = data.replace(b"<QualificationValidity>", b"<QualificationValidity>1", 1)
        truth = truth_by_card(visit.holder.person, visit.on, is_registered=visit.is_registered)
        wrong += bool(differences(truth, told_by_face(data)))
    return wrong


def planted(visits: Sequence[Visit], listed: Mapping[str, set[str]], folder: Path) -> bool:
    """Show that the auditor notices what is wrong on purpose; whether it did."""
    shown = [visit for visit in visits if visit.seen.covers]
    late = [visit.wrong(shifted(visit.holder.person)) for visit in shown]
    strange = [visit.wrong(elsewhere(visit.holder.person)) for visit in shown]
    last = visits[-1]
    number = last.holder.person.individual_number
    thinned = {**listed, number: listed[number] - {last.record_id}}
    rows = (
        ("covers a day late", sum(map(bool, late)), len(shown)),
        ("another insurer", sum("insurer_number" in one for one in strange), len(shown)),
        ("an access record that is missing", missing_of(visits, thinned), 1),
        ("a face file with another validity", face_differences([last], folder, is_spoilt=True), 1),
    )
    flipped = sum(bool({"validity", "number"} & set(one)) for one in late)
    for name, noticed, of in rows:
        print(f"planted: {name:36} noticed {noticed} of {of}")
    print(f"planted: of the late covers {flipped} change the validity or the cover shown")
    return bool(shown and flipped) and all(noticed == of for _, noticed, of in rows)


def print_table(visits: Sequence[Visit]) -> None:
    """Print how many visits there were by mode and validity."""
    counts = Counter((visit.mode.name.lower(), visit.seen.validity) for visit in visits)
    print(f"{'mode':8}{'1 valid':>10}{'2 invalid':>12}{'4 no cover':>12}")
    for mode in (one.name.lower() for one in MODES):
        print(f"{mode:8}{counts[mode, 1]:10}{counts[mode, 2]:12}{counts[mode, 4]:12}")


def audit(sandbox: Sandbox, visits: Sequence[Visit], listed: Mapping[str, set[str]]) -> bool:
    """Hold everything against the truth and print it; whether all is right."""
    is_noticed = planted(visits, listed, sandbox.folders / "face")
    print_table(visits)
    wrong = [(place, named) for place, visit in enumerate(visits) if (named := visit.wrong())]
    for place, named in wrong:
        print(f"  visit {place}: {', '.join(named)}")
    faces = visits[-FACES:]
    wrong_faces = face_differences(faces, sandbox.folders / "face")
    missing = missing_of(visits, listed)
    evidence = read_evidence(sandbox.data.access)
    unwritten = unrecorded((visit.record_id for visit in visits), evidence.outcomes)
    early = sum(not visit.is_registered for visit in visits)
    print(f"visits {len(visits)}, of them with a card not registered yet {early}")
    turned = sum(visit.is_on_turn for visit in visits)
    days = len({visit.on for visit in visits})
    print(f"days {days}, visits on the day of a change or the day before {turned}")
    print(f"mismatches {len(wrong)}")
    print(f"face files {len(faces)}, mismatches {wrong_faces}")
    print(f"visits missing from their holder's own list {missing}")
    print(
        f"visits without an access record {len(unwritten)}, broken chains {len(evidence.problems)}"
    )
    is_clean = not (wrong or wrong_faces or missing or unwritten or evidence.problems)
    return is_noticed and is_clean


async def show(visits_wished: int, seed: int) -> int:
    """Run everything; 0 if all is right."""
    rng = random.Random(seed)
    count = visits_wished * 3 + 20
    people = chosen(count, visits_wished, seed, rng)
    with tempfile.TemporaryDirectory(prefix="onshi-visits-") as scratch:
        root = Path(scratch)
        async with running_sandbox(root, port=0, people=count, seed=seed) as (sandbox, gateway):
            visits, listed = await visits_of(sandbox, gateway.address, people, rng)
            return 0 if await asyncio.to_thread(audit, sandbox, visits, listed) else 1


def main(arguments: Sequence[str] | None = None) -> Any:
    """Run."""
    parser = argparse.ArgumentParser(description="Visits by card, held against the truth.")
    parser.add_argument("--visits", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    said = parser.parse_args(arguments)
    if not EARLY_VISITS <= said.visits <= VISITS_MAX:
        parser.error(f"--visits is {EARLY_VISITS} to {VISITS_MAX}")
    sys.exit(asyncio.run(show(said.visits, said.seed)))


if __name__ == "__main__":
    main()

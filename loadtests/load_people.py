"""
The people a load run brings along: holders of registered cards, and movers.

A mover changes insurers up to `CHANGES_MAX` times. Each change loses one cover and begins the
next, which comes without a My Number at first. Until the number is told, linked and projected,
the earlier cover reads 2 by number and 2 by card; then it reads 3, and the card tells 1.
Everybody is made up; My Numbers begin far from those of the population and the catalogue.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any, Final

import grpc
import msgspec

from gateway.domain.card import HolderCheck
from gateway.domain.identifiers import InsurerKind
from gateway.v1 import (
    card_pb2,
    card_pb2_grpc,
    coverage_pb2_grpc,
    person_pb2,
    person_pb2_grpc,
    types_pb2,
)
from gateway.v1 import resident_register_pb2 as register_pb2
from gateway.v1 import resident_register_pb2_grpc as register_pb2_grpc
from loadtests.load_places import (
    CHANNEL,
    SEED,
    HeldCard,
    Mover,
    Party,
    date_message,
)
from simulators.cards import SimulatedCard
from simulators.catalogue import ON
from simulators.insurer import upload
from simulators.people import INSURERS, Card, Row, address_of, day, lines_of, loss_row
from simulators.population import made_up_individual_number, population

CHANGES_MAX: Final = 20
"""Changes of insurer of one mover; each makes the history a lookup reads longer."""
DAYS_A_COVER: Final = 30
FIRST_SERIAL: Final = 90_000_000
RESIDENTS_AT_ONCE_MAX: Final = 1_000
"""In one call, as the register allows."""
READY_S_MAX: Final = 120.0
POLL_S: Final = 0.05
NAME, NAME_KANA, SEX = "見本　移", "ﾐﾎﾝ ｳﾂﾙ", "1"
_INSURERS: Final = INSURERS[InsurerKind.SOCIETY][:2]
MOVERS_INSURERS: Final = tuple(insurer.number for insurer in _INSURERS)
"""Between whom movers change."""


def mover_number(serial: int) -> str:
    """The My Number of a mover."""
    return made_up_individual_number(FIRST_SERIAL + serial)


def mover_birth_date(serial: int) -> date:
    """Birth dates differ, as people's do."""
    return date(1970, 1, 1) + timedelta(days=serial * 11 % 9_000)


def cover_card(serial: int, change: int) -> Card:
    """What the card of a mover's cover shows; 0 is the cover before the first change."""
    insurer = _INSURERS[change % len(_INSURERS)]
    return Card(insurer.number, "77-1", f"{serial:05}{change:02}", "01")


def new_row(serial: int, birth_date: date, change: int) -> Row:
    """The line that begins a mover's cover, without a My Number."""
    begins = day(ON - timedelta(days=DAYS_A_COVER * (CHANGES_MAX + 1 - change)))
    return {
        **cover_card(serial, change).cells(),
        **address_of(serial),
        "action": "NEW",
        "birth_date": day(birth_date),
        "acquisition_date": begins,
        "name": NAME,
        "name_kana": NAME_KANA,
        "insured_name": NAME,
        "sex": SEX,
        "relationship": "1",
        "card_classification": "01",
        "insurer_name": _INSURERS[change % len(_INSURERS)].name,
        "card_issue_date": begins,
        "card_first_valid_date": begins,
    }


def lost_row(serial: int, birth_date: date, change: int) -> Row:
    """The line that ends a mover's cover on the day the next begins."""
    ends = new_row(serial, birth_date, change + 1)["acquisition_date"]
    return loss_row(new_row(serial, birth_date, change), ends, "03")


def card_holders(people: int, count: int) -> Iterator[tuple[str, int]]:
    """
    Up to so many people of the population: the register's name of each, and what a card tells.

    By card the newest cover answers of those whose filing carried the My Number; whoever has none
    is left out.
    """
    left = count
    for household in population(people, SEED, ON):
        for place, person in enumerate(household.people):
            known = [spell for spell in person.spells if spell.is_numbered]
            if not known or not left:
                continue
            left -= 1
            is_covered = any(s.lost is None or s.lost > ON for s in known)
            yield f"p{household.serial * 8 + place}", 1 if is_covered else 2


@dataclass(frozen=True, slots=True)
class Town:
    """The parties that bring people to life: register, portal, insurers, an institution."""

    register: register_pb2_grpc.ResidentRegisterSimulationServiceAsyncStub
    portal: person_pb2_grpc.PersonServiceAsyncStub
    reader: card_pb2_grpc.CardReaderServiceAsyncStub
    insurers: Mapping[str, coverage_pb2_grpc.CoverageServiceAsyncStub]
    cards: Path

    async def holder(self, resident_id: str, expected: int) -> HeldCard:
        """Have a card issued and registered, and wait until it tells what it must."""
        issued = await self.register.IssueCard(
            register_pb2.IssueCardRequest(resident_id=resident_id)
        )
        path = self.cards / f"{resident_id}.json"
        card = SimulatedCard.create(path, issued.certificate, issued.private_key, issued.pin)
        begun = await self.portal.BeginSession(person_pb2.BeginSessionRequest())
        proof = card.prove(begun.challenge, HolderCheck.PIN, pin=issued.pin)
        await self.portal.RegisterCard(person_pb2.RegisterCardRequest(proof=proof))
        until = time.monotonic() + READY_S_MAX
        while (told := await self._told(card, issued.pin)) != expected:
            if time.monotonic() > until:
                raise TimeoutError(f"a registered card tells {told} and not {expected}")
            await asyncio.sleep(POLL_S)
        return HeldCard(str(path), issued.pin, expected)

    async def _told(self, card: SimulatedCard, pin: str) -> int:
        begun = await self.reader.BeginVisit(card_pb2.BeginVisitRequest())
        answer = await self.reader.ConfirmByCard(
            card_pb2.ConfirmByCardRequest(
                proof=card.prove(begun.challenge, HolderCheck.PIN, pin=pin),
                confirmation_date=date_message(ON),
            )
        )
        return int(answer.confirmation.validity)

    async def movers(self, count: int) -> list[Mover]:
        """Make movers: residents whose first cover is registered with their number."""
        serials = range(count)
        for first in serials[::RESIDENTS_AT_ONCE_MAX]:
            some = serials[first : first + RESIDENTS_AT_ONCE_MAX]
            await self.register.AddResidents(
                register_pb2.AddResidentsRequest(residents=map(_resident, some))
            )
        rows = [
            {
                **new_row(serial, mover_birth_date(serial), 0),
                "individual_number": mover_number(serial),
            }
            for serial in serials
        ]
        report = await upload(self.insurers[_INSURERS[0].number], "load-movers", lines_of(rows))
        assert report.lines_applied == len(rows), report.lines_refused
        return [
            Mover(
                serial,
                mover_birth_date(serial),
                mover_number(serial),
                await self.holder(_resident_id(serial), 1),
            )
            for serial in serials
        ]


def _resident_id(serial: int) -> str:
    return f"mover-{serial}"


def _resident(serial: int) -> register_pb2.Resident:
    return register_pb2.Resident(
        resident_id=_resident_id(serial),
        individual_number=mover_number(serial),
        items=register_pb2.FiveItems(
            name=NAME,
            name_kana=NAME_KANA,
            birth_date=date_message(mover_birth_date(serial)),
            sex=types_pb2.SEX_MALE,
            address=address_of(serial)["address"],
        ),
    )


@asynccontextmanager
async def in_town(description: Mapping[str, Any], cards: Path) -> AsyncIterator[Town]:
    """Connect to everybody a `sandbox.json` names; card files go to `cards`."""
    async with AsyncExitStack() as stack:

        async def channel(party: Any, address: str) -> grpc.aio.Channel:
            credentials = msgspec.convert(party, Party).credentials()
            return await stack.enter_async_context(
                grpc.aio.secure_channel(address, credentials, CHANNEL)
            )

        gateway, register = description["address"], description["register"]
        parties = description["certificates"]
        yield Town(
            register_pb2_grpc.ResidentRegisterSimulationServiceStub(
                await channel(register, register["address"])
            ),
            person_pb2_grpc.PersonServiceStub(await channel(parties["portal"], gateway)),
            card_pb2_grpc.CardReaderServiceStub(await channel(parties["institution"], gateway)),
            {
                insurer.number: coverage_pb2_grpc.CoverageServiceStub(
                    await channel(description["insurers"][insurer.number], gateway)
                )
                for insurer in _INSURERS
            },
            cards,
        )

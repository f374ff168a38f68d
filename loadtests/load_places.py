"""
Where a load run takes place and whom it is about: the plan that every process of it reads.

The plan stands in a file beside the sandbox, because a generator's processes share nothing else.
It names made-up people and so never goes into a report. The truth about each question
comes from `simulators.population`, not from the gateway.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Final, NamedTuple

import grpc
import msgspec
from google.type.date_pb2 import Date
from msgspec import Struct, field

from loadtests.load_figures import Ledger
from simulators.catalogue import ON
from simulators.people import Card
from simulators.population import population, truth

SEED: Final = 7
CHANNEL: Final = (
    ("grpc.use_local_subchannel_pool", 1),  # Else all channels of a process share a connection.
    ("grpc.max_reconnect_backoff_ms", 1_000),
)


class Party(Struct, frozen=True):
    """Files of a party's certificate, key and CA, as `sandbox.json` spells them."""

    certificate: str
    key: str
    ca: str

    def credentials(self) -> grpc.ChannelCredentials:
        """For a channel of one's own."""
        return grpc.ssl_channel_credentials(
            Path(self.ca).read_bytes(),
            Path(self.key).read_bytes(),
            Path(self.certificate).read_bytes(),
        )


class HeldCard(Struct, frozen=True):
    """A simulated My Number card in its file, its PIN, and what it must tell on `ON`."""

    path: str
    pin: str
    expected: int


class Mover(Struct, frozen=True):
    """
    Somebody who changes insurers again and again; see `loadtests.load_people`.

    `serial` tells this person's covers from those of others; `number` is the My Number.
    """

    serial: int
    birth_date: date
    number: str
    card: HeldCard


class Plan(Struct, frozen=True):
    """Everything a generator process must know; paths are absolute."""

    address: str
    req: str
    res: str
    outbox: str
    ledgers: str
    claims: str
    institution_code: str
    institution: Party
    insurers: dict[str, Party]
    people: int
    seconds: float
    probe_ms: int
    lag_s_max: float
    is_answer_planted: bool = False
    cards: list[HeldCard] = field(default_factory=list)
    movers: list[Mover] = field(default_factory=list)

    def write(self, path: Path) -> None:
        """Store, for the owner's eyes only."""
        path.touch(mode=0o600)
        path.write_bytes(msgspec.json.encode(self))

    @classmethod
    def read(cls, path: Path) -> Plan:
        """Read what `write` stored."""
        return msgspec.json.decode(path.read_bytes(), type=cls)

    def claim(self, kind: str) -> int:
        """Take the next number of a kind, from 0, that no process of the run takes again."""
        folder = Path(self.claims)
        number = 0
        while True:
            try:
                (folder / f"{kind}-{number}").touch(exist_ok=False)
            except FileExistsError:
                number += 1
            else:
                return number

    def keep(self, ledger: Ledger) -> None:
        """Leave a process's ledger."""
        path = Path(self.ledgers) / f"{ledger.process}.json"
        path.write_bytes(msgspec.json.encode(ledger))

    def kept(self) -> list[Ledger]:
        """Read the ledgers that were left, in the order of their processes."""
        return [
            msgspec.json.decode(path.read_bytes(), type=Ledger)
            for path in sorted(Path(self.ledgers).glob("*.json"))
        ]


class Question(NamedTuple):
    """What a clinic asks about on `ON`, and the official validities it may be told."""

    card: Card
    birth_date: date
    expected: tuple[int, ...]


def questions(people: int) -> list[Question]:
    """Every cover of every person of the sandbox's population, shuffled, with the truth."""
    found = list(_questions(people))
    random.Random(SEED).shuffle(found)
    return found


def date_message(day: date) -> Date:
    """Spell a day for the wire."""
    return Date(year=day.year, month=day.month, day=day.day)


def problem_with(told: int | None, expected: tuple[int, ...]) -> str:
    """Say what is wrong with a validity, without a word on the person; empty if nothing is."""
    if told in expected:
        return ""
    return f"told {told}, truth {' or '.join(map(str, expected))}"


def _questions(people: int) -> Iterator[Question]:
    for household in population(people, SEED, ON):
        for person in household.people:
            for spell in person.spells:
                expected = truth(household.people, spell.card, person.birth_date, ON)
                yield Question(spell.card, person.birth_date, (expected,))

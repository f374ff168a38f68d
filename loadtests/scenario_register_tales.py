"""The scenarios about the resident register: 7 and 8 of the reference."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from google.type.date_pb2 import Date

from gateway.app.sandbox import read_description
from gateway.v1 import coverage_pb2, types_pb2
from gateway.v1 import resident_register_pb2 as pb
from gateway.v1.coverage_pb2_grpc import CoverageServiceStub
from gateway.v1.resident_register_pb2_grpc import ResidentRegisterSimulationServiceStub
from loadtests.scenario_place import Asked, Place
from loadtests.scenario_tales import Said, Tale, valid
from simulators.catalogue import ON, OTHER_SOCIETY
from simulators.channel import secure_channel
from simulators.insurer import looks_through, recheck_numbers, register_number
from simulators.people import Card, Row
from simulators.population import made_up_individual_number

if TYPE_CHECKING:
    from gateway.v1.coverage_pb2_grpc import CoverageServiceAsyncStub

FIRST_SERIAL: Final = 18_500_000
"""Where the My Numbers of these people begin, far from everybody else's."""
SETTLED_TRIES: Final = 1_000
POLL_S: Final = 0.02
LINKED, SUSPENDED = coverage_pb2.NUMBER_STATE_LINKED, coverage_pb2.NUMBER_STATE_SUSPENDED
SEXES: Final = {"1": types_pb2.SEX_MALE, "2": types_pb2.SEX_FEMALE}
HIDDEN: Final[Said] = (4, {})


@dataclass(frozen=True, slots=True)
class Enrolled:
    """Somebody enrolled here alone: what the insurer says of them, and their My Number."""

    serial: int
    items: Row = field(default_factory=dict)
    """Items that differ from those of the first, such as the name."""

    @property
    def id(self) -> str:
        """The register's name of the person."""
        return f"scenario-{self.serial}"

    @property
    def number(self) -> str:
        """The My Number."""
        return made_up_individual_number(FIRST_SERIAL + self.serial)

    @property
    def card(self) -> Card:
        """What the insurer's paper shows."""
        return Card(OTHER_SOCIETY.number, "70-01", f"{self.serial}", "01")

    def row(self) -> Row:
        """The line that enrols the person, with the My Number."""
        return {
            **self.card.cells(),
            "action": "NEW",
            "birth_date": "1983-03-05",
            "acquisition_date": "20250401",
            "name": "仮名　巡",
            "name_kana": "ｶﾘﾅ ﾒｸﾞﾙ",
            "sex": "2",
            "address": "見本県架空市中央1番地",
            "relationship": "1",
            "insurer_name": OTHER_SOCIETY.name,
            "individual_number": self.number,
            **self.items,
        }

    def asked(self, on: date = ON) -> Asked:
        """The question about the person, and the person's own card."""
        return Asked(self.id, self.card, date.fromisoformat(self.row()["birth_date"]), on)


@asynccontextmanager
async def register_of(place: Place) -> AsyncIterator[Any]:
    """Connect to the simulated register as its operator."""
    at = read_description(place.sandbox.root)["register"]
    party = {name: Path(at[name]) for name in ("certificate", "key", "ca")}
    async with secure_channel(at["address"], **party) as channel:
        yield ResidentRegisterSimulationServiceStub(channel)


async def resident(place: Place, person: Enrolled, **differing: str) -> None:
    """Let the register know a person, but for items it has otherwise."""
    row = {**person.row(), **differing}
    born = date.fromisoformat(row["birth_date"])
    items = pb.FiveItems(
        name=row["name"],
        name_kana=row["name_kana"],
        birth_date=Date(year=born.year, month=born.month, day=born.day),
        sex=SEXES[row["sex"]],
        address=row["address"],
    )
    one = pb.Resident(resident_id=person.id, individual_number=person.number, items=items)
    async with register_of(place) as register:
        await register.AddResidents(pb.AddResidentsRequest(residents=[one]))


async def conditions(place: Place, **said: bool) -> None:
    """Set what is wrong with the register; nothing if nothing is said."""
    async with register_of(place) as register:
        await register.SetConditions(pb.SetConditionsRequest(**said))


async def until(place: Place, person: Enrolled, state: int, *, is_clean: bool = False) -> None:
    """Wait until a person's number is in a state; with `is_clean` without a mismatch too."""
    asked = person.asked()
    born = asked.birth_date
    request = coverage_pb2.GetIndividualNumberStagesRequest(
        insured_id=types_pb2.InsuredId(**asked.card.cells()),
        birth_date=Date(year=born.year, month=born.month, day=born.day),
    )
    async with place.channel_of(OTHER_SOCIETY.number) as channel:
        stub: CoverageServiceAsyncStub = CoverageServiceStub(channel)
        for _ in range(SETTLED_TRIES):
            stages = await stub.GetIndividualNumberStages(request)
            if stages.state == state and not (is_clean and stages.mismatches):
                return
            await asyncio.sleep(POLL_S)
    raise TimeoutError("the number did not come to that state")


async def false_match(tale: Tale) -> None:
    """7: three items taken for five link another person, whose card shows the cover; repaired."""
    place = tale.place
    right, wrong = (
        Enrolled(1),
        Enrolled(2, {"name": "三本　巡", "address": "見本県架空市北町9番地"}),
    )
    await resident(place, wrong)
    asked, through = right.asked(), replace(right.asked(), person=wrong.id)
    await tale.asks("before", through, HIDDEN)
    await conditions(place, is_three_items_enough=True)
    await place.upload(right.row() | {"individual_number": ""})
    await until(place, right, LINKED)
    shown = valid(insurer=OTHER_SOCIETY.number, name="仮名　巡")
    await tale.asks("linked to another person", through, shown)
    await conditions(place)
    async with place.channel_of(OTHER_SOCIETY.number) as channel:
        stub: CoverageServiceAsyncStub = CoverageServiceStub(channel)
        await recheck_numbers(stub, "scenario-7")
        await until(place, right, SUSPENDED)
        await tale.asks("the register disagrees", through, HIDDEN)
        await resident(place, right)
        await register_number(
            stub, "scenario-7-right", right.card, asked.birth_date, right.number, is_correction=True
        )
        await until(place, right, LINKED)
        looks = await looks_through(stub, right.card, asked.birth_date)
    methods = sorted(look.method.partition("/")[2] for look in looks)
    seen_by = "['ConfirmByCard', 'ConfirmEligibility', 'ConfirmEligibility']"
    tale.says("who had looked", "insurer", str(methods), seen_by)
    await tale.asks("repaired, the other's card", through, shown, HIDDEN)
    await tale.asks("repaired, the right card", asked, shown)


MISMATCHES: Final[tuple[tuple[str, Row, bool], ...]] = (
    ("1, birth date", {"birth_date": "1983-03-06"}, True),
    ("1, sex", {"sex": "1"}, True),
    ("2, both names", {"name": "架空　巡", "name_kana": "ｶｸｳ ﾒｸﾞﾙ"}, False),
    ("2, name and address", {"name": "架空　巡", "address": "見本県架空市西町2番地"}, False),
    ("2, kana and address", {"name_kana": "ｶｸｳ ﾒｸﾞﾙ", "address": "見本県架空市西町2番地"}, False),
    ("3, address", {"address": "見本県架空市西町2番地"}, False),
)
"""By class of 1.3 #9: what differs in the register, and whether the cover itself is stopped."""


async def mismatch_classes(tale: Tale) -> None:
    """8: class 1 stops the cover, 2 and 3 the medical information; agreement ends each."""
    tales = [Tale(tale.place) for _ in MISMATCHES]
    await asyncio.gather(
        *(
            mismatch(one, Enrolled(11 + place), name, differing, is_suspended=is_suspended)
            for place, (one, (name, differing, is_suspended)) in enumerate(
                zip(tales, MISMATCHES, strict=True)
            )
        )
    )
    tale.noted += (noted for one in tales for noted in one.noted)
    spelled = Enrolled(10)
    await resident(tale.place, spelled, name="假名　巡")
    await tale.place.upload(spelled.row())
    await tale.asks("none, one name spelled otherwise", spelled.asked(), valid(medical_stopped=""))


async def mismatch(
    tale: Tale, person: Enrolled, name: str, differing: Row, *, is_suspended: bool
) -> None:
    """Enrol a person the register has otherwise, ask, correct what the insurer says, ask again."""
    await resident(tale.place, person, **differing)
    await tale.place.upload(person.row())
    stopped = valid(branch="01", medical_stopped="1")
    await tale.asks(name, person.asked(), HIDDEN if is_suspended else stopped)
    row = person.row()
    kept = {one: row[one] for one in ("insurer_number", "symbol", "number", "branch", "birth_date")}
    born = differing.get("birth_date")
    said = {"new_birth_date": born} if born else differing
    await tale.place.upload({**kept, "action": "CORRECT", **said})
    now = replace(person, items=differing)
    await until(tale.place, now, LINKED, is_clean=True)
    await tale.asks(f"{name}, corrected", now.asked(), valid(branch="01", medical_stopped=""))


REGISTER_TALES: Final = {
    "07 false match": false_match,
    "08 mismatch classes": mismatch_classes,
}

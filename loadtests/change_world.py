"""A small world for `change_properties`: a writer on each store, and changes made up by a seed."""

from __future__ import annotations

import asyncio
import random
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from itertools import count
from pathlib import Path
from typing import Any, Final

from msgspec import structs

from gateway.domain.compact import CompactHistory, compact
from gateway.domain.eligibility import ByCard, ByNumber, Confirmation, Rules, confirm
from gateway.domain.errors import Refusal
from gateway.domain.identifiers import InsuredId, InsurerNumber, PersonKey
from gateway.domain.period import Instant, parse_day
from gateway.domain.purpose import Role
from gateway.edges.rpc.convert import sheet
from gateway.formats.coverage_csv import decode_cells, encode_header, encode_line
from gateway.formats.coverage_file import CoverageReader
from gateway.policy import published_policy
from gateway.store.by_steps import StepStore
from gateway.store.memory import (
    MemoryAccesses,
    MemoryScratch,
    MemorySpool,
    MemoryStore,
    MemoryVault,
)
from gateway.store.sqlite import SqliteStore
from gateway.store.vault import RehearsedVault
from gateway.usecases.answer_tokens import AsOf
from gateway.usecases.apply_uploads import Applier
from gateway.usecases.confirm_eligibility import LookupLimits, confirm_eligibility
from gateway.usecases.context import Caller, Context
from gateway.usecases.desk import Desk
from gateway.usecases.door import Door
from gateway.usecases.register_coverage import register
from gateway.usecases.rehearsal import Rehearsal
from gateway.usecases.upload_coverage import Receiver, UploadLimits, UploadReport, upload_key_of
from loadtests.one_key import tokens_of_one_key
from loadtests.postgres_place import Server
from simulators.population import made_up_individual_number

Row = dict[str, str]

START: Final = Instant(1_775_000_000_000_000)
"""April 2026."""
STEP_US: Final = 1_000_000
INSURERS: Final = ("01130012", "00138057")
NUMBERS: Final = tuple(made_up_individual_number(serial) for serial in (1, 2, 3))
BIRTHS: Final = ("19840229", "19840301")
ACQUIRED: Final = ("202404", "202501", "202506")
"""Months in which cover begins, by each line on another day: of two covers of one person that
begin on one day, the one told last answers the card, and so the order counts."""
LINES_MAX: Final = 6
"""Lines about one enrollee."""
FROM: Final = ("20240401", "20250101", "20250601")
LOST: Final = ("20241001", "20250601", "20251001")
ASKED: Final = ("20240501", "20250201", "20250701", "20251101", "20260201")
REASONS: Final = ("01", "03", "99")
MATCHES_MAX: Final = 50
RULES: Final = Rules()
TOKENS: Final = tokens_of_one_key(RULES)
LIMITS: Final = LookupLimits(3_650, 366, MATCHES_MAX, 0)
UPLOADS: Final = UploadLimits(1_000_000, 100_000, 2_000, 200, 50, 100, 100, 100)


class Place:
    """A writer on a store: what it is told by calls and files, and what it answers."""

    def __init__(self, store: Any) -> None:
        self.store = store
        self.vault = MemoryVault()
        self.accesses = MemoryAccesses()
        self._times = count(START, STEP_US)
        self._keys = count(1)
        self._requests = count(1)
        self.now = START
        self.door = Door(published_policy(), self.accesses)
        self.desk = Desk(store, self.vault, self._new_key, self._clock)
        spool = MemorySpool()
        rehearsal = Rehearsal(self.desk, store, MemoryScratch(), RehearsedVault(self.vault))
        self.applier = Applier(store, spool, self.desk, CoverageReader, UPLOADS, rehearsal)
        self.receiver = Receiver(store, spool, self.desk, self.door, UPLOADS, self.applier.wake)

    def _clock(self) -> Instant:
        self.now = Instant(next(self._times))
        return self.now

    def _new_key(self) -> bytes:
        return f"{next(self._keys):016d}".encode()

    def _context(self, role: Role, code: str) -> Context:
        return Context(Caller(role, code), self.now, "CoverageService/RegisterCoverage")

    async def tell(self, row: Row, request_id: str = "") -> tuple[bool, str]:
        """Register a line by itself; whether it changed something, or the reason it was refused."""
        context = self._context(Role.INSURER, row["insurer_number"])
        name = request_id or f"call-{next(self._requests)}"
        try:
            done = await register(
                decode_cells(row), name, context, self.store, self.vault, self.desk, self.door
            )
        except Refusal as refusal:
            return False, refusal.reason
        return done.is_changed, ""

    async def upload(self, rows: Sequence[Row], request_id: str = "") -> UploadReport:
        """Send lines of one insurer as a file, have it applied, and give its report."""
        insurer = InsurerNumber(rows[0]["insurer_number"])
        name = request_id or f"file-{next(self._requests)}"
        lines = [encode_line(row["action"], row) for row in rows]
        data = (encode_header() + "".join(lines)).encode()
        context = self._context(Role.INSURER, insurer.zero_padded)
        async with self.receiver.receiving(context, name) as receiving:
            if receiving.finished is None:
                await receiving.append(0, data)
            await receiving.finish(len(data))
        stop = asyncio.Event()
        task = asyncio.create_task(self.applier.run(stop))
        await asyncio.sleep(0)  # It begins before it is waited for.
        await self.applier.until_applied(upload_key_of(insurer, name))
        stop.set()
        self.applier.wake()
        await task
        _, report = await self.receiver.status(insurer, name)
        assert report is not None
        return report

    async def ask(self, query: ByNumber, known: Instant | None = None) -> Confirmation:
        """Ask by number through the use case, now or as it was known."""
        context = Context(
            Caller(Role.INSTITUTION, "1319999999"),
            Instant(self.now + STEP_US),
            "EligibilityService/ConfirmEligibility",
        )
        answered, _ = await confirm_eligibility(
            query, AsOf(known), context, self.store, self.door, TOKENS, LIMITS
        )
        return answered.confirmation

    async def ask_all(self, queries: Iterable[ByNumber]) -> list[Confirmation]:
        """Ask many questions."""
        return [await self.ask(query) for query in queries]

    async def whole(self, person_key: PersonKey) -> CompactHistory | None:
        """Reduce a person's whole history anew."""
        history = await self.store.history_of(person_key)
        return None if history is None else compact(history, sheet)


@cache
def _empty_database(directory: Path) -> bytes:
    from gateway.store.migrate import migrate

    path = directory / "empty.db"
    migrate(path, sheet)
    return path.read_bytes()


_databases: Final = count(1)


async def _on(server: Server) -> StepStore:
    """Make a database of this version's form on a server; all go with the server."""
    from gateway.store.migrate_postgres import migrate_postgres
    from gateway.store.postgres import PostgresStore

    number = next(_databases)
    if number == 1:
        await migrate_postgres(await server.made("world_0"), sheet)
    url = await server.made(f"world_{number}", template="world_0")
    return await PostgresStore.elected(url, sheet, "world")


@dataclass(slots=True)
class Places:
    """
    One world told the same on a store and its model; closes the real one at the end.

    Args:
        server: Where real stores are kept; a file keeps them if None.
    """

    directory: Path
    server: Server | None = None
    _opened: list[StepStore] = field(default_factory=list)

    async def real(self) -> Place:
        """A writer on a fresh database."""
        store = await (self._in_a_file() if self.server is None else _on(self.server))
        self._opened.append(store)
        return Place(store)

    async def _in_a_file(self) -> StepStore:
        folder = self.directory / f"store-{len(self._opened)}"
        folder.mkdir(exist_ok=True)
        database = folder / "gateway.db"
        database.write_bytes(_empty_database(self.directory))
        return SqliteStore(database, sheet)

    def model(self) -> Place:
        """A writer on the model."""
        return Place(MemoryStore(sheet))

    async def close(self) -> None:
        """Close and remove what was opened."""
        for number, store in enumerate(self._opened):
            await store.close()
            shutil.rmtree(self.directory / f"store-{number}", ignore_errors=True)
        self._opened.clear()


@dataclass(frozen=True, slots=True)
class Who:
    """An enrollee of the world: whose, and under which numbers it is and may come to be."""

    insurer: str
    number: str

    def cells(self, rng: random.Random, *, is_sure: bool = False) -> Row:
        """The identifying cells, now and then those after a correction."""
        number = self.number if is_sure or rng.random() < 0.85 else f"{self.number}-2"
        return {
            "insurer_number": self.insurer,
            "symbol": "記号",
            "number": number,
            "branch": "01" if is_sure else rng.choice(("01", "01", "01", "02", "")),
            "birth_date": BIRTHS[0] if is_sure or rng.random() < 0.9 else BIRTHS[1],
        }

    def day(self, place: int) -> str:
        """The day of the month for the line at a place; no two lines of a world share one."""
        return f"{(int(self.number) - 1) * LINES_MAX + place + 1:02d}"

    def questions(self) -> list[ByNumber]:
        """Every question about the enrollee that may be answered."""
        return [
            ByNumber.of(
                InsuredId.parse(self.insurer, "記号", number, branch),
                parse_day(birth_date),
                parse_day(on),
                is_limit_consented=True,
            )
            for number in (self.number, f"{self.number}-2")
            for branch in ("", "01")
            for birth_date in BIRTHS
            for on in ASKED
        ]


def people_of(rng: random.Random, count_max: int = 4) -> list[Who]:
    """Some enrollees of both insurers; there are My Numbers for fewer people than that."""
    return [
        Who(rng.choice(INSURERS), f"{number}") for number in range(1, rng.randint(2, count_max) + 1)
    ]


def a_line(who: Who, rng: random.Random, place: int) -> Row:
    """The line about an enrollee at a place, from 0; the first one mostly begins cover."""
    actions = ("NEW", "CHANGE", "CHANGE", "LOSS", "CORRECT", "CORRECT", "CANCEL", "NUMBER")
    action = "NEW" if place == 0 and rng.random() < 0.9 else rng.choice(actions)
    cells = who.cells(rng, is_sure=place == 0)
    row = {"action": action} | cells | _SAID[action](rng)
    for name in ("acquisition_date", "new_acquisition_date"):
        if name in row:
            row[name] += who.day(place)
    if action != "NEW" and rng.random() < 0.2:
        row["acquisition_date"] = rng.choice(ACQUIRED) + who.day(rng.randrange(LINES_MAX))
    if row.pop("moves", None) is not None:  # To a number no other enrollee comes to have.
        row["new_number"] = f"{who.number}-2"
    return row


def _new(rng: random.Random) -> Row:
    more: list[Row] = [
        {},
        {},
        {"individual_number": rng.choice(NUMBERS)},
        {"individual_number": rng.choice(NUMBERS)},
        {"card_issue_date": "20240401", "certificate_issue_date": "20250101"},
        {"is_nondisclosed": "1", "address": "見本県架空市1"},
    ]
    return {
        "acquisition_date": rng.choice(ACQUIRED),
        "name": rng.choice(("架空　太郎", "架空　花子")),
        "sex": "1",
        "insurer_name": "架空組合",
    } | rng.choice(more)


def _changed(rng: random.Random) -> Row:
    said: list[Row] = [
        {"name": rng.choice(("架空　太郎", "見本　太郎", "見本　花子"))},
        {"address": rng.choice(("見本県架空市1", "見本県架空市2", "-")), "post_number": "1000001"},
        {"copayment_ratio": rng.choice(("10", "20", "30", "-"))},
        {"is_nondisclosed": rng.choice("01"), "is_self_information_withheld": rng.choice("01")},
        {
            "limit_kind": rng.choice(("01", "02")),
            "limit_class": rng.choice(("A03", "A05")),
            "limit_first_valid_date": rng.choice(FROM),
            "documents_seen": rng.choice(("1", "1+2")),
        },
        {
            "elderly_first_valid_date": rng.choice(FROM),
            "elderly_last_valid_date": rng.choice(("", "20260731")),
            "elderly_copayment_ratio": rng.choice(("10", "20")),
        },
        {
            "disease_category": rng.choice("12"),
            "disease_first_valid_date": rng.choice(FROM),
            "disease_self_pay": "10000",
            "documents_seen": "3",
        },
        {"card_issue_date": rng.choice(("20240401", "20250401"))},
        {"card_collected_date": "20251015"},
        {"uncollected_reason": rng.choice("29")},
        {"is_preschool": rng.choice("01"), "is_voluntary_continuation": rng.choice("01")},
    ]
    return rng.choice(said)


def _change(rng: random.Random) -> Row:
    return {"new_branch": "02"} if rng.random() < 0.1 else _changed(rng)


def _lost(rng: random.Random) -> Row:
    return {"loss_date": rng.choice(LOST), "loss_reason": rng.choice(REASONS)}


def _correct(rng: random.Random) -> Row:
    said: list[Row] = [
        {"loss_date": "-"},
        _lost(rng),
        {"new_acquisition_date": rng.choice(ACQUIRED)},
        {"new_birth_date": rng.choice(BIRTHS)},
        {"new_branch": rng.choice(("01", "02"))},
        {"individual_number": rng.choice(NUMBERS)},
        _changed(rng),
    ]
    return rng.choice(said) if rng.random() < 0.9 else {"moves": ""}


_SAID: Final[Mapping[str, Callable[[random.Random], Row]]] = {
    "NEW": _new,
    "CHANGE": _change,
    "LOSS": _lost,
    "CORRECT": _correct,
    "CANCEL": lambda _rng: {},
    "NUMBER": lambda rng: {"individual_number": rng.choice(NUMBERS)},
}


def lives(people: Sequence[Who], rng: random.Random, lines_max: int) -> dict[Who, list[Row]]:
    """Some lines about each enrollee, in the order they are sent."""
    return {
        who: [a_line(who, rng, place) for place in range(rng.randint(1, lines_max))]
        for who in people
    }


def interleaved(of: Mapping[Who, Sequence[Row]], rng: random.Random) -> list[Row]:
    """All lines in some order that keeps the order of each enrollee's own."""
    left = [list(rows) for rows in of.values() if rows]
    lines = []
    while left:
        rows = rng.choice(left)
        lines.append(rows.pop(0))
        left = [rows for rows in left if rows]
    return lines


def told(answer: Confirmation) -> tuple[Any, ...]:
    """What an answer says, without the keys and times by which it was put together."""
    return (
        answer.validity,
        answer.why,
        tuple(
            sorted(
                repr((s.cover.sheet, s.elderly, s.limit, s.tickets, s.diseases))
                for s in answer.shown
            )
        ),
    )


def unversioned(answer: Confirmation) -> Confirmation:
    """The same answer without the number of the person's record, which only a read of now has."""
    return structs.replace(answer, person_version=0)


def by_card(history: CompactHistory | None, person_key: PersonKey, on: str) -> Confirmation:
    """What the card of a person is answered from a history."""
    query = ByCard(person_key, parse_day(on), is_limit_consented=True)
    return unversioned(confirm([history] if history else [], query, RULES))

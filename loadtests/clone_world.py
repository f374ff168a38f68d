"""
Databases of as many people as one wants, on either engine, and what is right to be told of them.

A block of people is registered by a real sandbox: their insurers upload files, the register answers
for their My Numbers, and a clinic asks about each. The copies are written past all processes, into
tables and indexes as the gateway makes them. An answer about a copy must be the block's own, but
for its number.
"""

from __future__ import annotations

import asyncio
import re
import sqlite3
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack, closing
from dataclasses import dataclass
from datetime import date
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, Final

import asyncpg
from google.protobuf.message import Message
from google.type.date_pb2 import Date

from gateway.app.engine import engine_of
from gateway.app.nation import admit
from gateway.app.sandbox import Sandbox, read_description, running_sandbox, until_checked
from gateway.config import load_settings
from gateway.domain.identifiers import InsuredId
from gateway.domain.period import parse_day
from gateway.edges.rpc.convert import sheet
from gateway.store.migrate import migrate
from gateway.store.migrate_postgres import migrate_postgres
from gateway.store.schema import METADATA
from gateway.v1.eligibility_pb2 import ConfirmEligibilityRequest
from gateway.v1.eligibility_pb2_grpc import EligibilityServiceStub
from gateway.v1.types_pb2 import InsuredId as InsuredIdMessage
from loadtests.clones import COLUMNS, Block, Row, Rows
from loadtests.places import channel_to
from simulators.channel import secure_channel
from simulators.nation.covers import households
from simulators.nation.feed import add_residents, upload_files
from simulators.nation.rows import HEADER, line, resident_line, rows_of

if TYPE_CHECKING:
    from gateway.v1.eligibility_pb2_grpc import EligibilityServiceAsyncStub

ON: Final = date(2026, 11, 1)
"""The day the people are as of, and are asked about."""
SEED: Final = 5
INSURERS: Final = 60
CHANNELS, AT_ONCE = 4, 16
DEADLINE_S: Final = 30.0
COPIES_AT_ONCE: Final = 8
"""Copies that are written in one transaction, in order of keys."""
CACHE_KIB: Final = 4_000_000
"""Pages kept in memory of a database that is being filled."""
LOADING: Final = (
    "PRAGMA journal_mode = OFF",
    "PRAGMA synchronous = OFF",
    f"PRAGMA cache_size = -{CACHE_KIB}",
)
"""If filling breaks off, it begins anew with another file."""
SAME: Final = ("validity", "reason", "explanation_ja", "explanation_en", "coverages", "route")
"""What of an answer must be the same; the rest tells when it was given, and as which record."""
_NUMBER: Final = re.compile(rb"(?<=\x1a\x07)[0-9]{7}|(?<=\x1a\x08)[0-9]{8}")
_KEY_AT: Final = {
    name: itemgetter(
        *(COLUMNS[name].index(column.name) for column in table.primary_key.columns),
        0,  # So that it gives a tuple also where the key is one column.
    )
    for name, table in METADATA.tables.items()
}


@dataclass(frozen=True, slots=True)
class Asked:
    """A question about somebody of the block, and what must be told."""

    insured_id: InsuredId
    birth_date: date
    told: bytes

    def request(self, block: Block, copy: int) -> bytes:
        """The question about a copy, as it goes over the wire."""
        return _request(block.id_of(self.insured_id, copy), self.birth_date).SerializeToString()

    def expected(self, block: Block, copy: int) -> bytes:
        """What must be told of a copy."""
        return _NUMBER.sub(lambda one: block.number(one[0].decode(), copy).encode(), self.told)


class Nation:
    """The people of a block: what their insurers say, each number used by one household alone."""

    def __init__(self, people: int) -> None:
        self.numbers: dict[str, int] = {}
        self.ids: dict[tuple[InsuredId, date], None] = {}
        self.rows: list[dict[str, str]] = []
        self.residents: list[bytes] = []
        given: dict[tuple[str, str, str], str] = {}
        for household in households(SEED, people, ON, INSURERS):
            for row in rows_of(household, ON):
                own = row["insurer_number"], row["symbol"], row["number"]
                row["number"] = given.setdefault(own, f"{len(given):0{len(row['number'])}}")
                self.numbers[row["number"]] = int(row["number"])
                self.rows.append(row)
                insured_id = InsuredId.parse(
                    row["insurer_number"], row["symbol"], row["number"], row["branch"]
                )
                self.ids[insured_id, parse_day(row["birth_date"])] = None
            residents = (resident_line(household, one) for one in household.people)
            self.residents += filter(None, residents)

    def written(self, folder: Path) -> dict[str, Path]:
        """Write each insurer's file into a folder."""
        lines: dict[str, list[str]] = defaultdict(lambda: [HEADER])
        for row in self.rows:
            lines[row["insurer_number"]].append(line(row))
        paths = {insurer: folder / f"{insurer}.csv" for insurer in lines}
        for insurer, path in paths.items():
            path.write_text("".join(lines[insurer]), newline="")
        return paths


async def registered(root: Path, nation: Nation) -> list[Asked]:
    """Register a nation with a sandbox at a place, ask about everybody, and stop the sandbox."""
    async with running_sandbox(root, port=0, people=0, seed=SEED) as (sandbox, gateway):
        files = nation.written(root)
        await asyncio.to_thread(admit, sandbox, list(files))
        described = read_description(root)["register"]
        party = {name: Path(described[name]) for name in ("certificate", "key", "ca")}
        async with secure_channel(described["address"], **party) as channel:
            await add_residents(channel, nation.residents)
        counts = await upload_files(
            gateway.address, lambda number: sandbox.party(f"insurer-{number}"), files, "block"
        )
        assert not counts["refused"], counts
        await until_checked(engine_of(load_settings(sandbox.gateway_config)))
        return await _asked(sandbox, gateway.port, nation)


async def _asked(sandbox: Sandbox, port: int, nation: Nation) -> list[Asked]:
    found: list[Asked] = []
    waiting = iter(nation.ids)

    async def ask(stub: EligibilityServiceAsyncStub) -> None:
        for insured_id, birth_date in waiting:
            request = _request(insured_id, birth_date)
            answer = await stub.ConfirmEligibility(request, timeout=DEADLINE_S)
            found.append(Asked(insured_id, birth_date, what_must_stay(answer)))

    async with AsyncExitStack() as channels:
        stubs: list[EligibilityServiceAsyncStub] = []
        for _ in range(CHANNELS):
            channel = channel_to(sandbox.root, port, "institution")
            stubs.append(EligibilityServiceStub(await channels.enter_async_context(channel)))
        await asyncio.gather(*(ask(stubs[at % CHANNELS]) for at in range(AT_ONCE)))
    return found


def what_must_stay(answer: Message) -> bytes:
    """Give what must be told again and again; takes the rest out of an answer."""
    for field, _ in answer.ListFields():
        if field.name not in SAME:
            answer.ClearField(field.name)
    return answer.SerializeToString(deterministic=True)


def fill_file(path: Path, block: Block, told: Callable[[int], None]) -> None:
    """
    Make a database of SQLite and fill it with all copies.

    Args:
        told: Called now and then with how many people there are.
    """
    migrate(path, sheet)
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        for statement in LOADING:
            connection.execute(statement)
        for rows, people in _written_at_once(block):
            connection.execute("BEGIN")
            for name, of_table in rows.items():
                _add(connection, name, of_table)
            connection.execute("COMMIT")
            told(people)
        connection.execute("DELETE FROM meta")
        for name, of_table in block.kept.items():
            _add(connection, name, of_table)
        connection.execute("PRAGMA journal_mode = WAL")


def _add(connection: sqlite3.Connection, name: str, rows: list[Row]) -> None:
    columns = COLUMNS[name]
    marks = ", ".join("?" for _ in columns)
    connection.executemany(
        f"INSERT INTO {name} ({', '.join(columns)}) VALUES ({marks})",  # noqa: S608  our own names
        rows,
    )


async def fill_server(
    url: str, block: Block, told: Callable[[int], None], *, is_new: bool = True
) -> None:
    """Fill an empty database of a server with all copies; make its tables if it is new."""
    if is_new:
        await migrate_postgres(url, sheet)
    connection = await asyncpg.connect(url)
    try:
        await connection.execute("SET synchronous_commit = off")
        for rows, people in _written_at_once(block):
            async with connection.transaction():
                await _copied(connection, rows)
            told(people)
        await connection.execute("DELETE FROM meta")
        await _copied(connection, block.kept)
        for name in COLUMNS:
            await connection.execute(f'VACUUM (ANALYZE) "{name}"')
    finally:
        await connection.close()


async def _copied(connection: asyncpg.Connection[asyncpg.Record], rows: Rows) -> None:
    for name, of_table in rows.items():
        if of_table:
            await connection.copy_records_to_table(name, records=of_table, columns=COLUMNS[name])


def _written_at_once(block: Block) -> Iterator[tuple[Rows, int]]:
    """Give the rows of some copies, each table's in order of its key, and the people so far."""
    numbers = list(reversed(range(block.copies)))
    for begin in range(0, len(numbers), COPIES_AT_ONCE):
        some = numbers[begin : begin + COPIES_AT_ONCE]
        rows: Rows = defaultdict(list)
        for number in some:
            for name, of_table in block.copy(number).items():
                rows[name] += of_table
        for name, of_table in rows.items():
            of_table.sort(key=_KEY_AT[name])
        yield rows, (begin + len(some)) * block.people


def _request(insured_id: InsuredId, birth_date: date) -> ConfirmEligibilityRequest:
    return ConfirmEligibilityRequest(
        insured_id=InsuredIdMessage(
            insurer_number=insured_id.insurer_number.zero_padded,
            symbol=insured_id.symbol,
            number=insured_id.number,
            branch=insured_id.branch or "",
        ),
        birth_date=_date(birth_date),
        confirmation_date=_date(ON),
    )


def _date(day: date) -> Date:
    return Date(year=day.year, month=day.month, day=day.day)

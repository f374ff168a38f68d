"""
A simulated April: its job changes reach the gateway day by day, then each insurer asks its lag.

    python -m loadtests.lag_april --people 100000 --out lag-april

Real gateway processes over the wire, on the sandbox's clock; files for many lines of a day, single
changes for few. The reports are held against the events themselves: counts, counts by days, open
cases, employers and percentiles. Then one receipt and one stamp are shifted behind the gateway's
back, and the same check must find both. Writes `lag.html` with charts; exit 1 if anything differs
or a shift is not found.
"""

from __future__ import annotations

import argparse
import asyncio
import sqlite3
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AsyncExitStack, closing
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from google.type.date_pb2 import Date

from gateway.app.clock import SandboxClock
from gateway.app.lag_page import page
from gateway.app.sandbox import Sandbox, read_description, running_sandbox
from gateway.domain.period import TOKYO, instant_of, tokyo_day
from gateway.v1 import coverage_pb2, types_pb2
from gateway.v1 import lag_pb2 as pb
from gateway.v1.coverage_pb2_grpc import CoverageServiceStub
from gateway.v1.lag_pb2_grpc import LagServiceStub
from loadtests.april_events import Event, april_of
from loadtests.april_truth import Expected, differences
from simulators.catalogue import ON
from simulators.channel import secure_channel
from simulators.insurer import register, register_number, upload
from simulators.people import Card, Row, lines_of
from simulators.population import population
from simulators.reader import PortalVisitor, Wallet
from simulators.resident_rows import resident_id_of

if TYPE_CHECKING:
    from gateway.v1.coverage_pb2_grpc import CoverageServiceAsyncStub
    from gateway.v1.lag_pb2_grpc import LagServiceAsyncStub

DAYS_BEFORE: Final = 3
DAYS_AFTER: Final = 20
SINGLY_MAX: Final = 3
"""A day with so few lines sends single changes, with more a file."""
SLACK_S: Final = 5.0
DIFFERENCES_SHOWN_MAX: Final = 12
POLL_S: Final = 0.02
CHECKED_S_MAX: Final = 120.0

PLANTS: Final = {
    "a receipt shifted by a day": """
        UPDATE filings SET received_date = date(received_date, '-1 day') WHERE rowid =
        (SELECT min(rowid) FROM filings)""",
    "a link's stamp shifted by a day": """
        UPDATE filings SET linked_time = linked_time + 86400000000 WHERE rowid =
        (SELECT max(rowid) FROM filings WHERE linked_time IS NOT NULL)""",
}


@dataclass(slots=True)
class Month:
    """The running world: each insurer's connection, its clock, and what was counted."""

    coverage: Mapping[str, CoverageServiceAsyncStub]
    lag: Mapping[str, LagServiceAsyncStub]
    clock: SandboxClock
    counts: Counter[str] = field(default_factory=Counter)
    step_s: float = 0.0

    def to_morning(self, on: date) -> None:
        """Move the clock to nine o'clock of a day in Japan."""
        nine = instant_of(datetime(on.year, on.month, on.day, 9, tzinfo=TOKYO))
        self.clock.advance(timedelta(microseconds=nine - self.clock()))

    async def live(self, on: date, events: Sequence[Event]) -> None:
        """Let a day pass: lines, then numbers and corrections, then wait for the register."""
        began = time.monotonic()
        self.to_morning(on)
        lines: dict[str, list[Row]] = {}
        for event in events:
            for row in _rows_on(event, on):
                lines.setdefault(event.insurer, []).append(row)
        await asyncio.gather(*(self._send(on, insurer, rows) for insurer, rows in lines.items()))
        told = [event for event in events if event.linked_on == on and not event.is_loss]
        for event in events:
            if event.number_told_on == on:
                await register_number(
                    self.coverage[event.insurer],
                    f"number-{event.row['number']}-{event.row['branch']}",
                    _card(event.row),
                    _birth_date(event.row),
                    event.number,
                )
                self.counts["numbers told later"] += 1
        await self._until_linked(told)
        self.step_s = max(self.step_s, time.monotonic() - began)

    async def _send(self, on: date, insurer: str, rows: list[Row]) -> None:
        if len(rows) <= SINGLY_MAX and all(row.get("birth_date") != _NO_DAY for row in rows):
            for place, row in enumerate(rows):
                await register(self.coverage[insurer], f"{on}-{place}", row)
                self.counts["single changes"] += 1
            return
        report = await upload(self.coverage[insurer], f"file-{on}", lines_of(rows))
        self.counts["files"] += 1
        self.counts["lines in files"] += len(rows)
        self.counts["lines refused"] += report.lines_refused
        self.counts["lines said twice"] += report.lines_unchanged

    async def _until_linked(self, events: Iterable[Event]) -> None:
        until = time.monotonic() + CHECKED_S_MAX
        for event in events:
            while not await self._is_linked(event):
                if time.monotonic() > until:
                    raise TimeoutError("the register has not answered for every number")
                await asyncio.sleep(POLL_S)

    async def _is_linked(self, event: Event) -> bool:
        born = _birth_date(event.row)
        stages = await self.coverage[event.insurer].GetIndividualNumberStages(
            coverage_pb2.GetIndividualNumberStagesRequest(
                insured_id=types_pb2.InsuredId(**_card(event.row).cells()),
                birth_date=Date(year=born.year, month=born.month, day=born.day),
            )
        )
        return stages.state == coverage_pb2.NUMBER_STATE_LINKED

    async def reports(self, first: date, last: date) -> dict[str, pb.GetLagReportResponse]:
        """Ask as every insurer."""
        request = pb.GetLagReportRequest(
            first_day=Date(year=first.year, month=first.month, day=first.day),
            last_day=Date(year=last.year, month=last.month, day=last.day),
        )
        return {number: await stub.GetLagReport(request) for number, stub in self.lag.items()}


_NO_DAY: Final = "20270230"


def _rows_on(event: Event, on: date) -> list[Row]:
    """The lines an insurer sends about an event on a day."""
    rows = []
    if event.typo_on == on:
        rows.append(event.row | {"birth_date": _NO_DAY})
    if on in (event.registered, event.twice_on):
        row = event.row
        if event.is_mismatched and event.registered == on:
            row = row | {"sex": "2" if row["sex"] == "1" else "1"}
        if not event.is_mismatched or event.registered == on:
            rows.append(row)
    if event.corrected_on == on:
        kept = ("insurer_number", "symbol", "number", "branch", "birth_date", "sex")
        rows.append({"action": "CORRECT"} | {name: event.row[name] for name in kept})
    return rows


def _card(row: Row) -> Card:
    return Card(row["insurer_number"], row["symbol"], row["number"], row["branch"])


def _birth_date(row: Row) -> date:
    text = row["birth_date"]
    return datetime.strptime(f"{text}+0900", "%Y%m%d%z").date()


async def _register_cards(
    description: Mapping[str, Any], root: Path, events: Sequence[Event], count: int
) -> frozenset[str]:
    """Give cards to some who change jobs, before they do; whose they are is returned."""
    # Who never told a number is in no register, and so gets no card.
    known = (event.seen_by for event in events if event.linked_on)
    numbers = list(islice(dict.fromkeys(known), count))
    wallet = Wallet(root / "cards")
    party = {
        name: Path(description["certificates"]["portal"][name])
        for name in ("certificate", "key", "ca")
    }
    async with secure_channel(description["address"], **party) as channel:
        visitor = PortalVisitor(channel)
        for number in numbers:
            resident = resident_id_of(number)
            card = await wallet.issued(resident, description["register"])
            await visitor.register(card, wallet.pin(resident))
    return frozenset(numbers)


def _first_of_april(today: date) -> date:
    april = date(today.year, 4, 1)
    while april - timedelta(days=DAYS_BEFORE) <= today:
        april = date(april.year + 1, 4, 1)
    return april


async def run(options: argparse.Namespace, root: Path) -> int:
    """Let the month pass, ask, check, plant, check again."""
    began = time.monotonic()
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(
            running_sandbox(root, port=0, people=options.people, seed=options.seed)
        )
        description = read_description(root)
        clock = SandboxClock(Sandbox(root).data.clock)
        stack.callback(clock.close)
        april = _first_of_april(tokyo_day(clock()))
        last = date(april.year, 4, 30) + timedelta(days=DAYS_AFTER)
        people = population(options.people, options.seed, ON)
        events = list(april_of(people, options.seed, april))
        print(f"registered {options.people:,} people in {time.monotonic() - began:.0f} s")
        month = await _connected(stack, description, clock)
        holders = await _register_cards(description, root, events, options.cards)
        await _pass_days(month, events, april - timedelta(days=DAYS_BEFORE), last)
        return await _judge(month, root, events, (april, last), holders, options, began)


async def _connected(
    stack: AsyncExitStack, description: Mapping[str, Any], clock: SandboxClock
) -> Month:
    coverage, lag = {}, {}
    for number, party in description["insurers"].items():
        paths = {name: Path(party[name]) for name in ("certificate", "key", "ca")}
        channel = await stack.enter_async_context(secure_channel(description["address"], **paths))
        coverage[number], lag[number] = CoverageServiceStub(channel), LagServiceStub(channel)
    return Month(coverage, lag, clock)


async def _pass_days(month: Month, events: Sequence[Event], first: date, last: date) -> None:
    by_day: dict[date, list[Event]] = {}
    for event in events:
        for on in {
            event.registered, event.typo_on, event.twice_on, event.number_told_on,
            event.corrected_on, event.linked_on,
        } - {None}:  # fmt: skip
            assert on is not None
            by_day.setdefault(on, []).append(event)
    on = first
    while on <= last:
        await month.live(on, by_day.get(on, ()))
        on += timedelta(days=1)


async def _judge(
    month: Month,
    root: Path,
    events: Sequence[Event],
    days: tuple[date, date],
    holders: frozenset[str],
    options: argparse.Namespace,
    began: float,
) -> int:
    april, last = days
    first = april - timedelta(days=DAYS_BEFORE)
    expected = {
        insurer: Expected(
            [e for e in events if e.insurer == insurer and first <= e.registered <= last],
            last,
            holders,
        )
        for insurer in month.lag
    }
    reports = await month.reports(first, last)
    wrong = _wrong(reports, expected, month.step_s)
    options.out.mkdir(parents=True, exist_ok=True)
    shown = {insurer: report for insurer, report in reports.items() if report.cases}
    (options.out / "lag.html").write_text(page(shown, options.language), encoding="utf-8")
    cases = sum(report.cases for report in reports.values())
    print(f"days {first}..{last}, longest step {month.step_s:.1f} s, cards {len(holders)}")
    print(f"events {len(events):,}: {dict(month.counts)}")
    print(f"insurers {len(reports)}, cases {cases:,}, differences {len(wrong)}")
    for sentence in wrong[:DIFFERENCES_SHOWN_MAX]:
        print(f"  {sentence}")
    is_good = not wrong and cases > 0
    for name, statement in PLANTS.items():
        changed = _changed(Sandbox(root).data.database, statement)
        before = len(wrong)
        wrong = _wrong(await month.reports(first, last), expected, month.step_s)
        is_found = changed == 1 and len(wrong) > before
        print(f"planted: {name}: {'found' if is_found else 'NOT found'} ({len(wrong) - before})")
        is_good &= is_found
    print(f"{options.out / 'lag.html'}; {time.monotonic() - began:.0f} s in all")
    return 0 if is_good else 1


def _changed(path: Path, statement: str) -> int:
    """Change rows behind the gateway's back; give how many."""
    with closing(sqlite3.connect(path, timeout=10)) as database, database:
        return database.execute(statement).rowcount


def _wrong(
    reports: Mapping[str, pb.GetLagReportResponse],
    expected: Mapping[str, Expected],
    step_s: float,
) -> list[str]:
    return [
        f"{insurer} {sentence}"
        for insurer, report in reports.items()
        for sentence in differences(report, expected[insurer], step_s + SLACK_S)
    ]


def main() -> None:
    """Run as `python -m loadtests.lag_april`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--people", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--cards", type=int, default=200, help="people with a registered card")
    parser.add_argument("--language", choices=("ja", "en"), default="en")
    parser.add_argument("--out", type=Path, default=Path("lag-april"))
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="onshi-lag-") as root:
        sys.exit(asyncio.run(run(options, Path(root))))


if __name__ == "__main__":
    main()

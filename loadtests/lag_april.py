"""
A simulated April: its job changes reach the gateway day by day, then each insurer asks its lag.

    python -m loadtests.lag_april --people 100000 --out lag-april

People, employers and everything that happens are the made-up nation's (`simulators.nation` and
`simulators.months`, default models). Real gateway processes over the wire, on the sandbox's clock;
files for many lines of a day, single changes for few. No line may be refused but those with a
typing error. The reports are held against the events themselves: counts, counts by days, open
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
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AsyncExitStack, closing
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from google.type.date_pb2 import Date

from gateway.app.clock import SandboxClock
from gateway.app.engine import engine_of
from gateway.app.lag_page import page
from gateway.app.nation import feed, to_morning
from gateway.app.sandbox import Sandbox, read_description, running_sandbox, until_checked
from gateway.config import load_settings
from gateway.domain.period import tokyo_day
from gateway.v1 import coverage_pb2, types_pb2
from gateway.v1 import lag_pb2 as pb
from gateway.v1.coverage_pb2_grpc import CoverageServiceStub
from gateway.v1.lag_pb2_grpc import LagServiceStub
from loadtests.april_truth import Expected, differences
from simulators.channel import secure_channel
from simulators.insurer import register, register_number, upload
from simulators.months.events import NO_DAY, Event
from simulators.months.events import lines_of as lines_on
from simulators.months.lives import Life, Plan
from simulators.nation.covers import households
from simulators.nation.feed import add_residents
from simulators.nation.files import write_nation
from simulators.nation.households import BORN_LATER_SERIAL
from simulators.nation.insurers import nation
from simulators.people import Card, Row, lines_of
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
SHOWN_MAX: Final = 24
"""Insurers on the page: those with most cases."""
INSURERS: Final = (12, 120)
"""How many insurers a nation of the month has at least and at most, unless told."""
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
    register: Mapping[str, Any]
    counts: Counter[str] = field(default_factory=Counter)
    step_s: float = 0.0

    async def live(self, on: date, events: Sequence[Event], residents: Sequence[bytes]) -> None:
        """Let a day pass: residents, lines, numbers; then wait for the register."""
        began = time.monotonic()
        to_morning(self.clock, on)
        if residents:
            party = {name: Path(self.register[name]) for name in ("certificate", "key", "ca")}
            async with secure_channel(self.register["address"], **party) as channel:
                await add_residents(channel, residents)
        lines: dict[str, list[Row]] = {}
        for event in events:
            for row in lines_on(event, on):
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
        if len(rows) <= SINGLY_MAX and all(row.get("birth_date") != NO_DAY for row in rows):
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


def _card(row: Row) -> Card:
    return Card(row["insurer_number"], row["symbol"], row["number"], row["branch"])


def _birth_date(row: Row) -> date:
    text = row["birth_date"]
    return datetime.strptime(f"{text}+0900", "%Y%m%d%z").date()


async def _register_cards(
    description: Mapping[str, Any], root: Path, events: Sequence[Event], count: int
) -> frozenset[str]:
    """Give cards to some who change jobs, before they do; whose they are is returned."""
    seen = (event.seen_by for event in events if event.is_notice and event.seen_by)
    known = (number for number in seen if _is_known(number))
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


def _is_known(number: str) -> bool:
    """Whether the register knows somebody from the beginning."""
    return int(resident_id_of(number)[1:]) < BORN_LATER_SERIAL


def _first_of_april(today: date) -> date:
    april = date(today.year, 4, 1)
    while april - timedelta(days=DAYS_BEFORE) <= today:
        april = date(april.year + 1, 4, 1)
    return april


async def run(options: argparse.Namespace, root: Path) -> int:
    """Let the month pass, ask, check, plant, check again."""
    began = time.monotonic()
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(running_sandbox(root, port=0, people=0, seed=options.seed))
        sandbox = Sandbox(root)
        clock = SandboxClock(sandbox.data.clock)
        stack.callback(clock.close)
        april = _first_of_april(tokyo_day(clock()))
        last = date(april.year, 4, 30) + timedelta(days=DAYS_AFTER)
        lives = await _settled(options, root, clock, april)
        print(f"registered {options.people:,} people in {time.monotonic() - began:.0f} s")
        description = read_description(root)
        month = await _connected(stack, description, clock)
        events = [event for life in lives for event in life.events]
        holders = await _register_cards(description, root, events, options.cards)
        await _pass_days(month, lives, april - timedelta(days=DAYS_BEFORE), last)
        notices = [event for event in events if event.is_notice]
        _tell(events)
        typos = sum(event.typo_on is not None and event.typo_on <= last for event in events)
        if month.counts["lines refused"] != typos:
            print(f"lines refused {month.counts['lines refused']}, with a typo {typos}")
            return 1
        return await _judge(month, root, notices, (april, last), holders, options, began)


async def _settled(
    options: argparse.Namespace, root: Path, clock: SandboxClock, april: date
) -> list[Life]:
    """Register a nation as of the day before all begins; give what will happen to it."""
    on = april - timedelta(days=DAYS_BEFORE + 1)
    insurers = options.insurers or min(max(options.people // 400, INSURERS[0]), INSURERS[1])
    folder = root / "nation"
    written = await asyncio.to_thread(
        write_nation, folder, options.people, options.seed, on, insurers
    )
    to_morning(clock, on)
    fed = await feed(root, folder)
    await until_checked(engine_of(load_settings(Sandbox(root).gateway_config)))
    print(f"{fed.insurers} insurers, {fed.applied:,} lines applied, {fed.refused} refused")
    assert (fed.applied, fed.refused) == (written["lines"], 0)
    plan = Plan(nation(insurers), options.seed, april, date(april.year, 4, 30))
    people = households(options.seed, options.people, on, insurers)
    return [life for life in plan.lives(people) if life.events]


def _tell(events: Sequence[Event]) -> None:
    """Say what happened, and how employers told of it."""
    happened = Counter(event.happening for event in events)
    print("happened: " + ", ".join(f"{name} {count:,}" for name, count in happened.most_common()))
    notices = [event for event in events if event.is_notice]
    mishaps = {
        "early": sum(event.filed < event.fact for event in notices),
        "late": sum((event.filed - event.fact).days > 5 for event in notices),
        "twice": sum(event.twice_on is not None for event in notices),
        "with a typo": sum(event.typo_on is not None for event in notices),
        "number late or never": sum(
            event.number_told_on is not None
            or (not event.is_loss and event.linked_on is None and not event.is_mismatched)
            for event in notices
        ),
        "mismatched": sum(event.is_mismatched for event in notices),
    }
    told = ", ".join(f"{name} {count:,}" for name, count in mishaps.items())
    print(f"notices {len(notices):,}: {told}")


async def _connected(
    stack: AsyncExitStack, description: Mapping[str, Any], clock: SandboxClock
) -> Month:
    coverage, lag = {}, {}
    for number, party in description["insurers"].items():
        paths = {name: Path(party[name]) for name in ("certificate", "key", "ca")}
        channel = await stack.enter_async_context(secure_channel(description["address"], **paths))
        coverage[number], lag[number] = CoverageServiceStub(channel), LagServiceStub(channel)
    return Month(coverage, lag, clock, description["register"])


async def _pass_days(month: Month, lives: Sequence[Life], first: date, last: date) -> None:
    by_day: dict[date, list[Event]] = defaultdict(list)
    residents: dict[date, list[bytes]] = defaultdict(list)
    for life in lives:
        for one in life.residing:
            residents[one.on].append(one.line)
        for event in life.events:
            for on in event.days | ({event.linked_on} if event.linked_on else set()):
                by_day[on].append(event)
    on = first
    while on <= last:
        await month.live(on, by_day[on], residents[on])
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
    ranked = sorted(reports, key=lambda insurer: -reports[insurer].cases)
    shown = {insurer: reports[insurer] for insurer in ranked[:SHOWN_MAX] if reports[insurer].cases}
    (options.out / "lag.html").write_text(page(shown, options.language), encoding="utf-8")
    cases = sum(report.cases for report in reports.values())
    print(f"days {first}..{last}, longest step {month.step_s:.1f} s, cards {len(holders)}")
    print(f"sent: {dict(month.counts)}")
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
    parser.add_argument("--insurers", type=int, default=0, help="0: one for 400 people, 12 to 120")
    parser.add_argument("--language", choices=("ja", "en"), default="en")
    parser.add_argument("--out", type=Path, default=Path("lag-april"))
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="onshi-lag-") as root:
        sys.exit(asyncio.run(run(options, Path(root))))


if __name__ == "__main__":
    main()

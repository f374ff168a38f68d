"""The main job in one go, on real processes: issue, start, upload, ask by wire and by folder."""

from __future__ import annotations

import asyncio
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from rich.console import Console
from rich.table import Table

from gateway.app.sandbox import INSTITUTION_CODE, Sandbox, running_sandbox
from gateway.app.screen import VALIDITY_NAMES
from gateway.app.supervisor import Gateway
from gateway.v1.eligibility_pb2_grpc import EligibilityServiceStub
from simulators.catalogue import catalogue
from simulators.channel import secure_channel
from simulators.clinic import Folders, ask, ask_by_folder
from simulators.people import TestPerson

if TYPE_CHECKING:
    from gateway.v1.eligibility_pb2_grpc import EligibilityServiceAsyncStub

TERMINAL_WIDTH_MIN: Final = 118


@dataclass(frozen=True, slots=True)
class Row:
    """A question, the answer expected, and the two answers that came."""

    person: TestPerson
    by_wire: int
    by_folder: int
    explanation: str

    @property
    def is_good(self) -> bool:
        """Whether both ways gave the answer expected."""
        return self.person.expected_validity == self.by_wire == self.by_folder


def run_demo(directory: Path | None) -> int:
    """Run the demo in a directory, or in a scratch folder that is removed; give the exit code."""
    if directory is not None:
        return asyncio.run(_demo(directory))
    with tempfile.TemporaryDirectory(prefix="onshi-demo-") as scratch:
        return asyncio.run(_demo(Path(scratch)))


async def _demo(root: Path) -> int:
    console = Console(highlight=False, width=max(Console().width, TERMINAL_WIDTH_MIN))
    console.print("Onshi Gateway demo (模擬環境 / a simulation: no live system, no real person)\n")
    console.print("1. A CA and a certificate for each party are issued; the gateway starts.")
    console.print("2. Each insurer uploads its coverage file over mutual TLS.")
    async with running_sandbox(root, port=0, people=0, seed=1) as (sandbox, gateway):
        numbers = catalogue(INSTITUTION_CODE).rows_by_insurer
        lines = sum(len(rows) for rows in numbers.values())
        console.print(f"   {lines} lines of {len(numbers)} insurers registered.")
        console.print(f"3. A clinic asks {gateway.address} by gRPC.")
        console.print(f"4. A receipt computer drops OQSsiquc01req_*.xml into {sandbox.folders}/req")
        console.print("   and finds OQSsiquc01res_*.xml in res.\n")
        rows = await _ask_all(sandbox, gateway, _chosen(catalogue(INSTITUTION_CODE).people))
    console.print(_table(rows))
    bad = sum(not row.is_good for row in rows)
    console.print("All answers as expected." if not bad else f"{bad} answers NOT as expected.")
    sys.stdout.flush()
    return 1 if bad else 0


def _chosen(people: Sequence[TestPerson]) -> list[TestPerson]:
    """Two test persons for each official answer."""
    return [
        person
        for validity in VALIDITY_NAMES
        for person in [p for p in people if p.expected_validity == validity][:2]
    ]


async def _ask_all(sandbox: Sandbox, gateway: Gateway, people: Sequence[TestPerson]) -> list[Row]:
    party = sandbox.party("institution")
    async with secure_channel(gateway.address, **party) as channel:
        stub = EligibilityServiceStub(channel)
        return [await _asked(stub, sandbox, person, number) for number, person in enumerate(people)]


async def _asked(
    stub: EligibilityServiceAsyncStub, sandbox: Sandbox, person: TestPerson, number: int
) -> Row:
    """Ask both ways; the receipt computer's files are in UTF-8 and Shift_JIS in turn."""
    is_consented = person.is_limit_certificate_consented
    answer = await ask(
        stub,
        person.card,
        person.birth_date,
        person.on,
        is_limit_certificate_consented=is_consented,
    )
    folders = Folders(
        sandbox.folders / "req",
        sandbox.folders / "res",
        INSTITUTION_CODE,
        encoding="shift_jis" if number % 2 else "utf-8",
    )
    found = await ask_by_folder(
        folders,
        f"{person.on:%Y%m%d}{number:04}",
        person.card,
        person.birth_date,
        person.on,
        is_limit_certificate_consented=is_consented,
    )
    return Row(person, answer.validity, found.validity or 0, answer.explanation_ja)


def _table(rows: Sequence[Row]) -> Table:
    table = Table(show_lines=False)
    table.add_column("test person", overflow="fold")
    table.add_column("question", overflow="fold")
    table.add_column("expected", justify="center")
    table.add_column("gRPC", justify="center")
    table.add_column("folder", justify="center")
    table.add_column("answer and why", overflow="fold")
    for row in rows:
        person = row.person
        table.add_row(
            person.id,
            f"{person.insurer_number} {person.symbol} {person.number} {person.branch}\n{person.on}",
            str(person.expected_validity),
            str(row.by_wire),
            str(row.by_folder),
            f"{VALIDITY_NAMES.get(row.by_wire, '?')}\n{row.explanation.partition('。')[0]}。",
        )
    return table

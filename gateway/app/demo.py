"""The whole circle on one screen, on real processes, in Japanese or English."""

from __future__ import annotations

import asyncio
import dataclasses
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from google.protobuf.timestamp_pb2 import Timestamp
from rich.console import Console
from rich.table import Table

from gateway.app.circle import Asked, Circle, Told
from gateway.app.clock import SandboxClock, new_key
from gateway.app.demo_words import CHAPTERS, SAY, WAYS
from gateway.app.sandbox import INSTITUTION_CODE, Sandbox, running_sandbox
from gateway.app.screen import VALIDITY_NAMES
from gateway.app.supervisor import Gateway
from gateway.domain.period import Instant, tokyo_day, tokyo_time
from gateway.v1.eligibility_pb2_grpc import EligibilityServiceStub
from simulators.catalogue import catalogue
from simulators.channel import secure_channel
from simulators.clinic import Folders, ask, ask_by_folder
from simulators.people import TestPerson
from simulators.story import Story, job_change

if TYPE_CHECKING:
    from gateway.v1.eligibility_pb2_grpc import EligibilityServiceAsyncStub

TERMINAL_WIDTH_MIN: Final = 118
LOOKS_SHOWN: Final = 6
STORY_SERIALS: Final = 9_000_000


@dataclass(frozen=True, slots=True)
class Row:
    """A question to a named test person, the answer expected, and the two answers that came."""

    person: TestPerson
    by_wire: int
    by_folder: int

    @property
    def is_good(self) -> bool:
        """Whether both ways gave the answer expected."""
        return self.person.expected_validity == self.by_wire == self.by_folder


def run_demo(directory: Path | None, language: str) -> int:
    """
    Run the demo in a directory, or in a scratch folder that is removed; give the exit code.

    Args:
        language: `ja` or `en`.
    """
    if directory is not None:
        return asyncio.run(_demo(directory, language))
    with tempfile.TemporaryDirectory(prefix="onshi-demo-") as scratch:
        return asyncio.run(_demo(Path(scratch), language))


async def _demo(root: Path, language: str) -> int:
    console = Console(highlight=False, width=max(Console().width, TERMINAL_WIDTH_MIN))
    say = {key: words[language] for key, words in SAY.items()}
    console.print(say["title"])
    async with running_sandbox(root, port=0, people=0, seed=1) as (sandbox, gateway):
        clock = SandboxClock(sandbox.data.clock)
        today = tokyo_day(clock())
        clock.close()
        unique = new_key()
        story = job_change(int.from_bytes(unique) % STORY_SERIALS, today)
        told = await Circle(sandbox, story, today, f"story-{unique.hex()[:8]}").tell()
        rows = await _ask_all(sandbox, gateway, _chosen(catalogue(INSTITUTION_CODE).people))
    _print_story(console, say, language, story, told)
    bad = [row.person.id for row in rows if not row.is_good]
    console.print(say["all"].format(asked=len(rows), good=len(rows) - len(bad)))
    problems = [*told.problems(story), *bad]
    if not _notices_planted(told, story):
        problems.append("a planted wrong answer was not noticed")
    else:
        console.print(say["planted"])
    for problem in problems:
        console.print(f"NOT as expected: {problem}")
    console.print(say["good"] if not problems else say["bad"])
    sys.stdout.flush()
    return 1 if problems else 0


def _notices_planted(told: Told, story: Story) -> bool:
    """Whether the check finds a wrong answer, a claim that stayed, and a look that is hidden."""
    wrong = dataclasses.replace(told.asked[-1], validity=0)
    planted = (
        dataclasses.replace(told, asked=[*told.asked[:-1], wrong]),
        dataclasses.replace(told, billed_after=told.billed_before),
        dataclasses.replace(told, accesses=()),
    )
    return all(len(one.problems(story)) > len(told.problems(story)) for one in planted)


def _print_story(
    console: Console, say: dict[str, str], language: str, story: Story, told: Told
) -> None:
    console.print(say["story"].format(day=story.changed, name=story.person.name))
    console.print(_table(told.asked, language))
    stages = told.stages
    assert stages is not None
    console.print(
        say["stages"].format(
            **{
                name: f"{_ms(stages.received_time, at):.0f} ms"
                for name, at in (
                    ("checked", stages.checked_time),
                    ("linked", stages.linked_time),
                    ("projected", stages.projected_time),
                    ("visible", stages.visible_by_card_time),
                )
            }
        )
    )
    console.print(
        say["claim"].format(
            month=f"{story.changed:%Y-%m}",
            before=told.billed_before,
            code=told.check_code,
            after=told.billed_after,
        )
    )
    console.print(say["looks"].format(count=len(told.accesses)))
    for look in told.accesses[:LOOKS_SHOWN]:
        at = tokyo_time(Instant(look.access_time.seconds * 1_000_000))
        purpose = look.purpose_ja if language == "ja" else look.purpose_en
        console.print(f"   {at:%H:%M:%S}  {look.role} {look.code}  {purpose}", no_wrap=True)


def _ms(since: Timestamp, until: Timestamp) -> float:
    return (until.ToMicroseconds() - since.ToMicroseconds()) / 1000


def _table(asked: Sequence[Asked], language: str) -> Table:
    table = Table(show_lines=False)
    for heading in SAY["headings"][language].split("|"):
        table.add_column(heading, overflow="fold")
    chapter = ""
    for one in asked:
        what = CHAPTERS[one.chapter][language] if one.chapter != chapter else ""
        chapter = one.chapter
        ja, en = one.why
        why = ja.partition("。")[0] + "。" if language == "ja" else en.partition(". ")[0]
        name_ja, _, name_en = VALIDITY_NAMES[one.validity].partition(" ")
        name = name_ja if language == "ja" else name_en
        table.add_row(what, WAYS[one.way][language], f"{one.validity} {name}", why)
    return table


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
        asking = (_asked(stub, sandbox, person, number) for number, person in enumerate(people))
        return await asyncio.gather(*asking)


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
    return Row(person, answer.validity, found.validity or 0)

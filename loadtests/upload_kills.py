"""
Uploads over `kill -9`: wherever one was killed, it ends as if nothing had happened.

Each round sends the same file, of every kind of line, shuffled, to a fresh gateway, and kills the
sender, the writer or the supervisor at a random instant while it is received, sorted or applied;
whatever died is started again and the sender goes on under the same request id. The end state,
every version of every cover with its line, must be that of an undisturbed upload. A lost line
and a doubled one are planted first.

    python -m loadtests.upload_kills [--rounds 50] [--lines 3000] [--seed 1]
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Final

from gateway.app.certificates import issue_all
from loadtests import bulk_file
from loadtests.end_state import State, differences, end_state
from loadtests.facts import Facts, fresh_facts
from loadtests.kill_world import World
from loadtests.places import free_port, write_config

VICTIMS: Final = ("sender", "writer", "supervisor")
STAGES: Final = ("nothing", "receiving", "sorting", "applying", "applied")
KILLED_IN: Final = ("receiving", "sorting", "applying")
AFTER_S_MAX: Final = 0.15
"""How long after a stage began the kill comes at most; the stage may have passed by then."""
WATCH_S: Final = 0.002
LIMITS: Final = "[limits]\nslice_lines_max = 40\nsort_bytes_max = 65536\n"
"""Many slices and many runs, so that a kill finds each of them at work."""
REQUEST_ID: Final = "kills"
LINES_A_PERSON: Final = 6
LOST: Final = (
    "DELETE FROM cover_versions WHERE (enrollee_key, cover_no, version_no) = "
    "(SELECT enrollee_key, cover_no, version_no FROM cover_versions LIMIT 1)"
)
DOUBLED: Final = (
    "INSERT INTO cover_versions SELECT enrollee_key, cover_no, version_no + 100, recorded_time, "
    "superseded_time, acquisition_date, loss_date, state, upload_key, line_number, body "
    "FROM cover_versions LIMIT 1"
)
COUNTED_TWICE: Final = "UPDATE uploads SET lines_unchanged = lines_unchanged + 1"


def a_file(lines: int, seed: int) -> bytes:
    """Make a file of every kind of line about a few enrollees each, bad ones and twins of lines."""
    columns = (*bulk_file.COLUMNS, "new_number", "effective_date")
    rows: list[dict[str, str]] = []
    for person in range(lines // LINES_A_PERSON):
        said = [*_about(person)]
        rows += said
        if not person % 5:
            rows.append(said[1])
    random.Random(seed).shuffle(rows)
    text = [",".join(columns), *(",".join(row.get(c, "") for c in columns) for row in rows)]
    return ("\r\n".join(text) + "\r\n").encode()


def _about(person: int) -> list[dict[str, str]]:
    who = {
        "insurer_number": bulk_file.INSURER,
        "symbol": "記1",
        "number": str(person),
        "branch": "01",
        "birth_date": "19840229",
    }
    begun = who | {
        "action": "NEW",
        "acquisition_date": "20250401",
        "name": f"試験　{person}",
        "sex": "1",
        "insurer_name": "模擬健康保険組合",
    }
    lost = who | {"action": "LOSS", "loss_date": "20260401", "loss_reason": "03"}
    moved = who | {"action": "CORRECT", "new_number": f"9{person}"}
    address = {"action": "CHANGE", "address": "試験町1"}
    return [
        begun,
        lost | {"acquisition_date": "20250401"},
        begun | {"acquisition_date": "20260401"},
        who | {"action": "NUMBER", "individual_number": bulk_file.numbered(person)},
        moved | {"acquisition_date": "20260401"},
        (who if person % 3 else who | {"sex": "1"})
        | address
        | {"acquisition_date": "20260401", "number": f"9{person}" if person % 2 else str(person)},
    ]


class Round:
    """One upload to a fresh gateway, killed or not."""

    def __init__(self, root: Path, content: bytes) -> None:
        self.world = World(root, free_port())
        self._file = root / "file.csv"
        self._file.write_bytes(content)
        self.facts = fresh_facts(self.world.data)
        config = write_config(root, self.world.port, self.facts.store)
        config.write_text(config.read_text() + LIMITS)
        self._sender: asyncio.subprocess.Process | None = None

    async def run(self, victim: str, stage: str, after_s: float) -> tuple[float, str]:
        """Upload; give the seconds it took, and in what stage the kill found it."""
        await self.world.start()
        began = time.monotonic()
        found = ""
        try:
            await self._send()
            if victim:
                while STAGES.index(self._stage()) < STAGES.index(stage):  # noqa: ASYNC110  a database has no event
                    await asyncio.sleep(WATCH_S)
                await asyncio.sleep(after_s)
                found = self._stage()
                await self._kill(victim)
            assert self._sender is not None
            if await self._sender.wait():
                raise RuntimeError("the sender gave up")
            return time.monotonic() - began, found
        finally:
            assert self.world.supervisor is not None
            with contextlib.suppress(ProcessLookupError):
                self.world.supervisor.terminate()
            await self.world.supervisor.wait()

    async def _send(self) -> None:
        self._sender = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "loadtests.bulk_sender", "--root", str(self.world.root),
            "--port", str(self.world.port), "--file", str(self._file), "--request-id", REQUEST_ID,
        )  # fmt: skip

    async def _kill(self, victim: str) -> None:
        assert self._sender is not None
        assert self.world.supervisor is not None
        if victim == "sender":
            with contextlib.suppress(ProcessLookupError):
                self._sender.kill()
            await self._sender.wait()
            await self._send()
            return
        pids = [pid for name, pid in self.world.processes().items() if name.startswith(victim)]
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        if victim == "supervisor":
            await self.world.supervisor.wait()
            await self.world.start()

    def _stage(self) -> str:
        """What the upload is at, from its spool and its row, beside the gateway."""
        rows = self.facts.rows("SELECT state, lines_read FROM uploads")
        match rows[0] if rows else None:
            case None:
                return "receiving" if self.facts.is_spooled() else "nothing"
            case (2, 0):
                return "sorting"
            case (2, _):
                return "applying"
            case _:
                return "applied"


def planted(facts: Facts, truth: State) -> bool:
    """Show that the comparison finds a line whose effect is missing, or was there twice."""
    found = []
    for statement in (LOST, DOUBLED, COUNTED_TWICE):
        with facts.copied() as copy:
            copy.change(statement)
            found.append(differences(truth, end_state(copy)) > 0)
    print(f"planted: a lost line, a doubled one, one counted twice: found {found}")
    return all(found)


async def show(rounds: int, lines: int, seed: int) -> int:
    """Run everything; return the exit code."""
    rng = random.Random(seed)
    content = a_file(lines, seed)
    bad: list[str] = []
    kills: Counter[str] = Counter()
    with tempfile.TemporaryDirectory(prefix="onshi-kills-") as scratch:
        root = Path(scratch)
        issue_all(root / "certs", bulk_file.INSTITUTION, [bulk_file.INSURER])
        undisturbed = Round(root, content)
        usual_s, _ = await undisturbed.run("", "", 0.0)
        truth = end_state(undisturbed.facts)
        noticed = planted(undisturbed.facts, truth)
        undisturbed.facts.close()
        for number in range(rounds):
            victim = VICTIMS[number % len(VICTIMS)]
            stage = KILLED_IN[number // len(VICTIMS) % len(KILLED_IN)]
            one = Round(root, content)
            _, found = await one.run(victim, stage, rng.uniform(0.0, AFTER_S_MAX))
            kills[f"{victim} while {found}"] += 1
            count = differences(truth, end_state(one.facts))
            one.facts.close()
            if count:
                bad.append(f"round {number}: {victim} while {found}: {count} differences")
    print(f"{content.count(bytes([10])) - 1} lines, {usual_s:.1f} s undisturbed; seed {seed}")
    print(f"{rounds} kills: {dict(sorted(kills.items()))}; differences {len(bad)}")
    for sentence in bad[:10]:
        print(f"  {sentence}")
    return 0 if noticed and not bad else 1


def main() -> None:
    """Parse the options and run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=50)
    parser.add_argument("--lines", type=int, default=3_000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    sys.exit(asyncio.run(show(options.rounds, options.lines, options.seed)))


if __name__ == "__main__":
    main()

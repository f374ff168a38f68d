"""
A backup of a busy gateway, restored elsewhere: nothing acknowledged is lost, all answers are alike.

Clinics ask and insurers send while `onshi backup` copies the data directory: a file is half sent,
one is being applied, others wait. The copy is restored and a gateway started there. Whoever was
acknowledged before the backup began must be answered about as the original answers as of the copy's
moment, each answer given before must have its record in chains that verify, and each upload must
go on where it was and end as the original's. First damage is planted in copies: a dropped file, a
flipped byte, an older gateway.db beside a newer vault under a manifest made anew; and an older
backup, sound in itself, must not pass for the newer.

    python -m loadtests.backup_check [--lines 20000] [--rounds 5] [--seed 1]
"""

from __future__ import annotations

import argparse
import asyncio
import shutil
import sqlite3
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from gateway.app.backup_manifest import (
    DIGEST,
    MANIFEST,
    FileEntry,
    Manifest,
    read_manifest,
    write_manifest,
)
from gateway.app.certificates import issue_all
from gateway.store.copying import written
from gateway.v1.coverage_pb2_grpc import CoverageServiceStub
from gateway.v1.eligibility_pb2 import ConfirmEligibilityResponse
from loadtests.backup_world import HALF, WAITING, Place, onshi
from loadtests.end_state import State, differences, end_state
from loadtests.evidence import read_evidence
from loadtests.facts import FactsInFiles
from loadtests.kill_rounds import missing_records
from loadtests.kill_world import INSTITUTION, INSURER, durable_offset, upload
from loadtests.upload_kills import a_file

ASKERS: Final = 2
BASELINE_S: Final = 2.0
SETTLE_S: Final = 2.5
"""Until a moment is old enough to be asked about; see `known_time_margin_ms`."""
WATCH_S: Final = 0.005
STATES: Final = {2: "waiting", 3: "applied"}


@dataclass(frozen=True, slots=True)
class Taken:
    """A backup, and what was acknowledged before it began."""

    path: Path
    manifest: Manifest
    answers: dict[str, int]
    half_offset: int


async def take(place: Place, to: Path) -> Manifest:
    """Back a place up."""
    code, said = await onshi("backup", "--data", place.world.data, "--to", to, "--with-keys")
    if code:
        raise RuntimeError(said)
    return read_manifest(to)


async def take_busy(place: Place, to: Path, rounds: int, seed: int) -> Taken:
    """Take a backup with everything under way; the sender of the large file goes on after it."""
    place.ask_on(rounds, ASKERS, seed)
    await asyncio.sleep(BASELINE_S)
    quiet = p99(place.took_ms)
    half = await place.send_half()
    await place.send_big()
    while not place.is_big_moving():  # noqa: ASYNC110  a database has no event
        await asyncio.sleep(WATCH_S)
    await place.send_waiting()
    place.took_ms.clear()
    answers = dict(place.world.answers)
    began = time.monotonic()
    manifest = await take(place, to)
    took_s = time.monotonic() - began
    await place.end_clients()
    size = sum(entry.size_bytes for entry in manifest.files)
    print(
        f"backup of {size / 1e6:.1f} MB in {took_s:.1f} s with the command's start; lookups p99 "
        f"{quiet:.1f} ms before all, {p99(place.took_ms):.1f} ms beside it and the uploads"
    )
    print(f"uploads it found: {dict(states_in(to))}")
    return Taken(to, manifest, answers, half)


def p99(took: Sequence[float]) -> float:
    """The 99th of a hundred."""
    return statistics.quantiles(took, n=100)[98] if len(took) > 1 else 0.0


def states_in(backup: Path) -> Counter[str]:
    """In what states a copy found uploads."""
    uri = f"file:{backup / 'gateway.db'}?mode=ro&immutable=1"
    with closing(sqlite3.connect(uri, uri=True)) as connection:
        rows = connection.execute("SELECT state, lines_read FROM uploads").fetchall()
    found = Counter("half applied" if s == 2 and n else STATES[s] for s, n in rows)
    rest = sum(1 for _ in backup.glob("spool/*.spool")) - found["waiting"] - found["half applied"]
    found["half sent"] = rest
    return found


async def planted(backup: Path, early: Path, scratch: Path) -> bool:
    """Show that damaged copies are refused."""
    noticed = {}
    for name in PLANTS:
        copy = Path(shutil.copytree(backup, scratch / "planted"))
        PLANTS[name](copy, early)
        code, said = await onshi("backup", "verify", copy)
        noticed[name] = code == 1 and "BACKUP_BROKEN" in said
        shutil.rmtree(copy)
    print(f"planted: {noticed}")
    return all(noticed.values())


def drop_file(copy: Path, _early: Path) -> None:
    """Remove the largest segment of the access records."""
    max(copy.glob("access/*/*.log"), key=lambda path: path.stat().st_size).unlink()


def flip_byte(copy: Path, _early: Path) -> None:
    """Change one bit in the middle of the vault."""
    content = bytearray((copy / "vault.db").read_bytes())
    content[len(content) // 2] ^= 1
    (copy / "vault.db").write_bytes(content)


def make_stale(copy: Path, early: Path) -> None:
    """Put an older gateway.db into a copy, and write the manifest anew so that it agrees."""
    old, new = read_manifest(early), read_manifest(copy)
    shutil.copy(early / "gateway.db", copy / "gateway.db")
    for name in (MANIFEST, DIGEST):
        (copy / name).unlink()
    files = [FileEntry(e.name, *written(copy / e.name, lambda _: None)) for e in new.files]
    stale = msgspec.structs.replace(
        new,
        rows=new.rows | {"gateway.db": old.rows["gateway.db"]},
        last_recorded_time=old.last_recorded_time,
        files=tuple(files),
    )
    write_manifest(copy, stale)


PLANTS: Final[dict[str, Callable[[Path, Path], None]]] = {
    "a dropped file": drop_file,
    "a flipped byte": flip_byte,
    "an older gateway.db": make_stale,
}


async def restored(taken: Taken, root: Path, certs: Path, file: Path) -> Place:
    """Restore a backup into a place of its own and start a gateway there."""
    shutil.copytree(certs, root / "certs")
    place = Place(root, file)
    code, said = await onshi("restore", "--from", taken.path, "--data", place.world.data)
    if code:
        raise RuntimeError(said)
    await place.world.start()
    return place


async def unlike(original: Place, copy: Place, taken: Taken, rounds: int) -> list[str]:
    """What the copy says otherwise than the original as of its moment, or has lost."""
    known = taken.manifest.last_recorded_time
    asked = range(rounds)
    expected, found = await original.answers(asked, known), await copy.answers(asked, known)
    wrong = [
        f"person {who} is answered otherwise" for who in expected if expected[who] != found[who]
    ]
    wrong += [
        f"person {who} was acknowledged and is not valid"
        for who, answer in found.items()
        if ConfirmEligibilityResponse.FromString(answer).validity != 1
    ]
    async with copy.world.channel(f"insurer-{INSURER}") as channel:
        offset = await durable_offset(CoverageServiceStub(channel), HALF)
    if offset < taken.half_offset:
        wrong.append(f"of a half sent file {offset} bytes of {taken.half_offset} are left")
    print(f"people asked {len(expected)} as of the copy's moment; unlike or lost {len(wrong)}")
    return wrong


def unrecorded(taken: Taken, data: Path) -> list[str]:
    """Which answers given before the backup began have no record in the copy."""
    evidence = read_evidence(data / "access")
    missing = missing_records(taken.answers, evidence)
    print(
        f"answers before it began {len(taken.answers)}, without their record {len(missing)}; "
        f"chains {evidence.lives}, broken {len(evidence.problems)}"
    )
    return [*missing, *evidence.problems]


async def ended(place: Place) -> State:
    """Let every upload come to its end and give what the place says then."""
    await place.finish_all()
    await place.end()
    return end_state(FactsInFiles(place.world.data))


async def show(lines: int, rounds: int, seed: int) -> int:
    """Run everything; return the exit code."""
    with tempfile.TemporaryDirectory(prefix="onshi-backup-") as scratch:
        root = Path(scratch)
        file = root / "big.csv"
        file.write_bytes(a_file(lines, seed))
        issue_all(root / "certs", INSTITUTION, [INSURER])
        original = Place(root, file)
        copy: Place | None = None
        await original.world.start()
        try:
            await upload(original.world, 0)
            await take(original, root / "early")
            for round_no in range(1, rounds):
                await upload(original.world, round_no)
            taken = await take_busy(original, root / "backup", rounds, seed)
            noticed = await planted(taken.path, root / "early", root)
            copy = await restored(taken, root / "copy", root / "certs", file)
            await asyncio.sleep(SETTLE_S)
            wrong = await unlike(original, copy, taken, rounds)
            truth = await ended(original)
            here = await ended(copy)
        finally:
            for place in (original, copy):
                if place is not None:
                    await place.end()
        wrong += unrecorded(taken, copy.world.data)
        code, _ = await onshi("restore", "--from", root / "early", "--data", root / "older")
        older = differences(truth, end_state(FactsInFiles(root / "older"))) if not code else 0
        print(f"an older backup: {older} differences from the original's end")
        count = differences(truth, here)
        print(f"uploads gone on with: {len((HALF, *WAITING)) + 1}; differences at the end {count}")
        for sentence in wrong[:10]:
            print(f"  {sentence}")
    return 0 if noticed and older and not wrong and not count else 1


def main() -> None:
    """Parse the options and run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lines", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    sys.exit(asyncio.run(show(options.lines, options.rounds, options.seed)))


if __name__ == "__main__":
    main()

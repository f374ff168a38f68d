"""
A month of claims, checked by the gateway and then against what is true of each claim.

A sandbox runs with a made-up population; a clinic's file of claims is written and `onshi claims
check` decides on it. Every file that comes out is read by an auditor of its own
(`loadtests/uke_audit.py`), and every claim is compared with its truth: the 確認区分, the insurer,
card and claim type, and that nothing changed which had no reason to. Planted defects are shown to
be found first. No name and no number of a person is printed.

    python -m loadtests.claims_check [--claims 1000] [--seed 1]
"""

from __future__ import annotations

import argparse
import asyncio
import csv
import subprocess
import sys
import tempfile
import time
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path
from typing import Final, NamedTuple

from gateway.app.sandbox import INSTITUTION_CODE, read_description, running_sandbox
from loadtests.claims_world import make_known
from loadtests.uke_audit import AuditedClaim, audit
from simulators.catalogue import ON
from simulators.claims import SITUATIONS, ClaimFile, Truth, claims_of
from simulators.population import population

MONTH: Final = "202603"
"""The month of care; the population's histories reach a little beyond it."""
ASKED_ON: Final = date(2026, 3, 15)
PEOPLE_PER_CLAIM: Final = 3
PEOPLE_MIN: Final = 600
CHECK_S_MAX: Final = 600
SHOWN_MAX: Final = 20
"""Sentences printed of those that say what is wrong."""
FILE_NAME: Final = "RECEIPTC.UKE"

_MAY_CHANGE: Final = {"04": {"RE": {3, 8}, "HO": {2, 3, 4}}}
"""Fields, the record id being 1, that may differ beside the SN record, by 確認区分."""


class Came(NamedTuple):
    """A claim that came out, and where."""

    claim: AuditedClaim
    insurer: str
    is_moved: bool


@dataclass(slots=True)
class Outcome:
    """All that came out: claims and decisions by claim number, and what is wrong with files."""

    claims: dict[int, list[Came]] = field(default_factory=dict)
    decisions: dict[int, list[str]] = field(default_factory=dict)
    files: int = 0
    problems: list[str] = field(default_factory=list)


def read_outcome(out: Path) -> Outcome:
    """Read and audit every file under a directory `onshi claims check` wrote."""
    outcome = Outcome()
    for kind in ("billed", "moved"):
        for path in sorted((out / kind).glob(f"*/{FILE_NAME}")):
            report = audit(path.read_bytes(), is_moved=kind == "moved")
            outcome.files += 1
            place = f"{kind}/{path.parent.name}"
            outcome.problems += [f"{place}: {problem}" for problem in report.problems]
            for number, claim in report.claims.items():
                came = Came(claim, path.parent.name, is_moved=kind == "moved")
                outcome.claims.setdefault(number, []).append(came)
    with (out / "summary.csv").open(encoding="utf-8-sig", newline="") as lines:
        for row in csv.DictReader(lines):
            number = int(row["claim_number"])
            outcome.decisions.setdefault(number, []).append(row["check_code"])
    with (out / "errors.csv").open(encoding="utf-8-sig", newline="") as lines:
        outcome.problems += [
            f"refused: line {row['line_number']}, {row['record']} {row['field']}: {row['reason']}"
            for row in csv.DictReader(lines)
        ]
    return outcome


def faults(truth: Truth, sent: AuditedClaim, outcome: Outcome) -> list[str]:
    """What is wrong with how one claim came out."""
    came = outcome.claims.get(truth.number, [])
    found = []
    decisions = outcome.decisions.get(truth.number, [])
    if decisions != [truth.check_code]:
        found.append(f"decided {' '.join(decisions) or 'nothing'}, expected {truth.check_code}")
    if len(came) != 1:
        return [*found, f"came out {len(came)} times"]
    claim, insurer, is_moved = came[0]
    if (insurer.strip().zfill(8), is_moved) != (
        truth.card.insurer_number,
        truth.check_code == "04",
    ):
        found.append("in the wrong file")
    if not _has_card(claim, truth):
        found.append("card or claim type")
    if truth.check_code == "02":
        return found if claim.raw == sent.raw else [*found, "not byte for byte as it came"]
    if claim.check_code != truth.check_code:
        found.append("確認区分 in the SN record")
    if truth.check_code == "04" and not _has_confirmed(claim, truth):
        found.append("card in the SN record")
    allowed = _MAY_CHANGE.get(truth.check_code, {})
    if _kept(sent, allowed) != _kept(claim, allowed):
        found.append("changed where nothing may change")
    return found


def _has_card(claim: AuditedClaim, truth: Truth) -> bool:
    card = truth.card
    return (
        claim.insurer_number.zfill(8) == card.insurer_number
        and _folded(claim.symbol) == _folded(card.symbol)
        and _folded(claim.card_number) == _folded(card.number)
        and claim.branch == card.branch
        and claim.claim_type == truth.claim_type
    )


def _has_confirmed(claim: AuditedClaim, truth: Truth) -> bool:
    card = truth.card
    return (
        claim.confirmed_insurer.zfill(8) == card.insurer_number
        and _folded(claim.confirmed_symbol) == _folded(card.symbol)
        and _folded(claim.confirmed_number) == _folded(card.number)
    )


def _folded(text: str) -> str:
    return unicodedata.normalize("NFKC", text)


def _kept(claim: AuditedClaim, allowed: Mapping[str, set[int]]) -> list[list[bytes]]:
    """The records but SN, with the fields that may change left out."""
    kept = []
    for line in claim.lines:
        fields = line.split(b",")
        record = fields[0].decode("ascii")
        if record != "SN":
            free = allowed.get(record, set())
            kept.append([part for place, part in enumerate(fields, 1) if place not in free])
    return kept


@dataclass(slots=True)
class Judgement:
    """How many claims of each 確認区分 and situation are right, and what is wrong."""

    right: Counter[tuple[str, str]] = field(default_factory=Counter)
    wrong: Counter[tuple[str, str]] = field(default_factory=Counter)
    sentences: list[str] = field(default_factory=list)


def judge(truths: Sequence[Truth], sent: Mapping[int, AuditedClaim], outcome: Outcome) -> Judgement:
    """Compare every claim with its truth, and look for claims nobody sent."""
    judged = Judgement()
    for truth in truths:
        found = faults(truth, sent[truth.number], outcome)
        (judged.wrong if found else judged.right)[truth.check_code, truth.situation] += 1
        judged.sentences += [
            f"claim {truth.number} ({truth.situation}): {sentence}" for sentence in found
        ]
    known = {truth.number for truth in truths}
    strangers = (outcome.claims.keys() | outcome.decisions.keys()) - known
    judged.sentences += [f"claim {number}: nobody sent it" for number in sorted(strangers)]
    return judged


def planted_files(data: bytes) -> dict[str, bytes]:
    """The file with one defect each."""
    lines = data.removesuffix(b"\x1a").split(b"\r\n")[:-1]

    def changed(record: bytes, place: int, change: bytes | None = None) -> bytes:
        """The first such record with a field one off, or changed."""
        at = next(i for i, line in enumerate(lines) if line.startswith(record))
        fields = lines[at].split(b",")
        old = fields[place - 1]
        fields[place - 1] = b"%d" % (int(old) + 1) if change is None else change
        return b"\r\n".join([*lines[:at], b",".join(fields), *lines[at + 1 :], b"\x1a"])

    insurer = next(line for line in lines if line.startswith(b"HO,")).split(b",")[1]
    other_digit = b"%d" % ((int(insurer[-1:]) + 1) % 10)
    visits = next(line for line in lines if line.startswith(b"JD,")).split(b",")
    return {
        "GO count off by one": changed(b"GO,", 2),
        "GO points off by one": changed(b"GO,", 3),
        "points of a claim off by one": changed(b"HO,", 6),
        "check digit of an insurer": changed(b"HO,", 2, insurer[:-1] + other_digit),
        "a field too many": changed(b"RE,", 38, b","),
        "a JD day missing": changed(b"JD,", visits.index(b"1", 2) + 1, b""),
        "a line end without CR": data.replace(b"\r\n", b"\n", 1),
        "a second end of file": data + b"\x1a",
    }


def show_planted(made: ClaimFile, sent: Mapping[int, AuditedClaim]) -> bool:
    """Show that auditor and judge can fail: a defect at a time is planted and must be found."""
    found = {
        name: bool(audit(data, is_moved=False).problems)
        for name, data in planted_files(made.data).items()
    }
    truth = next(truth for truth in made.truths if truth.check_code == "02")
    claim = sent[truth.number]
    came = Came(claim, truth.card.insurer_number, is_moved=False)
    as_sent = Outcome({truth.number: [came]}, {truth.number: ["02"]})
    is_quiet = not faults(truth, claim, as_sent)
    at = claim.raw.rindex(b"\r\n") - 1
    bent = claim.raw[:at] + bytes([claim.raw[at] ^ 1]) + claim.raw[at + 1 :]
    bent_came = came._replace(claim=replace(claim, raw=bent))
    found |= {
        "a wrong truth": bool(faults(replace(truth, check_code="06"), claim, as_sent)),
        "one byte of an untouched claim": bool(
            faults(truth, claim, replace(as_sent, claims={truth.number: [bent_came]}))
        ),
        "a claim twice": bool(
            faults(truth, claim, replace(as_sent, claims={truth.number: [came, came]}))
        ),
        "a claim lost": bool(faults(truth, claim, replace(as_sent, claims={}))),
    }
    for name, is_found in found.items():
        print(f"planted: {name:34} {'found' if is_found else 'NOT FOUND'}")
    return is_quiet and all(found.values())


def run_check(file: Path, out: Path, sandbox: Path) -> subprocess.CompletedProcess[str]:
    """Run `onshi claims check` as a program of its own."""
    command = ("-m", "gateway", "claims", "check", str(file), "--out", str(out))
    return subprocess.run(
        [sys.executable, *command, "--dir", str(sandbox)],
        capture_output=True,
        text=True,
        check=False,
        timeout=CHECK_S_MAX,
    )


def show_judgement(judged: Judgement, outcome: Outcome) -> bool:
    """Print the table and the figures; give whether all is right."""
    print(f"{'確認区分':6} {'claims':>7} {'right':>7} {'wrong':>7}  situation")
    for situation, (code, _) in SITUATIONS.items():
        right, wrong = judged.right[code, situation], judged.wrong[code, situation]
        print(f"{code:10} {right + wrong:7} {right:7} {wrong:7}  {situation}")
    for code in sorted({code for code, _ in SITUATIONS.values()}):
        right, wrong = (
            sum(n for (of, _), n in counts.items() if of == code)
            for counts in (judged.right, judged.wrong)
        )
        print(f"{code:10} {right + wrong:7} {right:7} {wrong:7}  all")
    for sentence in (*outcome.problems[:SHOWN_MAX], *judged.sentences[:SHOWN_MAX]):
        print(f"  {sentence}")
    print(
        f"files {outcome.files}, problems the auditor found {len(outcome.problems)}; "
        f"right {judged.right.total()}, wrong {judged.wrong.total()}"
    )
    return not outcome.problems and not judged.sentences


async def show(claims: int, seed: int) -> int:
    """Run everything; return the exit code."""
    people = max(PEOPLE_MIN, PEOPLE_PER_CLAIM * claims)
    made = claims_of(population(people, seed, ON), MONTH, claims, seed, INSTITUTION_CODE)
    report = audit(made.data, is_moved=False)
    for problem in report.problems[:SHOWN_MAX]:
        print(f"  generated file: {problem}")
    sent = report.claims
    is_sound = not report.problems and list(sent) == [truth.number for truth in made.truths]
    print(f"claims {claims}, seed {seed}, {len(made.data)} bytes; generated file sound: {is_sound}")
    if not show_planted(made, sent) or not is_sound:
        return 1
    with tempfile.TemporaryDirectory(prefix="onshi-claims-") as scratch:
        root, out = Path(scratch) / "box", Path(scratch) / "out"
        file = Path(scratch) / FILE_NAME
        file.write_bytes(made.data)
        async with running_sandbox(root, port=0, people=people, seed=seed) as (sandbox, _):
            described = read_description(sandbox.root)
            await make_known(described, made.households, f"claims-check-{seed}", ASKED_ON)
            print(f"people {people}, households made for claims {len(made.households)}")
            begin = time.monotonic()
            done = await asyncio.to_thread(run_check, file, out, root)
            taken_s = time.monotonic() - begin
        print(f"onshi claims check: exit code {done.returncode}, {taken_s:.1f} s")
        if done.returncode:
            print(f"  {done.stderr.strip()[:400]}")
            return 1
        outcome = read_outcome(out)
        return 0 if show_judgement(judge(made.truths, sent, outcome), outcome) else 1


def main() -> None:
    """Parse the options and run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--claims", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    sys.exit(asyncio.run(show(options.claims, options.seed)))


if __name__ == "__main__":
    main()

"""
Every test person asked three ways: gRPC, folder in UTF-8, folder in Shift_JIS; all must agree.

    python -m loadtests.catalogue_check
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from gateway.app.sandbox import INSTITUTION_CODE, Sandbox, running_sandbox
from gateway.v1.eligibility_pb2_grpc import EligibilityServiceStub
from simulators.catalogue import catalogue
from simulators.channel import secure_channel
from simulators.clinic import FileEncoding, Folders, ask, ask_by_folder
from simulators.people import TestPerson

if TYPE_CHECKING:
    from gateway.v1.eligibility_pb2_grpc import EligibilityServiceAsyncStub

Answers = dict[str, int | None]


async def answers_about(
    stub: EligibilityServiceAsyncStub, sandbox: Sandbox, person: TestPerson, number: int
) -> Answers:
    """Ask about one person every way; `number` keeps the file names apart."""
    question = (person.card, person.birth_date, person.on)
    consent = person.is_limit_certificate_consented
    wire = await ask(stub, *question, is_limit_certificate_consented=consent)
    answers: Answers = {"gRPC": int(wire.validity)}
    encodings: tuple[FileEncoding, ...] = ("utf-8", "shift_jis")
    for encoding in encodings:
        folders = Folders(
            sandbox.folders / "req",
            sandbox.folders / "res",
            INSTITUTION_CODE,
            encoding=encoding,
        )
        found = await ask_by_folder(
            folders,
            f"{number:010}{encodings.index(encoding):02}",
            *question,
            is_limit_certificate_consented=consent,
        )
        agrees = found.encoding == encoding and len(found.coverages) == len(wire.coverages)
        answers[f"folder {encoding}"] = found.validity if agrees else None
    return answers


def disagreements(person: TestPerson, answers: Answers) -> list[str]:
    """The ways that did not give the answer expected."""
    return [
        f"{person.id} by {way}: {answer}, expected {person.expected_validity}"
        for way, answer in answers.items()
        if answer != person.expected_validity
    ]


async def show() -> int:
    """Ask about everyone and print what disagrees."""
    people = catalogue(INSTITUTION_CODE).people
    with tempfile.TemporaryDirectory(prefix="onshi-catalogue-") as scratch:
        async with running_sandbox(Path(scratch), port=0, people=0, seed=1) as (sandbox, gateway):
            party = sandbox.party("institution")
            async with secure_channel(gateway.address, **party) as channel:
                stub = EligibilityServiceStub(channel)
                planted = replace(people[0], expected_validity=people[0].expected_validity + 1)
                noticed = disagreements(planted, await answers_about(stub, sandbox, planted, 9999))
                print(f"planted wrong expectation: {len(noticed)} of 3 ways disagree")
                asking = (
                    answers_about(stub, sandbox, person, number)
                    for number, person in enumerate(people)
                )
                wrong = [
                    sentence
                    for person, answers in zip(people, await asyncio.gather(*asking), strict=True)
                    for sentence in disagreements(person, answers)
                ]
    counts = Counter(person.expected_validity for person in people)
    print(f"{len(people)} persons, by validity {dict(sorted(counts.items()))}, 3 ways each")
    for sentence in wrong:
        print(f"  {sentence}")
    print(f"disagreements {len(wrong)}")
    return 1 if wrong or len(noticed) != 3 or min(counts.values()) < 2 or len(counts) != 6 else 0


def main() -> None:
    """Run."""
    sys.exit(asyncio.run(show()))


if __name__ == "__main__":
    main()

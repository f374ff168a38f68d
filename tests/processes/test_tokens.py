"""Tokens and histories on a whole sandbox, by the commands and through the workers."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

import pytest
from google.type.date_pb2 import Date

from gateway.app.sandbox import INSTITUTION_CODE, Sandbox, read_description, running_sandbox
from gateway.app.supervisor import Gateway
from gateway.v1.coverage_pb2 import GetEnrolleeHistoryRequest
from gateway.v1.coverage_pb2_grpc import CoverageServiceStub
from gateway.v1.eligibility_pb2 import VERSION_KIND_ACQUIRED, VERSION_KIND_LOST
from gateway.v1.types_pb2 import InsuredId
from loadtests.places import channel_to
from simulators.catalogue import catalogue
from simulators.people import TestPerson
from simulators.reader import PortalVisitor, Wallet

pytestmark = pytest.mark.processes
PERSON = "job-changed"
TRIES, PAUSE_S = 40, 0.25


async def onshi(sandbox: Sandbox, *words: str) -> tuple[int, str]:
    """Run a command in the sandbox; its exit code and what it printed."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "gateway", words[0], "--dir", str(sandbox.root), *words[1:]),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    out, _ = await process.communicate()
    assert process.returncode is not None
    return process.returncode, out.decode()


async def old_enough(sandbox: Sandbox, *words: str) -> dict[str, Any]:
    """Run a command for JSON, again while its moment is too new."""
    for _ in range(TRIES):
        code, out = await onshi(sandbox, *words, "--json")
        said: dict[str, Any] = json.loads(out)
        if said.get("reason") != "KNOWN_TIME_TOO_NEW":
            assert code == 0, out
            return said
        await asyncio.sleep(PAUSE_S)
    pytest.fail("it never became old enough")


def question_of(person: TestPerson, *, has_day: bool = True) -> list[str]:
    """A clinic's question as the command line spells it."""
    day = ["--on", f"{person.on}"] if has_day else []
    return [
        *("--insurer", person.insurer_number, "--symbol", person.symbol),
        *("--number", person.number, "--branch", person.branch),
        *("--birth-date", f"{person.birth_date}", *day),
    ]


def lasting(said: dict[str, Any]) -> dict[str, Any]:
    """All of an answer but when it was made and its access record."""
    return {
        name: value
        for name, value in said.items()
        if name not in ("process_time", "access_record_id")
    }


async def told_of(sandbox: Sandbox, gateway: Gateway, person: TestPerson) -> tuple[Any, Any]:
    """The histories an insurer and the person get."""
    wallet = Wallet(sandbox.root / "cards")
    card = await wallet.issued(PERSON, read_description(sandbox.root)["register"])
    pin = wallet.pin(PERSON)
    async with channel_to(sandbox.root, gateway.port, "portal") as channel:
        visitor = PortalVisitor(channel)
        await visitor.register(card, pin)
        own = await visitor.history(card, pin)
    request = GetEnrolleeHistoryRequest(
        insured_id=InsuredId(
            insurer_number=person.insurer_number,
            symbol=person.symbol,
            number=person.number,
            branch=person.branch,
        ),
        birth_date=Date(
            year=person.birth_date.year,
            month=person.birth_date.month,
            day=person.birth_date.day,
        ),
    )
    party = f"insurer-{person.insurer_number}"
    async with channel_to(sandbox.root, gateway.port, party) as channel:
        return await CoverageServiceStub(channel).GetEnrolleeHistory(request), own


async def test_an_answer_is_asked_again_and_histories_are_told(tmp_path: Path) -> None:
    """By number and by card, now and as of a moment, explained, and refused where it must be."""
    people = catalogue(INSTITUTION_CODE).people
    person = next(one for one in people if one.id == PERSON)
    other = people[0]
    async with running_sandbox(tmp_path, port=0, people=0, seed=1) as (sandbox, gateway):
        history, own = await told_of(sandbox, gateway, person)
        kinds = [one.learned.kind for one in history.versions]
        assert kinds == [VERSION_KIND_ACQUIRED, VERSION_KIND_LOST]
        assert {person.insurer_number} == {one.insurer_number for one in history.links}
        assert len({one.insurer_number for one in own.versions}) == 2

        code, out = await onshi(sandbox, "confirm", *question_of(person), "--json")
        assert code == 0, out
        then = json.loads(out)
        token = ("--token", then["answer_token"])
        undated = question_of(person, has_day=False)
        again = await old_enough(sandbox, "confirm", *undated, *token)
        assert lasting(then) == lasting(again)
        why = await old_enough(sandbox, "why", *undated, *token)
        assert then["reason"] == why["reason"]
        before = await old_enough(sandbox, "confirm", *undated, "--known-at", "2020-01-01T00:00")
        assert before["reason"] == "NOTHING_MATCHES"

        code, out = await onshi(sandbox, "confirm", *question_of(other), *token)
        assert (code, "TOKEN_OF_ANOTHER_QUESTION" in out) == (1, True)
        code, out = await onshi(sandbox, "confirm", *undated, *token, "--known-at", "2026-01-01")
        assert (code, "--known-at or --token" in out) == (1, True)

        visit = ("visit", "--person", PERSON, "--reader", "face")
        code, out = await onshi(sandbox, *visit, "--json")
        assert code == 0, out
        by_card = json.loads(out)
        repeated = await old_enough(sandbox, *visit, "--token", by_card["answer_token"])
        assert lasting(by_card) == lasting(repeated)

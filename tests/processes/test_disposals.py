"""A disposal on a whole sandbox, by the command: dry, ordered, certified; and what is refused."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from gateway.app.disposal_files import certificates
from gateway.app.sandbox import INSTITUTION_CODE, advance_clock, running_sandbox
from gateway.app.screen import print_trail
from gateway.store.trail import verify
from simulators.catalogue import catalogue
from tests.processes.test_tokens import (
    PAUSE_S,
    PERSON,
    TRIES,
    lasting,
    old_enough,
    onshi,
    question_of,
    told_of,
)

pytestmark = pytest.mark.processes
YEARS_LATER = 2_400
"""Days; longer than anything is kept that may go."""


async def test_what_is_over_is_disposed_of_and_told(tmp_path: Path) -> None:
    """
    Years later replaced versions go, and an answer of before cannot be given again.

    What is known last is answered as before, and the certificates are whole until one is changed.
    """
    people = catalogue(INSTITUTION_CODE).people
    person = next(one for one in people if one.id == PERSON)
    question = question_of(person)
    async with running_sandbox(tmp_path, port=0, people=0, seed=1) as (sandbox, gateway):
        code, out = await onshi(sandbox, "confirm", *question, "--json")
        assert code == 0, out
        token = ("--token", json.loads(out)["answer_token"])
        await told_of(sandbox, gateway, person)  # Something is recorded later: a card.
        await old_enough(sandbox, "confirm", *question, *token)
        code, out = await onshi(sandbox, "dispose", "--dry-run", "--json")
        assert (code, "cover_versions" in out) == (0, True)
        early = json.loads(out)["removed"][0]
        assert early["rows"] == {"cover_versions": 0, "links": 0}

        advance_clock(sandbox.root, YEARS_LATER)
        code, out = await onshi(sandbox, "dispose", "--dry-run", "--json")
        due = json.loads(out)["removed"][0]["rows"]
        assert (code, due["cover_versions"] > 0) == (0, True)
        gone = 0
        for number in range(1, TRIES):
            code, out = await onshi(sandbox, "dispose", "--by", "tester", "--json")
            assert code == 0, out
            done = json.loads(out)
            assert (done["number"], done["ordered_by"]) == (number, "tester")
            gone += done["removed"][0]["rows"].get("cover_versions", 0)
            code, out = await onshi(sandbox, "confirm", *question, *token)
            if "FACTS_DISPOSED" in out:
                break
            await asyncio.sleep(PAUSE_S)  # Institutions were not told of all of it yet.
        assert (code, "FACTS_DISPOSED" in out) == (1, True)
        assert 0 < gone <= due["cover_versions"]
        code, out = await onshi(sandbox, "dispose", "--language", "ja")
        assert (code, f"廃棄証明 {number + 1}" in out) == (0, True)
        today = question_of(person, has_day=False)
        fresh = await old_enough(sandbox, "confirm", *today)
        again = await old_enough(sandbox, "confirm", *today, "--token", fresh["answer_token"])
        assert lasting(fresh) == lasting(again)
        assert print_trail(verify(sandbox.data.access, sandbox.data.trail))

        code, out = await onshi(sandbox, "dispose", "list")
        assert (code, "chain of certificates is whole" in out) == (0, True)
        folder = sandbox.data.disposals
        first = folder / "000001.json"
        first.write_text(first.read_text().replace('"tester"', '"nobody"'))
        assert certificates(folder)[1] == 1
        first.unlink()
        assert certificates(folder)[1] == 1

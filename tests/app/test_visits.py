"""What `onshi visit` and `onshi portal` do, against a server in this process."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from datetime import date
from pathlib import Path
from typing import Any

import grpc
import pytest
import pytest_asyncio

from gateway.app import visits
from gateway.app.visits import Wish, own_accesses, register_card, set_conditions, visit
from gateway.domain.card import HolderCheck
from gateway.domain.purpose import Role
from simulators.clinic import read_result
from simulators.reader import Wallet
from tests.edges import test_card_service as at_clinic
from tests.edges import test_person_service as at_home
from tests.edges.card_stand import CLINIC, PIN, WRONG, CardWorld

FACE, BY_PIN, VISUAL = HolderCheck.FACE, HolderCheck.PIN, HolderCheck.VISUAL


class Clinic(at_clinic.Served):
    """A house that looks like a sandbox with a reader, and Ann's card in its wallet."""


class Home(at_home.Served):
    """The same with a portal."""


def put_in_order(made: Clinic | Home) -> Path:
    """Write what a running sandbox writes, and put the card into the wallet; gives its root."""
    root = made.folder
    (root / "face").mkdir()
    cards = root / "cards"
    cards.mkdir()
    made.world.chip(cards / "ann.card.json", 0)
    (cards / "ann.letter.json").write_text(json.dumps({"pin": PIN}))
    nowhere = {"address": "127.0.0.1:1", **made.party(Role.OPERATOR)}
    described: dict[str, Any] = {
        "address": made.address,
        "certificates": {
            "institution": made.party(Role.INSTITUTION),
            "portal": made.party(Role.PORTAL),
        },
        "folders": {"face": str(root / "face")},
        "institution_code": CLINIC,
        "register": nowhere,
    }
    (root / "sandbox.json").write_text(json.dumps(described, default=str))
    return root


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> CardWorld:
    """An authority and two cards."""
    return CardWorld.made(tmp_path_factory.mktemp("authority"), 2)


@pytest_asyncio.fixture
async def clinic(tmp_path: Path, world: CardWorld) -> AsyncIterator[Path]:
    """The root of a sandbox whose clinic has a reader."""
    made = Clinic.at(tmp_path, world)
    await made.prepare()
    async with made.serving(made.services()):
        yield put_in_order(made)


@pytest_asyncio.fixture
async def home(tmp_path: Path, world: CardWorld) -> AsyncIterator[Path]:
    """The root of a sandbox with a portal."""
    made = Home.at(tmp_path, world)
    async with made.serving(made.service().methods()):
        yield put_in_order(made)


@pytest.mark.parametrize("check", list(HolderCheck))
async def test_a_visit_is_answered_and_lies_in_the_face_folder(
    clinic: Path, check: HolderCheck
) -> None:
    """The file says what the answer says, by card."""
    done = await visit(clinic, Wish("ann", check))
    assert done.outcome.is_answer
    assert done.outcome.as_dict()["validity"] == 1
    assert done.face_file is not None
    assert [done.face_file] == list((clinic / "face").iterdir())
    assert done.face_file.name.startswith(f"OQSsiquc01res_face_{CLINIC}")
    written = read_result(done.face_file.read_bytes())
    assert (written.validity, written.header["ReferenceClassification"]) == (1, "1")
    assert [cover["InsurerNumber"] for cover in written.coverages] == ["06139992"]


async def test_a_visit_asks_about_the_day_wished_for(clinic: Path) -> None:
    """The day is that of the answer and of the file."""
    done = await visit(clinic, Wish("ann", VISUAL, on=date(2026, 2, 1)))
    assert done.face_file is not None
    header = read_result(done.face_file.read_bytes()).header
    assert header["QualificationConfirmationDate"] == "20260201"


async def test_a_pin_of_ones_own_is_tried_instead_of_the_letters(clinic: Path) -> None:
    """A wrong one is a refusal with advice, and no file."""
    done = await visit(clinic, Wish("ann", BY_PIN, pin=WRONG))
    assert (done.outcome.status, done.outcome.reason) == ("PERMISSION_DENIED", "PIN_WRONG")
    assert done.outcome.advice_ja
    assert done.outcome.advice_en
    assert done.face_file is None
    assert list((clinic / "face").iterdir()) == []


async def test_a_face_too_unlike_is_a_refusal(clinic: Path) -> None:
    """The score is the one wished for."""
    done = await visit(clinic, Wish("ann", FACE, face_score=79))
    assert done.outcome.reason == "FACE_NOT_MATCHED"


async def test_a_pin_out_of_form_costs_no_try(clinic: Path) -> None:
    """It never gets to the card's counter, and is said so."""
    done = await visit(clinic, Wish("ann", BY_PIN, pin="12a4"))
    card = Wallet(clinic / "cards").card("ann")
    assert (done.outcome.is_answer, done.outcome.reason) == (False, "PIN_FORM")
    assert card is not None
    assert card.tries_left == 3


async def test_a_pin_is_not_looked_at_where_none_is_asked(clinic: Path) -> None:
    """By sight a PIN on the command line does nothing."""
    done = await visit(clinic, Wish("ann", VISUAL, pin="nonsense"))
    assert done.outcome.is_answer


async def test_registering_twice_changes_something_once(home: Path, world: CardWorld) -> None:
    """The command says whether something changed."""
    first = await register_card(home, "ann")
    again = await register_card(home, "ann")
    assert first == (None, True)
    assert again == (None, False)


async def test_looks_are_listed_once_the_card_is_registered(home: Path) -> None:
    """Before that there is a refusal instead."""
    refused, nothing = await own_accesses(home, "ann")
    assert refused is not None
    assert (refused.reason, list(nothing)) == ("CARD_NOT_REGISTERED", [])
    await register_card(home, "ann")
    none, looks = await own_accesses(home, "ann")
    assert none is None
    assert [look.access_record_id for look in looks] == ["life-7", "life-6"]


class NotFoundError(grpc.aio.AioRpcError):
    """What the register says of a resident it does not know: no details of ours."""

    def __init__(self) -> None:
        metadata = grpc.aio.Metadata()
        super().__init__(grpc.StatusCode.NOT_FOUND, metadata, metadata)


async def test_a_person_nobody_knows_is_said_so(
    clinic: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By all three commands, with a way to find those there are."""

    async def issued(*_: object) -> None:
        raise NotFoundError

    monkeypatch.setattr(visits.Wallet, "issued", issued)
    seen = [
        (await visit(clinic, Wish("nobody", VISUAL))).outcome,
        (await register_card(clinic, "nobody"))[0],
        (await own_accesses(clinic, "nobody"))[0],
    ]
    for outcome in seen:
        assert outcome is not None
        assert outcome.reason == "PERSON_UNKNOWN"
        assert "onshi people" in outcome.advice_ja
        assert "onshi people" in outcome.advice_en


async def test_without_a_sandbox_each_command_says_how_to_start_one(tmp_path: Path) -> None:
    """Nothing is tried."""
    seen = [
        (await visit(tmp_path, Wish("ann", VISUAL))).outcome,
        (await register_card(tmp_path, "ann"))[0],
        (await own_accesses(tmp_path, "ann"))[0],
        await set_conditions(tmp_path, 1, 2, 3, is_away=True),
    ]
    assert [outcome and outcome.reason for outcome in seen] == ["SANDBOX_NOT_RUNNING"] * 4

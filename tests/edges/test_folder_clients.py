"""Receipt computers of every habit get their answer, and the counter of the bad day is fair."""

from __future__ import annotations

import asyncio
from datetime import date
from pathlib import Path

import pytest

from loadtests.folder_counter import Counter
from simulators.clinic import read_result
from simulators.folder_client import SUFFIXES, FolderClient, Style, Taken, all_styles
from simulators.people import Card
from tests.edges.folder_stand import Gateway, running, settings_in

CARD = Card("06130017", "記号", "42", "")


def client_in(folder: Path, style: Style) -> FolderClient:
    """A client beside the folders of a test."""
    outbox = folder / "outbox"
    outbox.mkdir(exist_ok=True)
    return FolderClient(folder / "req", folder / "res", outbox, "1319999999", style)


@pytest.mark.parametrize(
    "style", all_styles(), ids=lambda style: f"{style.way}-{style.habit}-{style.encoding}"
)
async def test_every_habit_gets_one_answer(tmp_path: Path, style: Style) -> None:
    """However it writes and waits, a client reads a whole answer to its own question."""
    settings = settings_in(tmp_path)
    client = client_in(tmp_path, style)
    suffix = style.suffix(7)
    question = (CARD, date(1990, 1, 1), date(2026, 4, 15))
    async with running(settings, Gateway()):
        await client.drop(suffix, client.request(suffix, *question, is_consented=True))
        taken = await asyncio.wait_for(client.take(suffix), 10)
    answer = read_result(taken.data)
    assert (answer.validity, answer.header["ArbitraryFileIdentifier"]) == (4, suffix)
    assert answer.encoding == style.encoding
    left = 1 if style.habit == "forgetful" else 0
    assert left == len(list(settings.res.iterdir()))


def test_no_form_of_a_name_repeats() -> None:
    """Neither within a form nor between forms, and every form is one the bridge takes."""
    names = [suffix(number) for suffix in SUFFIXES for number in range(0, 400_000, 997)]
    assert len(set(names)) == len(names)
    assert {len(name) for name in names} >= {12, 13, 20}


async def test_a_rejection_is_read_as_one(tmp_path: Path) -> None:
    """A client finds the error file beside its request."""
    settings = settings_in(tmp_path)
    client = client_in(tmp_path, all_styles()[0])
    async with running(settings, Gateway()):
        await client.drop("1", b"<Other/>")
        taken = await asyncio.wait_for(client.take("1"), 10)
    assert taken.is_rejection
    assert b"reason: MESSAGE_MALFORMED" in taken.data


def answer_of(suffix: str, validity: int) -> Taken:
    """What a client reads."""
    text = (
        f"<XmlMsg><MessageHeader><ArbitraryFileIdentifier>{suffix}</ArbitraryFileIdentifier>"
        f"</MessageHeader><MessageBody><QualificationValidity>{validity}</QualificationValidity>"
        "</MessageBody></XmlMsg>"
    )
    return Taken(text.encode(), False, 1)


def test_the_counter_tells_each_defect_from_the_others(tmp_path: Path) -> None:
    """Withheld, doubled, cut, wrong and rejected answers are each counted once."""
    counter = Counter()
    for suffix in ("good", "withheld", "doubled", "cut", "wrong", "other", "rejected"):
        counter.ask(suffix, 1)
    for suffix in ("good", "doubled"):
        counter.take(suffix, answer_of(suffix, 1), 0.1)
    counter.take("cut", Taken(answer_of("cut", 1).data[:-30], False, 1), 0.1)
    counter.take("wrong", answer_of("wrong", 2), 0.1)
    counter.take("other", answer_of("good", 1), 0.1)
    counter.take("rejected", Taken(b"reason", True, 0), 0.1)
    (tmp_path / "OQSsiquc01res_doubled.xml").write_bytes(b"again")
    (tmp_path / "OQSsiquc01res_withheld.xml").write_bytes(b"nobody read it")
    counter.look(tmp_path, ())
    assert counter.unanswered == ["withheld"]
    assert counter.doubles == {"doubled"}
    assert counter.half == ["cut"]
    assert [sentence.partition(":")[0] for sentence in counter.wrong] == [
        "wrong",
        "other",
        "rejected",
    ]
    assert not counter.is_good


def test_what_a_forgetful_client_leaves_is_no_double_unless_replaced(tmp_path: Path) -> None:
    """The same file may stay; another one in its place is a second answer."""
    path = tmp_path / "OQSsiquc01res_left.xml"
    path.write_bytes(b"answer")
    counter = Counter()
    counter.ask("left", 1)
    taken = answer_of("left", 1)
    counter.take("left", Taken(taken.data, False, path.stat().st_ino), 0.1)
    counter.look(tmp_path, ["left"])
    assert counter.is_good
    (tmp_path / "new").write_bytes(b"answer")
    (tmp_path / "new").replace(path)
    counter.look(tmp_path, ["left"])
    assert counter.doubles == {"left"}

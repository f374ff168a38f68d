"""What a dry run keeps: people as they are now, under every key they ever had, until it ends."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.domain.coverage import Enrolment
from gateway.domain.errors import Unavailable
from gateway.domain.identifiers import LookupKey
from gateway.domain.individual_number import IndividualNumber, individual_check_digit
from gateway.domain.period import Instant
from gateway.store.memory import MemoryScratch, MemoryVault
from gateway.store.port import CheckState, Enrollee, NumberCheck
from gateway.store.port_scratch import Scratch, ScratchPerson
from gateway.store.scratch import SqliteScratch
from gateway.store.vault import RehearsedVault
from tests.store.batches import INSURER, UPLOAD_KEY, cover, enrollee, key_of, person


@pytest.fixture(params=["memory", "sqlite"])
async def scratch(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Scratch]:
    """Either adapter, begun."""
    made: Scratch = MemoryScratch()
    if request.param == "sqlite":
        made = SqliteScratch(tmp_path / "scratch.db")
    await made.begin()
    yield made
    await made.end()


def place(number: int) -> LookupKey:
    """Some lookup key."""
    return LookupKey(key_of("lookup", number))


def kept(number: int, version: int = 1) -> ScratchPerson:
    """A person with one enrollee, whose number waits for the register."""
    check = NumberCheck(
        enrollee(number),
        Instant(5),
        INSURER,
        person(number),
        UPLOAD_KEY,
        line_number=7,
        state=CheckState.SUSPENDED,
        mismatches=("NAME",),
    )
    enrolment = Enrolment(enrollee(number), is_numbered=True, covers=(cover(recorded=version),))
    told = Enrollee(INSURER, person(number), enrolment, check)
    return ScratchPerson(person(number), version, (told,))


async def test_people_come_back_as_they_were_kept_last(scratch: Scratch) -> None:
    """By their keys and by where they are found; one that is not kept is left out."""
    await scratch.keep([kept(1), kept(2)], [(place(1), person(1)), (place(9), person(2))])
    await scratch.keep([kept(1, 2)], [(place(1), person(1)), (place(9), person(1))])
    one, two = {person(1): kept(1, 2)}, {person(2): kept(2)}
    assert await scratch.load([place(1)], []) == one
    assert await scratch.load([place(9)], []) == one | two
    assert await scratch.load([place(5)], [person(2), person(3)]) == two


async def test_an_end_forgets_all(scratch: Scratch) -> None:
    """The next dry run begins empty; ending twice is no error."""
    await scratch.keep([kept(1)], [(place(1), person(1))])
    await scratch.begin()
    assert await scratch.load([place(1)], [person(1)]) == {}
    await scratch.end()
    await scratch.end()


async def test_what_a_killed_writer_left_is_removed(tmp_path: Path) -> None:
    """Nothing of a dry run outlives the next writer's start."""
    path = tmp_path / "scratch.db"
    left = SqliteScratch(path)
    await left.begin()
    await left.keep([kept(1)], [(place(1), person(1))])
    await SqliteScratch(path).end()
    assert not path.exists()
    await left.end()


async def test_a_rehearsed_vault_knows_and_keeps_nothing() -> None:
    """A number is one person's throughout; what the vault holds for good is known too."""
    one, other = (
        IndividualNumber(body + individual_check_digit(body))
        for body in ("12345678901", "00000000001")
    )
    vault = MemoryVault()
    await vault.person_of(one, person(1))
    rehearsed = RehearsedVault(vault)
    told = await rehearsed.person_of(other, person(2))
    again, known = await rehearsed.people_of([(other, person(3)), (one, person(4))])
    assert told == again != known
    assert await rehearsed.holds(told, other)
    assert await rehearsed.holds(person(1), one)
    assert not await rehearsed.holds(told, one)
    assert not await vault.holds(told, other)
    assert list(await rehearsed.numbers_of([told])) == [None]
    assert told != await RehearsedVault(vault).person_of(other, person(2))


async def test_a_scratch_that_cannot_be_made_is_tried_again(tmp_path: Path) -> None:
    """Nobody's dry run ends the writer."""
    with pytest.raises(Unavailable, match="STORE_UNAVAILABLE"):
        await SqliteScratch(tmp_path / "missing" / "scratch.db").begin()

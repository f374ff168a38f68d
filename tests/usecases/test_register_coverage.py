"""One change at once: the same as a line of a file, and the same again under its request id."""

from __future__ import annotations

import asyncio

import pytest

from gateway.domain.changes import Change
from gateway.domain.errors import Conflict, InvalidInput, NotPermitted
from gateway.domain.purpose import Role
from gateway.formats.coverage_csv import decode_cells
from gateway.store.port import Batch
from gateway.usecases.context import Context
from gateway.usecases.register_coverage import Registered, register
from tests.usecases.registration import (
    NUMBERS,
    OTHER_INSURER,
    Stand,
    a_file,
    caller,
    new,
    said,
    who,
)

FACTS = {
    "action": "NEW",
    "acquisition_date": "20250401",
    "name": "架空　太郎",
    "sex": "1",
    "insurer_name": "架空組合",
}


def a_change(number: str = "1", **cells: str) -> Change:
    """A new cover, unless told otherwise."""
    return decode_cells(who(number) | (cells if "action" in cells else FACTS | cells))


async def registered(
    stand: Stand, change: Change, request_id: str = "one", context: Context | None = None
) -> Registered:
    """Register a change as an insurer."""
    return await register(
        change,
        request_id,
        caller() if context is None else context,
        stand.store,
        stand.vault,
        stand.desk,
        stand.door,
    )


async def test_a_single_change_is_a_line_of_a_file() -> None:
    """The same changes in a file and one by one lead to the same covers and people."""
    changes = [
        a_change("1", individual_number=NUMBERS[0]),
        a_change("2"),
        a_change("2", action="NUMBER", individual_number=NUMBERS[0]),
        a_change("1", action="LOSS", loss_date="20250701", loss_reason="03"),
    ]
    one_by_one, by_file = Stand(), Stand()
    for index, change in enumerate(changes):
        assert (await registered(one_by_one, change, f"r{index}")).is_changed
    await by_file.upload(
        a_file(
            new("1", individual_number=NUMBERS[0]),
            new("2"),
            said("NUMBER", "2", individual_number=NUMBERS[0]),
            said("LOSS", "1", loss_date="20250701", loss_reason="03"),
        )
    )
    assert by_file.people() == one_by_one.people()


async def test_the_same_request_gives_the_same_answer() -> None:
    """Sent again it changes nothing and tells the first time; said anew it is unchanged."""
    stand = Stand()
    first = await registered(stand, a_change(individual_number=NUMBERS[0]))
    batches = len(stand.store.batches)
    assert first == await registered(stand, a_change(individual_number=NUMBERS[0]))
    assert batches == len(stand.store.batches)
    anew = await registered(stand, a_change(individual_number=NUMBERS[0]), "two")
    assert not anew.is_changed
    assert anew.applied_time > first.applied_time


@pytest.mark.parametrize(
    "other",
    [
        a_change(individual_number=NUMBERS[1]),
        a_change(),
        a_change(individual_number=NUMBERS[0], name="架空　花子"),
        a_change(action="CANCEL"),
    ],
)
async def test_another_change_under_the_same_request_is_refused(other: Change) -> None:
    """Another number, no number, another item or another action is noticed."""
    stand = Stand()
    await registered(stand, a_change(individual_number=NUMBERS[0]))
    with pytest.raises(Conflict, match="UPLOAD_DIFFERS"):
        await registered(stand, other)


async def test_the_same_request_is_known_when_its_words_mean_two_by_now() -> None:
    """A change that left out the branch is answered as before, and recorded for both."""
    stand = Stand()
    await registered(stand, a_change(), "first")
    told = decode_cells(who("1", "") | {"action": "CHANGE", "name": "架空　次郎"})
    answer = await registered(stand, told, "change")
    moved = decode_cells(who() | {"action": "CHANGE", "new_branch": "02"})
    await registered(stand, moved, "moved")
    await registered(stand, a_change(), "second")
    assert answer == await registered(stand, told, "change")
    assert len(stand.accesses.records[-1].people) == 2


async def test_a_request_id_of_a_file_is_not_a_changes() -> None:
    """A file and a change never pass for each other."""
    stand = Stand()
    await stand.upload(a_file(new()), "one")
    with pytest.raises(Conflict, match="UPLOAD_DIFFERS"):
        await registered(stand, a_change())
    await registered(stand, a_change(), "two")
    with pytest.raises(Conflict, match="UPLOAD_DIFFERS"):
        await stand.upload(a_file(new()), "two")


async def test_a_refused_change_leaves_nothing() -> None:
    """What contradicts the store is refused with its reason, and may be sent again."""
    stand = Stand()
    loss = a_change(action="LOSS", loss_date="20250701", loss_reason="03")
    with pytest.raises(Conflict, match="COVERAGE_UNKNOWN"):
        await registered(stand, loss)
    with pytest.raises(InvalidInput, match="BIRTH_DATE_IN_FUTURE"):
        await registered(stand, a_change(birth_date="20400101"))
    assert stand.store.batches == []
    await registered(stand, a_change(), "new")
    assert (await registered(stand, loss)).is_changed


async def test_another_insurers_number_is_refused() -> None:
    """An insurer touches only its own number."""
    stand = Stand()
    with pytest.raises(NotPermitted, match="INSURER_NOT_CALLER"):
        await registered(stand, a_change(), context=caller(OTHER_INSURER))


async def test_each_change_is_recorded_with_its_person() -> None:
    """The access record names the data, the count and the person, and no number of theirs."""
    stand = Stand()
    await registered(stand, a_change(), "one")
    await registered(stand, a_change(action="NUMBER", individual_number=NUMBERS[0]), "two")
    await registered(stand, a_change(individual_number=NUMBERS[0]), "three")
    before, after = sorted(stand.store.projections)
    expected = [
        (("D-CERT", "D-QUAL"), "1", (before,)),
        (("D-CERT", "D-NUM", "D-QUAL"), "1", (before, after)),
        (("D-CERT", "D-NUM", "D-QUAL"), "0", (after,)),
    ]
    assert expected == [(r.data, r.detail, r.people) for r in stand.accesses.records]
    assert {"REGISTERED"} == {record.outcome for record in stand.accesses.records}


async def test_an_institution_may_not_register() -> None:
    """The door denies it before anything is looked at."""
    stand = Stand()
    with pytest.raises(NotPermitted, match="ACTOR_NOT_ALLOWED"):
        await registered(stand, a_change(), context=caller(role=Role.INSTITUTION))
    assert stand.store.batches == []


async def test_a_repeat_gives_the_first_answer_whatever_came_later() -> None:
    """A correction that moved the birth date does not make the same request another one."""
    stand = Stand()
    change = a_change(individual_number=NUMBERS[0])
    first = await registered(stand, change, "one")
    await registered(stand, a_change(action="CORRECT", new_birth_date="19840301"), "two")
    assert first == await registered(stand, change, "one")


async def test_a_caller_that_goes_away_in_mid_commit_is_recorded_all_the_same() -> None:
    """What is committed has its access record, and the desk's turn ends as it should."""
    stand = Stand()
    reached, go_on = asyncio.Event(), asyncio.Event()
    commit = stand.store.commit

    async def slow(batch: Batch) -> None:
        reached.set()
        await go_on.wait()
        await commit(batch)

    stand.store.commit = slow  # type: ignore[method-assign]
    calling = asyncio.create_task(registered(stand, a_change(), "one"))
    await reached.wait()
    calling.cancel()
    go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await calling
    while not stand.accesses.records:  # noqa: ASYNC110  the record has no event
        await asyncio.sleep(0)
    assert [record.outcome for record in stand.accesses.records] == ["REGISTERED"]

"""Numbers looked for because their insurer asked: page by page, by all five items."""

from __future__ import annotations

import pytest

from gateway.domain.errors import Conflict, InvalidInput
from gateway.domain.identifiers import EnrolleeKey
from gateway.domain.individual_number import IndividualNumber
from gateway.domain.purpose import Role
from gateway.edges.rpc.oversight import OversightMethods
from gateway.store.port import CheckState
from gateway.usecases.desk import Desk
from gateway.usecases.number_oversight import NumberOversight, Searched
from gateway.v1 import coverage_pb2 as pb
from tests.usecases.checking import Checked
from tests.usecases.registration import NUMBERS, OTHER_INSURER, caller, new, said
from tests.usecases.trails import NoTrail

WHOLE = {"name_kana": "カクウ　タロウ", "address": "見本県架空市1番地"}


@pytest.fixture(params=[True, False], ids=["searched", "not searched"])
def stand(request: pytest.FixtureRequest) -> Checked:
    """A writer whose numbers are checked, whether it searches by itself or not."""
    return Checked(is_searched=request.param)


def oversight(stand: Checked, desk: Desk | None = None) -> NumberOversight:
    """The insurers' oversight over a stand."""
    return NumberOversight(stand.store, desk or stand.desk, stand.door, NoTrail())


async def search(stand: Checked, page_max: int = 1) -> tuple[int, int]:
    """Have everything of the insurer looked for; give the sums over the pages."""
    wanted, missing, after = 0, 0, EnrolleeKey(b"")
    while True:
        page = await oversight(stand).search("missing", after, page_max, caller())
        wanted, missing = wanted + page.wanted, missing + page.items_missing
        if page.last is None:
            return wanted, missing
        after = page.last


async def state_of(stand: Checked, number: str = "1") -> CheckState | None:
    """How far an enrollee's number is; None if it was never told nor wanted."""
    told = await stand.told_of(number)
    return None if told is None else told.state


async def test_only_who_has_no_number_and_all_five_items_is_looked_for() -> None:
    """A number told, an item missing, a cover that never existed: nobody is asked for these."""
    stand = Checked(is_searched=False)
    await stand.say(
        new("1", **WHOLE),
        new("2", individual_number=NUMBERS[0], **WHOLE),
        new("3", name_kana="カクウ　タロウ"),
        new("4", **WHOLE),
    )
    await stand.say(said("CANCEL", "4"))
    await stand.check_all()
    assert not stand.register.searched
    stand.register.find = lambda _: IndividualNumber.parse(NUMBERS[1])
    assert await search(stand) == (1, 1)
    await stand.check_all()
    told = await stand.told_of("1")
    assert told is not None
    assert (told.state, told.is_found) == (CheckState.LINKED, True)
    assert len(stand.register.searched) == 1
    assert [await state_of(stand, number) for number in "34"] == [None, None]


async def test_asked_twice_it_waits_once(stand: Checked) -> None:
    """Before the register answers a second search puts nothing."""
    await stand.say(new(**WHOLE))
    assert await search(stand) == (1, 0)
    batches = len(stand.store.batches)
    assert await search(stand) == (1, 0)
    assert len(stand.store.batches) == batches
    await stand.check_all()
    assert len(stand.register.searched) == 1


async def test_one_not_found_is_looked_for_again(stand: Checked) -> None:
    """Asked again later, the register may know: the number found links."""
    await stand.say(new(**WHOLE))
    await search(stand)
    await stand.check_all()
    assert await state_of(stand) is CheckState.NOT_FOUND
    stand.register.find = lambda _: IndividualNumber.parse(NUMBERS[0])
    assert await search(stand) == (1, 0)
    await stand.check_all()
    assert (await stand.state())[0]
    assert await search(stand) == (0, 0)


async def test_a_told_number_goes_before(stand: Checked) -> None:
    """Told while it is wanted, the number is the insurer's, and nobody is searched."""
    await stand.say(new(**WHOLE))
    await search(stand)
    await stand.say(said("NUMBER", individual_number=NUMBERS[0]))
    assert await search(stand) == (0, 0)
    await stand.check_all()
    told = await stand.told_of()
    assert told is not None
    assert (told.state, told.is_found) == (CheckState.LINKED, False)
    assert not stand.register.searched


@pytest.mark.parametrize(
    "lines",
    [
        (said("CORRECT", address="-"),),
        (said("CANCEL"),),
    ],
    ids=["an item taken away", "cancelled"],
)
async def test_what_may_not_be_looked_for_any_more_is_not(
    stand: Checked, lines: tuple[str, ...]
) -> None:
    """An item gone, or the cover, before the register was asked: three items never do."""
    stand.register.find = lambda _: IndividualNumber.parse(NUMBERS[0])
    await stand.say(new(**WHOLE))
    await search(stand)
    await stand.say(*lines)
    await stand.check_all()
    assert await state_of(stand) is CheckState.NOT_FOUND
    assert not stand.register.searched


async def test_a_crash_after_the_vault_finds_the_same_person(stand: Checked) -> None:
    """Found, put into the vault, and cut off before the commit: it is found and links once."""
    stand.register.find = lambda _: IndividualNumber.parse(NUMBERS[0])
    await stand.say(new(**WHOLE))
    await search(stand)
    stand.store.crash_at = len(stand.store.batches) + 1
    with pytest.raises(Exception, match=r"^$"):
        await stand.checker.check_some()
    await stand.check_all()
    is_linked, _, person_key = await stand.state()
    assert is_linked
    assert await stand.vault.holds(person_key, IndividualNumber.parse(NUMBERS[0]))


async def test_a_search_is_recorded_and_refused_like_a_recheck(stand: Checked) -> None:
    """It needs a register and a request id, and leaves a record of its own."""
    unchecked = oversight(stand, stand.unchecked_desk())
    with pytest.raises(Conflict, match="NUMBERS_NOT_CHECKED"):
        await unchecked.search("missing", EnrolleeKey(b""), 10, caller())
    with pytest.raises(InvalidInput, match="REQUEST_ID_WRONG"):
        await oversight(stand).search("", EnrolleeKey(b""), 10, caller())
    await stand.say(new(**WHOLE))
    page = await oversight(stand).search("missing", EnrolleeKey(b""), 10, caller())
    assert page == Searched(1, 0, None)
    record = stand.accesses.records[-1]
    assert (record.purpose, record.outcome, record.detail) == ("KP7-OR-01", "REGISTERED", "1")


async def test_another_insurer_finds_nothing_to_look_for(stand: Checked) -> None:
    """A search is over the caller's own enrollees."""
    await stand.say(new(**WHOLE))
    page = await oversight(stand).search("missing", EnrolleeKey(b""), 10, caller(OTHER_INSURER))
    assert page == Searched(0, 0, None)


async def test_the_message_gives_pages(stand: Checked) -> None:
    """The token of a full page gives the next, the last has none; a bad one is refused."""
    await stand.say(new("1", **WHOLE), new("2"))
    methods = OversightMethods(oversight(stand))
    asked = pb.SearchIndividualNumbersRequest(request_id="missing", page_size=1)
    sums = [0, 0]
    for _ in range(3):
        answer = await methods.search_individual_numbers(asked.SerializeToString(), caller())
        page = pb.SearchIndividualNumbersResponse.FromString(answer)
        sums = [sums[0] + page.numbers_wanted, sums[1] + page.items_missing]
        asked.page_token = page.next_page_token
    assert (sums, asked.page_token) == ([1, 1], "")
    for bad, field in (({"page_token": "zz"}, "page_token"), ({"page_size": 1001}, "page_size")):
        wrong = pb.SearchIndividualNumbersRequest(request_id="missing", **bad)
        with pytest.raises(InvalidInput, match=f"{field}: FORMAT_WRONG"):
            await methods.search_individual_numbers(wrong.SerializeToString(), caller())


def test_only_insurers_may_search() -> None:
    """The method is served to insurers alone."""
    (method,) = (
        one
        for one in OversightMethods(None).methods()  # type: ignore[arg-type]  only its table
        if one.name.endswith("SearchIndividualNumbers")
    )
    assert method.roles == {Role.INSURER}

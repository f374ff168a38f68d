"""An answer asked for again with its token: the same, or refused with the reason."""

from __future__ import annotations

import asyncio
import random
import tempfile
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs

from gateway.domain.answer_token import TokenKey, rules_tag
from gateway.domain.eligibility import ByNumber, Confirmation, Query, Rules, Validity
from gateway.domain.errors import Conflict, InvalidInput
from gateway.domain.identifiers import InsuredId
from gateway.domain.period import Instant, parse_day
from gateway.domain.purpose import Role
from gateway.store.port import Batch
from gateway.usecases.answer_tokens import NOW as NOT_THEN
from gateway.usecases.answer_tokens import Answered, AsOf, Tokens
from gateway.usecases.confirm_eligibility import LookupLimits, confirm_eligibility
from gateway.usecases.context import Caller, Context
from gateway.usecases.explain_eligibility import ExplainLimits, explain_eligibility
from loadtests.change_world import STEP_US, Place, Places, a_line, people_of, unversioned
from tests.usecases.registration import INSURER, NOW, Stand, a_file, new, said, who
from tests.usecases.tokens import KEY, tokens

MARGIN_MS = 2_000
LIMITS = LookupLimits(3_650, 366, 50, MARGIN_MS)
LATER = Instant(NOW + 40 * 86_400_000_000)
CLINIC = Context(Caller(Role.INSTITUTION, "1319999999"), LATER, "EligibilityService/Confirm")
STEPS, ASKED_A_STEP = 12, 4
LOST = said("LOSS", loss_date="20250801", loss_reason="99")


@pytest.fixture
def stand() -> Stand:
    """A writer in memory."""
    return Stand()


def asked(on: date = date(2025, 9, 1), **changes: Any) -> ByNumber:
    """The question about the usual card."""
    query = ByNumber.of(InsuredId(INSURER, "記号", "1", "01"), parse_day(who()["birth_date"]), on)
    return structs.replace(query, **changes)


async def answer(
    stand: Stand,
    as_of: AsOf = NOT_THEN,
    query: ByNumber | None = None,
    by: Tokens | None = None,
    context: Context = CLINIC,
) -> Answered:
    """The answer to a question."""
    answered, _ = await confirm_eligibility(
        query or asked(), as_of, context, stand.store, stand.door, by or tokens(), LIMITS
    )
    return answered


def again(token: str, by: Tokens | None = None) -> AsOf:
    """As of when a token asks."""
    return (by or tokens()).as_of(token, None)


async def test_the_same_question_gets_the_same_answer_again(stand: Stand) -> None:
    """After a loss the cover is answered as lost, but with the token still as it was."""
    await stand.upload(a_file(new()))
    then = await answer(stand)
    await stand.upload(a_file(LOST), "file-2")
    now = await answer(stand)
    assert (
        then.confirmation.validity,
        now.confirmation.validity,
    ) == (Validity.VALID, Validity.INVALID)
    repeated = await answer(stand, again(then.token))
    assert unversioned(then.confirmation) == unversioned(repeated.confirmation)
    assert then.token == repeated.token
    repeated = await answer(stand, again(now.token))
    assert unversioned(now.confirmation) == unversioned(repeated.confirmation)
    assert [one.detail for one in stand.accesses.records[-2:]] == ["1", "2"]


async def test_nobody_found_is_an_answer_that_stays(stand: Stand) -> None:
    """Of a person not yet registered, too."""
    then = await answer(stand)
    await stand.upload(a_file(new()))
    repeated = await answer(stand, again(then.token))
    assert Validity.NO_SUCH_COVER is repeated.confirmation.validity
    assert then.confirmation == repeated.confirmation


async def test_a_commit_under_way_does_not_come_into_an_answer_given(
    stand: Stand, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    A change is recorded as of the beginning of its turn, and seen once its turn commits.

    So an answer given in between is not that of the clock; it is that of the last commit.
    """
    await stand.upload(a_file(new()))
    given: dict[Instant, Answered] = {}
    commit = stand.store.commit

    async def ask_and_commit(batch: Batch) -> None:
        if batch.versions:
            given[batch.recorded_time] = await answer(stand)
        await commit(batch)

    monkeypatch.setattr(stand.store, "commit", ask_and_commit)
    await stand.upload(a_file(LOST), "file-2")
    ((turn, then),) = given.items()
    by_clock = await answer(stand, AsOf(turn))
    assert Validity.INVALID is by_clock.confirmation.validity
    repeated = await answer(stand, again(then.token))
    assert Validity.VALID is repeated.confirmation.validity
    assert unversioned(then.confirmation) == unversioned(repeated.confirmation)


async def test_the_explanation_takes_the_token_too(stand: Stand) -> None:
    """It explains what was answered, from what was known."""
    await stand.upload(a_file(new()))
    then = await answer(stand)
    await stand.upload(a_file(LOST), "file-2")
    explained, _ = await explain_eligibility(
        asked(),
        again(then.token),
        CLINIC,
        stand.store,
        stand.door,
        tokens(),
        ExplainLimits(LIMITS, 9),
    )
    assert Validity.VALID is explained.answer.validity
    assert then.confirmation.decided_by == explained.answer.decided_by
    assert [one.fact.request_id for one in explained.versions] == ["file-1"]


@pytest.mark.parametrize(
    "changes",
    [
        {"on": date(2025, 9, 2)},
        {"branch": None},
        {"birth_date": date(1990, 1, 1)},
        {"is_limit_consented": True},
        {"institution_code": "1319999981"},
    ],
)
async def test_a_token_of_another_question_is_refused(
    stand: Stand, changes: dict[str, Any]
) -> None:
    """Before anything is looked at, so there is no record."""
    await stand.upload(a_file(new()))
    then = await answer(stand)
    seen = len(stand.accesses.records)
    with pytest.raises(InvalidInput, match="TOKEN_OF_ANOTHER_QUESTION"):
        await answer(stand, again(then.token), asked(**changes))
    assert seen == len(stand.accesses.records)


async def test_a_token_beside_another_moment_is_refused(stand: Stand) -> None:
    """A token says as of when it asks; the same moment beside it changes nothing."""
    then = await answer(stand)
    known = again(then.token).known
    assert known is not None
    assert again(then.token) == tokens().as_of(then.token, known)
    with pytest.raises(InvalidInput, match="TOKEN_OF_ANOTHER_QUESTION") as refused:
        tokens().as_of(then.token, Instant(known + 1))
    assert refused.value.field == "known_time"


async def test_a_token_must_be_older_than_the_margin(stand: Stand) -> None:
    """As a moment must be: whoever asks again at once waits a little."""
    await stand.upload(a_file(new()))
    at = await stand.store.last_recorded_time()
    then = await answer(stand, context=replace(CLINIC, now=Instant(at)))
    early = replace(CLINIC, now=Instant(at + MARGIN_MS * 1000 - 1))
    with pytest.raises(InvalidInput, match="KNOWN_TIME_TOO_NEW") as refused:
        await answer(stand, again(then.token), context=early)
    assert refused.value.field == "answer_token"
    old_enough = replace(CLINIC, now=Instant(at + MARGIN_MS * 1000))
    repeated = await answer(stand, again(then.token), context=old_enough)
    assert then.confirmation.decided_by == repeated.confirmation.decided_by


async def test_a_day_that_has_gone_out_of_range_can_be_asked_again(stand: Stand) -> None:
    """What was answered once is answered ever after, however long ago its day is."""
    await stand.upload(a_file(new()))
    then = await answer(stand)
    decades = replace(CLINIC, now=Instant(LATER + 30 * 366 * 86_400_000_000))
    repeated = await answer(stand, again(then.token), context=decades)
    assert unversioned(then.confirmation) == unversioned(repeated.confirmation)
    with pytest.raises(InvalidInput, match="DATE_OUT_OF_RANGE"):
        await answer(stand, context=decades)


async def test_after_a_disposal_what_lies_before_it_is_refused(stand: Stand) -> None:
    """With the reason, for a token and for a moment; the refusal is recorded with the people."""
    await stand.upload(a_file(new()))
    then = await answer(stand)
    known = again(then.token).known
    assert known is not None
    stand.store.disposed = known
    await answer(stand, again(then.token))
    stand.store.disposed = Instant(known + 1)
    with pytest.raises(Conflict, match="FACTS_DISPOSED") as refused:
        await answer(stand, again(then.token))
    assert refused.value.field == "answer_token"
    record = stand.accesses.records[-1]
    assert (record.outcome, record.detail) == ("DENIED", "FACTS_DISPOSED")
    assert then.confirmation.people == record.people
    with pytest.raises(Conflict, match="FACTS_DISPOSED") as refused:
        await answer(stand, AsOf(known))
    assert refused.value.field == "known_time"
    with pytest.raises(Conflict, match="FACTS_DISPOSED"):
        await explain_eligibility(
            asked(),
            again(then.token),
            CLINIC,
            stand.store,
            stand.door,
            tokens(),
            ExplainLimits(LIMITS, 9),
        )
    assert Validity.VALID is (await answer(stand)).confirmation.validity


async def test_the_rules_of_that_time_decide(stand: Stand) -> None:
    """A token of rules that were changed is answered by the old ones, new answers by the new."""
    await stand.upload(a_file(new()))
    old, new_rules = Rules(), replace(Rules(), is_unnumbered_found_by_number=False)
    then = await answer(stand, by=tokens(old))
    changed = tokens(new_rules, {rules_tag(old): old})
    assert Validity.NO_SUCH_COVER is (await answer(stand, by=changed)).confirmation.validity
    repeated = await answer(stand, again(then.token, changed), by=changed)
    assert unversioned(then.confirmation) == unversioned(repeated.confirmation)
    assert Validity.VALID is repeated.confirmation.validity
    forgetful = tokens(new_rules)
    with pytest.raises(Conflict, match="TOKEN_RULES_UNKNOWN"):
        await answer(stand, again(then.token, forgetful), by=forgetful)


async def test_a_token_outlives_its_key_being_replaced(stand: Stand) -> None:
    """New tokens are made with the current key; older keys still read what they made."""
    await stand.upload(a_file(new()))
    then = await answer(stand)
    rotated = tokens(None, None, TokenKey(2, b"newer", b"newer too"), KEY)
    repeated = await answer(stand, again(then.token, rotated), by=rotated)
    assert then.token == repeated.token
    fresh = await answer(stand, by=rotated)
    with pytest.raises(InvalidInput, match="TOKEN_WRONG"):
        again(fresh.token)


class LateTokens(Tokens):
    """A planted defect: as if the clock at the look were an instant to ask again by."""

    def of(self, query: Query, at: Instant) -> str:
        """A token of some seconds later."""
        return super().of(query, Instant(at + 5 * STEP_US))


async def _collected(
    by: Tokens,
    place: Place,
    queries: list[ByNumber],
    rng: random.Random,
    kept: list[tuple[ByNumber, Answered]],
) -> None:
    """Ask a few questions, letting changes come between."""
    for query in rng.sample(queries, ASKED_A_STEP):
        answered, _ = await confirm_eligibility(
            query,
            NOT_THEN,
            replace(CLINIC, now=Instant(place.now + 1)),
            place.store,
            place.door,
            by,
            LIMITS,
        )
        kept.append((query, answered))
        await asyncio.sleep(0)


async def _repeated(place: Place, query: ByNumber, token: str) -> Confirmation:
    context = replace(CLINIC, now=Instant(place.now + 10 * MARGIN_MS * 1000))
    answered, _ = await confirm_eligibility(
        query, again(token), context, place.store, place.door, tokens(), LIMITS
    )
    return answered.confirmation


async def _law(directory: Path, seed: int, by: Tokens) -> int:
    """Tell changes and ask at once on both stores, then ask everything again."""
    rng = random.Random(seed)  # noqa: S311  a made-up world
    places = Places(directory)
    compared = 0
    try:
        for place in (await places.real(), places.model()):
            people = people_of(rng)
            queries = [query for one in people for query in one.questions()]
            kept: list[tuple[ByNumber, Answered]] = []
            for number in range(STEPS):
                row = a_line(people[number % len(people)], rng, number // len(people) % 5)
                await asyncio.gather(place.tell(row), _collected(by, place, queries, rng, kept))
            for query, then in kept:
                assert unversioned(then.confirmation) == await _repeated(place, query, then.token)
                compared += 1
    finally:
        await places.close()
    return compared


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_tokens_given_while_changes_commit_are_kept(seed: int) -> None:
    """Whatever is registered meanwhile and later, each token gives its answer, on both stores."""
    with tempfile.TemporaryDirectory() as directory:
        compared = asyncio.run(_law(Path(directory), seed, tokens()))
    assert compared == 2 * STEPS * ASKED_A_STEP


def test_a_token_of_another_instant_would_be_noticed() -> None:
    """The law above is broken within a few worlds by tokens of a moment too late."""
    late = LateTokens(tokens().keys, Rules())
    broken = 0
    for seed in range(5):
        with tempfile.TemporaryDirectory() as directory:
            try:
                asyncio.run(_law(Path(directory), seed, late))
            except AssertionError:
                broken += 1
    assert broken

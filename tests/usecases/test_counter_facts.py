"""What an explanation claims of a line left out is what comes of sending everything else."""

from __future__ import annotations

import asyncio
from datetime import date
from typing import NamedTuple

from hypothesis import assume, event, given, settings
from hypothesis import strategies as st

from gateway.domain.compact import compact
from gateway.domain.eligibility import ByCard, ByNumber, Confirmation, Query, Rules, confirm
from gateway.domain.explanation import CounterFact, ExplainedAnswer, explain
from gateway.domain.identifiers import InsuredId, InsurerNumber, PersonKey
from gateway.domain.individual_number import IndividualNumber
from gateway.domain.period import parse_day
from tests.usecases.registration import (
    INSURER,
    NUMBERS,
    OTHER_INSURER,
    Stand,
    a_file,
    new,
    said,
    who,
)

ON = date(2025, 9, 1)
BORN = parse_day(who()["birth_date"])
NAMES = {insurer.zero_padded: insurer for insurer in (INSURER, OTHER_INSURER)}


class Said(NamedTuple):
    """A line and whose it is; each is sent as a file of its own."""

    insurer: str
    line: str


@st.composite
def histories(draw: st.DrawFn) -> list[Said]:
    """One person at two insurers: acquired, then changed, lost, corrected, linked in any order."""
    mixed, waiting = [], {}
    for insurer in NAMES:
        begun = draw(st.sampled_from(["20250401", "20250801"]))
        mine = {"insurer_number": insurer}
        later = [
            said("NUMBER", **mine, individual_number=NUMBERS[0]),
            said("LOSS", **mine, loss_date=draw(st.sampled_from(["20250901", "20251001"])),
                 loss_reason="99"),
            said("CORRECT", **mine, new_acquisition_date="20250501"),
            said("CHANGE", **mine, address="見本町"),
            said("CHANGE", **mine, is_self_information_withheld="1"),
            said("CANCEL", **mine),
        ]  # fmt: skip
        drawn = draw(st.lists(st.sampled_from(later), unique=True, max_size=4))
        waiting[insurer] = [new(**mine, acquisition_date=begun), *drawn]
    while any(waiting.values()):
        insurer = draw(st.sampled_from([name for name, lines in waiting.items() if lines]))
        mixed.append(Said(insurer, waiting[insurer].pop(0)))
    return mixed


async def learned(lines: list[tuple[int, Said]]) -> tuple[Stand, bool]:
    """A store to which each line was sent under its number, and whether all were applied."""
    stand = Stand()
    is_whole = True
    for number, (insurer, line) in lines:
        await stand.upload(a_file(line), f"line-{number}", NAMES[insurer])
        is_whole &= not await stand.refused(f"line-{number}", NAMES[insurer])
    return stand, is_whole


async def explained(stand: Stand, query: Query) -> ExplainedAnswer:
    """The explanation of an answer."""
    if isinstance(query, ByCard):
        facts = await stand.store.facts_of_person(query.person_key, 99, 9)
    else:
        facts = await stand.store.facts_of(query.lookup_key, query.birth_date, None, 99, 9)
    return explain(facts, query, Rules())


async def question(stand: Stand, insurer: InsurerNumber, *, is_card: bool) -> Query:
    """The question about a card of an insurer, or by the My Number card of the person."""
    if not is_card:
        return ByNumber.of(InsuredId(insurer, "記号", "1", "01"), BORN, ON)
    number = IndividualNumber.parse(NUMBERS[0])
    return ByCard(await stand.vault.person_of(number, PersonKey(stand.new_key())), ON)


def answered(stand: Stand, query: Query) -> Confirmation:
    """The answer to a question from everything that is known."""
    people = [compact(one, lambda _: b"") for one in stand.store.projections.values()]
    return confirm(people, query, Rules())


def without(
    said_of: ExplainedAnswer, one: CounterFact, lines: list[Said]
) -> list[tuple[int, Said]]:
    """The lines but the one a claim is about; without an acquisition there is nothing later."""
    numbered = list(enumerate(lines))
    if one.version is not None:
        gone = int(one.version.request_id.removeprefix("line-"))
        if one.version.coverage.version_no == 1:
            return [item for item in numbered if item[1].insurer != lines[gone].insurer]
        return [item for item in numbered if item[0] != gone]
    (insurer,) = {
        link.insurer_number.zero_padded for link in said_of.links if link.fact == one.link
    }
    return [
        item
        for item in numbered
        if not (item[1].insurer == insurer and item[1].line.startswith("NUMBER,"))
    ]


def told(one: Confirmation) -> tuple[object, ...]:
    """What an answer says; keys differ between two stores."""
    return one.validity, one.why, len(one.shown)


async def checked(lines: list[Said], insurer: InsurerNumber, *, is_card: bool) -> int | None:
    """Check each claim about an answer and give how many; None where a line was refused."""
    stand, is_whole = await learned(list(enumerate(lines)))
    if not is_whole:
        return None
    query = await question(stand, insurer, is_card=is_card)
    said_of = await explained(stand, query)
    assert told(said_of.answer) == told(answered(stand, query))
    count = 0
    for one in said_of.counter_facts:
        other, is_whole = await learned(without(said_of, one, lines))
        if is_whole:
            again = await question(other, insurer, is_card=is_card)
            assert told(one.answer) == told(answered(other, again)), one.sentence.en
            count += 1
    return count


@settings(max_examples=150)
@given(histories(), st.sampled_from([INSURER, OTHER_INSURER]), st.booleans())
def test_without_a_line_the_answer_is_what_was_claimed(
    lines: list[Said],
    insurer: InsurerNumber,
    is_card: bool,  # noqa: FBT001  drawn
) -> None:
    """Each counter-fact is checked by sending everything but its line to a new store."""
    count = asyncio.run(checked(lines, insurer, is_card=is_card))
    assume(count is not None)
    event(f"claims {count}")

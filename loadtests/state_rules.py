"""
The rules of `state_machine`: what may happen to stores and be asked of them, drawn by Hypothesis.

A test or the command makes a machine for the engines it has; both have the same rules.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import replace
from datetime import date
from typing import Any, ClassVar, Final, TypeVar

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)
from msgspec import structs

from gateway.domain.card import CardKey
from gateway.domain.changes import (
    CancelCover,
    Change,
    ChangeItems,
    CorrectCover,
    LoseCover,
    NewCover,
    Target,
)
from gateway.domain.identifiers import EnrolleeKey, InsuredId, InsurerNumber
from gateway.domain.period import Instant
from loadtests import store_draws
from loadtests.state_engines import Engine
from loadtests.state_world import START, File, Tally, World
from loadtests.store_batches import key_of

LINES_MAX: Final = 6
"""Lines of a file."""
AGO_MAX: Final = 40
"""How long ago a known time is, in microseconds; a run of 30 steps is about as long."""
EVENTS_BACK_MAX: Final = 5
PAIRS_A_STEP: Final = 2
"""Pairs of a day and a known time that are asked about by key after each step, and by card one."""
PLACES_MAX: Final = 30
CARD_KEYS: Final = [CardKey(key_of("card", number)) for number in range(2)]

Result = TypeVar("Result")
Asked = tuple[InsuredId, date]
"""A card's number and a birth date."""

_agos = st.integers(0, AGO_MAX)
_places = st.integers(0, PLACES_MAX)
"""Places in what was said, or among enrollees; of fewer, counted anew from the first."""
_cards = st.sampled_from(CARD_KEYS)


class Stores(RuleBasedStateMachine):
    """A model and stores that are told the same, and must tell the same ever after."""

    engines: ClassVar[Sequence[Callable[[], Engine]]] = ()
    tally: ClassVar[Tally] = Tally()

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.world = World([make() for make in self.engines], self.tally)
        self.said: list[Asked] = []
        self.dice = random.Random(0)
        self.run(self.world.begin())
        self.tally.examples += 1

    def teardown(self) -> None:
        """Close everything."""
        self.run(self.world.end())
        self.loop.close()

    def run(self, work: Coroutine[Any, Any, Result]) -> Result:
        """Wait for it."""
        return self.loop.run_until_complete(work)

    def step(self, name: str, work: Coroutine[Any, Any, Result]) -> Result:
        """Count a step, and take it."""
        self.tally.steps[name] += 1
        return self.run(work)

    def tell(self, name: str, change: Change) -> None:
        """Register a change by itself."""
        self.said.append((change.target.insured_id, change.target.birth_date))
        self.step(name, self.world.tell(change))

    def _about(self, place: int) -> Target:
        """The only cover under a card's number and a birth date of which something was said."""
        return Target(*self.said[place % len(self.said)])

    def _enrollee(self, place: int) -> EnrolleeKey:
        return self.world.enrollees[place % len(self.world.enrollees)]

    @rule(microseconds=st.integers(1, 3))
    def wait(self, microseconds: int) -> None:
        """Time goes on."""
        self.tally.steps["wait"] += 1
        self.world.now = Instant(self.world.now + microseconds)

    @rule()
    def restart(self) -> None:
        """The writers go and come back."""
        self.step("restart", self.world.restart())

    # Single changes

    @initialize(change=store_draws.small_new_covers, is_instant_shared=st.booleans())
    def know(self, change: NewCover, *, is_instant_shared: bool) -> None:
        """Something is known from the start."""
        self.world.is_instant_shared = is_instant_shared
        self.tell("single change: a cover begins", change)

    @rule(change=store_draws.small_new_covers)
    def begin(self, change: NewCover) -> None:
        """A cover begins, of a fresh enrollee or of one that lost its cover."""
        self.tell("single change: a cover begins", change)

    @rule(place=_places, change=store_draws.item_changes_of(store_draws.some_targets))
    def change(self, place: int, change: ChangeItems) -> None:
        """Items change."""
        self.tell("single change: items", replace(change, target=self._about(place)))

    @rule(place=_places, change=store_draws.corrections_of(store_draws.some_targets))
    def correct(self, place: int, change: CorrectCover) -> None:
        """What was said was wrong."""
        self.tell("correction of the past", replace(change, target=self._about(place)))

    @rule(
        place=_places,
        change=store_draws.corrections_of(store_draws.some_targets),
        card=store_draws.small_insured_ids,
    )
    def correct_card(self, place: int, change: CorrectCover, card: InsuredId) -> None:
        """The card's number was wrong, too; it is asked about under the right one from then on."""
        target = self._about(place)
        right = structs.replace(card, insurer_number=target.insured_id.insurer_number)
        items = {**change.items, "insured_id": right}
        self.tell("correction of the card", replace(change, target=target, items=items))
        self.said.append((right, target.birth_date))

    @rule(place=_places, change=store_draws.losses_of(store_draws.some_targets))
    def lose(self, place: int, change: LoseCover) -> None:
        """A cover ends."""
        self.tell("loss", replace(change, target=self._about(place)))

    @rule(place=_places, change=store_draws.cancellations_of(store_draws.some_targets))
    def cancel(self, place: int, change: CancelCover) -> None:
        """A cover never existed."""
        self.tell("cancellation", replace(change, target=self._about(place)))

    # Uploads

    @rule(
        insurer=st.sampled_from(store_draws.SMALL_INSURERS),
        lines=st.integers(1, LINES_MAX),
        slice_lines=st.integers(1, LINES_MAX),
        data=st.data(),
    )
    def upload(
        self, insurer: InsurerNumber, lines: int, slice_lines: int, data: st.DataObject
    ) -> None:
        """An insurer's file: each line a new cover, or a change about what was said before."""
        known = [one for one in self.said if one[0].insurer_number == insurer]
        file = File(insurer, [self._line(insurer, known, data) for _ in range(lines)], slice_lines)
        self.said += [(one.target.insured_id, one.target.birth_date) for one in file.lines]
        self.step("upload", self.world.upload(file))

    def _line(self, insurer: InsurerNumber, known: list[Asked], data: st.DataObject) -> Change:
        """Draw a line; it may be about an earlier line of its file."""
        is_about_known: bool = data.draw(st.booleans())
        if known and is_about_known:
            target = Target(*data.draw(st.sampled_from(known)))
            return data.draw(store_draws.changes_of(st.just(target)))
        change = data.draw(store_draws.small_new_covers)
        card = structs.replace(change.target.insured_id, insurer_number=insurer)
        known.append((card, change.target.birth_date))
        return replace(change, target=replace(change.target, insured_id=card))

    # Links and cards

    @rule(place=_places, to=_places)
    def link(self, place: int, to: int) -> None:
        """An enrollee turns out to be the person of another one, or is numbered."""
        work = self.world.link(self._enrollee(place), self._enrollee(to))
        self.step("link", work)

    @rule(place=_places)
    def split(self, place: int) -> None:
        """An enrollee turns out to be nobody known: their own person from then on."""
        self.step("link moved to nobody known", self.world.link(self._enrollee(place), None))

    @rule(card_key=_cards, to=_places)
    def give(self, card_key: CardKey, to: int) -> None:
        """A card is registered, or turns out to be another person's."""
        self.step("card", self.world.give(card_key, self._enrollee(to)))

    # Lookups

    @rule(place=_places, on=store_draws.small_days, ago=_agos)
    def ask(self, place: int, on: date, ago: int) -> None:
        """Ask by number, as of a day and a known time."""
        work = self.world.ask(*self.said[place % len(self.said)], on, self.world.known(ago))
        self.step("lookup by key as of a day and a known time", work)

    @rule(place=_places, on=store_draws.small_days)
    def ask_now(self, place: int, on: date) -> None:
        """Ask by number, now."""
        asked = self.said[place % len(self.said)]
        self.step("lookup by key as of now", self.world.ask_now(*asked, on))

    @rule(card_key=_cards, on=store_draws.small_days, ago=_agos)
    def ask_by_card(self, card_key: CardKey, on: date, ago: int) -> None:
        """Ask by card, as of a day and a known time."""
        work = self.world.ask_by_card(card_key, on, self.world.known(ago))
        self.step("lookup by card as of a day and a known time", work)

    @rule(
        insurer=st.sampled_from(store_draws.SMALL_INSURERS),
        sequence=st.integers(0, EVENTS_BACK_MAX),
    )
    def watch(self, insurer: InsurerNumber, sequence: int) -> None:
        """An insurer's stream is read from some event on."""
        self.step("feed", self.world.watch(insurer, sequence))

    @precondition(lambda self: not self.world.is_instant_shared)
    @rule(ago=_agos)
    def dispose(self, ago: int) -> None:
        """What was replaced some time ago is disposed of."""
        before = max(Instant(0), Instant(self.world.now - ago))
        self.step("disposal", self.world.dispose(before))

    @invariant()
    def what_was_known_is_told_ever_after(self) -> None:
        """Questions about any card, day and known time are answered as by the model."""
        for _ in range(PAIRS_A_STEP if self.said else 0):
            on, known = self._any_pair()
            asked = self.dice.choice(self.said)
            self.run(self.world.ask(*asked, on, known))
            self.run(self.world.ask_now(*asked, on))
        on, known = self._any_pair()
        self.run(self.world.ask_by_card(self.dice.choice(CARD_KEYS), on, known))

    def _any_pair(self) -> tuple[date, Instant]:
        """Any day, and any known time of the run that can still be told of."""
        ago = self.dice.randint(0, self.world.now - START)
        return self.dice.choice(store_draws.SMALL_DAYS), self.world.known(ago)

    @invariant()
    def histories_are_what_facts_give(self) -> None:
        """Each person's history is the model's, and what a rebuild from the facts would write."""
        self.run(self.world.check())


def machine(tally: Tally, *engines: Callable[[], Engine]) -> type[Stores]:
    """Make a machine whose examples have such stores each, besides the model."""
    return type("Machine", (Stores,), {"engines": engines, "tally": tally})


def steadily(examples: int, steps: int = 30) -> settings:
    """How a machine is run: as long as it takes, without a database of earlier failures."""
    return settings(
        max_examples=examples,
        stateful_step_count=steps,
        deadline=None,
        database=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )

"""
What `state_machine` does to the model and to each store, and how it holds them against each other.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Any, Final, TypeVar

from msgspec import structs

from gateway.domain.card import CardKey
from gateway.domain.changes import Change, ChangeItems, CorrectCover
from gateway.domain.compact import CompactHistory, compact
from gateway.domain.coverage import History
from gateway.domain.eligibility import ByCard, ByNumber, Confirmation, Rules, confirm
from gateway.domain.identifiers import EnrolleeKey, InsuredId, InsurerNumber, LookupKey, PersonKey
from gateway.domain.period import Instant
from gateway.store.memory import MemoryAccesses, MemoryStore
from gateway.store.port import (
    Batch,
    Enrollee,
    Loaded,
    NewCard,
    Upload,
    UploadKey,
    UploadState,
)
from gateway.store.records import encode_coverage
from gateway.store.steps_reads import END_OF_TIME
from loadtests.disposing import disposed, order_of
from loadtests.state_engines import Engine, Opened
from loadtests.store_batches import (
    UPLOAD_KEY,
    changes_of,
    enrollee,
    expanded,
    filed,
    key_of,
    moved,
    person,
    relevant,
)

PEOPLE_MAX: Final = 100
EVENTS_MAX: Final = 1_000
LINES_MAX: Final = 100
CARDS_MAX: Final = 10
START: Final = Instant(1_000)
STRANGERS_FROM: Final = 900
"""Numbers of people that enrollees become who turn out to be nobody known."""
RULES: Final = Rules()

Told = TypeVar("Told")


class DifferenceError(AssertionError):
    """A store tells something else than the model."""


@dataclass(slots=True)
class Tally:
    """What was done and compared, over all examples."""

    examples: int = 0
    steps: Counter[str] = field(default_factory=Counter)
    refused: int = 0
    """Changes that nobody may make, singly or as a line of a file."""
    comparisons: Counter[str] = field(default_factory=Counter)

    def same(self, what: str, expected: object, actual: object, where: str) -> None:
        """Count a comparison; raises `DifferenceError` if it fails."""
        self.comparisons[what] += 1
        if expected != actual:
            raise DifferenceError(f"{what}, {where}: {actual!r} and not {expected!r}")


@dataclass(frozen=True, slots=True)
class File:
    """A coverage file: its insurer's lines, applied in slices of so many."""

    insurer: InsurerNumber
    lines: Sequence[Change]
    slice_lines: int


def unversioned(answer: Confirmation) -> Confirmation:
    """An answer without the version of the history it is made from, which the past has not."""
    return structs.replace(answer, person_version=0)


class World:
    """The model, and stores that are told the same."""

    def __init__(self, engines: Sequence[Engine], tally: Tally) -> None:
        self._engines = engines
        self._opened: dict[str, Opened] = {}
        self._tally = tally
        self.model = MemoryStore(encode_coverage)
        self.now = START
        self.is_instant_shared = False
        """Whether commits may share an instant, as no writer's do; then nothing is disposed of."""
        self.people: list[PersonKey] = []
        self.enrollees: list[EnrolleeKey] = []
        self._made = 0
        self._files = 0
        self._orders = 0

    async def begin(self) -> None:
        """Make and open every store."""
        for engine in self._engines:
            await engine.make()
            self._opened[engine.name] = await engine.opened()

    async def restart(self) -> None:
        """Have each writer go and come back."""
        for engine in self._engines:
            await self._opened[engine.name].close()
            self._opened[engine.name] = await engine.opened()

    async def end(self) -> None:
        """Close everything; nothing is left."""
        for opened in self._opened.values():
            await opened.close()
        for engine in self._engines:
            await engine.forget()

    async def same(self, what: str, read: Callable[[Any], Awaitable[Told]]) -> Told:
        """Ask the model and each store the same; give what all of them tell."""
        expected = await read(self.model)
        for name, opened in self._opened.items():
            self._tally.same(what, expected, await read(opened.store), name)
        return expected

    # What is told

    async def _loaded(
        self,
        keys: Collection[LookupKey] = (),
        people: Collection[PersonKey] = (),
        enrollees: Collection[EnrolleeKey] = (),
    ) -> Loaded:
        """
        What a writer would load.

        Of the people of enrollees under the keys by now, and of those asked for, stores must give
        all there is. They may give others: the model gives enrollees that once had a card, and a
        store does not, once such a one moved to another person or what told of it is disposed of.
        """
        wide = await self.model.load(keys, people, enrollees)
        needed = set(people) | {
            one.person_key
            for one in wide.enrollees
            if one.enrolment.enrollee_key in enrollees
            or any(cover.insured_id.lookup_key in keys for cover in one.enrolment.covers)
        }
        last = wide
        for name, opened in self._opened.items():
            last = await opened.store.load(keys, people, enrollees)
            self._tally.same("loads", _of(needed, wide), _of(needed, last), name)
        return last

    async def _commit(self, before: Loaded, batch: Batch) -> None:
        batch.changes = changes_of(before, batch)
        await self.model.commit(batch)
        for opened in self._opened.values():
            await opened.store.commit(batch)
        if not self.is_instant_shared:
            self.now = Instant(self.now + 1)

    async def tell(self, change: Change) -> None:
        """Commit a change as a writer would."""
        await self._apply([(1, change)], UPLOAD_KEY)

    async def upload(self, file: File) -> None:
        """Receive a file and apply it in slices."""
        self._files += 1
        key = UploadKey(key_of("upload", self._files))
        lines = list(enumerate(file.lines, start=2))
        upload = Upload(
            upload_key=key,
            insurer_number=file.insurer,
            request_id=f"request-{self._files}",
            state=UploadState.RECEIVED,
            size_bytes=len(lines),
            digest=key * 2,
            received_time=self.now,
            lines_total=len(lines),
        )
        await self._commit(_NOTHING, Batch(self.now, upload=upload))
        for begin in range(0, len(lines), file.slice_lines):
            some = lines[begin : begin + file.slice_lines]
            is_last = begin + len(some) == len(lines)
            upload = replace(upload, lines_read=begin + len(some))
            if is_last:
                upload = replace(upload, state=UploadState.APPLIED, applied_time=self.now)
            await self._apply(some, key, upload)
            await self.same("uploads", lambda store: store.upload(key))
            await self.same("uploads", lambda store: store.unapplied_uploads())
            await self.same("uploads", lambda store: store.refused_lines(key, LINES_MAX))

    async def _apply(
        self, lines: Sequence[tuple[int, Change]], key: UploadKey, upload: Upload | None = None
    ) -> None:
        """Commit changes in one batch; a file's goes with how far it is."""
        before = await self._loaded(sorted({one for _, line in lines for one in _keys_of(line)}))
        numbers = range(self._made, self._made + len(lines))
        fresh = [(person(number), enrollee(number)) for number in numbers]
        done = filed(before, fresh, lines, self.now, key)
        self._tally.refused += len(done.refused)
        if upload is not None:
            done.batch.upload = upload
            done.batch.refused_lines = done.refused
        elif not done.batch.histories:
            return
        await self._commit(before, done.batch)
        self.enrollees += done.fresh
        self.people += [person_key for person_key, one in fresh if one in done.fresh]
        self._made += len(lines)

    async def link(self, enrollee_key: EnrolleeKey, to: EnrolleeKey | None) -> None:
        """Have an enrollee turn out to be whom another one is, or nobody known if that is None."""
        if to is None:
            stranger = person(STRANGERS_FROM + len(self.people))
            before = await self._loaded((), [stranger], [enrollee_key])
            self.people.append(stranger)
        else:
            before = await self._loaded((), (), [enrollee_key, to])
            stranger = _owner(before, to)
        await self._commit(before, moved(before, enrollee_key, stranger, self.now))

    async def give(self, card_key: CardKey, to: EnrolleeKey) -> None:
        """Register a card as that of an enrollee's person, whoever had it before."""
        before = await self._loaded((), (), [to])
        card = NewCard(card_key, _owner(before, to))
        await self._commit(before, Batch(self.now, cards=[card]))

    async def dispose(self, before: Instant) -> None:
        """Dispose of what was replaced up to an instant; the model keeps it and never tells it."""
        self._orders += 1
        order = order_of(self._orders, before)
        until = max(self.model.disposed, min(before, await self.model.last_recorded_time()))
        for name, opened in self._opened.items():
            await disposed(opened.store, order, MemoryAccesses())
            self._tally.same("disposals", until, await opened.store.disposed_before(), name)
        self.model.disposed = until
        self.model.forget_changes(until)

    # What is asked

    def known(self, ago: int) -> Instant:
        """The instant so long ago, or the earliest one that can still be told of."""
        return max(self.model.disposed, Instant(self.now - ago))

    async def ask(self, card: InsuredId, birth_date: date, on: date, known: Instant) -> None:
        """Ask by number about a day, as was known at an instant."""
        query = ByNumber.of(card, birth_date, on)

        async def answered(store: Any) -> tuple[list[CompactHistory], Confirmation]:
            found = await store.matching_known_at(query.lookup_key, birth_date, known, PEOPLE_MAX)
            return list(found), confirm(found, query, RULES)

        await self.same("lookups by key as of a day and a known time", answered)

    async def ask_now(self, card: InsuredId, birth_date: date, on: date) -> None:
        """Ask by number now: the hot read answers as the model, and as the read of the past."""
        key, query = card.lookup_key, ByNumber.of(card, birth_date, on)
        expected = await self.model.matching(key, birth_date, PEOPLE_MAX)
        answer = confirm(expected, query, RULES)
        people = {history.person_key for history in expected}
        for name, opened in self._opened.items():
            hot = await opened.store.matching(key, birth_date, PEOPLE_MAX)
            told = [history for history in hot if history.person_key in people]
            what = "lookups by key as of now"
            self._tally.same(what, list(expected), told, name)
            self._tally.same(what, answer, confirm(hot, query, RULES), name)
            past = await opened.store.matching_known_at(key, birth_date, self.now, PEOPLE_MAX)
            hot_ones = relevant([expanded(one) for one in hot], card, birth_date)
            self._tally.same(what, hot_ones, [expanded(one) for one in past], name)
            as_of_now = unversioned(confirm(past, query, RULES))
            self._tally.same(what, unversioned(answer), as_of_now, name)

    async def ask_by_card(self, card_key: CardKey, on: date, known: Instant) -> None:
        """Ask by card about a day, as was known at an instant, and now."""
        holder = await self.same("lookups by card as of now", lambda store: store.by_card(card_key))
        if holder is None:
            return
        owner = holder.person_key
        await self.same("lookups by card as of now", lambda store: store.cards_of(owner, CARDS_MAX))
        query = ByCard(owner, on)

        async def answered(store: Any) -> tuple[CompactHistory, Confirmation]:
            found = await store.person_known_at(owner, known)
            return found, confirm([found], query, RULES)

        await self.same("lookups by card as of a day and a known time", answered)

    async def watch(self, insurer: InsurerNumber, sequence: int) -> None:
        """Read an insurer's stream from some event on."""
        code = insurer.zero_padded
        ends = await self.model.ends(code, sequence)
        events = await self.model.after(code, sequence, EVENTS_MAX)
        for name, opened in self._opened.items():
            self._tally.same("feeds", ends, await opened.changes.ends(code, sequence), name)
            told = await opened.changes.after(code, sequence, EVENTS_MAX)
            self._tally.same("feeds", events, told, name)

    async def _history(self, key: PersonKey) -> History | None:
        return await self.same("histories", lambda store: store.history_of(key))

    async def check(self) -> None:
        """Hold each person's history against the model's, and against a rebuild from facts."""
        for key in self.people:
            history = await self._history(key)
            assert history is not None
            rebuilt = compact(structs.replace(history, version=0), encode_coverage)
            for name, opened in self._opened.items():
                from_facts = await opened.store.person_known_at(key, END_OF_TIME)
                self._tally.same("histories", rebuilt, from_facts, name)
        await self.same("last recorded times", lambda store: store.last_recorded_time())


_NOTHING: Final = Loaded((), {})


def _keys_of(change: Change) -> set[LookupKey]:
    """Under which keys a change's enrollee is, or comes to be."""
    cards = {change.target.insured_id}
    if isinstance(change, (ChangeItems, CorrectCover)) and "insured_id" in change.items:
        cards.add(change.items["insured_id"])
    return {card.lookup_key for card in cards}


def _of(people: Collection[PersonKey], loaded: Loaded) -> tuple[list[Enrollee], dict[Any, int]]:
    """What was loaded of some people."""
    versions = {key: version for key, version in loaded.person_versions.items() if key in people}
    return [one for one in loaded.enrollees if one.person_key in people], versions


def _owner(loaded: Loaded, enrollee_key: EnrolleeKey) -> PersonKey:
    return next(
        one.person_key for one in loaded.enrollees if one.enrolment.enrollee_key == enrollee_key
    )

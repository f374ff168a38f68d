"""Watching: from any cursor on everything once more, in order, through the door."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest

from gateway.domain.errors import Conflict, InvalidInput, NotPermitted, TooMuch, Unavailable
from gateway.domain.feed import ChangeEvent, ChangeKind, Cursor, Event, NewsEvent
from gateway.domain.identifiers import PersonKey
from gateway.domain.period import Instant
from gateway.domain.purpose import Policy, Role
from gateway.policy import published_policy
from gateway.store.memory import MemoryAccesses
from gateway.store.port_feed import Ends, Stream
from gateway.usecases.context import Caller, Context
from gateway.usecases.door import Door
from gateway.usecases.watch_changes import ChangeWatch, Page
from gateway.usecases.watchers import Watchers, WatchLimits
from tests.usecases.registration import (
    INSURER,
    NOW,
    NUMBERS,
    OTHER_INSURER,
    Stand,
    a_file,
    new,
    said,
)

CODE = INSURER.zero_padded
CLINIC = "1319999999"
HEARTBEAT_S = 0.01


def limits(page: int = 2, in_all: int = 9, a_caller: int = 2) -> WatchLimits:
    """Small limits; heartbeats come at once."""
    return WatchLimits(page, 0.0, HEARTBEAT_S, in_all, a_caller)


def asking(role: Role = Role.INSURER, code: str = CODE) -> Context:
    """A call by a watcher."""
    return Context(Caller(role, code), NOW, "gateway.v1.FeedService/WatchChanges")


@dataclass(slots=True)
class ListedNews:
    """An institution's stream as a list."""

    events: list[NewsEvent] = field(default_factory=list)

    async def ends(self, code: str, sequence: int) -> Ends:
        """See `Stream`."""
        own = self.events if code == CLINIC else []
        at = next((one.recorded_time for one in own if one.sequence == sequence), Instant(0))
        return Ends(own[0].sequence, own[-1].sequence, at) if own else Ends(0, 0, Instant(0))

    async def after(self, code: str, sequence: int, events_max: int) -> Sequence[NewsEvent]:
        """See `Stream`."""
        return [one for one in self.events if one.sequence > sequence][:events_max]


class Watched:
    """A writer in memory that is watched."""

    def __init__(
        self,
        stand: Stand | None = None,
        of: WatchLimits | None = None,
        policy: Policy | None = None,
    ) -> None:
        self.stand = stand or Stand()
        self.news = ListedNews()
        self.stop = asyncio.Event()
        self.accesses = MemoryAccesses()
        self.watchers = Watchers(of or limits(), self.stop)
        streams: dict[Role, Stream[Event]] = {
            Role.INSURER: self.stand.store,
            Role.INSTITUTION: self.news,
        }
        door = Door(policy or published_policy(), self.accesses)
        self.feed = ChangeWatch(streams, door, self.watchers, lambda: NOW)

    async def told(
        self,
        cursor: Cursor | None = None,
        context: Context | None = None,
        *,
        is_from_now: bool = False,
        pages_max: int = 99,
    ) -> list[Page]:
        """Pages up to the first heartbeat after the opening one, which is left out."""
        pages: list[Page] = []
        feed = self.feed.watch(cursor, context or asking(), is_from_now=is_from_now)
        async for page in feed:
            if pages and (not page.events or len(pages) > pages_max):
                break
            pages.append(page)
        await feed.aclose()
        return pages[1:]


def events_of(pages: Sequence[Page]) -> list[Event]:
    """The events of pages, one after the other."""
    return [event for page in pages for event in page.events]


def kinds_of(pages: Sequence[Page]) -> list[ChangeKind]:
    """What happened, event by event."""
    return [event.kinds for event in events_of(pages) if isinstance(event, ChangeEvent)]


async def test_an_insurer_is_told_what_its_lines_did() -> None:
    """Each kind of line has its kind of event, with its upload and line."""
    watched = Watched()
    stand = watched.stand
    steps = [
        (new(), ChangeKind.ACQUIRED),
        (said("CHANGE", address="架空町一番"), ChangeKind.CHANGED),
        (said("NUMBER", individual_number=NUMBERS[0]), ChangeKind.NUMBER_LINKED),
        (said("LOSS", loss_date="20250901", loss_reason="03"), ChangeKind.LOST),
        (said("CORRECT", loss_date="20250902"), ChangeKind.CORRECTED),
        (said("CANCEL"), ChangeKind.CANCELLED),
    ]
    for number, (line, _) in enumerate(steps):
        await stand.upload(a_file(line), f"file-{number}")
    pages = await watched.told()
    assert [kind for _, kind in steps] == kinds_of(pages)
    said_by = [(one.request_id, one.line_number) for one in events_of(pages)]  # type: ignore[union-attr]
    expected = [(f"file-{number}", 2) for number in range(6)]
    expected[2] = ("", 0)
    assert expected == said_by


async def test_what_one_slice_does_to_an_enrollee_is_one_event() -> None:
    """Begun, ended and linked at once is told at once; another insurer's are not told."""
    watched = Watched()
    lines = (
        new(individual_number=NUMBERS[0]),
        said("LOSS", loss_date="20250901", loss_reason="03"),
    )
    await watched.stand.upload(a_file(*lines, new("2")))
    other = new(insurer_number=OTHER_INSURER.zero_padded)
    await watched.stand.upload(a_file(other), "theirs", OTHER_INSURER)
    both = ChangeKind.ACQUIRED | ChangeKind.LOST | ChangeKind.NUMBER_LINKED
    assert [both, ChangeKind.ACQUIRED] == kinds_of(await watched.told())


async def test_a_line_that_says_nothing_new_is_no_event() -> None:
    """The same file under another name changes nothing and tells nothing."""
    watched = Watched()
    await watched.stand.upload(a_file(new()))
    await watched.stand.upload(a_file(new()), "again")
    assert len(events_of(await watched.told())) == 1


async def test_pages_cover_the_stream_and_a_cursor_goes_on_after_any() -> None:
    """Each page says what it covers; from each cursor the rest comes, and nothing else."""
    watched = Watched()
    await watched.stand.upload(a_file(*(new(str(n)) for n in range(5))))
    pages = await watched.told()
    assert [(p.previous_sequence, p.cursor.sequence) for p in pages] == [(0, 2), (2, 4), (4, 5)]
    for page in pages:
        rest = events_of(await watched.told(page.cursor))
        assert list(range(page.cursor.sequence + 1, 6)) == [one.sequence for one in rest]


async def test_from_now_on_leaves_out_what_was() -> None:
    """Only what comes after the call is told."""
    watched = Watched()
    await watched.stand.upload(a_file(new()))
    feed = watched.feed.watch(None, asking(), is_from_now=True)
    opening = await anext(feed)
    await watched.stand.upload(a_file(new("2")), "file-2")
    watched.watchers.wake(Role.INSURER, [CODE])
    told = await anext(feed)
    while not told.events:
        told = await anext(feed)
    await feed.aclose()
    assert (opening.cursor.sequence, told.cursor.sequence) == (1, 2)


async def test_a_quiet_stream_says_where_it_is() -> None:
    """Heartbeats carry the place, and no record is left of them."""
    watched = Watched()
    feed = watched.feed.watch(None, asking(), is_from_now=False)
    pages = [await anext(feed) for _ in range(3)]
    await feed.aclose()
    assert {(0, 0)} == {(len(page.events), page.cursor.sequence) for page in pages}
    assert not watched.accesses.records


async def test_each_page_is_one_record_of_its_people() -> None:
    """Who was told of whom, under the purpose of being told."""
    watched = Watched()
    await watched.stand.upload(a_file(new(), new("2"), new("3")))
    pages = await watched.told()
    people = [tuple(sorted({one.person_key for one in page.events})) for page in pages]
    records = watched.accesses.records
    assert people == [record.people for record in records]
    assert {("OQS-INS-02", "ANSWERED", "insurer", CODE)} == {
        (one.purpose, one.outcome, one.role, one.code) for one in records
    }


async def test_without_a_purpose_in_force_nothing_is_told() -> None:
    """The denial is recorded and names nobody."""
    published = published_policy()
    policy = Policy("none", {k: v for k, v in published.purposes.items() if k != "OQS-INS-02"})
    watched = Watched(policy=policy)
    await watched.stand.upload(a_file(new()))
    with pytest.raises(NotPermitted, match="PURPOSE_UNKNOWN"):
        await watched.told()
    (record,) = watched.accesses.records
    assert (record.outcome, record.people) == ("DENIED", ())


async def test_an_institution_is_told_its_own_news_only() -> None:
    """The record it already has, through its own purpose; another one hears nothing."""
    watched = Watched()
    watched.news.events = [NewsEvent(1, Instant(5), PersonKey(b"p"), "life-7")]
    pages = await watched.told(None, asking(Role.INSTITUTION, CLINIC))
    assert watched.news.events == events_of(pages)
    assert [record.purpose for record in watched.accesses.records] == ["OQS-MED-02"]
    assert not await watched.told(None, asking(Role.INSTITUTION, "1310000000"))


@pytest.mark.parametrize(
    ("cursor", "error", "reason"),
    [
        (Cursor("insurer", OTHER_INSURER.zero_padded), InvalidInput, "CURSOR_WRONG"),
        (Cursor("institution", CODE), InvalidInput, "CURSOR_WRONG"),
        (Cursor("insurer", CODE, 4, Instant(NOW)), Conflict, "CURSOR_UNKNOWN"),
        (Cursor("insurer", CODE, 3, Instant(7)), Conflict, "CURSOR_UNKNOWN"),
        (Cursor("insurer", CODE, 1, Instant(NOW)), Conflict, "CURSOR_EXPIRED"),
    ],
)
async def test_a_cursor_that_cannot_be_served_is_refused(
    cursor: Cursor, error: type[Exception], reason: str
) -> None:
    """Somebody else's, one from the future or another past, one before what is kept."""
    watched = Watched()
    for number in range(3):
        await watched.stand.upload(a_file(new(str(number))), f"file-{number}")
    watched.stand.store.forget_changes(Instant(NOW + 9))
    with pytest.raises(error, match=reason):
        await watched.told(cursor)


async def test_a_cursor_and_now_at_once_are_refused() -> None:
    """Where to begin is said once."""
    with pytest.raises(InvalidInput, match="CURSOR_WRONG"):
        await Watched().told(Cursor("insurer", CODE), is_from_now=True)


async def test_a_watcher_left_behind_by_forgetting_is_told_so() -> None:
    """A gap is never passed over in silence, in the middle of a stream either."""
    watched = Watched(of=limits(page=1))
    for number in range(4):
        await watched.stand.upload(a_file(new(str(number))), f"file-{number}")
    feed = watched.feed.watch(None, asking(), is_from_now=False)
    pages = [await anext(feed) for _ in range(2)]
    watched.stand.store.forget_changes(Instant(NOW + 9))
    with pytest.raises(Conflict, match="CURSOR_EXPIRED"):
        await anext(feed)
    assert pages[-1].cursor.sequence == 1


async def test_watchers_are_counted_and_let_go() -> None:
    """No more than allowed for one caller or in all; who leaves makes room."""
    watched = Watched(of=limits(in_all=3, a_caller=2))
    feeds = []

    async def begin(code: str) -> None:
        feed = watched.feed.watch(None, asking(code=code), is_from_now=False)
        await anext(feed)
        feeds.append(feed)

    await begin(CODE)
    await begin(CODE)
    with pytest.raises(TooMuch, match="TOO_MANY_WATCHERS"):
        await begin(CODE)
    await begin(OTHER_INSURER.zero_padded)
    with pytest.raises(TooMuch, match="TOO_MANY_WATCHERS"):
        await begin("06139992")
    await feeds.pop(0).aclose()
    await begin(CODE)
    for feed in feeds:
        await feed.aclose()


async def test_watching_ends_with_the_process() -> None:
    """A watcher that waits is told to come back, at once."""
    watched = Watched(of=WatchLimits(2, 60.0, 60.0, 9, 9))
    await watched.stand.upload(a_file(new()))
    feed = watched.feed.watch(None, asking(), is_from_now=False)
    assert [(await anext(feed)).cursor.sequence for _ in range(2)] == [0, 1]
    asyncio.get_running_loop().call_later(0.01, watched.stop.set)
    with pytest.raises(Unavailable, match="WRITER_UNAVAILABLE"):
        await asyncio.wait_for(anext(feed), 5)

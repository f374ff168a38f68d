"""`onshi migrate`: what it moves, what it refuses, how it goes on after a kill."""

from __future__ import annotations

import asyncio
import shutil
import string
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from pathlib import Path
from threading import Thread

import asyncpg
import pytest
import pytest_asyncio

from gateway.app import move as module
from gateway.app import standstill
from gateway.app.layout import DataDir
from gateway.app.move import ASKED_AGAIN, Moved, MoveRefusedError, Place, Wish, move
from gateway.app.move_screen import MoveScreen, print_moved, print_refused
from gateway.app.move_words import SAY
from gateway.app.standstill import Mark, mark_of, may_write, put_mark
from gateway.edges.rpc.convert import sheet
from gateway.store.migrate import migrate
from gateway.store.move_sample import Checked, Difference
from gateway.store.postgres import PostgresStore
from gateway.store.records import StoreTooNew
from gateway.store.sqlite import SqliteStore
from gateway.store.sqlite_file import connected
from tests.store import postgres
from tests.store.batches import BIRTH_DATE, cover, enrollee, insured_id, person, put

PEOPLE = 5
SAMPLE = 20


@pytest.fixture(scope="module", autouse=True)
def _postgres_ends() -> Iterator[None]:
    """Stop the server the tests share."""
    yield
    postgres.stop()


@pytest_asyncio.fixture
async def url() -> AsyncIterator[str]:
    """An empty database of a server."""
    async with postgres.database() as found:
        yield found


@pytest_asyncio.fixture
async def data(tmp_path: Path) -> DataDir:
    """A data directory with a few people in its file."""
    found = DataDir(tmp_path / "data")
    found.make()
    migrate(found.database, sheet)
    store = SqliteStore(found.database, sheet)
    for number in range(1, PEOPLE + 1):
        of = insured_id(number=str(number))
        await put(
            store,
            person(number),
            enrollee(number),
            cover(of, recorded=1_000 * number),
            now=1_000 * number,
        )
    await store.close()
    return found


class Heard:
    """Remembers what it was told; stops a move after so many rows."""

    def __init__(self, rows_max: int = 10**9) -> None:
        self.stages: list[str] = []
        self.pauses: list[bool] = []
        self._rows_left = rows_max

    def began(self, stage: str, total: int) -> None:
        """See `Watching`."""
        assert total >= 0
        self.stages.append(stage)

    def went(self, count: int) -> None:
        """See `Watching`."""
        self._rows_left -= count
        if self._rows_left < 0:
            raise KeyboardInterrupt

    def paused(self, seconds: float | None) -> None:
        """See `Watching`."""
        self.pauses.append(seconds is None)


def wish(data: DataDir, url: str, *, is_resumed: bool = False) -> Wish:
    """Wish a move to a server."""
    return Wish(Place(file=data.database), Place(url=url), is_resumed, SAMPLE)


async def found_in(store: PostgresStore | SqliteStore) -> list[int]:
    """Tell how many each of the people's lookups finds."""
    keys = [insured_id(number=str(number)).lookup_key for number in range(1, PEOPLE + 1)]
    return [len(await store.matching(key, BIRTH_DATE, 9)) for key in keys]


async def test_all_facts_move_to_a_server_and_back(data: DataDir, url: str) -> None:
    """Lookups find the same; the store that was left is closed each time."""
    heard = Heard()
    moved = await move(wish(data, url), heard)
    assert moved.is_done
    assert moved.checked.asked == 3 * (SAMPLE + SAMPLE // ASKED_AGAIN)
    assert heard.stages == ["copying", "asking", "last_round", "asking_again"]
    assert heard.pauses == [True, False]
    assert mark_of(data) == Mark("sqlite")
    store = await PostgresStore.elected(url, sheet, "life")
    assert await found_in(store) == [1] * PEOPLE
    assert await store.last_recorded_time() == 1_000 * PEOPLE
    await put(
        store, person(9), enrollee(9), cover(insured_id(number="9"), recorded=9_000), now=9_000
    )
    await store.close()
    for old in data.root.glob("gateway.db*"):
        old.unlink()
    back = await move(Wish(Place(url=url), Place(file=data.database), sample=SAMPLE), Heard())
    assert back.is_done
    assert back.rows > moved.rows
    assert mark_of(data) == Mark("postgresql")
    again = SqliteStore(data.database, sheet)
    assert await found_in(again) == [1] * PEOPLE
    assert await again.last_recorded_time() == 9_000
    await again.close()


async def test_rounds_go_on_until_little_is_left(
    data: DataDir, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A round that wrote much is followed by another one before anybody must wait."""
    monkeypatch.setattr(module, "CATCH_UP_ROWS", 0)
    heard = Heard()
    assert (await move(wish(data, url), heard)).is_done
    assert heard.stages == ["copying", "catching_up", "asking", "last_round", "asking_again"]


async def refused(wished: Wish) -> str:
    """Give why a move is refused."""
    with pytest.raises(MoveRefusedError) as error:
        await move(wished, Heard())
    return error.value.name


async def test_a_killed_move_is_gone_on_with(data: DataDir, url: str) -> None:
    """Until then nobody serves from what it left, and the old store goes on being written to."""
    with pytest.raises(KeyboardInterrupt):
        await move(wish(data, url), Heard(rows_max=PEOPLE + 1))
    with pytest.raises(StoreTooNew):
        await PostgresStore.elected(url, sheet, "life")
    store = SqliteStore(data.database, sheet)
    await put(
        store, person(9), enrollee(9), cover(insured_id(number="9"), recorded=9_000), now=9_000
    )
    await store.close()
    assert await refused(wish(data, url)) == "begun"
    assert (await move(wish(data, url, is_resumed=True), Heard())).is_done
    there = await PostgresStore.elected(url, sheet, "life")
    assert await there.last_recorded_time() == 9_000
    assert len(await there.matching(insured_id(number="9").lookup_key, BIRTH_DATE, 9)) == 1
    await there.close()


async def test_a_move_killed_before_its_last_row_is_ended_by_another(
    data: DataDir, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between closing the old store and opening the new one both are closed."""
    from gateway.store.move import PostgresSide

    async def killed(side: PostgresSide, meta: object) -> None:
        """Do nothing more."""
        raise KeyboardInterrupt

    with monkeypatch.context() as planted:
        planted.setattr(PostgresSide, "seal", killed)
        with pytest.raises(KeyboardInterrupt):
            await move(wish(data, url), Heard())
    assert mark_of(data) == Mark("sqlite")
    with pytest.raises(StoreTooNew):
        await PostgresStore.elected(url, sheet, "life")
    assert (await move(wish(data, url, is_resumed=True), Heard())).is_done
    await (await PostgresStore.elected(url, sheet, "life")).close()


async def test_a_database_that_holds_anything_is_refused(data: DataDir, url: str) -> None:
    """Nothing in it changes, with `--resume` or without."""
    store = await PostgresStore.elected(url, sheet, "life")
    await put(store, person(1), enrollee(1), cover())
    await store.close()
    assert await refused(wish(data, url)) == "not_empty"
    assert await refused(wish(data, url, is_resumed=True)) == "not_empty"
    store = await PostgresStore.elected(url, sheet, "life")
    assert await store.last_recorded_time() == 1_000
    await store.close()


async def test_what_another_move_fills_is_refused(data: DataDir, url: str, tmp_path: Path) -> None:
    """A copy of a data directory does not go on in a database of the first one's move."""
    with pytest.raises(KeyboardInterrupt):
        await move(wish(data, url), Heard(rows_max=1))
    other = DataDir(tmp_path / "other")
    shutil.copytree(data.root, other.root)
    other.move.unlink()
    assert await refused(wish(other, url, is_resumed=True)) == "wrong_form"


async def test_a_move_that_was_never_begun_is_not_resumed(data: DataDir, url: str) -> None:
    """A mistyped database is not filled."""
    assert await refused(wish(data, url, is_resumed=True)) == "nothing_begun"


async def test_a_writer_that_stays_ends_a_move(
    data: DataDir, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Then the old store is as open as before."""
    monkeypatch.setattr(standstill, "PAUSE_S_MAX", 0.0)
    assert await may_write(data, "sqlite", asyncio.Event())
    assert await refused(wish(data, url)) == "writer_stays"
    assert mark_of(data) is None
    assert await refused(wish(data, url)) == "begun"


async def test_somebody_who_writes_past_the_lock_is_noticed(
    data: DataDir, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A commit during the last round ends the move without a new store."""

    class Writing(Heard):
        """Has somebody write once the last round is over."""

        def began(self, stage: str, total: int) -> None:
            super().began(stage, total)
            if stage == "asking_again":
                with closing(connected(data.database, "rw", 1_000)) as line:
                    line.execute("DELETE FROM people")

    with pytest.raises(MoveRefusedError) as error:
        await move(wish(data, url), Writing())
    assert error.value.name == "writer_stays"
    assert mark_of(data) is None


async def test_what_insurers_change_meanwhile_is_no_difference(data: DataDir, url: str) -> None:
    """What is asked about before nobody writes may be new on one side; it is asked again."""

    class Changing(Heard):
        """Has everybody's row go before it is asked about, as a writer would."""

        def began(self, stage: str, total: int) -> None:
            super().began(stage, total)
            if stage == "asking":
                with closing(connected(data.database, "rw", 1_000)) as line:
                    line.execute("DELETE FROM people")

    moved = await move(wish(data, url), Changing())
    assert moved.is_done
    assert moved.checked.asked == 2 * 3 * SAMPLE


async def test_a_difference_ends_a_move(
    data: DataDir, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is told by its key, and the old store goes on."""

    class Dropping(Heard):
        """Has a row dropped after the last round."""

        def began(self, stage: str, total: int) -> None:
            super().began(stage, total)
            if stage == "asking_again":

                async def drop() -> None:
                    connection = await asyncpg.connect(url)
                    await connection.execute("DELETE FROM people")
                    await connection.close()

                thread = Thread(target=lambda: asyncio.run(drop()))
                thread.start()
                thread.join()

    moved = await move(wish(data, url), Dropping())
    assert not moved.is_done
    assert {one.what for one in moved.checked.differences} >= {"lookup", "history"}
    assert mark_of(data) is None
    with pytest.raises(StoreTooNew):
        await PostgresStore.elected(url, sheet, "life")


async def test_an_old_store_that_was_left_is_not_moved_again(data: DataDir, url: str) -> None:
    """What changed since stands in the new one alone."""
    put_mark(data, Mark("sqlite", is_left=True))
    assert await refused(wish(data, url)) == "out_of_date"


@pytest.mark.parametrize(
    ("source", "target", "why"),
    [
        ("sqlite:///nowhere/gateway.db", "postgresql://u@h/d", "no_file"),
        ("sqlite:///a.db", "sqlite:///b.db", "not_two_engines"),
        ("postgresql://u@h/a", "postgresql://u@h/b", "not_two_engines"),
        ("sqlite:relative.db", "postgresql://u@h/d", "place_unknown"),
        ("sqlite:///a.db", "mysql://u@h/d", "place_unknown"),
        ("sqlite:///a.db", "postgresql://u@h", "place_unknown"),
    ],
)
async def test_places_that_cannot_be_are_refused(source: str, target: str, why: str) -> None:
    """Before anything is opened."""
    with pytest.raises(MoveRefusedError) as error:
        await move(Wish(Place.parse(source), Place.parse(target)), Heard())
    assert error.value.name == why


async def test_a_file_that_is_not_there_is_not_made(data: DataDir, url: str) -> None:
    """A mistyped path is told."""
    missing = Wish(Place(file=data.root / "gatewy.db"), Place(url=url))
    assert await refused(missing) == "no_file"
    assert not (data.root / "gatewy.db").exists()


async def test_a_log_of_an_older_file_is_not_taken_for_the_new_ones(
    tmp_path: Path, url: str
) -> None:
    """SQLite would play it into the new file."""
    file = tmp_path / "gateway.db"
    file.with_name("gateway.db-wal").touch()
    assert await refused(Wish(Place(url=url), Place(file=file))) == "old_log"
    assert not file.exists()


async def test_a_database_that_does_not_exist_is_told(data: DataDir, url: str) -> None:
    """By PostgreSQL's own name of it; and a server that does not answer as one that is away."""
    assert await refused(wish(data, f"{url}_not")) == "server_refuses"
    assert await refused(wish(data, "postgresql://onshi@127.0.0.1:1/none")) == "away"


def test_every_sentence_stands_in_both_languages() -> None:
    """With the same values in both, but for what only one engine's sentence says."""
    assert all(set(said) == {"ja", "en"} for said in SAY.values())
    fields = {
        name: [
            {field for _, field, _, _ in string.Formatter().parse(said[of]) if field}
            for of in ("ja", "en")
        ]
        for name, said in SAY.items()
        if not name.startswith("next_to")
    }
    assert [name for name, (ja, en) in fields.items() if ja != en] == []


def test_what_came_of_a_move_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    """Counts and what to do next; or the first differences by key, and how many more."""
    print_moved(Moved(1_234, 5.0, Checked(30, [])), "en", is_to_server=True)
    said = capsys.readouterr().out
    assert said.startswith("Moved: 1,234 rows. 30 questions asked of both, no difference.")
    assert "SIGHUP" in said
    differences = [Difference("lookup", "ab"), Difference("people")] * 11
    print_moved(Moved(1_234, 5.0, Checked(30, differences)), "ja", is_to_server=True)
    lines = capsys.readouterr().out.splitlines()
    assert lines[1:3] == ["lookup ab", "people"]
    assert lines[-1] == "ほか 2 件"


def test_a_refusal_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    """On standard error, with its values."""
    print_refused(MoveRefusedError("no_file", path="x.db"), "en")
    assert capsys.readouterr().err == "onshi: x.db: there is no such file.\n"


def test_the_screen_tells_each_stage(capsys: pytest.CaptureFixture[str]) -> None:
    """With how many rows of how many, and when nobody writes."""
    with MoveScreen("en") as screen:
        screen.began("copying", 2_000)
        screen.went(2_000)
        screen.paused(None)
        screen.began("asking", 10)
        screen.went(5)
    said = capsys.readouterr().err
    assert "copying" in said
    assert "2,000/2,000 rows" in said
    assert "Writing pauses now" in said
    assert "5/10 people" in said

"""The contract of `gateway.store.port` as tests: a store's test module inherits `StoreTests`."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest
from msgspec import structs

from gateway.domain.coverage import Enrolment, History
from gateway.domain.errors import TooMuch
from gateway.domain.identifiers import InsuredId, PersonKey
from gateway.domain.period import Instant
from gateway.store.port import (
    Batch,
    LookupRow,
    NewLink,
    NewVersion,
    RefusedLine,
    UploadState,
    Writing,
)
from gateway.store.records import ImpossibleBatch
from tests.store.batches import (
    BIRTH_DATE,
    INSURER,
    UPLOAD_KEY,
    an_upload,
    applied,
    batch_of,
    cover,
    enrollee,
    insured_id,
    key_of,
    lookups_of,
    matching,
    matching_known_at,
    moved,
    next_version,
    person,
    put,
    relevant,
)

KEY = insured_id().lookup_key


class StoreTests:
    """Needs a fixture `store`, a fresh and empty `Writing`."""

    async def test_an_empty_store_matches_nothing(self, store: Writing) -> None:
        """Nobody is found in an empty store, now or at any time."""
        assert list(await matching(store, KEY, BIRTH_DATE, 9)) == []
        assert list(await matching_known_at(store, KEY, BIRTH_DATE, Instant(5), 9)) == []
        assert await store.history_of(person(1)) is None
        assert await store.last_recorded_time() == 0

    async def test_a_committed_cover_is_found(self, store: Writing) -> None:
        """What was committed is found under its key and birth date, as one history."""
        await put(store, person(1), enrollee(1), cover())
        expected = History(
            person(1), 1, (Enrolment(enrollee(1), is_numbered=False, covers=(cover(),)),)
        )
        assert [expected] == list(await matching(store, KEY, BIRTH_DATE, 9))
        assert expected == await store.history_of(person(1))

    async def test_another_birth_date_is_not_found(self, store: Writing) -> None:
        """The birth date is part of what is asked for."""
        await put(store, person(1), enrollee(1), cover())
        assert list(await matching(store, KEY, date(1984, 3, 1), 9)) == []

    @pytest.mark.parametrize(
        ("one", "other"),
        [
            (insured_id("abc", "1"), insured_id("ABC", "1")),
            (insured_id("か", "1"), insured_id("が", "1")),
            (insured_id("カ", "1"), insured_id("か", "1")),
            (insured_id("記号", "1"), insured_id("記号", "01")),
            (insured_id("", "11"), insured_id("1", "1")),
        ],
    )
    async def test_keys_tell_cases_and_marks_apart(
        self, store: Writing, one: InsuredId, other: InsuredId
    ) -> None:
        """Case, sound marks, kana sort and leading zeros tell cards apart."""
        await put(store, person(1), enrollee(1), cover(one))
        assert len(await matching(store, one.lookup_key, BIRTH_DATE, 9)) == 1
        assert list(await matching(store, other.lookup_key, BIRTH_DATE, 9)) == []

    async def test_widths_are_one(self, store: Writing) -> None:
        """Full-width and half-width spellings of a card are one card."""
        await put(store, person(1), enrollee(1), cover(insured_id("ｷｺﾞｳ", "１２－３")))
        key = insured_id("キゴウ", "12-3").lookup_key
        assert len(await matching(store, key, BIRTH_DATE, 9)) == 1

    @pytest.mark.parametrize("last", [b"\x00", b" ", b"\xff", b"A", b"a"])
    async def test_keys_are_compared_as_bytes(self, store: Writing, last: bytes) -> None:
        """Keys that end in zero bytes, blanks or letters of two cases are told apart."""
        keys = [key_of("person", 7)[:15] + end for end in (b"\x00", b" ", b"\xff", b"A", b"a")]
        for number, key in enumerate(keys):
            await put(store, PersonKey(key), enrollee(number), cover(insured_id(f"{number}")))
        mine = key_of("person", 7)[:15] + last
        found = await store.history_of(PersonKey(mine))
        assert found is not None
        assert (mine, 1) == (found.person_key, len(found.enrolments))

    async def test_branches_share_a_key(self, store: Writing) -> None:
        """The branch is no part of the key: whoever shares a card and a birth date is found."""
        await put(store, person(2), enrollee(2), cover(insured_id(branch="02")))
        await put(store, person(1), enrollee(1), cover(insured_id(branch=None)))
        found = await matching(store, KEY, BIRTH_DATE, 9)
        assert [person(1), person(2)] == [history.person_key for history in found]

    async def test_too_many_people_are_refused(self, store: Writing) -> None:
        """As many people as allowed are given; one more is refused, now and at any time."""
        for number in range(3):
            await put(store, person(number), enrollee(number), cover())
        assert len(await matching(store, KEY, BIRTH_DATE, 3)) == 3
        assert len(await matching_known_at(store, KEY, BIRTH_DATE, Instant(1_000), 3)) == 3
        with pytest.raises(TooMuch, match="TOO_MANY_MATCHES"):
            await matching(store, KEY, BIRTH_DATE, 2)
        with pytest.raises(TooMuch, match="TOO_MANY_MATCHES"):
            await matching_known_at(store, KEY, BIRTH_DATE, Instant(1_000), 2)

    async def test_a_person_with_two_enrollees_comes_once(self, store: Writing) -> None:
        """Two enrollees of one person under one key are one history."""
        await put(store, person(1), enrollee(2), cover())
        await put(store, person(1), enrollee(1), cover(), now=2_000)
        (found,) = await matching(store, KEY, BIRTH_DATE, 1)
        assert [enrollee(1), enrollee(2)] == [one.enrollee_key for one in found.enrolments]
        assert found.version == 2

    async def test_a_version_supersedes_the_one_before(self, store: Writing) -> None:
        """The last version is found now; each counts from its instant until the next's."""
        first = cover()
        second = next_version(first, 2_000, "乙")
        await put(store, person(1), enrollee(1), first)
        await put(store, person(1), enrollee(1), second, now=2_000)
        (now,) = await matching(store, KEY, BIRTH_DATE, 9)
        assert (second,) == now.enrolments[0].covers
        for known, expected in [(1_000, first), (1_999, first), (2_000, second), (9_999, second)]:
            (then,) = await matching_known_at(store, KEY, BIRTH_DATE, Instant(known), 9)
            assert (expected,) == then.enrolments[0].covers
            assert then.version == 0
        assert list(await matching_known_at(store, KEY, BIRTH_DATE, Instant(999), 9)) == []

    async def test_versions_of_one_batch_give_the_last(self, store: Writing) -> None:
        """Of several versions in one batch the last is known; the others never were."""
        first = cover()
        second = next_version(first, 1_000, "乙")
        batch = await self._batch(store)
        versions = [NewVersion(enrollee(1), INSURER, one, UPLOAD_KEY, 2) for one in (first, second)]
        enrolment = Enrolment(enrollee(1), is_numbered=False, covers=(second,))
        await store.commit(
            replace(batch, versions=versions, histories=[History(person(1), 1, (enrolment,))])
        )
        (then,) = await matching_known_at(store, KEY, BIRTH_DATE, Instant(1_000), 9)
        assert (second,) == then.enrolments[0].covers
        assert (enrolment,) == (await matching(store, KEY, BIRTH_DATE, 9))[0].enrolments

    async def test_a_cover_corrected_away_is_still_known_as_it_was(self, store: Writing) -> None:
        """A cover that moved to another card is found under the old one as of earlier only."""
        other = insured_id(number="2")
        first = cover()
        second = structs.replace(next_version(first, 2_000, "甲"), insured_id=other)
        await put(store, person(1), enrollee(1), first)
        before = await store.load([KEY, other.lookup_key], [])
        enrolment = Enrolment(enrollee(1), is_numbered=False, covers=(second,))
        await store.commit(batch_of(before, [(person(1), enrolment)], Instant(2_000)))
        assert len(await matching_known_at(store, KEY, BIRTH_DATE, Instant(1_999), 9)) == 1
        assert list(await matching_known_at(store, KEY, BIRTH_DATE, Instant(2_000), 9)) == []
        hot = await matching(store, KEY, BIRTH_DATE, 9)
        assert relevant(hot, insured_id(), BIRTH_DATE) == []
        assert len(await matching(store, other.lookup_key, BIRTH_DATE, 9)) == 1

    async def test_a_link_moves_an_enrollee_to_another_person(self, store: Writing) -> None:
        """An enrollee that turns out to be another person is theirs from then on, not before."""
        await put(store, person(1), enrollee(1), cover())
        before = await store.load([KEY], [person(2)])
        await store.commit(moved(before, enrollee(1), person(2), Instant(2_000)))
        (now,) = await matching(store, KEY, BIRTH_DATE, 9)
        assert person(2) == now.person_key
        assert now.enrolments[0].is_numbered
        (then,) = await matching_known_at(store, KEY, BIRTH_DATE, Instant(1_999), 9)
        assert person(1) == then.person_key
        assert not then.enrolments[0].is_numbered
        (later,) = await matching_known_at(store, KEY, BIRTH_DATE, Instant(2_000), 9)
        assert (person(2), now.enrolments) == (later.person_key, later.enrolments)
        assert History(person(1), 2, ()) == await store.history_of(person(1))

    async def test_a_link_may_move_back(self, store: Writing) -> None:
        """A link that was repaired twice is known as each repair left it."""
        await put(store, person(1), enrollee(1), cover())
        for to, now in [(2, 2_000), (1, 3_000)]:
            before = await store.load([KEY], [person(1), person(2)])
            await store.commit(moved(before, enrollee(1), person(to), Instant(now)))
        for known, expected in [(1_000, 1), (2_000, 2), (2_999, 2), (3_000, 1)]:
            (then,) = await matching_known_at(store, KEY, BIRTH_DATE, Instant(known), 9)
            assert person(expected) == then.person_key

    async def test_links_of_one_batch_give_the_last(self, store: Writing) -> None:
        """An enrollee that is new and numbered in one batch was never without a number."""
        batch = await self._batch(store)
        enrolment = Enrolment(enrollee(1), is_numbered=True, covers=(cover(),))
        links = [
            NewLink(enrollee(1), person(1), is_numbered=False, replaces=None),
            NewLink(enrollee(1), person(1), is_numbered=True, replaces=person(1)),
        ]
        histories = [History(person(1), 1, (enrolment,))]
        await store.commit(replace(batch, links=links, histories=histories))
        (then,) = await matching_known_at(store, KEY, BIRTH_DATE, Instant(1_000), 9)
        assert (enrolment,) == then.enrolments

    async def test_a_link_that_moves_twice_in_a_batch_leaves_the_first_person(
        self, store: Writing
    ) -> None:
        """Links of one batch that follow each other close the one before the batch."""
        before = await put(store, person(1), enrollee(1), cover())
        enrolment = Enrolment(enrollee(1), is_numbered=True, covers=(cover(),))
        links = [
            NewLink(enrollee(1), person(2), is_numbered=True, replaces=person(1)),
            NewLink(enrollee(1), person(3), is_numbered=True, replaces=person(2)),
        ]
        lookups = [structs.replace(row, person_key=person(3)) for row in before.lookups]
        histories = [
            History(person(1), 2, ()),
            History(person(2), 1, ()),
            History(person(3), 1, (enrolment,)),
        ]
        await store.commit(Batch(Instant(2_000), links=links, lookups=lookups, histories=histories))
        for people in (
            await matching(store, KEY, BIRTH_DATE, 9),
            await matching_known_at(store, KEY, BIRTH_DATE, Instant(2_000), 9),
        ):
            assert [person(3)] == [history.person_key for history in people]

    async def test_a_link_may_move_back_at_the_same_instant(self, store: Writing) -> None:
        """Batches that share an instant leave the last link, as it says."""
        await put(store, person(1), enrollee(1), cover())
        for to in (2, 1):
            before = await store.load([KEY], [person(1), person(2)])
            await store.commit(moved(before, enrollee(1), person(to), Instant(1_000)))
        (then,) = await matching_known_at(store, KEY, BIRTH_DATE, Instant(1_000), 9)
        assert (person(1), [True]) == (
            then.person_key,
            [enrolment.is_numbered for enrolment in then.enrolments],
        )

    async def test_lookup_rows_may_be_said_again(self, store: Writing) -> None:
        """The same lookup row twice, in one batch and in the next, is one row."""
        batch = await put(store, person(1), enrollee(1), cover())
        again = Batch(Instant(2_000), lookups=[*batch.lookups, *batch.lookups])
        await store.commit(again)
        assert len(await matching(store, KEY, BIRTH_DATE, 1)) == 1

    async def test_load_gives_all_enrollees_of_all_people_concerned(self, store: Writing) -> None:
        """Loading a key gives its people's other enrollees too, and versions of those asked for."""
        other = cover(insured_id(number="2"))
        await put(store, person(1), enrollee(2), cover())
        await put(store, person(1), enrollee(1), other, now=2_000)
        await put(store, person(2), enrollee(3), cover(insured_id(number="3")), now=3_000)
        loaded = await store.load([KEY], [person(9)])
        assert [
            (INSURER, person(1), Enrolment(enrollee(1), is_numbered=False, covers=(other,))),
            (INSURER, person(1), Enrolment(enrollee(2), is_numbered=False, covers=(cover(),))),
        ] == [(one.insurer_number, one.person_key, one.enrolment) for one in loaded.enrollees]
        assert {person(1): 2, person(9): 0} == loaded.person_versions

    async def test_load_of_a_person_gives_their_enrollees(self, store: Writing) -> None:
        """Loading a person without a key gives each of their enrollees."""
        await put(store, person(2), enrollee(3), cover())
        loaded = await store.load([], [person(2)])
        assert [enrollee(3)] == [one.enrolment.enrollee_key for one in loaded.enrollees]
        assert {person(2): 1} == loaded.person_versions

    async def test_an_impossible_batch_writes_nothing(self, store: Writing) -> None:
        """A batch that does not follow what is stored is refused whole."""
        await put(store, person(1), enrollee(1), cover())
        for version_no in (1, 3):
            bad = structs.replace(cover(), version_no=version_no, name="乙")
            good = cover(insured_id(number="2"))
            batch = Batch(
                Instant(9_000),
                versions=[
                    NewVersion(enrollee(2), INSURER, good, UPLOAD_KEY, 2),
                    NewVersion(enrollee(1), INSURER, bad, UPLOAD_KEY, 3),
                ],
                links=[NewLink(enrollee(2), person(2), is_numbered=False, replaces=None)],
                lookups=[LookupRow(good.insured_id.lookup_key, BIRTH_DATE, enrollee(2), person(2))],
                histories=[History(person(2), 1, ())],
                upload=an_upload(),
                refused_lines=[RefusedLine(4, "branch", "FORMAT_WRONG")],
            )
            with pytest.raises(ImpossibleBatch):
                await store.commit(batch)
        assert await store.history_of(person(2)) is None
        assert list(await matching(store, good.insured_id.lookup_key, BIRTH_DATE, 9)) == []
        assert await store.upload(an_upload().upload_key) is None
        assert list(await store.refused_lines(an_upload().upload_key, 9)) == []
        assert await store.last_recorded_time() == 1_000

    async def test_last_recorded_time_never_goes_back(self, store: Writing) -> None:
        """The latest instant committed is remembered, whatever came after it."""
        for now in (5, 9, 7):
            await store.commit(Batch(Instant(now)))
        assert await store.last_recorded_time() == 9

    async def test_an_upload_comes_back_as_it_went(self, store: Writing) -> None:
        """An upload is inserted, then replaced by its key; another key stays unknown."""
        received = an_upload()
        await store.commit(Batch(Instant(5), upload=received))
        assert received == await store.upload(received.upload_key)
        done = replace(
            applied(received, 9),
            encoding="cp932",
            bytes_done=2**40,
            lines_read=2**33,
            lines_total=2**34,
            is_dry_run=True,
        )
        await store.commit(Batch(Instant(9), upload=done))
        assert done == await store.upload(received.upload_key)
        assert await store.upload(an_upload(2).upload_key) is None

    async def test_unapplied_uploads_come_oldest_first(self, store: Writing) -> None:
        """Uploads to go on with come by when they were received; applied ones do not."""
        for number in (3, 1, 2):
            await store.commit(Batch(Instant(9), upload=an_upload(number)))
        await store.commit(Batch(Instant(9), upload=an_upload(2, UploadState.APPLIED)))
        assert [an_upload(1), an_upload(3)] == list(await store.unapplied_uploads())

    async def test_refused_lines_come_by_number(self, store: Writing) -> None:
        """Refused lines of several batches come by line number, bounded, each upload its own."""
        lines = [RefusedLine(number, "branch", "FORMAT_WRONG") for number in (10, 9, 2, 100_000, 3)]
        await store.commit(Batch(Instant(5), upload=an_upload(), refused_lines=lines[:2]))
        await store.commit(Batch(Instant(6), upload=an_upload(), refused_lines=lines[2:]))
        await store.commit(Batch(Instant(7), upload=an_upload(2), refused_lines=lines[:1]))
        key = an_upload().upload_key
        assert [line.line_number for line in await store.refused_lines(key, 9)] == [
            2,
            3,
            9,
            10,
            100_000,
        ]
        assert [line.line_number for line in await store.refused_lines(key, 2)] == [2, 3]

    async def test_refused_lines_come_after_a_place(self, store: Writing) -> None:
        """A page begins after the line given, in the middle of a line's reasons too."""
        lines = [
            RefusedLine(2, "", "B"),
            RefusedLine(2, "a", "A"),
            RefusedLine(2, "a", "B"),
            RefusedLine(3, "", "A"),
        ]
        await store.commit(Batch(Instant(5), upload=an_upload(), refused_lines=lines))
        key = an_upload().upload_key
        for place, line in enumerate(lines, start=1):
            assert lines[place:] == list(await store.refused_lines(key, 9, line))
        assert lines[1:3] == list(await store.refused_lines(key, 2, lines[0]))

    async def test_an_upload_begun_anew_forgets_its_refused_lines(self, store: Writing) -> None:
        """Only its own, and before those of the batch are written."""
        old, new = RefusedLine(2, "", "A"), RefusedLine(3, "", "A")
        for number in (1, 2):
            await store.commit(Batch(Instant(5), upload=an_upload(number), refused_lines=[old]))
        anew = Batch(Instant(6), upload=an_upload(), refused_lines=[new])
        anew.is_upload_begun_anew = True
        await store.commit(anew)
        assert [new] == list(await store.refused_lines(an_upload().upload_key, 9))
        assert [old] == list(await store.refused_lines(an_upload(2).upload_key, 9))

    async def test_a_line_may_be_refused_for_several_reasons(self, store: Writing) -> None:
        """Two columns of a line, and two reasons of a column, are all kept."""
        lines = [
            RefusedLine(2, "", "LINE_TOO_LONG"),
            RefusedLine(2, "branch", "FIELD_REQUIRED"),
            RefusedLine(2, "branch", "FORMAT_WRONG"),
        ]
        await store.commit(Batch(Instant(5), upload=an_upload(), refused_lines=lines))
        assert lines == list(await store.refused_lines(an_upload().upload_key, 9))

    async def _batch(self, store: Writing) -> Batch:
        """A batch for a first enrollee whose versions and histories a test fills in."""
        enrolment = Enrolment(enrollee(1), is_numbered=False, covers=(cover(),))
        return replace(
            batch_of(await store.load([], [person(1)]), [(person(1), enrolment)], Instant(1_000)),
            lookups=lookups_of(enrolment, person(1)),
        )

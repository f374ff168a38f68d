"""An insurer's file: received whole or not at all, applied once, whatever comes between."""

from __future__ import annotations

import asyncio
import hashlib
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.domain.errors import (
    Conflict,
    InvalidInput,
    NotFound,
    NotPermitted,
    Refusal,
    TooMuch,
    Unavailable,
)
from gateway.domain.individual_number import IndividualNumber
from gateway.domain.purpose import Role
from gateway.formats.coverage_csv import decode_cells
from gateway.store.port import RefusedLine, UploadState
from gateway.usecases.apply_uploads import next_slice_lines
from gateway.usecases.register_coverage import register
from gateway.usecases.upload_coverage import report_of, upload_key_of
from tests.usecases.registration import (
    INSURER,
    LIMITS,
    NUMBERS,
    OTHER_INSURER,
    CrashError,
    Stand,
    a_file,
    caller,
    new,
    said,
    who,
)


def some(strategy: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """Mostly nothing, sometimes one of these."""
    return st.just("") | strategy


small_numbers = st.sampled_from(["1", "2"])
small_branches = st.sampled_from(["", "01", "02"])
small_days = st.sampled_from(["20250401", "20250701", "20251001"])
small_names = st.sampled_from(["架空　太郎", "架空　花子"])
individual_numbers = st.sampled_from(NUMBERS)

lines = st.one_of(
    st.builds(
        lambda number, branch, day, name, mine: new(
            number, branch=branch, acquisition_date=day, name=name, individual_number=mine
        ),
        small_numbers,
        small_branches,
        small_days,
        small_names,
        some(individual_numbers),
    ),
    st.builds(
        lambda number, branch, name, moved: said(
            "CHANGE", number, branch=branch, name=name, new_branch=moved
        ),
        small_numbers,
        small_branches,
        small_names,
        some(st.just("02")),
    ),
    st.builds(
        lambda number, branch, day: said(
            "LOSS", number, branch=branch, loss_date=day, loss_reason="03"
        ),
        small_numbers,
        small_branches,
        small_days,
    ),
    st.builds(
        lambda number, moved, day: said(
            "CORRECT", number, new_number=moved, new_acquisition_date=day, loss_date="-"
        ),
        small_numbers,
        some(small_numbers),
        some(small_days),
    ),
    st.builds(
        lambda number, day: said("CANCEL", number, acquisition_date=day),
        small_numbers,
        some(small_days),
    ),
    st.builds(
        lambda number, branch, mine: said("NUMBER", number, branch=branch, individual_number=mine),
        small_numbers,
        small_branches,
        individual_numbers,
    ),
    st.sampled_from(["\r\n", "NEW,1\r\n", said("CANCEL", insurer_number="00138057")]),
)
"""Lines about few people and days, so that they meet."""

files = st.lists(lines, max_size=14).map(lambda drawn: a_file(*drawn))


def counts(stand: Stand) -> list[tuple[int, ...]]:
    """What the reports of a store's uploads count."""
    return [
        (one.lines_read, one.lines_applied, one.lines_unchanged, one.lines_refused)
        for one in stand.store._uploads.values()
    ]


@settings(max_examples=150, deadline=None)
@given(files, st.integers(1, 5))
def test_slices_do_not_matter(data: bytes, slice_lines: int) -> None:
    """Cut into slices of any size, a file ends in the same covers, people and report."""

    async def outcome(limits: int) -> tuple[object, ...]:
        stand = Stand(limits=replace(LIMITS, slice_lines_max=limits))
        await stand.upload(data)
        return stand.people(), counts(stand), await stand.refused()

    assert asyncio.run(outcome(200)) == asyncio.run(outcome(slice_lines))


@settings(max_examples=150, deadline=None)
@given(files, st.integers(2, 8), st.booleans())
def test_a_crash_between_any_two_steps_is_repaired(
    data: bytes,
    crash_at: int,
    is_written: bool,  # noqa: FBT001  drawn
) -> None:
    """A writer that dies before or after any commit, and starts again, ends the same."""
    limits = replace(LIMITS, slice_lines_max=2)

    async def outcome(at: int) -> tuple[object, ...]:
        stand = Stand(limits=limits)
        await stand.receive(data)
        stand.store.crash_at, stand.store.is_written_at_crash = at, is_written
        try:
            await stand.apply_all()
        except CrashError:
            stand = Stand(stand, limits=limits)
            await stand.apply_all()
        return stand.people(), counts(stand), await stand.refused()

    assert asyncio.run(outcome(0)) == asyncio.run(outcome(crash_at))


tidy_lines = st.lists(
    st.tuples(
        st.sampled_from(["1", "2", "3"]),
        some(individual_numbers),
        st.booleans(),
        some(small_days.filter(lambda day: day != "20250401")),
    ),
    max_size=3,
    unique_by=lambda one: one[0],
)


@settings(max_examples=60, deadline=None)
@given(tidy_lines)
def test_the_same_file_twice_changes_nothing(people: list[tuple[str, str, bool, str]]) -> None:
    """Sent again under another request id, every good line is unchanged and nothing is written."""
    drawn = []
    for number, mine, is_told_late, lost in people:
        drawn.append(new(number, individual_number="" if is_told_late else mine))
        if mine and is_told_late:
            drawn.append(said("NUMBER", number, individual_number=mine))
        if lost:
            drawn.append(said("LOSS", number, loss_date=lost, loss_reason="03"))

    async def scenario() -> None:
        stand = Stand()
        first = await stand.upload(a_file(*drawn), "one")
        before = dict(stand.store.projections)
        second = await stand.upload(a_file(*drawn), "two")
        assert (len(drawn), 0) == (first.lines_applied, first.lines_refused)
        assert (0, len(drawn)) == (second.lines_applied, second.lines_unchanged)
        assert before == stand.store.projections
        assert stand.store.batches[-1].lookups == []

    asyncio.run(scenario())


async def test_a_correction_of_identifiers_sent_again_is_unchanged() -> None:
    """The cover is found where the same correction has put it already."""
    stand = Stand()
    correction = said("CORRECT", "1", new_number="9")
    await stand.upload(a_file(new("1"), correction), "one")
    again = await stand.upload(a_file(correction), "two")
    assert (again.lines_applied, again.lines_unchanged, again.lines_refused) == (0, 1, 0)


async def test_identifiers_of_another_enrollee_are_refused() -> None:
    """A correction that would make two enrollees alike is refused, and so is a late branch."""
    stand = Stand()
    await stand.upload(a_file(new("1"), new("2")), "before")
    await stand.upload(
        a_file(
            said("CORRECT", "1", new_number="2"),
            said("CORRECT", "3", new_number="2", name="架空　花子"),
        )
    )
    expected = [
        RefusedLine(2, "new_number", "COVERAGE_EXISTS"),
        RefusedLine(3, "", "COVERAGE_UNKNOWN"),
    ]
    assert expected == await stand.refused()


async def test_a_correction_keeps_the_branch_it_does_not_speak_of() -> None:
    """Without a branch in the line, the cover's branch stays."""
    stand = Stand()
    await stand.upload(
        a_file(new("1", branch="05"), said("CORRECT", "1", branch="", new_symbol="新"))
    )
    (history,) = stand.store.projections.values()
    insured_id = history.enrolments[0].covers[0].insured_id
    assert (insured_id.symbol, insured_id.number, insured_id.branch) == ("新", "1", "05")


async def test_twins_are_told_by_their_branch() -> None:
    """A line without a branch that two enrollees match is refused; with one it finds its own."""
    stand = Stand()
    await stand.upload(
        a_file(
            new("1", branch="01"),
            new("1", branch="02", name="架空　花子"),
            said("CHANGE", branch="", name="架空　三郎"),
            said("CHANGE", branch="02", name="架空　桜"),
        )
    )
    expected = [RefusedLine(4, "branch", "COVERAGE_AMBIGUOUS")]
    assert expected == await stand.refused()
    names = sorted(
        cover.name
        for history in stand.store.projections.values()
        for enrolment in history.enrolments
        for cover in enrolment.covers
    )
    assert names == ["架空　太郎", "架空　桜"]


async def test_the_report_lists_exactly_the_bad_lines() -> None:
    """Each bad line is in the report with its column and reason, and the good ones are applied."""
    stand = Stand()
    await stand.upload(a_file(new("4")), "before")
    upload = await stand.upload(
        a_file(
            new("1"),
            new("2", sex="9"),
            "NEW\r\n",
            said("LOSS", "8", loss_date="20250701", loss_reason="03"),
            "\r\n",
            said("CANCEL", insurer_number=OTHER_INSURER.zero_padded),
            said("LOSS", "4", loss_date="20250301", loss_reason="03"),
            new("3", birth_date="20300101"),
            said("CORRECT", "4", loss_date="20250901"),
            new("1"),
        )
    )
    report = report_of(upload, await stand.refused(), LIMITS)
    expected = [
        RefusedLine(3, "sex", "CODE_UNKNOWN"),
        RefusedLine(4, "", "COLUMN_COUNT_WRONG"),
        RefusedLine(5, "", "COVERAGE_UNKNOWN"),
        RefusedLine(7, "insurer_number", "INSURER_NOT_CALLER"),
        RefusedLine(8, "loss_date", "LOSS_BEFORE_ACQUISITION"),
        RefusedLine(9, "birth_date", "BIRTH_DATE_IN_FUTURE"),
        RefusedLine(10, "loss_reason", "FIELD_REQUIRED"),
    ]
    assert expected == [line for line, _ in report.refused]
    assert (
        upload.lines_read,
        upload.lines_applied,
        upload.lines_unchanged,
        upload.lines_refused,
    ) == (10, 1, 2, 7)
    assert report.upload.encoding == "utf-8"


async def test_refused_lines_are_kept_up_to_the_limit() -> None:
    """Past the limit refused lines are counted and no longer kept."""
    stand = Stand(limits=replace(LIMITS, refused_lines_kept_max=3, slice_lines_max=2))
    upload = await stand.upload(a_file(*["bad\r\n"] * 7))
    assert (
        upload.lines_refused,
        [line.line_number for line in await stand.refused()],
    ) == (7, [2, 3, 4])


@pytest.mark.parametrize("data", [b"", b"\xff\n", b"action\nNEW\n"])
async def test_a_wrong_header_is_one_refused_line(data: bytes) -> None:
    """The upload is applied with no line read and line 1 refused; the spool forgets it."""
    stand = Stand()
    upload = await stand.upload(data)
    assert (upload.lines_read, upload.lines_applied, upload.lines_refused) == (0, 0, 1)
    assert [(r.line_number, r.reason) for r in await stand.refused()] == [(1, "HEADER_WRONG")]
    assert await stand.spool.durable_offset(upload.upload_key) == 0


async def test_one_number_at_two_insurers_is_one_person() -> None:
    """Two enrollees with the same My Number share one history."""
    stand = Stand()
    line = new("1", individual_number=NUMBERS[0])
    await stand.upload(a_file(line))
    other = line.replace(INSURER.zero_padded, OTHER_INSURER.zero_padded)
    await stand.upload(a_file(other), insurer=OTHER_INSURER)
    (history,) = stand.store.projections.values()
    assert (history.version, len(history.enrolments)) == (2, 2)


async def test_a_number_known_late_moves_the_enrollee() -> None:
    """The person it was is left empty, and lookups show the person it is."""
    stand = Stand()
    await stand.upload(a_file(new("1", individual_number=NUMBERS[0])), "one")
    await stand.upload(a_file(new("2")), "two")
    await stand.upload(a_file(said("NUMBER", "2", individual_number=NUMBERS[0])), "three")
    sizes = sorted(len(history.enrolments) for history in stand.store.projections.values())
    assert sizes == [0, 2]
    (link,) = stand.store.batches[-1].links
    assert link.replaces is not None
    assert link.replaces != link.person_key


async def test_another_number_is_refused() -> None:
    """Within one file and over two, an enrollee keeps the number it has."""
    stand = Stand()
    first = said("NUMBER", individual_number=NUMBERS[0])
    second = said("NUMBER", individual_number=NUMBERS[1])
    begun = new(individual_number=NUMBERS[0])
    await stand.upload(a_file(begun, first, second, first), "one")
    await stand.upload(a_file(second, first, new(individual_number=NUMBERS[1])), "two")
    differs = "individual_number", "NUMBER_DIFFERS"
    assert [RefusedLine(4, *differs)] == await stand.refused("one")
    assert [RefusedLine(2, *differs), RefusedLine(4, *differs)] == await stand.refused("two")
    number = IndividualNumber(NUMBERS[1])
    assert not any([await stand.vault.holds(key, number) for key in stand.store.projections])


async def test_a_number_lost_in_a_crash_claims_nobody() -> None:
    """
    A number the vault learned just before a crash never becomes the person of another number.

    Else whoever truly has the first number would be shown the second one's covers.
    """
    stand = Stand()
    await stand.upload(a_file(new("1")), "one")
    await stand.receive(a_file(said("NUMBER", "1", individual_number=NUMBERS[0])), "two")
    stand.store.crash_at = len(stand.store.batches) + 1
    with pytest.raises(CrashError):
        await stand.apply_all()
    stand.store._uploads.pop(upload_key_of(INSURER, "two"))
    await stand.upload(a_file(said("NUMBER", "1", individual_number=NUMBERS[1])), "three")
    await stand.upload(a_file(new("2", individual_number=NUMBERS[0])), "four")
    sizes = sorted(len(history.enrolments) for history in stand.store.projections.values())
    assert sizes == [0, 1, 1]


async def test_bytes_a_crash_left_behind_are_discarded_at_the_next_start() -> None:
    """An applied upload's file goes, however the writer died; one under way stays."""
    stand = Stand()
    data = a_file(new("1"))
    await stand.upload(data, "applied")
    applied, under_way = (upload_key_of(INSURER, name) for name in ("applied", "under-way"))
    await stand.spool.append(applied, 0, data)
    await stand.spool.append(under_way, 0, data[:10])
    await Stand(stand).apply_all()
    again = Stand(stand)
    stop = asyncio.Event()
    task = asyncio.create_task(again.applier.run(stop))
    while applied in await again.spool.uploads(9):  # noqa: ASYNC110  a spool has no event
        await asyncio.sleep(0)
    stop.set()
    await task
    assert [under_way] == list(await again.spool.uploads(9))


async def test_a_single_change_comes_between_two_slices() -> None:
    """A change sent while a big file is applied waits for one slice, not for the file."""
    stand = Stand(limits=replace(LIMITS, slice_lines_max=5))
    await stand.receive(a_file(*[new(str(number)) for number in range(1, 200)]))
    stop = asyncio.Event()
    task = asyncio.create_task(stand.applier.run(stop))
    while len(stand.store.batches) < 3:  # noqa: ASYNC110  a store has no event
        await asyncio.sleep(0)
    committed = len(stand.store.batches)
    change = decode_cells(
        who("900")
        | {
            "action": "NEW",
            "acquisition_date": "20250401",
            "name": "架空　花子",
            "sex": "2",
            "insurer_name": "架空組合",
        }
    )
    await register(change, "single", caller(), stand.store, stand.vault, stand.desk, stand.door)
    # Its own commit, the slice under way, and those before its task first ran.
    assert len(stand.store.batches) <= committed + 4
    upload = await stand.applier.until_applied(upload_key_of(INSURER, "file-1"))
    stop.set()
    await task
    assert (upload.lines_applied, stand.people().total()) == (199, 200)


async def test_a_restart_keeps_the_encoding() -> None:
    """A file begun in cp932 stays in cp932, though the line after the crash is in UTF-8."""
    limits = replace(LIMITS, slice_lines_max=1)
    stand = Stand(limits=limits)
    await stand.receive(a_file(new("1")).decode().encode("cp932") + new("2").encode())
    stand.store.crash_at = 3
    with pytest.raises(CrashError):
        await stand.apply_all()
    stand = Stand(stand, limits=limits)
    await stand.apply_all()
    upload = await stand.applier.until_applied(upload_key_of(INSURER, "file-1"))
    assert (upload.encoding, upload.lines_applied) == ("cp932", 1)
    expected = [RefusedLine(3, "", "ENCODING_WRONG")]
    assert expected == await stand.refused()


async def test_a_twin_waits_for_the_others_branch() -> None:
    """As long as one has no branch, the other cannot be told from it; then both are there."""
    stand = Stand()
    twin = new(branch="02", name="架空　花子")
    await stand.upload(a_file(new(branch="")), "one")
    await stand.upload(a_file(twin), "two")
    expected = [RefusedLine(2, "acquisition_date", "COVERAGE_EXISTS")]
    assert expected == await stand.refused("two")
    await stand.upload(a_file(twin, said("CHANGE", branch="", new_branch="01"), twin), "three")
    assert not await stand.refused("three")
    assert stand.people().total() == 2


async def test_applying_goes_on_when_the_store_is_back() -> None:
    """A store that cannot be reached for a moment costs nothing but the moment."""
    stand = Stand(limits=replace(LIMITS, slice_lines_max=1))
    stand.store.crash, stand.store.crash_at = Unavailable("STORE_UNAVAILABLE"), 3
    upload = await stand.upload(a_file(new("1"), new("2"), new("3")))
    assert (upload.lines_applied, upload.lines_refused, stand.store.crash_at) == (3, 0, 0)


async def test_files_are_applied_in_the_order_they_were_received() -> None:
    """What a later file says of the same cover comes after what the earlier said."""
    stand = Stand()
    await stand.receive(a_file(new("1")), "z")
    await stand.receive(a_file(said("CHANGE", "1", name="架空　花子")), "a")
    await stand.apply_all()
    (history,) = stand.store.projections.values()
    assert [cover.name for cover in history.enrolments[0].covers] == ["架空　花子"]


def test_slices_follow_the_time_they_take() -> None:
    """Half the lines after a slow slice, twice as many after a quick one, within the limits."""
    took = [(100, 51.0), (100, 50.0), (100, 25.0), (100, 24.0), (150, 1.0), (1, 99.0)]
    assert [next_slice_lines(n, ms, LIMITS) for n, ms in took] == [50, 100, 100, 200, 200, 1]


async def test_an_upload_goes_on_where_it_broke() -> None:
    """A new stream learns what is durable; bytes sent again are skipped; then all is received."""
    stand = Stand()
    data = a_file(new("1"))
    async with stand.receiver.receiving(caller(), "r") as receiving:
        assert await receiving.append(0, data[:100]) == 100
        with pytest.raises(InvalidInput, match="UPLOAD_OFFSET_WRONG"):
            await receiving.append(101, data[101:])
        with pytest.raises(InvalidInput, match="UPLOAD_OFFSET_WRONG"):
            await receiving.finish(len(data))
    assert await stand.receiver.status(INSURER, "r") == (100, None)
    async with stand.receiver.receiving(caller(), "r") as receiving:
        assert receiving.durable_offset == 100
        assert len(data) == await receiving.append(50, data[50:])
        upload = await receiving.finish(len(data))
    assert (UploadState.RECEIVED, hashlib.sha256(data).digest()) == (upload.state, upload.digest)
    assert upload.lines_read == 0


async def test_other_bytes_under_the_same_request_id_are_refused() -> None:
    """While receiving, after receiving and after applying, another file is noticed."""
    stand = Stand()
    data, other = a_file(new("1")), a_file(new("2"))
    async with stand.receiver.receiving(caller(), "r") as receiving:
        await receiving.append(0, data[:-5])
        with pytest.raises(Conflict, match="UPLOAD_DIFFERS"):
            await receiving.append(0, other)
        await receiving.append(len(data) - 5, data[-5:])
        await receiving.finish(len(data))
    for _ in range(2):
        async with stand.receiver.receiving(caller(), "r") as receiving:
            assert len(data) == receiving.durable_offset
            assert len(data) == await receiving.append(0, other[:70])
            await receiving.append(60, other[60:])
            with pytest.raises(Conflict, match="UPLOAD_DIFFERS"):
                await receiving.finish(len(other))
        with pytest.raises(Conflict, match="UPLOAD_DIFFERS"):
            await stand.receive(data + b"\n", "r")
        await stand.apply_all()


async def test_the_same_file_again_is_the_same_upload() -> None:
    """Sent again from the beginning, or only finished, the upload is given as it is."""
    stand = Stand()
    data = a_file(new("1"))
    first = await stand.upload(data, "r")
    async with stand.receiver.receiving(caller(), "r") as receiving:
        await receiving.append(0, data[:40])
        with pytest.raises(InvalidInput, match="UPLOAD_OFFSET_WRONG"):
            await receiving.finish(len(data))
        with pytest.raises(InvalidInput, match="UPLOAD_OFFSET_WRONG"):
            await receiving.append(41, data[41:])
        await receiving.append(40, data[40:])
        assert first == await receiving.finish(len(data))
    assert first == await stand.receive(data, "r")
    assert await stand.spool.durable_offset(first.upload_key) == 0
    assert len(stand.accesses.records) == 1


async def test_one_stream_at_a_time() -> None:
    """A second stream is busy until the first has ended; another insurer's is another upload."""
    stand = Stand()
    async with stand.receiver.receiving(caller(), "r"):
        with pytest.raises(Conflict, match="UPLOAD_BUSY"):
            async with stand.receiver.receiving(caller(), "r"):
                pass
        async with stand.receiver.receiving(caller(OTHER_INSURER), "r") as receiving:
            assert receiving.durable_offset == 0
    async with stand.receiver.receiving(caller(), "r") as receiving:
        assert receiving.durable_offset == 0


async def test_limits_of_uploads() -> None:
    """A chunk or a file over its limit is refused, and what was safe stays."""
    stand = Stand(limits=replace(LIMITS, upload_bytes_max=10, chunk_bytes_max=6))
    async with stand.receiver.receiving(caller(), "r") as receiving:
        await receiving.append(0, b"123456")
        with pytest.raises(TooMuch, match="MESSAGE_TOO_LARGE"):
            await receiving.append(6, b"1234567")
        with pytest.raises(TooMuch, match="MESSAGE_TOO_LARGE"):
            await receiving.append(6, b"12345")
        assert await receiving.append(6, b"7890") == 10
        with pytest.raises(InvalidInput, match="UPLOAD_OFFSET_WRONG"):
            await receiving.append(-1, b"")


@pytest.mark.parametrize("request_id", ["", "a" * 65, "a b", "あ", "a\n"])
def test_request_ids_have_a_form(request_id: str) -> None:
    """A request id is 1 to 64 letters, digits, hyphens or underscores."""
    with pytest.raises(Refusal, match="REQUEST_ID_WRONG"):
        upload_key_of(INSURER, request_id)


async def test_an_unknown_upload_is_not_found() -> None:
    """Neither its state nor its end can be asked for."""
    stand = Stand()
    with pytest.raises(NotFound, match="UPLOAD_UNKNOWN"):
        await stand.receiver.status(INSURER, "r")
    with pytest.raises(NotFound, match="UPLOAD_UNKNOWN"):
        await stand.applier.until_applied(upload_key_of(INSURER, "r"))


async def test_a_file_is_recorded_before_it_is_registered() -> None:
    """One access record per file, written before anything of it can be applied."""
    stand = Stand()
    stand.store.crash_at = 1
    with pytest.raises(CrashError):
        await stand.receive(a_file(new("1")))
    (record,) = stand.accesses.records
    assert (
        record.purpose,
        record.outcome,
        record.data,
    ) == ("KP7-OR-01", "REGISTERED", ("D-CERT", "D-NUM", "D-QUAL"))


async def test_who_may_not_register_is_refused_at_the_door() -> None:
    """An institution's file is denied, recorded, and not registered."""
    stand = Stand()
    async with stand.receiver.receiving(caller(role=Role.INSTITUTION), "r") as receiving:
        with pytest.raises(NotPermitted, match="ACTOR_NOT_ALLOWED"):
            await receiving.finish(0)
    assert [record.outcome for record in stand.accesses.records] == ["DENIED"]
    assert stand.store.batches == []

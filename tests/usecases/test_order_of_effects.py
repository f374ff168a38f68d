"""A file's lines take effect in an order of their own: shuffled, it ends the same."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from itertools import islice, permutations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.domain.line_order import AS_THEY_STAND
from gateway.store.port import Upload
from gateway.usecases.upload_coverage import upload_key_of
from tests.usecases.registration import INSURER, LIMITS, NUMBERS, Stand, a_file, new, said
from tests.usecases.test_upload_coverage import counts, lines

FIRST, SECOND = "20250401", "20250701"


def lost(day: str, **cells: str) -> str:
    """Cover ends."""
    return said("LOSS", loss_date=day, loss_reason="03", **cells)


async def ended(*parts: Sequence[str], slice_lines: int = 200) -> tuple[object, ...]:
    """Send files one after the other; what is known then, and what of the last was refused."""
    stand = Stand(limits=replace(LIMITS, slice_lines_max=slice_lines))
    for number, part in enumerate(parts):
        await stand.upload(a_file(*part), f"file-{number}")
    refused = Counter(
        (parts[-1][one.line_number - 2], one.column, one.reason)
        for one in await stand.refused(f"file-{len(parts) - 1}")
    )
    return stand.people(), counts(stand), refused


@settings(max_examples=300, deadline=None)
@given(
    st.lists(lines, max_size=6),
    st.lists(lines, max_size=12),
    st.randoms(use_true_random=False),
    st.integers(1, 5),
)
def test_a_shuffled_file_ends_the_same(
    before: list[str], drawn: list[str], rng: random.Random, slice_lines: int
) -> None:
    """The same people, counts and refused contents, whatever was there and however it is cut."""
    shuffled = rng.sample(drawn, len(drawn))
    expected = asyncio.run(ended(before, drawn))
    assert expected == asyncio.run(ended(before, shuffled, slice_lines=slice_lines))


@settings(max_examples=150, deadline=None)
@given(st.lists(lines, max_size=6), lines)
def test_a_line_twice_in_a_file_changes_nothing_more(before: list[str], line: str) -> None:
    """The second of two equal lines is unchanged, or refused as the first was."""
    people, (*_, one), refused = asyncio.run(ended(before, [line]))
    twice, (*_, two), refused_twice = asyncio.run(ended(before, [line, line]))
    assert people == twice
    assert two[1] == one[1]
    assert {key: count * 2 for key, count in refused.items()} == refused_twice


stories = [
    # A cover ends before the next begins.
    [new(acquisition_date=FIRST)],
    [lost(SECOND, acquisition_date=FIRST), new(acquisition_date=SECOND)],
    # Cancelled and registered anew with another day.
    [new(acquisition_date=FIRST)],
    [said("CANCEL", acquisition_date=FIRST), new(acquisition_date="20250301")],
    # Begun, lost, begun again, and a number, all in one file.
    [],
    [
        new(acquisition_date=FIRST),
        lost(SECOND, acquisition_date=FIRST),
        new(acquisition_date="20251001"),
        said("NUMBER", individual_number=NUMBERS[0]),
    ],
    # Acquired and lost on one day.
    [],
    [new(acquisition_date=FIRST), lost(FIRST, acquisition_date=FIRST)],
    # Named by the old number, then moved, then named by the new one.
    [new()],
    [
        said("CHANGE", name="架空　次郎"),
        said("CORRECT", new_number="8"),
        said("CHANGE", "8", address="試験町"),
    ],
    # Begun and corrected in one file.
    [],
    [new(), said("CORRECT", new_number="8"), lost(SECOND, number="8")],
    # Whoever stands in the way moves first.
    [new("1"), new("2"), new("3")],
    [
        said("CORRECT", "1", new_number="2"),
        said("CORRECT", "2", new_number="3"),
        said("CORRECT", "3", new_number="4"),
        said("CHANGE", "4", name="架空　三郎"),
    ],
    # A twin after the other's branch is assigned.
    [new(branch="")],
    [said("CHANGE", branch="", new_branch="01"), new(branch="02", name="架空　花子")],
    # Branches that move up, and a number that moves with its branch.
    [new(branch="01"), new(branch="02", name="架空　花子")],
    [
        said("CHANGE", branch="01", new_branch="02"),
        said("CHANGE", branch="02", new_branch="03"),
        said("CHANGE", branch="03", address="試験町"),
    ],
    # A corrected birth date.
    [new()],
    [said("CORRECT", new_birth_date="19840301"), lost(SECOND, birth_date="19840301")],
]


@pytest.mark.parametrize(("before", "file"), list(zip(stories[::2], stories[1::2], strict=True)))
async def test_what_belongs_together_is_applied_from_any_order(
    before: list[str], file: list[str]
) -> None:
    """Each of these files has an order in which all of it is good, and that order is found."""
    for shuffled in islice(permutations(file), 24):
        _, counted, refused = await ended(before, list(shuffled), slice_lines=1)
        assert not refused
        assert counted[-1] == (len(file), len(file), 0, 0)  # type: ignore[index]


async def test_changes_come_by_their_effective_dates() -> None:
    """The later day wins, and what has no day comes last."""
    stand = Stand()
    await stand.upload(
        a_file(
            said("CHANGE", name="二", effective_date="20250602"),
            said("CHANGE", name="一", effective_date="20250601"),
            said("CHANGE", address="後", effective_date="20250601"),
            said("CHANGE", address="無"),
            new(),
        )
    )
    (history,) = stand.store.projections.values()
    (cover,) = history.enrolments[0].covers
    assert (cover.name, cover.address) == ("二", "無")


async def test_with_too_many_moves_no_line_waits() -> None:
    """Over the limit a line that names new identifiers comes before they are given."""
    file = [said("CORRECT", "1", new_number="8"), said("CHANGE", "8", name="架空　花子")]
    stand = Stand(limits=replace(LIMITS, moves_ordered_max=0))
    await stand.upload(a_file(new("1")), "before")
    await stand.upload(a_file(*file))
    assert [one.line_number for one in await stand.refused()] == [3]


async def test_a_file_received_before_there_was_an_order_keeps_its_own() -> None:
    """What an older version received, and perhaps began, is applied as its lines stand."""
    stand = Stand()
    await stand.receive(a_file(lost(SECOND), new()))
    key = upload_key_of(INSURER, "file-1")
    received: Upload = stand.store._uploads[key]
    stand.store._uploads[key] = replace(received, line_order=AS_THEY_STAND)
    await stand.apply_all()
    assert [one.line_number for one in await stand.refused()] == [2]


async def test_progress_ends_at_the_lines_of_the_file() -> None:
    """All lines are read, the header's bytes are not counted."""
    stand = Stand(limits=replace(LIMITS, slice_lines_max=2))
    file = a_file(*[new(str(number)) for number in range(5)], "bad\r\n", "\r\n")
    upload = await stand.upload(file)
    assert upload.lines_read == 7
    assert upload.bytes_done == len(file) - file.index(b"\n") - 1

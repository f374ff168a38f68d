"""What a change is called, and cursors that callers keep."""

from __future__ import annotations

import base64
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from gateway.domain.coverage import Coverage, CoverState
from gateway.domain.errors import InvalidInput
from gateway.domain.feed import (
    ChangeKind,
    Cursor,
    decode_cursor,
    encode_cursor,
    kinds_between,
)
from gateway.domain.period import Instant, Period
from tests.store.batches import cover

FIRST = cover()
START = FIRST.period.start
LOST = Period.until_loss(START, date(2026, 4, 1))


def later(of: Coverage, **items: object) -> Coverage:
    """The next version of a cover."""
    return structs.replace(of, version_no=of.version_no + 1, **items)


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ((), (FIRST,), ChangeKind.ACQUIRED),
        ((FIRST,), (FIRST,), ChangeKind(0)),
        ((FIRST,), (later(FIRST, name="乙"),), ChangeKind.CHANGED),
        ((FIRST,), (later(FIRST, period=LOST),), ChangeKind.LOST),
        (
            (later(FIRST, period=LOST),),
            (structs.replace(FIRST, version_no=3),),
            ChangeKind.CORRECTED,
        ),
        ((FIRST,), (later(FIRST, period=Period(date(2025, 4, 2))),), ChangeKind.CORRECTED),
        ((FIRST,), (later(FIRST, birth_date=date(1999, 1, 1)),), ChangeKind.CORRECTED),
        (
            (FIRST,),
            (later(FIRST, insured_id=structs.replace(FIRST.insured_id, number="訂正")),),
            ChangeKind.CORRECTED,
        ),
        (
            (FIRST,),
            (later(FIRST, insured_id=structs.replace(FIRST.insured_id, branch="07")),),
            ChangeKind.CHANGED,
        ),
        ((FIRST,), (later(FIRST, state=CoverState.CANCELLED),), ChangeKind.CANCELLED),
        ((FIRST,), (later(FIRST, state=CoverState.SUSPENDED),), ChangeKind.SUSPENDED),
        (
            (later(FIRST, state=CoverState.SUSPENDED),),
            (structs.replace(FIRST, version_no=3),),
            ChangeKind.RESTORED,
        ),
        ((FIRST,), (later(FIRST, is_medical_stopped=True),), ChangeKind.MEDICAL_STOPPED),
        (
            (FIRST,),
            (later(FIRST, period=LOST), cover(cover_no=2)),
            ChangeKind.LOST | ChangeKind.ACQUIRED,
        ),
    ],
)
def test_a_change_is_called_by_what_became_of_the_covers(
    before: tuple[Coverage, ...], after: tuple[Coverage, ...], expected: ChangeKind
) -> None:
    """Each kind has its mark; several at once are all told; no new version is no change."""
    assert expected == kinds_between(before, after)


cursors = st.builds(
    Cursor,
    st.sampled_from(["insurer", "institution"]),
    st.text(max_size=20),
    st.integers(0, 2**62),
    st.integers(0, 2**62).map(Instant),
)


@given(cursors)
def test_a_cursor_reads_back(cursor: Cursor) -> None:
    """What was spelled is what is read."""
    assert cursor == decode_cursor(encode_cursor(cursor))


@given(cursors, st.data())
def test_a_damaged_cursor_is_refused(cursor: Cursor, data: st.DataObject) -> None:
    """Any other byte anywhere is noticed."""
    token = encode_cursor(cursor)
    whole = bytearray(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
    place = data.draw(st.integers(0, len(whole) - 1))
    whole[place] ^= data.draw(st.integers(1, 255))
    damaged = base64.urlsafe_b64encode(bytes(whole)).decode().rstrip("=")
    with pytest.raises(InvalidInput, match="CURSOR_WRONG"):
        decode_cursor(damaged)


@given(st.text())
def test_any_text_is_a_cursor_or_refused(text: str) -> None:
    """Nothing but a refusal comes of what is no cursor."""
    with pytest.raises(InvalidInput, match="CURSOR_WRONG"):
        decode_cursor(text)

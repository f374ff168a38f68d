"""What is put together for a lookup: a person's history in one order, and its compact form."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.compact import compact
from gateway.domain.coverage import Coverage, Enrolment, History
from gateway.domain.projection import history_of
from tests.strategies import enrolments, histories, person_keys


def sheet(cover: Coverage) -> bytes:
    """Something of a cover that only its sheet can tell."""
    return cover.name.encode()


@given(person_keys, st.lists(enrolments, max_size=3, unique_by=lambda e: e.enrollee_key), st.data())
def test_history_does_not_depend_on_the_order_it_is_put_together_in(
    person_key: bytes, found: list[Enrolment], data: st.DataObject
) -> None:
    """Enrolments come by enrollee key and covers by their number, however they were loaded."""
    shuffled = [
        Enrolment(one.enrollee_key, one.is_numbered, tuple(data.draw(st.permutations(one.covers))))
        for one in data.draw(st.permutations(found))
    ]
    history = history_of(person_key, 3, shuffled)
    assert history == history_of(person_key, 3, found)
    assert sorted(one.enrollee_key for one in found) == [
        one.enrollee_key for one in history.enrolments
    ]
    assert all(
        [cover.cover_no for cover in one.covers] == sorted(cover.cover_no for cover in one.covers)
        for one in history.enrolments
    )


@given(histories)
def test_compact_history_keeps_all_that_decides(history: History) -> None:
    """Every cover comes, in order, with what `confirm` looks at and the sheet that shows it."""
    expected = [
        (
            one.enrollee_key,
            one.is_numbered,
            cover.cover_no,
            cover.version_no,
            cover.recorded_time,
            cover.state,
            cover.insured_id.lookup_key,
            cover.insured_id.branch,
            cover.birth_date,
            cover.period,
            (cover.elderly, cover.limits, cover.tickets),
            cover.insured_id.insurer_number.is_medical_assistance,
            sheet(cover),
        )
        for one in history.enrolments
        for cover in one.covers
    ]
    short = compact(history, sheet)
    assert (history.person_key, history.version) == (short.person_key, short.version)
    assert expected == [
        (
            cover.enrollee_key,
            cover.is_numbered,
            cover.cover_no,
            cover.version_no,
            cover.recorded_time,
            cover.state,
            cover.lookup_key,
            cover.branch,
            cover.birth_date,
            cover.period,
            (cover.elderly, cover.limits, cover.tickets),
            cover.is_medical_assistance,
            cover.sheet,
        )
        for cover in short.covers
    ]

"""The retention schedule: every record has a class, and what is due on a day."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from gateway.domain.period import Instant, day_start, days_after
from gateway.domain.retention import (
    DAY_US,
    DISPOSABLE,
    SUPERSEDED,
    Order,
    RetentionClass,
    Schedule,
    begun,
    due_before,
    first_broken,
)
from gateway.policy.schedule import retention_schedule
from gateway.store.port_dispose import SWEEPS
from gateway.store.schema import METADATA

ON = date(2026, 11, 28)
NOW = Instant(day_start(ON) + 5_000_000)
SHIPPED = Path(__file__).parents[2] / "gateway" / "policy" / "retention.toml"


def unclassed(schedule: Schedule, tables: set[str]) -> set[str]:
    """Tables without a class, and tables with several."""
    classed = [table for one in schedule.in_force(ON) for table in one.tables]
    return {table for table in tables | set(classed) if classed.count(table) != 1}


def test_every_table_has_one_class() -> None:
    """No record without a retention class (R000-G4)."""
    assert not unclassed(retention_schedule(), set(METADATA.tables))


def test_a_planted_table_without_a_class_is_caught() -> None:
    """A new table must be put into the schedule."""
    assert unclassed(retention_schedule(), {*METADATA.tables, "planted"}) == {"planted"}


def test_what_is_swept_is_of_its_class() -> None:
    """A disposal goes through the tables the schedule says, and no others."""
    schedule = retention_schedule()
    swept = {(sweep.code, sweep.table) for sweep in SWEEPS}
    said = {(one.code, table) for one in schedule.classes for table in one.tables}
    assert swept == {(code, table) for code, table in said if code in DISPOSABLE}
    timed = {one.code for one in schedule.classes if one.days_kept is not None}
    assert set(DISPOSABLE) == timed


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (('code = "refused-lines"', 'code = "other"'), "RETENTION_CLASS_REQUIRED"),
        (("[[class]]", "[[class]]\ndays_kept = 3"), "RETENTION_CLASS_NOT_DISPOSABLE"),
    ],
)
def test_a_schedule_that_cannot_be_kept_is_refused(
    change: tuple[str, str], reason: str, tmp_path: Path
) -> None:
    """An operator's file may not leave out a class, nor promise what nothing disposes of."""
    text = SHIPPED.read_text("utf-8")
    (tmp_path / "own.toml").write_text(text.replace(*change, 1), "utf-8")
    with pytest.raises(ValueError, match=reason):
        retention_schedule(tmp_path / "own.toml")


def entry(days: int | None, begin: date, end: date | None = None) -> RetentionClass:
    """An entry of the schedule for facts."""
    return RetentionClass(
        code=SUPERSEDED,
        title_ja="試験",
        title_en="test",
        basis="test",
        is_open=False,
        tables=(),
        days_kept=days,
        effective_from=begin,
        effective_to=end,
    )


@pytest.mark.parametrize(
    ("entries", "expected"),
    [
        ([], None),
        ([entry(10, ON)], 10),
        ([entry(10, days_after(ON, 1))], None),
        ([entry(10, date(2020, 1, 1), ON)], None),
        ([entry(10, ON), entry(20, ON)], 20),
        ([entry(10, ON), entry(None, ON)], None),
    ],
)
def test_of_what_is_in_force_the_longest_counts(
    entries: list[RetentionClass], expected: int | None
) -> None:
    """R000-G4: the longer of law and own rules; for ever is the longest."""
    assert Schedule("1", tuple(entries)).days_kept(SUPERSEDED, ON) == expected


@given(days=st.integers(0, 4_000), asked=st.none() | st.integers(0, 2 * NOW))
def test_nothing_is_due_before_its_time(days: int, asked: int | None) -> None:
    """What is asked for may be less than what is due, never more."""
    schedule = Schedule("1", (entry(days, ON),))
    due = due_before(schedule, SUPERSEDED, NOW, None if asked is None else Instant(asked))
    limit = NOW - days * DAY_US
    assert due <= limit
    if asked is None:
        assert limit - DAY_US < due == day_start(days_after(ON, -days))
    else:
        assert due == min(asked, limit)


def test_a_class_kept_for_ever_is_never_due() -> None:
    """Without a number of days nothing goes, whatever is asked for."""
    schedule = Schedule("1", (entry(None, ON),))
    assert due_before(schedule, SUPERSEDED, NOW, NOW) == 0


def test_a_changed_certificate_breaks_the_chain() -> None:
    """A certificate names the one before it, so none is changed or dropped unseen."""
    schedule, order = retention_schedule(), Order("0" * 32, "tester", NOW)
    chain = [begun(order, None, schedule, NOW, NOW).disposal]
    for _ in range(2):
        chain.append(begun(order, chain[-1], schedule, NOW, NOW).disposal)
    assert first_broken(chain) is None
    assert first_broken([chain[0], chain[2]]) == 2
    changed = structs.replace(chain[1], policy_version="planted")
    assert first_broken([chain[0], changed, chain[2]]) == 3

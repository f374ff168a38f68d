"""Statements and keys can be spread over servers (house 11), and the guard that says so works."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.store import distribution
from gateway.store.schema import UNDISTRIBUTED, metadata_of
from loadtests import statement_guard
from loadtests.statement_places import readings
from loadtests.statement_plants import CROSSING, ROUTED, missed
from loadtests.statement_rules import TABLES, Known, Way, judged, key_faults
from tests.house.sources import ROOT

NOTHING = Known(steps={})


def test_every_statement_names_its_place_or_is_known_to_concern_all() -> None:
    """No statement crosses places but those listed, no list is stale, no key lacks its column."""
    findings = statement_guard.everything()
    assert not [one for one in findings if one.way is Way.FAULT]
    assert len([one for one in findings if one.way is Way.ROUTED]) > 40


def test_every_table_is_distributed_or_everywhere() -> None:
    """A new table says by which of its columns it is distributed; a few small ones are not."""
    tables = metadata_of("postgresql").tables
    assert distribution.TABLES.keys() | UNDISTRIBUTED == tables.keys()
    assert all(column in tables[name].c for name, column in distribution.TABLES.items())
    assert not key_faults(metadata_of("postgresql"), distribution.TABLES)


@pytest.mark.parametrize("name", CROSSING)
def test_a_statement_that_crosses_places_is_noticed(name: str) -> None:
    """Each planted one is a fault, whatever it looks like."""
    assert [one.way for one in judged("sql.PLANTED", CROSSING[name], NOTHING)] == [Way.FAULT]


@pytest.mark.parametrize("name", ROUTED)
def test_a_routed_statement_passes(name: str) -> None:
    """Each way of binding the distribution column is understood."""
    assert [one.way for one in judged("sql.PLANTED", ROUTED[name], NOTHING)] == [Way.ROUTED]


def test_the_guard_misses_nothing_planted() -> None:
    """Keys and lists are planted too; what `main` asks first."""
    assert not missed()


def test_steps_follow_one_another() -> None:
    """A join on the list of steps is read place by place, in the order it can be."""
    join = (
        "SELECT 1 FROM people JOIN lookups ON lookups.person_key = people.person_key"
        " WHERE lookups.lookup_key = ?"
    )
    listed = Known(steps={"PLANTED": "why"})
    (found,) = judged("sql.PLANTED", join, listed)
    assert Way.STEPS is found.way
    assert found.told == "lookups by lookup_key, then people by person_key: why"
    (unbound,) = judged("sql.PLANTED", join.partition(" WHERE")[0], listed)
    assert Way.FAULT is unbound.way


def test_each_statement_of_a_text_is_read() -> None:
    """A text of two statements has two readings; the second is not hidden by the first."""
    both = "SELECT version FROM people WHERE person_key = ?; DELETE FROM links"
    assert [one.touched[0].step for one in readings(both, TABLES)] == [1, 0]


def test_statements_are_found_by_looking_into_the_modules() -> None:
    """Names of the modules' constants, private ones too; fragments and other texts are none."""
    found, unrouted = statement_guard.statements()
    assert "sql_answers.MATCHING_LAST" in found
    assert "sql.CHECK_COLUMNS" not in found
    assert unrouted <= set(found.values())


def test_a_hidden_statement_is_noticed(tmp_path: Path) -> None:
    """SQL on a distributed table stands in the modules of statements and nowhere else."""
    (tmp_path / "sqlite_x.py").write_text(
        '"""Select it from people."""\nX = "SELECT 1\\nFROM people"\nY = "SELECT 1 FROM looks"\n'
    )
    (tmp_path / "sql_x.py").write_text('X = "SELECT 1 FROM people"\n')
    assert [one.name for one in statement_guard.hidden(tmp_path)] == ["sqlite_x.py:2"]


def test_the_page_for_operators_names_what_concerns_every_place() -> None:
    """docs/scale.md says of each statement that asks all servers what it costs."""
    page = (ROOT / "docs" / "scale.md").read_text(encoding="utf-8")
    everywhere = [
        one.name.rpartition(".")[2]
        for one in statement_guard.everything()
        if one.way in {Way.EVERYWHERE, Way.STEPS}
    ]
    assert everywhere
    assert not [name for name in everywhere if f"`{name}`" not in page]


def test_the_command_tells_of_every_statement(capsys: pytest.CaptureFixture[str]) -> None:
    """It lists each with its way and exits 0 when nothing is wrong."""
    assert statement_guard.main() == 0
    shown = capsys.readouterr().out
    assert "sql_answers.MATCHING_LAST" in shown
    assert "FAULT: 0" in shown


def test_the_command_fails_when_a_statement_crosses_places(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A statement without its column is told and the exit code is 1."""
    monkeypatch.setattr(
        statement_guard, "statements", lambda: ({"sql.X": "DELETE FROM links"}, frozenset())
    )
    assert statement_guard.main() == 1
    assert "links is not found by person_key" in capsys.readouterr().out

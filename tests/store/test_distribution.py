"""The tables are spread as the schema says, and what is missing for that is told."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import pytest

from gateway.store.distribution import (
    TABLES,
    OtherwiseDistributedError,
    colocation_groups,
    distribution_statements,
)
from gateway.store.schema import metadata_of
from loadtests import citus_run
from loadtests.citus_run import Cluster, distributed, main
from tests.house.sources import ROOT

ALL = list(metadata_of("postgresql").tables)
CALL = re.compile(
    r"SELECT create_distributed_table\('([\w.]+)', '(\w+)', colocate_with => '(\w+)'"
    r"(?:, shard_count => (\d+))?\)"
)


def _calls(statements: Sequence[str]) -> list[tuple[str, ...]]:
    return [match.groups("") for text in statements if (match := CALL.fullmatch(text))]


def test_each_table_is_distributed_once_by_its_column() -> None:
    """The statements are those of `TABLES`, no table forgotten and `meta` left alone."""
    statements = distribution_statements()
    assert len(TABLES) == len(statements) == len(_calls(statements))
    assert {(table, column) for table, column, *_ in _calls(statements)} == {*TABLES.items()}


def test_tables_of_one_column_lie_together() -> None:
    """The first of a group starts it with its shards, and the others join their own group."""
    started: dict[str, str] = {}
    for table, column, group, shards in _calls(distribution_statements(8)):
        if group == "none":
            assert column not in started.values()
            started[table] = column
            assert shards == "8"
        else:
            assert (started[group], "") == (column, shards)
    assert set(started.values()) == set(TABLES.values()) == set(colocation_groups())


def test_what_is_distributed_already_is_left_out() -> None:
    """A run that was broken off goes on: the rest joins the groups that are there."""
    done = {"people": "person_key", "enrollees": "enrollee_key"}
    calls = _calls(distribution_statements(done=done))
    assert len(TABLES) - 2 == len(calls)
    assert ("links", "person_key", "people", "") in calls
    assert ("filings", "enrollee_key", "enrollees", "") in calls
    assert not distribution_statements(done=TABLES)


def test_a_table_by_another_column_is_refused() -> None:
    """It would have to be moved, so nothing is begun."""
    with pytest.raises(OtherwiseDistributedError, match="people"):
        distribution_statements(done={"people": "version"})


def test_no_shards_are_refused() -> None:
    """A table has at least one."""
    with pytest.raises(ValueError, match="at least one"):
        distribution_statements(0)


class Coordinator:
    """Answers as a coordinator does, and keeps what it was told to run."""

    def __init__(self, version: str | None, workers: int, tables: Sequence[str]) -> None:
        self.rows: dict[str, Sequence[Sequence[Any]]] = {
            citus_run.EXTENSION: [] if version is None else [(version,)],
            citus_run.WORKERS: [(f"worker{place}",) for place in range(workers)],
            citus_run.TABLES: [(name,) for name in tables],
            citus_run.DISTRIBUTED: [],
        }
        self.run: list[str] = []

    async def ask(self, statement: str) -> Sequence[Sequence[Any]]:
        """Answer what is known, and note the rest."""
        if statement in self.rows:
            return self.rows[statement]
        self.run.append(statement)
        return []


async def test_a_ready_cluster_is_distributed() -> None:
    """All statements run, in their order."""
    coordinator = Coordinator("13.2-2", 2, ALL)
    assert not await distributed(coordinator.ask, 64)
    assert distribution_statements(64) == coordinator.run


@pytest.mark.parametrize(
    ("coordinator", "told"),
    [
        (Coordinator(None, 0, []), "the extension citus"),
        (Coordinator("13.2-2", 0, ALL), "a worker"),
        (Coordinator("13.2-2", 2, sorted(ALL)[1:]), "tables, which the migration"),
    ],
)
async def test_what_is_missing_is_told_and_nothing_is_run(
    coordinator: Coordinator, told: str
) -> None:
    """Without extension, workers or tables nothing is changed."""
    missing = await distributed(coordinator.ask, 64)
    assert [one for one in missing if one.startswith(told)]
    assert not coordinator.run


def test_a_cluster_with_everything_lacks_nothing() -> None:
    """The check of what is missing can pass."""
    assert not Cluster("13.2-2", ("worker",), frozenset(ALL)).missing()


def test_without_a_cluster_the_steps_are_printed(capsys: pytest.CaptureFixture[str]) -> None:
    """Every statement is shown, and it is said that nothing was run."""
    assert main([]) == 0
    shown = capsys.readouterr().out
    assert not [text for text in distribution_statements() if text not in shown]
    assert "Nothing was run" in shown


def test_an_address_nobody_answers_at_is_no_success(capsys: pytest.CaptureFixture[str]) -> None:
    """The exit code says that nothing was done, and the address is not repeated."""
    assert main(["--cluster", "postgresql://nobody:secret@127.0.0.1:1/none"]) == 3
    shown = capsys.readouterr().out
    assert "cannot connect" in shown
    assert "secret" not in shown


def test_the_page_for_operators_lists_the_groups() -> None:
    """docs/scale.md says which tables lie together, as the schema does."""
    page = (ROOT / "docs" / "scale.md").read_text(encoding="utf-8")
    rows = [
        f"| `{column}` | {', '.join(f'`{table}`' for table in tables)} |"
        for column, tables in colocation_groups().items()
    ]
    assert not [row for row in rows if row not in page]

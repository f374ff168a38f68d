"""The tables are spread as the schema says, and what is missing for that is told."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from gateway.store import sql_cluster
from gateway.store.distribution import (
    TABLES,
    OtherwiseDistributedError,
    colocation_groups,
    distribution_statements,
)
from loadtests import citus_run
from loadtests.citus_run import Cluster, looked_at, main
from tests.house.sources import ROOT

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
    """Answers as a coordinator does."""

    def __init__(
        self, version: str | None, workers: int, done: Mapping[str, str] | None = None
    ) -> None:
        self.rows: dict[str, Sequence[Sequence[Any]]] = {
            citus_run.EXTENSION: [] if version is None else [(version,)],
            sql_cluster.WORKERS: [(f"worker{place}",) for place in range(workers)],
            sql_cluster.DISTRIBUTED: list((done or {}).items()),
        }

    async def ask(self, statement: str) -> Sequence[Sequence[Any]]:
        """Answer what is asked."""
        return self.rows[statement]


async def test_what_is_there_is_told() -> None:
    """A coordinator with workers lacks nothing, and what is spread already is known."""
    coordinator = Coordinator("13.2-2", 2, {"people": "person_key"})
    cluster = await looked_at(coordinator.ask)
    assert Cluster("13.2-2", ("worker0", "worker1"), {"people": "person_key"}) == cluster
    assert not cluster.missing()


@pytest.mark.parametrize(
    ("coordinator", "told"),
    [
        (Coordinator(None, 0), "the extension citus"),
        (Coordinator("13.2-2", 0), "a worker"),
    ],
)
async def test_what_is_missing_is_told(coordinator: Coordinator, told: str) -> None:
    """Without extension or workers there is nothing to spread tables over."""
    (missing,) = (await looked_at(coordinator.ask)).missing()
    assert missing.startswith(told)


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

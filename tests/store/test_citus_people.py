"""What `citus_run` makes of answers, with and without a worker; nothing planted is missed."""

from __future__ import annotations

from pathlib import Path

import pytest

from loadtests import citus_beside, citus_place
from loadtests.citus_people import (
    REFUSED,
    REFUSED_S_MAX,
    Asked,
    answers_of,
    asked,
    faults,
    planted_missed,
    told,
)
from tests.store import postgres

HERE, AWAY = frozenset({"here"}), frozenset({"away"})
BOTH = HERE | AWAY


@pytest.mark.parametrize(
    ("answer", "seconds", "lies", "fault"),
    [
        ("right", 0.1, HERE, None),
        ("wrong", 0.1, HERE, "another answer"),
        (REFUSED, 0.1, HERE, "refused although its place is there"),
        (REFUSED, 0.1, AWAY, None),
        (REFUSED, 0.1, BOTH, None),
        (REFUSED, REFUSED_S_MAX + 0.1, AWAY, "refused too late"),
        ("right", 0.1, BOTH, "answered although its place is away"),
        ([], 0.1, AWAY, "answered although its place is away"),
    ],
)
def test_an_answer_is_judged_by_where_its_rows_lie(
    answer: object, seconds: float, lies: frozenset[str], fault: str | None
) -> None:
    """Right where all of them are there, refused in time where one is not, and nothing else."""
    found = faults([Asked(answer, seconds)], ["right"], [lies], {"away"})
    assert ({} if fault is None else {fault: 1}) == found


def test_what_is_planted_is_noticed() -> None:
    """Answers that are right everywhere leave no planted defect unseen."""
    found = [Asked("right", 0.1), Asked(REFUSED, 0.1)]
    assert not planted_missed(found, ["right", "right"], [HERE, AWAY], {"away"})
    assert not planted_missed(found[:1], ["right"], [HERE])
    assert told(found) == (
        "1 answered (p50 100.0 ms, slowest 100 ms), 1 refused (p50 100.0 ms, slowest 100 ms)"
    )


async def test_everybody_is_asked_and_answers_as_a_file_does(tmp_path: Path) -> None:
    """On one server too: the same people, their cards, and every answer the same; then emptied."""
    async with postgres.database() as url:
        file = tmp_path / "gateway.db"
        lines, questions = await citus_place.filled(url, file, 40, 1)
        assert lines >= 40
        by_card = [one for one in questions if one.birth_date is None]
        assert len(by_card) == len({key for one in questions for key in one.people})
        expected = await answers_of(file, questions)
        found = await asked(url, questions)
        assert not faults(found, expected, [HERE] * len(found))
        assert all(one.answer for one in found)
        assert await citus_place.holds_anything(url)
        await citus_place.emptied(url)
        assert not await citus_place.holds_anything(url)


async def test_answers_beside_a_writer_are_repeatable() -> None:
    """A writer that announces and readers beside it, on one server: nothing differs later."""
    async with postgres.database() as url:
        found = await citus_beside.beside(url, 1.0)
        assert found.commits
        assert found.answers
        assert (found.torn, found.unlike) == (0, 0)

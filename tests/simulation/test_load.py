"""The pure parts of the load run: percentiles, thresholds, lag, people, report."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from gateway.domain.coverage import History
from gateway.formats.svg import Bar, ecdf, histogram, ticks
from gateway.v1 import coverage_pb2
from loadtests.load import Options, merged
from loadtests.load_figures import (
    THRESHOLDS,
    Cpu,
    Distribution,
    Lag,
    Ledger,
    Measured,
    OpenLoop,
    Series,
    Verdict,
    figures,
    is_passed,
    judged,
    percentile,
    thresholds_for,
    timeline,
)
from loadtests.load_lag import stage_row, waited
from loadtests.load_page import SIMULATION, page
from loadtests.load_people import (
    CHANGES_MAX,
    card_holders,
    cover_card,
    lost_row,
    mover_birth_date,
    mover_number,
    new_row,
)
from loadtests.load_places import Party, Plan, problem_with, questions
from loadtests.load_report import summary, write_report
from simulators.catalogue import ON
from simulators.people import lines_of
from simulators.population import population, truth

PEOPLE = 60


def ledger(process: str, **changes: object) -> Ledger:
    """What one process might have measured."""
    made = Ledger(process)
    made.add("number", 100.25, 4.0, "")
    made.add("number", 101.5, 8.0, "told 2, truth 1")
    for name, value in changes.items():
        setattr(made, name, value)
    return made


def measured(**changes: object) -> Measured:
    """A run of two processes."""
    lags = [
        Lag("card", 101.0, 30.0, 10.0, {2: 3}),
        Lag("card", 102.0, 50.0, 20.0, {2: 1, 4: 1}),
    ]
    made = Measured(
        began=100.0,
        seconds=3.0,
        parameters={"users": "2"},
        ledgers=[
            ledger("worker-0", lags=lags, waits=3, cpu=[Cpu("worker-0", 101.0, 0.5)]),
            ledger("worker-1", stages=[{"checked": 2.0, "linked": 3.0}, {"checked": 4.0}]),
        ],
        server=[Cpu("worker", 101.0, 0.25), Cpu("worker", 102.0, 0.75)],
        loops=[OpenLoop(200.0, 1.0, 8, 5.0, ms=[1.0, 2.0], late=1, own_share=0.1)],
    )
    for name, value in changes.items():
        setattr(made, name, value)
    return made


@pytest.mark.parametrize(
    ("share", "expected"), [(0.0, 1), (0.5, 5), (0.51, 6), (0.99, 10), (1.0, 10)]
)
def test_percentile_is_a_measured_value(share: float, expected: float) -> None:
    """Nearest rank: the smallest value that so many are at or under."""
    assert expected == percentile(range(1, 11), share)


def test_distribution_sums_up_in_any_order() -> None:
    """Of 1 to 1,000 each percentile is its own number; of nothing all is zero."""
    assert Distribution(1000, 500, 900, 990, 999, 1000) == Distribution.of(range(1000, 0, -1))
    assert Distribution(0, 0, 0, 0, 0, 0) == Distribution.of(())


def test_ledgers_are_merged_without_a_row_lost() -> None:
    """Requests, failures and lags of all processes count together."""
    run = measured()
    assert {"number": Series([100.25, 101.5] * 2, [4.0, 8.0] * 2, {"told 2, truth 1": 2})} == (
        run.series
    )
    assert (run.waits, run.unseen) == (3, 1)
    assert (run.stages) == {
        "checked": [2.0, 4.0],
        "linked": [3.0],
        "projected": [],
        "visible_by_card": [],
    }


def test_figures_are_spelled_as_thresholds_name_them() -> None:
    """What was not measured has no figure."""
    found = figures(measured())
    assert (found["number_p50_ms"], found["number_p99_ms"]) == (4.0, 8.0)
    assert (found["lag_card_p50_ms"], found["lag_card_p99_ms"]) == (30.0, 50.0)
    assert (found["stage_checked_p50_ms"], found["stage_checked_p99_ms"]) == (2.0, 4.0)
    assert (found["failures"], found["unseen"]) == (2, 1)
    assert (
        found["open_p99_ms"],
        found["open_failures"],
        found["open_late_percent"],
    ) == (2.0, 0, 0.5)
    assert not {"card_p99_ms", "lag_folder_p99_ms", "stage_projected_p50_ms"} & found.keys()


def test_open_loop_figures_are_of_the_worst_run() -> None:
    """A good run does not hide a bad one."""
    loops = [
        OpenLoop(200.0, 1.0, 8, 5.0, ms=[1.0], failures={"UNAVAILABLE": 2}),
        OpenLoop(1000.0, 1.0, 8, 5.0, ms=[9.0]),
    ]
    found = figures(measured(loops=loops))
    assert (found["open_p99_ms"], found["open_failures"]) == (9.0, 2)


@pytest.mark.parametrize(
    ("name", "limit", "verdict", "is_met"),
    [
        ("number_p99_ms", 8.0, 8.0, True),
        ("number_p99_ms", 7.9, 8.0, False),
        ("failures_max", 0.0, 2, False),
        ("unseen_max", 1.0, 1, True),
        ("folder_p99_ms", 9_999.0, None, False),
        ("misspelt", 9_999.0, None, False),
    ],
)
def test_threshold_is_inclusive_and_needs_a_figure(
    name: str, limit: float, verdict: float | None, *, is_met: bool
) -> None:
    """At most the limit is good; what nobody measured is never good."""
    (found,) = judged(measured(), {name: limit})
    assert Verdict(name, limit, verdict) == found
    assert is_met == found.is_met


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        ("number", {"number_p99_ms", "failures_max"}),
        ("number open", {"number_p99_ms", "failures_max", "open_p99_ms", "open_failures_max"}),
        ("insurer", {"unseen_max", "failures_max"}),
        ("card insurer", {"card_p99_ms", "lag_card_p99_ms", "unseen_max", "failures_max"}),
        ("number card folder insurer open", set(THRESHOLDS)),
    ],
)
def test_only_parts_that_take_place_are_judged(parts: str, expected: set[str]) -> None:
    """A part that was left out has no threshold, unless one is set by hand."""
    assert expected == thresholds_for(parts.split(), {}).keys()
    by_hand = thresholds_for(parts.split(), {"folder_p50_ms": 1.0, "failures_max": 7.0})
    assert (by_hand["folder_p50_ms"], by_hand["failures_max"]) == (1.0, 7.0)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, True),
        ({"planted": {"a wrong answer": True}}, True),
        ({"planted": {"a wrong answer": False}}, False),
        ({"broken": ["1 of 2 processes left a ledger"]}, False),
    ],
)
def test_run_passes_only_if_it_is_whole_and_can_fail(
    changes: dict[str, object], *, expected: bool
) -> None:
    """A planted defect that goes unnoticed, or a lost ledger, is no pass."""
    run = measured(**changes)
    assert expected == is_passed(run, judged(run, {"number_p99_ms": 250.0}))
    assert not is_passed(run, judged(run, {"number_p99_ms": 0.1}))


def test_busy_generator_is_named() -> None:
    """Over 90 % of its core a generator measures itself; 90 % is still good."""
    busy = [Cpu("worker-0", 101.0, 0.95), Cpu("worker-0", 102.0, 0.97)]
    fair = [Cpu("worker-1", 101.0, 0.9)]
    loops = [OpenLoop(1000.0, 1.0, 8, 5.0, own_share=0.99)]
    run = measured(ledgers=[ledger("a", cpu=busy), ledger("b", cpu=fair)], loops=loops)
    assert run.self_measured == ["worker-0", "open loop 1000/s"]


def test_timeline_puts_a_request_into_the_step_it_ended_in() -> None:
    """Steps begin at their second and are empty where nothing ended."""
    series = Series([100.0, 100.9, 103.9, 99.9, 104.0], [1.0, 3.0, 5.0, 7.0, 9.0])
    steps = timeline(series, 100.0, 4.0, 2)
    assert [(at, one.count, one.p99) for at, one in steps] == [(0.0, 2, 3.0), (2.0, 1, 5.0)]


def answers(*told: int | None) -> Callable[[], int | None]:
    """A desk that is told so, one after the other."""
    given = iter(told)
    return lambda: next(given)


def clock(step_s: float) -> Iterator[float]:
    """Each look at the clock is so much later, from 10 s on."""
    at = 10.0
    while True:
        yield at
        at += step_s


def test_lag_ends_with_the_first_positive_answer() -> None:
    """What was told before is counted; the resolution reaches back to the last such question."""
    ticking = clock(0.01)
    lag = waited(
        "card", 1, answers(2, None, 2, 1), 10.0, 0.02, 5.0, lambda: next(ticking), lambda _: None
    )
    assert Lag("card", 10.1, 100.0, 40.0, {2: 2}) == lag


def test_lag_of_an_immediate_answer_reaches_back_to_the_acknowledgement() -> None:
    """Then nothing is known but that it lies between the two."""
    ticking = clock(0.01)
    lag = waited("number", 3, answers(3), 10.0, 0.02, 5.0, lambda: next(ticking), lambda _: None)
    assert Lag("number", 10.01, 10.0, 10.0, {}) == lag


def test_wait_is_given_up() -> None:
    """A number that never comes through has no lag."""
    ticking = clock(0.5)
    told = answers(*[2] * 50)
    assert waited("card", 1, told, 10.0, 0.02, 5.0, lambda: next(ticking), lambda _: None) is None


def test_stages_count_from_the_number_being_safe() -> None:
    """A stage without a stamp is absent."""
    said = coverage_pb2.GetIndividualNumberStagesResponse(
        received_time=Timestamp(seconds=5),
        checked_time=Timestamp(seconds=5, nanos=2_500_000),
        linked_time=Timestamp(seconds=6),
    )
    assert stage_row(said) == {"checked": 2.5, "linked": 1000.0}


def test_questions_know_the_truth() -> None:
    """Every cover of everybody is asked about, and each kind of answer occurs."""
    asked = questions(400)
    covers = [
        (spell.card, person.birth_date, truth(household.people, spell.card, person.birth_date, ON))
        for household in population(400, 7, ON)
        for person in household.people
        for spell in person.spells
    ]
    assert sorted(covers, key=repr) == sorted(
        ((q.card, q.birth_date, *q.expected) for q in asked), key=repr
    )
    assert {1, 2, 3} <= {validity for _, _, validity in covers}


def test_card_holders_are_people_whom_a_card_finds() -> None:
    """As many as wanted, each with the official answer."""
    held = list(card_holders(400, 50))
    assert (len(held), len({resident_id for resident_id, _ in held})) == (50, 50)
    assert {1, 2} == {expected for _, expected in card_holders(400, 400)}


def test_mover_changes_insurers_without_a_gap(histories_of: Callable[..., list[History]]) -> None:
    """Each cover begins as the one before ends, the last holds, and all are linked when told."""
    born = mover_birth_date(7)
    rows = []
    for change in range(CHANGES_MAX + 1):
        if change:
            rows.append(lost_row(7, born, change - 1))
        rows.append({**new_row(7, born, change), "individual_number": mover_number(7)})
    (history,) = histories_of([lines_of(rows)])
    covers = sorted(
        (cover.period.start, cover.period.end)
        for enrolment in history.enrolments
        for cover in enrolment.covers
    )
    assert len(covers) == CHANGES_MAX + 1
    assert [end for _, end in covers[:-1]] == [begin for begin, _ in covers[1:]]
    assert covers[-1][0] < ON
    assert covers[-1][1] is None


def test_movers_are_told_apart() -> None:
    """No two share a number, a card or a My Number; neighbours in time differ in their insurer."""
    cards = {cover_card(serial, change) for serial in range(20) for change in range(21)}
    assert (len(cards), len({mover_number(serial) for serial in range(20)})) == (420, 20)
    assert cover_card(1, 0).insurer_number != cover_card(1, 1).insurer_number


def plan(root: Path) -> Plan:
    """A plan with its folders."""
    for name in ("ledgers", "claims"):
        (root / name).mkdir()
    party = Party("certificate.pem", "key.pem", "ca.pem")
    return Plan(
        address="127.0.0.1:1",
        req="req",
        res="res",
        outbox="outbox",
        ledgers=str(root / "ledgers"),
        claims=str(root / "claims"),
        institution_code="1319999999",
        institution=party,
        insurers={"06990010": party},
        people=PEOPLE,
        seconds=1.0,
        probe_ms=20,
        lag_s_max=1.0,
    )


def test_plan_and_ledgers_survive_their_files(tmp_path: Path) -> None:
    """What one process leaves another reads, and only the owner may read a plan."""
    made = plan(tmp_path)
    made.write(tmp_path / "plan.json")
    assert made == Plan.read(tmp_path / "plan.json")
    assert (tmp_path / "plan.json").stat().st_mode & 0o777 == 0o600
    left = [ledger("worker-1", waits=2), ledger("worker-0", lags=[Lag("card", 1.0, 2.0, 3.0)])]
    for one in left:
        made.keep(one)
    assert sorted(left, key=lambda one: one.process) == made.kept()


def test_claims_are_never_given_twice(tmp_path: Path) -> None:
    """Each kind counts from 0, also for another process with the same plan."""
    made = plan(tmp_path)
    made.write(tmp_path / "plan.json")
    other = Plan.read(tmp_path / "plan.json")
    assert [
        made.claim("mover"), other.claim("mover"), made.claim("mover"), other.claim("desk")
    ] == [0, 1, 2, 0]  # fmt: skip


@pytest.mark.parametrize(
    ("told", "expected", "problem"),
    [
        (1, (1,), ""),
        (3, (2, 3), ""),
        (2, (1,), "told 2, truth 1"),
        (4, (2, 3), "told 4, truth 2 or 3"),
        (None, (1,), "told None, truth 1"),
    ],
)
def test_wrong_answer_is_a_problem(
    told: int | None, expected: tuple[int, ...], problem: str
) -> None:
    """Any of the expected validities is right; no answer is not."""
    assert problem == problem_with(told, expected)


@pytest.mark.parametrize(
    ("most", "expected"),
    [
        (0.0, [0, 1]),
        (10.0, [0, 2, 4, 6, 8, 10]),
        (11.0, [0, 5, 10, 15]),
        (930.0, [0, 200, 400, 600, 800, 1000]),
    ],
)
def test_ticks_are_round_and_reach_the_greatest_value(most: float, expected: list[float]) -> None:
    """Steps are 1, 2 or 5 times a power of ten."""
    assert pytest.approx(expected) == ticks(most)


def test_ecdf_ends_at_all() -> None:
    """Each value lifts the line by its share, and thinning keeps the last."""
    assert ecdf([3.0, 1.0]) == [(0.0, 0.0), (1.0, 0.0), (1.0, 50.0), (3.0, 50.0), (3.0, 100.0)]
    assert ecdf([float(i) for i in range(10_000)])[-1] == (9_999.0, 100.0)


def test_histogram_counts_every_value_once() -> None:
    """The greatest value belongs to the last bin."""
    assert [Bar(0.0, 2.0, 2), Bar(2.0, 4.0, 1)] == histogram([0.0, 1.0, 4.0], bins=2)
    assert histogram([]) == []


def test_page_is_self_contained_and_says_what_it_is() -> None:
    """It has no script and no outside link, and names what is not met."""
    run = measured(planted={"a <wrong> answer": True})
    text = page(run, judged(run, {"number_p99_ms": 250.0, "folder_p99_ms": 1.0}))
    assert SIMULATION in text
    assert "NOT met: folder_p99_ms." in text
    assert "a &lt;wrong&gt; answer" in text
    assert not re.search(r"<script|<link|https?:|url\(|@import|src=", text)
    assert text.count("<svg") == text.count("</svg>") > 0


def test_report_files_hold_the_same_figures(tmp_path: Path) -> None:
    """Page, JSON and CSV come from one run; the exit code's verdicts are returned."""
    run = measured()
    verdicts = write_report(tmp_path, run, {"number_p99_ms": 250.0})
    assert [Verdict("number_p99_ms", 250.0, 8.0)] == verdicts
    document = json.loads((tmp_path / "report.json").read_text())
    assert figures(run) == document["figures"]
    assert document["answers_in_the_gap"] == {"card": {"2": 4, "4": 1}}
    lines = (tmp_path / "figures.csv").read_text().splitlines()
    assert lines[:2] == ["figure,value", "number_p50_ms,4.0"]
    assert ((tmp_path / "lag.csv").read_text().splitlines()[:2]) == [
        "route,second,lag_ms,resolution_ms,answers_before",
        "card,1.0,30.0,10.0,3",
    ]
    assert len((tmp_path / "timeline.csv").read_text().splitlines()) == 1 + 3


def test_report_of_nothing_is_still_written(tmp_path: Path) -> None:
    """A run in which nobody asked is broken, not a crash, and passes no threshold."""
    run = Measured(0.0, 1.0, {}, [], broken=["Locust ended with 1"])
    verdicts = write_report(tmp_path, run, {"failures_max": 0.0})
    assert [Verdict("failures_max", 0.0, None)] == verdicts
    assert "broken: Locust ended with 1" in summary(run, verdicts)


def options(processes: int) -> Options:
    """A command line."""
    return Options(
        seconds=1.0,
        users=2,
        processes=processes,
        people=PEOPLE,
        parts=("number",),
        thresholds={},
        out=Path(),
        probe_ms=20,
        register_ms=0,
        rates=(),
        open_seconds=1.0,
        is_planting=False,
    )


def test_run_is_broken_unless_every_process_left_its_ledger(tmp_path: Path) -> None:
    """A worker that ended without its ledger, and a generator that failed, are both named."""
    made = plan(tmp_path)
    made.keep(ledger("worker-1", trouble={"KeyError in CardUser": 2}))
    made.keep(Ledger("master-0"))
    assert merged(options(1), made, [], 0.0, 0).broken == ["KeyError in CardUser × 2"]
    assert (merged(options(2), made, [], 0.0, 2).broken) == [
        "Locust ended with 2",
        "KeyError in CardUser × 2",
        "2 of 3 processes left a ledger",
    ]


def test_cpu_counts_only_while_load_was_made(tmp_path: Path) -> None:
    """Samples from before the first request and after the last would make the mean too small."""
    made = plan(tmp_path)
    cpu = [Cpu("p", at, at / 1000) for at in (99.0, 101.0, 102.0)]
    made.keep(ledger("locust-0", cpu=cpu))
    run = merged(options(0), made, cpu, 0.0, 0)
    assert [cpu[1]] == run.server == run.generator
    assert (run.began, run.seconds) == (100.25, 1.25)

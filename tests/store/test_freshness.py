"""How old a replica's state may be, judged by what it shows and by one clock alone."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from gateway.domain.period import Instant
from gateway.store import freshness
from gateway.store.freshness import Freshness, Shown

BOUND_S = 8.0


def shown(at: int, life: str = "a/1", *, is_replica: bool = True) -> Shown:
    """What a database says of itself."""
    return Shown(Instant(at), life, is_replica)


def noted(asked_s: float, at: int, life: str = "a/1") -> Freshness:
    """The freshness after one answer of the primary."""
    judge = Freshness(BOUND_S)
    judge.note(asked_s, shown(at, life, is_replica=False))
    return judge


def test_nothing_is_fresh_before_the_primary_said_anything() -> None:
    """However new a state looks, nobody knows."""
    judge = Freshness(BOUND_S)
    assert not judge.is_known(0.0)
    assert not judge.is_fresh(shown(9_999), 0.0)
    assert judge.age_s(shown(9_999), 0.0) is None


@pytest.mark.parametrize(("now_s", "expected"), [(100.0, True), (108.0, True), (108.1, False)])
def test_what_the_primary_said_holds_for_the_bound(now_s: float, *, expected: bool) -> None:
    """The bound is inclusive, and counts from before the primary was asked."""
    judge = noted(100.0, 5)
    assert expected == judge.is_known(now_s)
    assert expected == judge.is_fresh(shown(5), now_s)


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        (shown(5), True),
        (shown(6), True),
        (shown(4), False),
        (shown(6, "a/2"), False),
        (shown(6, is_replica=False), False),
    ],
)
def test_a_replica_must_show_as_much_under_the_same_connection(
    state: Shown, *, expected: bool
) -> None:
    """An earlier time, another connection of the writer, or a promotion is not fresh."""
    assert expected == noted(100.0, 5).is_fresh(state, 101.0)


def test_a_replica_may_lag_within_the_bound() -> None:
    """It need not have what the primary said last, only what it said within the bound."""
    judge = noted(100.0, 5)
    judge.note(104.0, shown(9, is_replica=False))
    assert judge.is_fresh(shown(5), 108.0)
    assert not judge.is_fresh(shown(5), 108.1)
    assert judge.is_fresh(shown(9), 112.0)
    assert [judge.age_s(shown(at), 104.0) for at in (5, 9)] == [4.0, 0.0]


@pytest.mark.parametrize(
    "state", [shown(5, ""), shown(5, is_replica=True)], ids=["never written", "a replica"]
)
def test_what_is_no_primary_with_a_writer_proves_nothing(state: Shown) -> None:
    """An address of a store that leads to a standby makes nothing fresh."""
    judge = Freshness(BOUND_S)
    judge.note(100.0, state)
    assert not judge.is_known(100.0)


@given(st.integers(1, 30))
def test_only_what_the_primary_said_within_the_bound_is_remembered(answers: int) -> None:
    """Memory does not grow, and the last answers are those that count."""
    judge = Freshness(BOUND_S)
    for number in range(answers):
        judge.note(float(number), shown(number, is_replica=False))
    last = answers - 1
    oldest = max(0, last - int(BOUND_S))
    assert judge.is_fresh(shown(oldest), float(last))
    assert not judge.is_fresh(shown(oldest - 1), float(last))
    assert len(judge._marks) == last - oldest + 1


@dataclass(frozen=True)
class State:
    """A database as it was at some moment."""

    at: int = 0
    life: str = "life 0"
    commits: frozenset[int] = field(default_factory=frozenset)


class Failovers(RuleBasedStateMachine):
    """
    A primary that is written, fails over to any earlier state, and is asked now and then.

    The writer's clock may go back at a failover, and what was lost may come back with another one.
    A replica may show any state that ever was.
    """

    @initialize()
    def begin(self) -> None:
        """A writer has connected, and written nothing yet."""
        self.now_s = 0.0
        self.primary = State()
        self.ever = [self.primary]
        self.commits = 0
        self.acknowledged_s: dict[int, float] = {}
        self.lives = 0
        self.is_connected = False
        self.freshness = Freshness(BOUND_S)
        self.asked_s: float | None = None
        self.connect()

    def become(self, state: State) -> None:
        """The primary is another state."""
        new = state.commits - self.primary.commits
        self.acknowledged_s.update(dict.fromkeys(new, self.now_s))
        self.primary = state
        self.ever.append(state)

    @rule(passed_s=st.sampled_from((1.0, 4.0, BOUND_S)))
    def wait(self, passed_s: float) -> None:
        """Time passes."""
        self.now_s += passed_s

    @precondition(lambda self: self.is_connected)
    @rule(further=st.integers(1, 3))
    def commit(self, further: int) -> None:
        """The writer commits, and it is acknowledged at once."""
        self.commits += 1
        number = self.commits
        at, commits = self.primary.at + further, self.primary.commits | {number}
        self.become(replace(self.primary, at=at, commits=commits))

    @rule(back=st.integers(0, 8), is_connected=st.booleans())
    def fail_over(self, back: int, *, is_connected: bool) -> None:
        """Another server takes the primary's place, with whatever it has; the rest is lost."""
        self.is_connected = False
        self.become(self.ever[max(0, len(self.ever) - 1 - back)])
        if is_connected:
            self.connect()

    @precondition(lambda self: not self.is_connected)
    @rule()
    def connect(self) -> None:
        """The writer connects, which it must before it commits on another server."""
        self.is_connected = True
        self.lives += 1
        self.become(replace(self.primary, life=f"life {self.lives}"))

    @rule()
    def look(self) -> None:
        """The primary is asked and answers at once."""
        self.ask()
        self.hear()

    @rule()
    def ask(self) -> None:
        """The primary is asked."""
        self.asked_s = self.now_s

    @rule()
    def hear(self) -> None:
        """It answers, some time later."""
        if self.asked_s is not None:
            state = self.primary
            self.freshness.note(self.asked_s, shown(state.at, state.life, is_replica=False))
            self.asked_s = None

    @invariant()
    def what_is_fresh_has_what_was_acknowledged_before_the_bound(self) -> None:
        """Of what the primary has itself."""
        due = {
            number
            for number in self.primary.commits
            if self.now_s - self.acknowledged_s[number] > BOUND_S
        }
        fresh = [
            state
            for state in self.ever
            if self.freshness.is_fresh(shown(state.at, state.life), self.now_s)
        ]
        assert [state for state in fresh if not due <= state.commits] == []


TestFailovers = Failovers.TestCase
TestFailovers.settings = settings(max_examples=100, stateful_step_count=20, deadline=None)


def test_planted_trust_in_times_alone_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """After a failover a lost commit may be of a later time than the ones that replaced it."""
    world = Failovers()
    world.begin()
    world.commit(further=3)
    world.fail_over(back=1, is_connected=True)
    world.commit(further=1)
    world.wait(1.0)
    world.look()
    world.wait(BOUND_S)
    world.what_is_fresh_has_what_was_acknowledged_before_the_bound()
    monkeypatch.setattr(freshness, "_has", lambda state, mark: state.at >= mark.at)
    with pytest.raises(AssertionError):
        world.what_is_fresh_has_what_was_acknowledged_before_the_bound()

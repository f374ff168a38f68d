"""Challenges: good once, for a short time, for whoever got them."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, rule

from gateway.domain.errors import NotPermitted, Refusal, TooMuch
from gateway.domain.period import Instant
from gateway.usecases.challenges import FORGOTTEN_AT_ONCE_MAX, Challenges

NOW = Instant(1_776_211_200_000_000)
LIFETIME_MS = 60_000
OPEN_MAX = 100
A, B = "institution:1319999999", "institution:1310000001"


def counted(open_max: int = OPEN_MAX, a_caller_max: int = OPEN_MAX) -> Challenges:
    """Challenges that are numbers instead of random."""
    numbers = itertools.count()
    return Challenges(LIFETIME_MS, open_max, a_caller_max, lambda: next(numbers).to_bytes(32))


def after(ms: float) -> Instant:
    """So many milliseconds after the beginning."""
    return Instant(NOW + round(ms * 1_000))


def refusal(challenges: Challenges, challenge: bytes, audience: str, now: Instant) -> str:
    """The reason a challenge is refused for, or nothing."""
    try:
        challenges.take(challenge, audience, now)
    except NotPermitted as refused:
        return refused.reason
    return ""


def test_a_challenge_is_good_once() -> None:
    """The second time it is a replay (D-1, D-2)."""
    challenges = counted()
    challenge, _ = challenges.begin(A, NOW)

    assert refusal(challenges, challenge, A, after(1)) == ""
    assert refusal(challenges, challenge, A, after(2)) == "CHALLENGE_REPLAYED"


def test_a_challenge_is_refused_from_its_expiry_on() -> None:
    """A microsecond before it is good, at the told moment it is not."""
    challenges = counted()
    early, expire_time = challenges.begin(A, NOW)
    late, _ = challenges.begin(A, NOW)

    assert expire_time == after(LIFETIME_MS)
    assert refusal(challenges, early, A, Instant(expire_time - 1)) == ""
    assert refusal(challenges, late, A, expire_time) == "CHALLENGE_EXPIRED"


def test_another_caller_can_neither_use_a_challenge_nor_use_it_up() -> None:
    """Whoever got it still can (D-3)."""
    challenges = counted()
    challenge, _ = challenges.begin(A, NOW)

    assert refusal(challenges, challenge, B, NOW) == "CHALLENGE_AUDIENCE"
    assert refusal(challenges, challenge, A, NOW) == ""
    assert refusal(challenges, challenge, B, NOW) == "CHALLENGE_AUDIENCE"


def test_a_challenge_of_another_process_is_unknown() -> None:
    """What was given elsewhere, or before a restart, is refused."""
    challenge, _ = counted().begin(A, NOW)

    assert refusal(counted(), challenge, A, NOW) == "CHALLENGE_UNKNOWN"
    assert refusal(counted(), b"", A, NOW) == "CHALLENGE_UNKNOWN"


def test_only_so_many_are_remembered_and_taken_ones_count() -> None:
    """At the limit the next visit waits; what was given before stays good."""
    challenges = counted(open_max=2)
    first, _ = challenges.begin(A, NOW)
    challenges.take(first, A, NOW)
    second, expire_time = challenges.begin(A, NOW)
    with pytest.raises(TooMuch) as refused:
        challenges.begin(B, NOW)

    assert refused.value.reason == "TOO_MANY_CHALLENGES"
    assert refusal(challenges, second, A, NOW) == ""
    assert challenges.begin(B, expire_time)[0] not in (first, second)


def test_one_caller_cannot_use_up_everybody_s_share() -> None:
    """A caller over its own limit is refused, another is not; what expired is given back."""
    challenges = counted(open_max=10, a_caller_max=2)
    expire_time = [challenges.begin(A, NOW)[1] for _ in range(2)][-1]
    with pytest.raises(TooMuch, match="TOO_MANY_CHALLENGES"):
        challenges.begin(A, NOW)

    assert challenges.begin(B, NOW)
    assert challenges.begin(A, expire_time)


def test_forgetting_is_bounded_and_keeps_up() -> None:
    """One call forgets a few dozen at most, and never refuses for those that have expired."""
    many = 3 * FORGOTTEN_AT_ONCE_MAX
    challenges = counted(open_max=many, a_caller_max=many)
    given = [challenges.begin(A, NOW)[0] for _ in range(many)]
    later = after(LIFETIME_MS)
    challenges.begin(A, later)

    reasons = [refusal(challenges, challenge, A, later) for challenge in given]
    assert reasons.count("CHALLENGE_UNKNOWN") == FORGOTTEN_AT_ONCE_MAX
    assert reasons.count("CHALLENGE_EXPIRED") == many - FORGOTTEN_AT_ONCE_MAX
    for _ in range(many - 1):
        challenges.begin(A, later)


class AnyOrder(RuleBasedStateMachine):
    """Callers begin and take in any order while the clock runs, and sometimes steps back."""

    given = Bundle("given")

    def __init__(self) -> None:
        super().__init__()
        self.challenges = counted(open_max=8)
        self.now = NOW
        self.owners: dict[bytes, tuple[str, Instant]] = {}
        self.accepted: set[bytes] = set()

    @rule(target=given, audience=st.sampled_from([A, B]))
    def begin(self, audience: str) -> bytes:
        """Begin a visit; over the limit an unknown challenge stands for it."""
        try:
            challenge, expire_time = self.challenges.begin(audience, self.now)
        except TooMuch:
            return b"never given"
        assert challenge not in self.owners
        self.owners[challenge] = (audience, expire_time)
        return challenge

    @rule(challenge=given, audience=st.sampled_from([A, B]))
    def take(self, challenge: bytes, audience: str) -> None:
        """Take a challenge: accepted only if given to this caller, fresh, and never before."""
        owner, expire_time = self.owners.get(challenge, ("", NOW))
        is_good = owner == audience and self.now < expire_time and challenge not in self.accepted
        try:
            self.challenges.take(challenge, audience, self.now)
        except Refusal:
            # Refused although good: only if it was forgotten while the clock was ahead.
            assert not is_good or self.has_stepped_back
        else:
            assert is_good
            self.accepted.add(challenge)

    has_stepped_back = False

    @rule(ms=st.sampled_from([1, 1_000, LIFETIME_MS // 2, LIFETIME_MS]))
    def wait(self, ms: int) -> None:
        """Let time pass."""
        self.now = Instant(self.now + ms * 1_000)

    @rule(ms=st.sampled_from([1, 1_000, LIFETIME_MS]))
    def step_back(self, ms: int) -> None:
        """Set the machine's clock back."""
        self.now = Instant(self.now - ms * 1_000)
        self.has_stepped_back = True

    @invariant()
    def memory_is_bounded(self) -> None:
        """Never more are remembered than allowed."""
        assert len(self.challenges._given) <= 8


TestAnyOrder = AnyOrder.TestCase
TestAnyOrder.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)

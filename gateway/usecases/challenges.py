"""
Challenges for cards to sign: each is good once, for a short time, for the caller who got it.

Kept in the memory of one process on purpose. A restart forgets all of them and so refuses, which
is safe: a challenge never written down cannot be taken twice. The two calls of a visit share one
connection and therefore one process (house decision 0014). Source: health-info.md D.7 #4.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from gateway.domain.card import CHALLENGE_BYTES
from gateway.domain.errors import NotPermitted, TooMuch
from gateway.domain.period import Instant

FORGOTTEN_AT_ONCE_MAX: Final = 64
"""Expired challenges that one call forgets, so that no call pays for a busy minute before it."""


@dataclass(slots=True)
class _Given:
    audience: str
    connection: str
    expire_time: Instant
    is_taken: bool = False


class Challenges:
    """
    The challenges one process has given and not forgotten.

    Args:
        lifetime_ms: How long a challenge is good, in milliseconds.

        open_max: How many are remembered at most, taken ones included until they expire.

        a_caller_max: How many of them one caller may have, so that no other goes without.

        new_challenge: Draws 32 random bytes.
    """

    def __init__(
        self,
        lifetime_ms: int,
        open_max: int,
        a_caller_max: int,
        new_challenge: Callable[[], bytes],
    ) -> None:
        self._lifetime_us = lifetime_ms * 1_000
        self._open_max = open_max
        self._a_caller_max = a_caller_max
        self._by_caller: Counter[str] = Counter()
        self._new_challenge = new_challenge
        self._given: dict[bytes, _Given] = {}
        """In the order they were given, so that the oldest expire first."""

    def begin(self, audience: str, now: Instant, connection: str = "") -> tuple[bytes, Instant]:
        """
        Give a challenge to a caller, with the moment from which on it is refused.

        Args:
            connection: The connection it is good on; any, if it is always empty.

        Raises:
            TooMuch: `TOO_MANY_CHALLENGES`; the oldest are forgotten when they expire.
        """
        self._forget(now)
        if len(self._given) >= self._open_max:
            raise TooMuch("TOO_MANY_CHALLENGES", open_max=str(self._open_max))
        if self._by_caller[audience] >= self._a_caller_max:
            raise TooMuch("TOO_MANY_CHALLENGES", a_caller_max=str(self._a_caller_max))
        challenge = self._new_challenge()
        assert len(challenge) == CHALLENGE_BYTES
        assert challenge not in self._given
        expire_time = Instant(now + self._lifetime_us)
        self._given[challenge] = _Given(audience, connection, expire_time)
        self._by_caller[audience] += 1
        return challenge, expire_time

    def take(self, challenge: bytes, audience: str, now: Instant, connection: str = "") -> None:
        """
        Use up a challenge; whatever becomes of the visit, it is never good again.

        A caller, or a connection, that was not given it does not use it up. Once forgotten, a
        taken or expired challenge is unknown.

        Raises:
            NotPermitted: `CHALLENGE_UNKNOWN`, `CHALLENGE_AUDIENCE`, `CHALLENGE_REPLAYED`,
                `CHALLENGE_EXPIRED`; the first that holds.
        """
        given = self._given.get(challenge)
        if given is None:
            raise NotPermitted("CHALLENGE_UNKNOWN")
        if (given.audience, given.connection) != (audience, connection):
            raise NotPermitted("CHALLENGE_AUDIENCE")
        if given.is_taken:
            raise NotPermitted("CHALLENGE_REPLAYED")
        if now >= given.expire_time:
            raise NotPermitted("CHALLENGE_EXPIRED")
        given.is_taken = True

    def _forget(self, now: Instant) -> None:
        for _ in range(FORGOTTEN_AT_ONCE_MAX):
            oldest = next(iter(self._given), None)
            if oldest is None or now < self._given[oldest].expire_time:
                return
            audience = self._given.pop(oldest).audience
            self._by_caller[audience] -= 1
            if not self._by_caller[audience]:
                del self._by_caller[audience]

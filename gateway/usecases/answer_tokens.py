"""
Gives each answer its token, and says as of when and by which rules a token asks again.

See `gateway.domain.answer_token` for what a token holds. The store is asked after its facts were
read whether they reach so far back (`require_kept`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Protocol

from gateway.domain.answer_token import Stamp, TokenKey, is_asked, rules_tag, sealed, stamp_of
from gateway.domain.eligibility import Confirmation, Query, Rules
from gateway.domain.errors import Conflict, InvalidInput
from gateway.domain.identifiers import PersonKey
from gateway.domain.period import Instant
from gateway.store.port_answers import Disposing
from gateway.usecases.door import DeniedLookError


class TokenKeys(Protocol):
    """The keys of tokens, shared by all read workers."""

    @property
    def current(self) -> TokenKey:
        """The one new tokens are made with."""

    def of(self, key_id: int) -> TokenKey | None:
        """The key with a number, an older one too."""


@dataclass(frozen=True, slots=True)
class AsOf:
    """As of when a question is asked: now, or `known`; `stamp` is what its `token` says, if any."""

    known: Instant | None = None
    token: str = ""
    stamp: Stamp | None = None


NOW: Final = AsOf()


@dataclass(frozen=True, slots=True)
class Answered:
    """An answer and its token."""

    confirmation: Confirmation
    token: str


@dataclass(frozen=True, slots=True)
class Tokens:
    """
    What is needed to make tokens and to believe them.

    `rules` are those in force; `older` those once in force here, by their tags.
    """

    keys: TokenKeys
    rules: Rules
    older: Mapping[bytes, Rules] = field(default_factory=dict)
    tag: bytes = field(init=False)
    """The tag of `rules`."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "tag", rules_tag(self.rules))

    def as_of(self, token: str, known: Instant | None) -> AsOf:
        """
        Read as of when a question is asked.

        Args:
            token: Of the answer to ask for again; empty if none.

            known: The moment asked about; None is now. With a token it must be the token's, if any.

        Raises:
            InvalidInput: `TOKEN_WRONG`, `TOKEN_OF_ANOTHER_QUESTION`.
        """
        if not token:
            return NOW if known is None else AsOf(known)
        stamp = stamp_of(token, self.keys.of)
        if known is not None and known != stamp.known:
            raise InvalidInput("TOKEN_OF_ANOTHER_QUESTION", "known_time")
        return AsOf(stamp.known, token, stamp)

    def of(self, query: Query, at: Instant) -> str:
        """The token of an answer as of an instant by the rules in force."""
        return sealed(self.keys.current, at, self.tag, query)

    def rules_then(self, as_of: AsOf) -> Rules:
        """
        The rules of a question: those of its token, else those in force.

        Raises:
            Conflict: `TOKEN_RULES_UNKNOWN`.
        """
        if as_of.stamp is None or as_of.stamp.rules_tag == self.tag:
            return self.rules
        rules = self.older.get(as_of.stamp.rules_tag)
        if rules is None:
            raise Conflict("TOKEN_RULES_UNKNOWN", "answer_token")
        return rules


def require_asked(as_of: AsOf, query: Query) -> None:
    """
    Refuse a token that is of another question; who asks is a part of the question.

    Raises:
        InvalidInput: `TOKEN_OF_ANOTHER_QUESTION`.
    """
    if as_of.stamp is not None and not is_asked(as_of.stamp, query):
        raise InvalidInput("TOKEN_OF_ANOTHER_QUESTION", "answer_token")


async def require_kept(as_of: AsOf, store: Disposing, people: tuple[PersonKey, ...]) -> None:
    """
    Refuse an answer as of a moment of which facts may be gone; the denial names `people`.

    Raises:
        DeniedLookError: `FACTS_DISPOSED`.
    """
    if as_of.known is not None and as_of.known < await store.disposed_before():
        field_name = "known_time" if as_of.stamp is None else "answer_token"
        raise DeniedLookError(Conflict("FACTS_DISPOSED", field_name), people)

"""Tokens whose keys a test can see."""

from __future__ import annotations

from collections.abc import Mapping

from gateway.domain.answer_token import TokenKey
from gateway.domain.eligibility import Rules
from gateway.usecases.answer_tokens import Tokens

KEY = TokenKey(1, b"for the MAC of tests", b"for the tags of tests")


class Keys:
    """`TokenKeys` in memory, the current one first."""

    def __init__(self, *keys: TokenKey) -> None:
        self.keys = keys or (KEY,)

    @property
    def current(self) -> TokenKey:
        """See `TokenKeys`."""
        return self.keys[0]

    def of(self, key_id: int) -> TokenKey | None:
        """See `TokenKeys`."""
        return next((key for key in self.keys if key.key_id == key_id), None)


def tokens(
    rules: Rules | None = None, older: Mapping[bytes, Rules] | None = None, *keys: TokenKey
) -> Tokens:
    """Tokens by the usual rules and key, if no others are given."""
    return Tokens(Keys(*keys), rules or Rules(), older or {})

"""
The token of an answer: with it the same question gets the same answer again.

A token names the instant as of which the answer was decided, the rules, and the day confirmed. It
holds no item of the question, only a keyed tag of it, so nobody without the gateway's key can read
or guess from a token who was asked about. Nothing is kept of an answer: it is decided anew from
the facts of that instant. Layout, big-endian, then base64 for URLs without padding:

```
format 1 | key 2 | instant 8 | day 4 | rules 8 | tag of the question 12 | MAC of all before 16
```

Source: house 11 (Tokens); decision 0023.
"""

from __future__ import annotations

import binascii
import contextlib
import hashlib
import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable
from datetime import date
from struct import Struct as Layout
from typing import Final, NamedTuple

import msgspec

from gateway.domain.eligibility import ByNumber, Query, Rules
from gateway.domain.errors import InvalidInput
from gateway.domain.period import Instant

TOKEN_FORMAT: Final = 1
RULES_TAG_BYTES: Final = 8
QUESTION_TAG_BYTES: Final = 12
MAC_BYTES: Final = 16
KEY_ID_MAX: Final = 0xFFFF

_HEAD: Final = Layout(f">BHqI{RULES_TAG_BYTES}s")
_BODY_BYTES: Final = _HEAD.size + QUESTION_TAG_BYTES
TOKEN_CHARACTERS: Final = (_BODY_BYTES + MAC_BYTES) * 4 // 3
"""51 bytes are 68 characters: no padding, and no bit to spare."""

_encode: Final = msgspec.msgpack.Encoder().encode


class TokenKey(NamedTuple):
    """A key of tokens by its number, which a token names: one part for the MAC, one for tags."""

    key_id: int
    mac: bytes
    question: bytes


class Stamp(NamedTuple):
    """What a genuine token says; `tag` is that of its question."""

    key: TokenKey
    known: Instant
    on: date
    rules_tag: bytes
    tag: bytes


def rules_tag(rules: Rules) -> bytes:
    """The name of a set of rules in tokens: 8 bytes of the digest of all of them."""
    return hashlib.sha256(msgspec.json.encode(rules)).digest()[:RULES_TAG_BYTES]


def sealed(key: TokenKey, known: Instant, rules: bytes, query: Query) -> str:
    """
    Make the token of an answer.

    Args:
        known: As of when it was decided.

        rules: The `rules_tag` of the rules it was decided by.
    """
    head = _HEAD.pack(TOKEN_FORMAT, key.key_id, known, query.on.toordinal(), rules)
    body = head + _tag(key, head, query)
    return urlsafe_b64encode(body + _mac(key, body)).decode("ascii")


def stamp_of(token: str, key_of: Callable[[int], TokenKey | None]) -> Stamp:
    """
    Read a token and check that this gateway made it.

    Raises:
        InvalidInput: `TOKEN_WRONG`.
    """
    whole = _whole(token)
    body, mac = whole[:_BODY_BYTES], whole[_BODY_BYTES:]
    token_format, key_id, known, day, rules = _HEAD.unpack_from(body)
    key = key_of(key_id) if token_format == TOKEN_FORMAT else None
    if key is None or not hmac.compare_digest(_mac(key, body), mac):
        raise InvalidInput("TOKEN_WRONG", "answer_token")
    return Stamp(key, Instant(known), date.fromordinal(day), rules, body[_HEAD.size :])


def _whole(token: str) -> bytes:
    if len(token) == TOKEN_CHARACTERS:
        with contextlib.suppress(binascii.Error, ValueError):
            whole = urlsafe_b64decode(token)
            # Decoding skips what is no letter of the alphabet, so spelling it again must agree.
            if urlsafe_b64encode(whole) == token.encode():
                return whole
    raise InvalidInput("TOKEN_WRONG", "answer_token")


def is_asked(stamp: Stamp, query: Query) -> bool:
    """Whether a token is that of an answer to this very question."""
    head = _HEAD.pack(
        TOKEN_FORMAT, stamp.key.key_id, stamp.known, stamp.on.toordinal(), stamp.rules_tag
    )
    return hmac.compare_digest(_tag(stamp.key, head, query), stamp.tag)


def _mac(key: TokenKey, body: bytes) -> bytes:
    return hmac.digest(key.mac, body, "sha256")[:MAC_BYTES]


def _tag(key: TokenKey, head: bytes, query: Query) -> bytes:
    """The same question at another instant has another tag, so tokens tell nobody who is who."""
    return hmac.digest(key.question, head + _spelled(query), "sha256")[:QUESTION_TAG_BYTES]


def _spelled(query: Query) -> bytes:
    """All that an answer may depend on, who asks among it; never changed within a format."""
    if isinstance(query, ByNumber):
        return _encode(
            (
                "number",
                query.lookup_key,
                query.branch,
                query.birth_date,
                query.on,
                query.is_limit_consented,
                query.institution_code,
            )
        )
    return _encode(
        ("card", query.person_key, query.on, query.is_limit_consented, query.institution_code)
    )

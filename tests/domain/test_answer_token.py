"""What a token of an answer says, hides and survives."""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from gateway.domain.answer_token import (
    TOKEN_CHARACTERS,
    TokenKey,
    is_asked,
    rules_tag,
    sealed,
    stamp_of,
)
from gateway.domain.eligibility import ByCard, ByNumber, Query, Rules
from gateway.domain.errors import InvalidInput
from gateway.domain.identifiers import LookupKey, PersonKey
from gateway.domain.period import Instant

KEYS = {number: TokenKey(number, b"m%d" % number, b"q%d" % number) for number in (1, 65_535)}
RULES = rules_tag(Rules())
KNOWN = Instant(1_776_211_200_123_456)
BY_NUMBER = ByNumber(LookupKey(b"k" * 16), "01", date(1980, 4, 1), date(2026, 4, 15))
BY_CARD = ByCard(PersonKey(b"p" * 16), date(2026, 4, 15))


def token(query: Query = BY_NUMBER, known: Instant = KNOWN, key_id: int = 1) -> str:
    """The token of an answer."""
    return sealed(KEYS[key_id], known, RULES, query)


@given(
    known=st.integers(0, 2**62).map(Instant),
    on=st.dates(),
    query=st.sampled_from((BY_NUMBER, BY_CARD)),
    key_id=st.sampled_from(sorted(KEYS)),
)
def test_a_token_says_what_it_was_made_of(
    known: Instant, on: date, query: Query, key_id: int
) -> None:
    """Instant, day, rules and key come back, and it is asked by the very same question."""
    asked = structs.replace(query, on=on)
    made = token(asked, known, key_id)
    stamp = stamp_of(made, KEYS.get)
    assert (KEYS[key_id], known, on, RULES) == stamp[:4]
    assert is_asked(stamp, asked)
    assert len(made) == TOKEN_CHARACTERS


@pytest.mark.parametrize(
    ("query", "changes"),
    [
        (BY_NUMBER, {"lookup_key": LookupKey(b"l" * 16)}),
        (BY_NUMBER, {"branch": None}),
        (BY_NUMBER, {"birth_date": date(1980, 4, 2)}),
        (BY_NUMBER, {"on": date(2026, 4, 16)}),
        (BY_NUMBER, {"is_limit_consented": True}),
        (BY_NUMBER, {"institution_code": "1319999999"}),
        (BY_CARD, {"person_key": PersonKey(b"q" * 16)}),
        (BY_CARD, {"person_key": PersonKey(b"")}),
        (BY_CARD, {"on": date(2026, 4, 16)}),
        (BY_CARD, {"is_limit_consented": True}),
        (BY_CARD, {"institution_code": "1319999999"}),
    ],
)
def test_every_item_of_a_question_counts(query: Query, changes: dict[str, object]) -> None:
    """A token is not of a question that differs in a single item."""
    stamp = stamp_of(token(query), KEYS.get)
    assert is_asked(stamp, query)
    assert not is_asked(stamp, structs.replace(query, **changes))


def test_every_bit_of_a_token_counts() -> None:
    """A token with any one bit turned is refused, whatever the bit stands for."""
    whole = urlsafe_b64decode(token())
    for bit in range(8 * len(whole)):
        turned = bytearray(whole)
        turned[bit // 8] ^= 1 << bit % 8
        with pytest.raises(InvalidInput, match="TOKEN_WRONG"):
            stamp_of(urlsafe_b64encode(turned).decode(), KEYS.get)


@pytest.mark.parametrize(
    "spelled",
    [
        "",
        token()[:-1],
        token() + "A",
        token()[:-4] + "\n" + token()[-4:-1],
        token() + "=",
        "+" * TOKEN_CHARACTERS,
        "あ" * TOKEN_CHARACTERS,
        "A" * 60_000,
    ],
)
def test_another_spelling_is_no_token(spelled: str) -> None:
    """One answer has one token: nothing around it or in it is skipped."""
    with pytest.raises(InvalidInput, match="TOKEN_WRONG"):
        stamp_of(spelled, KEYS.get)


@given(st.text(max_size=80))
def test_no_text_is_taken_for_a_token(text: str) -> None:
    """Whatever is sent, it is refused with the reason and nothing else."""
    with pytest.raises(InvalidInput, match="TOKEN_WRONG"):
        stamp_of(text, KEYS.get)


def test_a_token_of_a_key_that_is_gone_is_refused() -> None:
    """Without its key nobody can tell whether it is genuine; nor with another key's secret."""
    made = token(key_id=65_535)
    with pytest.raises(InvalidInput, match="TOKEN_WRONG"):
        stamp_of(made, {1: KEYS[1]}.get)
    with pytest.raises(InvalidInput, match="TOKEN_WRONG"):
        stamp_of(made, lambda number: TokenKey(number, b"other", b"other"))


def test_two_tokens_do_not_tell_whether_they_are_about_one_person() -> None:
    """The tags of one question at two instants have nothing in common; nor is an item readable."""
    first, second = (urlsafe_b64decode(token(known=Instant(KNOWN + more))) for more in (0, 1))
    assert first[23:35] != second[23:35]
    assert first.find(BY_NUMBER.lookup_key) == -1
    assert first[23:35] != urlsafe_b64decode(token(query=replaced()))[23:35]


def replaced() -> Query:
    """The question about the next day."""
    return structs.replace(BY_NUMBER, on=BY_NUMBER.on + timedelta(days=1))


def test_other_rules_have_another_tag() -> None:
    """Each open point and the version count."""
    open_points = [name for name in Rules.__dataclass_fields__ if name != "version"]
    turned: list[dict[str, Any]] = [{name: not getattr(Rules(), name)} for name in open_points]
    others = [replace(Rules(), **one) for one in turned]
    tags = {rules_tag(rules) for rules in (Rules(), Rules(version="planted"), *others)}
    assert len(others) + 2 == len(tags)

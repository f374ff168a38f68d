"""What answers say is pinned to the version of the rules that tokens carry (decision 0023)."""

from __future__ import annotations

import hashlib

from gateway.domain.eligibility import Explanation, Rules, Validity, Why

PINNED = {"2026-04": "43b178a8e3513181"}
"""By version: whoever rewords a reason raises `Rules.version` and adds a line here."""


def digest(words: dict[str, Explanation], codes: dict[str, int]) -> str:
    """A digest of all words and codes of answers."""
    said = repr((sorted((name, *text) for name, text in words.items()), sorted(codes.items())))
    return hashlib.sha256(said.encode()).hexdigest()[:16]


WORDS = {why.name: why.value for why in Why}
CODES = {validity.name: validity.value for validity in Validity}


def test_the_words_of_answers_are_those_of_the_rules_version() -> None:
    """A token of before would else be answered in other words than then."""
    assert PINNED[Rules().version] == digest(WORDS, CODES)


def test_a_reworded_reason_is_caught() -> None:
    """A word, a reason or a code that changes makes another digest."""
    reworded = WORDS | {"COVER_HOLDS": Explanation("planted", "planted")}
    fewer = {name: text for name, text in WORDS.items() if name != "COVER_HOLDS"}
    renumbered = CODES | {"VALID": 9}
    digests = {
        digest(WORDS, CODES),
        digest(reworded, CODES),
        digest(fewer, CODES),
        digest(WORDS, renumbered),
    }
    assert len(digests) == 4

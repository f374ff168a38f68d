"""What is said of a fact without which an answer would be another, in Japanese and English."""

from __future__ import annotations

from datetime import date
from typing import Final

from gateway.domain.eligibility import Explanation, Validity

_ANSWERS: Final = {
    Validity.VALID: ("有効", "valid"),
    Validity.INVALID: ("無効", "invalid"),
    Validity.INVALID_NEWER_COVER: ("無効（新しい資格あり）", "invalid, a newer cover exists"),
    Validity.NO_SUCH_COVER: ("該当資格なし", "no such cover"),
    Validity.SEVERAL_PEOPLE: ("複数該当", "several people"),
    Validity.VALID_UNREGISTERED: ("有効（未登録）", "valid, ticket missing"),
}

_NOUNS: Final = {
    "ACQUIRED": ("資格取得", "acquisition"),
    "CHANGED": ("異動", "change"),
    "LOST": ("資格喪失", "loss"),
    "CORRECTED": ("訂正", "correction"),
    "CANCELLED": ("取消", "cancellation"),
    "SUSPENDED": ("閲覧停止", "suspension"),
    "RESTORED": ("閲覧停止の解除", "restoration"),
}


Words = tuple[str, str]
"""Japanese and English."""


def words_of(found: Validity, *, is_same: bool, is_same_cover: bool) -> Words:
    """
    Name an answer.

    Args:
        is_same: Whether it has the validity of the answer it is held against.

        is_same_cover: Whether it shows the same cover.
    """
    ja, en = _ANSWERS[found]
    if not is_same:
        return ja, en
    if is_same_cover:
        return f"別の理由で{ja}", f"{en} for another reason"
    return f"別の資格で{ja}", f"{en} by another cover"


def sentence_about_version(words: Words, kind: str, on: date) -> Explanation:
    """Say what would have been answered, had a version recorded on a day not arrived."""
    ja, en = words
    noun_ja, noun_en = _NOUNS[kind]
    return Explanation(
        f"{on}に登録された{noun_ja}が届いていなければ「{ja}」。",
        f"{en}, had the {noun_en} recorded on {on} not arrived",
    )


def sentence_about_link(words: Words, insurer: str, on: date, *, is_first: bool) -> Explanation:
    """
    Say what would have been answered, had an enrollee not been linked on a day.

    Args:
        insurer: The number of the insurer whose enrollee it is.

        is_first: Whether the number was linked then for the first time, and not moved.
    """
    ja, en = words
    if is_first:
        return Explanation(
            f"{on}に保険者{insurer}の加入者に個人番号が紐付けられていなければ「{ja}」。",
            f"{en}, had the My Number not been linked at insurer {insurer} on {on}",
        )
    return Explanation(
        f"{on}に保険者{insurer}の加入者の紐付けが改められていなければ「{ja}」。",
        f"{en}, had the link not been changed at insurer {insurer} on {on}",
    )

"""
How the field spells text: character sets, kana, postal codes, days and moments.

Shift_JIS means Windows-31J (code page 932) here, as every client means it. Small kana stay as
the insurer registered them (some real results spell them large, oqs-interface.md 5.8).
Sources: oqs-interface.md 1.5, 2.2, 5.8, 5.9 and 5.15.
"""

from __future__ import annotations

import re
import unicodedata
from datetime import date, datetime
from typing import Final, Literal

import jaconv

Encoding = Literal["utf-8", "shift_jis"]

UNMAPPABLE: Final = "●"
"""Stands for a character the reader's character set lacks (oqs-interface.md 5.9)."""

_NAMES: Final[dict[str, Encoding]] = {
    **dict.fromkeys(("utf-8", "utf8"), "utf-8"),
    **dict.fromkeys(
        (
            *("shift_jis", "shift-jis", "sjis", "x-sjis", "csshiftjis", "ms_kanji"),
            *("windows-31j", "cswindows31j", "cp932", "ms932"),
        ),
        "shift_jis",
    ),
}

_BEST_FIT: Final = str.maketrans(
    {
        "\u301c": "\uff5e",  # wave dash
        "\u2016": "\u2225",  # double vertical line
        "\u2212": "\uff0d",  # minus sign
        "\u2013": "\uff0d",  # en dash
        "\u2014": "\u2015",  # em dash
        "\u2011": "\u2010",  # hyphen that does not break
        "\u00a5": "\uffe5",  # yen sign
        "\u203e": "\uffe3",  # overline
        "\u00a2": "\uffe0",  # cent sign
        "\u00a3": "\uffe1",  # pound sign
        "\u00ac": "\uffe2",  # not sign
        "\u00a6": "\uffe4",  # broken bar
        "\u00b7": "\u30fb",  # middle dot
        "\u00a0": " ",  # blank that does not break
    }
)

_VOICED: Final = re.compile("[\u3041-\u30ff][\u3099\u309a]")
_VARIATION_SELECTORS: Final = re.compile("[\ufe00-\ufe0f\U000e0100-\U000e01ef]")
_UNFIT_FOR_XML: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
_PRIVATE: Final = re.compile("[\x80\ue000-\uf8ff]")
"""Characters code page 932 has bytes for, but no reader a glyph."""

_POSTAL_CODE: Final = re.compile(r"([0-9]{3})-?([0-9]{4})")


def codec(encoding: Encoding) -> str:
    """The name of Python's codec for an encoding."""
    return "cp932" if encoding == "shift_jis" else "utf-8"


def encoding_named(name: str) -> Encoding | None:
    """The encoding a declaration names, or None for one that is not accepted."""
    return _NAMES.get(name.lower())


def legible(text: str, encoding: Encoding) -> str:
    """
    Spell a registered text so that it can be written in an encoding.

    What code page 932 lacks takes its usual best fit (wave dash, minus sign, yen sign ...); what
    has none becomes one `UNMAPPABLE` a character. The same goes for what XML cannot hold.
    """
    text = _UNFIT_FOR_XML.sub(UNMAPPABLE, text)
    if encoding == "utf-8" or text.isascii():
        return text
    composed = _VOICED.sub(lambda found: unicodedata.normalize("NFC", found[0]), text)
    bare = _VARIATION_SELECTORS.sub("", composed).translate(_BEST_FIT)
    return "".join(map(_fitted, bare))


def _fitted(character: str) -> str:
    if is_in_code_page(character):
        return character
    folded = unicodedata.normalize("NFKC", character)
    return folded if len(folded) == 1 and is_in_code_page(folded) else UNMAPPABLE


def is_in_code_page(text: str) -> bool:
    """Whether code page 932 has every character of a text, and a reader a glyph for it."""
    if text.isascii():
        return True
    if _PRIVATE.search(text):
        return False
    try:
        text.encode("cp932")
    except UnicodeEncodeError:
        return False
    return True


def half_width_kana(text: str) -> str:
    """
    Spell a name in half-width kana with half-width blanks (NameKana, oqs-interface.md 5.8).

    Hiragana becomes katakana, letters and digits become half-width. The few kana that have no
    half-width form stay.
    """
    return str(jaconv.z2h(jaconv.hira2kata(unicodedata.normalize("NFKC", text))))


def postal_code(text: str) -> str:
    """Spell a postal code as nnn-nnnn; a text that is none stays as it is."""
    found = _POSTAL_CODE.fullmatch(unicodedata.normalize("NFKC", text).strip())
    return f"{found[1]}-{found[2]}" if found else text


def day_digits(day: date) -> str:
    """Spell a day as YYYYMMDD."""
    return f"{day.year:04}{day.month:02}{day.day:02}"


def moment_digits(moment: datetime) -> str:
    """Spell a wall-clock time as YYYYMMDDHHmmss; fractions of a second are cut off."""
    return f"{day_digits(moment)}{moment.hour:02}{moment.minute:02}{moment.second:02}"


def ratio_digits(percent: int) -> str:
    """Spell a copayment ratio in percent with three digits, such as 030."""
    return f"{percent:03}"
